"""Small worlds with keys and sources that bring a broken core to light; see `runs`."""

from __future__ import annotations

from collections.abc import Iterator

from gossipd.core import Settings
from gossipd.core.log.dedup import held_longer
from tests.simulation.checkers import Checker, demand_agreement
from tests.simulation.clients import random_key, time_key
from tests.simulation.faulty.network import Network
from tests.simulation.faulty.world import World
from tests.simulation.scenes import lose_the_beginning, with_one_in_memory

from .runs import come_to_rest, formed, pass_time

NAMES = ["n0", "n1", "n2", "n3"]


def _retried(world: World, count: int) -> Iterator[bytes]:
    """Keyed increments, each at one node and again at others; each key after its tries."""
    for number in range(count):
        key = time_key(world.rng, world.now)
        for name in world.rng.sample(list(world.running), 1 + number % 3):
            world.increment(name, f"c{number % 3}", 1 + number % 2, key)
        yield key


def retrying() -> None:
    """Retries on other nodes, before the news has come there and after, with loss."""
    world = formed(4)
    checker = Checker(world)
    world.network.loss, world.network.delay = 0.2, (0.0005, 0.08)
    for number, _ in enumerate(_retried(world, 120)):
        world.increment(world.rng.choice(NAMES), "unkeyed")
        world.run(0.03)
        if number % 3 == 0:
            checker.check()
    come_to_rest(world, checker)


def retrying_on_both_sides() -> None:
    """Retries on both sides of a cut."""
    world = formed(4)
    checker = Checker(world)
    world.partition(NAMES[:2], NAMES[2:])
    for _ in _retried(world, 60):
        pass_time(world, checker, 0.05)
    world.network.heal()
    come_to_rest(world, checker)


def folding() -> None:
    """Doubles of one stream are found in pieces, as four sides come together with much loss, and
    are folded when they are old. Then all come back from their disks, and one without its own."""
    window, retention = 8.0, 40.0
    figures = Settings(key_window=window, key_retention=retention, datagram_size=640)
    world = formed(4, figures, disks=True)
    checker = Checker(world)
    for name in NAMES:
        world.increment(name, "c")
    *others, loser = sorted(NAMES, key=lambda name: world.node(name).stream or b"")
    world.partition([loser], *([other] for other in others))
    for number in range(60):
        key = random_key(world.rng)
        for name in (loser, others[number % 2]):
            world.increment(name, "c", 1, key)
        pass_time(world, checker, 0.02)
    world.network.loss = 0.5
    world.network.heal()
    world.partition([loser, *others[1:]], others[:1])
    pass_time(world, checker, 6)
    world.network.heal()
    pass_time(world, checker, 6)
    world.network.loss = 0.0
    pass_time(world, checker, retention + held_longer(window) + 5, 1.0)
    checker.check(full=True)
    assert not any(len(node.log.doubles) for node in world.running.values()), "none is folded"
    for name in NAMES:
        world.crash(name, disk_lost=name == "n2")
    for name in NAMES:
        world.start(name)
    pass_time(world, checker, 3)
    come_to_rest(world, checker)
    for name in NAMES:  # the records are too old by now for the checker to demand it
        assert not checker.over(name), f"Q3: {name} counts {checker.over(name)} too much"


def asked_again() -> None:
    """Retries on the node that has just answered."""
    world = formed(2)
    checker = Checker(world)
    key = random_key(world.rng)
    world.increment("n0", key=key)
    world.increment("n0", key=key)
    checker.check()
    come_to_rest(world, checker)


def counted_once() -> None:
    """Retries on both sides of a cut, looked at when all agree and not before."""
    world = formed(4)
    world.partition(NAMES[:2], NAMES[2:])
    for _ in _retried(world, 60):
        world.run(0.05)
    world.network.heal()
    demand_agreement(world, 20)
    Checker(world).check_once()


def catching_up() -> None:
    """A node fetches much with keys while more is made."""
    world = formed(2, Settings(datagram_size=640))
    checker = Checker(world)
    for number in range(300):
        world.increment("n0", f"c{number % 40}", 1, time_key(world.rng, world.now))
    world.add("late", seeds=["n1"])
    for number in range(60):
        world.increment("n0", f"c{number % 40}", 1, time_key(world.rng, world.now))
        pass_time(world, checker, 0.02, 0.02)
    come_to_rest(world, checker)


def with_archives(count: int) -> World:
    """Nodes with disks, on which all keys are that are older than three seconds."""
    return formed(count, Settings(key_window=3.0, key_retention=600.0), disks=True)


def archiving() -> None:
    """Keys leave the memory of nodes for their disks, and come again."""
    world = with_archives(2)
    checker = Checker(world)
    keys = [time_key(world.rng, world.now + later) for later in (1, 2, 4)]
    for _ in range(30):
        for key in keys:
            world.increment("n0", "late", 1, key)
        pass_time(world, checker, 0.5)
    come_to_rest(world, checker)


def reading_archives() -> None:
    """A node without anything fetches streams whose oldest keys are on disks only."""
    world = with_archives(4)
    checker = Checker(world)
    for _ in _retried(world, 60):
        pass_time(world, checker, 0.05)
    pass_time(world, checker, 6)
    world.crash("n3", disk_lost=True)
    world.start("n3")
    pass_time(world, checker, 6)
    come_to_rest(world, checker)


