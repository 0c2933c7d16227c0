"""What a node needs to serve: sockets, a store, an address. Each failure is one line."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from gossipd.config.config import LOCALHOST, UNGUARDED, Config
from gossipd.config.endpoint import Endpoint, is_reachable
from gossipd.config.unix import ApiAddress, UnixSocket
from gossipd.core import MemberView, Status
from gossipd.daemon.advertising import first_address
from gossipd.daemon.datadir import data_directory, left_behind
from gossipd.daemon.inherited import (
    Inherited,
    UnfitError,
    check,
    check_mode,
    is_at,
    sorted_out,
    unfit,
)
from gossipd.daemon.lines import listed
from gossipd.daemon.resolving import Resolver, literal
from gossipd.daemon.routes import Routes
from gossipd.daemon.udp import Udp, open_socket, prepare
from gossipd.process.passed import take
from gossipd.sideport.limits import Limits
from gossipd.sideport.port import SidePort
from gossipd.store import DiskStore, Keeper, MemoryStore, Store, StoreError
from gossipd.store.remote import RemoteStore

log = logging.getLogger("gossipd")

T = TypeVar("T")

FILES_BESIDE = 400
"""Descriptors that a node needs beside those of its connections: for refusals, sockets, files."""

BIND_WITHIN = 10.0
"""Seconds in which a name to bind to has to resolve: a node cannot serve without its sockets."""

NO_ANSWER = f"no resolver has answered within {BIND_WITHIN:g} s"


class StartError(Exception):
    """The node cannot start; the text is the one line that says why."""


def raise_file_limit(connections_max: int) -> None:
    """The usual 1,024 descriptors are fewer than the connections that the side port takes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections_max + FILES_BESIDE
    wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def port_limits(config: Config, name: str) -> Limits:
    """Those of the side port. It takes no more connections than there are descriptors for: one
    that cannot be accepted would wait for ever."""
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)[0], config.connections_max
    if files != resource.RLIM_INFINITY and files < most + FILES_BESIDE:
        most = max(1, files - FILES_BESIDE)
        text = "connections_max is %d, as this process may open %d files only"
        text += " (ulimit -n, LimitNOFILE)"
        log.warning(text, most, files)
    return Limits(
        connections_max=most,
        watchers_max=config.watchers_max,
        address_share=config.address_share,
        names=own_names(name),
        origins=frozenset(config.cors_origin),
    )


