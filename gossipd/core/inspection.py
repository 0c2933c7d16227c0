"""What can be asked of a node; nothing of it changes anything."""

from __future__ import annotations

from collections.abc import Mapping

from gossipd.core.log.keys import KeyedEvent
from gossipd.core.log.log import Log
from gossipd.core.log.recent import RecentEvent
from gossipd.core.swim.reason import Reason
from gossipd.core.wire.messages import MemberView, Status

from .explanation import Explanation
from .identity import Address, Stream
from .parts import Parts
from .state import State
from .tally import Tally


class Inspection:
    """The questions that a node answers."""

    def __init__(self, state: State, parts: Parts) -> None:
        self._state = state
        self._parts = parts

    @property
    def own(self) -> MemberView:
        """What this node says of itself."""
        return self._state.members.own

    @property
    def heard_at(self) -> float:
        """When a member last answered a question of this node, on the clock of `now`."""
        return self._state.life.heard_at

    @property
    def ready(self) -> bool:
        """Whether counts are complete as far as this node can know."""
        return self._state.life.ready

    @property
    def listens(self) -> bool:
        """Whether it has nobody to join, and it is yet to turn out that nobody holds it as a
        member."""
        return self._parts.readiness.listens

    @property
    def leaving(self) -> bool:
        """Whether a leave has begun."""
        return self._state.life.leaving

    @property
    def tally(self) -> Tally:
        """What has happened so far."""
        return self._state.tally

    @property
    def state_counts(self) -> Mapping[Status, int]:
        """How many members are in each state, this node included."""
        return self._state.members.counts

    @property
    def news_count(self) -> int:
        """Members and streams of which there is news to tell."""
        return self._parts.gossiping.news_count

    def news_age(self, now: float) -> float:
        """Seconds for which more news has come than could be told."""
        return self._parts.gossiping.news_age(now)

    @property
    def uncommitted_count(self) -> int:
        """Increments and puts that wait for the disk, or for those before them."""
        return self._parts.committing.uncommitted_count

    @property
    def members(self) -> list[MemberView]:
        """All members that are remembered, this node included, by name."""
        return self._state.members.views()

    def member(self, name: str) -> MemberView | None:
        """What is held of a member."""
        return self._state.members.get(name)

    def member_names(self, after: str = "") -> list[str]:
        """The names of all members behind `after`, in order."""
        return self._state.members.names_after(after)

    @property
    def knows_others(self) -> bool:
        """Whether there are others that have not left, or there were in an earlier life."""
        members = self._state.members
        others = (view for view in members.views() if view.name != members.own.name)
        return bool(self.earlier) or any(view.status < Status.LEFT for view in others)

    @property
    def earlier(self) -> list[MemberView]:
        """Those that an earlier life knew as live, and this one has not found out about yet."""
        return self._state.newcomers.kept

    @property
    def newcomer_count(self) -> int:
        """Members that are to prove where they are."""
        return len(self._state.newcomers)

    @property
    def question_count(self) -> int:
        """Questions of this node that may still be answered."""
        return self._state.questions.count

    @property
    def timer_count(self) -> int:
        """Deadlines that are set."""
        return self._state.means.timers.count

    @property
    def failed_count(self) -> int:
        """Members that are held as failed."""
        return len(self._state.members.down)

    def live_addresses(self, limit: int) -> list[Address]:
        """Where others that are live are held, at most so many of them."""
        members = self._state.members
        return [self._state.members.held(name).address for name in members.live[:limit]]

    @property
    def live_count(self) -> int:
        """Live members, this node included."""
        return self._state.members.live_count

    @property
    def log(self) -> Log:
        """The replicated log, to be read."""
        return self._state.log

    @property
    def key_limit(self) -> int:
        """Keys of the window that are taken at most."""
        return self._state.dedup.limit

    @property
    def stream(self) -> Stream | None:
        """The stream of this node's next increment, None when it is yet to be minted."""
        return self._state.writer.stream

    @property
    def members_fingerprint(self) -> int:
        """128 bits that are equal where member tables are."""
        return self._state.members.fingerprint

    @property
    def health_score(self) -> int:
        """Local health: 0 when this node notices no slowness of its own."""
        return self._state.health.score

    @property
    def agreeing(self) -> int:
        """How many live peers last showed the log's present fingerprint."""
        fingerprint = self._state.log.fingerprint
        return sum(shown.log == fingerprint for shown in self._state.showing.by.values())

    def since(self, name: str) -> float:
        """When a member's status became what it is, on the clock of `now`."""
        return self._state.members.since(name)

    def reason(self, name: str) -> Reason | None:
        """Why a member's state became what it is; None of this node itself."""
        return self._state.members.reason(name)

    def explanation(self, name: str, now: float) -> Explanation:
        """All that is known of why a name is in its state, member or not."""
        state, suspecting = self._state, self._parts.suspecting
        view = state.members.get(name)
        every = state.means.settings.probe_interval * max(1, state.members.live_count - 1)
        return Explanation(
            view,
            None if view is None else state.members.reason(name),
            view is not None and state.members.has_proven(name, view.address),
            state.life.contacts.of(name),
            self._parts.detector.under_way(name, now),
            self._parts.pinger.timeout(name),
            every,
            suspecting.suspicion(name),
            suspecting.corroborations.get(name),
            state.rumours.get(name),
            state.newcomers.get(name),
        )

    def round_trip(self, name: str) -> float | None:
        """The smoothed round trip to a member, seconds."""
        return self._state.round_trips.mean(name)

    def events(self, key: bytes) -> set[KeyedEvent]:
        """What was counted under an idempotency key, as far as it is known in memory."""
        return self._state.log.events(key)

    def counted(self, stream: Stream, seq: int, counter: str | None = None) -> bool:
        """Whether an increment is counted here, as far as is known; exact with `counter`."""
        return self._parts.reads.includes(stream, seq, counter)

    def recent(self, limit: int | None = None) -> list[RecentEvent]:
        """The last events seen, newest first; all that are remembered, or at most `limit`."""
        return self._state.recent.newest(limit)

    def is_proven(self, address: Address) -> bool:
        """Whether a member has proven to be at an address, so that it is no stranger."""
        return self._state.members.is_proven(address)

    def is_doubtful(self, key: bytes, wall: float) -> bool:
        """Whether only the disk may know an idempotency key: look there before `prepare`."""
        return self._state.log.keeps_marks and self._state.dedup.is_doubtful(key, wall)
