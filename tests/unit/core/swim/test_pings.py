from __future__ import annotations

import pytest

from gossipd.core.settings import Settings
from gossipd.core.swim.pings import RoundTrips


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
