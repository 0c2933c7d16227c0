"""`gossipd increment --batch`: many lines, each counted once or told why not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from gossipd.cli import gossipd
from gossipd.cli.asking import Daemons, Patience
from gossipd.cli.batch import ITEMS_MAX, LINE_SIZE_MAX, SIZE_MAX, Batch
from gossipd.client import Answer, Client, RefusedError
from gossipd.endpoint import Endpoint
from tests.unit.fake_daemon import FakeDaemon, fake_daemon

Call = Callable[..., Result]

KEY = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
COUNTED = {"count": 1}
FULL = {"status": 503, "detail": "full"}


class Counting(Daemons):
    """A daemon that counts what a script lets it, and keeps the requests."""

    def __init__(self, *script: list[dict[str, Any]]) -> None:
        super().__init__((Endpoint("127.0.0.1", 1),), 1)
        self.requests: list[bytes] = []
        self._script = list(script)

    @property
    def items(self) -> list[list[dict[str, Any]]]:
        return [[json.loads(line) for line in sent.splitlines()] for sent in self.requests]

    def ask(
        self,
        ask: Callable[[Client], Answer],
        left: Callable[[], float] | None = None,  # noqa: ARG002  # it answers at once
    ) -> Answer:
        return ask(self)  # type: ignore[arg-type]  # all that is asked of it stands below

    def post_lines(self, path: str, lines: bytes) -> Answer:
        assert path == "/increments"
        self.requests.append(lines)
        count = len(lines.splitlines())
        outcomes = self._script.pop(0) if self._script else [COUNTED] * count
        return Answer(json.dumps(outcomes), outcomes)


def batch(daemons: Daemons, within: float = 5) -> tuple[Batch, list[str]]:
    said: list[str] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    return Batch(daemons, Patience(within, said.append, lambda: now[0], sleep), said.append), said


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
    sent.send(
        [b'{"by": 2}\n', b"\n", b'{"counter":"\xc3\xbc", "key":"%b"}\r\n' % KEY.encode(), b"{}"]
    )
    ((first, second, third),) = daemons.items
    assert (first["by"], second) == (2, {"counter": "ü", "key": KEY})
    assert UUID(first["key"]).version == UUID(third["key"]).version == 7
    assert first["key"] != third["key"]
    assert (sent.counted, sent.failed, said) == (3, 0, [])


def test_a_line_that_has_its_key_travels_as_it_is() -> None:
    daemons = Counting()
    line = b'{"key": "%b",  "by": 1e3, "by": 2}' % KEY.encode()
    batch(daemons)[0].send([line])
    assert daemons.requests == [line]


def test_a_line_that_gives_a_field_twice_travels_as_it_is_to_be_refused() -> None:
    daemons = Counting()
    line = b'{"by": 1, "by": 5}'
    batch(daemons)[0].send([line])
    assert daemons.requests == [line]


def test_a_line_that_is_refused_costs_itself_alone() -> None:
    daemons = Counting([COUNTED, {"status": 400, "detail": "by must not be 0"}, COUNTED])
    sent, said = batch(daemons)
    sent.send([b"{}", b'{"by": 0}', b"{}"])
    assert (sent.counted, sent.failed) == (2, 1)
    assert said == ["line 2: by must not be 0"]


@pytest.mark.parametrize(
    "line", [b"{", b"1", b"[]", b"\xff", b'{"by": NaN}', b'{"counter": "\\ud800"}', b"[" * 4000]
)
def test_a_line_that_is_no_object_is_told_and_not_sent(line: bytes) -> None:
    daemons = Counting()
    sent, said = batch(daemons)
    sent.send([line, b"{}"])
    sent.send([line])
    assert [len(items) for items in daemons.items] == [1]
    assert (sent.counted, sent.failed) == (1, 2)
    assert said == ["line 1: expected a JSON object in UTF-8"] * 2


def test_lines_that_cannot_be_counted_now_are_sent_again_under_their_keys() -> None:
    daemons = Counting([COUNTED, FULL, COUNTED, FULL], [FULL, COUNTED])
    sent, said = batch(daemons)
    sent.send([b"{}"] * 4)
    first, second, third = daemons.items
    assert second == [first[1], first[3]]
    assert third == [first[1]]
    assert (sent.counted, sent.failed) == (4, 0)
    assert said == ["full; trying again for 5 s"]


def test_it_stops_where_the_time_is_over_and_tells_what_is_not_certain() -> None:
    daemons = Counting([COUNTED, FULL, COUNTED], *[[FULL]] * 1000)
    sent, _ = batch(daemons)
    with pytest.raises(RefusedError) as refusal:
        sent.send([b"{}"] * 3)
    told = str(refusal.value)
    assert told.startswith("stopped at line 2: full; ")
    assert told.endswith(
        "; some from there to line 3 may have been counted all the same; "
        "only lines with keys of their own can be repeated safely"
    )
    assert sent.counted == 2


def test_a_request_has_a_limit_of_lines_and_of_bytes() -> None:
    daemons = Counting()
    sent, _ = batch(daemons)
    sent.send([b"{}"] * (ITEMS_MAX + 1))
    assert [len(items) for items in daemons.items] == [ITEMS_MAX, 1]
    daemons.requests.clear()
    line = json.dumps({"counter": "x" * (LINE_SIZE_MAX - 15)}).encode()
    assert len(line) == LINE_SIZE_MAX
    sent.send([line] * 2000)
    sizes = [len(request) for request in daemons.requests]
    assert len(sizes) == 2
    assert 0.99 * SIZE_MAX < sizes[0] <= SIZE_MAX
    assert sent.counted == ITEMS_MAX + 1 + 2000


def test_a_line_that_is_too_long_is_told_and_not_sent() -> None:
    daemons = Counting()
    sent, said = batch(daemons)
    sent.send([b'{"counter":"%b"}' % (b"x" * LINE_SIZE_MAX), b"{}"])
    assert (sent.counted, sent.failed) == (1, 1)
    assert said == ["line 1: longer than 4096 bytes"]


def test_an_answer_for_another_number_of_lines_is_a_refusal() -> None:
    sent, _ = batch(Counting([COUNTED]))
    with pytest.raises(RefusedError, match="1 answers to 2 lines"):
        sent.send([b"{}", b"{}"])


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
    daemon.answers([COUNTED, {"status": 409, "detail": "too large"}])
    result = call("--batch", "-", input="{}\n{}\n")
    assert (result.exit_code, result.stdout) == (1, "1\n")
    assert result.stderr == "gossipd: line 2: too large\ngossipd: failed lines: 1\n"


def test_what_was_counted_is_told_also_where_it_stops(daemon: FakeDaemon, call: Call) -> None:
    daemon.refuses(413, detail="too much")
    result = call("--batch", "-", input="{}\n")
    assert (result.exit_code, result.stdout) == (1, "0\n")
    assert result.stderr == "gossipd: stopped at line 1: too much\n"


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
