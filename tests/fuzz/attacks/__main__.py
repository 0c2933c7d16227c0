"""Every attack that once did harm, before and after, as one table:

    python -m tests.fuzz.attacks [--real]

*Now* is what the programs beside this one find, in the simulator or, with `--real`, against real
nodes, too. *Before* is what the same attacks did to the code of 0b2a15f. Its wire is another one,
so these programs cannot speak to it: the figures are those that were measured then. Those of point
16.4 are what these very programs found in 407fddf.
What single inputs cost, and how that grows, is told by `python -m tests.bench.costs`.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, TypeAlias

from gossipd.core import Status
from tests.simulation.lies import run_seed

from . import (
    counts,
    crowding,
    oneself,
    own_stream,
    real,
    reflection,
    repairs,
    sideport,
    verdicts,
)

ENDED = "a node ended, or all"
NOT_ENDED = "no node ended"
NOT_MEASURED = "not measured"
REFLECTED = {
    "tell_of_ghosts": "2,829 x",
    "ask_for_passes": "200 x",
    "ask_for_members": "249 x",
    "ping_as_ghosts": "279 x",
}
ENDING = (
    "largest_generations",
    "one_in_a_members_name",
    "three_larger_generations",
    "lives_elsewhere",
    "unasked_cookie_and_refusal",
)
COUNTED = {
    "claim_of_everything": "after= answered without the increment",
    "record_of_nothing": "a duplicate of an id that does not exist",
    "record_from_the_future": "keyed increments refused for minutes",
    "ready_for_nothing": "an empty node was ready",
}
TAKEN = "counts less than was acknowledged, for good"
TWICE = "a retry counted once more"
OWN_STREAM = {
    "more_of_it": "no harm",
    "another_key": TWICE,
    "another_key_to_come": TWICE,
}
REPAIRS = {
    "sums_without_end": "as much memory as it likes",
    "streams_without_end": "repair after 39 s, a table without end",
    "pages_without_end": "no repair with anybody else",
}
CROWDED = "dead one unseen for 80 s, nobody joins, an ack 9 s"
SIDE_PORT = {
    "silence": "/health unanswered 117 of 117 times",
    "half_a_head": "/health unanswered for as long as it lasted",
    "unread_lists": "1.2 GB, /health after 20 s",
    "joins": "one call took 26 s",
}
REAL = {
    "ends": ENDED,
    "reflects": "1,771 packets, 1.95 MB: 2,820 x",
    "crowds": CROWDED,
    "spoils": TAKEN,
}

Found: TypeAlias = tuple[str, bool]
"""What was found, and whether it is harmless."""


class Row(NamedTuple):
    """One attack."""

    point: str
    """Of the issue about liars and limits, or 16.4: of that about insiders."""
    name: str
    before: str
    run: Callable[[], Found]


def of_oneself(name: str) -> Found:
    found = oneself.run(name)
    well = found.agrees and not (found.ended or found.away)
    return ("all live and agree" if well else str(found)), well


def of_verdicts(status: Status) -> Found:
    found = verdicts.run(status)
    well = found.agrees and not found.ended and not found.away_at_end
    return f"away {found.away:.1%} of looks, {found.changes} changes told", well


def of_reflection(attack: reflection.Attack) -> Found:
    found = reflection.run(attack)
    return f"{found.factor:.2f} x ({found.packets} packets)", found.factor <= 3


def of_crowding(kind: tuple[Status, ...]) -> Found:
    found = crowding.run(*kind)
    after = (found.found_after, found.joined_after)
    dead, new = ("never" if at is None else f"after {at:.1f} s" for at in after)
    text = f"dead one found {dead}, newcomer in {new}, an ack {1000 * found.ack:.2f} ms"
    return text, None not in after


def of_counts(name: str) -> Found:
    harm = counts.run(name)
    return harm or "no harm", harm is None


def of_own_stream(name: str) -> Found:
    harm = own_stream.run(name)
    return harm or "all that was acknowledged counts, all agree", harm is None


def of_repairs(name: str) -> Found:
    found = repairs.run(name)
    after = "never" if found.found_after is None else f"after {found.found_after:.0f} s"
    size, path = found.largest
    return f"repaired {after}, at most {size:,} in {path}", found.is_harmless


def of_lies(lies: int) -> Found:
    problem = run_seed(1, lies)
    return problem or "off by what it claims, all agree afterwards", not problem


def of_real(name: str) -> Found:
    found = real.run(name)
    return found.text, found.is_harmless


def of_side_port(attack: sideport.Attack) -> Found:
    found = sideport.run(attack)
    text = f"/health {found.worst:.3f} s at worst, {found.failed} of {found.asked} unanswered"
    return f"{text}, {found.grown / 2**20:.0f} MiB more", found.failed == 0


def rows(lies: int) -> Iterator[Row]:
    """Those in the simulator."""
    for name in oneself.ATTACKS:
        yield Row("1", name, ENDED if name in ENDING else NOT_ENDED, partial(of_oneself, name))
    for status in list(Status)[1:]:
        before = "away 90 % of looks" if status is Status.LEFT else NOT_MEASURED
        name = f"forged {status.name}, 20 a second"
        yield Row("2", name, before, partial(of_verdicts, status))
    for attack in reflection.ATTACKS:
        before = REFLECTED.get(attack.__name__, NOT_MEASURED)
        yield Row("3", attack.__name__, before, partial(of_reflection, attack))
    for kind in crowding.KINDS:
        name = "ghosts " + ", ".join(status.name.lower() for status in kind)[:24]
        yield Row("4", name, CROWDED, partial(of_crowding, kind))
    for name in counts.ATTACKS:
        yield Row("9", name, COUNTED[name], partial(of_counts, name))
    for name in own_stream.ATTACKS:
        before = OWN_STREAM.get(name, TAKEN)
        yield Row("16.4", name, before, partial(of_own_stream, name))
    for name in repairs.ATTACKS:
        yield Row("16.4", name, REPAIRS[name], partial(of_repairs, name))
    yield Row("all", f"{lies:,} random lies", NOT_MEASURED, partial(of_lies, lies))


def real_rows() -> Iterator[Row]:
    """Those against real nodes."""
    for point, name in zip(("1", "3", "4", "16.4"), real.ATTACKS, strict=True):
        yield Row(point, f"real nodes: {name}", REAL[name], partial(of_real, name))
    for attack in sideport.ATTACKS:
        before = SIDE_PORT.get(attack.__name__, NOT_MEASURED)
        name = f"real node: {attack.__name__}"
        yield Row("6", name, before, partial(of_side_port, attack))


def main(arguments: list[str]) -> int:
    """The program."""
    parser = ArgumentParser(prog="python -m tests.fuzz.attacks", description="See the module.")
    parser.add_argument("--real", action="store_true", help="against real nodes, too")
    parser.add_argument("--lies", type=int, default=1000)
    wanted = parser.parse_args(arguments)
    chosen = [*rows(wanted.lies), *(real_rows() if wanted.real else ())]
    if wanted.real:
        sideport.allow_files()
    harmed = 0
    print("| point | attack | before | now |\n|---|---|---|---|", flush=True)
    for point, name, before, run in chosen:
        text, well = run()
        harmed += not well
        harm = "" if well else "**harm:** "
        print(f"| {point} | {name} | {before} | {harm}{text} |", flush=True)
    print(f"{harmed} of {len(chosen)} attacks do harm")
    return int(harmed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
