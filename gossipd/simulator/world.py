"""Nodes that keep everything in memory: what an experiment runs on, the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random

from gossipd.core import Answered, Commit, CommitSoon, Effect, Node, Send, Snapshot
from gossipd.simulator.engine import Engine, Host


class World(Engine[Host]):
    """A cluster with clients."""

    def formed(self, count: int) -> list[Host]:
        """`count` nodes that know each other and are ready, as if they had joined long ago. They
        probe at random phases."""
        hosts = [self._add(Host(f"n{number}", self._free_address())) for number in range(count)]
        nodes = [self._process(host) for host in hosts]
        views = Snapshot((), tuple(sorted(node.own for node in nodes)))
        for host, node in zip(hosts, nodes, strict=True):
            node.load(views, self.now, met=True)
            self._perform(host, node.start(True, self.now))
        return hosts

    def increment(self, name: str, counter: str) -> None:
        """One increment at a node, committed before anybody hears of it."""
        host = self.hosts[name]
        assert host.node is not None, f"{name} is down"
        self._perform(host, host.node.increment(0, counter, 1, None))
        self._commit(host, host.lives)

    def _process(self, host: Host) -> Node:
        rng = Random(self.rng.getrandbits(64))
        own = self._own_view(host, host.name)
        return self._begin(host, Node(own, self.settings, self.frames(), rng, self.now))

    def _perform(self, host: Host, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(data, to):
                    self._transmit(host, data, to)
                case CommitSoon():
                    self._push(self.now, partial(self._commit, host, host.lives))
                case Commit(batch=batch):
                    assert host.node is not None
                    self._perform(host, host.node.committed(batch, self.now))
                case Answered():
                    pass
                case _:
                    self.effects.append((self.now, host.name, effect))
        self._arm(host)
