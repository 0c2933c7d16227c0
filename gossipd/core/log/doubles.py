"""Retries that were counted twice, and what a counter's value leaves out for them.

When a key was used on two nodes before they had told each other, both events exist. All but the
smallest of them, by stream and seq, have *lost*: a double says that an event has, and to which.
A value leaves a loser out while it and its winner are *present*: their registers have reached
them. Where very many wait for one register, they are looked at in parts once it has come, and
until it was its turn each counts as waiting. That two events have one key stays true for ever, so
doubles are joined by union; of two that say that one event has lost, the smaller stays.

When doubles have become old, they are folded: those of a (stream, counter) up to some seq become
one correction with their number, the sum that is left out for them, and the sum of their hashes.
It takes their place in values and in the fingerprint (see `tallies`), so that folding changes
neither, and each node may fold when it likes. Nodes that hold the same doubles come to the same
correction for the same seq, whichever way they fold. To join a correction that has come further, a
node folds up to its seq, too; should the two differ then, as the doubles did, the one of more
doubles stays, so that who knows less takes nothing away. A double that is at or below the seq of a
correction is in it, or has come too late.

What has not become a loser in that time, as its own register or the winner's has not reached it,
is dropped by folding: both are as old as the double, so one of them was lost.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from itertools import islice, takewhile
from typing import NamedTuple, TypeAlias

from gossipd.core.hashing import MASK_64, hash64
from gossipd.core.identity import TOTAL_MAX, Stream
from gossipd.core.wire.records import Correction, Double

from .keys import Numbered, age_of, born
from .order import Order
from .tallies import Tallies

FOLDED_AT_ONCE = 1_000
"""Doubles that are folded in one turn at most, some milliseconds."""

REACHED_AT_ONCE = 64
"""Doubles that are looked at in one turn when the register that they wait for has come."""

_ENTRY = struct.Struct("<IqIQI")
"""Counter as a number, by, winner's stream as a number, its seq, the tick of its birth."""

_Register: TypeAlias = tuple[Stream, str]


class LeftOut(NamedTuple):
    """A counter's value leaves out `by` more from now on, since an event or a correction."""

    stream: Stream
    seq: int
    counter: str
    by: int


class Change(NamedTuple):
    """What a change of doubles means for values."""

    left_out: list[LeftOut]
    corrected: list[str]
    """Counters whose correction has changed."""


class _Corrections:
    """Those of one stream."""

    __slots__ = ("names", "of")

    def __init__(self) -> None:
        self.names: list[str] = []
        """Their counters in order."""
        self.of: dict[str, Correction] = {}


