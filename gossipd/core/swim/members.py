"""The member table: what is held of every member, as a join.

Merging two views of a name is `max` of one sort key, so order, duplication and delay of news
cannot matter. The key is (generation, incarnation, status) with the address behind the generation
("the larger generation, then the larger address, keeps a name") and the tags last, so that it is
total. Age and accusers are not part of it: the smaller age wins, accusers are joined.

What an earlier life has *kept* says whom to ask, and may be long out of date: the others may have
forgotten a member since. So it is told to nobody, and is no part of the fingerprint, before the
member is *met*: it speaks, or others tell of it, in this life.

A live member enters only once it has *proven* its address: it has answered a nonce of this node
there. Until then it is a newcomer (see `newcomers`), which is the caller's affair. Members that
are not live any more cannot prove anything. Those that this node has never known itself, now or in
an earlier life, have a share of the table and go first; they are told of, and not contacted.

This module knows no messages, timers or randomness. The node's own entry stands in the table too,
but only the node itself changes it (I12): who holds a view of it above its own state must tell it.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from gossipd.core.hashing import MASK, fingerprint_of, wide_hash
from gossipd.core.identity import Address, Tags
from gossipd.core.wire.messages import ACCUSERS_MAX, AGE_MAX, MemberView, Status

from .circle import Circle
from .reason import Reason
from .roster import Roster, Standing

MEMBERS_MAX = 20_000
"""Members that are remembered at most, failed and left ones included."""

STRANGERS_SHARE = MEMBERS_MAX // 4
"""How many of them may be such that others have told of when they were live no more."""

Rank: TypeAlias = tuple[int, Address, int, int, Tags]


def rank(view: MemberView) -> Rank:
    """The precedence of a view among the views of its name."""
    return view.generation, view.address, view.incarnation, view.status, view.tags


class Change(NamedTuple):
    """A merge changed the table."""

    view: MemberView
    before: MemberView | None


@dataclass(slots=True)
class _Entry:
    view: MemberView
    since: float
    """When the status became what it is, as seen here."""
    verdict_at: float
    """When the verdict was first given anywhere, as far as known."""
    digest: int
    """Its part of the sum under the fingerprint; 0 when not shared: too old, or not met."""
    met: bool
    """Whether it was heard of in this life, and not only in an earlier one."""
    known: bool
    """Whether it has proven its address to this node, now or in an earlier life."""
    proven: bool
    """Whether it has in this life."""
    reason: Reason | None
    """Why its state is what it is; None of this node itself."""

    @property
    def standing(self) -> Standing:
        return Standing(self.view.status, self.known)


class MemberTable:
    """All members by name."""

    def __init__(self, own: MemberView, remember: float, now: float) -> None:
        self._own = own.name
        self._remember = remember
        self._entries: dict[str, _Entry] = {}
        self._names: list[str] = []
        self._roster = Roster(own.name)
        self._strangers: dict[str, None] = {}
        """Those that this node does not know itself."""
        self._addresses: dict[Address, int] = {}
        """How many have proven each address."""
        self._homes: dict[Address, int] = {}
        """How many of them live there."""
        self._sum = 0
        """Of the hashes of shared entries."""
        self.changed: dict[str, None] = {}
        """Names of what is to be stored, while `keeps_marks`."""
        self.keeps_marks = False
        self.followed: dict[str, None] | None = None
        """Names of which something else is held since they were taken, while somebody follows."""
        self._store(own, now, now, met=True, known=True, proven=True)

    # --- queries -----------------------------------------------------------------------------

    @property
    def own(self) -> MemberView:
        """What this node says of itself."""
        return self._entries[self._own].view

    @property
    def fingerprint(self) -> int:
        """128 bits over all shared entries; equal tables have equal ones."""
        return fingerprint_of(self._sum)

    @property
    def live(self) -> list[str]:
        """Names of the other members that are alive or suspected. Not to be changed."""
        return self._roster.live

    @property
    def down(self) -> list[str]:
        """Names of the failed members that this node knows itself. Not to be changed."""
        return self._roster.down

    @property
    def counts(self) -> dict[Status, int]:
        """How many members there are in each state. Not to be changed."""
        return self._roster.counts

    @property
    def live_count(self) -> int:
        """N: live members with this node."""
        return len(self.live) + 1

    def views(self) -> list[MemberView]:
        """Everything held, in the order of names."""
        return [self._entries[name].view for name in self._names]

    def held(self, name: str) -> MemberView:
        """What is held of somebody of whom something is held."""
        view = self.get(name)
        assert view is not None
        return view

    def get(self, name: str) -> MemberView | None:
        """What is held of a member."""
        entry = self._entries.get(name)
        return entry.view if entry else None

    def since(self, name: str) -> float:
        """When the status of a held member became what it is."""
        return self._entries[name].since

    def reason(self, name: str) -> Reason | None:
        """Why that is so; None of this node itself."""
        return self._entries[name].reason

    def is_proven(self, address: Address) -> bool:
        """Whether a member that is held at `address` has answered a nonce of this node there."""
        return address in self._addresses

    def lives_at(self, address: Address) -> bool:
        """Whether that is so of one that lives: who is gone may have left it to anybody."""
        return address in self._homes

    def has_proven(self, name: str, address: Address) -> bool:
        """Whether this very member has."""
        entry = self._entries.get(name)
        return entry is not None and entry.proven and entry.view.address == address

    def is_known(self, name: str) -> bool:
        """Whether a member has proven its address to this node, now or in an earlier life."""
        return self._entries[name].known

    def shared(self, name: str, now: float) -> MemberView | None:
        """A view as others are told it, with its age; None when it is too old to be shared, or
        not met."""
        entry = self._entries.get(name)
        return self.remembered(name, now) if entry is not None and entry.digest else None

    def remembered(self, name: str, now: float) -> MemberView | None:
        """A view as a disk keeps it, with its age; None when nothing is held of the name."""
        entry = self._entries.get(name)
        if entry is None:
            return None
        if entry.view.status <= Status.SUSPECT:
            return entry.view
        age = math.ceil(max(0.0, now - entry.verdict_at) / 60)
        return entry.view._replace(age=min(age, AGE_MAX))

    def worth_keeping(self, name: str, now: float) -> MemberView | None:
        """The same of those that the next life of this node is to know: whom it knows itself."""
        entry = self._entries.get(name)
        return self.remembered(name, now) if entry is not None and entry.known else None

    def names_after(self, name: str) -> list[str]:
        """The names behind `name`, in order."""
        return self._names[bisect_right(self._names, name) :]

    def place_after(self, name: str) -> tuple[int, int]:
        """This node's place, from 0, among the live members that follow a live one in a circle by
        name, and how many these are."""
        count = len(self.live)
        return (
            bisect_left(self.live, self._own) - bisect_left(self.live, name) - 1
        ) % count, count

    # --- changes -----------------------------------------------------------------------------

    def meet(self, name: str, now: float) -> None:
        """Somebody is heard of in this life, if it is held: from now on it is shared."""
        entry = self._entries.get(name)
        if entry is not None and not entry.met:
            entry.met = True
            self._share(entry, now)

    def explain(self, name: str, reason: Reason) -> None:
        """Why the state of a held member has just changed."""
        self._entries[name].reason = reason

    def follow(self, circle: Circle) -> None:
        """Keep the other live members in a circle, too."""
        self._roster.follow(circle)

    def prove(self, name: str, address: Address) -> None:
        """A nonce was answered at `address` under this name: it counts if it is held there."""
        entry = self._entries.get(name)
        if entry is not None and entry.view.address == address and not entry.proven:
            before = entry.standing
            self._unlink(entry)
            entry.known = entry.proven = True
            self._link(entry)
            self._roster.move(name, before, entry.standing)
            self._mark(name)

    def is_met(self, name: str) -> bool:
        """Whether a member is held, and not only since an earlier life."""
        entry = self._entries.get(name)
        return entry is not None and entry.met

    def merge(
        self,
        view: MemberView,
        now: float,
        *,
        kept: bool = False,
        own: bool = False,
        proven: bool = False,
    ) -> Change | None:
        """Join a view into the table; None when that changes nothing that matters to others.

        `kept`: by an earlier life; `own`: a verdict of this node's own, so nobody has told it;
        `proven`: the member has just proven this address.
        Refused (None) are a verdict too old to be shared, which its giver should not have told
        (one that an earlier life has `kept` is good as long as it is remembered), and a member not
        held before when the table is full.
        """
        told = not kept and not own
        if told:
            self.meet(view.name, now)
        entry = self._entries.get(view.name)
        verdict_at = now - 60.0 * view.age
        age_max = self._remember if kept else self._remember / 2
        if view.status > Status.SUSPECT and now - verdict_at >= age_max:
            return None
        if entry is None:
            if not self._has_room(proven or kept):
                return None
        elif rank(view) < rank(entry.view):
            return None
        elif rank(view) == rank(entry.view):
            return self._confirm(entry, view, verdict_at, now)
        met = told or (entry is not None and entry.met)
        if view.name == self._own:
            proven = True
        elif entry is not None and entry.view.address == view.address:
            kept, proven = kept or entry.known, proven or entry.proven
        self._store(view, now, verdict_at, met, kept or proven, proven)
        return Change(self._entries[view.name].view, entry.view if entry else None)

    def expire(
        self,
        now: float,
        is_absurd: Callable[[MemberView], bool] = lambda _: False,
        names: Iterable[str] | None = None,
    ) -> list[MemberView]:
        """Let old verdicts on others leave sharing at half their life and the table at its end;
        those on members of these `names`, or on all.

        At once goes who is gone and had raised itself above what others may say of anybody: nobody
        who has not heard it itself would ever believe that, so tables would differ.
        """
        gone: list[MemberView] = []
        for name in self.names_after("") if names is None else names:
            entry = self._entries[name]
            if entry.view.status <= Status.SUSPECT or name == self._own:
                continue
            age = now - entry.verdict_at
            if self._is_old(age) and entry.digest:
                self._unshare(entry)
            if age >= self._remember or is_absurd(entry.view):
                self._remove(name)
                gone.append(entry.view)
        return gone

    def _has_room(self, known: bool) -> bool:
        """Whether one more has a place; for those that this node knows strangers make room."""
        if not known:
            full = len(self._strangers) >= STRANGERS_SHARE or len(self._entries) >= MEMBERS_MAX
            return not full
        if len(self._entries) >= MEMBERS_MAX and self._strangers:
            self._remove(next(iter(self._strangers)))
        return len(self._entries) < MEMBERS_MAX

    def _remove(self, name: str) -> None:
        entry = self._entries.pop(name)
        self._roster.move(name, entry.standing, None)
        self._unlink(entry)
        self._unshare(entry)
        del self._names[bisect_left(self._names, name)]
        self._mark(name)
        self._show(name)

    def _share(self, entry: _Entry, now: float) -> None:
        """Take an entry into the fingerprint, if it belongs there."""
        young = entry.view.status <= Status.SUSPECT or not self._is_old(now - entry.verdict_at)
        if entry.met and young and not entry.digest:
            entry.digest = digest_of(entry.view)
            self._sum = (self._sum + entry.digest) & MASK

    def _is_old(self, age: float) -> bool:
        return age >= self._remember / 2

    def _confirm(
        self, entry: _Entry, view: MemberView, verdict_at: float, now: float
    ) -> Change | None:
        before = entry.view
        if verdict_at > entry.verdict_at:
            entry.verdict_at = verdict_at
            if before.status > Status.SUSPECT:
                self._mark(view.name)
        # Others may have given the verdict later, as after a partition: it is shared again.
        self._share(entry, now)
        known = before.accusers
        new = [a for a in view.accusers if a not in known][: ACCUSERS_MAX - len(known)]
        if not new or view.status is not Status.SUSPECT:
            return None
        entry.view = before._replace(accusers=(*known, *new))
        self._show(view.name)
        return Change(entry.view, before)

    def _store(
        self, view: MemberView, now: float, verdict_at: float, met: bool, known: bool, proven: bool
    ) -> None:
        view = view._replace(age=0)
        self._mark(view.name)
        self._show(view.name)
        before = self._entries.get(view.name)
        if before is not None:
            self._unlink(before)
            self._unshare(before)
        else:
            insort(self._names, view.name)
        same = before is not None and before.view.status is view.status
        since = before.since if same and before else now
        reason = before.reason if before else None
        entry = _Entry(view, since, verdict_at, 0, met, known, proven, reason)
        self._entries[view.name] = entry
        self._share(entry, now)
        self._link(entry)
        self._roster.move(view.name, before.standing if before else None, entry.standing)

    def _mark(self, name: str) -> None:
        if self.keeps_marks:
            self.changed[name] = None

    def _show(self, name: str) -> None:
        if self.followed is not None:
            self.followed[name] = None

    def _link(self, entry: _Entry) -> None:
        """Count its address, and it as a stranger if it is one."""
        view = entry.view
        for addresses in self._places(entry):
            addresses[view.address] = addresses.get(view.address, 0) + 1
        if not entry.known:
            self._strangers[view.name] = None

    def _places(self, entry: _Entry) -> tuple[dict[Address, int], ...]:
        """Where its address is counted."""
        if not entry.proven:
            return ()
        lives = entry.view.status <= Status.SUSPECT
        return (self._addresses, self._homes) if lives else (self._addresses,)

    def _unlink(self, entry: _Entry) -> None:
        """Count it no more."""
        view = entry.view
        for addresses in self._places(entry):
            addresses[view.address] -= 1
            if not addresses[view.address]:
                del addresses[view.address]
        self._strangers.pop(view.name, None)

    def _unshare(self, entry: _Entry) -> None:
        """Take an entry out of the fingerprint."""
        self._sum = (self._sum - entry.digest) & MASK
        entry.digest = 0


def digest_of(view: MemberView) -> int:
    """What a view adds to the sum under the fingerprint of a table."""
    tags = [text for tag in view.tags for text in tag]
    return wide_hash(
        "m", view.name, *view.address, view.generation, view.incarnation, view.status.value, tags
    )
