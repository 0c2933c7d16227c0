"""What the side port shows of a node."""

from __future__ import annotations

import time
from dataclasses import replace
from uuid import uuid4

import pytest

from gossipd.daemon import reports
from tests.commits import committed, count_all
from tests.unit.daemon.test_sealing import unsealed
from tests.unit.pair import SETTINGS, THERE, Pair


@pytest.fixture
def pair() -> Pair:
    made = Pair()
    made.start()
    made.perform(made.node.join([THERE], time.monotonic()))
    return made


def count(pair: Pair, *increments: tuple[str, int]) -> None:
    now = time.monotonic()
    pair.perform(count_all(pair.node, increments, now, time.time()))


def test_addresses_read_as_people_write_them() -> None:
    assert reports.address_text(("127.0.0.1", 5)) == "127.0.0.1:5"
    assert reports.address_text(("::1", 5)) == "[::1]:5"


def test_peers_are_the_others(pair: Pair) -> None:
    assert list(reports.peers(pair.node)) == ["127.0.0.1:1002"]


def test_members_show_everything_that_the_design_lists(pair: Pair) -> None:
    own, other = reports.members(pair.node, unsealed(), "", "")
    assert (own["name"], own["self"], own["rtt_ms"]) == ("here", True, None)
    assert (other["name"], other["address"], other["state"], other["self"]) == (
        "there",
        "127.0.0.1:1002",
        "alive",
        False,
    )
    assert set(own) == {
        "name",
        "address",
        "state",
        "generation",
        "incarnation",
        "self",
        "rtt_ms",
        "sealed",
        "tags",
        "since",
        "why",
    }
    assert own["tags"] == {"zone": "a"}
    assert isinstance(other["since"], float)
    assert abs(time.time() - other["since"]) < 5


def test_a_forgotten_member_is_shown_nowhere(pair: Pair) -> None:
    pair.leave()
    now = time.monotonic()
    states = {
        member["name"]: member["state"]
        for member in reports.members(pair.node, unsealed(), "", "")
    }
    assert states == {"here": "alive", "there": "left"}
    assert list(reports.peers(pair.node)) == []
    pair.perform(pair.node.forget("there", now))
    assert [member["name"] for member in reports.members(pair.node, unsealed(), "", "")] == [
        "here"
    ]
    counts = reports.status(pair.node, "pair")["members"]
    assert counts == {"alive": 1, "suspect": 0, "failed": 0, "left": 0}


def test_the_tail_comes_in_parts(pair: Pair) -> None:
    count(pair, ("a1", 1), ("b", 2), ("a2", 3), ("a1", 4))
    stream = pair.node.stream
    assert stream is not None

    def seqs(prefix: str, after: int | None = None) -> list[int]:
        behind = None if after is None else (stream, after)
        return [
            int(str(event["id"])[-12:], 16) for event in reports.recent(pair.node, prefix, behind)
        ]

    assert seqs("") == [4, 3, 2, 1]
    assert seqs("a") == [4, 3, 1]
    assert seqs("", 3) == [2, 1]
    assert seqs("a1", 4) == [1]
    assert seqs("", 1) == []
    with pytest.raises(KeyError):
        seqs("", 9)


def test_the_tail_goes_on_behind_every_number_also_where_an_id_is_told_of_twice(
    pair: Pair,
) -> None:
    key, now, wall = uuid4().bytes, time.monotonic(), time.time()
    pair.cut = True  # what is counted here does not reach the other
    pair.perform(committed(pair.node, [("a", 5)], now, wall, [key]))
    pair.perform_other(committed(pair.other, [("a", 5)], now, wall, [key]))
    pair.perform_other(pair.other.handle_timeout(now + 1))  # it tells what it has counted
    count(pair, ("b", 1))
    whole = list(reports.recent(pair.node, "", None))
    assert [row["by"] for row in whole] == [1, -5, 5, 5]
    assert len({row["id"] for row in whole}) == 3

    found: list[dict[str, object]] = []
    while page := list(reports.recent(pair.node, "", _number(found[-1]) if found else None))[:1]:
        found += page
    assert found == whole
    newest = _number(whole[0])
    assert [_number(row) for row in reports.recent(pair.node, "a", newest)] == [
        newest - 1, newest - 2, newest - 3,
    ]  # fmt: skip
    for number in newest - 4, newest + 1:
        with pytest.raises(KeyError):
            reports.recent(pair.node, "", number)


