"""When news is sent: soon after it arrives, then in rounds until it was sent often enough.

Fresh news is collected for `flush_after` and goes to `gossip_fanout` peers at once, in several
rounds if one has no room for all of it; what is left follows every `gossip_interval` and rides on
whatever else is sent. Peers are drawn in a shuffled round robin, so that consecutive rounds reach
different ones. A token bucket bounds the packets.
"""

from __future__ import annotations

from .identity import Stream
from .messages import Gossip, Status
from .state import State, Turn
from .timers import Timer


class Gossiping:
    """The rounds of gossip of one node."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._order: list[str] = []
        self._flushed_at = float("-inf")
        self._tokens = 0.0
        self._filled_at = float("-inf")

    def push_member(self, name: str, turn: Turn) -> None:
        """There is news of a member."""
        self._state.member_lane.push(name)
        self._flush_soon(turn)

    def push_log(self, stream: Stream, start: int, turn: Turn) -> None:
        """There is news of a stream above seq `start`."""
        self._state.log_lane.push(stream, start)
        self._flush_soon(turn)

    def round(self, turn: Turn) -> None:
        """Send what there is to some peers, and arrange for the next round."""
        state = self._state
        self._flushed_at = turn.now
        state.timers.cancel(Timer.FLUSH)
        state.timers.cancel(Timer.GOSSIP)
        if not state.members.live:
            return
        for name in self._next_peers(self._take_tokens(turn.now)):
            view = state.members.get(name)
            if view is not None and (state.member_lane or state.log_lane):
                turn.send(Gossip(), view.address, name)
        spread = min(state.settings.gossip_fanout, len(state.members.live))
        if state.member_lane.fresh or state.log_lane.sent_less_than(spread):
            self._flush_soon(turn)
        elif state.member_lane or state.log_lane:
            state.timers.set(Timer.GOSSIP, turn.now + state.settings.gossip_interval)

    def _flush_soon(self, turn: Turn) -> None:
        settings = self._state.settings
        wait = settings.flush_after
        pause = max(wait, 1 / settings.gossip_rate_max)
        at = max(turn.now + wait / 2, self._flushed_at + pause)
        self._state.timers.set_if_sooner(Timer.FLUSH, at)

    def _take_tokens(self, now: float) -> int:
        settings = self._state.settings
        rate = settings.gossip_rate_max
        burst = max(float(settings.gossip_fanout), rate / 10)
        self._tokens = min(burst, self._tokens + (now - self._filled_at) * rate)
        self._filled_at = now
        count = min(settings.gossip_fanout, int(self._tokens))
        self._tokens -= count
        return count

    def _next_peers(self, count: int) -> list[str]:
        live = self._state.members.live
        peers: list[str] = []
        while len(peers) < min(count, len(live)):
            if not self._order:
                self._order = list(live)
                self._state.rng.shuffle(self._order)
            name = self._order.pop()
            view = self._state.members.get(name)
            if view is not None and view.status <= Status.SUSPECT and name not in peers:
                peers.append(name)
        return peers
