"""What the kernel tells of this host's addresses and routes."""

from __future__ import annotations

import socket

import pytest

from gossipd.config.endpoint import Endpoint, is_link_local, is_loopback
from gossipd.core import Address
from gossipd.daemon.advertising import first_address, most
from gossipd.daemon.routes import Routes, interface_hosts
from gossipd.daemon.udp import open_socket


def test_the_way_to_another_begins_at_the_address_that_reaches_it() -> None:
    with open_socket("127.0.0.1", 0) as four, open_socket("", 0) as both:
        assert Routes(four).towards(("127.1.2.3", 9)) == "127.0.0.1"
        assert Routes(four).towards(("::1", 9)) is None
        assert Routes(both).towards(("127.1.2.3", 9)) == "127.0.0.1"
        if both.family == socket.AF_INET6:
            assert Routes(both).towards(("::1", 9)) == "::1"


def test_a_way_that_begins_at_an_address_of_one_link_tells_no_address() -> None:
    with open_socket("", 0) as both:
        assert Routes(both).towards(("fe80::1%lo", 9)) is None
        assert Routes(both).towards(("fe80::1", 9)) is None


def test_a_host_has_loopback_and_what_its_interfaces_have() -> None:
    with open_socket("", 0) as both:
        routes = Routes(both)
        assert routes.has("127.9.9.9")
        assert not routes.has("192.0.2.1")
        for host in interface_hosts():
            if not is_link_local(host) and (both.family == socket.AF_INET6 or ":" not in host):
                assert routes.has(host)


def test_outward_is_no_loopback_and_can_be_bound() -> None:
    with open_socket("", 0) as both:
        host = Routes(both).outward()
    if host is None:
        pytest.skip("this machine has only loopback")
    assert not is_loopback(host)
    assert not is_link_local(host)
    with open_socket(host, 0) as sock:
        assert sock.getsockname()[0] == host


def test_loopback_is_an_interface_too() -> None:
    assert "127.0.0.1" in interface_hosts()


def test_most_ways_decide_and_the_present_address_where_they_are_even() -> None:
    assert most(["a", "b", "b"], "a") == "b"
    assert most(["a", "b"], "b") == "b"
    assert most(["a", "b"], "c") == "a"


@pytest.mark.parametrize(
    ("bound", "advertise", "targets", "host"),
    [
        (("127.0.0.1", 7), None, [], "127.0.0.1"),
        (("0.0.0.0", 7), Endpoint("127.3.2.1", 9), [], "127.3.2.1"),
        (("0.0.0.0", 7), None, [("127.0.0.1", 8)], "127.0.0.1"),
    ],
)
async def test_what_a_node_advertises_before_it_has_heard_anybody(
    bound: Address, advertise: Endpoint | None, targets: list[Address], host: str
) -> None:
    with open_socket("127.0.0.1", 0) as sock:
        address = await first_address(bound, advertise, targets, Routes(sock))
    assert address == (host, advertise.port if advertise else 7)


async def test_a_name_to_advertise_that_does_not_resolve_holds_nothing_up() -> None:
    with open_socket("127.0.0.1", 0) as sock:
        bound, name = ("127.0.0.1", 7), Endpoint("nobody.invalid", 9)
        assert await first_address(bound, name, [], Routes(sock)) == bound