def _number(row: dict[str, object]) -> int:
    assert isinstance(row["number"], int)
    return row["number"]


def test_an_event_that_is_forgotten_is_no_place_to_go_on_behind() -> None:
    small = Pair(replace(SETTINGS, tail_size=3))
    small.start()
    small.perform(small.node.join([THERE], time.monotonic()))
    count(small, *((f"c{number}", 1) for number in range(1, 6)))
    assert [_number(row) for row in reports.recent(small.node, "", None)] == [5, 4, 3]
    assert list(reports.recent(small.node, "", 3)) == []
    with pytest.raises(KeyError):
        reports.recent(small.node, "", 2)


@pytest.mark.parametrize(
    ("prefix", "after", "names"),
    [
        ("", "", "a b1 b2 b3 c"),
        ("b", "", "b1 b2 b3"),
        ("b", "b1", "b2 b3"),
        ("b", "a", "b1 b2 b3"),
        ("", "b25", "b3 c"),
        ("z", "", ""),
        ("a", "b", ""),
    ],
)
def test_counters_come_in_parts(pair: Pair, prefix: str, after: str, names: str) -> None:
    count(pair, *((name, 7) for name in ("c", "b2", "a", "b3", "b1")))
    found = list(reports.counters(pair.node, prefix, after))
    assert found == [(name, 7) for name in names.split()]


def test_a_counter_is_told_as_it_is_when_it_is_its_turn(pair: Pair) -> None:
    count(pair, *((f"c{number:04}", 1) for number in range(3000)))
    counters = reports.counters(pair.node, "", "")
    assert next(counters) == ("c0000", 1)
    count(pair, ("a", 1), ("c0000", 1), ("c0001", 1), ("c2999", 1), ("c29995", 1), ("d", 1))
    rest = list(counters)
    assert [name for name, _ in rest] == sorted(
        [*(f"c{number:04}" for number in range(1, 3000)), "c29995", "d"]
    )
    assert {name for name, value in rest if value == 2} == {"c0001", "c2999"}


def test_members_come_in_parts(pair: Pair) -> None:
    def names(prefix: str, after: str) -> list[object]:
        return [member["name"] for member in reports.members(pair.node, unsealed(), prefix, after)]

    assert names("", "") == ["here", "there"]
    assert names("", "here") == names("t", "") == ["there"]
    assert names("h", "here") == names("x", "") == []


def test_the_tail_is_newest_first_and_names_stream_and_id(pair: Pair) -> None:
    count(pair, ("a", 2), ("b", 3))
    count(pair, ("a", 5))
    newest, *rest = reports.recent(pair.node, "", None)
    assert (newest["counter"], newest["by"], newest["count"]) == ("a", 5, 7)
    assert newest["id"] == f"{newest['origin']}-000000000003"
    assert [event["count"] for event in rest] == [3, 2]
    assert isinstance(newest["at"], float)
    assert abs(time.time() - newest["at"]) < 5


def test_the_status_is_the_node_in_one_look(pair: Pair) -> None:
    count(pair, ("a", 2), ("b", 3))
    status = reports.status(pair.node, "pair")
    assert (status["name"], status["address"], status["cluster"]) == (
        "here",
        "127.0.0.1:1001",
        "pair",
    )
    assert (status["ready"], status["leaving"]) == (True, False)
    assert (status["counters"], status["streams"], status["registers"]) == (2, 1, 2)
    assert status["changes"] == 2
    limits = {"streams": 1_000_000, "registers": 5_000_000, "doubles": 1_000_000}
    assert status["limits"] == {**limits, "keys": 1_000_000}
    assert status["keys"] == {"held": 0, "doubles": 0, "doubles_held": 0}
    assert len(str(status["fingerprint"])) == 32
    assert status["members"] == {"alive": 2, "suspect": 0, "failed": 0, "left": 0}
