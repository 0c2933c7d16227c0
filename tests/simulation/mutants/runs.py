"""Small worlds with the load and the faults that bring a broken core to light.

Each run checks all that it can. With a sound core every one of them passes; that is tested, too,
so that a failure under a mutant is the mutant's.
"""

from __future__ import annotations

import copyreg
from collections.abc import Iterator
from copy import deepcopy
from hashlib import blake2b
from random import Random
from unittest.mock import patch

from gossipd.core import Left, Node, Settings
from tests.effort import effort
from tests.simulation.certain import Certain
from tests.simulation.checkers import (
    Checker,
    check_merging,
    check_replay,
    check_survival,
    compare_idle,
    demand_agreement,
    demand_calm,
    demand_rounds,
    idle_traffic,
)
from tests.simulation.faulty.network import Network
from tests.simulation.faulty.world import Captured, World


def formed(
    count: int, settings: Settings | None = None, seed: int = 1, *, disks: bool = False
) -> World:
    """A cluster in which all know each other and there is nothing left to tell."""
    world = World(seed, settings, disks=disks)
    world.cluster(count)
    demand_agreement(world, 10)
    world.run(3)
    return world


def pass_time(world: World, checker: Checker, seconds: float, step: float = 0.1) -> None:
    """Let time pass and check every `step` seconds."""
    until = world.now + seconds
    while world.now < until:
        world.run(step)
        checker.check()


def copied(node: Node) -> Node:
    """A process with the same memory; what it draws from the system's generator is its own."""
    rules = {blake2b: lambda state: (state.copy, ()), Random: lambda _: (Random, ("of the copy",))}
    with patch.dict(copyreg.dispatch_table, rules):
        return deepcopy(node)


def come_to_rest(world: World, checker: Checker) -> None:
    """No more faults: demand agreement and everything that must hold then."""
    world.network = Network()
    demand_agreement(world, 20)
    checker.check_rest()


def busy() -> None:
    """Counting up and down on a network that loses, doubles and reorders."""
    for seed in (2, 3):
        world = formed(4, seed=seed)
        checker = Checker(world)
        world.network.loss, world.network.duplication = 0.2, 0.1
        world.network.delay = (0.0005, 0.08)
        for number in range(240):
            world.increment(f"n{number % 4}", world.rng.choice("abcd"), number % 3 + 1)
            world.increment(f"n{number % 3}", "down", -3)
            world.run(0.02)
            if number % 5 == 0:
                checker.check()
        come_to_rest(world, checker)


def in_a_row() -> None:
    """Clients say the same several times in a row."""
    world = formed(3)
    checker = Checker(world)
    for number in range(30):
        world.increment(f"n{number % 2}", world.rng.choice("ab"), number % 5 - 2 or 7, count=4)
        pass_time(world, checker, 0.1)
    come_to_rest(world, checker)


def burst() -> None:
    """More news at once than a datagram has room for, from one node."""
    world = formed(3, Settings(datagram_size=640, tail_size=50))
    checker = Checker(world)
    for number in range(400):
        world.increment("n0", f"counter {number % 120}")
    pass_time(world, checker, 1)
    come_to_rest(world, checker)


def pulling() -> None:
    """Repair of a stream that moves all the time, in many small pages and with loss."""
    for seed in (5, 8)[: effort(1, 2)]:
        settings = Settings(datagram_size=640, flush_after=2.0, gossip_interval=2.0)
        world = formed(2, settings, seed=seed)
        checker = Checker(world)
        world.run(0.8)  # so that pulls fall between increments
        world.network.delay = (0.03, 0.12)
        for number in range(400):
            world.increment("n0", f"a rather long name of a counter, number {number}")
        world.add("late", seeds=["n1"])
        for number in range(600):
            world.increment("n0", f"a rather long name of a counter, number {number * 7 % 400}")
            world.run(0.005)
            checker.check()
        come_to_rest(world, checker)


def restarting() -> None:
    """The only writer comes back and counts on."""
    world = formed(3)
    checker = Checker(world)
    for _ in range(3):
        world.increment("n1")
        pass_time(world, checker, 0.5)
        world.crash("n1")
        world.start("n1")
        pass_time(world, checker, 2)
    come_to_rest(world, checker)


def cloned() -> None:
    """A running process is copied, with its memory, and both go on."""
    world = formed(3)
    checker = Checker(world)
    world.increment("n1", "common")
    pass_time(world, checker, 1)
    stream = world.node("n1").stream
    assert stream is not None
    world.place("copy").node = copied(world.node("n1"))
    checker.share(stream)
    for name in ("n1", "copy", "copy"):
        world.increment(name, f"by {name}")
    pass_time(world, checker, 3)
    world.crash("copy")
    demand_agreement(world, 20)
    checker.check_rest()


