"""The documents are true: what they name exists, what they count is counted from the code."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import asdict
from http import HTTPStatus
from itertools import takewhile
from pathlib import Path

import click
import pytest

from gossipd import sideport
from gossipd.cli import gossipd
from gossipd.config.bounds import ITEMS_MAX
from gossipd.config.options import VARIABLE_PREFIX, keys
from gossipd.core.settings import (
    KEYS_MAX,
    REGISTERS_MAX,
    STREAMS_MAX,
    Profile,
    Settings,
)
from gossipd.core.swim.members import MEMBERS_MAX
from gossipd.core.wire.decoding import KINDS
from gossipd.daemon import reports
from gossipd.sideport.access import FORBIDDEN, UNAUTHORIZED
from gossipd.sideport.calls import CALLS
from gossipd.sideport.http_answers import STATUS
from gossipd.sideport.limits import Limits
from gossipd.sideport.resp.asking import KEYS_MAX as NAMES_MAX
from gossipd.sideport.resp.asking import LISTS_MAX, SCANNED_MAX
from gossipd.sideport.resp.commands import COMMANDS as COMMANDS_OF_RESP
from gossipd.sideport.resp.connection import REDIS_VERSION
from gossipd.sideport.validation import WATCHED_MAX
from tests.unit.pair import Pair

ROOT = Path(__file__).parents[2]
CORE = ROOT / "gossipd" / "core"

DOCUMENTS = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for folder in ("", "gossipd/**/", "configs/", "systemd/", "tests/**/")
    for path in sorted(ROOT.glob(f"{folder}README.md"))
}
"""Every document, by its path."""

README = DOCUMENTS["README.md"]
API = DOCUMENTS["gossipd/sideport/README.md"]
COMMANDS = DOCUMENTS["gossipd/cli/README.md"]
OPTIONS = DOCUMENTS["configs/README.md"]
PACKAGE = DOCUMENTS["gossipd/README.md"]
PROTOCOL = DOCUMENTS["gossipd/core/README.md"]
TESTS = DOCUMENTS["tests/README.md"]
ALL = "\n".join(DOCUMENTS.values())

HELP = "--help"
"""What every command and the group of them has."""

LINES_MAX = 215
"""What a newcomer reads before the first node counts."""

FOREIGN = "Coming from other counter daemons"
"""The section whose table has the calls and options of others in its first column."""


def section(text: str, title: str) -> str:
    """The text of a section of a document, its subsections included."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title!r}"
    return found[1]


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every line of a table, headers included."""
    for line in text.splitlines():
        if line.startswith("| "):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def own_text() -> str:
    """The documents without what they say of other daemons."""
    foreign = section(API, FOREIGN)
    own = "\n".join(row[1] for row in rows(foreign))
    return ALL.replace(foreign, f"\n{own}\n")


def blocks(language: str, text: str = ALL) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def spans() -> list[str]:
    """What stands in `backticks`, outside of blocks."""
    text = re.sub(r"^```.*?^```$", "", own_text(), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", text)


def command_lines() -> Iterator[str]:
    for block in blocks("sh"):
        yield from (line for line in block.splitlines() if not line.startswith("#"))
    for block in blocks("console"):
        yield from (line[2:] for line in block.splitlines() if line.startswith("$ "))
    yield from (span for span in spans() if span.startswith("gossipd "))


def calls_of_gossipd() -> list[list[str]]:
    """The words of every call of gossipd that the documents show, without `gossipd`."""
    found = []
    for line in command_lines():
        for part in re.split(r"&&|;|\||&(?= |$)", line) if "'" not in line else [line]:
            words = shlex.split(part)
            if words and Path(words[0]).name == "gossipd" and words[1:] != [HELP]:
                found.append(words[1:])
    return found


def flags_of(name: str) -> set[str]:
    command = gossipd.get_command(click.Context(gossipd), name)
    assert command is not None, f"gossipd has no command {name!r}"
    return {flag for param in command.params for flag in param.opts}


def test_every_command_and_option_shown_exists() -> None:
    calls = calls_of_gossipd()
    assert {"run", "increment", "count", "members", "leave"} <= {call[0] for call in calls}
    for command, *words in calls:
        own = takewhile(lambda word: word != "--", words)
        flags = {word.partition("=")[0] for word in own if re.match(r"--?[a-z]", word)}
        assert flags - {HELP} <= flags_of(command), (command, words)


def test_every_option_named_in_the_text_exists() -> None:
    known = set().union(*map(flags_of, gossipd.list_commands(click.Context(gossipd))))
    ours = (span for span in spans() if not span.startswith(("curl ", "redis-")))
    named = {word for span in ours for word in re.findall(r"(?<!\S)--[a-z][a-z-]*", span)}
    assert {"--advertise", "--json", "--config"} <= named
    assert named <= known | {HELP}


def test_every_variable_named_exists() -> None:
    known = {key.variable for key in keys()} | {f"{VARIABLE_PREFIX}CONFIG"}
    assert set(re.findall(rf"{VARIABLE_PREFIX}[A-Z_]+", ALL)) <= known


def test_every_program_shown_exists() -> None:
    programs = set(re.findall(r"python -m (tests[\w.]*)", ALL))
    assert len(programs) > 15
    assert [name for name in programs if importlib.util.find_spec(name) is None] == []


def test_the_option_tables_are_the_schema() -> None:
    by_flag = {key.flag: key for key in keys()}
    named = [row[0].strip("`") for row in rows(OPTIONS) if row[0][:3] == "`--"]
    assert len(named) == len(set(named))
    assert set(named) <= set(by_flag)
    assert {flag for flag, key in by_flag.items() if not key.is_setting} <= set(named)


@pytest.mark.parametrize(("column", "profile"), [(1, "lan"), (2, "wan"), (3, "local")])
def test_the_table_of_figures_is_that_of_the_profiles(column: int, profile: Profile) -> None:
    settings = {key.flag: key.name for key in keys() if key.is_setting}
    of_profile = asdict(Settings.of(profile))
    table = [row for row in rows(OPTIONS) if row[0].strip("`") in settings]
    told = {settings[row[0].strip("`")]: row[column] for row in table}
    assert len(told) > 10
    assert {name: float(value) for name, value in told.items()} == {
        name: of_profile[name] for name in told
    }


def test_the_table_of_calls_is_the_side_ports() -> None:
    table = "\n".join(row[0] for row in rows(section(API, "HTTP")))
    named = re.findall(r"`((?:GET|POST|PUT) /\S*)`", table)
    assert sorted(named) == sorted(f"{call.method} {call.path}" for call in CALLS)


def test_the_table_of_errors_has_every_status() -> None:
    cells = (row[0] for row in rows(section(API, "HTTP").partition("### Errors")[2]))
    named = {int(status) for cell in cells for status in re.findall(r"\d+", cell)}
    told = {*STATUS.values(), UNAUTHORIZED, FORBIDDEN}
    for module in Path(sideport.__file__).parent.glob("*.py"):
        for found in re.findall(r"(?m)Problem\((\d+)|^ +status = (.*)", module.read_text()):
            told |= {int(status) for status in re.findall(r"\b[45]\d\d\b", " ".join(found))}
    assert named == told


def test_every_call_shown_exists() -> None:
    paths = {call.path.partition("{")[0].rstrip("/") for call in CALLS}
    shown = re.findall(r"\$ curl .*?127\.0\.0\.1:\d+(/[a-z]*)", ALL)
    assert len(shown) > 15
    assert set(shown) <= paths


def test_the_limits_are_those_of_the_code() -> None:
    text, limits = section(API, "Limits"), Limits()
    for count in (MEMBERS_MAX, STREAMS_MAX, REGISTERS_MAX, KEYS_MAX, limits.connections_max):
        assert f"{count:,}" in text
    for size in (limits.head_size_max, limits.body_size_max, limits.line_size_max):
        assert f"{size // 1024} KiB" in text
    for size in (limits.batch_size_max, limits.batches_size_max):
        assert f"{size // 1024**2} MiB" in text
    of_connections = {row[0]: row[1] for row in rows(text) if len(row) == 4}
    share = f"of one address {limits.share_of(limits.connections_max):,}"
    assert share in of_connections["connections"].replace(" (`--connections-max`)", "")
    assert of_connections["where all are busy"].startswith(f"{limits.reserve_max} more")
    assert of_connections["commands waiting per connection"] == str(limits.pending_max)
    times = limits.head_timeout, limits.body_timeout
    assert of_connections["time for a head; a body"] == "{:g} s; {:g} s".format(*times)
    idle = f"{limits.idle_timeout:g} s; {limits.text_idle_timeout / 3600:g} h"
    assert of_connections["idle connection: HTTP; text and RESP"] == idle
    slow = f"{limits.write_rate_min / 1024:g} KiB/s for {limits.write_timeout:g} s"
    assert slow in of_connections["a client that reads slowly"]
    watchers = of_connections["watchers (`GET /events`, `watch`)"]
    assert watchers.startswith(f"{limits.watchers_max} (")
    assert f"of one address {limits.share_of(limits.watchers_max)} (" in watchers
    assert f"of {WATCHED_MAX} counters by name" in watchers
    behind = of_connections["a watcher that does not read"]
    assert behind == f"{limits.changes_max:,} changes behind"
    request = f"{limits.request_size_max // 1024} KiB and {limits.words_max:,} words"
    assert of_connections["a command of RESP"] == request
    assert of_connections["answers to `KEYS` that are being read"] == str(LISTS_MAX)
    assert f"at most {NAMES_MAX:,} |" in section(API, "Redis")
    assert f"at most {SCANNED_MAX:,} looked at" in section(API, "Redis")
    assert f"up to {ITEMS_MAX:,} lines of JSON" in section(API, "HTTP")


def test_the_commands_of_redis_are_those_of_the_code() -> None:
    told = {
        word
        for row in rows(section(API, "Redis"))
        for word in re.findall(r"`([A-Z][A-Z.]+)", row[0])
    }
    assert told == set(COMMANDS_OF_RESP)
    assert f"`redis_version` is {REDIS_VERSION}," in section(API, "Redis")


def test_the_figures_of_keys_are_those_of_the_settings() -> None:
    text, settings = section(PROTOCOL, "Exactly once"), Settings()
    assert f"{settings.key_limit:,} keys" in text
    assert f"{settings.key_limit / settings.key_window:,.0f} keyed increments a second" in text
    assert f"{settings.key_window / 60:g} min (`--key-window`)" in text
    assert f"{settings.key_retention / 3600:g} h (`--key-retention`)" in text


def test_the_sample_of_the_status_begins_with_what_a_node_shows_of_itself() -> None:
    (sample,) = (block for block in blocks("console", COMMANDS) if "$ gossipd status" in block)
    shown = re.findall(r"^([a-z]+): ", sample, re.MULTILINE)
    own = list(reports.status(Pair().node, "gossipd"))
    assert shown[: len(own)] == own


def test_the_problems_shown_have_the_titles_of_http() -> None:
    shown = re.findall(r'"title": "([^"]+)", "status": (\d+)', ALL)
    assert {status for _, status in shown} >= {"400", "422"}
    # What RFC 9110 calls it, and with it Python 3.13.
    newer = {"Unprocessable Content": "Unprocessable Entity"}
    for title, status in shown:
        phrase = HTTPStatus(int(status)).phrase
        assert title == newer.get(phrase, phrase)


def test_continuous_integration_runs_the_test_command() -> None:
    (command,) = [line for line in blocks("sh", README)[0].splitlines() if "-m tests" in line]
    assert f"{command} &&" in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_the_maps_are_complete() -> None:
    named = [row[0] for text in (PACKAGE, TESTS) for row in rows(text)]
    modules = {
        path.relative_to(ROOT).as_posix()
        for room in ("process", "daemon", "config")
        for path in (ROOT / "gossipd" / room).glob("[!_]*.py")
    }
    folders = {
        f"{path.parent.relative_to(ROOT)}/"
        for parent in ("gossipd", "tests")
        for path in (ROOT / parent).glob("*/*.py")
    }
    for name in modules | folders:
        assert len([cell for cell in named if name in re.split(r"[`\[\]]", cell)]) == 1, name


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= LINES_MAX


def test_the_readme_has_ten_options_with_their_defaults() -> None:
    by_flag = {key.flag: key for key in keys()}
    table = {row[0].strip("`"): row[1].strip("`") for row in rows(section(README, "Ten options"))}
    options = {flag: default for flag, default in table.items() if flag.startswith("--")}
    assert len(options) == 10
    for flag, told in options.items():
        if (default := by_flag[flag].default) not in (None, ()):
            assert told == str(default), flag


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_file_named_exists(name: str) -> None:
    text = DOCUMENTS[name]
    for path in re.findall(r"`((?:gossipd|tests|configs|systemd|\.ci)/[\w./@-]*)`", text):
        assert (ROOT / path).exists(), path
    for path, heading in links(name):
        assert (ROOT / path).exists(), path
        if heading:
            assert heading in headings(DOCUMENTS[path]), f"{path}#{heading}"


def links(name: str) -> Iterator[tuple[str, str]]:
    """The path and the heading of every link of a document, from the root of the repository."""
    for target, heading in re.findall(r"\]\(([^)#:]*)#?([^):]*)\)", DOCUMENTS[name]):
        path = os.path.normpath((Path(name).parent / target) if target else name)
        yield path, heading


def headings(text: str) -> set[str]:
    """The headings of a document as links name them."""
    plain = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", plain, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_document_is_reached_from_the_readme() -> None:
    seen, found = set[str](), ["README.md"]
    while found:
        name = found.pop()
        seen.add(name)
        found += [path for path, _ in links(name) if path in DOCUMENTS.keys() - seen]
    assert seen == set(DOCUMENTS)


def test_every_module_of_the_core_is_on_its_map() -> None:
    named = re.findall(r"`([\w/]+\.py)`", section(PROTOCOL, "Reading order"))
    modules = {path.relative_to(CORE).as_posix() for path in CORE.rglob("[!_]*.py")}
    assert len(named) == len(set(named))
    assert set(named) == modules


def test_the_table_of_kinds_is_the_wires() -> None:
    table = [row for row in rows(PROTOCOL) if len(row) == 3 and row[0].isdecimal()]
    told = {name: int(kind) for kind, name, _ in table}
    assert told == {message.__name__: kind for message, kind in KINDS.items()}
