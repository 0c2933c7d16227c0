"""Warnings before the log is full, and when it is."""

from __future__ import annotations

from random import Random

import pytest

from gossipd.core import (
    Double,
    MemberView,
    Node,
    Settings,
    Status,
    TagFrame,
)
from gossipd.daemon.filling import Filling
from tests.commits import prepared


@pytest.fixture
def node() -> Node:
    own = MemberView("n", ("127.0.0.1", 1001), 1, 0, Status.ALIVE)
    made = Node(
        own,
        Settings(registers_max=10, key_limit=10, alone_after=0.0),
        TagFrame("c"),
        Random(1),
        0.0,
    )
    made.start(True, 0.0)
    return made


def texts(filling: Filling) -> list[str]:
    return [alarm.text for alarm in filling.alarms]


def count(node: Node, counters: int) -> None:
    """Touch so many counters."""
    increments = [(f"c{number}", 1) for number in range(counters)]
    node.committed(prepared(node, increments, 0.0, 1e9), 0.0)


def test_below_four_fifths_of_a_limit_nothing_is_said(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    filling = Filling(node)
    count(node, 7)
    filling.look()
    assert (texts(filling), caplog.messages) == ([], [])


def test_a_limit_is_warned_of_when_it_is_near_and_when_it_is_reached_once_each(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    filling = Filling(node)
    for counters in (8, 9, 10, 11):
        count(node, counters)
        filling.look()
        filling.look()
    assert caplog.messages == [
        "the log holds 8 of at most 10 registers: beyond that new ones are refused",
        "the log holds 10 of at most 10 registers: new ones are refused",
    ]
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert texts(filling) == ["10 of at most 10 registers"]


def test_a_limit_that_is_reached_at_once_is_warned_of_once(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    filling = Filling(node)
    count(node, 10)
    filling.look()
    filling.look()
    assert len(caplog.messages) == 1


def test_keys_that_leave_their_window_are_warned_of_anew(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    filling = Filling(node)

    def count_keyed(first: int, now: float) -> None:
        keys = [
            bytes([number] * 6) + bytes([0x40, 0, 0x80]) + bytes(7)
            for number in range(first, first + 8)
        ]
        node.committed(prepared(node, [("c", 1)] * 8, now, 1e9 + now, keys), now)

    now = 0.0
    while not node.ready:  # before that it takes no keys
        assert node.next_timeout is not None
        now = node.next_timeout
        node.handle_timeout(now)
    caplog.clear()
    count_keyed(1, now)
    filling.look()
    assert texts(filling) == ["8 of at most 10 keys"]
    later = now + 2 * Settings().key_window
    while (due := node.next_timeout) is not None and due <= later:
        node.handle_timeout(due)
    filling.look()
    assert texts(filling) == []
    count_keyed(100, later)
    filling.look()
    assert [text for text in caplog.messages if "8 of at most 10 keys" in text] == caplog.messages
    assert len(caplog.messages) == 2


def test_many_doubles_are_warned_of_in_words_of_their_own(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    filling = Filling(node)
    log = node.log
    log.doubles_max = 10
    doubles = [Double("a", n, 1, bytes(10), n, 0) for n in range(1, 11)]
    log.enter(bytes(9) + b"\1", doubles[:8], 0.0)
    filling.look()
    log.enter(bytes(9) + b"\1", doubles, 0.0)
    filling.look()
    beyond = "they are summed up early, which is exact while no node is cut off"
    assert caplog.messages == [
        f"the log holds 8 of at most 10 doubles: beyond that {beyond}",
        f"the log holds 10 of at most 10 doubles: {beyond}",
    ]
    log.fold(bytes(9) + b"\1", 10, 0.0)
    filling.look()
    assert texts(filling) == []
