"""Troubles: told once, shown while they last."""

from __future__ import annotations

from pathlib import Path

import pytest

import gossipd
from gossipd.daemon.troubles import Trouble, Troubles


def test_a_trouble_is_logged_when_it_begins_and_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    troubles = Troubles()
    troubles.begin(Trouble.REFUSES, "the disk is full")
    troubles.begin(Trouble.REFUSES, "the disk is still full")
    assert troubles.texts == ["the disk is still full"]
    troubles.end(Trouble.REFUSES)
    troubles.end(Trouble.REFUSES)
    assert troubles.texts == []
    assert caplog.messages == ["the disk is full", "cleared: the disk is still full"]


def test_only_some_troubles_send_clients_elsewhere() -> None:
    troubles = Troubles()
    troubles.begin(Trouble.LOG, "slow")
    before = troubles.not_serving
    troubles.begin(Trouble.HANGS, "the disk hangs", serves=False)
    troubles.begin(Trouble.UNHEARD, "nobody is heard", serves=False)
    assert before is None
    assert troubles.not_serving == "the disk hangs; nobody is heard"
    assert troubles.texts == ["slow", "the disk hangs", "nobody is heard"]


def test_one_trouble_may_be_about_several_things(caplog: pytest.LogCaptureFixture) -> None:
    troubles = Troubles()
    troubles.begin(Trouble.SEED, "no a", "a:1")
    troubles.begin(Trouble.SEED, "no b", "b:1")
    troubles.end(Trouble.SEED, "a:1")
    assert (troubles.texts, caplog.messages) == (["no b"], ["no a", "no b"])


@pytest.mark.parametrize("trouble", Trouble)
def test_each_trouble_can_begin_has_a_name_and_tells_what_to_do(trouble: Trouble) -> None:
    source = [path.read_text() for path in Path(gossipd.__file__).parent.rglob("*.py")]
    assert any(f"Trouble.{trouble.name}" in text for text in source)
    assert [each for each in Trouble if each.alarm == trouble.alarm] == [trouble]
    assert trouble.advice
    assert "\n" not in trouble.advice
    troubles = Troubles()
    troubles.begin(trouble, "it is so")
    assert troubles.alarms == [("it is so", trouble.advice)]
