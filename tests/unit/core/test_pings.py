from __future__ import annotations

from random import Random

import pytest

from gossipd.core.pings import IN_FLIGHT_MAX, RELAYED_MAX, Flight, Pings, Purpose, RoundTrips
from gossipd.core.settings import Settings

FLIGHT = Flight("bob", Purpose.PROBE, 1.0)


def test_a_ping_is_answered_once_and_by_its_nonce_alone() -> None:
    pings = Pings(Random(1))
    nonce = pings.start(FLIGHT)
    assert pings.answer(nonce + 1) is None
    assert pings.peek(nonce) == FLIGHT
    assert pings.answer(nonce) == FLIGHT
    assert pings.peek(nonce) is None
    assert pings.answer(nonce) is None


def test_the_oldest_pings_are_given_up_first() -> None:
    pings = Pings(Random(1))
    nonces = [pings.start(FLIGHT) for _ in range(IN_FLIGHT_MAX + 2)]
    assert [pings.peek(nonce) for nonce in nonces[:3]] == [None, None, FLIGHT]
    assert pings.peek(nonces[-1]) == FLIGHT


def test_relayed_pings_do_not_crowd_out_own_ones() -> None:
    pings = Pings(Random(1))
    own = pings.start(FLIGHT)
    relayed = Flight("bob", Purpose.RELAY, 1.0, ("10.0.0.1", 1), 7)
    nonces = []
    for _ in range(RELAYED_MAX + 1):
        given_up = pings.make_room_to_relay()
        nonces.append(pings.start(relayed))
    assert given_up == nonces[0]
    assert pings.peek(nonces[0]) is None
    assert pings.answer(nonces[-1]) == relayed
    assert pings.peek(own) == FLIGHT


def test_round_trips_are_smoothed_as_rfc_6298_says() -> None:
    trips = RoundTrips(Settings())
    assert trips.mean("bob") is None
    trips.sample("bob", 0.08)
    assert trips.mean("bob") == 0.08
    assert trips.timeout("bob") == pytest.approx(0.08 + 4 * 0.04)
    trips.sample("bob", 0.16)
    assert trips.mean("bob") == pytest.approx(0.09)
    assert trips.timeout("bob") == pytest.approx(0.09 + 4 * (0.75 * 0.04 + 0.25 * 0.08))


def test_a_probe_timeout_stays_within_its_bounds() -> None:
    settings = Settings()
    trips = RoundTrips(settings)
    assert trips.timeout("new") == settings.probe_timeout
    trips.sample("near", 0.0001)
    assert trips.timeout("near") == settings.probe_timeout_min
    trips.sample("far", 0.4)
    trips.sample("stalled", 0.6)
    assert trips.mean("stalled") is None
    assert trips.timeout("far") == settings.probe_interval / 2


def test_a_member_that_was_never_measured_is_taken_to_be_as_far_as_the_others() -> None:
    trips = RoundTrips(Settings(probe_interval=10.0, probe_timeout=5.0))
    trips.sample("bob", 0.2)
    trips.sample("eve", 0.4)
    mean, deviation = 0.2 + 0.2 / 8, 0.1 + (0.2 - 0.1) / 4
    assert trips.timeout("new") == pytest.approx(mean + 4 * deviation)
    assert trips.mean("new") is None
    assert trips.timeout("bob") == pytest.approx(0.2 + 4 * 0.1)


def test_what_a_forgotten_member_has_taught_about_the_others_stays() -> None:
    trips = RoundTrips(Settings())
    trips.sample("bob", 0.08)
    trips.forget("bob")
    trips.forget("nobody")
    assert trips.mean("bob") is None
    assert trips.timeout("bob") == pytest.approx(0.08 + 4 * 0.04)


def test_own_pings_are_given_up_after_a_minute_in_which_others_were_sent() -> None:
    pings = Pings(Random(1))
    nonces = [pings.start(Flight("a", Purpose.PROBE, float(at))) for at in range(0, 70, 10)]
    assert [pings.peek(nonce) is not None for nonce in nonces] == [True] * 7
    pings.start(Flight("a", Purpose.PROBE, 75.0))
    assert [pings.peek(nonce) is not None for nonce in nonces] == [False] * 2 + [True] * 5
