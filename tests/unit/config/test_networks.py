"""Networks in CIDR form."""

from __future__ import annotations

import pytest

from gossipd.config.networks import Networks, parse_network


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.1.2.3", "10.1.2.3/32"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("FD00:0::/8", "fd00::/8"),
        ("::1", "::1/128"),
    ],
)
def test_a_network_is_written_in_one_way(text: str, written: str) -> None:
    assert parse_network(text) == written


@pytest.mark.parametrize(
    "text",
    ["", "10.0.0.1/8", "10.0.0.0/33", "host", "10.0.0.0/8 ", "::ffff:10.0.0.0/104", "fe80::%1/64"],
)
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"network|IPv4"):
        parse_network(text)


LISTED = Networks(["10.0.0.0/8", "192.0.2.7/32", "fd00::/8", "fe80::/64"])


@pytest.mark.parametrize(
    "host",
    [
        *("10.0.0.0", "10.255.255.255", "192.0.2.7", "::ffff:10.1.2.3"),
        *("fd00::1", "fdff::", "fe80::1", "fe80::1%eth0"),
    ],
)
def test_an_address_is_in_a_network(host: str) -> None:
    assert host in LISTED


@pytest.mark.parametrize(
    "host",
    [
        *("9.255.255.255", "11.0.0.0", "192.0.2.6", "192.0.2.8", "::ffff:11.1.2.3", "127.0.0.1"),
        *("fc00::1", "fe80:0:0:1::1", "::1", "::", "::10.0.0.1", "a00::"),
        *("::ffff:0:102:304", "::ffff:0:0:1"),
    ],
)
def test_an_address_of_no_network_is_in_none(host: str) -> None:
    assert host not in LISTED


def test_all_networks_of_both_families_are_everybody() -> None:
    everybody = Networks(["0.0.0.0/0", "::/0"])
    assert all(host in everybody for host in ("1.2.3.4", "::ffff:1.2.3.4", "2001:db8::1"))
