"""A short run of each fuzz target, and its corpus replayed; the same every time."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from random import Random

import pytest

from tests.effort import SEED, THOROUGH, effort, few

from . import running
from .__main__ import main
from .running import Run, corpus_of, inputs, within
from .target import Broken, Target
from .targets import TARGETS, target

INPUTS = {
    "words": 2_500,
    "datagrams": 60,
    "database": 40,
    "dumps": 10,
    "text": 100,
    "resp": 20,
    "guarded": 90,
    "tls": 125,
}
"""How many a short run has, where they are not 200: a quarter of a second each at most. It is the
same every time, so that more would find nothing new."""

LONG = 400
"""So many times more are tried in a thorough run."""


@pytest.mark.parametrize("name", few(TARGETS, 3))
def test_nothing_that_is_sent_breaks_a_target(name: str) -> None:
    found = target(name)
    run = Run(name, found)
    count = INPUTS.get(name, 200) * effort(1, LONG)
    seed = SEED if THOROUGH else 1
    for data in islice(inputs(name, found, Random(seed)), count):
        run.take(data)
    assert run.taken, "some of it gets past the first checks"
    assert run.taken < run.count


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_kept_of_a_target_breaks_it_no_more(name: str) -> None:
    found = target(name)
    run = Run(name, found)
    for data in [*found.seeds(), *corpus_of(name).values()]:
        run.take(data)


def test_every_corpus_is_that_of_a_target() -> None:
    assert {path.stem for path in running.CORPUS.glob("*.txt")} <= set(TARGETS)


def test_an_input_that_takes_forever_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "CPU_MAX", 0.05)
    with pytest.raises(Broken, match="takes more than"):
        Run("slow", _target_of(lambda _: forever())).take(b"")


def test_an_input_that_takes_memory_without_end_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "GROWN_MAX", -1)
    with pytest.raises(Broken, match="memory grew"):
        Run("large", _target_of(lambda _: True)).take(b"")


def test_what_is_within_its_bounds_goes_on() -> None:
    with within(5.0):
        pass


def test_what_breaks_a_target_is_kept_and_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    fragile = _target_of(lambda data: bool(1 / (data != b"bad\r\n")))
    monkeypatch.setattr(running, "CORPUS", tmp_path)
    monkeypatch.setattr("tests.fuzz.__main__.target", lambda _: fragile)
    assert main(["http", "--plain"]) == 1
    assert "something broke" in capsys.readouterr().out
    assert list(corpus_of("http").values()) == [b"bad\r\n"]


def test_the_program_tells_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["words", "--seconds", "0.05", "--plain"]) == 0
    assert "nothing broke" in capsys.readouterr().out


def _target_of(take: object) -> Target:
    assert callable(take)
    return Target(take=take, seeds=lambda: (b"good", b"bad\r\n"))


def forever() -> bool:
    """Never returns."""
    while True:
        pass
