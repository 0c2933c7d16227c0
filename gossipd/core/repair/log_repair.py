"""Repair of the log: pull what a peer holds and this node does not.

See gossipd/core/README.md#repair-of-the-log.

A repair walks the digest of one peer where it differs and passes over the streams found, both at
once: each step asks for a few prefixes and a few streams, and the next step begins when all of
them are answered, or asks again for what is missing. At most one repair runs, at most one begins
per `pull_interval`. A peer that answers nothing three times, the last time for smaller packets, is
left for another, which goes on where the first one stopped: a prefix or a page may come from
anybody. So is one that goes on answering for long.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from itertools import chain, islice
from typing import NamedTuple

from gossipd.core.durability.retention import Retention
from gossipd.core.gossip.dissemination import Dissemination
from gossipd.core.gossip.packets import PacketBuilder
from gossipd.core.identity import Stream
from gossipd.core.log.learning import Learning
from gossipd.core.log.log import Log
from gossipd.core.log.passes import Pass
from gossipd.core.means import Means
from gossipd.core.settings import DATAGRAM_SIZE_FLOOR
from gossipd.core.swim.health import Health
from gossipd.core.swim.life import Life
from gossipd.core.swim.members import MemberTable
from gossipd.core.swim.questions import Questions
from gossipd.core.swim.readiness import Readiness
from gossipd.core.swim.showing import Showing
from gossipd.core.timers import Timer
from gossipd.core.turn import Turn
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.encoding import pass_item_size
from gossipd.core.wire.messages import (
    DIGEST_BITS,
    DIGEST_DEPTH_MAX,
    DIGEST_FANOUT,
    PAGES_MAX,
    PASS_ITEMS_MAX,
    Digest,
    DigestAsk,
    MemberView,
    Pages,
    PassAsk,
)
from gossipd.core.wire.records import Correction, Page, PassItem

from .differing import Differing
from .patience import Patience
from .turns import PEER_SECONDS, Turns

ASKS_MAX = 3
"""Times a question is asked of one peer."""

FOLLOWS_IN = 4
"""Once something has come of an answer, the rest of it is waited for by so much shorter."""

PEERS_MAX = 3
"""Peers that one repair tries."""

DIGESTS_AT_ONCE = 16
"""Prefixes asked for in one step."""

_PASSES = (-1, -1)
"""Stands for the passes among the prefixes that a step has asked for."""

NEWS_MAX = 64
"""A pass that brought at most so many records is news for others; more is left to repair."""

NEWS_STREAMS_MAX = 64
"""Streams of which one repair makes news at most. A node that is not ready makes none: what it
lacks the others have."""

PASSES_MAX = 1024
"""Passes under way from which on no further prefixes are asked for."""

DIGESTS_MAX = 100_000
"""Answers to prefixes that one repair uses at most, so that no peer can lead it on for ever."""


class _Pull(NamedTuple):
    """All that a peer is asked in one repair."""

    peer: str


@dataclass(eq=False, repr=False)
class LogRepair:
    """The one repair of the log that runs, and the answers to those of others."""

    means: InitVar[Means]
    _members: MemberTable
    _log: Log
    _packet_builder: PacketBuilder
    _questions: Questions
    _health: Health
    _life: Life
    _learning: Learning
    _dissemination: Dissemination
    _readiness: Readiness
    _retention: Retention
    _showing: Showing

    def __post_init__(self, means: Means) -> None:
        self._settings, self._rng, self._timers = means
        self._peer: MemberView | None = None
        self._turns = Turns(self._rng)
        self._patience = Patience(ASKS_MAX * self._settings.pull_timeout)
        self._peers_tried = 0
        self._turned_at = float("-inf")
        """Since when the present peer is asked."""
        self._whole = True
        """Whether one peer has answered everything so far."""
        self._next_at = float("-inf")
        self._nonce = 0
        self._asks = 0
        self._moved = False
        """Whether a pass has come forward since the last asking."""
        self._digests_left = 0
        self._news_left = 0
        self._prefixes: dict[tuple[int, int], None] = {}
        """(depth, prefix) of the digest's nodes that differ and have not been looked into."""
        self._open: dict[tuple[int, int], None] = {}
        """What the present step has asked for and not got: prefixes, and `_PASSES`."""
        self._passes: dict[Stream, Pass] = {}
        self._gained: dict[Stream, int] = {}
        self._corrections: dict[tuple[Stream, str], Correction] = {}
        """What pages have brought of them, by register."""
        self._differing = Differing(self._log, self._life, self._settings.pull_interval)

    # --- asking ------------------------------------------------------------------------------

    def want(self, peer: str, turn: Turn, urgent: bool = False) -> None:
        """A peer's log differs from this one: repair from it unless one runs or just ran."""
        if self._peer is None and (urgent or turn.now >= self._next_at):
            peer = self._turns.of(peer, self._differ, urgent=urgent)
            self._next_at = turn.now + self._settings.pull_interval
            self._peers_tried, self._whole = 1, True
            turn.tally.repairs["log"] += 1
            self._begin(peer, turn)

    def _differ(self, beside: str) -> list[str]:
        return self._showing.differ(beside, log=True)

    def digest_came(self, digest: Digest, turn: Turn) -> None:
        """What a peer holds below a prefix: descend, or note the streams to pass over."""
        prefix = (digest.depth, digest.prefix)
        pull = self._questions.get(_Pull, digest.nonce)
        if pull is None or prefix not in self._open:
            turn.drop(Drop.UNASKED)
            return
        self._digests_left -= 1
        if not self._digests_left:
            self._end()
            return
        del self._prefixes[prefix], self._open[prefix]
        if digest.leaves is not None:
            for leaf in digest.leaves:
                found = self._differing.pass_over(leaf, digest.nonce, turn.now)
                if found is not None:
                    self._passes[leaf.stream] = found
        elif digest.sums is not None and digest.depth < DIGEST_DEPTH_MAX:
            mine = self._log.sums_shown(*prefix, digest.nonce)
            first = digest.prefix << DIGEST_BITS
            for child in range(DIGEST_FANOUT):
                if digest.sums[child] and digest.sums[child] != mine[child]:
                    self._prefixes[digest.depth + 1, first + child] = None
        self._go_on(turn)

    def pages_came(self, pages: Pages, turn: Turn) -> None:
        """Pages of passes: every record merges, whoever sent it and whenever."""
        if not self._passes:
            turn.drop(Drop.UNASKED)
            return
        for page in pages.pages:
            self._use(page, turn)
        if self._takes_long(turn):
            return
        # Who answers with nothing is not asked on at once, for that would never end.
        answered = pages.last and pages.nonce == self._nonce and self._moved
        if answered or not self._passes:
            self._open.pop(_PASSES, None)
            self._go_on(turn)

    def _use(self, page: Page, turn: Turn) -> None:
        """Corrections wait for the end of the repair."""
        running = self._passes.get(page.stream)
        lesson = self._learning.page(page, running, turn.company, turn.now)
        turn.heed(lesson)
        if Drop.KEYS_FULL in lesson.drops:
            self._retention.make_room(turn)
        for correction in page.corrections:
            if correction.seq <= self._log.register(page.stream, correction.counter)[0]:
                self._corrections[page.stream, correction.counter] = correction
        if running is None:
            return
        if lesson.moved or (lesson.new and page.start <= running.start):
            self._moved = True
            self._progressed(turn)
        if Drop.STREAMS_FULL in lesson.drops:
            del self._passes[page.stream]
            self._gained.pop(page.stream, None)
            self._whole, self._moved = False, True
            return
        if not lesson.whole:
            # The same page brings more when it is asked for again, behind those of others.
            self._passes[page.stream] = self._passes.pop(page.stream)
            return
        self._gained[page.stream] = self._gained.get(page.stream, 0) + lesson.new
        if running.complete:
            self._finish_pass(page.stream, running, turn)

    def unanswered(self, turn: Turn) -> None:
        """Something that was asked for has not come in time."""
        asked = self._peer
        assert asked is not None
        live = self._members.live
        if self._asks < ASKS_MAX and asked.name in live:
            self._ask(turn)
            return
        others = [name for name in live if name != asked.name]
        if others and self._peers_tried < PEERS_MAX:
            self._peers_tried += 1
            self._turn_to(self._rng.choice(others), turn)
        else:
            self._patience.in_vain(self._life, turn.now)
            self._end()

    def _takes_long(self, turn: Turn) -> bool:
        """Whether there is more to ask, and another peer is asked from now on."""
        asked = self._peer
        assert asked is not None
        if turn.now - self._turned_at < PEER_SECONDS or not (self._prefixes or self._passes):
            return False
        others = [name for name in self._members.live if name != asked.name]
        if others:
            self._turn_to(self._rng.choice(others), turn)
        return bool(others)

    def _begin(self, peer: str, turn: Turn) -> None:
        self._prefixes = {(0, 0): None}
        self._digests_left = DIGESTS_MAX
        self._news_left = NEWS_STREAMS_MAX
        self._turn_to(peer, turn)

    def _turn_to(self, peer: str, turn: Turn) -> None:
        self._whole = self._whole and self._peer is None
        self._peer = self._members.get(peer)
        self._turned_at = turn.now
        # One nonce for all that one peer is asked: on a slow link a late answer is as good, also
        # that of a peer that was left.
        self._nonce = self._questions.ask(_Pull(peer), PEERS_MAX, turn.now)
        self._asks = 0
        self._ask(turn)

    def _end(self) -> None:
        self._peer = None
        self._prefixes = {}
        self._passes = {}
        self._gained = {}
        self._corrections = {}
        self._differing.ended()
        self._questions.give_up(_Pull)
        self._timers.cancel(Timer.PULL)

    def _go_on(self, turn: Turn) -> None:
        """Something was answered: go on when all is, end when there is nothing left."""
        assert self._peer is not None
        self._progressed(turn)
        if not self._prefixes and not self._passes:
            peer, whole = self._peer.name, self._whole
            self._retention.correct(self._corrections, turn)
            self._end()
            if whole:
                self._readiness.walked(peer, turn)
        elif not self._open and not self._takes_long(turn):
            self._ask(turn)

    def _ask(self, turn: Turn) -> None:
        """Ask for the first few prefixes and streams of those that are missing."""
        assert self._peer is not None
        self._moved = False
        self._wait(self._settings.pull_timeout, turn)
        if not self._asks:
            self._patience.asks(turn.now)
        self._asks += 1
        settings = self._settings
        size = settings.datagram_size if self._asks < ASKS_MAX else DATAGRAM_SIZE_FLOOR
        # The deepest first, and none while there is much to pass over: so neither list grows long.
        deepest = reversed(self._prefixes) if len(self._passes) < PASSES_MAX else ()
        self._open = dict.fromkeys(islice(deepest, DIGESTS_AT_ONCE))
        asks: list[DigestAsk | PassAsk] = [
            DigestAsk(self._nonce, *prefix, size) for prefix in self._open
        ]
        if self._passes:
            self._open[_PASSES] = None
            asks.append(self._pass_ask(size))
        for ask in asks:
            turn.send(ask, self._peer.address, self._peer.name)

    def _progressed(self, turn: Turn) -> None:
        """Something has come: the rest is on its way, or lost."""
        self._patience.answered(turn.now)
        self._asks = 0
        self._wait(self._settings.pull_timeout / FOLLOWS_IN, turn)

    def _wait(self, wait: float, turn: Turn) -> None:
        factor = self._health.factor * self._patience.factor
        self._timers.set(Timer.PULL, turn.now + wait * factor)

    def _pass_ask(self, size: int) -> PassAsk:
        """As many of the passes under way as one datagram can ask for."""
        age = self._retention.age_wanted
        empty = PassAsk(self._nonce, (), PAGES_MAX, size, age)
        room = self._packet_builder.room(empty, size)
        items: list[PassItem] = []
        passes = self._passes.items()
        for item in chain.from_iterable(running.wishes(stream) for stream, running in passes):
            room -= pass_item_size(item)
            if room < 0 or len(items) == PASS_ITEMS_MAX:
                break
            items.append(item)
        return PassAsk(self._nonce, tuple(items), PAGES_MAX, size, age)

    def _finish_pass(self, stream: Stream, running: Pass, turn: Turn) -> None:
        del self._passes[stream]
        gained = self._gained.pop(stream, 0)
        self._whole &= self._differing.passed(stream, gained)
        if self._life.ready and 0 < gained <= NEWS_MAX and self._news_left:
            self._news_left -= 1
            self._dissemination.push_log(stream, running.start, turn)
