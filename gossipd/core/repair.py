"""Repair of the log: pull what a peer holds and this node does not (README.md#repair-of-the-log).

A repair walks the digest of one peer where it differs and passes over the streams found, both at
once: each step asks for a few prefixes and a few streams, and the next step begins when all of
them are answered, or asks again for what is missing. At most one repair runs, at most one begins
per `pull_interval`. A peer that answers nothing three times, the last time for smaller packets, is
left for another, which goes on where the first one stopped: a prefix or a page may come from
anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from .answering import Archive, Lack, answer_digest, answer_passes
from .drops import Drop
from .effects import KeysWanted
from .encoding import pass_item_size
from .gossiping import Gossiping
from .identity import SOURCE_BIT, Address, Stream
from .messages import (
    DIGEST_BITS,
    DIGEST_DEPTH_MAX,
    DIGEST_FANOUT,
    PAGES_MAX,
    PASS_ITEMS_MAX,
    Correction,
    Digest,
    DigestAsk,
    Group,
    KeyRecord,
    Leaf,
    MemberView,
    Page,
    Pages,
    PassAsk,
    PassItem,
)
from .passes import Pass
from .readiness import Readiness
from .retention import Retention
from .serving import Serving
from .settings import DATAGRAM_SIZE_FLOOR
from .state import State, Turn
from .timers import Timer
from .writer import Stored

ASKS_MAX = 3
"""Times a question is asked of one peer."""

PEERS_MAX = 3
"""Peers that one repair tries."""

DIGESTS_AT_ONCE = 16
"""Prefixes asked for in one step."""

_PASSES = (-1, -1)
"""Stands for the passes among the prefixes that a step has asked for."""

DEEP_AFTER = 60.0
"""Seconds between two passes from 0 over one stream whose versions agree and hashes do not."""

NEWS_MAX = 64
"""A pass that brought at most so many registers is news for others; more is left to repair."""

NEWS_STREAMS_MAX = 64
"""Streams of which one repair makes news at most. A node that is not ready makes none: what it
lacks the others have."""

PASSES_MAX = 1024
"""Passes under way from which on no further prefixes are asked for."""

ARCHIVED_AT_ONCE = 1_000
"""Key records read from the disk for one answer: as many as it can hold."""

DIGESTS_MAX = 100_000
"""Answers to prefixes that one repair uses at most, so that no peer can lead it on for ever."""


class LogRepair:
    """The one repair of the log that runs, and the answers to those of others."""

    def __init__(
        self,
        state: State,
        gossiping: Gossiping,
        readiness: Readiness,
        retention: Retention,
        serving: Serving,
    ) -> None:
        self._state = state
        self._gossiping = gossiping
        self._readiness = readiness
        self._retention = retention
        self._serving = serving
        self._peer: MemberView | None = None
        self._peers_tried = 0
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
        self._unequal: dict[Stream, tuple[int, int, int]] = {}
        """Streams passed over from their version in vain: (version, our hash, theirs)."""
        self._deep_at: dict[Stream, float] = {}

    # --- the log's own rules -----------------------------------------------------------------

    def learn(self, group: Group, turn: Turn) -> bool:
        """Join news of the log; what was new goes on to others. False if not all of it is used.

        Most of it comes several times: of key records, those that the version covers are held. In
        the own stream others would show a clone.
        """
        if not self._may_grow_by(group, turn):
            turn.drop(Drop.TOO_MUCH)
            return False
        shown = max((seq for _, seq, _ in group.registers), default=0)
        if group.to > group.start and not self._is_shown(group.stream, group.to, shown, turn):
            group = group._replace(to=group.start)
        version = self._state.log.version(group.stream)
        if group.keys and group.stream != self._state.writer.stream:
            above = tuple(record for record in group.keys if record.seq > version)
            group = group._replace(keys=above)
        gained, keys, whole = self._merge(group, turn)
        claimed = whole and version >= group.start and self._claim(group.stream, group.to)
        gained += self._merge_keys(group.stream, keys, turn)
        if gained or claimed:
            self._gossiping.push_log(group.stream, min(group.start, version), turn)
        return whole

    def _may_grow_by(self, group: Group, turn: Turn) -> bool:
        """Whether what is new in it is within its sender's budget."""
        state = self._state
        streams = 0 if state.log.holds(group.stream) else 1
        registers = state.log.new_registers(group.stream, group.registers)
        if not streams and not registers:
            return True
        is_proven = state.members.is_proven(turn.origin)
        return state.growth.takes(turn.origin, is_proven, streams, registers, turn.now)

    def _merge(self, of: Group | Page, turn: Turn) -> tuple[int, tuple[KeyRecord, ...], bool]:
        """Join registers; how many went up, the key records that are to be joined, too, and
        whether that is all. If not, nothing may be claimed."""
        log = self._state.log
        fits = not of.keys or log.has_room_for_keys(of.stream, len(of.keys))
        advances = log.merge(of.stream, of.registers)
        if advances:
            self._state.writer.heard_more_of(of.stream)
            turn.learn(advances)
        if advances is None:
            turn.drop(Drop.STREAMS_FULL)
        elif not fits:
            turn.drop(Drop.KEYS_FULL)
        if advances is None or not fits:
            return len(advances or ()), (), False
        keys = self._looked_at(of, turn)
        return len(advances), keys, len(keys) == len(of.keys)

    def _looked_at(self, of: Group | Page, turn: Turn) -> tuple[KeyRecord, ...]:
        """The first key records, as many as this input may still compare with others of the same
        keys. The rest comes again, when these are held and cost nothing."""
        for place, record in enumerate(of.keys):
            turn.company_left -= self._state.log.keys.company(of.stream, record, turn.now)
            if turn.company_left < 0:
                turn.company_left = 0
                turn.drop(Drop.CROWDED)
                return of.keys[:place]
        return of.keys

    def _merge_keys(self, stream: Stream, keys: tuple[KeyRecord, ...], turn: Turn) -> int:
        """How many key records were new. After the claim, as what a version covers need not be
        hashed."""
        keys = self._retention.accepted(stream, keys, turn.now)
        if not keys:
            return 0
        new, advances = self._state.log.merge_keys(stream, keys, turn.now)
        if new:
            self._state.writer.heard_more_of(stream)
        turn.learn(advances)
        return new

    def _merge_doubles(self, page: Page, turn: Turn) -> int:
        """How many of its doubles were new. Corrections wait for the end of the repair, for then
        the registers of all winners are here."""
        for correction in page.corrections:
            self._corrections[page.stream, correction.counter] = correction
        new, advances = self._state.log.enter(page.stream, page.doubles, turn.now, told=True)
        turn.learn(advances)
        return new

    def found_stored(self, stored: Stored, turn: Turn) -> None:
        """Of some keys the disk holds these events: some may be doubles."""
        log = self._state.log
        for key, events in stored.items():
            turn.learn(log.find_doubles({*events, *log.events(key)}, turn.now))

    def _is_shown(self, stream: Stream, version: int, shown: int, turn: Turn) -> bool:
        """Whether somebody has shown an event up to which everything is said to be held: there is
        always a register that has reached it. `shown`: the newest one that comes with the claim.
        """
        if version > shown:
            held = next(self._state.log.newest_first(stream, 0), ("", 0, 0))
            shown = held[1]
        if version > shown:
            turn.drop(Drop.FALSE_CLAIM)
        return version <= shown

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
        prefix = (digest.depth, digest.prefix)
        if digest.nonce != self._nonce or prefix not in self._prefixes:
            turn.drop(Drop.UNASKED)
            return
        self._digests_left -= 1
        if not self._digests_left:
            self._end()
            return
        del self._prefixes[prefix]
        self._open.pop(prefix, None)
        if digest.leaves is not None:
            for leaf in digest.leaves:
                self._compare(leaf, turn.now)
        elif digest.sums is not None and digest.depth < DIGEST_DEPTH_MAX:
            mine = self._state.log.sums_below(*prefix)
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
            gained, keys, whole = self._merge(page, turn)
            gained += self._merge_doubles(page, turn)
            gained += self._merge_keys(page.stream, keys, turn)
            running = self._passes.get(page.stream)
            if running is None:
                continue
            if not whole:
                self._moved |= gained > 0  # the same page brings more when it is asked for again
                continue
            self._gained[page.stream] = self._gained.get(page.stream, 0) + gained
            if running.use(page):
                self._moved = True
                self._asks = 0
            if running.complete:
                self._finish_pass(page.stream, running, turn)
        # Who answers with nothing is not asked on at once, for that would never end.
        answered = pages.last and pages.nonce == self._nonce and self._moved
        if answered or not self._passes:
            self._open.pop(_PASSES, None)
            self._go_on(turn)

    def unanswered(self, turn: Turn) -> None:
        """Something that was asked for has not come in time."""
        asked = self._peer
        assert asked is not None
        live = self._state.members.live
        if self._asks < ASKS_MAX and asked.name in live:
            self._ask(turn)
            return
        others = [name for name in live if name != asked.name]
        if others and self._peers_tried < PEERS_MAX:
            self._peers_tried += 1
            self._turn_to(self._state.rng.choice(others), turn)
        else:
            self._end()

    def _begin(self, peer: str, turn: Turn) -> None:
        self._prefixes = {(0, 0): None}
        self._digests_left = DIGESTS_MAX
        self._news_left = NEWS_STREAMS_MAX
        self._turn_to(peer, turn)

    def _turn_to(self, peer: str, turn: Turn) -> None:
        self._peer = self._state.members.get(peer)
        # One nonce for all that one peer is asked: on a slow link a late answer is as good.
        self._nonce = self._state.rng.getrandbits(64)
        self._asks = 0
        self._ask(turn)

    def _end(self) -> None:
        self._peer = None
        self._prefixes = {}
        self._passes = {}
        self._gained = {}
        self._corrections = {}
        self._state.timers.cancel(Timer.PULL)

    def _go_on(self, turn: Turn) -> None:
        """Something was answered: go on when all is, end when there is nothing left."""
        assert self._peer is not None
        self._asks = 0
        if not self._prefixes and not self._passes:
            peer, whole = self._peer.name, self._peers_tried == 1
            self._retention.correct(self._corrections, turn)
            self._end()
            if whole:
                self._readiness.walked(peer, turn)
        elif not self._open:
            self._ask(turn)

    def _ask(self, turn: Turn) -> None:
        """Ask for the first few prefixes and streams of those that are missing."""
        assert self._peer is not None
        self._asks += 1
        self._moved = False
        wait = self._state.settings.pull_timeout * self._state.health.factor
        self._state.timers.set(Timer.PULL, turn.now + wait)
        settings = self._state.settings
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

    def _pass_ask(self, size: int) -> PassAsk:
        """As many of the passes under way as one datagram can ask for."""
        age = self._retention.age_wanted
        empty = PassAsk(self._nonce, (), PAGES_MAX, size, age)
        room = self._state.courier.room(empty, size)
        items: list[PassItem] = []
        for stream, running in self._passes.items():
            item = PassItem(stream, running.start, running.after, running.doubles)
            room -= pass_item_size(item)
            if room < 0 or len(items) == PASS_ITEMS_MAX:
                break
            items.append(item)
        return PassAsk(self._nonce, tuple(items), PAGES_MAX, size, age)

    def _compare(self, leaf: Leaf, now: float) -> None:
        mine = self._state.log.leaf(leaf.stream)
        if leaf.version > mine.version:
            self._passes[leaf.stream] = Pass(mine.version)
        elif leaf.version == mine.version and leaf.digest != mine.digest:
            self._passes[leaf.stream] = Pass(self._start_of_unequal(mine, leaf, now), True)
        elif leaf.version == mine.version:
            self._unequal.pop(leaf.stream, None)
            self._deep_at.pop(leaf.stream, None)

    def _start_of_unequal(self, mine: Leaf, theirs: Leaf, now: float) -> int:
        """From the version, which finds records above it; if that was in vain, once from 0."""
        if not mine.version or mine.stream[0] & SOURCE_BIT:
            return 0  # of a source the one register differs
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
        if self._is_shown(stream, running.claim, 0, turn):
            self._claim(stream, running.claim)
        gained = self._gained.pop(stream, 0)
        if self._state.ready and 0 < gained <= NEWS_MAX and self._news_left:
            self._news_left -= 1
            self._gossiping.push_log(stream, running.start, turn)

    # --- answering ---------------------------------------------------------------------------

    def digest_asked(self, ask: DigestAsk, turn: Turn) -> None:
        """Tell what is below a prefix; like all answers without news, which would be told to one
        peer only."""
        turn.send(answer_digest(self._state, ask), turn.source)

    def passes_asked(self, ask: PassAsk, asker: str, turn: Turn) -> None:
        """Send the pages that were asked for."""
        self._answer(ask, asker, turn.source, None, turn)

    def keys_read(self, wanted: KeysWanted, records: Sequence[KeyRecord], turn: Turn) -> None:
        """The disk has told what an answer lacked: go on with it."""
        upto = wanted.upto if len(records) < wanted.limit else records[-1].seq
        archive = Archive(wanted.stream, wanted.above, upto, tuple(records))
        self._answer(wanted.ask, wanted.asker, wanted.address, archive, turn)

    def _answer(
        self, ask: PassAsk, asker: str, to: Address, archive: Archive | None, turn: Turn
    ) -> None:
        answers = answer_passes(self._state, ask, archive, turn.now)
        parts = (
            KeysWanted(*part[:3], ARCHIVED_AT_ONCE, part.ask, asker, to)
            if isinstance(part, Lack)
            else part
            for part in answers
        )
        self._serving.serve("log", asker, to, parts, turn)
