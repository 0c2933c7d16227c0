"""The log of a node: a thread writes it to stderr, so that who does not read it stops nothing.

Lines wait in a queue that is bounded. What does not fit, or cannot be written, is dropped and
counted, and that is told as soon as writing works again. What is printed to stderr goes the same
way.

Where stderr is the journal of systemd, each line carries its priority (sd-daemon(3)). What the
lines look like is the affair of `lines`.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

from gossipd.daemon.lines import as_json, form_of
from gossipd.daemon.logfile import FileWriter
from gossipd.daemon.troubles import Trouble, Troubles
from gossipd.process import signals, streams

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

    from gossipd.config.config import LogFormat, LogLevel

QUEUED_MAX = 4096
"""Records that wait for stderr, some 150 bytes each."""

WRITTEN_MAX = 64 * 1024
"""Bytes that are written together, more or less: the room of a pipe."""

FINISH_WITHIN = 1.0
"""Seconds for which the end of the process waits for stderr."""

STDERR = 2

UNREAD = "stderr was not read"

_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.NOTSET, 7),
)
"""Those of syslog(3), from which level on."""


class Log(logging.Handler):
    """What writes to one descriptor."""

    def __init__(
        self, fd: int, encoding: str, *, for_journal: bool, writer: FileWriter | None = None
    ) -> None:
        """`writer`: who writes to that descriptor; this process unless given."""
        super().__init__()
        self.fd = fd
        self._write_part = writer.write if writer else partial(streams.write, fd)
        self._form = form_of("auto", for_journal=for_journal)
        self._encoding = encoding
        self._for_journal = for_journal
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._counting = threading.RLock()
        """Reentrant, as handlers of signals log too, in the middle of anything."""
        self._dropped = 0
        self._reason = UNREAD
        self._is_torn = False
        """The last line was cut off in the middle."""
        self._thread = threading.Thread(target=self._write_all, name="log", daemon=True)
        self._begun = False
        self._finished = threading.Event()
        """All is written, and the thread ends."""

    def show(self, level: LogLevel, form: LogFormat) -> None:
        """What is written from now on, and how."""
        self.setLevel(level.upper())
        self._form = form_of(form, for_journal=self._for_journal)

    def begin(self) -> None:
        """Start to write what has been taken; from now on the process has a thread. Raises
        `NoProcessError`."""
        if not self._begun:
            self._begun = True
            try:
                self._thread.start()
            except RuntimeError as error:
                self._begun = False
                raise signals.NoProcessError(f"{error} {signals.MOST}") from error

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._put(self._lines(record))
        except Exception:
            self.handleError(record)

    def say(self, text: str) -> None:
        """Take what is printed: it has neither time nor level, but in JSON, where each line has
        to be an object."""
        warns = text.startswith("gossipd: warning: ")
        self._print(logging.WARNING if warns else logging.ERROR, text)

    def tell(self, text: str) -> None:
        """Take what is answered to a signal."""
        if self.level <= logging.INFO:
            self._put(self._lines(_record(logging.INFO, text)))

    def look(self, troubles: Troubles) -> None:
        if self._dropped:
            text = f"the log has lost {self._dropped:,} lines so far: {self._reason}"
            troubles.begin(Trouble.LOG, text)
        else:
            troubles.end(Trouble.LOG)

    def finish(self, last: str = "") -> None:
        """Return when all is written, at the end `last`, or after a while."""
        if last:
            self._print(logging.INFO, last)
        self._queue.put(None)
        try:
            self.begin()
        except signals.NoProcessError:
            self._write_all()
        # Not `join`: a signal may have come while the thread was being started.
        self._finished.wait(FINISH_WITHIN)

    def _put(self, lines: bytes) -> None:
        if self._queue.qsize() < QUEUED_MAX:
            self._queue.put(lines)
        else:
            self._drop(lines.count(b"\n"), UNREAD)

    def _drop(self, count: int, reason: str) -> None:
        with self._counting:
            self._dropped += count
            self._reason = reason

    def _print(self, level: int, text: str) -> None:
        is_json = self._form is as_json
        self._put(self._lines(_record(level, text)) if is_json else self._encoded(level, text))

    def _lines(self, record: logging.LogRecord) -> bytes:
        return self._encoded(record.levelno, self._form(record))

    def _encoded(self, level: int, text: str) -> bytes:
        if self._for_journal:
            priority = next(priority for least, priority in _PRIORITIES if level >= least)
            text = f"<{priority}>" + text.replace("\n", f"\n<{priority}>")
        return f"{text}\n".encode(self._encoding, streams.ESCAPED)

    # --- in the thread -----------------------------------------------------------------------

    def _write_all(self) -> None:
        lines: bytes | None = b""
        while lines is not None:
            lines = self._queue.get()
            together = bytearray()
            while lines is not None:
                together += lines
                if len(together) >= WRITTEN_MAX or self._queue.empty():
                    break
                lines = self._queue.get()
            if self._write(together) and self._queue.empty():
                self._tell_dropped()
        self._finished.set()

    def _tell_dropped(self) -> None:
        dropped = self._dropped
        if dropped:
            text = f"{dropped:,} log lines were dropped: {self._reason}"
            if self._write(self._lines(_record(logging.WARNING, text))):
                with self._counting:
                    self._dropped -= dropped

    def _write(self, lines: bytes | bytearray) -> bool:
        """Whether all of them could be written."""
        rest = memoryview(b"\n" + lines if self._is_torn else lines)
        try:
            while rest:
                size = self._write_part(rest)
                self._is_torn = rest[size - 1] != ord("\n")
                rest = rest[size:]
        except OSError as error:
            lost = bytes(rest)[-len(lines) :].count(b"\n")
            self._drop(lost, f"stderr: {error.strerror}")
            return False
        return True


def _record(level: int, text: str) -> logging.LogRecord:
    fields = {"levelno": level, "levelname": logging.getLevelName(level), "msg": text}
    return logging.makeLogRecord(fields)


class _Printed(io.RawIOBase):
    """What is printed goes to the log, line by line."""

    def __init__(self, log: Log, encoding: str) -> None:
        self._log = log
        self._encoding = encoding

    def fileno(self) -> int:
        return STDERR

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        lines = bytes(data)
        self._log.say(lines.decode(self._encoding).removesuffix("\n"))
        return len(lines)


_log: Log | None = None
"""That of this process."""


@contextmanager
def written_aside(writer: FileWriter | None = None) -> Iterator[Log]:
    """What is printed to stderr meanwhile waits for a thread that writes it, which is there from
    `logging_aside` on, at the latest at the end. `writer`: who writes to stderr; this process
    unless given."""
    global _log
    if _log is not None:
        yield _log
        return
    before, encoding = sys.stderr, streams.encoding_of(sys.stderr)
    log = _log = Log(STDERR, encoding, for_journal=_is_journal(), writer=writer)
    sys.stderr = streams.text_over(_Printed(log, encoding), encoding)
    try:
        yield log
    finally:
        sys.stderr, _log = before, None
        log.finish()


@contextmanager
def logging_aside(level: LogLevel, form: LogFormat = "auto") -> Iterator[None]:
    """What is logged meanwhile goes the same way, from this level on."""
    root = logging.getLogger()
    before = root.level
    with written_aside() as log:
        log.begin()
        log.show(level, form)
        root.addHandler(log)
        root.setLevel(level.upper())
        try:
            yield
        finally:
            root.removeHandler(log)
            root.setLevel(before)


def show(level: LogLevel, form: LogFormat) -> None:
    """What is logged from now on, and how."""
    if _log is not None:
        logging.getLogger().setLevel(level.upper())
        _log.show(level, form)


def look(troubles: Troubles) -> None:
    """Tell whether lines are being dropped."""
    if _log is not None:
        _log.look(troubles)


def _is_journal() -> bool:
    """Whether systemd has connected stderr to its journal: systemd.exec(5), JOURNAL_STREAM."""
    try:
        found = os.fstat(STDERR)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
