from __future__ import annotations

from gossipd.core.gossip.amplification import (
    ASKED_MAX,
    ASKED_ROOM,
    STRANGERS_MAX,
    AmplificationLimit,
)

A = ("10.0.0.1", 1)


def test_a_stranger_is_sent_three_times_what_came_from_it() -> None:
    amplification = AmplificationLimit()
    assert not amplification.allow(A, 1)
    amplification.received(A, 10)
    assert not amplification.allow(A, 31)
    assert amplification.allow(A, 20)
    assert amplification.allow(A, 10)
    assert not amplification.allow(A, 1)
    amplification.received(A, 1)
    assert amplification.allow(A, 3)


def test_where_this_node_turns_to_there_is_room_for_its_questions_and_no_more() -> None:
    amplification = AmplificationLimit()
    for _ in range(2):  # asking again saves nothing up
        amplification.turn_to(A)
    assert amplification.room(A) == ASKED_ROOM
    assert amplification.allow(A, ASKED_ROOM - 100)
    assert not amplification.allow(A, 101)
    amplification.received(A, 50)
    assert amplification.room(A) == 150
    assert amplification.allow(A, 120)
    assert amplification.allow(A, 100)
    assert not amplification.allow(A, 31)


def test_the_strangers_heard_of_least_recently_are_forgotten() -> None:
    amplification = AmplificationLimit()
    addresses = [("10.0.0.1", port) for port in range(STRANGERS_MAX + 1)]
    for address in addresses[:-1]:
        amplification.received(address, 1)
    amplification.received(addresses[0], 1)
    amplification.received(addresses[-1], 1)
    assert amplification.allow(addresses[0], 6)
    assert not amplification.allow(addresses[1], 1)
    assert amplification.allow(addresses[-1], 3)


def test_the_seeds_named_least_recently_are_forgotten() -> None:
    amplification = AmplificationLimit()
    addresses = [("10.0.0.1", port) for port in range(ASKED_MAX + 1)]
    for address in addresses[:-1]:
        amplification.turn_to(address)
    amplification.turn_to(addresses[0])
    amplification.turn_to(addresses[-1])
    assert amplification.allow(addresses[0], 1)
    assert not amplification.allow(addresses[1], 1)
