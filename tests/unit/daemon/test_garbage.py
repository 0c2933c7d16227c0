"""What the log holds is searched by no collector; what is done with is still freed."""

from __future__ import annotations

import ctypes
import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gossipd.daemon.garbage import FEW, SEARCH_INTERVAL, STEP_MIN, Garbage
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


LIBC = ctypes.CDLL(None)
BLOCKS, BLOCK = 40_000, 500


@pytest.mark.skipif(not hasattr(LIBC, "malloc_trim"), reason="no glibc")
def test_what_the_c_library_keeps_after_a_crowd_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, connected = [0.0], [FEW]
    monkeypatch.setattr("gossipd.daemon.garbage.time.monotonic", lambda: now[0])
    LIBC.malloc.argtypes, LIBC.malloc.restype = (ctypes.c_size_t,), ctypes.c_void_p
    LIBC.free.argtypes, LIBC.free.restype = (ctypes.c_void_p,), None
    garbage = Garbage(Pair().node, lambda: connected[0])
    gc.collect()  # what other tests have left is not to be found by a search of this one
    blocks = [LIBC.malloc(BLOCK) for _ in range(BLOCKS)]
    last = LIBC.malloc(BLOCK)
    for block in blocks:
        ctypes.memset(block, 1, BLOCK)
    for block in blocks:
        LIBC.free(block)

    def search() -> int:
        """Bytes that this process has less of."""
        before = _resident()
        now[0] += SEARCH_INTERVAL
        garbage.look()
        return before - _resident()

    assert search() < BLOCKS * BLOCK / 10, "there was no crowd"
    connected[0] += 1
    garbage.look()
    connected[0] -= 1
    assert search() > BLOCKS * BLOCK / 2
    LIBC.free(last)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
