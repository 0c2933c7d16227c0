"""The process: sockets, clock and signals around one core. The only place where siblings meet.

Three phases: open (everything that can fail fails here, in one line and exit 1), serve, stop. One
input at a time goes through the core; its effects are performed at once and one timer is armed for
its next deadline.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import resource
import signal
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from typing import assert_never

from gossipd import notify, reports
from gossipd.alarm import Alarm
from gossipd.archive import Archive
from gossipd.config import Config
from gossipd.copying import Copying
from gossipd.core import (
    Address,
    BecameReady,
    Copies,
    Drop,
    Dropped,
    Effect,
    Image,
    Incremented,
    JoinDoubtful,
    Joined,
    KeysWanted,
    Learned,
    Left,
    MemberChanged,
    MemberView,
    NameLost,
    Node,
    Refuted,
    SaveWanted,
    Send,
    Stalled,
    Status,
    TagFrame,
)
from gossipd.core.settings import KEYS_MAX
from gossipd.counting import Counting
from gossipd.datadir import data_directory
from gossipd.endpoint import Endpoint
from gossipd.saver import Saver
from gossipd.seeds import Seeds, resolve_now
from gossipd.service import Service
from gossipd.sideport.port import SidePort
from gossipd.store import DiskStore, MemoryStore, Store, StoreError
from gossipd.troubles import Troubles
from gossipd.udp import Udp, interface_address, open_socket, routed_address
from gossipd.waiting import Waiting

log = logging.getLogger("gossipd")

OUTWARD: tuple[Address, ...] = (("192.0.2.1", 9), ("2001:db8::1", 9))
"""Documentation addresses (RFC 5737, RFC 3849): only the routing table is asked about them."""

FILES_WANTED = 8192
MOMENT = 0.001
"""The shortest wait that a loop's timer can tell apart from none, seconds."""

READ_FIRST_MAX = 50
"""Turns of the loop for which a late timer waits while datagrams keep coming in."""

EARLY_MAX = 1024
"""Datagrams kept while names are still being resolved; older ones go first."""

WARN_AGAIN_AFTER = 60.0


class StartError(Exception):
    """The node cannot start; the text is the one line that says why."""


def run(config: Config) -> int:
    """Run a node until it has left; its exit code."""
    logging.basicConfig(
        level=config.log_level.upper(),
        format="%(asctime)s %(levelname)s %(message)s",
        stream=sys.stderr,
    )
    _raise_file_limit()
    try:
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(config))
    except StartError as error:
        sys.stderr.write(f"gossipd: {error}\n")
        return 1


async def _run(config: Config) -> int:
    daemon = await Daemon.open(config)
    return await daemon.serve()


