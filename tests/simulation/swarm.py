"""Random faults from one seed, the invariants checked all the time; then heal and converge."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from gossipd.core import Left, NameLost, Settings, Stream
from gossipd.simulator.checkers import Checker
from gossipd.simulator.network import Network
from gossipd.simulator.world import World

CHECK_INTERVAL = 0.1


class Swarm:
    """One seed draws the cluster, its settings, the faults and the load."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(f"swarm {seed}")
        size = self.rng.choice((640, 1200, 1400))
        self.world = World(seed, Settings(datagram_size=size))
        self.checker = Checker(self.world)
        self.happened: dict[str, int] = {}
        self._uncertain: set[Stream] = set()
        """Streams that a crash may have shortened: those whose writer had drained to it."""
        self._writers: dict[Stream, tuple[str, int]] = {}
        """The host of each stream, and which of its lives it was."""
        self._seeds = [f"n{number}" for number in range(self.rng.randint(2, 6))]
        self.world.add_with_mutual_seeds(self._seeds)

    def run(self, seconds: float) -> None:
        """Let time pass with load and faults."""
        until = self.world.now + seconds
        while self.world.now < until:
            self._load()
            if self.rng.random() < 0.06:
                fault = self.rng.choice(_FAULTS)
                fault(self)
                self.happened[fault.__name__] = self.happened.get(fault.__name__, 0) + 1
            self.world.run(CHECK_INTERVAL)
            self.checker.check()

    def converge(self, seconds_max: float) -> float:
        """Undo the faults and demand agreement; the time that it took."""
        world = self.world
        world.network = Network()
        for host in world.hosts.values():
            if host.stalled:
                world.resume(host.name)
        if not any(world.hosts[name].node for name in self._seeds):
            world.start(self._seeds[0])  # else a late restart has nobody to ask
        healed_at = world.now
        while not world.settled():
            assert world.now - healed_at < seconds_max, "Q1: not converged"
            world.run(CHECK_INTERVAL)
            self.checker.check()
        self._demand_sums()
        lost = [effect for _, _, effect in world.effects if isinstance(effect, NameLost)]
        assert not lost, f"nobody shared a name: {lost}"
        return world.now - healed_at

    def _demand_sums(self) -> None:
        """Q3: everything acknowledged counts, but what died with the only process that had it."""
        undrained = {
            name
            for _, name, effect in self.world.effects
            if isinstance(effect, Left) and effect.undrained
        }
        for node in self.world.running.values():
            for made in self.world.made:
                if made.stream not in self._uncertain and made.host not in undrained:
                    held = node.log.register(made.stream, made.counter)[0]
                    assert held >= made.seq, f"Q3: {made} is missing"

    def _load(self) -> None:
        for name in list(self.world.running):
            if not self.world.hosts[name].stalled and not self.world.node(name).leaving:
                for _ in range(self.rng.choice((0, 0, 1, 3))):
                    counter = self.rng.choice("abcd")
                    self.world.increment(name, counter, self.rng.choice((1, 1, 5, -2)))
                    lives = self.world.hosts[name].lives
                    self._writers[self.world.made[-1].stream] = (name, lives)

    # --- faults ------------------------------------------------------------------------------

    def crash(self) -> None:
        names = [n for n in self.world.running if not self.world.node(n).leaving]
        if len(names) > 1:
            name = self.rng.choice(names)
            self.world.crash(name)
            self._uncertain |= {
                made.stream for made in self.world.made if not self._still_runs(made.stream)
            }

    def _still_runs(self, stream: Stream) -> bool:
        name, lives = self._writers[stream]
        host = self.world.hosts[name]
        return host.lives == lives and host.node is not None and not host.node.leaving

    def start(self) -> None:
        down = [host for host in self.world.hosts.values() if host.node is None]
        if down:
            self.world.start(self.rng.choice(down).name)

    def add(self) -> None:
        if len(self.world.hosts) < 8:
            self.world.add(f"n{len(self.world.hosts)}", seeds=self._seeds)

    def leave(self) -> None:
        names = [n for n, node in self.world.running.items() if not node.leaving]
        names = [n for n in names if not self.world.hosts[n].stalled]
        if len(names) > 2:
            self.world.leave(self.rng.choice(names))

    def stall(self) -> None:
        name = self.rng.choice(list(self.world.running))
        self.world.stall(name)

    def resume(self) -> None:
        for host in self.world.hosts.values():
            if host.stalled:
                self.world.resume(host.name)

    def partition(self) -> None:
        names = list(self.world.hosts)
        self.rng.shuffle(names)
        half = self.rng.randint(1, len(names) - 1)
        self.world.partition(names[:half], names[half:])

    def cut(self) -> None:
        source, to = self.rng.sample(list(self.world.hosts), 2)
        self.world.cut([source], [to])

    def isolate(self) -> None:
        self.world.isolate(self.rng.choice(list(self.world.hosts)))

    def heal(self) -> None:
        self.world.network.heal()

    def damage(self) -> None:
        network, rng = self.world.network, self.rng
        network.loss = rng.choice((0.0, 0.1, 0.3))
        network.duplication = rng.choice((0.0, 0.1))
        network.truncation = rng.choice((0.0, 0.02))
        network.bit_flips = rng.choice((0.0, 0.02))
        network.delay = rng.choice(((0.0002, 0.002), (0.001, 0.1)))


_FAULTS: tuple[Callable[[Swarm], None], ...] = (
    Swarm.crash,
    Swarm.start,
    Swarm.start,
    Swarm.add,
    Swarm.leave,
    Swarm.stall,
    Swarm.resume,
    Swarm.resume,
    Swarm.partition,
    Swarm.cut,
    Swarm.isolate,
    Swarm.heal,
    Swarm.heal,
    Swarm.damage,
)
