"""What a node needs to serve: sockets, a store, an address. Each failure is one line."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from gossipd.config.config import UNGUARDED, Config
from gossipd.config.endpoint import LOCALHOST, Endpoint, is_reachable
from gossipd.config.tokens import Grants
from gossipd.config.unix import ApiAddress, UnixSocket
from gossipd.core import Address, MemberView, Snapshot, Status
from gossipd.daemon.advertising import first_address
from gossipd.daemon.allowing import allowing
from gossipd.daemon.certificates import Certificate
from gossipd.daemon.datadir import data_directory, left_behind
from gossipd.daemon.given import certificate_of, keyring_of, tokens_of
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
from gossipd.process import descriptors
from gossipd.process.passed import take
from gossipd.sealing.keyring import Keyring
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

EARLY_MAX = 1024
"""Datagrams kept while the node still opens its store; older ones go first."""


class StartError(Exception):
    """The node cannot start; the text is the one line that says why."""


class Opened(NamedTuple):
    """What a node is made from once that is open: all but the API, which is opened on a node."""

    own: MemberView
    udp: Udp
    early: deque[tuple[bytes, Address]]
    """What has come in so far, and comes until somebody else receives it."""

    store: Store
    snapshot: Snapshot
    """What the lives before have stored."""

    keyring: Keyring | None
    tokens: Grants | None
    certificate: Certificate | None
    passed: Sequence[socket.socket]
    """The sockets of the API that the service manager has opened already."""

    left_behind: str | None
    """What to say of the state that the node has under another name, if that is so."""


async def open_parts(config: Config, keeper: Keeper | None) -> Opened:
    """`keeper`: who has the disk, this process unless given. Raises `StartError`."""
    keyring = await _read_given(config, config.keyring, keyring_of)
    inherited = _sockets_passed()
    sock = await _open_gossip_socket(config.bind, inherited.gossip)
    early: deque[tuple[bytes, Address]] = deque(maxlen=EARLY_MAX)
    udp = Udp(sock, lambda data, source: early.append((data, source)))
    udp.restrict(allowing(config.allow))
    await udp.start()
    store: Store | None = None
    try:
        tokens = await _read_given(config, config.tokens, tokens_of)
        certificate = await _read_given(config, config.api_cert, certificate_of)
        own = await _own_view(config, udp)
        loop = asyncio.get_running_loop()
        left = await loop.run_in_executor(None, _name_left_behind, config, own)
        store = await open_store(config, own.name, keeper)
        own = own._replace(generation=await _begin_life(store, config))
    except StartError:
        await close_parts(udp, store, config.disk_timeout)
        raise
    return Opened(
        own, udp, early, store, store.load(), keyring, tokens, certificate, inherited.api, left
    )


async def close_parts(udp: Udp, store: Store | None, within: float) -> None:
    """The node does not start; the disk is waited for no longer than these seconds."""
    udp.close()
    if store is not None:
        with suppress(TimeoutError):
            await asyncio.wait_for(store.close(), within)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _sockets_passed() -> Inherited:
    """What the service manager has opened already. Raises `StartError`."""
    try:
        return sorted_out(take())
    except UnfitError as error:
        raise StartError(str(error)) from error


async def _hosts(endpoint: Endpoint) -> list[str]:
    """Raises `OSError`, of which `TimeoutError` is one."""
    async with asyncio.timeout(BIND_WITHIN):
        return [host for host, _ in await Resolver().resolve(endpoint)]


async def _open_gossip_socket(bind: Endpoint, passed: socket.socket | None) -> socket.socket:
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


async def _read_given(config: Config, path: str | None, read: Callable[[Config], T]) -> T:
    """What `read` makes of a file (`given`), on whose disk nobody else waits. Raises
    `StartError`."""
    reading = asyncio.get_running_loop().run_in_executor(None, read, config)
    try:
        return await _told(reading, config.disk_timeout, f"reading {path}")
    except ValueError as error:
        raise StartError(str(error)) from error


def port_limits(config: Config, name: str) -> Limits:
    """Those of the side port. It takes no more connections than there are descriptors for: one
    that cannot be accepted would wait for ever."""
    files, most = descriptors.limit(), config.connections_max
    if 0 <= files < most + FILES_BESIDE:
        most = max(1, files - FILES_BESIDE)
        text = "connections_max is %d, as this process may open %d files only"
        text += " (ulimit -n, LimitNOFILE)"
        log.warning(text, most, files)
    return Limits(
        connections_max=most,
        watchers_max=config.watchers_max,
        address_share=config.address_share,
        names=frozenset({socket.gethostname().lower(), name.partition(":")[0].lower()}),
        origins=frozenset(config.cors_origin),
    )


def data_dir(config: Config, name: str) -> Path | None:
    return None if config.in_memory else data_directory(config.data_dir, name).absolute()


def _name_left_behind(config: Config, own: MemberView) -> str | None:
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


async def _begin_life(store: Store, config: Config) -> int:
    work = asyncio.ensure_future(store.begin_life(time.time()))
    try:
        return await _told(work, config.disk_timeout, "recording the start")
    except OSError as error:
        raise StartError(str(error)) from error


async def _own_view(config: Config, udp: Udp) -> MemberView:
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