def cut_off() -> None:
    """One member is cut off until it is suspected, and again until it is held failed."""
    world = formed(5, seed=5)
    checker = Checker(world)
    for seconds in (2.5, 8.0):
        world.network.delay = (0.001, 0.15)
        world.isolate("n2")
        for _ in range(int(seconds * 10)):
            world.increment(world.rng.choice(list(world.running)))
            pass_time(world, checker, 0.1)
        world.network.heal()
        pass_time(world, checker, 3)
    come_to_rest(world, checker)


def split_without_seeds() -> None:
    """A partition that only contact with failed members can heal, as the one seed is gone."""
    world = formed(4)
    checker = Checker(world)
    world.crash("n0")
    world.run(15)
    world.partition(["n1"], ["n2", "n3"])
    world.run(40)
    checker.check()
    world.network.heal()
    come_to_rest(world, checker)


def ageing() -> None:
    """Verdicts grow old, leave sharing and then the table."""
    world = formed(3, Settings(remember=600))
    checker = Checker(world)
    world.crash("n2")
    for _ in range(700):
        world.run(1)
        checker.check()
    assert len(world.node("n0").members) == 2
    come_to_rest(world, checker)


def partly_held() -> None:
    """All that is left of a stream is an event above a gap, and one node has it."""
    world = formed(4)
    checker = Checker(world)
    world.isolate("n3")
    world.increment("n3", "lost")
    world.increment("n3", "kept")
    stream = world.made[0].stream
    world.node("n1").log.merge(stream, [("kept", 2, 1)])
    world.crash("n3")
    world.network.heal()
    demand_agreement(world, 20)
    checker.check_rest(lost={stream})
    assert world.node("n0").log.value("kept") == 1


def departing() -> None:
    """A member that could not tell its news for a while leaves as soon as it can."""
    for seed in (2, 3):
        world = formed(4, seed=seed)
        checker = Checker(world)
        world.isolate("n3")
        for number in range(20):
            world.increment("n3", f"c{number % 5}")
        pass_time(world, checker, 2)
        world.network.heal()
        world.network.delay = (0.08, 0.12)
        world.leave("n3")
        pass_time(world, checker, 3)
        left = [effect for _, _, effect in world.effects if isinstance(effect, Left)]
        assert left == [Left(0)]
        come_to_rest(world, checker)


def storing() -> None:
    """What comes from others is stored in many parts while more comes; then all restart."""
    world = formed(3, disks=True)
    checker = Checker(world)
    for number in range(300):
        world.increment(f"n{number % 2}", f"counter {number % 150}")
        pass_time(world, checker, 0.005, 0.005)
    pass_time(world, checker, 0.2, 0.005)
    _restart(world)
    come_to_rest(world, checker)
    check_survival(world, world.hosts)


def _with_slow_disks(seed: int) -> World:
    """So slow that news is not stored by the time at which a member has left."""
    world = formed(4, seed=seed, disks=True)
    for host in world.hosts.values():
        assert host.disk is not None
        host.disk.store_takes = 0.3
    return world


def _departing(world: World) -> Iterator[None]:
    """A member tells its news for the first time while it leaves; a yield every 2 ms."""
    world.isolate("n3")
    for number in range(60):
        world.increment("n3", f"c{number % 30}")
    world.run(2)
    world.network.heal()
    world.leave("n3")
    while "n3" in world.running:
        world.run(0.002)
        yield
    left = [effect for _, _, effect in world.effects if isinstance(effect, Left)]
    assert left == [Left(0)]


def departing_to_disks() -> None:
    """A member leaves, and what it leaves behind is stored by others in parts."""
    world = formed(4, disks=True)
    checker = Checker(world)
    for _ in _departing(world):
        checker.check()
    come_to_rest(world, checker)


def departing_with_a_part() -> None:
    """Of a stream whose beginning was destroyed, a member that leaves has what is left."""
    for seed in range(1, 4):
        world = formed(4, seed=seed, disks=True)
        checker = Checker(world)
        world.isolate("n2")
        for number in range(61):
            world.increment("n2", f"k{number}")
        first, *others = world.made
        checker.check()
        world.crash("n2", disk_lost=True)
        world.node("n3").log.merge(first.stream, [(made.counter, made.seq, 1) for made in others])
        checker.meddled("n3")
        for _ in _departing(world):
            checker.check()
        world.start("n2")
        demand_agreement(world, 20)
        checker.check_rest(lost={first.stream})
        assert world.node("n0").log.value("k60") == 1


def departing_before_a_crash() -> None:
    """All others crash as soon as a member has left, and start again with their disks."""
    for seed in range(8):
        world = _with_slow_disks(seed)
        for _ in _departing(world):
            pass
        _restart(world)
        demand_agreement(world, 20)
        check_survival(world, world.hosts)


def crashing() -> None:
    """Crashes of one and of all, each right after something was acknowledged."""
    world = formed(3, disks=True)
    for number in range(12):
        victims = list(world.hosts) if number % 4 == 3 else [f"n{number % 3}"]
        for name in victims:
            world.increment(name, f"c{number}")
        world.run(world.rng.choice((0.0, 0.004)))
        _restart(world, victims)
        world.run(0.5)
    demand_agreement(world, 20)
    check_survival(world, world.hosts)


