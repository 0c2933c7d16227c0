"""Troubles: told once, shown while they last."""

from __future__ import annotations

import pytest

from gossipd.daemon.troubles import Troubles


def test_a_trouble_is_logged_when_it_begins_and_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    troubles = Troubles()
    troubles.begin("disk", "the disk is full")
    troubles.begin("disk", "the disk is still full")
    assert troubles.texts == ["the disk is still full"]
    troubles.end("disk")
    troubles.end("disk")
    assert troubles.texts == []
    assert caplog.messages == ["the disk is full", "cleared: the disk is still full"]


def test_only_some_troubles_send_clients_elsewhere() -> None:
    troubles = Troubles()
    troubles.begin("a", "slow")
    before = troubles.not_serving
    troubles.begin("b", "the disk hangs", serves=False)
    troubles.begin("c", "nobody is heard", serves=False)
    assert before is None
    assert troubles.not_serving == "the disk hangs; nobody is heard"
    assert troubles.texts == ["slow", "the disk hangs", "nobody is heard"]
