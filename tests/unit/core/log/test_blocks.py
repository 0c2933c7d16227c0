"""Blocks against a plain sorted list."""

from __future__ import annotations

import random

import pytest

from gossipd.core.log.blocks import SIZE, Blocks


def test_empty_blocks_hold_nothing() -> None:
    blocks: Blocks[str] = Blocks()
    assert len(blocks) == 0
    assert [*blocks, *blocks.ascending(""), *blocks.descending("z"), *blocks.some_from("")] == []


@pytest.mark.untraced
@pytest.mark.parametrize("seed", range(3))
def test_blocks_are_a_sorted_list(seed: int) -> None:
    rng = random.Random(seed)
    names = [f"{rng.randrange(10**6):06}" for _ in range(8 * SIZE)]
    start = sorted(set(names[: 2 * SIZE]))
    blocks, model = Blocks(start), set(start)
    for name in names:
        assert blocks.add(name) == name
        model.add(name)
    check(blocks, sorted(model), rng)
    ascending = [f"{number:07}" for number in range(10**6, 10**6 + 2 * SIZE)]
    for name in ascending:
        blocks.add(name)
    check(blocks, sorted({*model, *ascending}), rng)


def check(blocks: Blocks[str], held: list[str], rng: random.Random) -> None:
    assert list(blocks) == held
    assert len(blocks) == len(held)
    for place in [0, len(held) - 1, *(rng.randrange(len(held)) for _ in range(20))]:
        for first in (held[place], held[place] + "0"):
            behind = [name for name in held if name >= first]
            assert list(blocks.ascending(first)) == behind
            some = blocks.some_from(first)
            assert some == behind[: len(some)]
            assert bool(some) == bool(behind)
            assert list(blocks.descending(first)) == [n for n in reversed(held) if n < first]
        for limit in 1, 100, len(held) + 1:
            some = blocks.some_behind(place, limit)
            assert some == held[place : place + len(some)]
            assert 0 < len(some) <= limit
    assert blocks.some_behind(len(held), 1) == []


def test_the_object_that_is_held_stays() -> None:
    first, equal = "name"[:], "".join(["na", "me"])
    blocks = Blocks([first])
    assert blocks.add(equal) is first
    blocks.add("aaa")
    assert blocks.add("".join(["na", "me"])) is first


def test_what_is_not_wanted_goes_block_by_block() -> None:
    items = [(seq, "x") for seq in range(10 * SIZE)]
    blocks = Blocks(items)
    looked = 0
    while len(blocks) > SIZE // 2:
        before = len(blocks)
        blocks.tidy(lambda item: item[0] % 20 == 0)
        looked += 1
        assert before - len(blocks) <= SIZE
        assert looked <= 40
    kept = [item for item in items if item[0] % 20 == 0]
    assert list(blocks) == kept
    assert list(blocks.ascending((1, ""))) == kept[1:]
    for item in items:
        blocks.add(item)
    assert list(blocks) == items


def test_a_block_of_which_nothing_is_wanted_is_gone() -> None:
    blocks = Blocks([(seq, "x") for seq in range(2 * SIZE)])
    blocks.tidy(lambda item: item[0] >= SIZE)
    assert [seq for seq, _ in blocks] == list(range(SIZE, 2 * SIZE))
    blocks.tidy(lambda _: False)
    assert len(blocks) == 0
    assert blocks.add((1, "y")) == (1, "y")
    assert list(blocks) == [(1, "y")]


def test_what_comes_behind_all_that_is_left_of_a_block_has_its_place() -> None:
    items = [(seq, "x") for seq in range(2 * SIZE)]
    blocks = Blocks(items)
    blocks.tidy(lambda item: item[0] < SIZE - 10)
    for seq in range(SIZE - 1, SIZE - 11, -1):
        assert blocks.add((seq, "y")) == (seq, "y")
    kept = [item for item in items if not SIZE - 10 <= item[0] < SIZE]
    assert list(blocks) == sorted([*kept, *((seq, "y") for seq in range(SIZE - 10, SIZE))])
