"""Virtual time and the processes in it: what happens by itself, in one heap by time.

Nothing looks at all hosts for each event, so that thousands of nodes cost little more than what
the nodes themselves do. What is done to hosts from outside is the world's (`world`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from heapq import heappop, heappush
from random import Random
from typing import NamedTuple

from gossipd.core import (
    Abandon,
    Address,
    AllSaved,
    Answered,
    Changes,
    Commit,
    CommitSoon,
    Copies,
    DiskLost,
    Effect,
    Expire,
    Failure,
    FindKeys,
    Included,
    KeysWanted,
    Left,
    MemberView,
    NameLost,
    Node,
    Probe,
    Save,
    SaveWanted,
    Send,
    Settings,
    Status,
    TagFrame,
)
from gossipd.simulator.disk import (
    PART_MAX,
    READ_TAKES,
    Disk,
    DiskError,
    Moment,
)
from gossipd.simulator.host import Host
from gossipd.simulator.network import Network

EPOCH = 1_700_000_000.0
"""The wall clock at the beginning, seconds since 1970."""

DISK_TIMEOUT = 5.0
"""Seconds after which a disk that does not answer hangs."""

HEADERS = 28
"""Bytes of the IPv4 and UDP headers of each packet."""


class Captured(NamedTuple):
    """A datagram that was sent to a host, to be delivered again."""

    to: str
    data: bytes
    source: Address


class Received(NamedTuple):
    """A datagram that a node took in, and what it caused."""

    host: str
    data: bytes
    source: Address
    effects: list[Effect]


class Engine:
    """A clock, a network, and processes on hosts that exchange bytes."""

    def __init__(
        self,
        seed: int,
        settings: Settings | None = None,
        cluster: str = "sim",
        *,
        traced: bool = True,
    ) -> None:
        """`traced`: keep the hash `trace`, which takes some time for each datagram."""
        self.rng = Random(seed)
        self.settings = settings or Settings()
        self.network = Network()
        self.hosts: dict[str, Host] = {}
        self.effects: list[tuple[float, str, Effect]] = []
        """Everything but sends, with the time and the host."""
        self.sent: dict[str, int] = {}
        """Packets sent by each host."""
        self.sent_bytes: dict[str, int] = {}
        """Bytes sent by each host, headers included."""
        self.largest_sent = 0
        """Bytes of the largest datagram so far, without headers."""
        self.captured: list[Captured] | None = None
        """Set it to a list to have every datagram noted there."""
        self.listening: dict[Address, list[tuple[Address, bytes]]] = {}
        """By address that is no host's: what is sent there, and from where, if it is to be noted.
        """
        self.received: list[Received] | None = None
        """Set it to a list to have it noted what every datagram caused."""
        self.all_disks: dict[Disk, None] = {}
        """Every disk that a process ever had, destroyed ones included."""
        self.now = 0.0
        self._frame = TagFrame(cluster)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._running: dict[str, Node] = {}
        self._by_address: dict[Address, Host] = {}
        self._trace = blake2b(digest_size=16) if traced else None

    @property
    def running(self) -> dict[str, Node]:
        """Nodes that run, by name of their host, in the order in which they were started."""
        return dict(self._running)

    @property
    def trace(self) -> str:
        """A hash over every effect so far, sends included: equal runs have equal ones."""
        assert self._trace is not None, "this world is not traced"
        return self._trace.hexdigest()

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        self._release()
        events = self._events
        while events and events[0][0] <= until:
            at, _, act = heappop(events)
            if at > self.now:
                self.now = at
            act()
        self.now = until

    def _push(self, at: float, act: Callable[[], None]) -> None:
        self._order += 1
        heappush(self._events, (at, self._order, act))

    def _wall(self, host: Host) -> float:
        """A host's wall clock, seconds since the epoch."""
        return EPOCH + self.now + host.clock

    def _moment(self, host: Host) -> Moment:
        return Moment(self.now, self._wall(host))

    # --- processes ---------------------------------------------------------------------------

    def _process(self, host: Host, name: str) -> Node:
        """A new process on a host, whatever ran there before, that has done nothing yet."""
        host.lives += 1
        generation = int(self._wall(host) * 1000) + host.lives
        if host.disk is not None:
            generation = max(generation, host.disk.generation + 1)
            host.disk.begin(generation)
            self.all_disks[host.disk] = None
        own = MemberView(name, host.address, generation, 0, Status.ALIVE)
        rng = Random(self.rng.getrandbits(64))
        durable = host.disk is not None
        node = Node(
            own,
            self.settings,
            self._frame,
            rng,
            self.now,
            durable=durable,
            disk_timeout=DISK_TIMEOUT,
        )
        host.begin(node)
        host.join_pause = self.settings.join_retry_min
        self._by_address[host.address] = host
        self._running[host.name] = node
        return node

    def _arrive(self, host: Host, data: bytes, source: Address) -> None:
        if host.node is None:
            return
        if host.stalled or host.work:
            host.inbox.append((data, source))
            self._work(host)
        else:
            self._receive(host, host.node, data, source)

    def _receive(self, host: Host, node: Node, data: bytes, source: Address) -> None:
        effects = node.receive_datagram(data, source, self.now)
        if self.received is not None:
            self.received.append(Received(host.name, data, source, effects))
        self._perform(host, effects)

    def _arm(self, host: Host) -> None:
        """Wake the process for its next timer; a timer that has moved back is met by waking too
        early, which costs less than to note every move."""
        at = host.node.next_timeout if host.node is not None else None
        if at is not None and (host.wake_at is None or at < host.wake_at):
            host.wake_at = at
            self._push(at, partial(self._wake, host, at, host.lives))

    def _wake(self, host: Host, at: float, life: int) -> None:
        if host.wake_at != at or host.lives != life:
            return
        host.wake_at = None
        if host.node is None or host.stalled:
            return
        if host.work:
            host.note_timer()
            self._work(host)
        elif _is_due(host.node, self.now):
            self._fire(host, host.node)
        else:
            self._arm(host)

    def _fire(self, host: Host, node: Node) -> None:
        node.see_clocks(self.now, self._wall(host))
        self._perform(host, node.handle_timeout(self.now))
        after = node.next_timeout
        assert after is None or after > self.now, "a timer does not advance"

    def _work(self, host: Host) -> None:
        """Let a slow CPU take up what waits for it."""
        if host.node is None or host.stalled or host.busy or not host.work:
            return
        if host.inbox or _is_due(host.node, self.now):
            host.busy = True
            self._push(self.now + host.work, partial(self._worked, host, host.lives))

    def _worked(self, host: Host, life: int) -> None:
        """A slow CPU is done with one datagram or timer: its effects come now."""
        if host.lives != life:
            return
        host.busy = False
        node = host.node
        if node is None or host.stalled:
            return
        if _is_due(node, self.now) and host.turns_to_timer():
            self._fire(host, node)
        elif host.inbox:
            self._receive(host, node, *host.inbox.popleft())
        self._work(host)
        self._arm(host)

    def _join(self, host: Host, life: int) -> None:
        """Try the seeds that are not members, as often as the shell does: soon at first, and all
        nodes together about once per `contact_interval`."""
        node = host.node
        if node is None or host.lives != life or not host.seeds or node.leaving:
            return
        settings = self.settings
        if host.stalled:
            wait = settings.join_retry_min
        elif missing := self._missing_seeds(host, node):
            self._perform(host, node.join(missing, self.now))
            share = settings.contact_interval * node.live_count
            if node.live_count > 1:
                wait = 2 * share * self.rng.random()
            else:
                wait = min(host.join_pause, share) * (0.75 + 0.5 * self.rng.random())
            host.join_pause = min(2 * host.join_pause, settings.join_retry_max)
        else:
            host.join_pause = settings.join_retry_min
            wait = min(settings.contact_interval * node.live_count, settings.join_retry_max)
            wait *= 0.75 + 0.5 * self.rng.random()
        self._push(self.now + wait, partial(self._join, host, life))

    def _missing_seeds(self, host: Host, node: Node) -> list[Address]:
        if node.members_fingerprint == host.seeds_seen:
            return []
        live = {view.address for view in node.members if view.status <= Status.SUSPECT}
        missing = [seed for seed in host.seeds if seed not in live]
        host.seeds_seen = None if missing else node.members_fingerprint
        return missing

    def _end(self, host: Host) -> None:
        """A process ends. What its disk was given to commit is there in the end, or not."""
        commit, host.committing = host.committing, None
        if commit is not None and host.disk is not None and self.rng.random() < 0.5:
            host.disk.doubt(commit.batch, self._moment(host))
            self._note_commit(host, commit, failed=True)
        host.node = None
        self._running.pop(host.name, None)

    # --- effects -----------------------------------------------------------------------------

    def _perform(self, host: Host, effects: Sequence[Effect]) -> None:  # noqa: C901  a table
        for effect in effects:
            self._note(host, effect)
            match effect:
                case Send(data, to):
                    self._transmit(host, data, to)
                case NameLost():
                    self.effects.append((self.now, host.name, effect))
                    self._leave(host, repr(effect))
                case Left():
                    self.effects.append((self.now, host.name, effect))
                    self._exit(host, repr(effect))
                case Copies():
                    self.effects.append((self.now, host.name, effect))
                    self._note_copies(effect)
                case Included():
                    self._note_included(effect)
                case Answered():
                    self._note_answers(host, effect)
                case CommitSoon():
                    self._push(self.now, partial(self._commit, host, host.lives))
                case FindKeys(question, keys):
                    self._find_keys(host, question, keys)
                case Commit():
                    self._begin_commit(host, effect)
                case Abandon(batch, _):
                    if host.disk is not None:
                        host.disk.abandon(batch)
                case DiskLost(detail):
                    self.effects.append((self.now, host.name, effect))
                    self._leave(host, detail)
                case SaveWanted():
                    self._push(self.now, partial(self._tell, host, host.lives, self._save))
                case Save(changes):
                    host.write_behind = changes
                    store = partial(self._store, host, host.lives, changes)
                    assert host.disk is not None
                    self._push(self.now + host.disk.store_takes, store)
                case Expire() | Probe():
                    self._look_after(host, effect)
                case AllSaved():
                    pass
                case KeysWanted():
                    self.effects.append((self.now, host.name, effect))
                    read = partial(self._read_keys, host, host.lives, effect)
                    self._push(self.now + READ_TAKES, read)
                case _:
                    self.effects.append((self.now, host.name, effect))
        self._arm(host)

    # --- the disk ----------------------------------------------------------------------------

    def _commit(self, host: Host, life: int) -> None:
        """All that was ready has been taken in."""
        node = host.node
        if host.lives == life and node is not None:
            host.stored = {}
            self._perform(host, node.commit(self.now, self._wall(host)))

    def _find_keys(self, host: Host, question: int, keys: list[bytes]) -> None:
        """A disk tells at once what it knows."""
        assert host.node is not None
        assert host.disk is not None
        try:
            host.stored = host.disk.look_up(keys)
        except DiskError as error:
            effects = host.node.keys_not_found(question, error.failure, str(error), self.now)
        else:
            effects = host.node.keys_found(question, host.stored, self.now, self._wall(host))
        self._perform(host, effects)

    def _begin_commit(self, host: Host, commit: Commit) -> None:
        self._note_judged(host, commit)
        takes = host.disk.commit_takes if host.disk is not None else 0.0
        if not takes:
            self._end_commit(host, host.lives, commit)
            return
        host.committing = commit
        self._push(self.now + takes, partial(self._end_commit, host, host.lives, commit))
        if takes > DISK_TIMEOUT:
            self._push(self.now + DISK_TIMEOUT, partial(self._hang, host, host.lives))

    def _hang(self, host: Host, life: int) -> None:
        if host.lives == life and host.node is not None and host.committing is not None:
            host.hangs = True
            self._tell(host, host.lives, lambda node: node.disk_hangs(self.now))

    def _end_commit(self, host: Host, life: int, commit: Commit) -> None:
        """A disk does what it was given, and its process, if it is there, hears of it."""
        node, disk, batch = host.node, host.disk, commit.batch
        if host.lives != life or node is None:
            return
        host.committing = None
        if host.hangs:
            host.hangs = False
            self._tell(host, life, lambda node: node.disk_answers(self.now))
        try:
            if disk is not None:
                disk.commit(batch, self._moment(host))
        except DiskError as error:
            failure, why = error.failure, str(error)
            self._note_commit(host, commit, failed=True)
            self._tell(host, life, lambda node: node.commit_failed(failure, why, self.now))
            return
        self._note_commit(host, commit, failed=False)
        if host.crashes_in_commit:
            self._end(host)
            return
        self._tell(host, life, lambda node: node.committed(batch, self.now))

    def _save(self, node: Node) -> list[Effect]:
        return node.save(self.now, PART_MAX)

    def _store(self, host: Host, life: int, changes: Changes) -> None:
        """A disk stores a part, and its process hears of it; not if it has stored it before."""
        if host.lives != life or host.write_behind is not changes:
            return
        host.write_behind = None
        assert host.disk is not None
        try:
            twins = host.disk.store(changes, self._moment(host))
        except DiskError as error:
            failure, why = error.failure, str(error)
            self._tell(host, life, lambda node: node.save_failed(changes, failure, why, self.now))
            return
        self._tell(host, life, lambda node: node.saved(changes, self.now, twins))

    def _look_after(self, host: Host, effect: Expire | Probe) -> None:
        """A disk removes what has expired, or tries to write, at once."""
        node, disk = host.node, host.disk
        assert node is not None
        assert disk is not None
        try:
            if isinstance(effect, Expire):
                disk.expire(self._moment(host), self.settings)
            else:
                disk.probe()
        except DiskError as error:
            effects = node.disk_failed(error.failure, str(error), self.now)
        else:
            done = node.expired if isinstance(effect, Expire) else node.probed
            effects = done(self.now)
        self._perform(host, effects)

    def _read_keys(self, host: Host, life: int, wanted: KeysWanted) -> None:
        """Key records that a peer waits for have been read, or cannot be."""
        disk = host.disk
        if disk is None or host.lives != life:
            return
        if disk.refuses is Failure.BROKEN:
            if host.node is not None:
                host.node.keys_not_read()
            return
        stream, above, upto, limit = wanted.stream, wanted.above, wanted.upto, wanted.limit
        records = disk.read_keys(stream, above, upto, limit, self._moment(host))
        self._tell(host, life, lambda node: node.keys_read(wanted, records, self.now))

    def _tell(self, host: Host, life: int, tell: Callable[[Node], list[Effect]]) -> None:
        """Let a process hear something, once it does not stand still."""
        if host.node is None or host.lives != life:
            return
        if host.stalled:
            host.unheard.append(partial(self._tell, host, life, tell))
        else:
            self._perform(host, tell(host.node))

    def _note_judged(self, host: Host, commit: Commit) -> None:
        """A batch was prepared: it is known what becomes of each increment if it is committed."""
        raise NotImplementedError

    def _note_commit(self, host: Host, commit: Commit, *, failed: bool) -> None:
        """A batch was committed, or not as far as its process is to know."""
        raise NotImplementedError

    def _note_answers(self, host: Host, answered: Answered) -> None:
        """Clients are answered."""
        raise NotImplementedError

    def _note_included(self, included: Included) -> None:
        """Somebody who waited for an increment is answered."""
        raise NotImplementedError

    def _note_copies(self, copies: Copies) -> None:
        """Somebody who waited for copies is answered."""
        raise NotImplementedError

    def _note(self, host: Host, effect: Effect) -> None:
        if self._trace is not None:
            # The bytes of a datagram as they are: their `repr` takes longer than all the rest.
            what = effect.to if isinstance(effect, Send) else effect
            self._trace.update(f"{self.now!r} {host.name} {what!r}".encode())
            if isinstance(effect, Send):
                self._trace.update(effect.data)

    def _leave(self, host: Host, why: str) -> None:
        """A process leaves because of it, unless it does already."""
        node = host.node
        if node is not None and not node.leaving:
            host.ended = why
            self._perform(host, node.leave(self.now))

    def _exit(self, host: Host, why: str) -> None:
        """A process ends by itself, in order: what it holds is on its disk."""
        host.ended = host.ended or why
        node = host.node
        assert node is not None
        if host.disk is not None:
            self._store_rest(host, host.disk, node)
        self._end(host)

    def _store_rest(self, host: Host, disk: Disk, node: Node) -> None:
        waits: list[Effect] = []
        if host.write_behind is not None:
            waits.append(Save(host.write_behind))
        waits += node.save_rest(self.now)
        while waits:
            effect = waits.pop(0)
            try:
                if isinstance(effect, Save):
                    twins = disk.store(effect.changes, self._moment(host))
                    waits += node.saved(effect.changes, self.now, twins)
                elif isinstance(effect, SaveWanted):
                    waits += node.save(self.now, PART_MAX)
            except DiskError:
                return

    def _transmit(self, host: Host, data: bytes, to: Address) -> None:
        size = len(data)
        assert size <= self.settings.datagram_size, "I10: a datagram too large"
        self.sent[host.name] += 1
        self.sent_bytes[host.name] += size + HEADERS
        if size > self.largest_sent:
            self.largest_sent = size
        target = self._by_address.get(to)
        if target is None:
            if to in self.listening:
                self.listening[to].append((host.address, data))
            return
        source = host.address
        if self.captured is not None:
            self.captured.append(Captured(target.name, data, source))
        self.network.now = self.now
        for delay, copy in self.network.arrivals(data, source, to, self.rng):
            self._push(self.now + delay, partial(self._arrive, target, copy, source))

    def _release(self) -> None:
        """Send on what unclogged paths have let go."""
        released, self.network.released = self.network.released, []
        for delay, data, source, to in released:
            if target := self._by_address.get(to):  # a host may have moved meanwhile
                self._push(self.now + delay, partial(self._arrive, target, data, source))


def _is_due(node: Node, now: float) -> bool:
    at = node.next_timeout
    return at is not None and at <= now
