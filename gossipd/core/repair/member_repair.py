"""Repair of the member table: pages of views in the order of names, pulled from one peer.

While news of members is still on its way the tables differ without anything being lost, so a pull
waits until the own queue is empty, but no longer than `PATIENCE`. A peer that goes on answering
for long is left for another that differs, which goes on behind the names that have come.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from functools import partial
from typing import NamedTuple

from gossipd.core.gossip.queues import MemberQueue
from gossipd.core.means import Means
from gossipd.core.settings import DATAGRAM_SIZE_FLOOR
from gossipd.core.swim.health import Health
from gossipd.core.swim.life import Life
from gossipd.core.swim.members import MemberTable
from gossipd.core.swim.membership import Membership
from gossipd.core.swim.merging import ClusterMerge
from gossipd.core.swim.newcomers import Newcomers
from gossipd.core.swim.questions import Questions
from gossipd.core.swim.showing import Showing
from gossipd.core.timers import Timer
from gossipd.core.turn import Turn
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.messages import PAGES_MAX, MembersAsk, MembersPage, MemberView

from .log_repair import ASKS_MAX
from .patience import Patience
from .turns import PEER_SECONDS, Turns

PATIENCE = 2.0
"""Seconds for which a difference is left to gossip while there is news to send."""

VAIN_PAUSE_MAX = 60.0
"""Seconds between two pulls that change nothing, at most; each pause is twice as long. Tables may
differ for good: verdicts grow old by clocks that part, and a full table takes nobody in."""

NEWCOMERS_PAUSE_MAX = 4.0
"""The same while there are newcomers."""

VAIN_MAX = 64


class _Pull(NamedTuple):
    """A page of the table is asked for, and what comes behind it."""

    peer: str


@dataclass(eq=False, repr=False)
class MemberRepair:
    """The one pull of member pages that runs, and the answers to those of others."""

    means: InitVar[Means]
    _members: MemberTable
    _newcomers: Newcomers
    _life: Life
    _member_queue: MemberQueue
    _questions: Questions
    _health: Health
    _showing: Showing
    _membership: Membership
    _meeting: ClusterMerge

    def __post_init__(self, means: Means) -> None:
        self._settings, self._timers = means.settings, means.timers
        self._turns = Turns(means.rng)
        self._patience = Patience(ASKS_MAX * self._settings.pull_timeout)
        self._peer: MemberView | None = None
        self._turned_at = float("-inf")
        """Since when the present peer is asked."""
        self._after = ""
        self._ahead: dict[str, str] = {}
        """Pages that came before those in front of them: the names that bound each."""
        self._pair = (0, 0)
        """The fingerprints that the pull is about: this node's, and the peer's."""
        self._vain: dict[tuple[int, int], tuple[float, float]] = {}
        """Of pairs for which a pull has changed nothing: when one may follow, and the pause."""
        self._nonce = 0
        self._asks = 0
        self._came = 0
        self._next_at = float("-inf")
        self._differs_since: float | None = None

    def want(self, peer: str, turn: Turn, urgent: bool = False) -> None:
        """A peer's table differs from this one: pull it unless a pull runs or just ran."""
        if self._differs_since is None:
            self._differs_since = turn.now
        settled = not self._member_queue or turn.now - self._differs_since >= PATIENCE
        meets = self._meeting.peer == peer
        idle = self._peer is None or meets
        due = max(self._next_at, self._due(peer))
        if idle and (urgent or (settled and turn.now >= due)):
            self._next_at = turn.now + self._settings.pull_interval
            turn.tally.repairs["members"] += 1
            self._after = ""
            if not meets:
                peer = self._turns.of(peer, partial(self._differ, turn.now), urgent=urgent)
            self._turn_to(peer, turn)

    def _pair_with(self, peer: str) -> tuple[int, int]:
        return self._members.fingerprint, self._showing.by[peer].members

    def _due(self, peer: str) -> float:
        """When a pull may follow, after those from peers like this one that were in vain."""
        return self._vain.get(self._pair_with(peer), (float("-inf"), 0.0))[0]

    def _differ(self, now: float, beside: str) -> list[str]:
        differ = self._showing.differ(beside, log=False)
        return [name for name in differ if self._due(name) <= now]

    def _turn_to(self, peer: str, turn: Turn) -> None:
        self._peer = self._members.get(peer)
        self._pair = self._pair_with(peer)
        self._turned_at = turn.now
        self._ask(turn)

    def same(self) -> None:
        """A peer's table is equal to this one."""
        self._differs_since = None

    def page_came(self, page: MembersPage, turn: Turn) -> None:
        """Join a page's views; go on behind it when it continues what is held."""
        pull = self._questions.get(_Pull, page.nonce)
        if pull is None:
            turn.drop(Drop.UNASKED)
            return
        self._patience.answered(turn.now)
        self._meeting.heard(pull.peer, page.views)
        for view in page.views:
            self._membership.learn(view, turn, pulled=True)
        self._came += 1
        self._ahead[page.after] = page.upto
        while (upto := self._continuation()) is not None:
            self._after = upto
            self._asks = 0
            if not upto:
                self._end(True, turn)
                return
        if turn.now - self._turned_at >= PEER_SECONDS:
            self._turned_at = turn.now
            other = self._turns.other(pull.peer, partial(self._differ, turn.now))
            if other != pull.peer:
                self._meeting.ended(pull.peer, False, turn)
                self._turn_to(other, turn)
                return
        if self._came >= PAGES_MAX:
            self._ask(turn)

    def _continuation(self) -> str | None:
        """How far the pages that came reach beyond what is held; "" where that is to the end."""
        reach = [upto for after, upto in self._ahead.items() if after <= self._after]
        if "" in reach:
            return ""
        return max((upto for upto in reach if upto > self._after), default=None)

    def unanswered(self, turn: Turn) -> None:
        """A page is missing: ask from there on; after three times leave it to the next peer."""
        if self._asks < ASKS_MAX:
            self._ask_once_more(turn)
        else:
            self._patience.in_vain(self._life, turn.now)
            self._end(False, turn)

    def _ask(self, turn: Turn) -> None:
        self._asks = 0
        self._ahead = {}
        assert self._peer is not None
        self._nonce = self._questions.ask(_Pull(self._peer.name), 1, turn.now)
        self._ask_once_more(turn)

    def _ask_once_more(self, turn: Turn) -> None:
        """The nonce stays: on a slow link the answer to an earlier asking is as good."""
        assert self._peer is not None
        if not self._asks:
            self._patience.asks(turn.now)
        self._asks += 1
        self._came = 0
        settings = self._settings
        size = settings.datagram_size if self._asks < ASKS_MAX else DATAGRAM_SIZE_FLOOR
        wait = settings.pull_timeout * self._health.factor * self._patience.factor
        self._timers.set(Timer.MEMBER_PULL, turn.now + wait)
        ask = MembersAsk(self._nonce, self._after, PAGES_MAX, size)
        turn.send(ask, self._peer.address, self._peer.name)

    def _end(self, whole: bool, turn: Turn) -> None:
        assert self._peer is not None
        self._meeting.ended(self._peer.name, whole, turn)
        if whole and self._members.fingerprint == self._pair[0]:
            _, pause = self._vain.pop(self._pair, (0.0, self._settings.pull_interval / 2))
            # A newcomer may yet prove where it is, and the tables agree.
            pause = min(2 * pause, NEWCOMERS_PAUSE_MAX if self._newcomers else VAIN_PAUSE_MAX)
            self._vain[self._pair] = turn.now + pause, pause
            if len(self._vain) > VAIN_MAX:
                del self._vain[next(iter(self._vain))]
        self._peer = None
        self._differs_since = None
        self._questions.give_up(_Pull)
        self._timers.cancel(Timer.MEMBER_PULL)
