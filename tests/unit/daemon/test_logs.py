"""The log of a node: written aside, never waited for, and what is lost is counted."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from gossipd.daemon import logs
from gossipd.daemon.lines import fields
from gossipd.daemon.logs import FINISH_WITHIN, QUEUED_MAX, Log
from gossipd.daemon.troubles import Troubles

PIPE_SIZE = 4096


class Made(NamedTuple):
    log: Log
    reader: int
    logger: logging.Logger

    def alarms(self) -> list[str]:
        troubles = Troubles()
        self.log.look(troubles)
        return troubles.texts

    def await_alarms(self, expected: list[str]) -> None:
        deadline = time.monotonic() + 20
        while self.alarms() != expected:
            assert time.monotonic() < deadline, self.alarms()

    def read_until(self, expected: str) -> str:
        """All that is written until it ends so."""
        text, deadline = "", time.monotonic() + 20
        while not text.endswith(expected):
            assert select.select([self.reader], [], [], deadline - time.monotonic())[0], text
            text += os.read(self.reader, 65536).decode()
        return text


@pytest.fixture(params=[""])
def made(request: pytest.FixtureRequest) -> Iterator[Made]:
    """A log into a pipe that holds one page."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    log = Log(writer, "utf-8", for_journal=request.param == "journal")
    logger = logging.Logger("test", logging.DEBUG)
    logger.addHandler(log)
    log.begin()
    yield Made(log, reader, logger)
    os.close(reader)  # what still waits is told that nobody reads, and ends
    log.finish()
    os.close(writer)


def fill(made: Made, count: int) -> None:
    for number in range(count):
        made.logger.debug("line %d", number)


def test_lines_have_time_and_level_and_come_in_order(made: Made) -> None:
    made.logger.warning("one %s", "\U0001f600")
    made.logger.info("two")
    made.log.say("gossipd: three")
    first, second, third = made.read_until("three\n").splitlines()
    time_ = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"
    assert re.fullmatch(f'time={time_} level=warning msg="one \U0001f600"', first)
    assert second.endswith(' level=info msg="two"')
    assert third == "gossipd: three"


@pytest.mark.parametrize("made", ["journal"], indirect=True)
def test_the_journal_gets_a_priority_on_each_line_and_no_time(made: Made) -> None:
    for level in range(logging.DEBUG, logging.CRITICAL + 1, 10):
        made.logger.log(level, "x")
    try:
        raise ValueError("broken\nin two")
    except ValueError:
        made.logger.exception("a fault")
    made.log.say("gossipd: warning: odd")
    made.log.say("gossipd: cannot start")
    lines = made.read_until("cannot start\n").splitlines()
    levels = ("<7>level=debug", "<6>level=info", "<4>level=warning", "<3>level=error",
              "<2>level=critical")  # fmt: skip
    assert lines[:5] == [f'{level} msg="x"' for level in levels]
    assert lines[5].startswith('<3>level=error msg="a fault" trace="Traceback (most')
    assert lines[5].endswith('\\nValueError: broken\\nin two"')
    assert lines[6:] == ["<4>gossipd: warning: odd", "<3>gossipd: cannot start"]


def test_in_json_what_is_printed_and_the_last_words_are_objects_too(made: Made) -> None:
    made.logger.info("before")
    made.log.show("info", "json")
    made.logger.info("is %s", "on", extra=fields(member="b"))
    made.logger.debug("not said")
    made.log.say("gossipd: warning: odd\nin two")
    made.log.finish("gossipd: the last")
    first, *rest = os.read(made.reader, 10000).decode().splitlines()
    assert first.endswith('msg="before"')
    said = [json.loads(line) for line in rest]
    assert [(each["level"], each["msg"]) for each in said] == [
        ("info", "is on"),
        ("warning", "gossipd: warning: odd\nin two"),
        ("info", "gossipd: the last"),
    ]
    assert said[0]["member"] == "b"


def test_who_does_not_read_stops_nobody_and_is_told_how_much_was_dropped(made: Made) -> None:
    count = 2 * QUEUED_MAX
    fill(made, count)
    (alarm,) = made.alarms()
    assert re.fullmatch(r"the log has lost [\d,]+ lines so far: stderr was not read", alarm)
    text = made.read_until(' log lines were dropped: stderr was not read"\n')
    told = re.search(r'level=warning msg="([\d,]+) log lines were dropped', text)
    assert told is not None
    kept = len(re.findall(r'level=debug msg="line \d+"\n', text))
    assert kept >= QUEUED_MAX
    assert kept + int(told[1].replace(",", "")) == count
    made.await_alarms([])
    made.logger.info("on")
    assert made.read_until('on"\n').count("\n") == 1


def test_the_end_does_not_wait_for_who_does_not_read(made: Made) -> None:
    fill(made, QUEUED_MAX)
    began = time.monotonic()
    made.log.finish("the last")
    assert time.monotonic() - began < FINISH_WITHIN + 10


def test_the_last_words_are_written(made: Made) -> None:
    made.logger.info("one")
    made.log.finish("the last")
    assert os.read(made.reader, 1000).decode().endswith('msg="one"\nthe last\n')


def test_what_cannot_be_written_is_dropped_and_told(made: Made) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    saved = os.dup(made.log.fd)
    os.dup2(full, made.log.fd)
    fill(made, 3)
    made.await_alarms(["the log has lost 3 lines so far: stderr: No space left on device"])
    os.dup2(saved, made.log.fd)
    os.close(saved)
    os.close(full)
    made.logger.info("again")
    last = 'msg="3 log lines were dropped: stderr: No space left on device"\n'
    assert made.read_until(last).splitlines()[0].endswith('msg="again"')


def test_what_is_printed_goes_the_same_way_and_comes_back(
    capfd: pytest.CaptureFixture[str],
) -> None:
    before, level = sys.stderr, logging.getLogger().level
    with logs.logging_aside("warning"):
        logging.getLogger("any").info("not said")
        logging.getLogger("any").warning("said")
        sys.stderr.write("printed \udce9\n")
        with logs.written_aside():
            sys.stderr.write("within\n")
    assert (sys.stderr, logging.getLogger().level) == (before, level)
    said, *printed = capfd.readouterr().err.splitlines()
    assert said.endswith('level=warning msg="said"')
    assert printed == ["printed \\udce9", "within"]


def test_the_last_words_are_written_though_a_signal_comes_as_the_thread_is_being_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    log, wait, said = Log(writer, "utf-8", for_journal=False), threading.Event.wait, list[bytes]()

    def end(_number: int, _frame: object) -> None:
        log.finish("last words")
        said.append(os.read(reader, 100))

    def interrupted(event: threading.Event, timeout: float | None = None) -> bool:
        monkeypatch.undo()
        signal.raise_signal(signal.SIGALRM)
        return wait(event, timeout)

    before = signal.signal(signal.SIGALRM, end)
    monkeypatch.setattr(threading.Event, "wait", interrupted)
    try:
        log.begin()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert said == [b"last words\n"]
    os.close(reader)
    os.close(writer)
