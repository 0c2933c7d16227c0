"""What this node learns of members, and what follows: news, suspicions, verdicts.

The table (`members`) only joins; here is what may enter it, whose word that takes, and who is to
hear of it (gossipd/core/README.md#membership). What is said of this node itself is answered by
`own_view`. Nobody but the member itself raises its incarnation.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass

from gossipd.core.effects import MemberChanged
from gossipd.core.gossip.dissemination import Dissemination
from gossipd.core.means import Means
from gossipd.core.timers import Timer
from gossipd.core.turn import Turn
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.encoding import pack_view
from gossipd.core.wire.messages import Gossip, MemberView, Status

from .life import Life
from .members import Change, MemberTable, rank
from .newcomers import Newcomers
from .own_view import OwnView
from .plausible import Plausible, Word
from .reason import Cause, Reason
from .rumours import Rumour, Rumours
from .suspecting import Suspecting

TELL_AGAIN_AFTER = 0.1
"""Seconds between two answers that tell the same member what is held of it."""

TELL_ELSEWHERE_AFTER = 10.0
"""The same where only the address that it speaks from differs: that of a twin, or another one of
its host."""

SPREAD = 0.0001
"""Seconds per live member within which all of them turn to a newcomer, each at its own moment."""

EXPIRED_AT_ONCE = 250
"""Members that are looked at in one turn for what is too old; to let one go takes some 5 us."""

AFTER_PULL = 0.05
"""Seconds until who has learnt of members from a whole table turns to them."""


@dataclass(eq=False, repr=False)
class Membership:
    """Turns views of members into changes of the table and their consequences."""

    means: InitVar[Means]
    _members: MemberTable
    _newcomers: Newcomers
    _plausible: Plausible
    _rumours: Rumours
    _life: Life
    _dissemination: Dissemination
    _own: OwnView
    _suspecting: Suspecting

    def __post_init__(self, means: Means) -> None:
        self._settings, self._rng, self._timers = means
        self._told_at: dict[str, float] = {}
        self._expired_upto = ""
        """The last name that was looked at for what is too old."""

    # --- views -------------------------------------------------------------------------------

    def learn(
        self,
        view: MemberView,
        turn: Turn,
        pulled: bool = False,
        own: bool = False,
        word: Word = Word.OTHERS,
        proven: bool = False,
        reached: bool = False,
        reason: Reason | None = None,
    ) -> Change | None:
        """Join a view into the table; `pulled`: others have it, so a new member is no news;
        `own`: it is this node's own verdict; `word`: whose it is otherwise; `proven`: the member
        says so in answer to this node; `reached`: that answer came from the view's address;
        `reason`: why, where that is not that the speaker says so."""
        if view.name == self._members.own.name:
            self._own.heard(view, turn)
            return None
        if self.is_absurd(view, word):
            turn.drop(Drop.ABSURD)
            return None
        if view.status > Status.SUSPECT:
            self._newcomers.ended(view)
        if not (own or reached) and not self._is_credible(view):
            self._await_proof(view, turn, pulled)
            return None
        if not (own or proven or reached) and self._is_rumour(view):
            self._hear_rumour(view, turn)
            return None
        if reached and self._newcomers.found(view):
            self._timers.cancel(Timer.INTRODUCE, view.name)
        change = self._members.merge(view, turn.now, own=own, proven=reached)
        if change is None:
            return None
        self._follow(change, reason or _said(view, turn.speaker), turn)
        is_news = self._members.is_known(view.name) and not (pulled and not change.before)
        if is_news and not self._is_settled(change):
            self._dissemination.push_member(view.name, turn)
        return change

    def _is_credible(self, view: MemberView) -> bool:
        """Whether what others say may enter the table: a verdict, nothing new, or that somebody
        lives where it has proven to this node to be."""
        members = self._members
        if view.status > Status.SUSPECT or members.has_proven(view.name, view.address):
            return True
        held = members.get(view.name)
        return held is not None and rank(view) <= rank(held)

    def _await_proof(self, view: MemberView, turn: Turn, pulled: bool) -> None:
        """Let a newcomer have its turn to prove where it is. Not all who hear of it ask at once,
        and who has pulled a table lets the others speak first."""
        wait = SPREAD * self._members.live_count * self._rng.random() + AFTER_PULL * pulled
        turn_at = self._newcomers.tell(
            view, len(pack_view(view)), turn.source, turn.now + wait, is_news=not pulled
        )
        if turn_at is not None:
            self._timers.set_if_sooner(Timer.INTRODUCE, turn_at, view.name)

    def _is_rumour(self, view: MemberView) -> bool:
        """Whether a verdict is about somebody who lives here."""
        held = self._members.get(view.name)
        if held is None or held.status > Status.SUSPECT:
            return False
        return view.status > Status.SUSPECT and rank(view) > rank(held)

    def _hear_rumour(self, view: MemberView, turn: Turn) -> None:
        at = self._rumours.hear(view, turn.speaker, turn.now)
        if at is not None:
            self._timers.set(Timer.RUMOUR, at, view.name)

    def believe(self, rumour: Rumour, turn: Turn) -> None:
        """A verdict that others gave has turned out to be true."""
        self._end_rumour(rumour.view.name)
        reason = Reason(Cause.CHECKED, by=(rumour.by,), pings=rumour.pings)
        self.learn(rumour.view, turn, proven=True, reason=reason)

    def _end_rumour(self, name: str) -> None:
        self._timers.cancel(Timer.RUMOUR, name)
        self._rumours.drop(name)

    def restore(
        self, view: MemberView, turn: Turn, met: bool, cause: Cause = Cause.LOADED
    ) -> None:
        """Join a view that an earlier life has kept, before anybody is told anything; `met`: in
        this life, too."""
        change = self._members.merge(view, turn.now, kept=True, proven=met)
        if met:
            self._members.meet(view.name, turn.now)
        if change is not None:
            self._follow(change, Reason(cause), turn)

    def is_absurd(self, view: MemberView, word: Word) -> bool:
        """Whether a view cannot be true; what is held already was its member's own word."""
        held = self._members.get(view.name)
        if held is not None and view.generation <= held.generation:
            word = Word.OWN
        return self._plausible.is_absurd(view.generation, view.incarnation, word)

    def _is_settled(self, change: Change) -> bool:
        """Whether one more accuser tells nothing, for the suspicion is as short as it gets."""
        before = change.before
        return (
            before is not None
            and rank(before) == rank(change.view)
            and len(before.accusers) > self._settings.confirmations
        )

    def accuse(self, pinged: MemberView, reason: Reason, turn: Turn) -> None:
        """This node's own pings to a member, as it was held then, were not answered. If others
        that were asked meanwhile have answered, it is not this node's fault; it may be long ago,
        as a node that takes itself for slow asks nobody else in all that time.

        One that has restarted or refuted meanwhile has shown that it lives.
        """
        view = self._members.get(pinged.name)
        if view is None or view.status > Status.SUSPECT:
            return
        if not reason.nacks and self._life.is_to_blame(turn.now):
            return
        if (view.generation, view.incarnation) == (pinged.generation, pinged.incarnation):
            own = self._members.own.name
            suspect = view._replace(status=Status.SUSPECT, accusers=(own,))
            self.learn(suspect, turn, own=True, reason=reason)

    def suspicion_ended(self, name: str, turn: Turn) -> None:
        """A suspicion's deadline has passed without a refutation."""
        if self._life.cut_off:
            wait = self._settings.probe_interval
            self._timers.set(Timer.SUSPICION, turn.now + wait, name)
            return
        view = self._members.held(name)
        reason = Reason(Cause.UNREFUTED, by=view.accusers)
        failed = view._replace(status=Status.FAILED, accusers=())
        self.learn(failed, turn, own=True, reason=reason)

    def forget(self, name: str, turn: Turn) -> None:
        """Let a member that is not live be shown nowhere any more."""
        view = self._members.held(name)
        forgotten = view._replace(status=Status.FORGOTTEN, accusers=())
        self.learn(forgotten, turn, reason=Reason(Cause.FORGOTTEN))
        self._dissemination.push_member(name, turn)  # also of one that only others knew

    def expire(self, turn: Turn) -> bool:
        """Let some old verdicts go, each time those on other members; whether there are more."""
        names = self._members.names_after(self._expired_upto)
        some, more = names[:EXPIRED_AT_ONCE], len(names) > EXPIRED_AT_ONCE
        self._expired_upto = some[-1] if more else ""
        plausible = self._plausible
        for view in self._members.expire(
            turn.now,
            lambda view: plausible.is_absurd(view.generation, view.incarnation, Word.OTHERS),
            some,
        ):
            self._told_at.pop(view.name, None)
            self._end_rumour(view.name)
        return more

    def tell(self, name: str, turn: Turn, again_after: float = TELL_AGAIN_AFTER) -> None:
        """Answer a member with what is held of it, as it seems not to know."""
        view = self._members.held(name)  # also one too old to be shared with others
        if turn.now - self._told_at.get(name, float("-inf")) < again_after:
            return
        if self._members.own.status is Status.LEFT:
            return  # two that have left would tell each other for ever
        self._told_at[name] = turn.now
        turn.send(Gossip(), turn.reply_to, None, (view,))

    # --- consequences ------------------------------------------------------------------------

    def _follow(self, change: Change, reason: Reason, turn: Turn) -> None:
        view, before = change
        rumour = self._rumours.get(view.name)
        if rumour is not None and rank(rumour.view) <= rank(view):
            self._end_rumour(view.name)
        self._suspecting.follow(view, before, turn)
        if view.status is Status.FAILED:
            wait = self._settings.contact_interval * self._rng.random()
            self._timers.set_if_sooner(Timer.CONTACT, turn.now + wait)
        if before is not None and view.status <= Status.SUSPECT:
            self._greet(view, before, turn)
            self._count_return(view, before, turn)
        status = before.status if before else None
        if before is None or _stands(before) != _stands(view):
            self._members.explain(view.name, reason)
        elif before.tags != view.tags and reason.cause is not Cause.SPOKEN:
            reason = Reason(Cause.TAGGED)
        else:
            return
        if self._members.is_known(view.name):
            turn.emit(MemberChanged(view, status, reason))
            turn.save_wanted = True  # whom the next life asks, even if this one ends soon

    def _count_return(self, view: MemberView, before: MemberView, turn: Turn) -> None:
        if view.status is not Status.ALIVE or view.generation != before.generation:
            return
        turn.tally.refutations["others"] += before.status is Status.SUSPECT
        turn.tally.false_failures += before.status is Status.FAILED

    def _greet(self, view: MemberView, before: MemberView, turn: Turn) -> None:
        """A member has begun a new life where it has proven to be: there it knows nobody yet."""
        if view.generation > before.generation and view.address == before.address:
            wait = SPREAD * self._members.live_count * self._rng.random()
            self._timers.set_if_sooner(Timer.INTRODUCE, turn.now + wait, view.name)


def _said(view: MemberView, speaker: str) -> Reason:
    """Why, where the speaker says so."""
    return Reason(Cause.SAID) if view.name == speaker else Reason(Cause.TOLD, by=(speaker,))


def _stands(view: MemberView) -> tuple[Status, int, int]:
    """What the shell is told of; an incarnation counts where it makes another suspicion."""
    incarnation = view.incarnation if view.status is Status.SUSPECT else 0
    return view.status, view.generation, incarnation
