"""The dialect of Redis clients: requests into the pipeline, answers out of it.

A mistake costs one answer; what breaks the protocol is answered and ends the connection, and
nothing behind it is run. `MULTI` is refused, and so is all that follows it until `EXEC`: a client
sends a transaction whole, and what of it counted though the client was told of an error would be
sent again.

What a client asks again and again is found by its bytes, without reading them (`Common.said`).
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from gossipd.core import Refused
from gossipd.sideport.access import Access, check, is_wrong_token
from gossipd.sideport.answered import UNKNOWN
from gossipd.sideport.pipeline import Pipeline
from gossipd.sideport.resp.answers import OK, Error
from gossipd.sideport.resp.commands import COMMANDS
from gossipd.sideport.resp.reading import Reader, Words
from gossipd.sideport.resp.refusals import REASONS, unknown, unsupported, wrong_number
from gossipd.sideport.resp.rows import text
from gossipd.sideport.resp.session import Call, Session, Some
from gossipd.sideport.validation import KEY, wrong

if TYPE_CHECKING:
    from gossipd.sideport.port import SidePort

LARGE = 4096
"""Bytes of a command from which on nothing more is read before it is answered."""

_MULTI, _ENDS = "MULTI", ("EXEC", "DISCARD")
_RESET, _QUIT = "RESET", "QUIT"

_NOT_RUN = "not run: it follows a MULTI, which is refused; EXEC or DISCARD ends that"
_ABORTED = "Transaction discarded because of previous errors."
_SAY_TOKEN = "AUTH TOKEN"
_FULL = "max number of clients reached"
"""Clients of Redis know these words, and come again."""


class RespDialect:
    """Reads commands and adds them to the pipeline."""

    size = 0
    """What is held is small."""

    def __init__(
        self, port: SidePort, pipeline: Pipeline, access: Access, *, brief: bool = False
    ) -> None:
        """`brief`: one short question is answered."""
        self._brief = brief
        self._pipeline = pipeline
        self._idle_timeout = port.limits.text_idle_timeout
        self._reader = Reader(port.limits.request_size_max, port.limits.words_max)
        self._common = port.resp
        self._session = Session(port, access)
        self._visitor = self._session.visitor
        self._is_refusing = False
        """What comes belongs to a transaction that was refused."""

    def feed(self, data: bytes, now: float) -> None:  # noqa: ARG002 - one time-out fits all here
        reader, common, is_bounded = self._reader, self._common, self._visitor.is_bounded
        if reader.is_within or self._is_refusing or self._brief:
            self._do(reader.take(data))
        elif (calls := common.said.get(data)) is not None and not (
            is_bounded and not all(self._may(call) for call, _ in calls)
        ):
            for call, count in calls:
                self._start(call, count)
        elif (keyed := common.requests.find(data)) is not None and not (
            is_bounded and not self._may(keyed)
        ):
            self._start(keyed)
        else:
            found = reader.take(data)
            calls = self._do(found)
            if not reader.is_within and not self._pipeline.closed:
                self._remember(data, found, calls)

    def _remember(self, data: bytes, found: list[Words], calls: tuple[Some, ...]) -> None:
        """What was read, if all of it is likely to come again, or one command with another key."""
        if calls:
            self._common.remember_said(data, calls)
        elif len(found) == 1 and (call := self._common.keyed.get(found[0][:-1])) is not None:
            self._common.requests.remember(data, call, found[0][-1].decode("latin-1"))

    def _do(self, found: list[Words]) -> tuple[Some, ...]:
        """Start what is asked for; what that was, where all of it is likely to come again."""
        common, calls, known = self._common, list[Some](), 0
        for words, same in groupby(found):
            left = len(list(same))
            while left:
                call, count = None if self._is_refusing else common.calls.get(words), 1
                if call is not None and self._visitor.is_bounded and not self._may(call):
                    call = None
                if call is not None:
                    count = left if call.runs else 1
                    self._start(call, count)
                elif (call := self._take(words)) is not None and len(found) > 1:
                    common.remember(words, call)
                    call = None  # what comes with others is not likely to come with them again
                if self._pipeline.closed:
                    return ()
                if call is not None:
                    calls.append((call, count))
                    known += count
                left -= count
        if self._reader.fault is not None:
            self._fail(self._reader.fault)
        return tuple(calls) if known == len(found) else ()

    def finish(self) -> None:
        if not self._pipeline.closed:
            self._reader.finish()
            if self._reader.fault is not None:
                self._fail(self._reader.fault)
        self._pipeline.end()

    def expires_at(self, active_at: float) -> float:
        return active_at + self._idle_timeout

    def expire(self) -> None:
        self._pipeline.end()

    def resume(self, now: float) -> None:
        """Nothing to do: the time-out is counted from the last answer."""

    def stays(self) -> bool:
        return self._visitor.stays()

    def end(self) -> None:
        self._session.end()

    def _may(self, call: Call) -> bool:
        return self._visitor.may(call.right, call.counter)

    def _take(self, words: Words) -> Call | None:
        """Start a command; what that was, if it is likely to come again."""
        try:
            call = self._found(words)
        except Refused as refused:
            self._pipeline.say(self._session.refused(refused, _name_of(words)))
            if self._brief or is_wrong_token(refused):
                self._pipeline.end(linger=not self._brief)
            return None
        if call is None:
            self._pipeline.say(OK)
            self._pipeline.end()
            return None
        self._start(call, size=0 if call.shares else sum(map(len, words)))
        return call if call.again else None

    def _found(self, words: Words) -> Call | None:
        """What a command means, None for `QUIT`; raises `Refused`."""
        keyed = None if self._is_refusing else self._common.keyed.get(words[:-1])
        if keyed is not None and self._may(keyed):
            return keyed.under(KEY.check(text(words[-1])))
        name = words[0].upper().decode("latin-1")
        if self._is_refusing and name not in (_RESET, _QUIT):
            self._is_refusing = name not in _ENDS
            raise wrong(_NOT_RUN) if self._is_refusing else Error("EXECABORT", _ABORTED)
        self._is_refusing = name == _MULTI
        row = COMMANDS.get(name)
        if row is None:
            reason = REASONS.get(name)
            raise wrong(unknown(words) if reason is None else unsupported(name, reason))
        if not row.takes(len(words)):
            raise wrong(wrong_number(name.lower()))
        if self._brief and not row.is_brief:
            raise wrong(_FULL)
        if name == _QUIT:
            return None
        check(self._visitor.grant, row.right, _SAY_TOKEN)
        call = row.begin(self._session, words)._replace(name=name.lower(), right=row.right)
        if call.keyed:
            self._common.remember(words, call)
        return call

    def _start(self, call: Call, count: int = 1, size: int = 0) -> None:
        """`count`: so many in a row. `size`: of the command."""
        session, pipeline = self._session, self._pipeline
        if call.shares:
            pipeline.add(call.start, session.counted, True, count=count)
        else:
            told = session.tellers[call.name]
            pipeline.add(call.start, told, False, size if size > LARGE else 0)
        if self._brief:
            pipeline.end()

    def _fail(self, fault: Refused) -> None:
        self._pipeline.say(self._session.refused(fault, UNKNOWN))
        self._pipeline.end(linger=True)


def _name_of(words: Words) -> str:
    """Of a command that there is."""
    name = words[0].upper().decode("latin-1")
    return name.lower() if name in COMMANDS else UNKNOWN
