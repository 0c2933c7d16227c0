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


@pytest.mark.untraced
@pytest.mark.parametrize("seed", range(3))
def test_what_is_held_no_more_is_gone(seed: int) -> None:
    rng = random.Random(seed)
    items = [(seq, "x") for seq in range(6 * SIZE)]
    blocks = Blocks(items)
    model = set(items)
    for item in rng.sample(items, len(items) - 100):
        blocks.remove(item)
        model.discard(item)
        if rng.random() < 0.1:
            back = rng.choice(items)
            assert blocks.add(back) == back
            model.add(back)
    held = sorted(model)
    assert (len(blocks), list(blocks)) == (len(held), held)
    for item in rng.sample(items, 100):
        assert list(blocks.ascending(item)) == [one for one in held if one >= item]
        assert list(blocks.descending(item)) == [one for one in reversed(held) if one < item]
    for item in items:
        blocks.add(item)
    assert list(blocks) == items


def test_what_comes_behind_all_that_is_left_of_a_block_has_its_place() -> None:
    items = [(seq, "x") for seq in range(2 * SIZE)]
    blocks = Blocks(items)
    for item in items[SIZE - 10 : SIZE]:
        blocks.remove(item)
    for seq in range(SIZE - 1, SIZE - 11, -1):
        assert blocks.add((seq, "y")) == (seq, "y")
    kept = [item for item in items if not SIZE - 10 <= item[0] < SIZE]
    assert list(blocks) == sorted([*kept, *((seq, "y") for seq in range(SIZE - 10, SIZE))])


def test_blocks_of_which_little_is_left_become_one() -> None:
    items = [(seq, "x") for seq in range(100 * SIZE)]
    blocks, kept = Blocks(items), items[SIZE - 1 :: SIZE]
    for item in items:
        if item not in kept[item[0] // SIZE :][:1]:
            blocks.remove(item)
    assert list(blocks) == kept
    assert len(blocks.some_from((0, ""))) > SIZE // 8, "and not those of one block alone"
    for item in kept:
        blocks.remove(item)
    assert (len(blocks), list(blocks), blocks.some_from((0, ""))) == (0, [], [])
    assert blocks.add((1, "y")) == (1, "y")
    assert list(blocks) == [(1, "y")]
