"""What the side port shows of a node."""

from __future__ import annotations

import time

import pytest

from gossipd import reports
from tests.unit.pair import THERE, Pair


@pytest.fixture
def pair() -> Pair:
    made = Pair()
    made.start()
    made.perform(made.node.join([THERE], time.monotonic()))
    return made


def count(pair: Pair, *increments: tuple[str, int]) -> None:
    now = time.monotonic()
    pair.perform(pair.node.expose(pair.node.prepare(increments, now, time.time()), now))


def test_addresses_read_as_people_write_them() -> None:
    assert reports.address_text(("127.0.0.1", 5)) == "127.0.0.1:5"
    assert reports.address_text(("::1", 5)) == "[::1]:5"


def test_peers_are_the_others(pair: Pair) -> None:
    assert list(reports.peers(pair.node)) == ["127.0.0.1:1002"]


def test_members_show_everything_that_the_design_lists(pair: Pair) -> None:
    own, other = reports.members(pair.node, "", "")
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
        "tags",
        "since",
    }
    assert own["tags"] == {"zone": "a"}
    assert isinstance(other["since"], float)
    assert abs(time.time() - other["since"]) < 5


def test_a_forgotten_member_is_shown_nowhere(pair: Pair) -> None:
    pair.perform_other(pair.other.leave(time.monotonic()))
    now = time.monotonic()
    states = {member["name"]: member["state"] for member in reports.members(pair.node, "", "")}
    assert states == {"here": "alive", "there": "left"}
    assert list(reports.peers(pair.node)) == []
    pair.perform(pair.node.forget("there", now))
    assert [member["name"] for member in reports.members(pair.node, "", "")] == ["here"]
    counts = reports.status(pair.node, "pair")["members"]
    assert counts == {"alive": 1, "suspect": 0, "failed": 0, "left": 0}


def test_the_tail_is_newest_first_and_names_stream_and_id(pair: Pair) -> None:
    count(pair, ("a", 2), ("b", 3))
    count(pair, ("a", 5))
    newest, *rest = reports.tail(pair.node, "", None)
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
    assert status["limits"] == {"streams": 1_000_000, "registers": 5_000_000}
    assert len(str(status["fingerprint"])) == 16
    assert status["members"] == {"alive": 2, "suspect": 0, "failed": 0, "left": 0}