def open_files() -> dict[str, int]:
    """How many descriptors this process has, and may have."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return {"open": len([*Path("/proc/self/fd").iterdir()]), "limit": limit}


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def sockets_passed() -> Inherited:
    """What the service manager has opened already. Raises `StartError`."""
    try:
        return sorted_out(take())
    except UnfitError as error:
        raise StartError(str(error)) from error


async def _hosts(endpoint: Endpoint) -> list[str]:
    """Raises `OSError`, of which `TimeoutError` is one."""
    async with asyncio.timeout(BIND_WITHIN):
        return [host for host, _ in await Resolver().resolve(endpoint)]


async def open_gossip_socket(bind: Endpoint, passed: socket.socket | None) -> socket.socket:
    """The gossip socket: what was passed, if it does. Raises `StartError`."""
    try:
        hosts = await _hosts(bind) if bind.host else [""]
        if passed is None:
            return open_socket(hosts[0], bind.port)
        check(passed, bind, hosts)
        prepare(passed)
        return passed
    except TimeoutError as error:
        raise StartError(f"cannot bind {bind}: {NO_ANSWER}") from error
    except OSError as error:
        raise StartError(f"cannot bind {bind}: {_reason(error)}") from error


async def open_store(config: Config, name: str, keeper: Keeper | None) -> Store:
    """Raises `StartError`."""
    if config.in_memory:
        return MemoryStore()
    options: dict[str, Any] = {
        "durability": config.durability,
        "node": name,
        "cluster": config.cluster,
        "key_window": config.settings.key_window,
        "key_retention": config.settings.key_retention,
        "keys_max": config.settings.keys_max,
        "port": config.bind.port if config.has_default_name else 0,
    }
    opening: asyncio.Future[Store]
    try:
        directory = data_directory(config.data_dir, name)
        if keeper is None:
            opening = asyncio.get_running_loop().run_in_executor(
                None, partial(DiskStore.open, directory, **options)
            )
        else:
            opening = asyncio.ensure_future(RemoteStore.open(keeper, directory, **options))
        return await _told(opening, config.disk_timeout, f"opening {directory}")
    except (StoreError, OSError) as error:
        raise StartError(str(error)) from error


async def read_given(config: Config, path: str | None, read: Callable[[Config], T]) -> T:
    """What `read` makes of a file (`given`), on whose disk nobody else waits. Raises
    `StartError`."""
    reading = asyncio.get_running_loop().run_in_executor(None, read, config)
    try:
        return await _told(reading, config.disk_timeout, f"reading {path}")
    except ValueError as error:
        raise StartError(str(error)) from error


def own_names(own: str) -> frozenset[str]:
    """What a browser may call the node."""
    return frozenset({socket.gethostname().lower(), own.partition(":")[0].lower()})


def data_dir(config: Config, name: str) -> Path | None:
    return None if config.in_memory else data_directory(config.data_dir, name).absolute()


def name_left_behind(config: Config, own: MemberView) -> str | None:
    """What to say where a node's name has changed with the host's, and nothing is kept under the
    new one."""
    if not config.has_default_name or config.data_dir is not None or config.in_memory:
        return None
    try:
        directory = data_directory(None, own.name)
        names = left_behind(directory, own.address[1])
    except (OSError, StoreError) as error:
        raise StartError(str(error)) from error
    if not names:
        return None
    return (
        f"there is no state of {own.name!r} yet, but of {listed(names)} in {directory.parent}: "
        f"if this host was renamed, stop this node and go on with --name {names[0]}"
    )


async def _told(work: asyncio.Future[T], seconds: float, what: str) -> T:
    """What `work` ends with, however long it takes; if long, the log says so."""
    done, _ = await asyncio.wait([work], timeout=seconds)
    if not done:
        log.warning("%s takes more than %g s: does the disk hang?", what, seconds)
    return await work


async def begin_life(store: Store, config: Config) -> int:
    work = asyncio.ensure_future(store.begin_life(time.time()))
    try:
        return await _told(work, config.disk_timeout, "recording the start")
    except OSError as error:
        raise StartError(str(error)) from error


async def own_view(config: Config, udp: Udp) -> MemberView:
    seeds = [literal(Endpoint.parse_peer(text)) for text in config.join]
    known = [address for found in seeds for address in found]
    address = await first_address(udp.address, config.advertise, known, Routes(udp.socket))
    name = config.name or f"{socket.gethostname()}:{address[1]}"
    tags = tuple(sorted(config.tags.items()))
    return MemberView(name, address, int(time.time() * 1000), 0, Status.ALIVE, tags)


async def open_port(port: SidePort, config: Config, passed: Sequence[socket.socket]) -> None:
    """Listen at all addresses of the API, on what was passed where something was. Raises
    `StartError`."""
    left, api = list(passed), config.api
    try:
        for address in api:
            left = await _open(port, address, left)
        if left:
            wanted = ", ".join(map(str, api))
            error = unfit(left[0], "ListenStream", "--api", wanted)
            raise StartError(f"cannot bind the API port {wanted}: {error}")
        if not config.guards_api:
            _check_all_here(port, config.insecure_api)
    except StartError:
        port.close()
        raise


async def begin_port(port: SidePort) -> None:
    """Take connections. Raises `StartError` where another process has come first."""
    try:
        await port.begin()
    except OSError as error:
        wanted = ", ".join(map(str, port.places))
        raise StartError(f"cannot bind the API port {wanted}: {_reason(error)}") from error


def _check_all_here(port: SidePort, is_meant: bool) -> None:
    """Raises `StartError` where other hosts reach what is bound, whatever its name says, unless
    that is meant."""
    for host, number in port.addresses:
        if is_reachable(host):
            at = Endpoint(host, number)
            if not is_meant:
                todo = UNGUARDED.replace("`", "")
                raise StartError(f"the API at {at} is reached from other hosts, {todo}")
            log.warning("whoever reaches the API at %s may do all: it asks for no tokens", at)


async def _open(
    port: SidePort, address: ApiAddress, passed: Sequence[socket.socket]
) -> list[socket.socket]:
    """Listen at an address; what was passed for others. Raises `StartError`."""
    try:
        hosts: list[str] = []
        if passed and isinstance(address, Endpoint) and address.host not in ("", LOCALHOST):
            hosts = await _hosts(address)
        fitting = [sock for sock in passed if is_at(sock, address, hosts)]
        for sock in fitting:
            if isinstance(address, UnixSocket):
                check_mode(address)
            await port.listen_on(sock, address)
        if not fitting:
            async with asyncio.timeout(BIND_WITHIN):
                await port.listen(address)
        return [sock for sock in passed if sock not in fitting]
    except TimeoutError as error:
        raise StartError(f"cannot bind the API port {address}: {NO_ANSWER}") from error
    except OSError as error:
        raise StartError(f"cannot bind the API port {address}: {_reason(error)}") from error