def apart_beyond_the_window() -> None:
    """Retries on both sides of a cut that lasts until their keys are on disks only; so many that
    nobody tells them on once they were fetched."""
    world = with_archives(2)
    checker = Checker(world)
    world.partition(["n0"], ["n1"])
    for _ in range(80):
        key = time_key(world.rng, world.now)
        for name in world.running:
            world.increment(name, "twice", 1, key)
    pass_time(world, checker, 8)
    world.network.heal()
    pass_time(world, checker, 8)
    come_to_rest(world, checker)


def restarting_with_keys() -> None:
    """All restart, and retries come afterwards: of keys that were just used, and of old ones."""
    world = with_archives(4)
    checker = Checker(world)
    for wait in (1.5, 5.0):
        keys = [random_key(world.rng), time_key(world.rng, world.now + 50)]
        for key in keys:
            world.increment("n1", "again", 1, key)
        pass_time(world, checker, wait)
        for name in NAMES:
            world.crash(name)
        for name in NAMES:
            world.start(name)
        pass_time(world, checker, 0.5)
        while not all(node.ready for node in world.running.values()):
            pass_time(world, checker, 0.5)
        for key in keys:
            world.increment("n1", "again", 1, key)
            world.increment("n2", "again", 1, key)
        checker.check()
    come_to_rest(world, checker)


def forgetting() -> None:
    """Keys leave the memory of nodes without disks, and come again."""
    world = formed(3, Settings(key_window=3.0))
    checker = Checker(world)
    keys = [time_key(world.rng, world.now + ahead) for ahead in (0, 20, 50)]
    for _ in range(4):
        for key in keys:
            world.increment("n0", "late", 1, key)
        world.increment("n0", "late", 1, time_key(world.rng, world.now - 4))
        pass_time(world, checker, 2.5)
    come_to_rest(world, checker)


def ahead() -> None:
    """One host's clock is ahead by the window and more, and it goes on counting."""
    world = formed(3, Settings(key_window=5.0))
    checker = Checker(world)
    world.hosts["n1"].clock = 30.0
    for _ in range(80):
        world.increment("n1", "wrong", 1, time_key(world.rng, world.now + 30))
        world.increment("n2", "right", 1, time_key(world.rng, world.now))
        pass_time(world, checker, 0.2)
    come_to_rest(world, checker)


def ahead_and_again() -> None:
    """A key of a host whose clock is ahead comes again elsewhere, after the window."""
    world = formed(3, Settings(key_window=5.0))
    checker = Checker(world)
    world.hosts["n1"].clock = 30.0
    key = time_key(world.rng, world.now + 30)
    world.increment("n1", "again", 1, key)
    for _ in range(20):
        pass_time(world, checker, 2)
        world.increment("n2", "again", 1, key)
    come_to_rest(world, checker)


def set_back() -> None:
    """A clock that was ahead is put right, and keys from before come again."""
    world = formed(3, Settings(key_window=5.0))
    checker = Checker(world)
    world.hosts["n1"].clock = 30.0
    key = time_key(world.rng, world.now + 30)
    world.increment("n1", "again", 1, key)
    pass_time(world, checker, 8)
    world.hosts["n1"].clock = 0.0
    for _ in range(20):
        pass_time(world, checker, 2)
        world.increment("n1", "again", 1, key)
    come_to_rest(world, checker)


def stepping_with_disks() -> None:
    """The clocks of all hosts are set forward by a day, and all restart."""
    world = with_archives(3)
    checker = Checker(world)
    key = random_key(world.rng)
    world.increment("n1", "again", 1, key)
    pass_time(world, checker, 2)
    for name in world.running:
        world.hosts[name].clock = 86_400.0
        world.crash(name)
        world.start(name)
    while not all(node.ready for node in world.running.values()):
        pass_time(world, checker, 0.5)
    world.increment("n1", "again", 1, key)
    come_to_rest(world, checker)


def without_a_beginning() -> None:
    """A stream of which only an event above a gap is left, on nodes with disks and one without."""
    world = with_one_in_memory(NAMES, "n3", Settings(key_window=3.0, key_retention=60.0))
    checker = Checker(world)
    stream = lose_the_beginning(world, checker, "n1")
    world.start("n2")
    pass_time(world, checker, 6)
    demand_agreement(world, 10)
    checker.check_rest({stream}, {(stream, 1), (stream, 2)})


def departing_with_a_key() -> None:
    """A member that leaves has the only record of a key, which no version covers."""
    for seed in range(1, 4):
        world = formed(4, seed=seed, disks=True)
        checker = Checker(world)
        stream = lose_the_beginning(world, checker, "n1")
        world.isolate("n1")
        world.run(2)
        world.network.heal()
        world.leave("n1")
        pass_time(world, checker, 3)
        demand_agreement(world, 20)
        checker.check_rest({stream}, {(stream, 1)})


def owning() -> None:
    """Puts of one client on both sides of a cut; two of them have one number."""
    world = formed(4)
    checker = Checker(world)
    world.put("n0", "client", "owned", 1, 10)
    pass_time(world, checker, 1)
    world.partition(NAMES[:2], NAMES[2:])
    world.put("n0", "client", "owned", 2, 15)
    world.put("n3", "client", "owned", 2, 12)
    pass_time(world, checker, 1)
    world.network = Network()
    come_to_rest(world, checker)
    world.put("n2", "client", "owned", 1, 99)
    assert {node.log.value("owned") for node in world.running.values()} == {15}
