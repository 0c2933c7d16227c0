"""The join command: when it is done, and what it says where it cannot be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from gossipd.cli import gossipd
from tests.e2e.node import until
from tests.unit.cli.fake_daemon import FakeDaemon, fake_daemon

Call = Callable[..., Result]


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with fake_daemon() as fake:
        fake.joining = True
        yield fake


@pytest.fixture
def call(daemon: FakeDaemon) -> Call:
    def invoke(*args: str) -> Result:
        return CliRunner().invoke(gossipd, ["join", *args, "--api", daemon.address])

    return invoke


def row(seed: str, error: str | None = None, **states: str) -> dict[str, object]:
    """What a daemon says of a seed whose addresses, a to z, are in these states."""
    return {
        "seed": seed,
        "joined": "member" in states.values(),
        "error": error,
        "addresses": [{"address": name, "state": state} for name, state in states.items()],
    }


def test_it_is_done_once_every_address_had_its_chance(daemon: FakeDaemon, call: Call) -> None:
    daemon.answers(
        [row("b:7946", a="member", b="asked"), row("c:7946", a="member"), row("other:1")]
    )

    def go_on() -> None:
        until(lambda: len(daemon.requests) >= 4, 20, "the daemon was asked again")
        daemon.answers([row("b:7946", a="member", b="silent"), row("c:7946", a="member")])

    thread = threading.Thread(target=go_on)
    thread.start()
    result = call("--wait", "30s", "b", "c", "b:7946")
    thread.join()
    assert (result.exit_code, result.stdout) == (0, "joined b:7946, c:7946\n")
    assert daemon.requests[0] == ("POST", "/join", {"peers": ["b:7946", "c:7946"]})
    assert {asked[:2] for asked in daemon.requests[1:]} == {("GET", "/join")}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (row("b:7946", "Name or service not known\x1b"), "Name or service not known\\x1b"),
        (row("b:7946"), "its name has not been resolved yet"),
        ({}, "its name has not been resolved yet"),
        (row("b:7946", a="self"), "this is the node itself"),
        (
            row("b:7946", a="self", b="silent", c="asked"),
            "no node of this cluster answers at b, c",
        ),
        (
            row("b:7946", a="silent", b="silent", c="silent", d="silent"),
            "no node of this cluster answers at a, b, c and 1 more",
        ),
        (
            row("b:7946", "this host has no route to any other", a="silent"),
            "no node of this cluster answers at a: this host has no route to any other",
        ),
    ],
)
def test_what_is_not_joined_in_time_fails_and_says_why(
    daemon: FakeDaemon, call: Call, said: dict[str, object], reason: str
) -> None:
    daemon.answers([said, row("c:7946", a="member")])
    result = call("--wait", "0.3", "b", "c")
    assert (result.exit_code, result.stdout) == (1, "joined c:7946\n")
    assert result.stderr == f"gossipd: not joined within 0.3 s: b:7946: {reason}\n"


def test_the_node_itself_is_not_waited_for(daemon: FakeDaemon, call: Call) -> None:
    daemon.answers([row("b:7946", a="self")])
    began = time.monotonic()
    assert call("--wait", "1m", "b").exit_code == 1
    assert time.monotonic() - began < 30


def test_a_daemon_that_ends_over_it_is_told_of(daemon: FakeDaemon, call: Call) -> None:
    daemon.answers([row("b:7946", a="asked")])

    def hang_up() -> None:
        until(lambda: len(daemon.requests) >= 3, 20, "the daemon was asked again")
        daemon.hanging_up = 1

    thread = threading.Thread(target=hang_up)
    thread.start()
    result = call("--wait", "30s", "b")
    thread.join()
    assert result.exit_code == 1
    assert "its log says whether it has ended over the join" in result.stderr


def test_a_wait_that_is_no_length_of_time_is_misuse(call: Call) -> None:
    assert call("--wait", "soon", "b").exit_code == 2
