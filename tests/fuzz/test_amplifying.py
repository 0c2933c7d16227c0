"""Nobody is sent more than three times what came from him, whatever kind of message that was."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gossipd.core.gossip.amplification import AmplificationLimit
from tests.unit.core.talk import Talk

from .attacks.amplifying import ALL_KINDS, KINDS, STATES, main, member, run


def test_every_kind_of_message_is_covered() -> None:
    assert set(KINDS) == ALL_KINDS


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_no_kind_of_message_is_answered_with_more_than_three_times_its_bytes(
    state: Callable[[], Talk],
) -> None:
    found = run(state)
    assert found.factor <= 3, found.what
    assert found.factor > 1, "it is answered at all"
    assert found.pings == 0


def test_without_the_limit_that_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AmplificationLimit, "allow", lambda *_: True)
    monkeypatch.setattr(AmplificationLimit, "room", lambda *_: 1400)
    assert run(member).factor > 3


def test_the_program_tells_the_worst_of_each_state(capsys: pytest.CaptureFixture[str]) -> None:
    assert main() == 0
    assert len(capsys.readouterr().out.splitlines()) == len(STATES)
