"""The configuration of a node: what is derived and what is refused."""

from __future__ import annotations

import socket
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from gossipd.config.config import Config, ConfigError
from gossipd.config.endpoint import Endpoint
from gossipd.config.unix import UnixSocket
from gossipd.core.settings import Settings, SettingsError


@pytest.fixture(autouse=True)
def _host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "web-3")


@pytest.mark.parametrize(
    ("bind", "api"),
    [
        (":7946", "localhost:7947"),
        ("127.0.1.3:7946", "127.0.1.3:7947"),
        ("127.0.0.1:7946", "localhost:7947"),
        ("[::1]:7956", "localhost:7957"),
        ("localhost:7946", "localhost:7947"),
        ("10.0.0.1:7946", "localhost:7947"),
        ("[::]:7946", "localhost:7947"),
        ("127.0.1.3:0", "127.0.1.3:0"),
    ],
)
def test_the_side_port_is_on_loopback_next_to_the_gossip_port(bind: str, api: str) -> None:
    assert str(Config.of(bind=Endpoint.parse(bind)).api[0]) == api


def test_a_given_side_port_is_kept() -> None:
    assert Config.of(api=(Endpoint("::1", 80),)).api == (Endpoint("::1", 80),)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "10.0.0.1", "fe80::1%eth0", "2001:db8::1"])
def test_a_side_port_that_others_reach_asks_for_tokens_or_is_meant_to_be_open(host: str) -> None:
    api = (UnixSocket("/a"), Endpoint("127.9.9.9", 1), Endpoint("localhost", 1))
    with pytest.raises(ConfigError, match=r"api: .* is reached from other hosts, .* tokens"):
        Config.of(api=(*api, Endpoint(host, 80)))
    by_certificate = {"api_cert": "/x", "api_client_ca": "/y"}
    for more in ({"tokens": "/x"}, by_certificate, {"insecure_api": True}):
        assert Config.of(api=(Endpoint(host, 80),), **more).api[0] == Endpoint(host, 80)
    assert Config.of(api=api).api == api


def test_no_side_port_follows_the_last_port() -> None:
    with pytest.raises(ConfigError, match="api: must be given"):
        Config.of(bind=Endpoint("", 65535))
    assert Config.of(bind=Endpoint("", 65535), api=(Endpoint("::1", 1),)).bind.port == 65535


def test_the_name_is_the_host_name_with_an_unusual_port() -> None:
    assert Config().name == "web-3"
    assert Config.of(bind=Endpoint("", 7956)).name == "web-3:7956"
    assert Config.of(bind=Endpoint("", 7956), name="b").name == "b"


def test_the_name_is_left_open_while_the_port_is() -> None:
    assert Config.of(bind=Endpoint("", 0)).name is None


def test_a_host_name_that_is_no_name_asks_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "x" * 64)
    with pytest.raises(ConfigError, match="name: must be given"):
        Config.of(bind=Endpoint("", 7956))


def test_seeds_are_completed_and_kept_once() -> None:
    assert Config.of(join=("b", "[::1]:1", "b:7946")).join == ("b:7946", "[::1]:1")


def test_tags_are_a_mapping() -> None:
    assert Config.of(tag=("zone=a", "rule=x=y", "empty=")).tags == {
        "zone": "a", "rule": "x=y", "empty": "",
    }  # fmt: skip


def test_figures_replace_those_of_the_profile() -> None:
    config = Config.of(profile="wan", gossip_fanout=7)
    assert config.profile == "wan"
    assert config.settings == Settings.of("wan", gossip_fanout=7)


def test_impossible_figures_are_refused() -> None:
    with pytest.raises(SettingsError, match="probe_timeout"):
        Config.of(probe_timeout=0.9)


def test_a_configuration_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Config().cluster = "x"  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", ""), ("name", "x" * 65), ("name", "é" * 33), ("name", " a"), ("name", "a\tb"),
        ("name", "a\x85"), ("name", "\udcff"),
        ("cluster", ""), ("cluster", "x" * 65), ("cluster", "a\n"),
        ("advertise", Endpoint("", 1)), ("advertise", Endpoint("a", 0)),
        ("advertise", Endpoint("fe80::1%lo", 1)), ("bind", Endpoint("fe80::1%lo", 1)),
        ("join", (":7946",)), ("join", ("a:0",)), ("join", ("a b",)),
        ("tag", ("zone",)), ("tag", ("=a",)), ("tag", ("a=1", "a=2")), ("tag", ("x" * 65 + "=",)),
        ("tag", tuple(f"{n:03}=" + "x" * 60 for n in range(5))), ("tag", ("a=\x1b",)),
        ("tag", ("a=\udcff",)), ("tag", tuple(f"{n}=" for n in range(33))),
        ("data_dir", ""), ("data_dir", "a\0b"), ("data_dir", "~nosuch/x"),
        ("allow", ("10.0.0.1/8",)), ("allow", ("10.0.0.0/8", "host")),
        ("connections_max", 0), ("watchers_max", -1),
        ("address_share", 0.0), ("address_share", 1.1), ("address_share", float("nan")),
    ],
)  # fmt: skip
def test_impossible_values_are_refused_by_name(key: str, value: Any) -> None:
    with pytest.raises(ConfigError) as refusal:
        Config.of(**{key: value})
    assert refusal.value.key == key


def test_the_limits_themselves_are_allowed() -> None:
    Config.of(name="é" * 32, cluster="x" * 64, tag=("k" * 64 + "=" + "v" * 192,))
    Config.of(connections_max=1, watchers_max=0, address_share=1.0)


def test_networks_are_written_in_one_way_and_each_once() -> None:
    assert Config.of(allow=("10.0.0.1", "FD00::/8", "10.0.0.1/32")).allow == (
        "10.0.0.1/32", "fd00::/8",
    )  # fmt: skip


def test_a_directory_and_none_are_a_contradiction() -> None:
    with pytest.raises(ConfigError, match="data_dir: must not be given together with in_memory"):
        Config(data_dir="/data", in_memory=True)


@pytest.mark.parametrize("key", ["api_key", "api_client_ca"])
def test_what_belongs_to_a_certificate_says_nothing_without_one(key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: says nothing without api_cert"):
        Config.of(**{key: "/x"})
    assert Config.of(api_cert="/y", **{key: "/x"}).api_cert == "/y"
