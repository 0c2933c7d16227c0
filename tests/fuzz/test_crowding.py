"""Ghosts that fill a member table keep nobody out and nothing from being found."""

from __future__ import annotations

import pytest

from gossipd.core import Status
from gossipd.core.swim.members import STRANGERS_SHARE
from tests.effort import effort, few
from tests.fuzz.attacks.crowding import KINDS, main, run


@pytest.mark.parametrize(
    "kind", few(zip(KINDS), 1), ids=lambda kind: "-".join(s.name for s in kind)
)
def test_detection_and_joins_go_on_beside_twenty_thousand_ghosts(kind: tuple[Status, ...]) -> None:
    found = run(*kind, seed=2, nodes=effort(3, 5))
    assert found.found_after is not None
    assert found.joined_after is not None
    assert found.ready
    assert found.held <= STRANGERS_SHARE + 7
    assert found.ack < 0.1, "it once took seconds"


def test_the_program_tells_how_the_cluster_fares(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fuzz.attacks.crowding.KINDS", KINDS[:1])
    monkeypatch.setattr("tests.fuzz.attacks.crowding.MEMBERS_MAX", 2_000)
    assert main() == 0
    assert "newcomer in after" in capsys.readouterr().out
