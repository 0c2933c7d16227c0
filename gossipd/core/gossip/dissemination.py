"""When news is sent: soon after it arrives, then again and again until it was sent often enough.

Fresh news is collected for `flush_after` and goes to `gossip_fanout` peers; the next rounds follow
as fast as the pace allows until it was sent often enough, or as often as there are peers; what is
still to be sent after that follows every `gossip_interval`. What else is sent carries news, too.
Peers come in a random order that stays, so that consecutive packets go to different ones. The pace
is a token bucket: news that fits one packet waits for `gossip_rate`, so that under load packets
carry more instead of being more; only a backlog of news never sent goes at `gossip_rate_max`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import InitVar, dataclass

from gossipd.core.identity import Stream
from gossipd.core.log.learning import Learning
from gossipd.core.means import Means
from gossipd.core.swim.circle import Circle
from gossipd.core.swim.members import MemberTable
from gossipd.core.timers import Timer
from gossipd.core.turn import Turn
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.messages import Gossip
from gossipd.core.wire.records import Group

from .growth import Growth
from .packets import PacketBuilder
from .queues import LogQueue, MemberQueue

CROWDED_AFTER = 0.5
"""Seconds for which there was more news than could be told after which it is told less often."""

_ALMOST = 1e-6
"""Tokens that rounding may have lost while a timer waited for a whole one."""

BURST_MAX = 0.2
"""Seconds for which unused packets are saved up."""


@dataclass(eq=False, repr=False)
class Dissemination:
    """The rounds of gossip of one node."""

    means: InitVar[Means]
    _members: MemberTable
    _member_queue: MemberQueue
    _log_queue: LogQueue
    _packet_builder: PacketBuilder
    _growth: Growth
    _learning: Learning

    def __post_init__(self, means: Means) -> None:
        self._settings, _, self._timers = means
        self._peers = Circle(means.rng)
        """The live members."""
        self._members.follow(self._peers)
        self._flushed_at = float("-inf")
        self._soon_at = float("-inf")
        """When a round was arranged for last; one input may bring much news."""
        self._tokens = 0.0
        self._filled_at = float("-inf")
        self._backlog = False
        """Whether the last round has left news that was never sent."""
        self._behind_since = float("inf")
        """Since when all rounds have."""

    @property
    def news_count(self) -> int:
        """Members and streams of which there is news to tell."""
        return len(self._member_queue) + len(self._log_queue)

    def news_age(self, now: float) -> float:
        """Seconds for which each round has left news that was never sent."""
        return max(0.0, now - self._behind_since)

    def push_member(self, name: str, turn: Turn) -> None:
        """There is news of a member."""
        self._member_queue.push(name)
        self._flush_soon(turn.now)

    def push_log(self, stream: Stream, start: int, turn: Turn) -> None:
        """There is news of a stream above seq `start`."""
        self._log_queue.push(stream, start)
        self._flush_soon(turn.now)

    def heard(self, group: Group, turn: Turn) -> bool:
        """Learn news of the log and tell it on; False if not all of it is used."""
        if not self._may_grow_by(group, turn):
            turn.drop(Drop.TOO_MUCH)
            return False
        lesson = self._learning.group(group, turn.company, turn.now)
        turn.heed(lesson)
        if lesson.news_above is not None and not self._is_told_by_all():
            self.push_log(group.stream, lesson.news_above, turn)
        return lesson.whole

    def _may_grow_by(self, group: Group, turn: Turn) -> bool:
        """Whether what is new in it is within its sender's budget."""
        streams, registers = self._learning.new_in(group)
        if not streams and not registers:
            return True
        is_proven = self._members.is_proven(turn.source)
        return self._growth.takes(turn.source, is_proven, streams, registers, turn.now)

    def round(self, turn: Turn) -> None:
        """Send what there is to some peers, and arrange for the next round."""
        settings = self._settings
        self._timers.cancel(Timer.GOSSIP)
        self._soon_at = float("-inf")
        if not self._members.live:
            return
        self._flushed_at = turn.now
        self._fill(turn.now)
        for name in self._next_peers(min(settings.gossip_fanout, int(self._tokens + _ALMOST))):
            if self._member_queue or self._log_queue:
                self._tokens -= 1
                turn.send(Gossip(), self._members.held(name).address, name)
        self._backlog = self._member_queue.sent_less_than(1) or self._log_queue.sent_less_than(1)
        self._see_crowd(turn.now)
        eager = self._eager()
        if self._member_queue.sent_less_than(eager) or self._log_queue.sent_less_than(eager):
            self._flush_soon(turn.now)
        elif self._member_queue or self._log_queue:
            self._timers.set(Timer.GOSSIP, turn.now + settings.gossip_interval)

    def _see_crowd(self, now: float) -> None:
        queue = self._log_queue
        self._behind_since = min(self._behind_since, now) if self._backlog else float("inf")
        if now - self._behind_since >= CROWDED_AFTER:
            queue.is_crowded = True
        elif not queue.sent_less_than(self._eager()):
            queue.is_crowded = False

    def _is_told_by_all(self) -> bool:
        """Whether whoever has news of its own tells it to everybody, and nobody has time to tell
        it once more."""
        return self._log_queue.is_crowded and len(self._members.live) <= self._eager()

    def _eager(self) -> int:
        """Transmissions that follow each other at once."""
        return min(self._packet_builder.sends_max, len(self._members.live))

    def _flush_soon(self, now: float) -> None:
        """A round once fresh news was collected for a moment and the pace allows a packet."""
        if now == self._soon_at:
            return
        self._soon_at = now
        pause = self._settings.flush_after
        wait = max(pause / 2, self._flushed_at + pause - now)
        self._fill(now)
        missing = 1 - self._tokens
        if missing > 0:
            wait = max(wait, missing / self._rate())
        self._timers.set_if_sooner(Timer.GOSSIP, now + wait)

    def _rate(self) -> float:
        settings = self._settings
        return settings.gossip_rate_max if self._backlog else settings.gossip_rate

    def _fill(self, now: float) -> None:
        rate = self._rate()
        full = max(float(self._settings.gossip_fanout), rate * BURST_MAX)
        self._tokens = min(full, self._tokens + (now - self._filled_at) * rate)
        self._filled_at = now

    def _next_peers(self, count: int) -> Iterable[str]:
        """The next ones in their order, each at most once."""
        count = min(count, len(self._peers))
        peers: dict[str, None] = {}
        while len(peers) < count:
            # In one order each part of a backlog would come to the same peers again.
            peers[self._peers.next(mix=self._backlog)] = None
        return peers
