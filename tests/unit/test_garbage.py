"""What the log holds is searched by no collector; what is done with is still freed."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator

import pytest

from gossipd.garbage import STEP_MIN, Garbage
from tests.unit.pair import Pair


def count(pair: Pair, counters: int) -> None:
    """Touch so many counters."""
    increments = [(f"c{number}", 1) for number in range(counters)]
    now = time.monotonic()
    pair.node.expose(pair.node.prepare(increments, now, time.time()), now)


@pytest.fixture(autouse=True)
def thaw() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_a_log_that_has_grown_is_frozen_once() -> None:
    pair = Pair()
    garbage = Garbage(pair.node)
    frozen = gc.get_freeze_count()
    garbage.look()
    assert gc.get_freeze_count() == frozen

    count(pair, STEP_MIN)
    registers = next(each for each in gc.get_objects() if is_registers(each))
    garbage.look()
    assert gc.get_freeze_count() > frozen
    assert not any(each is registers for each in gc.get_objects())

    young = [[]]  # type: ignore[var-annotated]
    count(pair, 1)
    garbage.look()
    assert any(each is young for each in gc.get_objects())


def is_registers(each: object) -> bool:
    return isinstance(each, dict) and len(each) == STEP_MIN and isinstance(each.get("c0"), tuple)


def test_while_it_loads_nothing_is_searched() -> None:
    garbage = Garbage(Pair().node)
    with garbage.loading():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), garbage.loading():
        raise ZeroDivisionError
    assert gc.isenabled()
