"""Repair of the member table: pages of views in the order of names, pulled from one peer.

While news of members is still on its way the tables differ without anything being lost, so a pull
waits until the own lane is empty, but no longer than `PATIENCE`.
"""

from __future__ import annotations

from .answering import answer_members
from .drops import Drop
from .meeting import Meeting
from .membership import Membership
from .messages import PAGES_MAX, MembersAsk, MembersPage, MemberView
from .repair import ASKS_MAX
from .serving import Serving
from .settings import DATAGRAM_SIZE_FLOOR
from .state import State, Turn
from .timers import Timer

PATIENCE = 2.0
"""Seconds for which a difference is left to gossip while there is news to send."""


class MemberRepair:
    """The one pull of member pages that runs, and the answers to those of others."""

    def __init__(
        self, state: State, membership: Membership, meeting: Meeting, serving: Serving
    ) -> None:
        self._state = state
        self._membership = membership
        self._meeting = meeting
        self._serving = serving
        self._peer: MemberView | None = None
        self._after = ""
        self._nonce = 0
        self._asks = 0
        self._came = 0
        self._next_at = float("-inf")
        self._differs_since: float | None = None

    def want(self, peer: str, turn: Turn, urgent: bool = False) -> None:
        """A peer's table differs from this one: pull it unless a pull runs or just ran."""
        if self._differs_since is None:
            self._differs_since = turn.now
        settled = not self._state.member_lane or turn.now - self._differs_since >= PATIENCE
        idle = self._peer is None or self._meeting.peer == peer
        if idle and (urgent or (settled and turn.now >= self._next_at)):
            self._next_at = turn.now + self._state.settings.pull_interval
            self._peer = self._state.members.get(peer)
            self._after = ""
            self._ask(turn)

    def same(self) -> None:
        """A peer's table is equal to this one."""
        self._differs_since = None

    def page_came(self, page: MembersPage, turn: Turn) -> None:
        """Join a page's views; go on behind it when it continues what is held."""
        if page.nonce != self._nonce or self._peer is None:
            turn.drop(Drop.UNASKED)
            return
        self._meeting.heard(self._peer.name, page.views)
        for view in page.views:
            self._membership.learn(view, turn, pulled=True)
        self._came += 1
        if page.after <= self._after and (not page.upto or page.upto > self._after):
            self._after = page.upto
            self._asks = 0
            if not page.upto:
                self._end(True, turn)
            elif self._came >= PAGES_MAX:
                self._ask(turn)

    def unanswered(self, turn: Turn) -> None:
        """A page is missing: ask from there on; after three times leave it to the next peer."""
        if self._asks < ASKS_MAX:
            self._ask_once_more(turn)
        else:
            self._end(False, turn)

    def asked(self, ask: MembersAsk, asker: str, turn: Turn) -> None:
        """Send pages of the table."""
        pages = answer_members(self._state, ask, turn)
        self._serving.serve("members", asker, turn.source, pages, turn)

    def _ask(self, turn: Turn) -> None:
        self._asks = 0
        self._nonce = self._state.rng.getrandbits(64)
        self._ask_once_more(turn)

    def _ask_once_more(self, turn: Turn) -> None:
        """The nonce stays: on a slow link the answer to an earlier asking is as good."""
        assert self._peer is not None
        self._asks += 1
        self._came = 0
        settings = self._state.settings
        size = settings.datagram_size if self._asks < ASKS_MAX else DATAGRAM_SIZE_FLOOR
        wait = settings.pull_timeout * self._state.health.factor
        self._state.timers.set(Timer.MEMBER_PULL, turn.now + wait)
        ask = MembersAsk(self._nonce, self._after, PAGES_MAX, size)
        turn.send(ask, self._peer.address, self._peer.name)

    def _end(self, whole: bool, turn: Turn) -> None:
        assert self._peer is not None
        self._meeting.ended(self._peer.name, whole, turn)
        self._peer = None
        self._differs_since = None
        self._state.timers.cancel(Timer.MEMBER_PULL)
