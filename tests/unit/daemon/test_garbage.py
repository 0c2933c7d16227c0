"""What the log holds is searched by no collector; what is done with is still freed."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator

import pytest

from gossipd.daemon.garbage import STEP_MIN, Garbage
from tests.commits import count_all
from tests.unit.pair import Pair


def count(pair: Pair, counters: int) -> None:
    """Touch so many counters."""
    increments = [(f"c{number}", 1) for number in range(counters)]
    now = time.monotonic()
    count_all(pair.node, increments, now, time.time())


@pytest.fixture(autouse=True)
def thaw() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.enable()
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_a_log_that_has_grown_is_frozen_once() -> None:
    pair = Pair()
    garbage = Garbage(pair.node, lambda: 0)
    frozen = gc.get_freeze_count()
    garbage.look()
    assert gc.get_freeze_count() == frozen

    gc.disable()  # a search that finds numbers alone in it would not come back to it
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
    garbage = Garbage(Pair().node, lambda: 0)
    with garbage.loading():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), garbage.loading():
        raise ZeroDivisionError
    assert gc.isenabled()


def test_what_is_old_is_searched_only_where_few_are_connected_or_for_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, connected, searched = [0.0], [0], list[float]()
    monkeypatch.setattr("gossipd.daemon.garbage.time.monotonic", lambda: now[0])
    monkeypatch.setattr("gossipd.daemon.garbage.gc.collect", lambda: searched.append(now[0]))
    garbage = Garbage(Pair().node, lambda: connected[0])
    with garbage.loading():
        pass
    assert gc.get_threshold()[2] > 1_000_000
    for seconds in range(0, 10_000, 10):
        now[0] = float(seconds)
        connected[0] = 1000 if seconds > 200 else 0
        garbage.look()
    assert searched == [60.0, 120.0, 180.0, 3780.0, 7380.0]