class Doubles:
    """The doubles and corrections that are held."""

    def __init__(self, seq_of: Callable[[Stream, str], int]) -> None:
        """`seq_of` tells how far the register of (stream, counter) has come."""
        self._seq_of = seq_of
        self._winners: Numbered[Stream] = Numbered()
        self._counters: Numbered[str] = Numbered()
        self._orders: dict[Stream, Order] = {}
        self.awaited: dict[_Register, list[tuple[int, Stream, int]]] = {}
        """By register: the seq that it has not reached, and the (stream, seq) of the double that
        waits for it; one that waits for two stands at its own. To be read."""
        self.behind: dict[_Register, tuple[int, Stream, int]] = {}
        """By register that has come, while not all were looked at that waited: the last one that
        was. To be read."""
        self._corrections: dict[Stream, _Corrections] = {}
        self._count = 0
        self._tallies = Tallies()
        self.left_out = 0
        """Events that are left out of values."""
        self.looked = 0
        """How often a double was looked at in order to fold some, so far."""

    def __len__(self) -> int:
        return self._count

    def has(self, stream: Stream, seq: int) -> bool:
        """Whether a double is held that says that an event has lost."""
        order = self._orders.get(stream)
        return order is not None and order.get(seq) is not None

    def of(self, stream: Stream, above: int, now: float) -> Iterator[Double]:
        """The doubles of a stream with seq > `above`, smallest first."""
        order = self._orders.get(stream)
        for seq, entry in order.ascending(above) if order else ():
            yield self._double(seq, entry, now)

    def at(self, stream: Stream, seq: int, now: float) -> Double | None:
        """The double that says that an event has lost."""
        order = self._orders.get(stream)
        entry = order.get(seq) if order else None
        return None if entry is None else self._double(seq, entry, now)

    def correction(self, stream: Stream, counter: str) -> Correction | None:
        """What was folded of a stream on one counter."""
        held = self._corrections.get(stream)
        return held.of.get(counter) if held is not None else None

    def corrections(self, stream: Stream, after: str = "") -> Iterator[Correction]:
        """What was folded of a stream on counters > `after`, in their order."""
        held = self._corrections.get(stream)
        if held is not None:
            for place in range(bisect_right(held.names, after), len(held.names)):
                yield held.of[held.names[place]]

    def moves(self) -> Iterator[tuple[Stream, int]]:
        """By how much the sums of streams move, since this was asked last."""
        return self._tallies.moves()

    # --- joining -----------------------------------------------------------------------------

    def add(self, stream: Stream, double: Double, now: float) -> Change | None:
        """Enter a double; None if that is known, or it comes too late."""
        folded = self.correction(stream, double.counter)
        if folded is not None and double.seq <= folded.seq:
            return None
        order = self._orders.setdefault(stream, Order())
        held = order.get(double.seq)
        left_out = list[LeftOut]()
        if held is not None:
            before = self._double(double.seq, held, now)
            if before.said <= double.said:
                return None
            left_out = self._stop(stream, before)
            self._tallies.move(stream, before.counter, digest=-hash_of(stream, before))
            self._remove(order, double.seq, held)
        entry = _ENTRY.pack(
            self._counters.use(double.counter),
            double.by,
            self._winners.use(double.winner),
            double.winner_seq,
            born(double.age, now),
        )
        order.put(double.seq, entry)
        self._count += held is None
        self._tallies.move(stream, double.counter, digest=hash_of(stream, double))
        return Change(left_out + self._begin(stream, double), [])

    def reached(self, stream: Stream, counter: str, seq: int) -> list[LeftOut]:
        """A register has come up to `seq`: what is left out by that, or by the first of it; then
        there is something to `catch_up` with."""
        register = (stream, counter)
        waiting = self.awaited.get(register)
        if waiting is None:
            return []
        count = bisect_right(waiting, seq, key=_seq_of)
        done = waiting[: min(count, REACHED_AT_ONCE)]
        del waiting[: len(done)]
        self.behind.pop(register, None)
        if len(done) < count:
            self.behind[register] = done[-1]
        if not waiting:
            del self.awaited[register]
        left_out: list[LeftOut] = []
        for _, loser, loser_seq in done:
            double = self.at(loser, loser_seq, 0.0)
            assert double is not None
            left_out += self._begin(loser, double)
        return left_out

    def catch_up(self) -> list[LeftOut]:
        """Look at some of them; what is left out by that."""
        register = next(iter(self.behind), None)
        return self.reached(*register, self._seq_of(*register)) if register else []

    def correct(self, stream: Stream, correction: Correction, now: float) -> Change | None:
        """Join a correction whose register is here; None if it is known, or has not come as far
        as the one held, or must come again, as there is too much to fold first."""
        counter, seq = correction.counter, correction.seq
        held = self.correction(stream, counter) or Correction(counter, 0, 0, 0, 0)
        if seq < held.seq or correction == held:
            return None
        below = self._count_upto(stream, seq) if seq > held.seq else 0
        if below > FOLDED_AT_ONCE:
            return self.fold(stream, FOLDED_AT_ONCE, now)
        change = self.fold(stream, below, now, counter)
        own = (self.correction(stream, counter) or held)._replace(seq=seq)
        best = max(own, correction, key=_weight)
        self._put(stream, best)
        self.left_out += best.lost - own.lost
        lost, out, digest = (new - old for new, old in zip(best[2:], own[2:], strict=True))
        self._tallies.move(stream, counter, digest=digest, lost=lost, out=out)
        left_out = [LeftOut(stream, seq, counter, out)] if out else []
        return Change(change.left_out + left_out, [counter])

    # --- folding -----------------------------------------------------------------------------

    def old(self, stream: Stream, age: int, limit: int, now: float) -> int:
        """How many doubles of a stream, of the first `limit`, are at least so old, from the first
        one on."""
        count = 0
        for double in self.of(stream, 0, now):
            if count == limit or double.age < age:
                break
            count += 1
        return count

    @property
    def streams(self) -> list[Stream]:
        """The streams that have doubles, the latest one first."""
        return list(reversed(self._orders))

    def fold(self, stream: Stream, count: int, now: float, counter: str | None = None) -> Change:
        """Fold the doubles among the first `count` of a stream, all or those on one counter."""
        change = Change([], [])
        order = self._orders.get(stream)
        if order is None:
            return change
        corrected: dict[str, None] = {}
        first = list(islice(order.ascending(0), count))
        self.looked += len(first)
        for seq, entry in reversed(first):
            double = self._double(seq, entry, now)
            if counter is None or double.counter == counter:
                change.left_out.extend(self._fold(stream, double))
                self._remove(order, seq, entry)
                corrected[double.counter] = None
        if not order:
            del self._orders[stream]
        return change._replace(corrected=list(corrected))

    def _fold(self, stream: Stream, double: Double) -> list[LeftOut]:
        """Fold one double; what values leave out no more where it is dropped."""
        held = self.correction(stream, double.counter)
        _, seq, lost, out, digest = held or Correction(double.counter, 0, 0, 0, 0)
        own, left_out = hash_of(stream, double), list[LeftOut]()
        if self._waits_for(stream, double) is None and abs(out + double.by) <= TOTAL_MAX:
            lost, out, digest = lost + 1, out + double.by, (digest + own) & MASK_64
        else:
            left_out = self._stop(stream, double)
            self._tallies.move(stream, double.counter, digest=-own)
        self._count -= 1
        folded = Correction(double.counter, max(seq, double.seq), lost, out, digest)
        self._put(stream, folded)
        return left_out

    def _put(self, stream: Stream, correction: Correction) -> None:
        held = self._corrections.setdefault(stream, _Corrections())
        if correction.counter not in held.of:
            insort(held.names, correction.counter)
        held.of[correction.counter] = correction

    # --- entries -----------------------------------------------------------------------------

    def _count_upto(self, stream: Stream, seq: int) -> int:
        """How many doubles of a stream are not above a seq; of too many to fold at once, just so
        many."""
        order = self._orders.get(stream)
        first = islice(order.ascending(0) if order else (), FOLDED_AT_ONCE + 1)
        return sum(1 for _ in takewhile(lambda each: each[0] <= seq, first))

    def _remove(self, order: Order, seq: int, entry: bytes) -> None:
        counter, _, winner, *_ = _ENTRY.unpack(entry)
        self._counters.release(counter)
        self._winners.release(winner)
        order.remove(seq)

    def _double(self, seq: int, entry: bytes, now: float) -> Double:
        counter, by, winner, winner_seq, born_at = _ENTRY.unpack(entry)
        age = age_of(born_at, now)
        return Double(self._counters[counter], seq, by, self._winners[winner], winner_seq, age)

    def _waits_for(self, stream: Stream, double: Double) -> tuple[_Register, int] | None:
        """The register that a double waits for, and up to where; None where its event is left
        out."""
        for of, seq in ((stream, double.seq), (double.winner, double.winner_seq)):
            register = (of, double.counter)
            behind = self.behind.get(register)
            if self._seq_of(*register) < seq or (
                behind is not None and (seq, stream, double.seq) > behind
            ):
                return register, seq
        return None

    def _begin(self, stream: Stream, double: Double) -> list[LeftOut]:
        wanted = self._waits_for(stream, double)
        if wanted is None:
            self.left_out += 1
            self._tallies.move(stream, double.counter, lost=1, out=double.by)
            return [LeftOut(stream, double.seq, double.counter, double.by)]
        register, seq = wanted
        insort(self.awaited.setdefault(register, []), (seq, stream, double.seq))
        return []

    def _stop(self, stream: Stream, double: Double) -> list[LeftOut]:
        wanted = self._waits_for(stream, double)
        if wanted is None:
            self.left_out -= 1
            self._tallies.move(stream, double.counter, lost=-1, out=-double.by)
            return [LeftOut(stream, double.seq, double.counter, -double.by)]
        register, seq = wanted
        waiting = self.awaited[register]
        del waiting[bisect_left(waiting, (seq, stream, double.seq))]
        if not waiting:
            del self.awaited[register]
            self.behind.pop(register, None)
        return []


def hash_of(stream: Stream, double: Double) -> int:
    """What a double adds to the digest of its tally."""
    return hash64("d", stream, *double.said)


def _seq_of(waiting: tuple[int, Stream, int]) -> int:
    return waiting[0]


def _weight(correction: Correction) -> tuple[int, int, int, int]:
    return correction.lost, abs(correction.out), correction.out, correction.digest
