"""`gossipd watch`, `members --watch` and `on-event`: what they make of what they are told."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gossipd.cli import gossipd
from gossipd.cli.following import BEGINS, Members
from gossipd.client.stream import Event
from tests.e2e.node import until
from tests.unit.cli.teller import HEAD, WAITS, refusal, row, teller, told

ENOUGH = [refusal(400, "enough")]
"""The end of a test: else a command comes back for ever."""

GOSSIPD = (sys.executable, "-m", "gossipd")

PRESENT = told("present", {"members": 2})
INCREMENT = {"id": "i", "counter": "a\x1b", "by": 2, "count": 5, "origin": "o", "at": 0}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipd.cli.following.PAUSE_MIN", 0.01)


def call(
    command: str, *replies: list[bytes], rest: tuple[str, ...] = ()
) -> tuple[Result, list[str]]:
    with teller(*replies, ENOUGH) as made:
        name, *options = command.split()
        args = [name, "--api", made.address, *options, *rest]
        result = CliRunner().invoke(gossipd, args)
    assert result.exit_code == 1, result
    assert result.stderr.endswith("gossipd: enough\n")
    return result, made.heads


def test_watch_prints_lines_and_goes_on_where_it_was() -> None:
    result, heads = call(
        "watch --counter a --members",
        [
            *(HEAD, told("member", row("n1", "alive")), PRESENT, told("counts", {"a": 3}, 7)),
            *(told("increment", INCREMENT, 8), told("end", {"reason": "it stops"})),
        ],
        [HEAD, told("member", {"name": "n1", "state": "forgotten"})],
    )
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert [line[1:] for line in lines] == [
        ["member", "n1", "alive", "127.0.0.1:1", "-"],
        ["count", "a", "3"],
        ["increment", "a\\x1b", "2", "5", "i"],
        ["member", "n1", "forgotten", "-", "-"],
    ]
    assert "the node says: it stops\n" in result.stderr
    assert result.stderr.count("closed the connection; coming back when somebody answers") == 2
    assert heads[0].startswith("GET /events?counter=a&members=true HTTP/1.1")
    assert ["Last-Event-ID: x-8" in head for head in heads] == [False, True, True]


@pytest.mark.parametrize("form", ["", "--json"])
def test_watch_tells_which_members_went_while_it_was_away(form: str) -> None:
    listed = [told("member", row(name, "alive")) for name in ("n1", "n2")]
    result, _ = call(
        f"watch --members {form}", [HEAD, *listed, PRESENT], [HEAD, listed[0], PRESENT]
    )
    lines = [line for line in result.stdout.splitlines() if "n2" in line]
    assert len(lines) == 2
    assert "forgotten" in lines[1]
    if form:
        gone = {"name": "n2", "state": "forgotten"}
        assert json.loads(lines[1]) == {"event": "member", "data": gone}


def test_watch_prints_json() -> None:
    result, heads = call("watch --json", [HEAD, told("counts", {"ä": 3}), PRESENT])
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"event": "counts", "data": {"ä": 3}},
        {"event": "present", "data": {"members": 2}},
    ]
    assert heads[0].startswith("GET /events HTTP/1.1")


@pytest.mark.parametrize(
    "event",
    [
        told("member", {"name": "n1"}),
        told("member", row("n1", "alive", tags=7)),
        told("counts", {"a": "many"}),
        told("increment", {**INCREMENT, "by": None}),
        told("end", {}),
    ],
)
def test_what_is_no_event_of_gossipd_is_told(event: bytes) -> None:
    with teller([HEAD, event]) as made:
        result = CliRunner().invoke(gossipd, ["watch", "--api", made.address])
    assert result.exit_code == 1
    assert "is this another version of gossipd?" in result.stderr


def test_who_finds_nobody_at_first_says_so() -> None:
    result = CliRunner().invoke(gossipd, ["watch", "--api", "127.0.0.1:1"])
    assert result.exit_code == 3


def test_members_are_printed_as_they_change() -> None:
    result, _ = call(
        "members --watch",
        [HEAD, told("member", row("n1", "alive")), told("member", row("n2", "alive")), PRESENT],
        [HEAD, told("member", row("n1", "failed", why="n3 says so")), PRESENT],
    )
    assert [line.split("\t")[:3] for line in result.stdout.splitlines()] == [
        ["n1", "127.0.0.1:1", "alive"],
        ["n2", "127.0.0.1:1", "alive"],
        ["n1", "127.0.0.1:1", "failed"],
        ["n2", "127.0.0.1:1", "forgotten"],
    ]


def test_members_are_printed_as_json_as_they_change() -> None:
    result, _ = call("members --watch --json", [HEAD, told("member", row("n1", "left")), PRESENT])
    assert json.loads(result.stdout) == row("n1", "left")


def test_all_members_are_watched_or_none() -> None:
    result = CliRunner().invoke(gossipd, ["members", "--watch", "--prefix", "x"])
    assert result.exit_code == 2


# --- what a change is ------------------------------------------------------------------------


def changes(known: Members, *events: Event) -> Iterator[tuple[str, str, str, bool]]:
    for event in events:
        for change in known.take(event):
            yield change.row["name"], change.kind, change.before, change.first


def test_a_change_is_what_others_act_on() -> None:
    known, n1 = Members(), row("n1", "alive")
    listed = Event("present", {"members": 1})
    assert list(changes(known, BEGINS, Event("member", n1), listed)) == [("n1", "alive", "", True)]
    for same in (n1, {**n1, "since": 5, "incarnation": 9, "why": "x"}):
        assert list(changes(known, Event("member", same))) == []
    for new, kind, before in (
        ({**n1, "tags": {"a": "b"}}, "update", "alive"),
        ({**n1, "generation": 2}, "update", "alive"),
        ({**n1, "state": "suspect"}, "suspect", "alive"),
        ({**n1, "state": "failed"}, "failed", "suspect"),
        ({"name": "n1", "state": "forgotten"}, "forgotten", "failed"),
    ):
        assert list(changes(known, Event("member", new))) == [("n1", kind, before, False)]
    assert list(changes(known, Event("member", {"name": "n1", "state": "forgotten"}))) == []
    assert list(changes(known, Event("counts", {}), BEGINS, listed)) == []


def test_what_was_missed_is_what_differs_when_it_comes_back() -> None:
    known, listed = Members(), Event("present", {"members": 2})
    n1, n2 = row("n1", "alive"), row("n2", "alive")
    first = [BEGINS, Event("member", n1), Event("member", n2), listed]
    list(changes(known, *first, Event("member", row("n2", "suspect"))))
    again = [BEGINS, Event("member", n1), listed]
    assert list(changes(known, *again)) == [("n2", "forgotten", "suspect", False)]


def test_a_daemon_that_has_just_started_forgets_nobody_whom_it_does_not_know_yet() -> None:
    known, early = Members(), Event("present", {"members": 1, "ready": False})
    n1, n2, n3 = (row(name, "alive") for name in ("n1", "n2", "n3"))
    first = [BEGINS, *(Event("member", each) for each in (n1, n2, n3))]
    list(changes(known, *first, Event("present", {"members": 3, "ready": True})))
    assert list(changes(known, BEGINS, Event("member", n1), early)) == []
    assert list(changes(known, Event("member", n2))) == []
    ready = Event("ready", {"ready": True})
    assert list(changes(known, ready)) == [("n3", "forgotten", "alive", False)]


# --- on-event --------------------------------------------------------------------------------

HANDLER = """
import json, os, sys
row = json.load(sys.stdin)
told = {name[8:]: text for name, text in os.environ.items() if name.startswith("GOSSIPD_")}
with open(sys.argv[1], "a") as file:
    file.write(json.dumps([row, told]) + "\\n")
