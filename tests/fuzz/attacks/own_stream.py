"""Lies of an accepted peer about what a live node itself has counted:

    python -m tests.fuzz.attacks.own_stream

Each is told to the writer, or to others first, so that they hold what it never wrote. What must
come of it: the writer is alarmed and goes on under a new stream, all nodes agree once the liar is
silent, and nothing that was acknowledged is missing from their counts.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from uuid import UUID

from gossipd.core import Drop, Dropped, KeyRecord, Stream
from gossipd.core.identity import SEQ_MAX, TOTAL_MAX
from gossipd.core.log.dedup import Duplicate
from gossipd.core.log.writer import Accepted
from gossipd.core.wire.messages import Gossip
from gossipd.core.wire.records import Group, Register
from tests.simulation.faulty.world import World

from .hostile import Hostile

COUNTED = 10
"""Increments of the writer before a lie."""

KEY = UUID(int=7, version=4).bytes
WITHIN = 200.0
STREAMS_MAX = 100
"""Streams that may come of half a minute of ten lies a second."""


def count(world: World, times: int = 1) -> None:
    """A client counts at the writer."""
    for _ in range(times):
        assert isinstance(world.increment("n0", "hits"), Accepted)


def stream_of(world: World) -> Stream:
    """What the writer writes to, or wrote to last."""
    return world.node("n0").stream or world.made[-1].stream


def lie(
    liar: Hostile,
    to: Iterable[str],
    stream: Stream,
    *registers: Register,
    claim: int = 0,
    keys: Iterable[KeyRecord] = (),
) -> None:
    """Tell some nodes of registers."""
    for name in to:
        liar.say(name, Gossip(), groups=[Group(stream, 0, claim, registers, tuple(keys))])


# --- attacks -------------------------------------------------------------------------------------


def less_above(world: World, liar: Hostile) -> None:
    """A later event with a smaller total."""
    lie(liar, ["n0"], stream_of(world), ("hits", 1000, 2))


def less_in_one_seq(world: World, liar: Hostile) -> None:
    """Others hold events of seqs that the writer is about to use."""
    world.isolate("n0")
    stream = stream_of(world)
    for seq in range(COUNTED + 1, COUNTED + 21):
        lie(liar, ["n1"], stream, ("hits", seq, -5))
    count(world, 15)
    world.network.heal()


def less_for_others_first(world: World, liar: Hostile) -> None:
    """All others hold what was never written, while the writer counts on."""
    world.isolate("n0")
    lie(liar, ["n1", "n2"], stream_of(world), ("hits", 1000, 2), claim=1000)
    count(world, 5)
    world.run(2)
    world.network.heal()


def more_of_it(world: World, liar: Hostile) -> None:
    """Larger totals than were written, and then smaller ones again."""
    stream = stream_of(world)
    lie(liar, ["n0", "n1"], stream, ("hits", 1000, 2))
    world.run(3)
    lie(liar, ["n0", "n1"], stream, ("hits", 2000, 1))
    world.run(3)
    lie(liar, ["n1"], stream, ("hits", 3000, COUNTED))


def the_least_at_the_end(world: World, liar: Hostile) -> None:
    """The smallest total at the last seq that there is, and everything is claimed."""
    lie(liar, ["n0"], stream_of(world), ("hits", SEQ_MAX, -TOTAL_MAX), claim=SEQ_MAX)


def while_it_is_committed(world: World, liar: Hostile) -> None:
    """The disk takes its time, and meanwhile somebody tells of less."""
    disk = world.hosts["n0"].disk
    assert disk is not None
    disk.commit_takes = 0.5
    stream = stream_of(world)
    world.batch("n0", [("hits", 1, None), ("others", 1, None)])
    lie(liar, ["n0"], stream, ("hits", COUNTED + 1, 3), ("others", COUNTED + 9, -7))
    disk.commit_takes = 0.0
    world.run(2)


def again_and_again(world: World, liar: Hostile) -> None:
    """Each stream as soon as it is heard of, ten times a second."""
    for number in range(300):
        world.increment("n0", "hits")
        for stream in {stream_of(world), *(made.stream for made in world.made[-20:])}:
            lie(liar, ["n0", "n1"], stream, ("hits", 10**6 + number, -number))
        world.run(0.1)


def another_key(world: World, liar: Hostile) -> str | None:
    """An event is said to have had another key, a smaller one, which would replace its own."""
    made = world.increment("n0", "hits", key=KEY)
    assert isinstance(made, Accepted)
    record = KeyRecord(bytes(15) + b"\1", made.seq, "hits", 1, 0)
    lie(liar, ["n0"], stream_of(world), keys=[record])
    world.run(1)
    return _retried(world)


def another_key_to_come(world: World, liar: Hostile) -> str | None:
    """The same of the event that is being committed."""
    disk = world.hosts["n0"].disk
    assert disk is not None
    disk.commit_takes = 0.5
    stream = stream_of(world)
    world.increment("n0", "hits", key=KEY)
    record = KeyRecord(bytes(15) + b"\1", COUNTED + 1, "hits", 1, 0)
    lie(liar, ["n0"], stream, keys=[record])
    disk.commit_takes = 0.0
    world.run(2)
    return _retried(world)


def _retried(world: World) -> str | None:
    retry = world.increment("n0", "hits", key=KEY)
    return None if isinstance(retry, Duplicate) else "a retry counts once more"


def and_then_it_ends(world: World, liar: Hostile) -> None:
    """The writer is killed soon after the lie, and comes back from its disk."""
    lie(liar, ["n0", "n1"], stream_of(world), ("hits", 1000, 2))
    world.run(0.1)
    world.crash("n0")
    world.run(1)
    world.start("n0")


def and_then_it_leaves(world: World, liar: Hostile) -> None:
    """The writer is asked to leave at once."""
    lie(liar, ["n0"], stream_of(world), ("hits", 1000, 2))
    lie(liar, ["n0"], stream_of(world), ("hits", 2000, 1))
    world.leave("n0")
    world.run(5)
    world.start("n0")


ATTACKS: dict[str, Callable[[World, Hostile], str | None]] = {
    attack.__name__: attack
    for attack in (
        less_above,
        less_in_one_seq,
        less_for_others_first,
        more_of_it,
        the_least_at_the_end,
        while_it_is_committed,
        again_and_again,
        another_key,
        another_key_to_come,
        and_then_it_ends,
        and_then_it_leaves,
    )
}


# --- what came of it -----------------------------------------------------------------------------


def harm_of(world: World, before: Stream) -> str | None:
    """What is wrong once the liar is silent, None for nothing."""
    alarms = [
        host
        for _, host, effect in world.effects
        if isinstance(effect, Dropped) and effect.reason is Drop.NOT_OURS
    ]
    if "n0" not in alarms:
        return "the writer is not alarmed"
    if not world.run_until_settled(WITHIN):
        return "the nodes do not agree"
    if world.node("n0").stream == before:
        return "the writer goes on under a stream that others have touched"
    counted: dict[str, int] = {}
    for made in world.made:
        counted[made.counter] = counted.get(made.counter, 0) + made.by
    for name, node in world.running.items():
        for counter, least in counted.items():
            value = node.log.value(counter)
            if value != least:
                return f"{name} counts {value} of {counter}, and {least} were acknowledged"
    streams = world.node("n0").log.stream_count
    return f"{streams} streams came of it" if streams > STREAMS_MAX else None


def run(name: str, seed: int = 1) -> str | None:
    """What an attack has done, None for nothing."""
    world = World(seed, disks=True)
    world.cluster(3)
    assert world.run_until_settled(10)
    world.run(6)
    liar = Hostile(world)
    for to in world.running:
        assert liar.join(to)
    count(world, COUNTED)
    world.run(1)
    before = stream_of(world)
    harm = ATTACKS[name](world, liar)
    world.run(1)
    return harm or harm_of(world, before)


def main() -> int:
    """The program."""
    found = {name: run(name) for name in ATTACKS}
    for name, harm in found.items():
        print(f"{name:24} {harm or 'no harm'}")
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main())
