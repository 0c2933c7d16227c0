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

from .circle import Circle
from .identity import Stream
from .lanes import transmissions
from .messages import Gossip
from .state import State, Turn
from .timers import Timer

_ALMOST = 1e-6
"""Tokens that rounding may have lost while a timer waited for a whole one."""

BURST_MAX = 0.2
"""Seconds for which unused packets are saved up."""


class Gossiping:
    """The rounds of gossip of one node."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._peers = Circle(state.rng)
        """The live members."""
        state.members.follow(self._peers)
        self._flushed_at = float("-inf")
        self._tokens = 0.0
        self._filled_at = float("-inf")
        self._backlog = False
        """Whether the last round has left news that was never sent."""

    def push_member(self, name: str, turn: Turn) -> None:
        """There is news of a member."""
        self._state.member_lane.push(name)
        self._flush_soon(turn.now)

    def push_log(self, stream: Stream, start: int, turn: Turn) -> None:
        """There is news of a stream above seq `start`."""
        self._state.log_lane.push(stream, start)
        self._flush_soon(turn.now)

    def round(self, turn: Turn) -> None:
        """Send what there is to some peers, and arrange for the next round."""
        state, settings = self._state, self._state.settings
        state.timers.cancel(Timer.GOSSIP)
        if not state.members.live:
            return
        self._flushed_at = turn.now
        self._fill(turn.now)
        for name in self._next_peers(min(settings.gossip_fanout, int(self._tokens + _ALMOST))):
            if state.member_lane or state.log_lane:
                self._tokens -= 1
                turn.send(Gossip(), state.member(name).address, name)
        self._backlog = state.member_lane.sent_less_than(1) or state.log_lane.sent_less_than(1)
        eager = self._eager()
        if state.member_lane.sent_less_than(eager) or state.log_lane.sent_less_than(eager):
            self._flush_soon(turn.now)
        elif state.member_lane or state.log_lane:
            state.timers.set(Timer.GOSSIP, turn.now + settings.gossip_interval)

    def _eager(self) -> int:
        """Transmissions that follow each other at once."""
        settings = self._state.settings
        often = transmissions(settings.retransmit_mult, self._state.members.live_count)
        return min(often, len(self._state.members.live))

    def _flush_soon(self, now: float) -> None:
        """A round once fresh news was collected for a moment and the pace allows a packet."""
        pause = self._state.settings.flush_after
        wait = max(pause / 2, self._flushed_at + pause - now)
        self._fill(now)
        missing = 1 - self._tokens
        if missing > 0:
            wait = max(wait, missing / self._rate())
        self._state.timers.set_if_sooner(Timer.GOSSIP, now + wait)

    def _rate(self) -> float:
        settings = self._state.settings
        return settings.gossip_rate_max if self._backlog else settings.gossip_rate

    def _fill(self, now: float) -> None:
        rate = self._rate()
        full = max(float(self._state.settings.gossip_fanout), rate * BURST_MAX)
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
