from __future__ import annotations

from gossipd.core.gossip.amplification import STRANGERS_MAX, TRUSTED_MAX, AmplificationLimit

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


def test_a_trusted_address_has_no_limit() -> None:
    amplification = AmplificationLimit()
    amplification.trust(A)
    assert amplification.allow(A, 10**9)


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
    addresses = [("10.0.0.1", port) for port in range(TRUSTED_MAX + 1)]
    for address in addresses[:-1]:
        amplification.trust(address)
    amplification.trust(addresses[0])
    amplification.trust(addresses[-1])
    assert amplification.allow(addresses[0], 1)
    assert not amplification.allow(addresses[1], 1)
