"""Which pass a stream gets that a peer holds otherwise: one for what seems to be missing.

Mostly that is what lies above the version. What lies below it, as doubles and corrections do, is
asked for where that was in vain, or where a stream goes on and is found unequal all the time.
"""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

from gossipd.core.identity import SOURCE_BIT, Stream
from gossipd.core.log.log import Log
from gossipd.core.log.passes import Pass
from gossipd.core.swim.life import Life
from gossipd.core.wire.records import Leaf

DEEP_AFTER = 60.0
"""Seconds between two passes from 0 over one stream whose versions agree and hashes do not, and
between two for all doubles of one that is unequal all the time."""

LONG_AFTER = 10
"""x `pull_interval`: a stream that repairs have found unequal all the time is asked for all of its
doubles, for as long as it moves on nothing else shows whether some are missing ..."""

LONG_PAUSE = 5
"""... x `pull_interval`: and one that they have not found so for this long, was equal."""

FORGOTTEN_AT_ONCE = 2
"""Streams that were equal, which are forgotten for each that is not."""

RUNS_MAX = 1_000
"""Runs of key records that are looked at to find what a pass lacks."""


class _Tried(NamedTuple):
    """What passes over a stream whose version equals that of others, and whose hash does not,
    have brought: nothing. Whom others it is equal with says nothing of that."""

    mine: Leaf
    """What was held."""
    passes: int
    """How many in a row."""
    deep_at: float
    """When one was from 0 last."""


class _Unequal(NamedTuple):
    """Of a stream that is held and was found unequal."""

    seen_at: float
    """When that was last."""
    whole_at: float
    """From when on it is asked for all doubles, if it is unequal until then."""


class Differing:
    """The streams that differ, as the repairs of one node find them."""

    def __init__(self, log: Log, life: Life, pull_interval: float) -> None:
        self._log = log
        self._life = life
        self._interval = pull_interval
        self._tried: dict[Stream, _Tried] = {}
        self._unequal: dict[Stream, _Unequal] = {}
        """Both of streams that are held."""
        self._doubted: dict[Stream, None] = {}
        """Streams that differ though their version does not, and for whose doubles nobody has been
        asked in this repair."""

    def pass_over(self, leaf: Leaf, nonce: int, now: float) -> Pass | None:
        """The pass for what a peer showed in its answer to `nonce`; None where nothing of it is
        missing here."""
        stream, mine = leaf.stream, self._log.leaf_shown(leaf.stream, nonce)
        if leaf.version < mine.version or leaf == mine:
            return None
        if self._log.holds(stream) and self._is_long_unequal(stream, now):
            is_source = stream[0] & SOURCE_BIT  # of which the one register differs
            return Pass(0 if is_source else mine.version, True)
        if leaf.version > mine.version:
            return self._short_pass(stream, mine.version)
        found = self._pass_of_unequal(stream, now)
        if not found.doubles:
            self._doubted[stream] = None
        return found

    def passed(self, stream: Stream, gained: int) -> bool:
        """A pass is over that has brought so many records; whether all that the peer has of the
        stream is here, as far as that can be told."""
        if gained or not self._log.holds(stream):
            return True
        mine, before = self._log.leaf(stream), self._tried.get(stream)
        passes = before.passes + 1 if before is not None and before.mine == mine else 1
        deep_at = before.deep_at if before is not None else float("-inf")
        self._tried[stream] = _Tried(mine, passes, deep_at)
        return stream not in self._doubted

    def ended(self) -> None:
        """The repair is over."""
        self._doubted = {}

    def _is_long_unequal(self, stream: Stream, now: float) -> bool:
        """Whether repairs have found it so for long, and it is time to ask for all doubles."""
        pause = LONG_PAUSE * self._interval
        held = self._unequal.pop(stream, None)
        for oldest in list(islice(self._unequal, FORGOTTEN_AT_ONCE)):
            if now - self._unequal[oldest].seen_at > pause:
                del self._unequal[oldest]
        if held is None or now - held.seen_at > pause:
            held = _Unequal(now, now + LONG_AFTER * self._interval)
        is_long = now >= held.whole_at
        whole_at = now + DEEP_AFTER if is_long else held.whole_at
        self._unequal[stream] = _Unequal(now, whole_at)
        return is_long

    def _short_pass(self, stream: Stream, start: int) -> Pass:
        """One that skips what is held."""
        runs = self._log.keys.runs
        return Pass(start, runs=lambda seq: islice(runs(stream, seq), RUNS_MAX))

    def _pass_of_unequal(self, stream: Stream, now: float) -> Pass:
        """From the version, which finds records above it; if that was in vain, all of these, with
        doubles; and if that was, too, once from 0. A node that is not ready asks for doubles at
        once: it waits for a walk that lacks none, and where a stream goes on all the time, and
        versions of gossipd hash it differently, each first pass would be in vain."""
        if stream[0] & SOURCE_BIT or not self._log.holds(stream):
            return Pass(0, True)  # the one register differs, or everything is wanted
        mine, before = self._log.leaf(stream), self._tried.get(stream)
        if before is None or before.mine != mine:
            ready = self._life.ready
            return self._short_pass(stream, mine.version) if ready else Pass(mine.version, True)
        if before.passes > 1 and now - before.deep_at >= DEEP_AFTER:
            self._tried[stream] = before._replace(deep_at=now)
            return Pass(0, True)
        return Pass(mine.version, True)
