"""Whether a node hears anybody, and what it says if not."""

from __future__ import annotations

import pytest

from gossipd.daemon.hearing import Hearing
from gossipd.daemon.troubles import Troubles
from tests.unit.core.talk import Talk


class Hearer:
    """A node of which it is watched each second whether anybody answers it."""

    def __init__(self, peers: int) -> None:
        self.talk = Talk(peers=peers)
        self.troubles = Troubles()
        self.cause: str | None = None
        self._hearing = Hearing(
            self.talk.node, self.talk.settings, self.troubles, lambda: self.cause
        )

    def watch(self, seconds: int) -> list[str]:
        """What is told after some time."""
        for _ in range(seconds):
            self.talk.wait(1)
            self._hearing.look(self.talk.now)
        return self.troubles.texts

    def silence(self) -> None:
        for peer in self.talk.peers.values():
            peer.answers = False


def test_who_has_nobody_or_is_answered_says_nothing() -> None:
    assert Hearer(0).watch(20) == []
    assert Hearer(2).watch(20) == []


def test_who_holds_others_and_hears_none_is_not_ready_and_says_why() -> None:
    hearer = Hearer(2)
    hearer.watch(3)
    hearer.silence()
    hearer.talk.cut_off(True)  # so that it does not call them failed
    hearer.cause = "the cable is out"
    assert hearer.watch(3) == []
    (text,) = hearer.watch(4)
    assert text == "none of 2 live members answers: the cable is out"
    assert hearer.troubles.not_serving == text


@pytest.mark.parametrize("cause", [None, "the cable is out"])
def test_who_is_left_alone_says_so_and_serves_unless_that_is_its_own_fault(
    cause: str | None,
) -> None:
    hearer = Hearer(2)
    hearer.watch(3)
    hearer.silence()
    hearer.cause = cause
    (text,) = hearer.watch(60)
    assert text.startswith("no other member is alive, 2 failed")
    assert hearer.troubles.not_serving == (text if cause else None)


def test_once_somebody_answers_it_is_over() -> None:
    hearer = Hearer(2)
    hearer.silence()
    hearer.talk.cut_off(True)
    assert hearer.watch(10)
    for peer in hearer.talk.peers.values():
        peer.answers = True
    hearer.talk.cut_off(False)
    assert hearer.watch(3) == []


def test_a_node_that_stood_still_gives_the_others_their_time() -> None:
    hearer = Hearer(2)
    hearer.watch(3)
    hearer.silence()
    hearer.talk.cut_off(True)
    hearer.talk.now += 60
    assert hearer.watch(4) == []
    assert hearer.watch(4)
