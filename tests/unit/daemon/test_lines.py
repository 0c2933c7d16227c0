"""One event of the log is one line, whatever is in it, and can be read back."""

from __future__ import annotations

import json
import logging
import re
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gossipd.daemon.lines import Value, as_json, fields, form_of, quoted

LOGFMT = form_of("logfmt", for_journal=False)
PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[^ "=\\]+)(?: |$)')
"""As any reader of logfmt takes a line apart."""

NASTY = 'b" level=critical\nlevel=error msg="forged" \x1b[2J\u202e\u2028\x85\udce9\x7f\\'

UNICODE = NASTY.replace("\udce9", "\\udce9")


def record(text: str, **values: Value) -> logging.LogRecord:
    given = {"levelno": 30, "levelname": "WARNING", "msg": "%s", "args": (text,)}
    return logging.makeLogRecord(given | {**fields(**values)})


def taken_apart(line: str) -> dict[str, str]:
    """The pairs of a line of logfmt, all of it."""
    found = list(PAIR.finditer(line))
    assert "".join(each[0] for each in found) == line
    values = {each[1]: each[2] for each in found}
    assert len(values) == len(found), "a field stands there twice"
    return {key: json.loads(value) if value[0] == '"' else value for key, value in values.items()}


def test_a_line_of_logfmt() -> None:
    line = LOGFMT(record("member b is failed", member="b", address="[::1]:7946", was=None,
                         seconds=1.5, alone=True, seeds=("a", "b c")))  # fmt: skip
    assert re.fullmatch(
        r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d level=warning "
        r'msg="member b is failed" member=b address=\[::1\]:7946 seconds=1.5 alone=true '
        r'seeds="a,b c"',
        line,
    )


def test_the_journal_has_the_time_itself_unless_it_is_wanted() -> None:
    in_journal = form_of("auto", for_journal=True)
    assert in_journal(record("x")) == 'level=warning msg="x"'
    for form in (form_of("logfmt", for_journal=True), form_of("auto", for_journal=False)):
        assert form(record("x")).startswith("time=")
    assert "time" in json.loads(form_of("json", for_journal=True)(record("x")))


def test_a_line_of_json() -> None:
    said = json.loads(as_json(record("x", member="b", seconds=1.5, seeds=("a", "b"), was=None)))
    assert re.fullmatch(r"\d{4}-.*T.*[+-]\d\d:\d\d", said.pop("time"))
    assert said == {"level": "warning", "msg": "x", "member": "b", "seconds": 1.5,
                    "seeds": ["a", "b"]}  # fmt: skip


def test_a_traceback_is_a_field_of_its_line() -> None:
    try:
        raise ValueError(NASTY)
    except ValueError:
        failed = record("a fault")
        failed.exc_info = sys.exc_info()
    told = taken_apart(LOGFMT(failed))["trace"], json.loads(as_json(failed))["trace"]
    for trace, nasty in zip(told, (NASTY, UNICODE), strict=True):
        assert trace.startswith("Traceback")
        assert trace.endswith(f"ValueError: {nasty}")


@given(st.text(), st.text())
@example(NASTY, UNICODE)
@example("", "a=b")
@example("", 'a"b')
@example("", "a\\")
def test_no_name_forges_a_line_or_a_field(text: str, name: str) -> None:
    line = LOGFMT(record(text, member=name))
    assert line.isprintable()
    pairs = taken_apart(line)
    assert list(pairs) == ["time", "level", "msg", "member"]
    assert (pairs["msg"], pairs["member"]) == (text, name)
    said = as_json(record(text, member=name))
    assert said.isascii()
    assert said.isprintable()
    assert json.loads(said)["member"] == name


def test_json_is_unicode() -> None:
    """Readers in Go, Rust or Java take no line with half of a surrogate pair."""
    said = json.loads(as_json(record(NASTY, file=NASTY, seeds=("é😀", NASTY), tries=2)))
    assert said["msg"] == said["file"] == UNICODE
    assert said["seeds"] == ["é😀", UNICODE]
    json.dumps(said, ensure_ascii=False).encode()


@pytest.mark.parametrize(("text", "shown"), [("", '""'), ('a"b', '"a\\"b"'), ("é\n", '"é\\n"')])
def test_quotes(text: str, shown: str) -> None:
    assert quoted(text) == shown
