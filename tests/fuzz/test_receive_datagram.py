"""A short run of the fuzzer, and its corpus replayed."""

from __future__ import annotations

from random import Random
from typing import get_args

import pytest

from gossipd.core import Status
from gossipd.core.wire.messages import (
    DigestAsk,
    Hold,
    Join,
    MembersAsk,
    Message,
)
from tests.effort import few

from .make_corpus import corpus, made, path_of
from .receive_datagram import (
    Target,
    fuzz,
    main,
    throw,
)
from .states import STATES, opened


@pytest.mark.parametrize("seed", few([1, 2, 3], 1))
def test_hostile_datagrams_break_nothing(seed: int) -> None:
    used = fuzz(800, seed)
    assert used > 80, "enough of them get past the first checks"


@pytest.mark.parametrize("state", STATES)
def test_hostile_datagrams_break_nothing_in_any_state(state: str) -> None:
    assert throw(STATES[state](), 150, Random(state)), "some of them get past the first checks"


def test_the_corpus_breaks_nothing_whoever_sends_it() -> None:
    target = Target(7)
    for data in corpus().values():
        for source in target.sources:
            target.receive(data, source)
            target.wait(0.01)
    target.wait(30.0)


def test_the_states_are_what_their_names_say() -> None:
    asked = {name: set(state().open) for name, state in STATES.items()}
    assert Join in asked["mid_join"]
    assert DigestAsk in asked["mid_repair"]
    assert MembersAsk in asked["mid_repair"]
    assert Hold in asked["leaving"]
    held = {name: state().watched.node.members[0].status for name, state in STATES.items()}
    assert held["member"] is held["mid_repair"] is held["leaving"] is Status.ALIVE
    assert held["suspecting"] is Status.SUSPECT
    assert held["alone"] is Status.FAILED
    assert STATES["leaving"]().watched.node.leaving


@pytest.mark.parametrize("state", few(STATES, 3))
def test_the_corpus_breaks_nothing_in_any_state(state: str) -> None:
    """Each datagram meets the node in that very state, from a member and from others, as it is and
    as an answer to what the node has asked; then all of them meet one node."""
    for data in corpus().values():
        replay = STATES[state]()
        for source in replay.sources:
            replay.receive(data, source)
        for answer in replay.answers(data):
            replay.receive(answer, replay.sources[0])
        replay.wait(0.5)
    replay = STATES[state]()
    for data in corpus().values():
        for source in replay.sources:
            replay.receive(data, source)
    replay.wait(30.0)


def test_the_corpus_holds_every_kind_of_message_and_what_its_program_writes() -> None:
    understood = [opened(data) for data in corpus().values()]
    kinds = {type(said.message) for said in understood if said is not None}
    assert kinds == set(get_args(Message)), "python -m tests.fuzz.make_corpus"
    assert {path_of(name).stem for name in made()} <= set(corpus())


def test_the_program_tells_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--runs", "20", "--seed", "5"]) == 0
    assert capsys.readouterr().out.startswith("20 datagrams, ")
