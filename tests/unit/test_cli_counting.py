"""`gossipd increment` and `gossipd count`: what is sent, and that it is counted once."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from gossipd.cli import gossipd
from tests.unit.fake_daemon import FakeDaemon, fake_daemon

Call = Callable[..., Result]

KEY = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
ID = "5c1f0a3e-9b7d-8e21-8c40-000000000004"


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with fake_daemon() as fake:
        fake.answers({"id": ID, "counter": "default", "by": 1, "count": 7, "duplicate": False})
        yield fake


@pytest.fixture
def call(daemon: FakeDaemon) -> Call:
    return lambda *args: CliRunner().invoke(gossipd, args, env={"GOSSIPD_API": daemon.address})


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{unused.getsockname()[1]}"


def keys_of(daemon: FakeDaemon) -> list[str]:
    return [fields["key"] for _, _, fields in daemon.requests]


def test_increment_prints_the_new_count(daemon: FakeDaemon, call: Call) -> None:
    result = call("increment")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "7\n", "")
    (key,) = keys_of(daemon)
    sent = {"counter": "default", "by": 1, "key": key}
    assert daemon.requests == [("POST", "/increment", sent)]


def test_increment_takes_negative_amounts_and_odd_names(daemon: FakeDaemon, call: Call) -> None:
    daemon.answers({"count": -3})
    assert call("increment", "a b", "--by", "-3", "--key", KEY).stdout == "-3\n"
    assert call("increment", "--by=5", "--key", KEY.upper(), "--", "-x").exit_code == 0
    assert call("increment", "", "--key", KEY).exit_code == 0
    assert daemon.requests == [
        ("POST", "/increment", {"counter": "a b", "by": -3, "key": KEY}),
        ("POST", "/increment", {"counter": "-x", "by": 5, "key": KEY}),
        ("POST", "/increment", {"counter": "", "by": 1, "key": KEY}),
    ]


def test_every_call_has_a_new_key_of_version_7(daemon: FakeDaemon, call: Call) -> None:
    call("increment")
    call("increment")
    first, second = (UUID(key) for key in keys_of(daemon))
    assert first != second
    assert first.version == second.version == 7


def test_every_try_has_the_same_key(daemon: FakeDaemon, call: Call) -> None:
    daemon.hanging_up, daemon.refusing = 1, 1
    result = call("increment")
    assert (result.exit_code, result.stdout) == (0, "7\n")
    closed = "closed the connection before it had answered"
    assert result.stderr == f"gossipd: {daemon.address}: {closed}; trying again for 30 s\n"
    assert len(keys_of(daemon)) == 3
    assert len(set(keys_of(daemon))) == 1


def test_the_next_address_gets_the_same_key(daemon: FakeDaemon, nobody: str) -> None:
    with fake_daemon() as broken:
        broken.hanging_up = 1
        result = CliRunner().invoke(
            gossipd,
            ["increment", "--api", nobody, "--api", broken.address, "--api", daemon.address],
        )
        assert (result.exit_code, result.stdout, result.stderr) == (0, "7\n", "")
        assert keys_of(broken) == keys_of(daemon)


@pytest.mark.parametrize("separator", [",", " ", ", "])
def test_the_variable_takes_several_addresses(
    daemon: FakeDaemon, nobody: str, separator: str
) -> None:
    addresses = separator.join([nobody, daemon.address])
    for command in "increment", "count":
        result = CliRunner().invoke(gossipd, [command], env={"GOSSIPD_API": addresses})
        assert (result.exit_code, result.stdout, result.stderr) == (0, "7\n", "")


def test_what_nobody_answers_exits_3_and_was_announced(nobody: str) -> None:
    result = CliRunner().invoke(gossipd, ["increment", "--api", nobody, "--timeout", "500ms"])
    assert (result.exit_code, result.stdout) == (3, "")
    first, last = result.stderr.splitlines()
    assert first == f"gossipd: {nobody}: connection refused; trying again for 0.5 s"
    assert last.startswith(f"gossipd: no daemon answers at {nobody} (connection refused)")
    assert last.endswith(" tries in 0.5 s")


def test_a_timeout_of_0_is_one_try(daemon: FakeDaemon, call: Call) -> None:
    daemon.hanging_up = 2
    result = call("increment", "--timeout", "0")
    assert (result.exit_code, result.stdout) == (3, "")
    (key,) = keys_of(daemon)
    assert result.stderr.endswith(
        f"; in case it was counted all the same, repeat it with --key {key}\n"
    )


@pytest.mark.parametrize("status", [400, 409, 422])
def test_a_refusal_is_not_tried_again(daemon: FakeDaemon, call: Call, status: int) -> None:
    daemon.refuses(status, detail="because")
    result = call("increment")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "gossipd: because\n")
    assert len(daemon.requests) == 1


def test_a_key_that_expired_while_it_was_tried_leaves_the_doubt(
    daemon: FakeDaemon, call: Call
) -> None:
    daemon.hanging_up = 1
    daemon.refuses(422, detail="the key has expired")
    result = call("increment")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[1] == (
        "gossipd: the key has expired; this call did nothing, an earlier one may have been counted"
    )


def test_a_daemon_that_cannot_count_until_the_end_is_a_refusal(
    daemon: FakeDaemon, call: Call
) -> None:
    daemon.refuses(503, detail="the disk is full")
    result = call("increment", "--timeout", "0.3")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[1].startswith("gossipd: the disk is full; ")


def test_acks_are_asked_for_with_a_time_to_wait(daemon: FakeDaemon, call: Call) -> None:
    assert call("increment", "--ack", "2", "--timeout", "10s").stdout == "7\n"
    assert call("increment", "--ack", "3", "--ack-memory", "--timeout", "5m").exit_code == 0
    (_, _, first), (_, _, second) = daemon.requests
    assert (first["ack"], "ack_memory" in first) == (2, False)
    assert 7000 <= int(first["timeout"].removesuffix("ms")) <= 8000
    assert (second["ack"], second["ack_memory"], second["timeout"]) == (3, True, "60000ms")


def test_too_few_acks_exit_1_although_it_is_counted(daemon: FakeDaemon, call: Call) -> None:
    daemon.answers({"count": 7, "acks": 1}, status=202)
    result = call("increment", "--ack", "2")
    assert (result.exit_code, result.stdout) == (1, "7\n")
    (key,) = keys_of(daemon)
    assert result.stderr == (
        f"gossipd: it is counted, but 1 of 2 nodes hold it so far; its key is {key}\n"
    )


def test_count_prints_the_count(daemon: FakeDaemon, call: Call) -> None:
    daemon.answers({"counter": "visits", "count": 42})
    assert call("count", "visits").stdout == "42\n"
    assert daemon.requests == [("GET", "/count?counter=visits", None)]


def test_count_can_wait_for_an_increment(daemon: FakeDaemon, call: Call) -> None:
    assert call("count", "--after", ID.upper(), "--timeout", "1.5").stdout == "7\n"
    assert call("count", "a", "--after", ID).exit_code == 0
    assert [path for _, path, _ in daemon.requests] == [
        f"/count?counter=default&after={ID}&timeout=1500ms",
        f"/count?counter=a&after={ID}&timeout=10000ms",
    ]


def test_a_count_without_the_increment_is_told_but_is_no_answer(
    daemon: FakeDaemon, call: Call
) -> None:
    daemon.refuses(504, detail="not here", counter="visits", count=41)
    result = call("count", "visits", "--after", ID, "--timeout", "2s")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"gossipd: increment {ID} has not come to this node within 2 s; "
        "without it 'visits' is at 41\n"
    )


def test_any_other_refusal_to_wait_is_told_as_it_is(daemon: FakeDaemon, call: Call) -> None:
    daemon.refuses(504, detail="a proxy gave up")
    assert call("count", "--after", ID).stderr == "gossipd: a proxy gave up\n"
    daemon.refuses(400, detail="no such stream", count=3)
    assert call("count", "--after", ID).stderr == "gossipd: no such stream\n"


def test_a_question_is_not_asked_again(daemon: FakeDaemon, call: Call) -> None:
    daemon.refusing = 1
    result = call("count")
    assert (result.exit_code, result.stderr) == (1, "gossipd: catching up\n")
    assert len(daemon.requests) == 1


@pytest.mark.parametrize(
    "args",
    [
        ("increment", "--by", "0"), ("increment", "--by", "1.5"), ("increment", "--by", "x"),
        ("increment", "--by", str(2**53 + 1)), ("increment", "--by", str(-(2**70))),
        ("increment", "a", "b"), ("increment", "--key", "x"), ("increment", "--key", ID),
        ("increment", "--ack", "0"), ("increment", "--ack", "65"), ("increment", "--ack-memory"),
        ("increment", "--timeout", "-1"), ("increment", "--timeout", "6m"),
        ("increment", "--timeout", "soon"), ("increment", "--api", ","),
        ("count", "--after", "x"), ("count", "--after", ID, "--timeout", "61s"),
    ],
)  # fmt: skip
def test_usage_that_cannot_be_parsed_exits_2_and_asks_nobody(
    daemon: FakeDaemon, call: Call, args: tuple[str, ...]
) -> None:
    result = call(*args)
    assert (result.exit_code, result.stdout, daemon.requests) == (2, "", [])
    assert result.stderr


@pytest.mark.parametrize("args", [("join", "c"), ("leave",)])
def test_what_one_daemon_is_to_do_is_asked_of_one(
    daemon: FakeDaemon, nobody: str, args: tuple[str, ...]
) -> None:
    several = ["--api", nobody, "--api", daemon.address]
    result = CliRunner().invoke(gossipd, [*args, *several])
    assert (result.exit_code, daemon.requests) == (2, [])
    assert "name it with --api" in result.stderr
    assert CliRunner().invoke(gossipd, ["forget", "c", *several]).exit_code == 0


def test_a_change_without_an_answer_may_have_been_done(daemon: FakeDaemon, call: Call) -> None:
    daemon.hanging_up = 1
    result = call("leave")
    assert result.exit_code == 3
    assert result.stderr.endswith("; it may have been done all the same\n")
