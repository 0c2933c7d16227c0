from __future__ import annotations

import pytest

from gossipd.core.wire.drops import Drop
from gossipd.core.wire.frame import SEALED, TagFrame, head_of, why_not

FRAME = TagFrame("a")


def test_a_body_comes_out_as_it_went_in() -> None:
    for body in (b"", b"x", b"x" * 1384):
        datagram = FRAME.close(body)
        assert len(datagram) == len(body) + FRAME.overhead
        assert FRAME.open(datagram) == body
        assert TagFrame("a").open(datagram) == body


def test_every_flipped_bit_is_noticed() -> None:
    datagram = FRAME.close(b"body")
    for bit in range(8 * len(datagram)):
        damaged = bytearray(datagram)
        damaged[bit // 8] ^= 1 << bit % 8
        assert isinstance(FRAME.open(bytes(damaged)), Drop)


def test_every_truncation_is_noticed() -> None:
    datagram = FRAME.close(b"body")
    for length in range(len(datagram)):
        assert isinstance(FRAME.open(datagram[:length]), Drop)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Drop.TOO_SHORT),
        (b"x" * 15, Drop.TOO_SHORT),
        (b"x" * 1400, Drop.MAGIC),
        (b"x" * 1401, Drop.TOO_LARGE),
        (b"gd\x02" + FRAME.close(b"")[3:], Drop.VERSION),
        (b"gd\x01\x02" + FRAME.close(b"")[4:], Drop.VERSION),
        (b"gd\x01\x01" + FRAME.close(b"")[4:], Drop.SEALED),
        (TagFrame("b").close(b""), Drop.FOREIGN),
        (FRAME.close(b"x") + b"y", Drop.TAG),
    ],
)
def test_what_is_no_datagram_of_this_cluster_has_a_reason(data: bytes, reason: Drop) -> None:
    assert FRAME.open(data) is reason
    assert FRAME.peek(data) is reason


def test_what_is_shorter_than_any_head_has_no_other_reason() -> None:
    head = head_of("a", SEALED)
    for length in range(len(head)):
        assert why_not(head[:length], head) is Drop.TOO_SHORT
