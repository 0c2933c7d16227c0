"""No address that has proven nothing is sent more than three times what was said in its name."""

from __future__ import annotations

import pytest

from tests.effort import effort, few
from tests.fuzz.attacks.reflection import (
    ATTACKS,
    Attack,
    main,
    run,
)


@pytest.mark.parametrize("seed", range(1, effort(2, 3)))
@pytest.mark.parametrize("attack", few(ATTACKS, 2), ids=lambda attack: attack.__name__)
def test_whatever_a_liar_says_nobody_gets_more_than_three_times_that(
    attack: Attack, seed: int
) -> None:
    found = run(attack, seed)
    assert found.reflected <= 3 * found.spent


def test_the_program_tells_what_the_victim_got(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fuzz.attacks.reflection.ATTACKS", ATTACKS[:1])
    assert main() == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
