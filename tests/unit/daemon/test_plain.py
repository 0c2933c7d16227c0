"""Plain questions to the gossip port."""

from __future__ import annotations

import pytest

from gossipd.core.settings import DATAGRAM_SIZE_MAX
from gossipd.core.wire.frame import MAGIC
from gossipd.daemon.plain import answer
from gossipd.version import full_version

WALL = 1_700_000_000.1234


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_ping_is_answered_in_kind(end: bytes) -> None:
    assert answer(b"ping" + end, WALL) == b"pong" + end


def test_a_node_with_a_secret_says_that_it_is_there_and_no_more() -> None:
    assert answer(b"ping\n", WALL, only_ping=True) == b"pong\n"
    assert answer(b"ping w0rd".ljust(640), WALL, only_ping=True) is None


@pytest.mark.parametrize("size", [60, 640, DATAGRAM_SIZE_MAX])
def test_a_longer_one_is_answered_by_as_much_with_clock_and_version(size: int) -> None:
    said = answer(b"ping w0rd ".ljust(size, b"."), WALL)
    assert said is not None
    assert len(said) == size
    assert said.split() == [b"pong", b"w0rd", b"1700000000123", full_version().encode()]


@pytest.mark.parametrize("question", [b"ping ", b"ping x\n", b"ping " + b"w" * 1000])
def test_an_answer_is_never_longer_than_its_question(question: bytes) -> None:
    said = answer(question, WALL)
    assert said is not None
    assert len(said) == len(question)
    assert said.count(b"w") <= 16


@pytest.mark.parametrize(
    "data",
    [b"", b"pin", b"pingx", b"pong", b"ping\nx", b"ping ".ljust(DATAGRAM_SIZE_MAX + 1), MAGIC],
)
def test_nothing_else_is_answered(data: bytes) -> None:
    assert answer(data, WALL) is None
