"""`gossipd increment --batch`: many lines, each counted once or told why not."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from gossipd.cli import gossipd
from gossipd.cli.daemons import NOTHING_DONE, Daemons, Patience, T
from gossipd.cli.increment_batch import Batch
from gossipd.cli.line_reader import Lines
from gossipd.client import (
    Answer,
    AskingError,
    Client,
    NoAnswerError,
    RefusedError,
)
from gossipd.config.bounds import BATCH_SIZE_MAX, ITEM_SIZE_MAX, ITEMS_MAX
from gossipd.config.endpoint import Endpoint
from tests.e2e.node import until
from tests.unit.cli.fake_daemon import FakeDaemon, fake_daemon

Call = Callable[..., Result]

KEY = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
COUNTED = {"id": "i", "counter": "default", "by": 1, "count": 1, "duplicate": False}


def refused(status: int, detail: str) -> dict[str, Any]:
    return {"title": "T", "status": status, "detail": detail}


FULL = refused(503, "full")


class Counting(Daemons):
    """A daemon that counts what a script lets it, and keeps the requests."""

    def __init__(self, *script: list[dict[str, Any]] | AskingError) -> None:
        super().__init__((Endpoint("127.0.0.1", 1),), 1)
        self.requests: list[bytes] = []
        self.api = self.addresses[0]
        self.retry_after = 0.0
        self.ahead = 0.0
        self._script = list(script)

    @property
    def items(self) -> list[list[dict[str, Any]]]:
        return [[json.loads(line) for line in sent.splitlines()] for sent in self.requests]

    def ask(
        self,
        ask: Callable[[Client], T],
        left: Callable[[], float] | None = None,  # noqa: ARG002  # it answers at once
    ) -> T:
        return ask(self)  # type: ignore[arg-type]  # all that is asked of it stands below

    def post_lines(self, path: str, lines: bytes) -> Answer:
        assert path == "/increments"
        self.requests.append(lines)
        count = len(lines.splitlines())
        outcomes = self._script.pop(0) if self._script else [COUNTED] * count
        if isinstance(outcomes, AskingError):
            raise outcomes
        date = formatdate(time.time() + self.ahead, usegmt=True)
        return Answer("", outcomes, 200, True, date, self.retry_after)


def given(*lines: bytes) -> Lines:
    return Lines(io.BytesIO(b"\n".join(lines)))


def in_doubt() -> AskingError:
    return NoAnswerError("hung up", passing=True, doubtful=True)


def batch(
    daemons: Daemons, within: float = 5, keyed: bool = True, held_back: float = 0
) -> tuple[Batch, list[str]]:
    said: list[str] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    patience = Patience(within, said.append, lambda: now[0], sleep, held_back)
    return Batch(daemons, patience, said.append, keyed, lambda: now[0]), said


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with fake_daemon() as fake:
        yield fake


@pytest.fixture
def call(daemon: FakeDaemon) -> Call:
    return lambda *args, **more: CliRunner().invoke(
        gossipd, ["increment", *args], env={"GOSSIPD_API": daemon.address}, **more
    )


def test_every_line_without_a_key_is_given_one_of_its_own() -> None:
    daemons = Counting()
    sent, said = batch(daemons)
    named = b'{"counter":"\xc3\xbc", "key":"%b"}\r' % KEY.encode()
    sent.send(given(b'{"by": 2}', b"", named, b"{}"))
    ((first, second, third),) = daemons.items
    assert (first["by"], second) == (2, {"counter": "ü", "key": KEY})
    assert UUID(first["key"]).version == UUID(third["key"]).version == 7
    assert first["key"] != third["key"]
    assert (sent.counted, sent.failed, said) == (3, 0, [])


def test_a_line_that_has_its_key_travels_as_it_is() -> None:
    daemons = Counting()
    line = b'{"key": "%b",  "by": 1e3, "by": 2}' % KEY.encode()
    batch(daemons)[0].send(given(line))
    assert daemons.requests == [line]


def test_a_line_that_gives_a_field_twice_travels_as_it_is_to_be_refused() -> None:
    daemons = Counting()
    line = b'{"by": 1, "by": 5}'
    batch(daemons)[0].send(given(line))
    assert daemons.requests == [line]


def test_a_line_that_is_refused_costs_itself_alone() -> None:
    daemons = Counting([COUNTED, refused(400, "by must not be 0"), COUNTED])
    sent, said = batch(daemons)
    sent.send(given(b"{}", b'{"by": 0}', b"{}"))
    assert (sent.counted, sent.failed) == (2, 1)
    assert said == ["line 2: by must not be 0"]


@pytest.mark.parametrize(
    "line", [b"{", b"1", b"[]", b"\xff", b'{"by": NaN}', b'{"counter": "\\ud800"}', b"[" * 4000]
)
def test_a_line_that_is_no_object_is_told_and_not_sent(line: bytes) -> None:
    daemons = Counting()
    sent, said = batch(daemons)
    sent.send(given(line, b"{}"))
    sent.send(given(line))
    assert [len(items) for items in daemons.items] == [1]
    assert (sent.counted, sent.failed) == (1, 2)
    assert said == [f"line {number}: expected a JSON object in UTF-8" for number in (1, 3)]


def test_lines_that_cannot_be_counted_now_are_sent_again_under_their_keys() -> None:
    daemons = Counting([COUNTED, FULL, COUNTED, FULL], [FULL, COUNTED])
    sent, said = batch(daemons)
    sent.send(given(*[b"{}"] * 4))
    first, second, third = daemons.items
    assert second == [first[1], first[3]]
    assert third == [first[1]]
    assert (sent.counted, sent.failed) == (4, 0)
    assert said == ["full; trying again for 5 s"]


def test_where_it_stops_behind_all_that_is_counted_that_is_certain() -> None:
    not_now = refused(503, "not counted: full")
    sent, _ = batch(Counting([COUNTED, not_now, not_now], *[[not_now, not_now]] * 1000))
    with pytest.raises(RefusedError, match=r"line 1 is the last .*, nothing behind it was"):
        sent.send(given(*[b"{}"] * 3))


def test_it_stops_where_the_time_is_over_and_tells_what_is_not_certain() -> None:
    daemons = Counting([COUNTED, FULL, COUNTED], *[[FULL]] * 1000)
    sent, _ = batch(daemons)
    with pytest.raises(RefusedError) as refusal:
        sent.send(given(*[b"{}"] * 3))
    told = str(refusal.value)
    assert told.startswith("full; ")
    assert told.endswith(
        "; line 1 is the last that is certain, some up to line 3 may have been counted; "
        "only lines with keys of their own can be repeated safely"
    )
    assert sent.counted == 2


def test_a_request_has_a_limit_of_lines_and_of_bytes() -> None:
    daemons = Counting()
    sent, _ = batch(daemons)
    sent.send(given(*[b"{}"] * (ITEMS_MAX + 1)))
    assert [len(items) for items in daemons.items] == [ITEMS_MAX, 1]
    daemons.requests.clear()
    line = json.dumps({"counter": "x" * (ITEM_SIZE_MAX - 15)}).encode()
    assert len(line) == ITEM_SIZE_MAX
    sent.send(given(*[line] * 2000))
    sizes = [len(request) for request in daemons.requests]
    assert len(sizes) == 2
    assert 0.99 * BATCH_SIZE_MAX < sizes[0] <= BATCH_SIZE_MAX
    assert sent.counted == ITEMS_MAX + 1 + 2000


def test_a_line_that_is_too_long_is_told_and_not_sent() -> None:
    daemons = Counting()
    sent, said = batch(daemons)
    sent.send(given(b'{"counter":"%b"}' % (b"x" * ITEM_SIZE_MAX), b"{}"))
    assert (sent.counted, sent.failed) == (1, 1)
    assert said == ["line 1: longer than 4096 bytes"]


def test_an_answer_for_another_number_of_lines_is_a_refusal() -> None:
    sent, _ = batch(Counting(*[[COUNTED]] * 1000))
    with pytest.raises(RefusedError, match="is to 1 lines, not 2; is this another version"):
        sent.send(given(b"{}", b"{}"))


def test_what_a_daemon_holds_back_is_waited_for_and_gone_on_with() -> None:
    later = refused(503, "not counted: too many keys") | {"retry_after": 50}
    expired = refused(422, "expired: the key is 900 s old")
    daemons = Counting(*[[later, later]] * 3, [COUNTED, later], [expired])
    sent, said = batch(daemons, held_back=900)
    sent.send(given(b"{}", b"{}"))
    assert (sent.counted, len(daemons.requests)) == (2, 6)
    assert said == ["not counted: too many keys; waiting as it asks"]


def test_a_line_that_asks_a_wrong_clock_gets_a_key_of_the_daemons_time() -> None:
    expired = refused(422, "expired: the key is 900 s old")
    daemons = Counting([expired, COUNTED, expired])
    daemons.ahead = 900
    sent, said = batch(daemons)
    sent.send(given(b"{}", b'{"key": "%b"}' % KEY.encode(), b"{}"))
    assert (sent.counted, sent.failed) == (3, 0)
    assert said == ["this host's clock is 15 min behind that of 127.0.0.1:1; the daemon's is used"]
    _, again = daemons.items
    assert [round(key_time(item) - time.time(), -2) for item in again] == [900, 900]
    sent.send(given(b"{}"))
    assert round(key_time(daemons.items[-1][0]) - time.time(), -2) == 900


def key_time(item: dict[str, Any]) -> float:
    return (UUID(item["key"]).int >> 80) / 1000


def test_a_key_of_the_users_is_never_exchanged() -> None:
    daemons = Counting([refused(422, "expired: the key is 900 s old")])
    daemons.ahead = 900
    sent, said = batch(daemons)
    sent.send(given(b'{"key": "%b"}' % KEY.encode()))
    assert (sent.failed, said) == (1, ["line 1: expired: the key is 900 s old"])


@pytest.mark.parametrize("script", [[in_doubt()], [[FULL]]])
def test_a_key_under_which_a_line_may_have_been_counted_is_never_exchanged(
    script: list[Any],
) -> None:
    daemons = Counting(*script, [refused(422, "expired: the key is 900 s old")])
    daemons.ahead = 900
    sent, said = batch(daemons)
    sent.send(given(b"{}"))
    assert (sent.counted, sent.failed) == (0, 1)
    wrong = "not counted: this host's clock is 15 min behind that of 127.0.0.1:1"
    assert said[-1] == f"line 1: {wrong}; {NOTHING_DONE}"


def test_a_daemon_that_refuses_its_own_time_is_not_asked_for_ever() -> None:
    daemons = Counting(*[[refused(422, "expired: the key is 0 s old")]] * 9)
    sent, said = batch(daemons)
    sent.send(given(b"{}"))
    assert (sent.failed, len(daemons.requests)) == (1, 2)
    assert said == [
        "line 1: not counted: 127.0.0.1:1 refuses what is dated now, though its clock is "
        "this host's"
    ]


def test_lines_without_keys_are_sent_as_they_are() -> None:
    daemons = Counting([COUNTED, refused(400, "no object")])
    sent, said = batch(daemons, keyed=False)
    sent.send(given(b'{"by": 2}', b"[]"))
    assert daemons.requests == [b'{"by": 2}\n[]']
    assert (sent.counted, said) == (1, ["line 2: no object"])


@pytest.mark.parametrize("script", [[in_doubt()], [[COUNTED, FULL]]])
def test_lines_without_keys_are_not_sent_again_where_they_may_have_been_counted(
    script: list[Any],
) -> None:
    daemons = Counting(*script)
    sent, _ = batch(daemons, keyed=False)
    with pytest.raises(AskingError, match=r"some up to line 2 may have been counted"):
        sent.send(given(b"{}", b"{}"))
    assert len(daemons.requests) == 1


def test_lines_without_keys_are_sent_again_where_nothing_was_done() -> None:
    refused_connection = NoAnswerError("refused", passing=True)
    daemons = Counting(refused_connection, [COUNTED, refused(429, "slowly")], [COUNTED])
    sent, _ = batch(daemons, keyed=False)
    sent.send(given(b"{}", b"{}"))
    assert sent.counted == 2


def test_what_is_certain_is_told_at_any_moment() -> None:
    sent, _ = batch(Counting(NoAnswerError("refused", passing=True)), within=0)
    assert sent.certain() == "nothing was counted"
    with pytest.raises(NoAnswerError, match=r"^refused; nothing was counted$"):
        sent.send(given(b"{}"))
    sent, _ = batch(Counting([COUNTED] * ITEMS_MAX, NoAnswerError("no", passing=True)), within=0)
    with pytest.raises(
        NoAnswerError, match=r"^no; line 10000 is the last that is certain, nothing"
    ):
        sent.send(given(*[b"{}"] * (ITEMS_MAX + 1)))
    sent, _ = batch(Counting(in_doubt()), within=0)
    with pytest.raises(NoAnswerError, match=r"no line is certain, some up to line 2 may have"):
        sent.send(given(b"{}", b"{}"))


def test_a_file_is_counted(daemon: FakeDaemon, call: Call, tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_bytes(b'{"by":1}\n{"by":2}\n')
    daemon.answers([COUNTED, COUNTED])
    daemon.hanging_up = 1
    result = call("--batch", str(file))
    assert (result.exit_code, result.stdout) == (0, "2\n")
    (_, path, first), (_, _, second) = daemon.requests
    assert (path, first) == ("/increments", second)


def test_stdin_is_counted_and_failed_lines_exit_1(daemon: FakeDaemon, call: Call) -> None:
    daemon.answers([COUNTED, refused(409, "too large")])
    result = call("--batch", "-", input="{}\n{}\n")
    assert (result.exit_code, result.stdout) == (1, "1\n")
    assert result.stderr == "gossipd: line 2: too large\ngossipd: failed lines: 1\n"


def test_what_was_counted_is_told_also_where_it_stops(daemon: FakeDaemon, call: Call) -> None:
    daemon.refuses(413, detail="too much")
    result = call("--batch", "-", input="{}\n")
    assert (result.exit_code, result.stdout) == (1, "0\n")
    assert result.stderr == "gossipd: too much; nothing was counted\n"


def test_what_is_certain_is_told_beside_the_wish_for_a_token(
    daemon: FakeDaemon, call: Call
) -> None:
    daemon.refuses(401)
    result = call("--batch", "-", input="{}\n")
    assert (result.exit_code, result.stdout) == (1, "0\n")
    assert result.stderr.endswith("or GOSSIPD_TOKEN_FILE; nothing was counted\n")


@pytest.mark.parametrize(
    "args", [("c",), ("--by", "2"), ("--key", KEY), ("--ack", "1"), ("--ack-memory",), ("--json",)]
)
def test_what_the_lines_say_is_not_said_beside_them(
    daemon: FakeDaemon, call: Call, args: tuple[str, ...]
) -> None:
    result = call("--batch", "-", *args, input="{}\n")
    assert (result.exit_code, daemon.requests) == (2, [])


def test_a_file_that_is_not_there_is_a_usage_error(daemon: FakeDaemon, call: Call) -> None:
    assert call("--batch", "/nonexistent/lines").exit_code == 2
    assert daemon.requests == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_input_in_another_encoding_is_one_answer_and_nothing_is_sent(
    daemon: FakeDaemon, call: Call, encoding: str
) -> None:
    result = call("--batch", "-", input='{"by": 1}\n{}\n'.encode(encoding))
    assert (result.exit_code, result.stdout, daemon.requests) == (1, "0\n", [])
    (line,) = result.stderr.splitlines()
    assert "expected UTF-8, not UTF-16; iconv -f UTF-16 converts it; nothing was counted" in line


def test_a_mark_before_utf8_is_no_part_of_the_first_line(daemon: FakeDaemon, call: Call) -> None:
    daemon.answers([COUNTED])
    assert call("--batch", "-", input=b'\xef\xbb\xbf{"by": 1}\n').stdout == "1\n"
    ((_, _, (sent,)),) = daemon.requests
    assert sent["by"] == 1


def test_only_a_batch_goes_without_keys(daemon: FakeDaemon, call: Call) -> None:
    assert call("--no-keys").exit_code == 2
    daemon.answers([COUNTED])
    assert call("--batch", "-", "--no-keys", input="{}\n").stdout == "1\n"
    assert daemon.requests == [("POST", "/increments", [{}])]


@pytest.fixture
def running(daemon: FakeDaemon) -> Iterator[subprocess.Popen[bytes]]:
    """The command with its input still open."""
    command = (sys.executable, "-m", "gossipd", "increment", "--batch", "-")
    with subprocess.Popen(
        command,
        env={**os.environ, "GOSSIPD_API": daemon.address},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        yield process
        process.kill()


def fed(process: subprocess.Popen[bytes], data: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(data)
    process.stdin.flush()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_line_of_a_pipe_is_sent_soon_and_an_interrupt_tells_what_is_certain(
    daemon: FakeDaemon, running: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    daemon.answers([COUNTED])
    fed(running, b"{}\n")
    until(lambda: len(daemon.requests) == 1, 20, "it is sent though the input goes on")
    fed(running, b"\n{}\n")
    until(lambda: len(daemon.requests) == 2, 20, "the next one, too")
    daemon.hanging = True
    fed(running, b"{}\n")
    until(lambda: len(daemon.requests) == 3, 20, "the last one is on its way")
    running.send_signal(number)
    said, told = running.communicate(timeout=20)
    assert (running.returncode, said) == (128 + number, b"2\n")
    assert told.decode() == (
        "gossipd: interrupted; line 3 is the last that is certain, some up to line 4 may have "
        "been counted; only lines with keys of their own can be repeated safely\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_tells_what_is_certain_also_where_nobody_reads_what_is_printed(
    daemon: FakeDaemon, running: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    daemon.answers([COUNTED])
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.close()
    fed(running, b"{}\n")
    until(lambda: len(daemon.requests) == 1, 20, "it is sent")
    daemon.hanging = True
    fed(running, b"{}\n")
    until(lambda: len(daemon.requests) == 2, 20, "the last one is on its way")
    running.send_signal(number)
    told = running.stderr.read().decode().splitlines()
    assert running.wait(timeout=20) == 128 + number
    assert told == [
        "gossipd: nobody reads stdout; counted lines: 1",
        "gossipd: interrupted; line 1 is the last that is certain, some up to line 2 may have been"
        " counted; only lines with keys of their own can be repeated safely",
    ]


def printing_nowhere(stdout: int, api: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        (sys.executable, "-m", "gossipd", "increment", "--batch", "-", "--timeout", "0"),
        env={**os.environ, "GOSSIPD_API": api},
        input=b"{}\n",
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )


@pytest.fixture(params=["cannot write: No space left on device", "nobody reads stdout"])
def nowhere(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """Why nothing can be printed, and what takes nothing."""
    if request.param == "nobody reads stdout":
        reading, writing = os.pipe()
        os.close(reading)
    elif Path("/dev/full").exists():
        writing = os.open("/dev/full", os.O_WRONLY)
    else:
        pytest.skip("no /dev/full")
    yield request.param, writing
    os.close(writing)


def test_where_only_the_output_fails_that_is_told_with_what_is_certain(
    daemon: FakeDaemon, nowhere: tuple[str, int]
) -> None:
    why, stdout = nowhere
    daemon.answers([COUNTED])
    result = printing_nowhere(stdout, daemon.address)
    assert result.returncode == (141 if why == "nobody reads stdout" else 1)
    assert result.stderr.decode() == (
        f"gossipd: {why}; counted lines: 1; line 1 is the last that is certain, nothing behind it"
        " was counted\n"
    )


def test_an_output_that_fails_does_not_hide_why_the_rest_did(
    daemon: FakeDaemon, nowhere: tuple[str, int]
) -> None:
    why, stdout = nowhere
    daemon.answers([refused(413, "too large")])
    result = printing_nowhere(stdout, daemon.address)
    lost = f"gossipd: {why}; counted lines: 0"
    told = ["gossipd: line 1: too large", lost, "gossipd: failed lines: 1"]
    assert (result.returncode, result.stderr.decode().splitlines()) == (1, told)

    daemon.hanging_up = 1
    result = printing_nowhere(stdout, daemon.address)
    assert result.returncode == 3
    first, last = result.stderr.decode().splitlines()
    assert first == lost
    assert "no line is certain, some up to line 1 may have been counted; " in last
