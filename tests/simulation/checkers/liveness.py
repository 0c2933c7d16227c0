"""What must become true once the faults have stopped: agreement, the right sums, and soon.

Q6 counts in rounds. A fact that everybody tells to `gossip_fanout` peers a round reaches all of N
in about log N rounds; a difference that only repair can mend is shown by a probe, one a
`probe_interval` from each node, and each pull halves what is missing somewhere at least.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container

from gossipd.core import Node, Status, Stream
from tests.inside import shared_members
from tests.simulation.faulty.world import World

from .doubles import left_out
from .ghosts import Ghosts

ROUNDS_FACTOR = 1.5
"""Q6's c: rounds until all agree are at most this x log2 of the number of nodes (of two at
least). Measured at 2, 3, 5, 8, 20 and 40 nodes without loss: gossip at most 0.7 (fresh news does
not wait for rounds), repair 1.23 with two nodes and 0.3 to 0.8 with more."""


def rounds_max(count: int) -> float:
    """Q6: how many rounds `count` nodes may take until they agree."""
    return ROUNDS_FACTOR * math.log2(max(2, count))


def demand_agreement(world: World, seconds_max: float, step: float = 0.05) -> float:
    """Q1: let time pass until all running nodes agree; the seconds that it took."""
    return _until(world, world.settled, seconds_max, step, f"Q1: no agreement in {seconds_max} s")


def demand_rounds(world: World, round_length: float) -> float:
    """Q6: let time pass until all logs agree; the rounds that it took. `round_length`: seconds,
    `gossip_interval` for what is told, `probe_interval` for what is repaired."""
    most = rounds_max(len(world.running))

    def agreed() -> bool:
        return len({node.log.fingerprint for node in world.running.values()}) == 1

    what = f"Q6: {len(world.running)} nodes do not agree in {most:.1f} rounds of {round_length} s"
    return _until(world, agreed, most * round_length, round_length / 100, what) / round_length


def _until(
    world: World, done: Callable[[], bool], seconds_max: float, step: float, what: str
) -> float:
    began = world.now
    while not done():
        assert world.now - began < seconds_max, what
        world.run(step)
    return world.now - began


def check_agreement(world: World) -> None:
    """Q1: members, logs, versions, values and fingerprints are equal everywhere, now."""
    nodes = list(world.running.items())
    names = sorted(node.own.name for _, node in nodes)
    for name, node in nodes:
        first = nodes[0][1]
        fingerprints = (node.log.fingerprint, node.members_fingerprint)
        equal = fingerprints == (first.log.fingerprint, first.members_fingerprint)
        assert equal, f"Q1: {name} shows other fingerprints"
        assert _held(node) == _held(first), f"Q1: {name} holds another log"
        assert node.log.values == first.log.values, f"Q1: {name} has other counts"
        assert _table(node, world.now) == _table(first, world.now), f"Q1: {name}: other members"
        live = sorted(view.name for view in node.members if view.status is Status.ALIVE)
        assert live == names, f"Q1: {name} has {live} alive, running are {names}"


def check_survival(world: World, intact: Container[str]) -> None:
    """Q2: what was acknowledged on these hosts, whose disks were neither lost nor replaced, counts
    on every running node, whatever crashed."""
    for made in world.made:
        if made.acknowledged and made.host in intact:
            for name, node in world.running.items():
                seq, _ = node.log.register(made.stream, made.counter)
                assert seq >= made.seq, f"Q2: {name} has {seq} of {made}"


def check_sums(world: World, ghosts: Ghosts, lost: Container[Stream]) -> None:
    """Q3: every counter at every node is the sum over what was made, each once, less what doubles
    leave out; of a source it is the largest put.

    `lost`: streams whose end died with the only process or disk that had it; of these any
    beginning counts.
    """
    for name, node in world.running.items():
        rights: dict[str, int] = {}
        for stream in ghosts.streams:
            for counter, events in ghosts.counters(stream).items():
                seq, total = node.log.register(stream, counter)
                newest = events[-1]
                whole = (seq, total) == newest or (seq, total) in ghosts.ends(stream, counter)
                short = stream in lost and seq <= newest.seq
                assert whole or short, f"Q3: {name} has {seq} of {counter}, made was {newest}"
                rights[counter] = rights.get(counter, 0) + total
        if not ghosts.has_clones:
            out = left_out(node.log).sums
            for counter, total in rights.items():
                value, right = node.log.value(counter), total - out.get(counter, 0)
                assert value == right, f"Q3: {name} counts {value} of {counter}, not {right}"


def _held(node: Node) -> list[tuple[Stream, int, list[tuple[str, int, int]]]]:
    log = node.log
    streams = (s for s in log.streams if log.leaf(s).digest)
    return sorted((s, log.version(s), list(log.by_name(s, 0, ""))) for s in streams)


def _table(node: Node, now: float) -> list[tuple[object, ...]]:
    return [view[:6] for view in shared_members(node, now)]
