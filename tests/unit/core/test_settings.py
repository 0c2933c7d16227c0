from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, fields
from typing import get_args

import pytest

from gossipd.core.settings import (
    ProbeOrder,
    Profile,
    Settings,
    SettingsError,
)

FIGURES = [field.name for field in fields(Settings) if field.name != "probe_order"]


@pytest.mark.parametrize("profile", get_args(Profile))
def test_every_profile_is_possible(profile: Profile) -> None:
    settings = Settings.of(profile)
    assert settings.probe_timeout <= settings.probe_interval / 2


def test_figures_of_a_profile_are_replaced() -> None:
    assert Settings.of("wan", gossip_fanout=9) != Settings.of("wan")
    assert Settings.of("wan", gossip_fanout=9).gossip_fanout == 9
    assert Settings.of("lan") == Settings()


def test_settings_never_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().probe_interval = 2.0  # type: ignore[misc]


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("value", [-1, math.nan, math.inf])
def test_no_figure_is_negative_or_infinite(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.of("lan", **{name: value})


@pytest.mark.parametrize("order", get_args(ProbeOrder))
def test_an_order_of_probes_is_one_of_two_names(order: ProbeOrder) -> None:
    assert Settings.of("lan", probe_order=order).probe_order == order


@pytest.mark.parametrize("order", ["", "Ring", "random", 0])
def test_any_other_order_of_probes_is_refused(order: str) -> None:
    with pytest.raises(SettingsError, match=f"^probe_order must be ring or shuffled, .*{order!r}"):
        Settings.of("lan", probe_order=order)


@pytest.mark.parametrize(
    "name",
    [
        "corroborators",
        "corroboration_delay",
        "indirect_probes",
        "flush_after",
        "suspicion_growth",
    ],
)
def test_some_figures_may_be_0(name: str) -> None:
    assert getattr(Settings.of("lan", **{name: 0}), name) == 0


@pytest.mark.parametrize(
    ("figures", "named"),
    [
        ({"probe_interval": 0}, "probe_interval"),
        ({"datagram_size": 639}, "datagram_size"),
        ({"datagram_size": 1401}, "datagram_size"),
        ({"probe_timeout": 0.6}, "probe_timeout"),
        ({"probe_timeout_min": 0.51}, "probe_timeout_min"),
        ({"probe_patience": 0.99}, "probe_patience"),
        ({"gossip_rate": 601}, "gossip_rate"),
        ({"gossip_rate_max": 89}, "gossip_rate"),
        ({"suspicion_max_mult": 0.5}, "suspicion_max_mult"),
        ({"join_retry_min": 11}, "join_retry_min"),
    ],
)
def test_an_impossible_figure_or_combination_is_refused_by_name(
    figures: dict[str, float], named: str
) -> None:
    with pytest.raises(SettingsError, match=f"^{named} "):
        Settings.of("lan", **figures)


@pytest.mark.parametrize(
    "figures",
    [
        {"gossip_interval": 1e-17},
        {"probe_timeout_min": 0.0009},
        {"probe_patience": 11},
        {"confirmations": 8},
        {"key_limit": 4_000_001},
    ],
)
def test_figures_that_the_protocol_cannot_live_with_are_refused(figures: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(figures))):
        Settings.of("lan", **figures)
