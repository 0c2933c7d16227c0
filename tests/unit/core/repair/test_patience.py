"""How long the answers of a repair are waited for."""

from __future__ import annotations

from gossipd.core.repair.patience import FACTOR_MAX, Patience
from gossipd.core.swim.life import Life


def heard(at: float) -> Life:
    """A node that was answered last at that moment."""
    life = Life(1.0, 0.0)
    life.heard_at = at
    return life


def test_where_nothing_is_answered_at_all_waits_stay_as_they_are() -> None:
    """The way is closed: once it is open again, questions are not to be asked late."""
    patience = Patience(1.2)
    patience.in_vain(heard(90.0), 100.0)
    assert patience.factor == 1


def test_each_repair_in_vain_doubles_the_waits_up_to_a_bound() -> None:
    patience = Patience(1.2)
    factors = []
    for _ in range(5):
        factors.append(patience.factor)
        patience.in_vain(heard(99.0), 100.0)
    assert factors == [1, 2, 4, 8, FACTOR_MAX]


def test_only_an_answer_that_comes_as_soon_as_usual_takes_that_back() -> None:
    patience = Patience(1.2)
    patience.in_vain(heard(99.0), 100.0)
    patience.asks(10.0)
    patience.answered(11.3)
    assert patience.factor == 2
    patience.asks(12.0)
    patience.answered(13.1)
    assert patience.factor == 1