sys.exit(row["name"] == "n2")
"""


def test_a_handler_is_run_for_each_change_in_order(tmp_path: Path) -> None:
    found, handler = tmp_path / "found", tmp_path / "handler.py"
    handler.write_text(HANDLER)
    n2 = row("n2", "failed", tags={"rack-no": "7"})
    result, heads = call(
        "on-event",
        [
            *(
                HEAD,
                told("member", row("n1", "alive")),
                told("member", row("n2", "alive")),
                PRESENT,
            ),
            *(told("member", n2), told("member", {"name": "n2", "state": "forgotten"})),
            told("member", row("n3", "alive", self=True)),
        ],
        rest=("--", sys.executable, str(handler), str(found)),
    )
    rows, variables = zip(*map(json.loads, found.read_text().splitlines()), strict=True)
    assert rows[0] == n2
    assert variables[0].pop("API").startswith("127.0.0.1:")
    assert variables[0] == {
        "EVENT": "member-failed",
        "MEMBER_NAME": "n2",
        "MEMBER_ADDRESS": "127.0.0.1:1",
        "MEMBER_STATE": "failed",
        "MEMBER_BEFORE": "alive",
        "MEMBER_SELF": "false",
        "TAG_RACK_NO": "7",
    }
    assert [found["EVENT"] for found in variables[1:]] == ["member-forgotten", "member-alive"]
    assert variables[2]["MEMBER_SELF"] == "true"
    assert result.stderr.count("failed with exit code 1") == 2
    assert "the handler of member-failed of n2 failed" in result.stderr
    assert heads[0].startswith("GET /events?members=true ")


def test_a_handler_is_run_for_what_is_asked_for(tmp_path: Path) -> None:
    found = tmp_path / "found"
    shell = f'echo "$GOSSIPD_EVENT $GOSSIPD_MEMBER_NAME" >> {found}'
    first = [HEAD, told("member", row("n1", "alive")), told("member", row("n2", "left")), PRESENT]
    parts = [*first, told("member", row("n1", "suspect")), told("member", row("n1", "failed"))]
    rest = ("--event", "left", "--event", "failed", "--", "sh", "-c", shell)
    call("on-event --present", parts, rest=rest)
    assert found.read_text() == "member-left n2\nmember-failed n1\n"


def test_a_handler_that_does_not_end_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    found = tmp_path / "found"
    shell = f"trap '' TERM; echo begun >> {found}; sleep 100 & wait; sleep 100"
    parts = [HEAD, PRESENT, told("member", row("n1", "left")), told("member", row("n2", "left"))]
    result, _ = call("on-event --timeout 0.3", parts, rest=("--", "sh", "-c", shell))
    assert found.read_text() == "begun\nbegun\n"
    assert result.stderr.count("has not ended within 0.3 s: it is told to") == 2


@pytest.fixture
def outliving(tmp_path: Path) -> tuple[str, Path]:
    """A handler that ends as it is told to, and has started what does not; and what holds a lock
    until both have ended."""
    lock = tmp_path / "lock"
    stays = "trap '' TERM; echo > began; while :; do sleep 100; done"
    return f'cd {tmp_path}; exec 9> lock; flock 9; sh -c "{stays}" & wait', lock


def is_free(lock: Path) -> bool:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_what_a_handler_has_started_is_ended_though_it_ended_itself(
    outliving: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gossipd.cli.on_event.END_TIMEOUT", 0.3)
    shell, lock = outliving
    parts = [HEAD, PRESENT, told("member", row("n1", "left"))]
    call("on-event --timeout 1", parts, rest=("--", "sh", "-c", shell))
    assert (lock.parent / "began").exists()
    assert is_free(lock)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_ends_it_ends_the_handler_too(
    outliving: tuple[str, Path], number: signal.Signals
) -> None:
    shell, lock = outliving
    with teller([HEAD, PRESENT, told("member", row("n1", "left")), WAITS]) as made:
        process = subprocess.Popen(
            (*GOSSIPD, "on-event", "--api", made.address, "--", "sh", "-c", shell),
            stderr=subprocess.PIPE,
            text=True,
        )
        until((lock.parent / "began").exists, 20.0, "the handler runs")
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert errors == "gossipd: interrupted; no more changes are handled\n"
    assert is_free(lock)


def test_a_signal_that_comes_while_a_handler_is_started_ends_it_too(
    outliving: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gossipd.cli.on_event.END_TIMEOUT", 0.3)
    shell, lock = outliving

    class Interrupted(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            until((lock.parent / "began").exists, 20.0, "the handler runs")
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("subprocess.Popen", Interrupted)
    with teller([HEAD, PRESENT, told("member", row("n1", "left")), WAITS]) as made:
        args = ["on-event", "--api", made.address, "--", "sh", "-c", shell]
        result = CliRunner().invoke(gossipd, args)
    assert result.exit_code == 128 + signal.SIGINT
    assert result.stderr == "gossipd: interrupted; no more changes are handled\n"
    assert is_free(lock)


def test_what_a_handler_has_started_and_may_not_be_ended_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def end_the_first_alone(group: int, number: int) -> None:
        if number != signal.SIGTERM:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        os.kill(group, number)
        os.waitid(os.P_PID, group, os.WEXITED | os.WNOWAIT)

    monkeypatch.setattr("os.killpg", end_the_first_alone)
    parts = [HEAD, PRESENT, *(told("member", row(name, "left")) for name in ("n1", "n2"))]
    result, _ = call("on-event --timeout 0.2", parts, rest=("--", "sleep", "100"))
    assert result.stderr.count(" may not be ended: it runs on, or what it has started does\n") == 2


def test_of_two_tags_that_are_one_variable_one_is_chosen_and_the_other_told() -> None:
    tagged = row("n2", "alive", tags={"rack_no": "8", "rack-no": "7", "zone": "a"})
    shell = 'test "$GOSSIPD_TAG_RACK_NO $GOSSIPD_TAG_ZONE" = "7 a"'
    result, _ = call(
        "on-event", [HEAD, PRESENT, told("member", tagged)], rest=("--", "sh", "-c", shell)
    )
    assert "GOSSIPD_TAG_RACK_NO of n2 is its tag 'rack-no', not 'rack_no'\n" in result.stderr
    assert "failed" not in result.stderr


def test_a_program_that_cannot_be_run_is_told(tmp_path: Path) -> None:
    missing = CliRunner().invoke(gossipd, ["on-event", "--", "no-such-program"])
    assert (missing.exit_code, missing.stderr) == (
        2,
        "gossipd: there is no program 'no-such-program'\n",
    )
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/shell\n")
    broken.chmod(0o755)
    parts = [HEAD, PRESENT, told("member", row("n1", "left"))]
    result, _ = call("on-event", parts, rest=("--", str(broken)))
    assert "cannot run" in result.stderr


def test_a_handler_that_a_signal_ends_has_failed() -> None:
    parts = [HEAD, PRESENT, told("member", row("n1", "left"))]
    result, _ = call("on-event", parts, rest=("--", "sh", "-c", "kill -9 $$"))
    assert "the handler of member-left of n1 was ended by signal 9\n" in result.stderr


def test_what_no_variable_can_be_costs_one_handler_alone() -> None:
    """No member has such a name; who answers may be anybody."""
    parts = [HEAD, PRESENT, *(told("member", row(name, "left")) for name in ("a\0b", "\ud800"))]
    result, _ = call("on-event", parts, rest=("--", "true"))
    assert "cannot run 'true' for member-left of a\\x00b: embedded null byte\n" in result.stderr
    assert "cannot run 'true' for member-left of \\ud800: " in result.stderr
