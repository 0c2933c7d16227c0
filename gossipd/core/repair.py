"""Repair of the log: pull what a peer holds and this node does not (design section 5).

A repair walks the digest of one peer where it differs, then asks for passes over the streams
found. At most one runs, at most one begins per `pull_interval`. A question that stays open is
asked again, at last for smaller pages, then the repair goes on at another peer: what was learned
stays.
"""

from __future__ import annotations

from .answering import answer_digest, answer_passes
from .codec import DIGEST_BITS, DIGEST_DEPTH_MAX, DIGEST_FANOUT, PAGES_MAX, PASS_ITEMS_MAX
from .drops import Drop
from .gossiping import Gossiping
from .identity import Stream
from .messages import (
    Digest,
    DigestAsk,
    Group,
    Leaf,
    MemberView,
    Pages,
    PassAsk,
    PassItem,
    Register,
)
from .passes import Pass
from .readiness import Readiness
from .settings import DATAGRAM_SIZE_FLOOR
from .state import State, Turn
from .timers import Timer

ASKS_MAX = 3
"""Times a question is asked of one peer."""

PEERS_MAX = 3
"""Peers that one repair tries."""

DEEP_AFTER = 60.0
"""Seconds between two passes from 0 over one stream whose versions agree and hashes do not."""

NEWS_MAX = 64
"""A pass that brought at most so many registers is news for others; more is left to repair."""


