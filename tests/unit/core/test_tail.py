from __future__ import annotations

from gossipd.core.log import Advance
from gossipd.core.tail import Tail, TailEntry

A = [Advance(b"a" * 10, "x", seq, 1, seq) for seq in range(1, 6)]


def test_the_tail_keeps_the_newest_events() -> None:
    tail = Tail(3)
    tail.append(A[:2], 1.0)
    tail.append(A[2:], 2.0)
    assert tail.newest(9) == [TailEntry(A[n], 2.0) for n in (4, 3, 2)]
    assert tail.newest(1) == [TailEntry(A[4], 2.0)]
    assert tail.newest(0) == []


def test_the_tail_knows_which_events_it_has() -> None:
    tail = Tail(2)
    tail.append(A[:3], 1.0)
    assert tail.has(b"a" * 10, 3)
    assert not tail.has(b"a" * 10, 1)
    assert not tail.has(b"b" * 10, 3)
