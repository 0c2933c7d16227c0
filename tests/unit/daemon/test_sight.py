"""Where peers see a node, if not where it advertises to be: when that is wrong, and told."""

from __future__ import annotations

import pytest

from gossipd.core import Address
from gossipd.daemon.sight import TOLD_AFTER, Sight
from gossipd.daemon.troubles import Troubles
from tests.unit.core.talk import Talk

OUTSIDE: Address = ("10.0.0.9", 20001)


class Seen:
    """A node that is seen elsewhere, from time 100 on."""

    def __init__(self, peers: int = 0) -> None:
        self.talk = Talk(peers=peers)
        self.troubles = Troubles()
        self.sight = Sight(self.talk.node, self.troubles)
        self.sight.saw(OUTSIDE, 100.0)

    def told(self, after: float) -> list[str]:
        self.sight.tell(100.0 + after)
        return self.troubles.texts


def test_it_is_a_cause_at_once_and_told_where_no_answer_comes() -> None:
    seen = Seen()
    host, port = seen.talk.me.address
    cause = f"this node advertises {host}:{port}, but its datagrams come from 10.0.0.9:20001"
    assert seen.sight.cause == cause
    assert seen.told(TOLD_AFTER - 0.01) == []
    (text,) = seen.told(TOLD_AFTER)
    assert text == f"{cause}: is --advertise wrong, or is there a NAT between?"


def test_who_is_seen_from_one_port_after_another_waits_no_longer_than_for_the_first() -> None:
    seen = Seen()
    seen.sight.saw(("10.0.0.9", 20002), 100.0 + TOLD_AFTER / 2)
    (text,) = seen.told(TOLD_AFTER)
    assert "come from 10.0.0.9:20002:" in text


def test_once_it_is_over_nothing_is_told_and_the_next_time_is_another() -> None:
    seen = Seen()
    assert seen.told(TOLD_AFTER)
    seen.sight.over()
    assert (seen.sight.cause, seen.told(2 * TOLD_AFTER)) == (None, [])
    seen.sight.saw(OUTSIDE, 100.0 + 3 * TOLD_AFTER)
    assert not seen.told(3.5 * TOLD_AFTER)
    assert seen.told(4 * TOLD_AFTER)


@pytest.mark.parametrize("peers", [0, 2])
def test_who_holds_nobody_does_not_serve_of_members_others_judge(peers: int) -> None:
    seen = Seen(peers)
    assert seen.told(TOLD_AFTER)
    assert (seen.troubles.not_serving is None) == bool(peers)
