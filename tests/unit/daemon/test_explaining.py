"""What `GET /explain` tells of a member."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gossipd.core import Node, Snapshot, Status
from gossipd.core.wire.messages import Gossip, Ping, RelayedAck
from gossipd.daemon import explaining, reports
from tests.unit.core.talk import Peer, Talk
from tests.unit.daemon.test_sealing import unsealed
from tests.unit.pair import Pair


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch) -> Talk:
    """A node with three peers, whose clock is the one that is read."""
    made = Talk(peers=3)
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    monkeypatch.setattr(time, "time", lambda: made.now + 1_700_000_000.0)
    made.wait(10.0)
    return made


def told(node: Node, name: str) -> dict[str, Any]:
    found = explaining.explain(node, name)
    assert found is not None
    return found


def test_a_live_member(talk: Talk) -> None:
    said = told(talk.node, "p0")
    assert (said["state"], said["why"], said["proven"]) == ("alive", None, True)
    assert said["text"].startswith("p0 is alive: it has joined through this node; ")
    assert said["address"] == said["spoke_from"] == "10.0.1.1:7946"
    assert said["since"] == pytest.approx(1_700_000_100.0)
    newest = said["probes"][0]
    assert (newest["outcome"], newest["pings"], newest["ms"]) == ("answered", 1, pytest.approx(2))
    assert said["answered"] == pytest.approx(newest["at"] + 0.002)
    assert said["rtt_ms"] == pytest.approx(2)


def test_a_suspect_and_the_time_that_it_has_left(talk: Talk) -> None:
    talk.peer("p0").answers = False
    for _ in range(1000):
        if talk.status("p0") is Status.SUSPECT:
            break
        talk.wait(0.01)
    said = told(talk.node, "p0")
    assert (said["state"], said["accusers"]) == ("suspect", ["me"])
    assert "pings of this node were not answered" in said["why"]
    assert said["why"] in said["text"]
    suspicion = said["suspicion"]
    assert suspicion["left"] == pytest.approx(suspicion["until"] - 1_700_000_000.0 - talk.now)
    assert 3.0 < suspicion["left"] <= 4.2
    assert f"it has {suspicion['left']:.1f} s left to refute" in said["text"]
    assert (suspicion["confirmations"], suspicion["confirmations_max"]) == (0, 2)
    assert said["probes"][0]["outcome"] == "silent"
    assert len(said["probes"][0]["relays"]) == 2
    assert isinstance(said["corroborating"], int)
    (row,) = [
        row for row in reports.members(talk.node, unsealed(), "p0", "") if row["name"] == "p0"
    ]
    assert row["why"] == said["why"]


def test_one_that_others_hold_failed_is_asked_first(talk: Talk) -> None:
    talk.peer("p0").answers = False
    talk.hear(talk.peer("p1"), Gossip(), [talk.peer("p0").seen(Status.FAILED)])
    assert told(talk.node, "p0")["rumour"] == {"state": "failed", "by": "p1", "pings": 0}
    talk.wait(1.1)
    said = told(talk.node, "p0")
    assert (said["state"], said["rumour"]) == ("failed", None)
    assert said["why"].startswith("p1 says so, and ")


def test_one_that_answers_only_others(talk: Talk) -> None:
    talk.peer("p0").answers = False
    pings: list[Ping] = []
    while not pings:
        pings = talk.wait(0.01).sent(Ping, talk.peer("p0"))
    talk.wait(0.3)
    assert told(talk.node, "p0")["probes"][0]["outcome"] == "open"
    talk.hear(talk.peer("p1"), RelayedAck(pings[0].nonce))
    said = told(talk.node, "p0")
    assert said["probes"][0]["outcome"] == "relayed"
    assert said["text"].endswith("other members reach it, this node does not")


def test_one_that_speaks_but_does_not_answer(talk: Talk) -> None:
    talk.peer("p0").answers = False
    talk.wait(0.5)
    talk.hear(talk.peer("p0"), Gossip())
    text = told(talk.node, "p0")["text"]
    assert "it last spoke 0.0 s ago; it last answered " in text


def test_a_newcomer_a_forgotten_one_and_one_of_which_nothing_is_known(talk: Talk) -> None:
    talk.hear_views(Peer("new", ("10.0.9.9", 7946)).view)
    said = told(talk.node, "new")
    assert (said["state"], said["address"]) == ("newcomer", "10.0.9.9:7946")
    assert "no member yet" in said["text"]
    talk.fail("p0")
    talk.forget("p0")
    said = told(talk.node, "p0")
    assert said["text"] == "p0 is forgotten: this node was asked to forget it"
    assert said["why"] is None
    assert explaining.explain(talk.node, "nobody") is None


def test_the_node_itself_and_one_of_an_earlier_life() -> None:
    pair = Pair()
    own = told(pair.node, "here")
    assert own["text"] == "here is this node itself, alive"
    gone = pair.other.own._replace(status=Status.FAILED)
    pair.node.load(Snapshot((), (gone,)), time.monotonic())
    said = told(pair.node, "there")
    assert said["text"] == (
        "there is failed: an earlier life of this node held it so; "
        "it has not spoken to this node in this life"
    )
    assert (said["spoke"], said["spoke_from"], said["address"]) == (None, None, "127.0.0.1:1002")
