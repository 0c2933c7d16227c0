from __future__ import annotations

from gossipd.core.strangers import STRANGERS_MAX, TRUSTED_MAX, Strangers

A = ("10.0.0.1", 1)


def test_a_stranger_is_sent_three_times_what_came_from_it() -> None:
    strangers = Strangers()
    assert not strangers.allow(A, 1)
    strangers.received(A, 10)
    assert not strangers.allow(A, 31)
    assert strangers.allow(A, 20)
    assert strangers.allow(A, 10)
    assert not strangers.allow(A, 1)
    strangers.received(A, 1)
    assert strangers.allow(A, 3)


def test_a_trusted_address_has_no_limit() -> None:
    strangers = Strangers()
    strangers.trust(A)
    assert strangers.allow(A, 10**9)


def test_the_strangers_heard_of_least_recently_are_forgotten() -> None:
    strangers = Strangers()
    addresses = [("10.0.0.1", port) for port in range(STRANGERS_MAX + 1)]
    for address in addresses[:-1]:
        strangers.received(address, 1)
    strangers.received(addresses[0], 1)
    strangers.received(addresses[-1], 1)
    assert strangers.allow(addresses[0], 6)
    assert not strangers.allow(addresses[1], 1)
    assert strangers.allow(addresses[-1], 3)


def test_the_seeds_named_least_recently_are_forgotten() -> None:
    strangers = Strangers()
    addresses = [("10.0.0.1", port) for port in range(TRUSTED_MAX + 1)]
    for address in addresses[:-1]:
        strangers.trust(address)
    strangers.trust(addresses[0])
    strangers.trust(addresses[-1])
    assert strangers.allow(addresses[0], 1)
    assert not strangers.allow(addresses[1], 1)
