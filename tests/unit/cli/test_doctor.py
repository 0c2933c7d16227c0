"""`gossipd doctor` as a command: what it is asked, and what it prints."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gossipd.cli import gossipd
from gossipd.config.endpoint import Endpoint
from gossipd.doctor import examining
from gossipd.doctor.examining import Asked
from gossipd.doctor.findings import Finding, failed, ok, warning
from tests.terminal import on_a_terminal

FOUND = [
    ok("node", "127.0.0.1:7947", "a is ready"),
    warning("clock", "b", "it is slow\x1b[2J", "set it"),
    failed("udp", "", "silent", "look there"),
]


class Examined:
    """Stands for the examination: what was asked of it, and what it finds."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.found: list[Finding] = FOUND

    def __call__(self, asked: Asked) -> list[Finding]:
        self.asked.append(asked)
        return self.found


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> Examined:
    fake = Examined()
    monkeypatch.setattr(examining, "examine", fake)
    return fake


def call(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(gossipd, ["doctor", *arguments], env=variables)


def test_in_a_pipe_each_check_is_a_line_of_fields(examined: Examined) -> None:
    done = call()
    assert done.stdout == (
        "ok\tnode\t127.0.0.1:7947\ta is ready\t-\n"
        "warning\tclock\tb\tit is slow\\x1b[2J\tset it\n"
        "failed\tudp\t-\tsilent\tlook there\n"
    )
    assert done.exit_code == 1
    examined.found = FOUND[:2]
    assert call().exit_code == 0, "a warning is no failure"


def test_json_has_all_of_it(examined: Examined) -> None:
    done = call("--json")
    told = json.loads(done.stdout)
    assert (told["well"], done.exit_code) == (False, 1)
    assert told["checks"][2] == {
        "result": "failed",
        "check": "udp",
        "about": "",
        "text": "silent",
        "advice": "look there",
    }


@pytest.mark.parametrize("colours", [True, False])
def test_a_terminal_gets_colours_and_the_advice_below(colours: bool) -> None:
    """Really run, where no node does."""
    variables = {**os.environ, "NO_COLOR": "" if colours else "1"}
    command = (sys.executable, "-m", "gossipd", "doctor", "--api", "127.0.0.1:1")
    code, shown = on_a_terminal(command, env=variables)
    line, advice = shown.splitlines()
    assert code == 1
    failed_ = "\x1b[31mfailed\x1b[0m" if colours else "failed"
    text = "no node of this host answers: connection refused"
    assert line == f"{failed_}  node  127.0.0.1:1  {text}"
    assert advice.startswith("  -> start it: ")


def test_it_is_asked_about_hosts_and_knows_the_configuration_of_the_node(
    examined: Examined, tmp_path: Path
) -> None:
    file = tmp_path / "gossipd.toml"
    file.write_text('cluster = "shop"\nname = "a"\njoin = ["s1", "s2:1"]\ndata_dir = "/d"\n')
    call("b", "[::1]:9", "--api", ":7957", "--timeout", "3s", "--config", str(file))
    (asked,) = examined.asked
    assert asked == Asked(
        Endpoint("127.0.0.1", 7957),
        (Endpoint("b", 7946), Endpoint("::1", 9)),
        "shop",
        "a",
        (Endpoint("s1", 7946), Endpoint("s2", 1)),
        "/d",
        3.0,
    )
    call(GOSSIPD_RUN_CLUSTER="bank", GOSSIPD_RUN_JOIN="x,y", GOSSIPD_RUN_CONFIG=str(file))
    asked = examined.asked[-1]
    assert (asked.cluster, asked.name, len(asked.seeds), asked.targets) == ("bank", "a", 2, ())
    call()
    asked = examined.asked[-1]
    assert (asked.cluster, asked.name, asked.seeds, asked.data_dir) == ("gossipd", "", (), "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("http://b",),
        ("--timeout", "0"),
        ("--timeout", "61s"),
        ("--config", "/no/such/file"),
        ("--api", ":1", "--api", ":2"),
    ],
)
def test_what_cannot_be_done_is_misuse(examined: Examined, arguments: tuple[str, ...]) -> None:
    assert call(*arguments).exit_code == 2
    assert not examined.asked
