"""The member table is a join (I5), and only its owner changes the owner's entry (I12)."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gossipd.core.swim.members import MemberTable, rank
from gossipd.core.wire.messages import MemberView, Status
from tests.effort import examples

_OWN = MemberView("own", ("10.0.0.9", 1), 2, 1, Status.ALIVE)
_REMEMBER = 7200.0
_AGES = st.integers(0, 50)
_VIEWS = st.builds(
    MemberView,
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from([("10.0.0.1", 1), ("10.0.0.2", 1)]),
    st.integers(0, 2),
    st.integers(0, 2),
    st.sampled_from(Status),
    st.sampled_from([(), (("k", "v"),)]),
    _AGES,
    st.lists(st.sampled_from("xyz"), max_size=2, unique=True).map(tuple),
).map(lambda view: view if view.status > Status.SUSPECT else view._replace(age=0))
_Table = list[MemberView | None]


def _merged(views: list[MemberView], now: float = 0.0) -> MemberTable:
    table = MemberTable(_OWN, _REMEMBER, 0.0)
    for view in views:
        table.merge(view, now)
    return table


def _state(table: MemberTable, now: float = 0.0) -> _Table:
    shared = (table.shared(name, now) for name in table.names_after(""))
    return [view and view._replace(accusers=tuple(sorted(view.accusers))) for view in shared]


@examples(200)
@given(st.lists(_VIEWS, max_size=15), st.randoms(use_true_random=False))
def test_order_and_duplication_do_not_matter(views: list[MemberView], rng: Random) -> None:
    table = _merged(views)
    again = views + [view for view in views if rng.random() < 0.5]
    rng.shuffle(again)
    other = _merged(again)
    assert other.fingerprint == table.fingerprint
    assert _without_accusers(other) == _without_accusers(table)
    for name in table.names_after(""):
        ranks = [rank(view) for view in views if view.name == name]
        held = table.get(name)
        assert held is not None
        assert rank(held) == max(ranks, default=rank(_OWN))
    assert table.own == other.own == _OWN


def _without_accusers(table: MemberTable) -> _Table:
    return [view and view._replace(accusers=()) for view in _state(table)]


@examples(100)
@given(st.lists(_VIEWS, max_size=15))
def test_accusers_of_the_highest_views_are_joined(views: list[MemberView]) -> None:
    table = _merged(views)
    for name in table.names_after(""):
        held = table.get(name)
        assert held is not None
        if held.status is Status.SUSPECT:
            same = [view for view in views if view.name == name and rank(view) == rank(held)]
            assert set(held.accusers) == {a for view in same for a in view.accusers}


@examples(150)
@given(st.lists(st.tuples(_VIEWS, st.sampled_from([0.0, 30.0, 1800.0])), max_size=20))
def test_the_books_are_right_after_every_merge_and_expiry(
    steps: list[tuple[MemberView, float]],
) -> None:
    table = MemberTable(_OWN, _REMEMBER, 0.0)
    known: set[str] = set()
    now = 0.0
    for view, pause in steps:
        now += pause
        held = table.get(view.name)
        is_live = view.status <= Status.SUSPECT
        if table.merge(view, now, proven=is_live):
            moved = held is None or held.address != view.address
            known = (known | {view.name}) if is_live else known - ({view.name} if moved else set())
        after = table.get(view.name)
        if held is not None:
            assert after is not None
            assert rank(after) >= rank(held), "I6"
        for gone in table.expire(now):
            assert table.get(gone.name) is None
            known.discard(gone.name)
        _check(table, known, now)


def _check(table: MemberTable, known: set[str], now: float) -> None:
    views = table.views()
    others = [view for view in views if view.name != "own"]
    assert [view.name for view in views] == sorted(view.name for view in views)
    assert table.live == [v.name for v in others if v.status <= Status.SUSPECT]
    assert table.down == [v.name for v in others if v.status is Status.FAILED and v.name in known]
    assert table.live_count == len(table.live) + 1
    for port in ("10.0.0.1", "10.0.0.2", "10.0.0.9"):
        at = {view.name for view in views if view.address == (port, 1)}
        assert table.is_proven((port, 1)) is bool(at & {*known, "own"})
    shared = [view for name in table.names_after("") if (view := table.shared(name, now))]
    fresh = MemberTable(_OWN, _REMEMBER, now)
    for view in shared:
        assert view.age * 60 <= _REMEMBER / 2 + 60
        fresh.merge(view._replace(age=0), now)
    assert fresh.fingerprint == table.fingerprint