def _raise_file_limit() -> None:
    """The usual 1,024 descriptors are fewer than the connections that the side port takes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Daemon:
    """One running node."""

    def __init__(
        self,
        config: Config,
        udp: Udp,
        own: MemberView,
        seeds: list[Address],
        store: Store,
    ) -> None:
        self._config = config
        self._store = store
        self._loop = asyncio.get_running_loop()
        rng = random.SystemRandom()
        frame = TagFrame(config.cluster)
        self._udp = udp
        durable = not config.in_memory
        self._node = Node(own, config.settings, frame, rng, time.monotonic(), durable=durable)
        self._seed_addresses = seeds
        self._troubles = Troubles()
        self._alarm = Alarm(self._node, config.settings.key_limit)
        key_limit = config.settings.key_limit
        self._counting = Counting(self._node, store, self._perform, self._lose_disk, key_limit)
        self._copying = Copying(self._node, self._perform)
        self._waiting = Waiting(self._node)
        self._saver = Saver(self._node, store, self._perform, self._lose_disk)
        self._archive = Archive(self._node, store, self._perform)
        self._seeds = Seeds(self._node, config.settings, self._perform)
        self.service = Service(
            self._node,
            store,
            self._counting,
            self._copying,
            self._waiting,
            self._seeds,
            self._troubles,
            self._perform,
            self._begin_leave,
            self._process,
            config.cluster,
        )
        self._port = SidePort(self.service)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._exit_code = 0
        self._drops: Counter[Drop] = Counter()
        self._warned_at: dict[Drop, float] = {}
        self._leave_task: asyncio.Task[None] | None = None
        self._early: deque[tuple[bytes, Address]] = deque()
        """What came in before the node served."""
        self._image = Image((), ())
        """What the lives before have stored, until it is loaded."""

    # --- phases ------------------------------------------------------------------------------

    @classmethod
    async def open(cls, config: Config) -> Daemon:
        """Bind and resolve. Raises `StartError`."""
        loop = asyncio.get_running_loop()
        try:
            sock = open_socket(config.bind.host, config.bind.port)
        except OSError as error:
            raise StartError(f"cannot bind {config.bind}: {_reason(error)}") from error
        early: deque[tuple[bytes, Address]] = deque(maxlen=EARLY_MAX)
        udp = Udp(sock, lambda data, source: early.append((data, source)))
        await udp.start()
        store: Store | None = None
        try:
            seeds = await loop.run_in_executor(None, _resolve_seeds, config)
            own = await loop.run_in_executor(None, _own_view, config, udp, seeds)
            store = await loop.run_in_executor(None, _open_store, config, own.name)
            generation = await _begin_life(store)
            daemon = cls(config, udp, own._replace(generation=generation), seeds, store)
            daemon._early = early
            daemon._image = _stored(store, config)
            await daemon._open_port()
        except StartError:
            udp.close()
            if store is not None:
                await store.close()
            raise
        return daemon

    async def _open_port(self) -> None:
        api = self._config.api
        assert api is not None
        try:
            await self._port.start(api.host or None, api.port)
        except OSError as error:
            raise StartError(f"cannot bind the side port {api}: {_reason(error)}") from error

    async def serve(self) -> int:
        """Run until the node has left; its exit code."""
        own = self._node.own
        api = " ".join(reports.address_text(address[:2]) for address in self._port.addresses)
        log.info(
            "%s serves at %s (cluster %s), api %s, receive buffer %d KiB",
            own.name,
            reports.address_text(own.address),
            self._config.cluster,
            api,
            self._udp.receive_buffer // 1024,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._on_signal, number)
        self._load()
        others = [view for view in self._node.members if view.name != own.name]
        known = [view for view in others if view.status < Status.LEFT]
        alone = not known and not [seed for seed in self._seed_addresses if seed != own.address]
        self._perform(self._node.start(alone, time.monotonic()))
        self._saver.start()
        self._udp.receive_with(self._receive)
        while self._early:
            self._receive(*self._early.popleft())
        for text in self._config.join:
            self._seeds.keep(Endpoint.parse_peer(text))
        notify.ready(f"{own.name} at {reports.address_text(own.address)}")
        code = await self._ended
        await self._stop()
        return code

    def _load(self) -> None:
        """Take in what the lives before have stored. It stays for good, so the collector need not
        look through a million registers, neither now nor later."""
        gc.disable()
        try:
            effects = self._node.load(self._image, time.monotonic())
        finally:
            gc.enable()
        self._image = Image((), ())
        gc.freeze()
        self._perform(effects)

    async def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._seeds.stop()
        self._copying.stop()
        self._waiting.stop()
        await self._port.stop()
        await self._archive.drain()
        await self._saver.drain()
        await self._store.close()
        self._udp.close()

    def _on_signal(self, number: int) -> None:
        if self._leave_task is not None:
            log.warning("second signal: going at once, without waiting for the leave")
            self._end(1)
            return
        log.info("%s: leaving", signal.Signals(number).name)
        self._begin_leave()

    def _end(self, code: int) -> None:
        if not self._ended.done():
            self._ended.set_result(code)

    # --- the core ----------------------------------------------------------------------------

    def _receive(self, data: bytes, source: Address) -> None:
        self._perform(self._node.receive_datagram(data, source, time.monotonic()))

    def _arm(self) -> None:
        at = self._node.next_timeout
        if at == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        # Not the loop's clock, which uvloop rounds to milliseconds: round trips are shorter.
        wait = 0.0 if at is None else max(MOMENT, at - time.monotonic())
        self._timer = None if at is None else self._loop.call_later(wait, self._on_timer)

    def _on_timer(self, turns: int = 0, received: int = -1) -> None:
        """A late timer first lets the socket be read: what explains it may be waiting there."""
        at, now = self._timer_at, time.monotonic()
        came = self._udp.received_count
        late = at is not None and now - at > self._config.settings.stall_after
        if late and came != received and turns < READ_FIRST_MAX:
            self._timer = self._loop.call_later(MOMENT, self._on_timer, turns + 1, came)
            return
        self._timer_at = None
        if at is not None and now >= at:
            self._perform(self._node.handle_timeout(now))
        else:
            self._arm()  # loops count in milliseconds and may fire a moment early

    def _perform(self, effects: Sequence[Effect]) -> None:  # noqa: C901  a table
        for effect in effects:
            match effect:
                case Send(data, to):
                    self._udp.send(data, to)
                case Incremented() | Learned():
                    pass
                case SaveWanted():
                    self._saver.want()
                case KeysWanted():
                    self._archive.want(effect)
                case Copies():
                    self._copying.done(effect)
                case Dropped(source, reason):
                    self._note_drop(source, reason)
                case Joined():
                    # Others than seeds take a node in too, again and again if somebody forges
                    # joins in its name.
                    level = logging.INFO if self._seeds.joined(effect) else logging.DEBUG
                    log.log(level, "joined through %s at %s", effect.name, _at(effect.address))
                case NameLost(detail):
                    self._lose_name(detail)
                case Left(undrained):
                    if undrained:
                        where = "lost" if self._config.in_memory else "on this disk only"
                        log.warning("left; %d streams may be %s", undrained, where)
                    else:
                        log.info("left")
                    self._end(self._exit_code)
                case MemberChanged():
                    self._saver.want()  # whom the next life asks, even if this one ends soon
                    _tell(effect)
                case Refuted() | Stalled() | JoinDoubtful() | BecameReady():
                    _tell(effect)
                case _:
                    assert_never(effect)
        self._waiting.look(effects)
        self._alarm.look()
        self._arm()

    def _note_drop(self, source: Address, reason: Drop) -> None:
        self._drops[reason] += 1
        now = time.monotonic()
        if reason in (Drop.FOREIGN, Drop.VERSION, Drop.MEMBERS_FULL, Drop.STREAMS_FULL):
            last = self._warned_at.get(reason)
            if last is None or now - last > WARN_AGAIN_AFTER:
                self._warned_at[reason] = now
                log.warning("dropped a datagram from %s: %s", _at(source), reason.value)
        else:
            log.debug("dropped a datagram from %s: %s", _at(source), reason.value)

    def _lose_disk(self, error: OSError) -> None:
        """Nothing can be committed any more: what the others can take over, they shall."""
        if not self._exit_code:
            log.critical("%s; leaving", error)
            self._exit_code = 1
            self._begin_leave()

    def _lose_name(self, detail: str) -> None:
        if not self._exit_code:
            log.error("%s; leaving", detail)
            self._exit_code = 1
            self._begin_leave()

    # --- leaving and state -------------------------------------------------------------------

    def _begin_leave(self) -> None:
        if self._leave_task is None:
            notify.stopping()
            self._leave_task = self._loop.create_task(self._leave())

    async def _leave(self) -> None:
        """What was taken before is committed first, so that the drain covers it."""
        await self._counting.drain()
        self._perform(self._node.leave(time.monotonic()))

    def _process(self) -> dict[str, object]:
        """What clients are shown of the process."""
        udp = self._udp
        return {
            "alarms": self._alarm.texts + self._troubles.texts,
            "udp": {
                "received": udp.received_count,
                "sent": udp.sent_count,
                "sent_bytes": udp.sent_bytes,
                "refused": dict(udp.refusals),
                "receive_buffer": udp.receive_buffer,
            },
            "dropped": {drop.name.lower(): count for drop, count in self._drops.items()},
        }


def _tell(effect: MemberChanged | Refuted | Stalled | JoinDoubtful | BecameReady) -> None:
    """Log what happened."""
    match effect:
        case MemberChanged(view, before):
            level = logging.WARNING if view.status is Status.FAILED else logging.INFO
            state = view.status.name.lower()
            was = "" if before is None else f" (was {before.name.lower()})"
            if before is view.status:
                was = " again"  # it has started anew
            log.log(level, "member %s at %s is %s%s", view.name, _at(view.address), state, was)
        case Refuted(claimed, incarnation):
            claim = claimed.name.lower()
            log.warning("refuted being %s with incarnation %d", claim, incarnation)
        case Stalled(seconds):
            log.warning("this node stood still for %.2f s; nobody is blamed for it", seconds)
        case JoinDoubtful(advertised, seen):
            log.warning(
                "this node advertises %s but its datagrams come from %s: is --advertise wrong, "
                "or is there a NAT between?",
                _at(advertised),
                _at(seen),
            )
        case BecameReady(alone):
            if alone:
                log.warning("ready, though no ready peer was found: counts may be incomplete")
            else:
                log.info("ready")
        case _:
            assert_never(effect)


def _at(address: Address) -> str:
    return reports.address_text(address)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _resolve_seeds(config: Config) -> list[Address]:
    """Every address of every seed. Raises `StartError` when no seed can be resolved."""
    addresses: list[Address] = []
    failures: list[str] = []
    for text in config.join:
        try:
            addresses += resolve_now(Endpoint.parse_peer(text))
        except OSError as error:
            failures.append(f"cannot resolve {text}: {_reason(error)}")
    if failures and not addresses:
        raise StartError("; ".join(failures))
    return addresses


def _stored(store: Store, config: Config) -> Image:
    """What the log has room for, all of it. Raises `StartError` where some would be left out."""
    image, limits = store.load(), config.settings
    streams = len(image.streams)
    registers = sum(len(stream.registers) for stream in image.streams)
    if streams > limits.streams_max or registers > limits.registers_max:
        raise StartError(
            f"{streams:,} streams with {registers:,} registers are stored, more than the limits "
            f"{limits.streams_max:,} and {limits.registers_max:,}: raise --streams-max or "
            "--registers-max"
        )
    keys = sum(len(stream.keys) + len(stream.doubles) for stream in image.streams)
    if keys > KEYS_MAX:
        raise StartError(
            f"{keys:,} idempotency keys are younger than --key-window, more than {KEYS_MAX:,}: is "
            "the clock behind?"
        )
    return image


def _open_store(config: Config, name: str) -> Store:
    if config.in_memory:
        return MemoryStore()
    try:
        directory = data_directory(config.data_dir, name)
        return DiskStore.open(
            directory,
            durability=config.durability,
            node=name,
            cluster=config.cluster,
            key_window=config.settings.key_window,
            key_retention=config.settings.key_retention,
        )
    except StoreError as error:
        raise StartError(str(error)) from error


async def _begin_life(store: Store) -> int:
    try:
        return await store.begin_life(time.time())
    except OSError as error:
        raise StartError(str(error)) from error


def _own_view(config: Config, udp: Udp, seeds: list[Address]) -> MemberView:
    address = _advertised(config, udp, seeds)
    name = config.name or f"{socket.gethostname()}:{address[1]}"
    tags = tuple(sorted(config.tags.items()))
    return MemberView(name, address, int(time.time() * 1000), 0, Status.ALIVE, tags)


def _advertised(config: Config, udp: Udp, seeds: list[Address]) -> Address:
    """What others are told to reach this node at."""
    bound = udp.address
    if config.advertise is not None:
        try:
            return resolve_now(config.advertise)[0]
        except OSError as error:
            detail = f"cannot resolve --advertise {config.advertise}: {_reason(error)}"
            raise StartError(detail) from error
    if bound[0] not in ("::", "0.0.0.0"):
        return bound
    for towards in (*seeds, *(() if seeds else OUTWARD)):
        host = routed_address(towards, udp.socket)
        if host is not None:
            break
    else:
        host = interface_address() or "127.0.0.1"
    if host in ("127.0.0.1", "::1") and any(not _is_loopback(seed) for seed in seeds):
        log.warning("advertising %s, which other hosts cannot reach: set --advertise", host)
    return host, bound[1]


def _is_loopback(address: Address) -> bool:
    return address[0].startswith("127.") or address[0] == "::1"
