"""The one syntax for addresses."""

from __future__ import annotations

import pytest

from gossipd.config.endpoint import Endpoint, is_link_local


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (":7946", "", 7946),
        ("127.0.1.3:7946", "127.0.1.3", 7946),
        ("localhost:0", "localhost", 0),
        ("[::1]:7946", "::1", 7946),
        ("[fe80::1%eth0]:1", "fe80::1%eth0", 1),
        ("node-b.example_x.:65535", "node-b.example_x.", 65535),
    ],
)
def test_an_endpoint_is_read_and_written_in_the_same_way(text: str, host: str, port: int) -> None:
    endpoint = Endpoint.parse(text)
    assert endpoint == Endpoint(host, port)
    assert str(endpoint) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "7946", "host", "host:", "host:-1", "host:+1", "host:65536", "host:1e3", "host:٣",
        "host:123456", "::1:7946", "[::1", "[::1]7946", "[host]:1", "[]:1", "[::1%]:1",
        "[::1% x]:1", "256.1.1.1:1", "1.2.3:1", "a b:1", "http://a:1", "a/b:1", "a\n:1",
        "\udcff:1", "x" * 254 + ":1", "[fe80::1]:1", "[febf::2]:1",
    ],
)  # fmt: skip
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^'.*'.* (is|has|in brackets)"):
        Endpoint.parse(text)


def test_only_addresses_of_one_link_need_to_say_which() -> None:
    hosts = ("fe80::1", "fe80::1%eth0", "fd77::1", "::1", "169.254.1.2", "feather.example")
    assert [is_link_local(host) for host in hosts] == [True, True, False, False, False, False]


def test_a_peer_has_a_default_port() -> None:
    assert str(Endpoint.parse_peer("node-b")) == "node-b:7946"
    assert str(Endpoint.parse_peer("[::1]")) == "[::1]:7946"
    assert str(Endpoint.parse_peer("node-b:1")) == "node-b:1"


@pytest.mark.parametrize("text", [":7946", "host:0", "", ":"])
def test_a_peer_without_host_or_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^'.*'.* (is|has|in brackets)"):
        Endpoint.parse_peer(text)
