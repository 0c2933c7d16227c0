"""Members that have proven nothing yet: what was said of each, and when it has its turn."""

from __future__ import annotations

import pytest

from gossipd.core.swim import newcomers
from gossipd.core.swim.newcomers import (
    AT_ONCE,
    KEPT_AT_ONCE,
    ORIGINS_MAX,
    PACE,
    WAIT_MAX,
    Newcomers,
)
from gossipd.core.wire.messages import MemberView, Status

LIAR = ("192.0.2.1", 1)
OTHER = ("192.0.2.2", 1)
BOB = MemberView("bob", ("10.0.0.1", 1), 5, 3, Status.ALIVE)


def named(number: int) -> MemberView:
    return BOB._replace(name=f"x{number}")


def told(held: Newcomers, view: MemberView, now: float = 0.0, size: int = 30) -> float | None:
    return held.tell(view, size, OTHER, now, is_news=False)


def test_each_telling_of_an_address_earns_three_times_its_bytes() -> None:
    held = Newcomers(1.0)
    assert told(held, BOB) == 0.0
    assert told(held, BOB._replace(incarnation=2), 1.0) == 1.0
    newcomer = held.get("bob")
    assert newcomer is not None
    assert (newcomer.credit, newcomer.view) == (180, BOB)
    told(held, BOB._replace(incarnation=4))
    assert (newcomer.credit, newcomer.view.incarnation) == (270, 4)
    moved = BOB._replace(address=("10.0.0.2", 1), incarnation=4)
    told(held, moved)
    told(held, BOB)
    assert (newcomer.credit, newcomer.view) == (90, moved)


def test_once_it_is_news_it_stays_so() -> None:
    held = Newcomers(1.0)
    told(held, BOB)
    newcomer = held.get("bob")
    assert newcomer is not None
    assert not newcomer.is_news
    held.tell(BOB, 30, OTHER, 0.0, is_news=True)
    told(held, BOB)
    assert newcomer.is_news


def test_who_tells_of_thousands_waits_with_these_and_others_do_not() -> None:
    held = Newcomers(1.0)
    turns = [held.tell(named(n), 30, LIAR, 5.0, is_news=True) for n in range(5000)]
    places = int(WAIT_MAX * PACE) + AT_ONCE
    assert len(held) == pytest.approx(places, abs=2)
    assert turns[:AT_ONCE] == [5.0] * AT_ONCE
    assert turns[AT_ONCE + PACE] == pytest.approx(6.0)
    assert turns[-1] is None
    assert told(held, BOB, 5.0) == 5.0
    assert held.tell(named(4999), 30, LIAR, 6.0, is_news=True) is not None, "time passes"


def test_there_is_a_bound_for_all_origins_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newcomers, "NEWCOMERS_MAX", 3)
    held = Newcomers(1.0)
    held.keep(named(9), 0.0)
    assert [told(held, named(n)) is not None for n in range(4)] == [True, True, True, False]
    held.drop("x1")
    held.drop("x1")
    assert told(held, named(3)) is not None


def test_only_so_many_origins_are_paced_at_once() -> None:
    held = Newcomers(1.0)
    for port in range(1, ORIGINS_MAX + 1):
        assert held.tell(named(port), 30, ("192.0.2.1", port), 0.0, is_news=True) is not None
    assert told(held, BOB) is None
    assert told(held, BOB, 1.0) is not None


def test_those_of_an_earlier_life_have_a_slower_pace_and_no_bound() -> None:
    held = Newcomers(1.0)
    turns = [held.keep(named(n), 1.0) for n in range(1000)]
    assert turns[:KEPT_AT_ONCE] == [1.0] * KEPT_AT_ONCE
    assert turns[-1] > 1.0 + WAIT_MAX
    assert len(held.kept) == 1000
    held.keep(named(5)._replace(generation=1), 1.0)
    held.keep(named(6)._replace(generation=9), 1.0)
    assert [view.generation for view in sorted(held.kept) if view.name in ("x5", "x6")] == [5, 9]


def test_it_is_found_where_it_was_said_to_be_and_ends_with_a_later_word() -> None:
    held = Newcomers(1.0)
    told(held, BOB)
    assert not held.found(BOB._replace(address=("10.0.0.2", 1)))
    assert not held.found(named(1))
    assert held.found(BOB)
    assert held.get("bob") is None
    told(held, BOB)
    held.ended(BOB._replace(status=Status.LEFT, incarnation=2))
    held.ended(named(1))
    assert held.get("bob") is not None
    held.ended(BOB._replace(status=Status.LEFT))
    assert held.get("bob") is None
    held.keep(BOB, 0.0)
    held.ended(BOB._replace(status=Status.LEFT))
    assert held.kept == [BOB], "whom this node knew it asks itself"
