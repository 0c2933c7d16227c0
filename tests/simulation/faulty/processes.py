"""Processes that join, stand still, are slow, and are noted in all that they send and take in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from random import Random
from typing import NamedTuple

from gossipd.core import Address, Effect, Node, Send, Settings, Status
from gossipd.simulator.engine import Engine as PlainEngine
from gossipd.simulator.engine import is_due

from .disk import Disk
from .host import Host
from .network import Network
from .rows import Moment

DISK_TIMEOUT = 5.0
"""Seconds after which a disk that does not answer hangs."""


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


class Processes(PlainEngine[Host]):
    """A clock, a faulty network, and processes that suffer on hosts that exchange bytes."""

    network: Network

    def __init__(
        self,
        seed: int,
        settings: Settings | None = None,
        cluster: str = "sim",
        *,
        traced: bool = False,
    ) -> None:
        """`traced`: keep the hash `trace`, which takes some time for each datagram."""
        super().__init__(seed, settings, cluster)
        self.network = Network()
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
        self._trace = blake2b(digest_size=16) if traced else None

    @property
    def trace(self) -> str:
        """A hash over every effect so far, sends included: equal runs have equal ones."""
        assert self._trace is not None, "this world is not traced"
        return self._trace.hexdigest()

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self._release()
        super().run(seconds)

    def _wall(self, host: Host) -> float:
        return super()._wall(host) + host.clock

    def _moment(self, host: Host) -> Moment:
        return Moment(self.now, self._wall(host))

    def _process(self, host: Host, name: str) -> Node:
        """A new process on a host, whatever ran there before, that has done nothing yet."""
        own = self._own_view(host, name, host.disk.generation + 1 if host.disk else 0)
        if host.disk is not None:
            host.disk.begin(own.generation)
            self.all_disks[host.disk] = None
        rng = Random(self.rng.getrandbits(64))
        node = Node(
            own,
            self.settings,
            self.frames(),
            rng,
            self.now,
            durable=host.disk is not None,
            disk_timeout=DISK_TIMEOUT,
        )
        host.begin()
        host.join_pause = self.settings.join_retry_min
        return self._begin(host, node)

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

    def _awake(self, host: Host, node: Node) -> None:
        if host.stalled:
            return
        if host.work:
            host.note_timer()
            self._work(host)
        else:
            super()._awake(host, node)

    def _work(self, host: Host) -> None:
        """Let a slow CPU take up what waits for it."""
        if host.node is None or host.stalled or host.busy or not host.work:
            return
        if host.inbox or is_due(host.node, self.now):
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
        if is_due(node, self.now) and host.turns_to_timer():
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

    def _tell(self, host: Host, life: int, tell: Callable[[Node], list[Effect]]) -> None:
        """Let a process hear something, once it does not stand still."""
        if host.node is None or host.lives != life:
            return
        if host.stalled:
            host.unheard.append(partial(self._tell, host, life, tell))
        else:
            self._perform(host, tell(host.node))

    def _note(self, host: Host, effect: Effect) -> None:
        if self._trace is not None:
            # The bytes of a datagram as they are: their `repr` takes longer than all the rest.
            what = effect.to if isinstance(effect, Send) else effect
            self._trace.update(f"{self.now!r} {host.name} {what!r}".encode())
            if isinstance(effect, Send):
                self._trace.update(effect.data)

    def _transmit(self, host: Host, data: bytes, to: Address) -> None:
        size = len(data)
        assert size <= self.settings.datagram_size, "I10: a datagram too large"
        self.largest_sent = max(self.largest_sent, size)
        self.network.now = self.now
        target = self._by_address.get(to)
        if target is None and to in self.listening:
            self.listening[to].append((host.address, data))
        if target is not None and self.captured is not None:
            self.captured.append(Captured(target.name, data, host.address))
        super()._transmit(host, data, to)

    def _release(self) -> None:
        """Send on what unclogged paths have let go."""
        released, self.network.released = self.network.released, []
        for delay, data, source, to in released:
            if target := self._by_address.get(to):  # a host may have moved meanwhile
                self._push(self.now + delay, partial(self._arrive, target, data, source))
