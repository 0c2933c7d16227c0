"""Whom a node exchanges datagrams with."""

from __future__ import annotations

import pytest

from gossipd.daemon.allowing import allowing


def test_without_a_list_nobody_is_asked_for() -> None:
    assert allowing(()) is None


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("192.0.2.1", False),
        ("fd00::1", False),
        ("127.0.0.1", True),
        ("::ffff:127.0.0.1", True),
        ("::1", True),
        ("127.0.0.2", False),
        ("192.0.2.9", True),
        ("::ffff:192.0.2.9", True),
        ("::ffff:0:102:304", False),
    ],
)
def test_a_list_allows_what_is_in_it_and_this_host_itself(host: str, allowed: bool) -> None:
    is_allowed = allowing(["10.0.0.0/8"], lambda: "192.0.2.9")
    assert is_allowed is not None
    assert is_allowed(host) is allowed


def test_the_own_address_is_the_present_one() -> None:
    own = "192.0.2.9"
    is_allowed = allowing(["10.0.0.0/8"], lambda: own)
    assert is_allowed is not None
    own = "192.0.2.10"
    assert [is_allowed(host) for host in ("192.0.2.9", "192.0.2.10")] == [False, True]
