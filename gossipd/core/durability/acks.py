"""Increments that wait until enough nodes hold them durably, this one included (`ack=K`).

A peer is asked with a `Hold` whose group `(start, to]` has all records of the stream above
`start`. Totals are cumulative and a register is that of its counter's newest event, so who holds
everything in the group durably holds every event in `(start, to]`, and its key; and whoever has a
durable version holds every event up to it. Nothing else counts: not what was sent, not what was
merged.

One `Hold` is under way per peer, for everything that waits there, so packets do not grow with
increments. A confirmation is worth what its peer is: nothing once that has restarted, has left or
is held failed, and that of one without a disk only where memory was asked for.

However many wait, and for however many streams, an input costs what it has changed: there is a
bound on all else that it looks at, and on the waits that it ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import InitVar, dataclass
from itertools import islice
from typing import NamedTuple

from gossipd.core.effects import Copies
from gossipd.core.gossip.packets import PacketBuilder
from gossipd.core.identity import SEQ_MAX, Stream
from gossipd.core.log.groups import cut_group
from gossipd.core.log.log import Log
from gossipd.core.means import Means
from gossipd.core.swim.members import MemberTable
from gossipd.core.swim.pings import RoundTrips
from gossipd.core.swim.questions import Questions
from gossipd.core.timers import Timer
from gossipd.core.turn import Turn
from gossipd.core.wire.messages import HOLD_GROUPS_MAX, NONCE_MAX, Held, Hold, Status
from gossipd.core.wire.records import Group, by_kind

from .holders import Peer, Span, lowest_lacking, plateaus_of
from .waiters import ENDS_MAX, GO_ON_AFTER, Wait, Waiting

SPARE = 1
"""Peers that are asked beside those needed, so that a lost datagram costs no time."""

ANSWER_AFTER = 0.1
"""Seconds without an answer, at least, after which a peer is asked again, behind all others; also
3 round trips at least. It doubles with each such silence up to `ANSWER_AFTER_MAX`."""

ANSWER_AFTER_MAX = 1.0

DOUBLINGS_MAX = 10
"""So often it doubles at most: a peer whose disk is full lives, and is silent for ever."""

PAUSE = 0.002
"""Seconds between two questions to one peer that answers, at least; meanwhile more gathers."""

PAUSE_FOR_NEWS = 0.02
"""The same after a question that had no room for everything: gossip brings the rest."""

LOOKED_MAX = 100
"""Streams that are looked at for one question, or for what has changed, noticed or not; the others
have their turn later."""

ASKS_MAX = 8
"""Questions to one peer that may still be answered; a slow disk answers late."""


class Demand(NamedTuple):
    """So many copies, and whether those in memory are any."""

    copies: int
    memory: bool


class _Question(NamedTuple):
    claims: tuple[tuple[Stream, Span], ...]
    """What its groups hold."""
    whole: bool
    """Whether all that the peer lacked was in it."""


@dataclass(eq=False, repr=False)
class CopiesWanted:
    """The asking side of `Hold`, on behalf of increments."""

    means: InitVar[Means]
    _members: MemberTable
    _log: Log
    _packet_builder: PacketBuilder
    _questions: Questions
    _round_trips: RoundTrips

    def __post_init__(self, means: Means) -> None:
        self._rng, self._timers = means.rng, means.timers
        self._waiting: Waiting[Demand] = Waiting(means.timers, Timer.COPIES)
        self._peers: dict[str, Peer] = {}
        """Those that were asked."""
        self._demands: Counter[Demand] = Counter()
        """How many wait with each."""
        self._changed: dict[Stream, None] = {}
        """Of which more is held than when it was looked at, here or by a peer."""
        self._unseen: list[Stream] = []
        """Those that are yet to have their turn: more of them may be held here, unnoticed."""
        self._live: list[str] = []
        self._order: list[str] = []
        """The live members, at random; those that were silent come last."""

    def want(
        self, token: int, stream: Stream, seq: int, demand: Demand, until: float, turn: Turn
    ) -> None:
        """Tell how many hold event `seq` of `stream`: when they are enough, or at `until`, or at
        once where too many wait."""
        was_full = self._waiting.is_full
        self._waiting.add(token, Wait(stream, seq, (demand,)), until)
        self._demands[demand] += 1
        for peer in self._peers.values():
            peer.lacks[stream] = None
        if self._log.durable(stream) < seq <= self._log.version(stream):
            turn.save_wanted = True
        count = self.count(token)
        if count >= demand.copies or was_full:
            self._end(token, count, turn)
        self._ask(turn)

    def waits(self, token: int) -> bool:
        """Whether there is a wish of that token."""
        return token in self._waiting.waits

    def count(self, token: int) -> int:
        """How many are known to hold what a wish that still waits is about."""
        wish = self._waiting.waits[token]
        spans = self._spans(wish.stream, wish.wants[0].memory)
        return sum(span.start < wish.seq <= span.to for span in spans)

    def held(self, held: Held, sender: str, turn: Turn) -> bool:
        """A peer told what it durably holds; False if that was not asked here."""
        peer = self._peer(sender)
        question = self._questions.take(_Question, held.nonce, sender)
        if peer is None or question is None:
            return False
        peer.silences, peer.waits = 0, False
        pause = PAUSE if question.whole else PAUSE_FOR_NEWS
        peer.next_at = max(turn.now, peer.asked_at + pause)
        peer.leaving, peer.durable = held.leaving, held.durable
        versions = ((stream, Span(0, version)) for stream, version in held.versions)
        for stream, span in (*question.claims, *versions):
            if stream in self._waiting.queues:
                peer.learn(stream, span)
                self._changed[stream] = None
        self._look(turn)
        self._ask(turn)
        return True

    def stored(self, streams: Iterable[Stream], turn: Turn) -> None:
        """More of these is on the disk."""
        waited = self._waiting.queues
        self._changed.update((stream, None) for stream in streams if stream in waited)
        self._look(turn)

    def give_up(self, token: int) -> None:
        """Nobody waits for a wish any more."""
        self._drop(token)

    def expired(self, token: int, turn: Turn) -> None:
        """The time of a wish is over. The others are not looked at: many may end at once."""
        self._end(token, self.count(token), turn)

    def stop(self, turn: Turn) -> None:
        """Nobody will be asked any more: what is known is the answer."""
        for token in list(self._waiting.waits):
            self.expired(token, turn)

    def go_on(self, turn: Turn) -> None:
        """It is time to look at what may have changed unnoticed, and to ask on."""
        self._timers.set(Timer.HOLD, turn.now + ANSWER_AFTER)  # whatever raises
        if not self._changed:
            self._unseen = self._unseen or list(self._waiting.queues)
            for stream in self._unseen[-LOOKED_MAX:]:
                if stream in self._waiting.queues:
                    self._changed[stream] = None
            del self._unseen[-LOOKED_MAX:]
        self._look(turn)
        self._ask(turn)

    # --- counting ----------------------------------------------------------------------------

    def _look(self, turn: Turn) -> None:
        """Grant what can be granted of the streams that have changed, but not all at once."""
        left = ENDS_MAX
        for stream in list(islice(self._changed, LOOKED_MAX)):
            left -= self._grant(stream, left, turn)
            if left <= 0:
                break
            self._changed.pop(stream, None)
        if self._changed:
            self._timers.set_if_sooner(Timer.HOLD, turn.now + GO_ON_AFTER)

    def _grant(self, stream: Stream, most: int, turn: Turn) -> int:
        """End the waits of those for which enough hold it, `most` of them; how many."""
        granted = 0
        for memory in (False, True):
            demands = [each for each in self._waiting.queues.get(stream, ()) if each[1] is memory]
            plateaus = list(plateaus_of(self._spans(stream, memory))) if demands else []
            for demand in demands:
                for span, count in plateaus:
                    if count < demand.copies or stream not in self._waiting.queues:
                        continue
                    for _, token in self._waiting.between(stream, demand, *span, most - granted):
                        granted += 1
                        self._end(token, count, turn)
        return granted

    def _spans(self, stream: Stream, memory: bool) -> list[Span]:
        """What each of those holds whose copy counts now, this node first."""
        log = self._log
        spans = []
        if memory:
            spans.append(Span(0, log.version(stream)))
        elif log.keeps_marks:
            spans.append(Span(0, log.durable(stream)))
        for name in self._peers:
            peer = self._peer(name)
            if peer is not None and stream in peer.held and peer.is_copy(memory):
                spans.append(peer.held[stream])
        return spans

    def _end(self, token: int, count: int, turn: Turn) -> None:
        copies = self._waiting.waits[token].wants[0].copies
        self._drop(token)
        turn.emit(Copies(token, count, enough=count >= copies))

    def _drop(self, token: int) -> None:
        stream, _, (demand,) = self._waiting.drop(token)
        self._demands[demand] -= 1
        if not self._waiting.waits:
            self._timers.cancel(Timer.HOLD)
        if stream not in self._waiting.queues:
            self._changed.pop(stream, None)
            for peer in self._peers.values():
                peer.held.pop(stream, None)
                peer.lacks.pop(stream, None)

    # --- asking ------------------------------------------------------------------------------

    def _ask(self, turn: Turn) -> None:
        if not self._waiting.waits:
            return
        self._sort_peers(turn.now)
        wake = turn.now + (GO_ON_AFTER if self._changed else ANSWER_AFTER)
        for name in self._chosen():
            peer = self._peers.get(name)
            if peer is None:
                peer = self._peers[name] = Peer(self._members.held(name).generation)
                peer.lacks.update(dict.fromkeys(self._waiting.queues))
            if peer.next_at <= turn.now:
                self._ask_peer(name, peer, turn)
            if peer.next_at > turn.now:
                wake = min(wake, peer.next_at)
        self._timers.set(Timer.HOLD, wake)

    def _sort_peers(self, now: float) -> None:
        """Take newcomers in, leave out who is gone or has restarted, put the silent last."""
        live = self._members.live
        if self._live != live:
            self._live = list(live)
            known, lives = set(self._order), set(live)
            new = [name for name in live if name not in known]
            self._rng.shuffle(new)
            self._order = [name for name in self._order if name in lives] + new
        silent: dict[str, None] = {}
        for name, peer in list(self._peers.items()):
            if self._peer(name) is None:
                del self._peers[name]
                self._questions.give_up(_Question, name)
            elif peer.waits and peer.next_at <= now:
                peer.waits = False
                peer.silences += 1
                silent[name] = None
        if silent:
            self._order = [name for name in self._order if name not in silent] + list(silent)

    def _chosen(self) -> Iterable[str]:
        """Who is to be asked: as many as are needed, and the spare."""
        needed: dict[bool, int] = {}
        for (copies, memory), count in self._demands.items():
            if count:
                needed[memory] = max(copies, needed.get(memory, 0))
        chosen: dict[str, None] = {}
        for memory, copies in needed.items():
            own = memory or self._log.keeps_marks
            able = (name for name in self._order if self._is_able(name, memory))
            chosen.update(dict.fromkeys(islice(able, copies - own + SPARE)))
        return chosen

    def _is_able(self, name: str, memory: bool) -> bool:
        peer = self._peers.get(name)
        return peer is None or peer.is_copy(memory)

    def _ask_peer(self, name: str, peer: Peer, turn: Turn) -> None:
        """Send what the peer lacks, as far as one datagram holds it."""
        groups, whole = self._lacking(peer, turn.now)
        if not groups:
            if len(peer.lacks) > LOOKED_MAX:
                peer.next_at = turn.now + PAUSE_FOR_NEWS  # others have their turn then
        else:
            claims = tuple(
                (group.stream, Span(group.start, group.to))
                for group in groups
                if group.start < group.to
            )
            nonce = self._questions.ask(_Question(claims, whole), ASKS_MAX, turn.now, name)
            peer.waits, peer.asked_at = True, turn.now
            peer.next_at = turn.now + self._patience(name, peer)
            turn.send(Hold(nonce, tuple(groups)), self._members.held(name).address, name)

    def _lacking(self, peer: Peer, now: float) -> tuple[list[Group], bool]:
        """What a datagram holds of that, and whether no group in it lacks anything for want of
        room. What was looked at comes last the next time, but for what had no room."""
        log, room = self._log, self._packet_builder.room(Hold(NONCE_MAX, ()))
        groups: list[Group] = []
        whole = True
        for stream in list(islice(peer.lacks, LOOKED_MAX)):
            if len(groups) == HOLD_GROUPS_MAX:
                break
            lowest = lowest_lacking(
                self._waiting.queues[stream].values(), peer.held.get(stream, Span(0, 0))
            )
            if lowest is not None and log.version(stream) >= lowest:
                cut = cut_group(log, stream, lowest - 1, SEQ_MAX, room, now)
                whole = whole and cut is not None and cut.start < lowest
                if cut is None:
                    continue
                # What is on the disk only is not sent, but the peer tells its durable version.
                if cut.start < cut.to or log.archived(stream, now) >= lowest:
                    groups.append(Group(stream, cut.start, cut.to, *by_kind(cut.records)[:2]))
                    room -= cut.size
            del peer.lacks[stream]
            if lowest is not None:
                peer.lacks[stream] = None
        return groups, whole

    def _patience(self, name: str, peer: Peer) -> float:
        """Seconds until the peer is taken for silent."""
        once = max(ANSWER_AFTER, 3 * (self._round_trips.mean(name) or 0.0))
        doubled = once * 2.0 ** min(peer.silences, DOUBLINGS_MAX)
        return min(doubled, max(once, ANSWER_AFTER_MAX))

    def _peer(self, name: str) -> Peer | None:
        """What a live member has told in its present life; None where it was not asked in it."""
        peer, view = self._peers.get(name), self._members.get(name)
        if peer is None or view is None or view.status > Status.SUSPECT:
            return None
        return peer if view.generation == peer.life else None
