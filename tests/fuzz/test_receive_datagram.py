"""A short run of the fuzzer, and its corpus replayed."""

from __future__ import annotations

import pytest

from .receive_datagram import Target, corpus, fuzz, main


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_hostile_datagrams_break_nothing(seed: int) -> None:
    used = fuzz(800, seed)
    assert used > 80, "enough of them get past the first checks"


def test_the_corpus_breaks_nothing_whoever_sends_it() -> None:
    target = Target(7)
    assert len(corpus()) >= 20
    for data in corpus():
        for source in target.sources:
            target.receive(data, source)
            target.wait(0.01)
    target.wait(30.0)


def test_the_program_tells_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--runs", "20", "--seed", "5"]) == 0
    assert capsys.readouterr().out.startswith("20 datagrams, ")
