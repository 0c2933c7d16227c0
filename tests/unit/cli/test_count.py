"""`gossipd increment` and `gossipd count`: what is sent, and that it is counted once."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from gossipd.cli import gossipd
from tests.e2e.node import until
from tests.unit.cli import hostile
from tests.unit.cli.fake_daemon import FakeDaemon, fake_daemon

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
    assert call("increment", "--by=5", "--key", "order 1", "--", "-x").exit_code == 0
    assert call("increment", "", "--key", KEY).exit_code == 0
    assert daemon.requests == [
        ("POST", "/increment", {"counter": "a b", "by": -3, "key": KEY}),
        ("POST", "/increment", {"counter": "-x", "by": 5, "key": "order 1"}),
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
    told = f"gossipd: {re.escape(daemon.address)}: {closed}; trying again for (30|2[0-9.]+) s\n"
    assert re.fullmatch(told, result.stderr)
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
        assert keys_of(broken) == 2 * keys_of(daemon), "first who may have counted it"


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
    told = rf"gossipd: {re.escape(nobody)}: connection refused; trying again for 0\.[0-9]+ s"
    assert re.fullmatch(told, first)
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
    result = call("increment", "--key", KEY)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", "gossipd: because\n")
    assert len(daemon.requests) == 1


def test_a_key_that_expired_while_it_was_tried_leaves_the_doubt(
    daemon: FakeDaemon, call: Call
) -> None:
    daemon.hanging_up = 1
    daemon.refuses(422, detail="the key has expired")
    result = call("increment", "--key", KEY)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[1] == (
        "gossipd: the key has expired; this call did nothing, an earlier one may have been "
        f"counted; in case it was counted all the same, repeat it with --key {KEY}"
    )


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_whatever_kind_leaves_the_doubt_of_an_earlier_try(
    daemon: FakeDaemon, status: int
) -> None:
    daemon.refuses(status)
    with fake_daemon() as broken:
        broken.hanging_up = 2
        result = CliRunner().invoke(
            gossipd, ["increment", "--api", broken.address, "--api", daemon.address]
        )
        (key,) = set(keys_of(broken))
    asked = "name the file of one with --token-file or GOSSIPD_TOKEN_FILE"
    why = "no" if status == 403 else f"the daemon asks for a token: {asked}"
    assert result.exit_code == 1
    assert result.stderr == (
        f"gossipd: {why}; this call did nothing, an earlier one may have been counted; "
        f"in case it was counted all the same, repeat it with --key {key}\n"
    )


@pytest.mark.parametrize(
    ("ahead", "said"), [(900, "15 min behind"), (-86_400 * 3, "3 days ahead of")]
)
def test_a_wrong_clock_is_told_and_the_increment_is_counted_by_the_daemons(
    daemon: FakeDaemon, call: Call, ahead: float, said: str
) -> None:
    daemon.judging, daemon.ahead = True, ahead
    result = call("increment", "--timeout", "0")
    assert (result.exit_code, result.stdout) == (0, "7\n")
    wrong = f"gossipd: this host's clock is {said} that of {daemon.address}"
    assert result.stderr == f"{wrong}; the daemon's is used\n"
    first, second = keys_of(daemon)
    assert first != second


def test_a_key_under_which_it_may_have_been_counted_is_not_exchanged(
    daemon: FakeDaemon, call: Call
) -> None:
    daemon.judging, daemon.ahead, daemon.hanging_up = True, 900, 1
    result = call("increment")
    assert result.exit_code == 1
    key, again = keys_of(daemon)
    assert key == again
    assert result.stderr.splitlines()[1] == (
        f"gossipd: not counted: this host's clock is 15 min behind that of {daemon.address}; "
        "this call did nothing, an earlier one may have been counted; in case it was counted all "
        f"the same, repeat it with --key {key}"
    )


@pytest.mark.parametrize(("undated", "said"), [(True, "clock and that of"), (False, "dated now")])
def test_where_the_daemons_clock_does_not_help_the_user_is_told_of_clocks_not_of_keys(
    daemon: FakeDaemon, call: Call, undated: bool, said: str
) -> None:
    daemon.refuses(422, detail="expired: the key is 3 s old; this call did nothing")
    daemon.undated = undated
    result = call("increment")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("gossipd: not counted: ")
    assert said in result.stderr
    assert "key" not in result.stderr
    assert len(daemon.requests) == (1 if undated else 2)


def test_a_key_of_the_users_is_never_exchanged(daemon: FakeDaemon, call: Call) -> None:
    daemon.judging, daemon.ahead = True, 900
    result = call("increment", "--key", KEY)
    assert result.stderr == "gossipd: expired: the key is old; this call did nothing\n"
    assert keys_of(daemon) == [KEY]


STRANGE = [
    (502, b"<html>Bad Gateway</html>", "text/html"),
    (504, b"<html>Gateway Timeout</html>", "text/html"),
    (503, b"<html>Service Unavailable</html>", "text/html"),
    (500, b"oops", "text/plain"),
    (403, b"<html>Forbidden</html>", "text/html"),
    (301, b"", "text/html"),
    (404, b'{"message": "no Route matched"}', "application/json"),
    (200, b"<html>Log in</html>", "text/html"),
    (200, b'{"ok": true}', "application/json"),
    (200, b'{"id": "i", "counter": "default", "by": 1, "count": null}', "application/json"),
    (200, b'{"id": "i", "counter": "other", "by": 1, "count": 7}', "application/json"),
    (200, b'{"id": "i", "counter": "default", "by": 2, "count": 7}', "application/json"),
    (204, b"", "text/plain"),
]


@pytest.mark.parametrize(("status", "body", "content_type"), STRANGE)
def test_whatever_is_no_daemons_answer_is_tried_again_under_the_same_key(
    daemon: FakeDaemon, call: Call, status: int, body: bytes, content_type: str
) -> None:
    good = daemon.body
    daemon.status, daemon.body, daemon.content_type = status, body, content_type
    daemon.echoing = False
    result = call("increment", "--timeout", "0.3")
    assert (result.exit_code, result.stdout) == (1, "")
    (key,) = set(keys_of(daemon))
    assert len(keys_of(daemon)) > 1
    assert result.stderr.endswith(
        f"in case it was counted all the same, repeat it with --key {key}\n"
    )
    with fake_daemon() as right:
        right.body = good
        result = call("increment", "--api", daemon.address, "--api", right.address)
        assert (result.exit_code, result.stdout) == (0, "7\n")


@pytest.mark.parametrize(("status", "body", "content_type"), STRANGE)
def test_a_question_that_a_stranger_answers_is_asked_of_the_next(
    daemon: FakeDaemon, status: int, body: bytes, content_type: str
) -> None:
    with fake_daemon() as stranger:
        stranger.status, stranger.body, stranger.content_type = status, body, content_type
        stranger.echoing = False
        apis = ("--api", stranger.address, "--api", daemon.address)
        result = CliRunner().invoke(gossipd, ["count", "visits", *apis])
        assert (result.exit_code, result.stdout) == (0, "7\n")


@pytest.mark.parametrize("command", ["count", "increment"])
def test_one_that_drips_does_not_keep_the_next_from_being_asked(
    daemon: FakeDaemon, command: str
) -> None:
    with hostile.dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n") as dripping:
        apis = ("--api", str(dripping), "--api", daemon.address)
        begun_at = time.monotonic()
        result = CliRunner().invoke(gossipd, [command, "--timeout", "2s", *apis])
        assert (result.exit_code, result.stdout) == (0, "7\n")
        assert time.monotonic() - begun_at < 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("waits", ["for an answer", "between two tries"])
def test_who_interrupts_an_increment_is_told_its_key(
    daemon: FakeDaemon, number: signal.Signals, waits: str
) -> None:
    if waits == "for an answer":
        daemon.hanging = True
    else:
        daemon.refuses(503, detail="full")
        daemon.retry_after = "10"
    with subprocess.Popen(
        (sys.executable, "-m", "gossipd", "increment"),
        env={**os.environ, "GOSSIPD_API": daemon.address},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        until(lambda: daemon.requests, 20, "it is sent")
        process.send_signal(number)
        said, told = process.communicate(timeout=20)
    (key,) = keys_of(daemon)
    assert (process.returncode, said) == (128 + number, b"")
    assert told.decode().splitlines()[-1] == (
        f"gossipd: interrupted; in case it was counted all the same, repeat it with --key {key}"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("ack", [(), ("--ack", "2")])
def test_a_count_that_cannot_be_printed_is_counted_all_the_same(
    daemon: FakeDaemon, ack: tuple[str, ...]
) -> None:
    if ack:
        daemon.answers({"count": 7, "acks": 1}, 202)
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            (sys.executable, "-m", "gossipd", "increment", "--api", daemon.address, *ack),
            stdout=full, stderr=subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip
    (key,) = keys_of(daemon)
    told = [f"gossipd: cannot write: No space left on device; it is counted, its key is {key}"]
    if ack:
        few = "it is counted, but 1 of 2 nodes hold it so far"
        told.append(f"gossipd: {few}; its key is {key}")
    assert (result.returncode, result.stderr.decode().splitlines()) == (1, told)


def test_a_count_that_nobody_reads_is_counted_all_the_same(daemon: FakeDaemon) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as unread:  # noqa: PTH123
        result = subprocess.run(
            (sys.executable, "-m", "gossipd", "increment", "--api", daemon.address),
            stdout=unread, stderr=subprocess.PIPE, timeout=60, check=False,
        )  # fmt: skip
    (key,) = keys_of(daemon)
    assert result.returncode == 141
    assert result.stderr.decode() == (
        f"gossipd: nobody reads stdout; it is counted, its key is {key}\n"
    )


def test_a_daemon_that_cannot_count_until_the_end_is_a_refusal(
    daemon: FakeDaemon, call: Call
) -> None:
    daemon.refuses(503, detail="the disk is full")
    result = call("increment", "--timeout", "0.3")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[1].startswith("gossipd: the disk is full; ")


def test_a_key_is_named_as_a_shell_reads_it(daemon: FakeDaemon, call: Call) -> None:
    daemon.refuses(503, detail="gone")
    result = call("increment", "--timeout", "0", "--key", "order 1")
    assert result.stderr.endswith(" repeat it with --key 'order 1'\n")


def test_acks_are_asked_for_with_a_time_to_wait(daemon: FakeDaemon, call: Call) -> None:
    assert call("increment", "--ack", "2", "--timeout", "10s").stdout == "7\n"
    assert call("increment", "--ack", "3", "--ack-memory", "--timeout", "5m").exit_code == 0
    (_, _, first), (_, _, second) = daemon.requests
    assert (first["ack"], "ack_memory" in first) == (2, False)
    assert 8000 <= int(first["timeout"].removesuffix("ms")) <= 9000
    assert (second["ack"], second["ack_memory"], second["timeout"]) == (3, True, "60000ms")


def test_too_few_acks_exit_1_although_it_is_counted(daemon: FakeDaemon, call: Call) -> None:
    daemon.answers({"count": 7, "acks": 1}, status=202)
    result = call("increment", "--ack", "2")
    assert (result.exit_code, result.stdout) == (1, "7\n")
    (key,) = keys_of(daemon)
    assert result.stderr == (
        f"gossipd: it is counted, but 1 of 2 nodes hold it so far; its key is {key}\n"
    )


def test_where_too_few_hold_it_the_next_daemon_may_know_more(daemon: FakeDaemon) -> None:
    with fake_daemon() as alone:
        alone.answers({"count": 7, "acks": 1}, status=202)
        apis = ("--api", alone.address, "--api", daemon.address)
        result = CliRunner().invoke(gossipd, ["increment", "--ack", "2", *apis])
        assert (result.exit_code, result.stdout, result.stderr) == (0, "7\n", "")
        assert keys_of(alone) == keys_of(daemon)
        daemon.answers({"count": 7, "acks": 1}, status=202)
        few = ["increment", "--ack", "2", "--timeout", "0.5s", *apis]
        result = CliRunner().invoke(gossipd, few)
        assert (result.exit_code, result.stdout) == (1, "7\n")
        assert "it is counted, but 1 of 2 nodes hold it so far" in result.stderr


def test_count_prints_the_count(daemon: FakeDaemon, call: Call) -> None:
    daemon.answers({"counter": "visits", "count": 42})
    assert call("count", "visits").stdout == "42\n"
    assert daemon.requests == [("GET", "/count?counter=visits", None)]


def test_count_can_wait_for_an_increment(daemon: FakeDaemon, call: Call) -> None:
    assert call("count", "--after", ID.upper(), "--timeout", "1.5").stdout == "7\n"
    assert call("count", "a", "--after", ID).exit_code == 0
    (_, first, _), (_, second, _) = daemon.requests
    asked, _, timeout = first.partition("&timeout=")
    assert asked == f"/count?counter=default&after={ID}"
    assert 1000 < int(timeout.removesuffix("ms")) <= 1200
    assert 8000 < int(second.partition("&timeout=")[2].removesuffix("ms")) <= 9000


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


def test_an_increment_that_has_not_come_to_one_node_may_have_come_to_the_next(
    daemon: FakeDaemon,
) -> None:
    with fake_daemon() as behind:
        behind.refuses(504, detail="not here", counter="visits", count=41)
        apis = ("--api", behind.address, "--api", daemon.address)
        result = CliRunner().invoke(gossipd, ["count", "visits", "--after", ID, *apis])
        assert (result.exit_code, result.stdout, result.stderr) == (0, "7\n", "")


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
        ("increment", "a", "b"), ("increment", "--key", ""), ("increment", "--key", "x" * 256),
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
    daemon.answers({"forgotten": "c"}, status=202)
    assert CliRunner().invoke(gossipd, ["forget", "c", *several]).exit_code == 0


def test_a_change_without_an_answer_may_have_been_done(daemon: FakeDaemon, call: Call) -> None:
    daemon.hanging_up = 1
    result = call("leave")
    assert result.exit_code == 3
    assert result.stderr.endswith("; it may have been done all the same\n")
