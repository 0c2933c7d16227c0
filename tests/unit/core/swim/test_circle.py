"""Everybody has a turn in each round, whoever comes and goes, and one more draws one number."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from gossipd.core.swim.circle import Circle


class Counting(Random):
    """Counts what is drawn."""

    drawn = 0

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        self.drawn += 1
        return super().randrange(start, stop, step)


def circle_of(count: int, rng: Random) -> Circle:
    circle = Circle(rng)
    for number in range(count):
        circle.add(str(number))
    return circle


def a_round(circle: Circle, mix: bool = False) -> list[str]:
    return [circle.next(mix) for _ in range(len(circle))]


def test_each_name_has_its_turn_and_the_order_stays() -> None:
    circle = circle_of(50, Random(1))
    order = a_round(circle)
    assert sorted(order) == sorted(map(str, range(50)))
    assert order != sorted(order, key=int), "it is a random one"
    assert a_round(circle) == order


def test_a_round_that_mixes_is_in_another_order() -> None:
    circle = circle_of(50, Random(1))
    order = a_round(circle)
    mixed = a_round(circle, mix=True)
    assert mixed != order
    assert sorted(mixed) == sorted(order)
    assert a_round(circle) == mixed


def test_each_order_is_as_likely() -> None:
    rng = Random(1)
    orders = Counter("".join(a_round(circle_of(3, rng))) for _ in range(6_000))
    assert len(orders) == 6
    assert min(orders.values()) > 850


@pytest.mark.parametrize("seed", range(20))
def test_who_comes_or_goes_takes_nobodys_turn(seed: int) -> None:
    """Names that are in for a whole round are passed once in it."""
    rng = Random(seed)
    circle, names, new = circle_of(10, rng), {str(n) for n in range(10)}, 10
    for _ in range(20):
        stay, seen = set(names), Counter[str]()
        while left := stay - seen.keys():
            name = circle.next(mix=rng.random() < 0.5)
            assert name in names
            seen[name] += 1
            if rng.random() < 0.3:
                names.add(str(new))
                circle.add(str(new))
                new += 1
            if rng.random() < 0.3 and len(names) > 3:
                gone = rng.choice(sorted(names))
                names.remove(gone)
                stay.discard(gone)
                circle.remove(gone)
            assert len(seen) <= new, left
        assert len(circle) == len(names)
        assert max(seen[name] for name in stay) <= 2, "at most the end of one and the next begin"


def test_one_more_costs_no_more_than_itself() -> None:
    """A list that is shuffled anew draws as many numbers as there are names."""
    rng = Counting(1)
    circle = circle_of(2_000, rng)
    before = rng.drawn
    circle.add("new")
    circle.remove("7")
    circle.next(mix=False)
    assert rng.drawn - before <= 1
