"""Sockets of this host, as they are written."""

from __future__ import annotations

import pytest

from gossipd.config.config import Config, ConfigError
from gossipd.config.endpoint import Endpoint
from gossipd.config.unix import UnixSocket, parse_api


@pytest.mark.parametrize(
    ("text", "mode", "written"),
    [
        ("unix:/run/gossipd/api.sock", 0o660, "unix:/run/gossipd/api.sock"),
        ("unix:///a", 0o660, "unix:/a"),
        ("unix:/a?mode=0666", 0o666, "unix:/a?mode=0666"),
        ("unix:/a?mode=600", 0o600, "unix:/a?mode=0600"),
        ("unix:/a?mode=0660", 0o660, "unix:/a"),
        (f"unix:/{'x' * 106}", 0o660, f"unix:/{'x' * 106}"),
    ],
)
def test_a_socket_is_a_path_and_a_mode(text: str, mode: int, written: str) -> None:
    where = parse_api(text)
    assert isinstance(where, UnixSocket)
    assert (where.mode, str(where)) == (mode, written)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("unix:", "expected the whole path"),
        ("unix:a", "expected the whole path"),
        ("unix://host/a", "expected the whole path"),
        ("unix:/a/", "expected the whole path"),
        ("unix:/a\n", "expected the whole path"),
        ("unix:/a?", "expected mode=0660"),
        ("unix:/a?mode=9", "expected mode=0660"),
        ("unix:/a?mode=01777", "expected mode=0660"),
        ("unix:/a?user=b", "expected mode=0660"),
        (f"unix:/{'x' * 107}", "its path has 108 bytes, and that of a socket has at most 107"),
        (f"unix:/{'é' * 54}", "its path has 109 bytes"),
        ("http://a:1", "is a URL"),
    ],
)
def test_what_is_none_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_api(text)


def test_an_address_that_is_given_twice_is_one() -> None:
    unix, tcp = UnixSocket("/a"), Endpoint("::1", 1)
    assert Config.of(api=(unix, tcp, unix)).api == (unix, tcp)
    with pytest.raises(ConfigError, match="api: /a is given with two modes"):
        Config.of(api=(unix, UnixSocket("/a", 0o600)))
