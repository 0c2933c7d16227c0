"""No lie ends a node that is alone, nor keeps it from being ready for ever."""

from __future__ import annotations

import pytest

from tests.effort import few
from tests.fuzz.attacks.alone import (
    ATTACKS,
    BOUND,
    main,
    run,
)


@pytest.mark.parametrize("early", few([True, False], 1))
@pytest.mark.parametrize("name", list(ATTACKS))
def test_no_lie_keeps_a_node_from_being_ready_for_ever(name: str, early: bool) -> None:
    found = run(name, early)
    assert found.lives
    assert found.ready, "though the attack goes on"
    assert found.unready < BOUND


def test_the_program_tells_for_how_long_it_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fuzz.attacks.alone.ATTACKS", dict([next(iter(ATTACKS.items()))]))
    monkeypatch.setattr("tests.fuzz.attacks.alone.KEPT_UP", BOUND)
    assert main() == 0
    assert "while it goes on" in capsys.readouterr().out
