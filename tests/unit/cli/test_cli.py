"""The client commands: what they ask, what they print, how they end."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import click
import pytest
from click.testing import CliRunner, Result

from gossipd.cli import MODULES, gossipd
from gossipd.cli.output import age, aligned, local_time
from gossipd.version import full_version
from tests.terminal import on_a_terminal
from tests.unit.cli.fake_daemon import FakeDaemon, fake_daemon

Call = Callable[..., Result]

MEMBERS = [
    {
        "name": "a", "address": "127.0.0.1:7946", "state": "alive", "generation": 1,
        "incarnation": 0, "self": True, "rtt_ms": None, "sealed": "98692123", "tags": {},
        "since": 0,
    },
    {
        "name": "b\x1b[2J", "address": "127.0.0.1:7956", "state": "failed", "generation": 1,
        "incarnation": 0, "self": False, "rtt_ms": 0.3141, "tags": {"zone": "x", "disk": "ssd"},
        "since": None, "why": "c says so",
    },
]  # fmt: skip


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with fake_daemon() as fake:
        yield fake


@pytest.fixture
def call(daemon: FakeDaemon) -> Call:
    return lambda *args: CliRunner().invoke(gossipd, args, env={"GOSSIPD_API": daemon.address})


def _command(*args: str | bytes) -> list[str | bytes]:
    return [sys.executable, "-m", "gossipd", *args]


def test_counters_are_lines_of_fields(daemon: FakeDaemon, call: Call) -> None:
    daemon.answers({"a b": 1, "default": -20})
    assert call("counters").stdout == "a b\t1\ndefault\t-20\n"
    daemon.answers({})
    assert call("counters").stdout == ""


def test_members_are_lines_of_printable_fields(daemon: FakeDaemon, call: Call) -> None:
    daemon.answers(MEMBERS)
    first, second = call("members").stdout.splitlines()
    assert first.split("\t")[:3] == ["a", "127.0.0.1:7946", "alive"]
    assert first.split("\t")[4:] == ["self", "98692123", "-", "-"]
    assert second.split("\t") == [
        "b\\x1b[2J", "127.0.0.1:7956", "failed", "-", "0.31 ms", "-", "zone=x, disk=ssd",
        "c says so",
    ]  # fmt: skip


def test_why_a_member_is_in_its_state_is_told_in_fields(daemon: FakeDaemon, call: Call) -> None:
    probe = {"at": time.time() - 90, "ms": 1500.2, "outcome": "silent", "pings": 3}
    answered = {"at": time.time(), "ms": 0.5, "outcome": "answered", "pings": 1}
    daemon.answers(
        {
            "name": "b",
            "state": "failed",
            "text": "b is failed because c says so",
            "why": "c says so",
            "spoke": time.time() - 120,
            "answered": None,
            "probes": [
                {**probe, "relays": ["c", "d"], "nacks": ["d"]},
                {**answered, "relays": [], "nacks": []},
            ],
            "suspicion": {"left": 1.5},
        }
    )
    said = call("explain", "b").stdout.splitlines()
    assert said[:2] == ["text\tb is failed because c says so", "state\tfailed"]
    assert said[2].startswith("spoke\t2m ago, 20")
    assert said[3:] == [
        "answered\t-",
        "probe\tsilent after 1500.2 ms, 1m ago: 3 pings, relays asked: c, d (silent for it, too)",
        "probe\tanswered after 0.5 ms, 0s ago: 1 ping",
        "suspicion\tleft 1.5",
    ]
    assert [path for _, path, _ in daemon.requests] == ["/explain?name=b"]


def test_peers_are_lines(daemon: FakeDaemon, call: Call) -> None:
    daemon.answers(["127.0.0.1:1", "[::1]:2"])
    assert call("peers").stdout == "127.0.0.1:1\n[::1]:2\n"


def test_status_prints_whatever_there_is(daemon: FakeDaemon, call: Call) -> None:
    members = {"alive": 2, "left": 0}
    daemon.answers({"name": "a", "address": "b", "ready": True, "members": members, "new": [None]})
    assert call("status").stdout == (
        "name\ta\naddress\tb\nready\tyes\nmembers\talive 2, left 0\nnew\t-\n"
    )


def test_log_prints_events_with_local_time(
    daemon: FakeDaemon, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Etc/GMT-2")
    time.tzset()
    daemon.answers(
        [
            {"id": "i", "counter": "c", "by": 2, "count": 5, "origin": "o", "at": 1700000000.25,
             "number": 17},
            {"id": "j", "counter": "c", "by": 3, "count": 3, "origin": "o", "at": 1700000000},
        ]
    )  # fmt: skip
    line = (
        "2023-11-15T00:13:20.250+02:00\tc\t2\t5\ti\to\t17\n"
        "2023-11-15T00:13:20.000+02:00\tc\t3\t3\tj\to\t-\n"
    )
    try:
        assert call("log", "--limit", "3").stdout == line
    finally:
        monkeypatch.undo()
        time.tzset()
    assert call("log").exit_code == 0
    assert [path for _, path, _ in daemon.requests] == ["/log?limit=3", "/log"]


def test_join_leave_and_forget_are_asked_for(daemon: FakeDaemon, call: Call) -> None:
    daemon.answers({"joining": [], "leaving": True, "forgotten": "web 3"}, status=202)
    assert call("join", "--wait", "0", "b", "[::1]:1").stdout == "joining b:7946, [::1]:1\n"
    assert call("leave").stdout == "leaving\n"
    assert call("forget", "web 3").stdout == "forgetting web 3\n"
    assert daemon.requests == [
        ("POST", "/join", {"peers": ["b:7946", "[::1]:1"]}),
        ("POST", "/leave", None),
        ("POST", "/forget", {"name": "web 3"}),
    ]


ANSWERS: dict[str, object] = {
    "increment": {"id": "i", "counter": "default", "by": 1, "count": 2**62},
    "count": {"counter": "default", "count": 2**62},
    "counters": {"\u202eü": -(2**62)},
    "members": MEMBERS,
    "explain": {"name": "x", "state": "failed", "text": "x is failed"},
    "peers": ["127.0.0.1:1"],
    "status": {"name": "a", "address": "b", "ready": True},
    "log": [{"id": "i", "counter": "c\x9b", "by": 2, "count": 5, "origin": "o", "at": 1.5}],
    "join": {"joining": []},
    "leave": {"leaving": True},
    "forget": {"forgotten": "x"},
}
ARGUMENTS = {"join": ["x"], "forget": ["x"], "explain": ["x"]}


@pytest.mark.parametrize(
    "command", [name for name in ANSWERS if name not in ("join", "leave", "forget")]
)
def test_json_prints_the_answer_as_it_came_without_what_harms_a_terminal(
    daemon: FakeDaemon, call: Call, command: str
) -> None:
    daemon.echoing = False
    daemon.body = json.dumps(ANSWERS[command], ensure_ascii=False, indent=3).encode()
    printed = call(command, *ARGUMENTS.get(command, []), "--json").stdout
    assert json.loads(printed) == ANSWERS[command]
    assert (
        printed
        == daemon.body.decode().replace("\u202e", r"\u202e").replace("\x9b", r"\u009b") + "\n"
    )


@pytest.mark.parametrize("command", ANSWERS)
def test_an_answer_of_another_form_is_another_versions_and_exits_1(
    daemon: FakeDaemon, call: Call, command: str
) -> None:
    daemon.echoing = False
    right = ANSWERS[command]
    one = right[0] if isinstance(right, list) else right
    spoiled: list[object] = [None, 7, "x", [[]], [] if isinstance(right, dict) else {}]
    if isinstance(one, dict):
        for name in one:
            wrong = {**one, name: [1] if name in ("ready", "leaving") else 1.5j and True}
            if name in ("ready", "leaving", "self", "generation", "incarnation"):
                continue
            spoiled.append([wrong] if isinstance(right, list) else wrong)
    within = ["--timeout", "0"] if command == "increment" else []
    for data in spoiled:
        daemon.answers(data)
        result = call(command, *ARGUMENTS.get(command, []), *within)
        assert (result.exit_code, result.stdout) == (1, ""), data
        assert "is this another version of gossipd?" in result.stderr, data


NAMES = [
    *("a\u202eb", "a\u200bb", "a\u200db", "e\u0301", "\u0301", "漢字", "a\u2028b", "a\xa0b"),
    *("a\u3000b", r"a\u3000b", r"a\\u3000b", r"a\tb", "a\\", "\U000e0041"),
]
"""Each can be that of a counter."""

NO_NAMES = ["\x1b[31m", "a\tb\nc", "a\\\tb", "a\ud800b", "a\x85b"]


def test_into_a_pipe_names_go_as_they_are(daemon: FakeDaemon, call: Call) -> None:
    daemon.answers(dict.fromkeys(NAMES, 1))
    assert [line.split("\t")[0] for line in call("counters").stdout.split("\n")[:-1]] == NAMES
    assert call("forget", "a\\\u202eb").exit_code == 1, "that is another answer"
    daemon.answers({"forgotten": "x"})
    assert call("forget", "a\\\u202eb").stdout == "forgetting a\\\u202eb\n"


def test_what_no_name_holds_breaks_no_row_and_can_be_read_back(
    daemon: FakeDaemon, call: Call
) -> None:
    daemon.answers(dict.fromkeys(NO_NAMES, 1))
    shown = [line.split("\t") for line in call("counters").stdout.split("\n")[:-1]]
    assert [name for name, _ in shown] == [
        r"\x1b[31m", r"a\tb\nc", r"a\\\tb", r"a\ud800b", r"a\x85b",
    ]  # fmt: skip
    assert [name.encode().decode("unicode_escape") for name, _ in shown] == NO_NAMES


def test_on_a_terminal_names_move_nothing_and_no_two_look_the_same(daemon: FakeDaemon) -> None:
    daemon.answers(dict.fromkeys([*NAMES, *NO_NAMES[:3]], 1))
    lines = [line.rsplit(maxsplit=1)[0] for line in _on_a_terminal("counters", daemon)[1:]]
    assert lines == [
        r"a\u202eb", r"a\u200bb", r"a\u200db", "e\u0301", r"\u0301", "漢字", r"a\u2028b",
        r"a\xa0b", r"a\u3000b", r"a\\u3000b", r"a\\\\u3000b", r"a\\tb", "a\\\\", r"\U000e0041",
        r"\x1b[31m", r"a\tb\nc", r"a\\\tb",
    ]  # fmt: skip


def test_a_message_moves_nothing_wherever_it_goes(daemon: FakeDaemon, call: Call) -> None:
    daemon.refuses(400, detail="no \u202ex\x1b")
    assert call("count").stderr == "gossipd: no \\u202ex\\x1b\n"


def test_columns_are_those_of_a_terminal() -> None:
    rows = [["N", "C"], ["漢字", "1"], ["e\u0301", "20"], ["ab", "3"]]
    assert aligned(rows).splitlines() == ["N      C", "漢字   1", "e\u0301     20", "ab     3"]


PAGED = {f"c{number:04}": number for number in range(2500)}


def test_a_long_list_is_asked_for_by_pages_and_printed_as_one(
    daemon: FakeDaemon, call: Call
) -> None:
    daemon.pages = PAGED
    lines = call("counters").stdout.splitlines()
    assert lines == [f"{name}\t{count}" for name, count in PAGED.items()]
    asked = [path for _, path, _ in daemon.requests]
    assert asked == [
        "/counters?limit=1000",
        "/counters?limit=1000&after=c0999",
        "/counters?limit=1000&after=c1999",
    ]
    assert json.loads(call("counters", "--json").stdout) == PAGED
    assert call("counters", "--limit", "1001").stdout.splitlines() == lines[:1001]
    assert call("counters", "--limit", "3", "--after", "c0007").stdout.splitlines() == lines[8:11]
    assert call("counters", "--prefix", "c24").stdout.splitlines() == lines[2400:]
    assert call("counters", "--prefix", "x", "--json").stdout == "{}\n"
    assert call("counters", "--limit", "0").exit_code == 2


def test_a_page_that_is_not_the_next_one_ends_it(daemon: FakeDaemon, call: Call) -> None:
    daemon.answers(dict.fromkeys([*PAGED][:1000], 1))
    result = call("counters")
    assert result.exit_code == 1
    assert "is not the page that was asked for" in result.stderr
    assert len(daemon.requests) == 2


def test_members_and_the_log_can_be_narrowed(daemon: FakeDaemon, call: Call) -> None:
    daemon.answers([])
    assert call("members", "--prefix", "web", "--after", "web-1", "--limit", "5").exit_code == 0
    assert call("log", "--prefix", "c", "--before", "i", "--limit", "5").exit_code == 0
    assert [path for _, path, _ in daemon.requests] == [
        "/members?limit=5&prefix=web&after=web-1",
        "/log?prefix=c&after=i&limit=5",
    ]


@pytest.mark.parametrize("scheme", ["http://", "HTTP://"])
def test_an_address_may_be_written_as_a_url(daemon: FakeDaemon, scheme: str) -> None:
    daemon.answers({"counter": "default", "count": 7})
    for end in "", "/":
        api = f"{scheme}{daemon.address}{end}"
        assert CliRunner().invoke(gossipd, ["count", "--api", api]).stdout == "7\n"


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["count", "--api", "HTTPS://a"], "has no port; expected https://HOST:PORT"),
        (["count", "--cert-key", "a"], "--cert-key says nothing without --cert"),
        (["count", "--api", "http://a"], "'http://a' has no port; expected http://HOST:PORT"),
        (["count", "--api", "http://[::1]"], "has no port"),
        (["count", "--api", "http://a:1/b"], "'a:1/b' has a path; expected HOST:PORT"),
        (["count", "--api", "http://me:word@a:1"], "'a:1' has a user's name"),
        (["count", "--api", "a:1/"], "'a:1/' has a path"),
        (["count", "--api", "::1:7947"], "'::1:7947': write an IPv6 address in brackets"),
        (["count", "--api", "7947"], "'7947' is not HOST:PORT; a port alone is ':7947'"),
        (["join", "http://a:1"], "is a URL; expected HOST:PORT without 'http://'"),
        (["run", "--join", "http://a:1"], "is a URL; expected HOST:PORT without 'http://'"),
        (["--api", "a:1", "count"], "--api goes after the command: gossipd count --api"),
        (["--bind", ":1", "run"], "--bind goes after the command: gossipd run --bind"),
        (["--nonsense", "count"], "No such option"),
    ],
)
def test_what_is_written_in_the_wrong_place_or_form_is_told_in_the_right_words(
    args: list[str], said: str
) -> None:
    result = CliRunner().invoke(gossipd, args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in " ".join(result.stderr.split())


@pytest.mark.parametrize(("status", "detail"), [(503, "catching up"), (409, "too large")])
def test_a_refusal_exits_1_and_says_why(
    daemon: FakeDaemon, call: Call, status: int, detail: str
) -> None:
    daemon.refuses(status, detail=f"{detail}\x1b")
    result = call("count")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"gossipd: {detail}\\x1b\n"


def test_an_answer_of_another_version_exits_1(daemon: FakeDaemon, call: Call) -> None:
    daemon.answers([])
    assert call("count").exit_code == 1
    assert call("counters").exit_code == 1
    assert "another version" in call("count").stderr


def test_a_daemon_that_is_not_there_exits_3_and_says_what_was_tried() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        result = CliRunner().invoke(gossipd, ["count", "--api", address])
    assert result.exit_code == 3
    assert result.stderr == (
        f"gossipd: no daemon answers at {address} (connection refused); "
        "is it running? try: gossipd run\n"
    )


def test_a_side_port_that_cannot_be_resolved_exits_1() -> None:
    result = CliRunner().invoke(gossipd, ["count", "--api", "no-such-host.invalid"])
    assert result.exit_code == 1
    assert "cannot resolve 'no-such-host.invalid'" in result.stderr


def test_the_flag_wins_over_the_variable(daemon: FakeDaemon) -> None:
    daemon.answers({"counter": "default", "count": 1})
    port = daemon.address.removeprefix("127.0.0.1")
    result = CliRunner().invoke(
        gossipd, ["count", "--api", port], env={"GOSSIPD_API": "127.0.0.1:1"}
    )
    assert result.stdout == "1\n"


@pytest.mark.parametrize(
    "args",
    [
        ("count", "--key", "x"), ("log", "--limit", "0"),
        ("join",), ("join", ":7946"), ("join", "a b"), ("join", "a:0"), ("forget",),
        ("count", "--timeout", "0"), ("count", "--timeout", "nan"), ("count", "--timeout", "inf"),
        ("count", "--timeout", "-1"), ("count", "--timeout", "5x"), ("count", "--timeout", "25h"),
        ("count", "--api", "a:b"), ("count", "--api", "::1"), ("count", "--api", ""),
        ("counts",), ("leave", "--json"),
    ],
)  # fmt: skip
def test_usage_that_cannot_be_parsed_exits_2_and_asks_nobody(
    daemon: FakeDaemon, call: Call, args: tuple[str, ...]
) -> None:
    result = call(*args)
    assert (result.exit_code, result.stdout, daemon.requests) == (2, "", [])
    assert result.stderr


def test_bytes_that_are_not_utf8_are_a_usage_error() -> None:
    result = subprocess.run(_command("count", b"caf\xe9"), capture_output=True, timeout=60)
    assert result.returncode == 2
    assert result.stderr == b"gossipd: argument 'caf\\udce9' is not valid UTF-8\n"


def test_a_closed_pipe_is_no_traceback(daemon: FakeDaemon) -> None:
    daemon.pages = {f"counter-{number:05}": number for number in range(20_000)}
    with subprocess.Popen(
        _command("counters", "--api", daemon.address),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")  # noqa: PTH110
def test_a_full_disk_is_one_line(daemon: FakeDaemon) -> None:
    daemon.answers({"counter": "default", "count": 1})
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        result = subprocess.run(
            _command("count", "--api", daemon.address),
            stdout=full, stderr=subprocess.PIPE, timeout=60,
        )  # fmt: skip
    assert result.returncode != 0
    assert b"gossipd: cannot write: No space left on device\n" in result.stderr
    assert b"Traceback" not in result.stderr


def test_a_terminal_gets_aligned_columns_with_a_header(daemon: FakeDaemon) -> None:
    daemon.answers({"a": 1, "default": 20})
    assert _on_a_terminal("counters", daemon) == [
        "COUNTER  COUNT",
        "a            1",
        "default     20",
    ]
    daemon.answers({"name": "a", "address": "b", "ready": True})
    assert _on_a_terminal("status", daemon) == ["name:     a", "address:  b", "ready:    yes"]
    daemon.answers([])
    assert _on_a_terminal("peers", daemon) == ["PEER"]


def _on_a_terminal(command: str, daemon: FakeDaemon) -> list[str]:
    code, shown = on_a_terminal(_command(command, "--api", daemon.address))
    assert code == 0
    return shown.splitlines()


def test_columns_of_numbers_are_flush_right() -> None:
    assert aligned([["N", "X"], ["-1.5", "b"], ["20", "cc"]]) == "   N  X\n-1.5  b\n  20  cc"


@pytest.mark.parametrize(
    ("ago", "shown"),
    [(-9, "0s"), (5.9, "5s"), (60, "1m"), (7199, "1h"), (86_400, "1d"), (864_001, "10d")],
)
def test_ages_are_short(monkeypatch: pytest.MonkeyPatch, ago: float, shown: str) -> None:
    monkeypatch.setattr(time, "time", lambda: 1e9)
    assert age(1e9 - ago) == shown


@pytest.mark.parametrize(("at", "shown"), [(None, "-"), ("x", "x"), (10**30, str(10**30))])
def test_a_time_that_is_none_is_shown_as_it_is(at: object, shown: str) -> None:
    assert local_time(at) == shown


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(gossipd, ["--version"]).stdout == f"gossipd {full_version()}\n"


def test_no_version_is_told_to_a_shell_that_completes_what_stands_behind_it() -> None:
    words = {"COMP_WORDS": "gossipd --version st", "COMP_CWORD": "2"}
    asked = {"_GOSSIPD_COMPLETE": "bash_complete", **words}
    result = CliRunner().invoke(gossipd, env=asked, prog_name="gossipd")
    assert result.stdout == "plain,status\n"


def test_every_command_has_help_with_examples() -> None:
    overview = CliRunner().invoke(gossipd, ["--help"]).stdout
    for name in MODULES:
        assert f"\n  {name} " in overview
        command = gossipd.get_command(click.Context(gossipd), name)
        below = command.commands if isinstance(command, click.Group) else ()
        for words in [name], *([name, other] for other in below):
            result = CliRunner().invoke(gossipd, [*words, "--help"])
            assert result.exit_code == 0
            assert f"Examples:\n    gossipd {' '.join(words)}" in result.stdout


@pytest.mark.parametrize("group", [[], ["config"], ["data"]])
def test_a_list_of_commands_tells_of_each_in_one_whole_sentence(group: list[str]) -> None:
    told = CliRunner().invoke(gossipd, [*group, "--help"]).stdout.partition("\nCommands:\n")[2]
    rows = told.partition("\n\n")[0].splitlines()
    assert len(rows) > 1
    assert [row for row in rows if not re.fullmatch(r"  [a-z-]+ +[A-Z].*[^.]\.", row)] == []


CLIENTS = [
    *("count", "counters", "increment", "members", "peers", "status", "log", "join x"),
    *("leave", "forget x"),
]

HEAVY = {
    *(
        "asyncio",
        "email",
        "encodings.idna",
        "http.client",
        "logging",
        "msgpack",
        "multiprocessing",
        "ssl",
    ),
    *("random", "sqlite3", "ssl", "subprocess", "tomllib", "uvloop"),
}
"""What only a daemon needs, or what is seldom needed."""


@pytest.mark.parametrize("command", CLIENTS)
def test_a_client_command_loads_only_what_it_uses(daemon: FakeDaemon, command: str) -> None:
    daemon.answers({"id": "x", "counter": "default", "by": 1, "count": 1})
    name = command.split()[0]
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "gossipd", *command.split()],
        env={**os.environ, "GOSSIPD_API": daemon.address},
        capture_output=True,
        text=True,
        check=False,
    )
    assert daemon.requests, result
    lines = result.stderr.splitlines()
    loaded = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    assert "gossipd.cli.daemons" in loaded
    assert loaded & HEAVY == set()
    others = {module for module in MODULES.values() if module != MODULES[name]}
    assert loaded & {f"gossipd.cli.{module}" for module in others} == set()
    rooms = {".".join(module.split(".")[:2]) for module in loaded if module.startswith("gossipd.")}
    assert rooms == {"gossipd.cli", "gossipd.client", "gossipd.config", "gossipd.process"}
    config = {module for module in loaded if module.startswith("gossipd.config.")}
    assert config <= {
        f"gossipd.config.{module}" for module in ("bounds", "endpoint", "spans", "unix")
    }
