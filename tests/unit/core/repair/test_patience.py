"""How long the answers of a repair are waited for."""

from __future__ import annotations

from gossipd.core.repair.patience import FACTOR_MAX, Patience


def test_each_repair_in_vain_doubles_the_waits_up_to_a_bound() -> None:
    patience = Patience(1.2)
    factors = []
    for _ in range(5):
        factors.append(patience.factor)
        patience.in_vain()
    assert factors == [1, 2, 4, 8, FACTOR_MAX]


def test_only_an_answer_that_comes_as_soon_as_usual_takes_that_back() -> None:
    patience = Patience(1.2)
    patience.in_vain()
    patience.asks(10.0)
    patience.answered(11.3)
    assert patience.factor == 2
    patience.asks(12.0)
    patience.answered(13.1)
    assert patience.factor == 1
