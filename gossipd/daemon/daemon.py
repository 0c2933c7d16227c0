"""The process: sockets, clock and signals around one core. The only place where siblings meet.

Three phases: open (everything that can fail fails here, in one line and exit 1), serve, stop. One
input at a time goes through the core; its effects are performed at once and one timer is armed for
its next deadline.
"""

from __future__ import annotations

import asyncio
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
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, assert_never

from gossipd.config.config import Config
from gossipd.config.endpoint import Endpoint
from gossipd.core import (
    Address,
    Answered,
    AnsweredPart,
    BecameReady,
    ClustersMet,
    Copies,
    DiskLost,
    Drop,
    Dropped,
    Effect,
    FoundItself,
    GaveUpDisk,
    Included,
    Incremented,
    JoinDoubtful,
    Joined,
    Learned,
    Left,
    MemberChanged,
    MemberView,
    NameLost,
    Node,
    NotAlone,
    Refuted,
    Send,
    Snapshot,
    SpeaksElsewhere,
    Stalled,
    Status,
    TagFrame,
    TooManyReads,
)
from gossipd.daemon import logs, notify, reports
from gossipd.daemon.advertising import Advertising, first_address
from gossipd.daemon.alone import Alone
from gossipd.daemon.counting import Counting
from gossipd.daemon.datadir import data_directory, left_behind
from gossipd.daemon.filling import Alarm
from gossipd.daemon.garbage import Garbage
from gossipd.daemon.hearing import Hearing
from gossipd.daemon.inbox import Inbox
from gossipd.daemon.keeping import Keeping
from gossipd.daemon.repeats import Repeats
from gossipd.daemon.resolving import Resolver, literal
from gossipd.daemon.routes import Routes
from gossipd.daemon.seeds import Seeds
from gossipd.daemon.service import Service
from gossipd.daemon.troubles import Troubles
from gossipd.daemon.udp import Udp, open_socket, speaks
from gossipd.daemon.waits import Waits
from gossipd.process import signals
from gossipd.sideport.limits import Limits
from gossipd.sideport.port import SidePort
from gossipd.store import (
    DiskStore,
    Keeper,
    MemoryStore,
    RemoteStore,
    Store,
    StoreError,
    fork,
)

log = logging.getLogger("gossipd")

T = TypeVar("T")

FILES_WANTED = 8192
MOMENT = 0.001
"""The shortest wait that a loop's timer can tell apart from none, seconds."""

READ_FIRST_MAX = 50
"""Turns of the loop for which a late timer waits while datagrams keep coming in."""

LOOK_INTERVAL = 0.1
"""Seconds between two looks at how full the log is, at lines that were lost, and at garbage. There
is an input at least with each round of probes, so each is seen soon after it happens."""

EARLY_MAX = 1024
"""Datagrams kept while the node still opens its store; older ones go first."""

BIND_WITHIN = 10.0
"""Seconds in which a name to bind to has to resolve: a node cannot serve without its sockets."""

NO_ANSWER = f"no resolver has answered within {BIND_WITHIN:g} s"

WARN_AGAIN_AFTER = 60.0

STOP_SECONDS = 1.0
"""A node is gone so long after `leave_timeout`, whatever its disk and its clients do."""

LAST_SECONDS = 0.5
"""What remains of that after a second signal, and where the disk hangs already."""

SIGNALS_MAX = 2
"""Signals after which the next one ends the process at once."""

MERGE = "clusters met"
MERGE_SHOWN = 3600.0
"""Seconds for which it is an alarm that two clusters have become one."""

LISTED_MAX = 3
"""Members that are named in such an alarm."""


class StartError(Exception):
    """The node cannot start; the text is the one line that says why."""


def run(config: Config) -> int:
    """Run a node until it has left; its exit code."""
    _raise_file_limit()
    keeper = None if config.in_memory else fork()
    with logs.logging_aside(config.log_level):
        try:
            import uvloop

            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(_run(config, keeper))
        except StartError as error:
            sys.stderr.write(f"gossipd: {error}\n")
        except Exception:
            log.critical("this is a bug in gossipd", exc_info=True)
        return 1