def crashing_for_certain() -> None:
    """As the swarm follows it: what was acknowledged outlives the process as its disk does."""
    world = formed(3, disks=True)
    certain = Certain(world)
    for name in world.hosts:
        world.increment(name)
        certain.read()
        world.crash(name)
        certain.lower([disk for host in world.hosts.values() if (disk := host.disk)])
        world.start(name)
    demand_agreement(world, 20)
    certain.demand_counted()


def copying() -> None:
    """Clients wait until two, or three, hold what they count; one of the hosts has no disk."""
    world = formed(4, disks=True)
    checker = Checker(world)
    world.crash("n3")
    world.hosts["n3"].disk = None
    world.start("n3")
    demand_agreement(world, 20)
    world.network.loss = 0.1
    for number in range(150):
        world.increment(f"n{number % 3}", f"c{number % 40}")
        world.await_copies(world.made[-1], 2 + number % 2)
        pass_time(world, checker, 0.01, 0.01)
    pass_time(world, checker, 2)
    assert len(world.answered) == 150
    assert sum(told.enough for told in world.answered) > 140
    come_to_rest(world, checker)


def destroyed_after_copies() -> None:
    """A node is destroyed, with its disk, in the moment in which it tells that two hold it."""
    for seed in range(6):
        world = formed(3, seed=seed, disks=True)
        world.isolate("n1")
        world.increment("n1", "a")
        world.await_copies(world.made[-1], 2)
        began = world.now
        while not world.answered:
            world.run(0.0005)
            if world.now > began + 0.3:
                world.network.heal()
        assert world.answered[0].enough
        world.crash("n1", disk_lost=True)
        world.network.heal()
        world.start("n1")
        demand_agreement(world, 20)
        check_survival(world, ["n1"])


def departing_for_certain() -> None:
    """As the swarm follows it: what a member leaves behind is on a disk when it has left."""
    for seed in range(8):
        world = _with_slow_disks(seed)
        certain = Certain(world)
        for _ in _departing(world):
            certain.read()
        certain.demand_kept([], "n3")


def _restart(world: World, names: list[str] | None = None) -> None:
    """Crash some of the processes that run, or all, and start them again with their disks."""
    names = names or list(world.running)
    for name in names:
        world.crash(name)
    for name in names:
        world.start(name)


def calm() -> None:
    """Nothing happens."""
    world = World(1)
    world.cluster(5)
    pass_time(world, Checker(world), 20)
    demand_calm(world)


def parted() -> None:
    """Two sides count on and hold each other failed; then their states are merged."""
    world = formed(4)
    for number in range(24):
        world.increment(f"n{number % 4}", f"c{number % 3}")
    world.run(1)
    world.partition(["n0", "n1"], ["n2", "n3"])
    for number in range(40):
        world.increment(f"n{number % 4}", f"c{number % 3}")
        world.run(0.4)
    check_merging(world)


def settled_after_talk() -> tuple[World, list[Captured]]:
    """A cluster at rest, and everything that its nodes ever said."""
    world = World(1)
    world.captured = []
    world.cluster(4)
    for number in range(60):
        world.increment(f"n{number % 4}", f"c{number % 3}")
        world.run(0.05)
    demand_agreement(world, 10)
    world.run(3)
    captured, world.captured = world.captured, None
    world.rng.shuffle(captured)
    return world, captured


def replayed() -> None:
    """All that was ever said is said again, and changes nothing."""
    check_replay(*settled_after_talk())


def echoed() -> None:
    """All that was ever said is said again, and takes nothing away."""
    world, captured = settled_after_talk()
    checker = Checker(world)
    checker.check()
    for again in captured:
        world.deliver(*again)
        checker.check()


def spreading() -> None:
    """One increment each time; how many rounds of gossip until all have it."""
    world = formed(20)
    for number in range(10):
        world.increment(f"n{number}")
        demand_rounds(world, world.settings.gossip_interval)
        world.run(1)


def mending() -> None:
    """What was told while one member was cut off; how many rounds of probes until it has it."""
    world = formed(8)
    for _ in range(4):
        world.isolate("n5")
        world.increment("n2")
        world.increment("n5")
        world.run(1.7)
        world.network.heal()
        demand_rounds(world, world.settings.probe_interval)
        world.run(5)


def resting() -> None:
    """Rest with an empty log, and with many registers."""
    seconds = effort(15, 30)
    world = formed(4)
    empty = idle_traffic(world, seconds)
    for number in range(effort(800, 2000)):
        world.increment(f"n{number % 4}", f"counter {number}")
        if number % 20 == 0:
            world.run(0.02)
    world.run(15)
    compare_idle(empty, idle_traffic(world, seconds))
