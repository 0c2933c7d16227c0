"""Which questions are open: an answer finds what it is about by its nonce, and once."""

from __future__ import annotations

import tracemalloc
from random import Random

from gossipd.core.swim.pings import Flight, Purpose, Relayed
from gossipd.core.swim.questions import Questions

PROBE = Flight("bob", Purpose.PROBE, 1.0)
RELAYED = Relayed("bob", Purpose.RELAY, 1.0, ("10.0.0.1", 1), 7)
MOST = 3


def test_a_question_is_answered_once_and_by_its_nonce_alone() -> None:
    questions = Questions(Random(1))
    nonce = questions.ask(PROBE, MOST, 0.0)
    assert questions.take(Flight, nonce + 1) is None
    assert questions.get(Flight, nonce) is PROBE
    assert questions.take(Flight, nonce) is PROBE
    assert questions.get(Flight, nonce) is None
    assert questions.take(Flight, nonce) is None


def test_nothing_stays_of_peers_that_were_asked_and_have_answered() -> None:
    questions = Questions(Random(1))

    def ask_all() -> int:
        for number in range(3000):
            nonce = questions.ask(PROBE, MOST, 0.0, f"peer {number}")
            assert questions.take(Flight, nonce, f"peer {number}") is PROBE
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        assert ask_all() < 50_000
    finally:
        tracemalloc.stop()


def test_an_answer_of_another_kind_is_to_no_question() -> None:
    questions = Questions(Random(1))
    nonce = questions.ask(PROBE, MOST, 0.0)
    assert questions.take(Relayed, nonce) is None
    assert questions.take(Flight, nonce) is PROBE


def test_the_oldest_are_given_up_first_and_no_kind_crowds_out_another() -> None:
    questions = Questions(Random(1))
    own = questions.ask(PROBE, MOST, 0.0)
    nonces = [questions.ask(RELAYED, MOST, 0.0) for _ in range(MOST + 2)]
    kept = [questions.get(Relayed, nonce) is not None for nonce in nonces]
    assert kept == [False] * 2 + [True] * MOST
    assert questions.get(Flight, own) is PROBE
    assert questions.count == 1 + MOST


def test_there_may_be_room_for_so_many_to_each_peer() -> None:
    questions = Questions(Random(1))
    nonces = [questions.ask(PROBE, 1, 0.0, peer) for peer in ("bob", "eve", "bob")]
    assert questions.get(Flight, nonces[0], "bob") is None
    assert questions.get(Flight, nonces[1], "bob") is None, "eve was asked"
    assert questions.take(Flight, nonces[1], "eve") is PROBE
    assert questions.take(Flight, nonces[2], "bob") is PROBE


def test_questions_are_given_up_after_a_minute_in_which_others_were_asked() -> None:
    questions = Questions(Random(1))
    nonces = [questions.ask(PROBE, 100, float(at)) for at in range(0, 70, 10)]
    assert all(questions.get(Flight, nonce) for nonce in nonces)
    questions.ask(PROBE, 100, 75.0)
    kept = [questions.get(Flight, nonce) is not None for nonce in nonces]
    assert kept == [False] * 2 + [True] * 5


def test_all_of_a_kind_can_be_given_up() -> None:
    questions = Questions(Random(1))
    own, relayed = questions.ask(PROBE, MOST, 0.0), questions.ask(RELAYED, MOST, 0.0)
    questions.give_up(Flight)
    questions.give_up(Flight)
    assert questions.get(Flight, own) is None
    assert questions.take(Relayed, relayed) is RELAYED
