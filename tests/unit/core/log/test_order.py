"""Values by seq against a plain sorted list, and what one more of them moves."""

from __future__ import annotations

import itertools
import random

import pytest

from gossipd.core.hashing import hash64
from gossipd.core.log.blocks import SIZE
from gossipd.core.log.order import Order


def value(seq: int) -> bytes:
    return str(seq).encode()


def weight(seq: int) -> int:
    return hash64(seq)


def test_what_is_empty_holds_nothing() -> None:
    order = Order()
    assert not order
    assert order.get(1) is None
    assert [*order.ascending(0), *order.descending(9)] == []
    order.remove_first(0)


@pytest.mark.untraced
@pytest.mark.parametrize("seed", range(3))
def test_it_is_a_sorted_list(seed: int) -> None:
    rng = random.Random(seed)
    order, model = Order(), dict[int, bytes]()
    for seq in rng.sample(range(1, 10**6), 8 * SIZE):
        order.put(seq, value(seq), weight(seq))
        model[seq] = value(seq)
    check(order, model, rng)
    for seq in rng.sample(sorted(model), 6 * SIZE):
        order.remove(seq)
        del model[seq]
    check(order, model, rng)
    while model:
        gone = sorted(model)[: rng.randrange(1, SIZE)]
        order.remove_first(len(gone))
        for seq in gone:
            del model[seq]
        assert bool(order) == bool(model)
        if model:
            check(order, model, rng)


def check(order: Order, model: dict[int, bytes], rng: random.Random) -> None:
    held = sorted(model.items())
    assert list(order.ascending(0)) == held
    for seq in [held[0][0], held[-1][0], *(rng.randrange(10**6) for _ in range(20))]:
        assert order.get(seq) == model.get(seq)
        assert list(order.ascending(seq)) == [item for item in held if item[0] > seq]
        below = [item for item in reversed(held) if item[0] <= seq]
        assert list(order.descending(seq)) == below
        for other in (seq, seq + 10**5, 10**6):
            weights = [weight(each) for each, _ in held if seq < each <= other]
            assert order.weight(seq, other) == sum(weights)


@pytest.mark.parametrize("seed", range(3))
def test_it_tells_where_seqs_follow_each_other(seed: int) -> None:
    rng = random.Random(seed)
    order, model = Order(), set(range(1, 3 * SIZE)) | set(rng.sample(range(10**4), 10**3))
    model -= set(rng.sample(range(SIZE, 2 * SIZE), rng.choice([0, 3, 300])))
    for seq in rng.sample(sorted(model), len(model)):
        order.put(seq, b"")
    for above in (0, 1, SIZE + 7, rng.randrange(10**4), 10**4):
        runs = list(order.runs(above))
        told = [seq for first, last in runs for seq in range(first, last + 1)]
        assert told == sorted(seq for seq in model if seq > above)
        joins = sum(last + 1 == first for (_, last), (first, _) in itertools.pairwise(runs))
        assert joins <= len(order._blocks), "only what goes on in the next block comes in parts"


@pytest.mark.parametrize("falls", [True, False])
def test_one_more_moves_a_block_at_most(falls: bool) -> None:
    """Whatever the order in which they come: all in one row, each would move all."""
    order = Order()
    seqs = range(20 * SIZE)
    for seq in reversed(seqs) if falls else seqs:
        order.put(seq, b"")
    assert max(len(block.seqs) for block in order._blocks) <= 2 * SIZE
    assert [seq for seq, _ in order.ascending(-1)] == list(seqs)