class LogRepair:
    """The one repair of the log that runs, and the answers to those of others."""

    def __init__(self, state: State, gossiping: Gossiping, readiness: Readiness) -> None:
        self._state = state
        self._gossiping = gossiping
        self._readiness = readiness
        self._peer: MemberView | None = None
        self._peers_tried = 0
        self._next_at = float("-inf")
        self._nonce = 0
        self._asks = 0
        self._prefixes: list[tuple[int, int]] = []
        self._passes: dict[Stream, Pass] = {}
        self._gained: dict[Stream, int] = {}
        self._unequal: dict[Stream, tuple[int, int, int]] = {}
        """Streams passed over from their version in vain: (version, our hash, theirs)."""
        self._deep_at: dict[Stream, float] = {}

    # --- the log's own rules -----------------------------------------------------------------

    def learn(self, group: Group, turn: Turn) -> bool:
        """Join news of the log; what was new goes on to others. False if there is no room."""
        version = self._state.log.version(group.stream)
        gained = self._merge(group.stream, group.registers, turn)
        if gained is None:
            return False
        claimed = version >= group.start and self._claim(group.stream, group.to)
        if gained or claimed:
            self._gossiping.push_log(group.stream, min(group.start, version), turn)
        return True

    def _merge(self, stream: Stream, registers: tuple[Register, ...], turn: Turn) -> int | None:
        """How many registers went up; None, and nothing may be claimed, when they do not fit."""
        advances = self._state.log.merge(stream, registers)
        if advances is None:
            turn.drop(Drop.STREAMS_FULL)
            return None
        if advances:
            self._state.tail.append(advances, turn.now)
            self._state.writer.heard_more_of(stream)
        return len(advances)

    def _claim(self, stream: Stream, version: int) -> bool:
        if not self._state.log.claim(stream, version):
            return False
        self._state.writer.heard_more_of(stream)
        return True

    # --- asking ------------------------------------------------------------------------------

    def want(self, peer: str, turn: Turn, urgent: bool = False) -> None:
        """A peer's log differs from this one: repair from it unless one runs or just ran."""
        if self._peer is None and (urgent or turn.now >= self._next_at):
            self._next_at = turn.now + self._state.settings.pull_interval
            self._peers_tried = 1
            self._begin(peer, turn)

    def digest_came(self, digest: Digest, turn: Turn) -> None:
        """What a peer holds below a prefix: descend, or note the streams to pass over."""
        wanted = (digest.depth, digest.prefix)
        if digest.nonce != self._nonce or wanted not in self._prefixes[-1:]:
            turn.drop(Drop.UNASKED)
            return
        self._prefixes.pop()
        if digest.leaves is not None:
            for leaf in digest.leaves:
                self._compare(leaf, turn.now)
        elif digest.sums is not None and digest.depth < DIGEST_DEPTH_MAX:
            mine = self._state.log.sums_below(digest.depth, digest.prefix)
            first = digest.prefix << DIGEST_BITS
            self._prefixes += [
                (digest.depth + 1, first + child)
                for child in range(DIGEST_FANOUT)
                if digest.sums[child] and digest.sums[child] != mine[child]
            ]
        self._ask(turn)

    def pages_came(self, pages: Pages, turn: Turn) -> None:
        """Pages of passes: every record merges, whoever sent it and whenever."""
        if not self._passes:
            turn.drop(Drop.UNASKED)
            return
        for page in pages.pages:
            gained = self._merge(page.stream, page.registers, turn)
            running = self._passes.get(page.stream)
            if running is None or gained is None:
                continue
            self._gained[page.stream] = self._gained.get(page.stream, 0) + gained
            if running.use(page):
                self._asks = 0
            if running.complete:
                self._finish_pass(page.stream, running, turn)
        expected = pages.nonce == self._nonce and pages.last
        if expected or not (self._prefixes or self._passes):
            self._ask(turn)

    def unanswered(self, turn: Turn) -> None:
        """The question that is open has not been answered in time."""
        asked = self._peer
        assert asked is not None
        live = self._state.members.live
        if self._asks < ASKS_MAX and asked.name in live:
            self._ask_once_more(turn)
            return
        others = [name for name in live if name != asked.name]
        if others and self._peers_tried < PEERS_MAX:
            self._peers_tried += 1
            self._begin(self._state.rng.choice(others), turn)
        else:
            self._end()

    def _begin(self, peer: str, turn: Turn) -> None:
        self._peer = self._state.members.get(peer)
        self._prefixes = [(0, 0)]
        self._passes = {}
        self._gained = {}
        self._ask(turn)

    def _end(self) -> None:
        self._peer = None
        self._prefixes = []
        self._passes = {}
        self._gained = {}
        self._state.timers.cancel(Timer.PULL)

    def _ask(self, turn: Turn) -> None:
        """Ask the next question: first the digest, prefix by prefix, then the passes."""
        assert self._peer is not None
        if not self._prefixes and not self._passes:
            peer = self._peer.name
            self._end()
            self._readiness.walked(peer, turn)
            return
        self._asks = 0
        self._nonce = self._state.rng.getrandbits(64)
        self._ask_once_more(turn)

    def _ask_once_more(self, turn: Turn) -> None:
        """The nonce stays: on a slow link the answer to an earlier asking is as good."""
        assert self._peer is not None
        self._asks += 1
        if self._prefixes:
            ask: DigestAsk | PassAsk = DigestAsk(self._nonce, *self._prefixes[-1])
        else:
            items = [
                PassItem(stream, running.start, running.after)
                for stream, running in list(self._passes.items())[:PASS_ITEMS_MAX]
            ]
            settings = self._state.settings
            size = settings.datagram_size if self._asks < ASKS_MAX else DATAGRAM_SIZE_FLOOR
            ask = PassAsk(self._nonce, tuple(items), PAGES_MAX, size)
        wait = self._state.settings.pull_timeout * self._state.health.factor
        self._state.timers.set(Timer.PULL, turn.now + wait)
        turn.send(ask, self._peer.address, self._peer.name)

    def _compare(self, leaf: Leaf, now: float) -> None:
        mine = self._state.log.leaf(leaf.stream)
        if leaf.version > mine.version:
            self._passes[leaf.stream] = Pass(mine.version)
        elif leaf.version == mine.version and leaf.digest != mine.digest:
            self._passes[leaf.stream] = Pass(self._start_of_unequal(mine, leaf, now))

    def _start_of_unequal(self, mine: Leaf, theirs: Leaf, now: float) -> int:
        """From the version, which finds records above it; if that was in vain, once from 0."""
        unequal = (mine.version, mine.digest, theirs.digest)
        last_deep = self._deep_at.get(mine.stream, float("-inf"))
        if self._unequal.get(mine.stream) == unequal and now - last_deep >= DEEP_AFTER:
            self._deep_at[mine.stream] = now
            return 0
        self._unequal[mine.stream] = unequal
        return mine.version

    def _finish_pass(self, stream: Stream, running: Pass, turn: Turn) -> None:
        del self._passes[stream]
        assert running.claim is not None
        self._claim(stream, running.claim)
        if 0 < self._gained.pop(stream, 0) <= NEWS_MAX:
            self._gossiping.push_log(stream, running.start, turn)

    # --- answering ---------------------------------------------------------------------------

    def digest_asked(self, ask: DigestAsk, asker: str, turn: Turn) -> None:
        """Tell what is below a prefix."""
        turn.send(answer_digest(self._state, ask), turn.source, asker)

    def passes_asked(self, ask: PassAsk, asker: str, turn: Turn) -> None:
        """Send pages; somebody whose address is not a member's gets what 3x allows."""
        for pages in answer_passes(self._state, ask):
            turn.send(pages, turn.source, asker)