async def _run(config: Config, keeper: Keeper | None) -> int:
    daemon = await Daemon.open(config, keeper)
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

    def __init__(self, config: Config, udp: Udp, own: MemberView, store: Store) -> None:
        self._config = config
        self._store = store
        self._loop = asyncio.get_running_loop()
        rng, frame = random.SystemRandom(), TagFrame(config.cluster)
        self._udp = udp
        durable, timeout, now = not config.in_memory, config.disk_timeout, time.monotonic()
        self._node = Node(
            own, config.settings, frame, rng, now, durable=durable, disk_timeout=timeout
        )
        self._troubles = Troubles()
        self._alarm = Alarm(self._node, config.settings.key_limit)
        self._garbage = Garbage(self._node, lambda: self._port.connection_count)
        self._keeping = Keeping(self._node, store, self._perform, self._troubles, timeout)
        self._counting = Counting(self._node, self._keeping.do)
        self._waits = Waits(self._node, self._perform)
        self._alone = Alone(self._node, self._perform)
        self._seeds = Seeds(
            self._node,
            config.settings,
            self._troubles,
            self._perform,
            self._seeds_changed,
            lambda address: speaks(udp.socket, address),
        )
        self._advertising = Advertising(
            self._node, config, udp, self._seeds, self._troubles, self._alone, self._perform
        )
        self._hearing = Hearing(
            self._node, config.settings, self._troubles, lambda: self._advertising.cause
        )
        self.service = Service(
            self._node,
            store,
            self._counting,
            self._waits,
            self._keeping.watch,
            self._seeds,
            self._troubles,
            self._alone,
            self._perform,
            self._begin_leave,
            self._process,
            config.cluster,
        )
        self._port = SidePort(self.service, Limits(names=_names(own.name)))
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._exit_code = 0
        self._drops, self._repeats = Counter[Drop](), Repeats()
        self._data_dir = _data_dir(config, own.name)
        self._warned_at: dict[Drop, float] = {}
        self._leaves = False
        self._stop_at = float("inf")
        """When it has to be gone, once it leaves."""
        self._hurries = False
        """A second signal has come."""
        self._asked = 0  # signals that have come, though the loop may be too busy to heed them
        self._look_at = float("-inf")
        self._inbox = Inbox(self._receive, self._node, self._note_busy)
        self._early: deque[tuple[bytes, Address]] = deque()
        """What came in before the node served."""
        self._image = Snapshot((), ())
        """What the lives before have stored, until it is loaded."""

    # --- phases ------------------------------------------------------------------------------

    @classmethod
    async def open(cls, config: Config, keeper: Keeper | None = None) -> Daemon:
        """Bind. `keeper`: who has the disk, this process unless given. Raises `StartError`."""
        loop = asyncio.get_running_loop()
        sock = await _open_socket(config.bind)
        early: deque[tuple[bytes, Address]] = deque(maxlen=EARLY_MAX)
        udp = Udp(sock, lambda data, source: early.append((data, source)))
        await udp.start()
        store: Store | None = None
        try:
            own = await _own_view(config, udp)
            left = await loop.run_in_executor(None, _left_behind, config, own)
            store = await _open_store(config, own.name, keeper)
            generation = await _begin_life(store, config)
            daemon = cls(config, udp, own._replace(generation=generation), store)
            daemon._early = early
            daemon._image = store.load()
            await daemon._open_port()
            if left is not None:
                daemon._troubles.begin("left behind", left)
        except StartError:
            udp.close()
            if store is not None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(store.close(), config.disk_timeout)
            raise
        return daemon

    async def _open_port(self) -> None:
        api = self._config.api
        assert api is not None
        try:
            async with asyncio.timeout(BIND_WITHIN):
                await self._port.start(api.host or None, api.port)
        except TimeoutError as error:
            raise StartError(f"cannot bind the API port {api}: {NO_ANSWER}") from error
        except OSError as error:
            raise StartError(f"cannot bind the API port {api}: {_reason(error)}") from error

    async def serve(self) -> int:
        """Run until the node has left; its exit code."""
        with signals.serving(self._asked_to_end):
            return await self._serve()

    async def _serve(self) -> int:
        own = self._node.own
        api = " ".join(reports.address_text(address[:2]) for address in self._port.addresses)
        log.info(
            "%s serves at %s (cluster %s), data %s, api %s, receive buffer %d KiB",
            own.name,
            reports.address_text(own.address),
            self._config.cluster,
            self._data_dir or "in memory",
            api,
            self._udp.receive_buffer // 1024,
        )
        self._load()
        self._perform(self._node.start(self._is_alone(), time.monotonic()))
        self._udp.receive_with(self._inbox.receive)
        while self._early:
            self._inbox.receive(*self._early.popleft())
        for text in self._config.join:
            self._seeds.keep(Endpoint.parse_peer(text))
        self._advertising.start()
        self._hearing.start()
        notify.ready(f"{own.name} at {reports.address_text(own.address)}")
        code = await self._ended
        await self._stop()
        return code

    def _is_alone(self) -> bool:
        """Whether there is nobody to join, as far as can be told without resolving names."""
        own = self._node.own.address
        seeds = [literal(Endpoint.parse_peer(text)) for text in self._config.join]
        return not self._node.knows_others and all(found == [own] for found in seeds)

    def _seeds_changed(self) -> None:
        """Other addresses are known of the seeds, or more of them: what follows from that."""
        if unresolved := self._seeds.unresolved:
            self._alone.forbid("seeds", unresolved)
        else:
            self._alone.permit("seeds")
        self._advertising.look()
        if self._seeds.only_itself:
            self._perform(self._node.nobody_to_join(time.monotonic()))

    def _load(self) -> None:
        """Take in what the lives before have stored."""
        with self._garbage.loading():
            effects = self._node.load(self._image, time.monotonic())
        self._image = Snapshot((), ())
        self._perform(effects)

    async def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._hearing.stop()
        await self._advertising.stop()
        await self._seeds.stop()
        self._waits.stop()
        if self._keeping.watch.hangs:
            self._hurry()
        await asyncio.gather(self._port.stop(self._left()), self._keeping.drain(self._left()))
        try:
            await asyncio.wait_for(self._store.close(), self._left())
        except TimeoutError:
            log.warning("the disk has not answered: leaving it as it is")
        self._udp.close()

    def _hurry(self) -> None:
        self._stop_at = min(self._stop_at, time.monotonic() + LAST_SECONDS)

    def _left(self) -> float:
        """Seconds for which an ending node may still wait."""
        return max(0.0, self._stop_at - time.monotonic())

    def _asked_to_end(self, number: signal.Signals) -> None:
        """In the middle of anything, so that the third one ends also a node that does nothing
        more."""
        self._asked += 1
        if self._asked > SIGNALS_MAX:
            signals.end_now(number)
        self._loop.call_soon_threadsafe(self._on_signal, number)

    def _on_signal(self, number: signal.Signals) -> None:
        if not self._leaves:
            log.info("%s: leaving", number.name)
            self._exit_code |= number == signal.SIGXCPU
            self._begin_leave()
        elif not self._hurries:
            self._hurries = True
            log.warning("second signal: exiting without waiting for the leave")
            self._hurry()
            self._end(1)
        else:
            signals.end_now(number)

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
        self._inbox.hurry()
        at, now = self._timer_at, time.monotonic()
        came = self._udp.received_count
        late = at is not None and now - at > self._config.settings.stall_after
        if late and came != received and turns < READ_FIRST_MAX:
            self._timer = self._loop.call_later(MOMENT, self._on_timer, turns + 1, came)
            return
        self._timer_at = None
        if at is not None and now >= at:
            self._node.see_clocks(now, time.time())
            self._perform(self._node.handle_timeout(now))
        else:
            self._arm()  # loops count in milliseconds and may fire a moment early

    def _perform(self, effects: Sequence[Effect]) -> None:  # noqa: C901  a table
        for effect in effects:
            match effect:
                case Send(data, to):
                    self._udp.send(data, to)
                case Answered() | AnsweredPart():
                    self._counting.do(effect)
                case Incremented() | Learned():
                    pass
                case Copies() | Included() | TooManyReads():
                    self._waits.do(effect)
                case Dropped(source, reason):
                    self._note_drop(source, reason)
                case Joined():
                    # Others than seeds take a node in too, again and again if somebody forges
                    # joins in its name.
                    level = logging.INFO if self._seeds.joined(effect) else logging.DEBUG
                    log.log(level, "joined through %s at %s", effect.name, _at(effect.address))
                case FoundItself(address):
                    self._seeds.found_itself(address)
                case NameLost(detail):
                    self._lose_name(detail)
                case DiskLost(detail):
                    self._lose_disk(detail)
                case GaveUpDisk():
                    log.warning(_GAVE_UP)
                case ClustersMet():
                    self._warn_of_merge(effect)
                case Left(undrained):
                    self._left_cluster(undrained)
                case MemberChanged():
                    self._advertising.members_changed()
                    self._tell_again(effect.view.name, effect)
                case JoinDoubtful():
                    if self._advertising.doubted(effect):
                        _tell(effect)
                case Refuted():
                    self._tell_again("", effect)
                case NotAlone(name):
                    self._alone.found(name)
                case Stalled() | SpeaksElsewhere() | BecameReady():
                    _tell(effect)
                case _:
                    self._keeping.do(effect)
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_INTERVAL
            self._look()
        self._arm()

    def _look(self) -> None:
        """At what tells nobody when it changes."""
        self._alarm.look()
        logs.look(self._troubles)
        self._garbage.look()

    def _tell_again(self, about: str, effect: MemberChanged | Refuted) -> None:
        """Log what may happen again and again, where somebody lies, say."""
        hidden = self._repeats.tell(about, time.monotonic())
        if hidden:
            what = f"changes of member {about}" if about else "refutations"
            log.warning("%d more %s, not logged", hidden, what)
        if hidden is not None:
            _tell(effect)

    def _note_busy(self, source: Address) -> None:
        self._note_drop(source, Drop.BUSY)

    def _note_drop(self, source: Address, reason: Drop) -> None:
        self._drops[reason] += 1
        now = time.monotonic()
        if reason in _WARN_OF:
            last = self._warned_at.get(reason)
            if last is None or now - last > WARN_AGAIN_AFTER:
                self._warned_at[reason] = now
                log.warning("dropped a datagram from %s: %s", _at(source), reason.value)
        else:
            log.debug("dropped a datagram from %s: %s", _at(source), reason.value)

    def _warn_of_merge(self, met: ClustersMet) -> None:
        """Told for a while, as it cannot be undone and nobody may be looking now."""
        ours = _listed((self._node.own.name, *met.ours))
        text = (
            f"two clusters called {self._config.cluster!r} have met, {ours} and "
            f"{_listed(met.theirs)}: their counts become one for good; if that was not meant, "
            "give each a --cluster of its own"
        )
        self._troubles.begin(MERGE, text)
        self._loop.call_later(MERGE_SHOWN, self._troubles.end, MERGE)

    def _left_cluster(self, undrained: int) -> None:
        if undrained:
            where = "lost" if self._config.in_memory else "on this disk only"
            log.warning("left; %d streams may be %s", undrained, where)
        else:
            log.info("left")
        self._end(self._exit_code)

    def _lose_disk(self, error: str) -> None:
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
        if self._leaves:
            return
        self._leaves = True
        notify.stopping()
        self._stop_at = time.monotonic() + self._config.settings.leave_timeout + STOP_SECONDS
        self._loop.call_soon(self._leave, time.monotonic())

    def _leave(self, began: float) -> None:
        self._perform(self._node.leave(time.monotonic(), began))

    def _process(self) -> dict[str, object]:
        """What clients are shown of the process."""
        udp = self._udp
        return {
            "data_dir": None if self._data_dir is None else str(self._data_dir),
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


_GAVE_UP = "leaving, though the disk has not answered: the last increments may be counted"

_WARN_OF = (
    *(Drop.FOREIGN, Drop.VERSION, Drop.MEMBERS_FULL, Drop.STREAMS_FULL, Drop.KEYS_FULL),
    *(Drop.ABSURD, Drop.FALSE_CLAIM, Drop.NOT_OURS),
)
"""Drops that an operator is to know of."""


def _tell(
    effect: MemberChanged | Refuted | Stalled | JoinDoubtful | SpeaksElsewhere | BecameReady,
) -> None:
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
            log.warning("this node stalled for %.2f s; nobody is suspected for that", seconds)
        case JoinDoubtful(advertised, seen):
            log.warning(
                "this node advertises %s but its datagrams come from %s: is --advertise wrong, "
                "or is there a NAT between?",
                _at(advertised),
                _at(seen),
            )
        case SpeaksElsewhere(name, advertised, seen):
            log.warning(
                "member %s advertises %s, which does not answer, but its datagrams come from %s: "
                "is its --advertise wrong, or is there a NAT between?",
                name,
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


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED_MAX} more" if len(names) > LISTED_MAX else ""
    return ", ".join(names[:LISTED_MAX]) + more


def _at(address: Address) -> str:
    return reports.address_text(address)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


async def _open_socket(bind: Endpoint) -> socket.socket:
    """The gossip socket. Raises `StartError`."""
    host = bind.host
    try:
        if host:
            async with asyncio.timeout(BIND_WITHIN):
                host = (await Resolver().resolve(bind))[0][0]
        return open_socket(host, bind.port)
    except TimeoutError as error:
        raise StartError(f"cannot bind {bind}: {NO_ANSWER}") from error
    except OSError as error:
        raise StartError(f"cannot bind {bind}: {_reason(error)}") from error


async def _open_store(config: Config, name: str, keeper: Keeper | None) -> Store:
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


def _names(own: str) -> frozenset[str]:
    """What a browser may call the node."""
    return frozenset({socket.gethostname().lower(), own.partition(":")[0].lower()})


def _data_dir(config: Config, name: str) -> Path | None:
    return None if config.in_memory else data_directory(config.data_dir, name).absolute()


def _left_behind(config: Config, own: MemberView) -> str | None:
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
        f"there is no state of {own.name!r} yet, but of {_listed(names)} in {directory.parent}: "
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
