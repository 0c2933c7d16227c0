"""Thousands of random lies from a peer that has joined; then it is silent, and all must be well.

    python -m tests.simulation.lies --seeds 200 --lies 10000 [--first N]

What must hold at any moment, whatever is said:

- No node ends: but for a twin, see `Liar`.
- What a node writes now is exact on that node: of the stream of its next increment it holds the
  events that it has made, and nothing else. If somebody shows more of it, it begins another one.
- Everything held was made by a client, or said by the liar, or makes up for what that has put in
  the place of what a client has made, register by register and record by record. So a count is off
  by what the liar has claimed, and by nothing that it has set off.
- What was acknowledged is held where it was acknowledged, or more of that stream is.
- No table is larger than it may be.

And once the liar is silent and found out: all hold all as live, tables and logs are equal,
everything acknowledged is held by all, what a node wrote counts in full whatever stands in its
place, and what is counted from then on is exact.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from gossipd.core import (
    Accepted,
    Duplicate,
    MemberView,
    Node,
    Settings,
    Stream,
)
from gossipd.core.durability.committing import AMEND_EVERY
from gossipd.core.repair.log_repair import DIGESTS_AT_ONCE
from gossipd.core.swim.members import MEMBERS_MAX, STRANGERS_SHARE
from gossipd.core.swim.newcomers import NEWCOMERS_MAX
from gossipd.core.swim.plausible import Plausible, Word
from gossipd.core.wire.messages import DIGEST_DEPTH_MAX, DIGEST_FANOUT, Status
from gossipd.core.wire.records import Double
from tests.fuzz.attacks.liar import Liar
from tests.property.books import Books
from tests.simulation.checkers.doubles import left_out
from tests.simulation.faulty.world import EPOCH, World

from .clients import random_key, time_key
from .tables import tables

PAUSE = 0.005
"""Seconds between two lies."""

LOOK_EVERY = 1000
"""Lies between two looks at everything."""

SETTLED_WITHIN = 600.0
"""Seconds after the last lie until all agree. Where versions were claimed that cover different
things, each node looks into a stream once a minute (`DEEP_AFTER`), with one other at a time."""

SMALL = 1100
"""Items that any table may hold that is not named in `BOUNDS`: the largest constant is 1,024."""

COUNTERS = ("default", "a", "b", "c", "d")


@dataclass(slots=True)
class Ledger:
    """What clients have made in a world, as registers and records."""

    registers: dict[tuple[Stream, str], dict[tuple[int, int], None]] = field(default_factory=dict)
    keys: set[tuple[Any, ...]] = field(default_factory=set)
    newest: dict[Stream, int] = field(default_factory=dict)
    writers: dict[Stream, str] = field(default_factory=dict)
    read: int = 0
    amended: int = 0
    puts: int = 0

    def take(self, world: World) -> None:
        """Note what was made since the last time."""
        new = world.made[self.read :] + world.amended[self.amended :]
        for made in sorted(new, key=lambda made: made.seq):
            held = self.registers.setdefault((made.stream, made.counter), {})
            total = next(reversed(held), (0, 0))[1] + made.by
            held[made.seq, total] = None
            self.newest[made.stream] = made.seq
            self.writers[made.stream] = made.host
            if made.key is not None:
                self.keys.add((made.stream, made.key, made.seq, made.counter, made.by))
        self.read, self.amended = len(world.made), len(world.amended)
        for answer in world.puts[self.puts :]:
            if answer.committed:
                stream, counter, seq, total = answer.put
                self.registers.setdefault((stream, counter), {})[seq, total] = None
        self.puts = len(world.puts)

    def last(self, stream: Stream) -> dict[str, tuple[int, int]]:
        """The newest registers of a stream."""
        return {
            counter: max(held) for (of, counter), held in self.registers.items() if of == stream
        }


class Known:
    """Key records that were made or said, to be found by their events."""

    def __init__(self, records: set[tuple[Any, ...]]) -> None:
        self.records = records
        self.seqs: dict[tuple[Stream, str], set[int]] = {}
        self._keys: dict[tuple[Any, ...], set[bytes]] = {}
        for stream, key, seq, counter, by in records:
            self.seqs.setdefault((stream, counter), set()).add(seq)
            self._keys.setdefault((stream, seq, counter, by), set()).add(key)

    def shows(self, stream: Stream, double: Double) -> bool:
        """Whether both of its events have one key."""
        what = (double.counter, double.by)
        lost = self._keys.get((stream, double.seq, *what), set())
        won = self._keys.get((double.winner, double.winner_seq, *what), set())
        return bool(lost & won)


class Lies:
    """One seed's cluster, its clients and its liar."""

    def __init__(self, seed: int, lies: int) -> None:
        self.rng = rng = Random(f"lies {seed}")
        window = rng.choice((30.0, 60.0))
        settings = Settings(
            datagram_size=rng.choice((640, 1200, 1400)),
            key_window=window,
            key_retention=rng.choice((window, 2 * window)),
        )
        self.world = world = World(seed, settings, disks=rng.random() < 0.5)
        self.names = [host.name for host in world.cluster(rng.choice((3, 3, 4, 5)))]
        assert world.run_until_settled(10)
        world.run(6)
        self.liar = Liar(world, rng)
        self.lies = lies
        self.ledger = Ledger()
        self._books = {name: Books(settings, self._is_absurd) for name in self.names}
        self._keys: list[tuple[str, int, bytes]] = []

    def run(self) -> None:
        """Lies, then silence."""
        for _ in range(20):
            self._count()
        for name in self.names:
            self.liar.join(name)
        self.world.run(1)
        for number in range(self.lies):
            if number % 200 == 0:
                self.liar.ask_around()
            self.liar.lie()
            self.check_now()
            self.world.run(PAUSE * 2 * self.rng.random())
            self.liar.behave()
            if self.rng.random() < 0.05:
                self._count()
            if number % LOOK_EVERY == 0:
                self.check_all()
        self.check_all()
        self.settle()
        self.check_end()

    def _count(self) -> None:
        """A client counts something, with a key or without, or tries again somewhere else."""
        rng, world = self.rng, self.world
        name, kind = rng.choice(self.names), rng.random()
        if kind < 0.1:
            world.put(name, "client", "owned", len(world.puts) + 1, len(world.puts))
        elif kind < 0.3 and self._keys:
            world.increment(name, *rng.choice(self._keys[-10:]))
        elif kind < 0.6:
            key = rng.choice((time_key(rng, world.now), random_key(rng)))
            operation = (rng.choice(COUNTERS), rng.choice((1, 2, -3)), key)
            self._keys.append(operation)
            world.increment(name, *operation)
        else:
            world.increment(name, rng.choice(COUNTERS), rng.choice((1, 5, 2**40)))
        self.ledger.take(world)

    def _is_absurd(self, view: MemberView) -> bool:
        """Whether nobody but itself may say that of a member."""
        plausible = Plausible(int(1000 * (EPOCH + self.world.now)))
        return plausible.is_absurd(view.generation, view.incarnation, Word.OTHERS)

    # --- at any moment -----------------------------------------------------------------------

    def check_now(self) -> None:
        """Nobody has ended, and what each node writes is exact there."""
        self.ledger.take(self.world)
        for name in self.names:
            node = self.world.hosts[name].node
            ended = self.world.hosts[name].ended
            assert node is not None, f"{name} has ended: {ended}"
            assert not node.leaving, f"{name} ends: {ended}"
            if node.stream is not None:
                self._check_own(name, node, node.stream)

    def _check_own(self, name: str, node: Node, stream: Stream) -> None:
        held = {counter: (seq, total) for counter, seq, total in node.log.by_name(stream, 0, "")}
        assert held == self.ledger.last(stream), f"{name} writes on where {held} is not its own"
        assert node.log.version(stream) == self.ledger.newest.get(stream, 0), name
        for record in node.log.keys.newest_first(stream, 0, 2**48, 0.0):
            own = (stream, *record.said) in self.ledger.keys
            assert own, f"{name} writes on under a stream with {record}"

    def check_all(self) -> None:
        """All that is held has an origin, the books are right, no table is too large."""
        self.ledger.take(self.world)
        now = self.world.now
        for made in self.world.made:
            log = self.world.node(made.host).log
            held = log.register(made.stream, made.counter)[0]
            assert held >= made.seq, f"{made.host} has lost {made}"
        for name, node in self.world.running.items():
            for problem in self._unexplained(node, now):
                raise AssertionError(f"{name} holds what nobody has said: {problem}")
            self._books[name].check(node, now)
            assert node.log.doubles.left_out == left_out(node.log).events, name
            for path, size in tables(node).items():
                most = self._most(path)
                assert size <= most, f"{name} has {size} in {path}, may have {most}"

    def _unexplained(self, node: Node, now: float) -> Iterator[object]:
        """What is held, and neither made nor said, nor follows from that."""
        log, said = node.log, self.liar.said
        known = Known(self.ledger.keys | said.keys)
        for stream in log.streams:
            most = 0
            for counter, seq, total in log.by_name(stream, 0, ""):
                place, most = (stream, counter), max(most, seq)
                made = (seq, total) in self.ledger.registers.get(place, ())
                if not made and (seq, total) not in said.registers.get(place, ()):
                    yield stream, counter, seq, total
            if log.version(stream) > most:
                yield stream, log.version(stream)
            for record in log.keys.oldest_first(stream, 0, now):
                if (stream, *record.said) not in known.records:
                    yield stream, record
            for double in log.doubles.of(stream, 0, now):
                if (stream, *double.said) not in said.doubles and not known.shows(stream, double):
                    yield stream, double
            for correction in log.doubles.corrections(stream):
                if correction.lost > self._losses(stream, correction.counter, known):
                    yield stream, correction

    def _losses(self, stream: Stream, counter: str, known: Known) -> int:
        """How many events of a stream on a counter may have lost: so many as somebody said that
        were folded, and all others."""
        said = self.liar.said
        doubles = {double[2] for double in said.doubles if double[:2] == (stream, counter)}
        folded = [c.lost for of, c in said.corrections if (of, c.counter) == (stream, counter)]
        others = known.seqs.get((stream, counter), set())
        return max(folded, default=0) + len(doubles | others)

    def _most(self, path: str) -> int:
        """How much may be in a table, given what was made and said."""
        said, ledger = self.liar.said, self.ledger
        places = {*said.registers, *ledger.registers}
        records = len(places) + len(said.keys | ledger.keys) + len(said.doubles)
        bounds = {
            "state.members": MEMBERS_MAX,
            "state.members.strangers": STRANGERS_SHARE,
            "state.newcomers.held": NEWCOMERS_MAX,
            "state.log": 3 * records + 64,
            "state.judge": records,
            "state.writer": records,
            "state.saving": records,
            "parts.repair.prefixes": DIGESTS_AT_ONCE * DIGEST_FANOUT * (DIGEST_DEPTH_MAX + 1),
            "parts.repair.differing.tried": records,
            "parts.repair.differing.unequal": records,
            "parts.repair.differing.doubted": records,
        }
        fitting = [most for name, most in bounds.items() if path.startswith(name)]
        return fitting[-1] if fitting else SMALL

    # --- afterwards --------------------------------------------------------------------------

    def settle(self) -> None:
        """All hold all as live again, and agree."""
        world = self.world
        ends = world.now + SETTLED_WITHIN
        agreed = 0
        while agreed < 3:  # the last news may have to be made up for
            agreed = agreed + 1 if self._agree() else 0
            assert world.now < ends or agreed, f"no agreement: {self._told()}"
            world.run(AMEND_EVERY)

    def _agree(self) -> bool:
        """Whether logs and tables are equal, and who lives in the tables does."""
        nodes = list(self.world.running.values())
        live = [{v.name for v in n.members if v.status <= Status.SUSPECT} for n in nodes]
        prints = {(node.log.fingerprint, node.members_fingerprint) for node in nodes}
        return len(prints) == 1 and all(names == set(self.names) for names in live)

    def _told(self) -> object:
        return {
            name: (
                [v.name for v in node.members if v.status <= Status.SUSPECT],
                node.log.fingerprint,
                node.members_fingerprint,
            )
            for name, node in self.world.running.items()
        }

    def check_end(self) -> None:
        """Everything acknowledged is held by all; from now on counts are exact."""
        self.check_now()
        self.check_all()
        self._check_amends()
        self._restart_one()
        for made in self.world.made:
            for name, node in self.world.running.items():
                held = node.log.register(made.stream, made.counter)[0]
                assert held >= made.seq, f"{name} does not hold {made}"
        self._count_exactly()

    def _check_amends(self) -> None:
        """What a node lacks of what it wrote was counted once more, and no more than that."""
        due: Counter[tuple[str, str]] = Counter()
        for stream, host in self.ledger.writers.items():
            log = self.world.node(host).log
            for counter, (_, wrote) in self.ledger.last(stream).items():
                lacking = wrote - log.register(stream, counter)[1]
                due[host, counter] += max(lacking, 0) if wrote >= 0 else min(lacking, 0)
        for made in self.world.amended:
            due[made.host, made.counter] -= made.by
        unequal = {place: by for place, by in due.items() if by}
        assert not unequal, f"not made up for, or too much: {unequal}"

    def _restart_one(self) -> None:
        """What is on a disk after lies is as good as what was in memory."""
        name = self.rng.choice(self.names)
        if self.world.hosts[name].disk is not None:
            self.world.crash(name)
            self.world.start(name)
            self._books[name].new_life()
            self.settle()
            self.check_all()

    def _count_exactly(self) -> None:
        """What is counted now is exact: the liar has never heard of these."""
        key = random_key(self.rng)
        for number, name in enumerate(self.names):
            assert isinstance(self.world.increment(name, "afterwards", 3), Accepted)
            result = self.world.increment(name, "once", 7, key)
            assert isinstance(result, Duplicate if number else Accepted), result
            assert isinstance(
                self.world.increment(name, "young", 1, time_key(self.rng, self.world.now)),
                Accepted,
            )
            self.world.run(1)
        self.ledger.take(self.world)
        self.settle()
        exact = {"afterwards": 3 * len(self.names), "once": 7, "young": len(self.names)}
        for name, node in self.world.running.items():
            assert {c: node.log.value(c) for c in exact} == exact, name


def run_seed(seed: int, lies: int) -> str:
    """What is wrong with one seed; nothing if it is well."""
    try:
        Lies(seed, lies).run()
    except AssertionError as error:
        return f"seed {seed}: {error}"
    return ""


def main() -> int:
    """Run many seeds; 1 if any of them fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=200, help="how many")
    parser.add_argument("--lies", type=int, default=10_000, help="in each of them")
    parser.add_argument("--first", type=int, default=0, help="the first one")
    wanted = parser.parse_args()
    failed = []
    for seed in range(wanted.first, wanted.first + wanted.seeds):
        began = time.process_time()
        problem = run_seed(seed, wanted.lies)
        print(problem or f"seed {seed}: well, {time.process_time() - began:.1f} s", flush=True)
        failed += [seed] * bool(problem)
    print(f"{len(failed)} of {wanted.seeds} seeds failed", *failed)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
