"""The text dialect: one command a line, for people with netcat and for shell scripts.

Numbers are answered on one line, lists end with an empty line, a mistake is one line `error: …`
and the connection goes on. Lines end in LF or CRLF; the last one may end with the input.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

from gossipd.config.tokens import Right
from gossipd.core import Counted, Refused
from gossipd.sideport.access import Access, Visitor, check, is_wrong_token
from gossipd.sideport.answered import UNKNOWN, Answers
from gossipd.sideport.http_answers import status_of
from gossipd.sideport.memo import Meaning
from gossipd.sideport.operations import OPERATIONS, Operation
from gossipd.sideport.pipeline import Answer, Pipeline
from gossipd.sideport.protocols import NOT_RESP, RESP
from gossipd.sideport.rings import Event
from gossipd.sideport.streaming import in_blocks
from gossipd.sideport.tables import aligned
from gossipd.sideport.tokens import options, split
from gossipd.sideport.validation import TOKEN, shown, wrong

if TYPE_CHECKING:
    from gossipd.sideport.port import SidePort


def _help(_: object) -> str:
    return aligned([(command.usage, command.summary) for command in COMMANDS.values()]) + "\n"


QUIT = Operation("quit", "", Right.NONE, "close the connection", lambda _: "")
HELP = Operation(
    "help", "", Right.NONE, 'this list; write a name with spaces or like key=x as "a name"', _help,
    text=str,
)  # fmt: skip
AUTH = Operation(
    "auth", "", Right.NONE, "show a token, for all that follows", lambda _, **__: "ok\n",
    (TOKEN,), text=str, words=("token",),
)  # fmt: skip

COMMANDS = {each.name: each for each in (*OPERATIONS, AUTH, HELP) if each.text} | {QUIT.name: QUIT}


class TextDialect:
    """Splits input into lines, lines into words, and adds their commands to the pipeline."""

    size = 0

    def __init__(
        self, port: SidePort, pipeline: Pipeline, access: Access, *, brief: bool = False
    ) -> None:
        """`brief`: nothing is answered but one line."""
        self._brief = brief
        self._node = port.node
        self._watchers = port.watchers
        self._memo = port.lines
        self._answered = port.answered
        self._pipeline = pipeline
        self._limits = port.limits
        self._visitor = Visitor(access)
        self._partial = b""
        self._call = UNKNOWN
        """What the present line asks for."""
        self._is_known = False
        """This client has sent a command, so it speaks this dialect."""

    def feed(self, data: bytes, now: float) -> None:  # noqa: ARG002 - one time-out fits all here
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line, same in groupby(lines):
            bare, left = line.removesuffix(b"\r"), len(list(same))
            while left:
                left -= self._take_some(bare, left)
                if self._pipeline.closed:
                    return
        if len(self._partial) > self._limits.line_size_max:
            self._too_long()

    def _take_some(self, line: bytes, count: int) -> int:
        """Start a command that comes `count` times in a row; how many of them were started."""
        meaning, visitor = None if self._brief else self._memo.find(line), self._visitor
        if meaning is None or (
            visitor.is_bounded and not visitor.may(meaning.right, meaning.counter)
        ):
            self._take(line)
            return 1
        self._is_known = True
        start, render, shares, runs, _, _ = meaning
        count = count if runs else 1
        self._pipeline.add(start, render, shares, count=count)
        return count

    def finish(self) -> None:
        if not self._pipeline.closed:
            self._take(self._partial.removesuffix(b"\r"))
        self._pipeline.end()

    def expires_at(self, active_at: float) -> float:
        return active_at + self._limits.text_idle_timeout

    def expire(self) -> None:
        self._close("idle for too long")

    def resume(self, now: float) -> None:
        """Nothing to do: the time-out is counted from the last answer."""

    def stays(self) -> bool:
        return self._visitor.stays()

    def end(self) -> None:
        """Nothing to do: nothing here refers back."""

    def _take(self, line: bytes) -> None:
        if len(line) > self._limits.line_size_max:
            self._too_long()
        elif 0 in line:
            self._close("this port speaks HTTP and lines of text, not binary")
        elif RESP.match(line):
            # What follows may be the words of a command, one a line.
            self._pipeline.say(NOT_RESP)
            self._pipeline.end(linger=True)
        else:
            try:
                self._command(line)
            except Refused as refused:
                self._refuse(refused)
                if not self._is_known or is_wrong_token(refused):
                    # Another protocol, perhaps: what follows may look like commands, and is none.
                    self._pipeline.end(linger=True)
        if self._brief:
            self._pipeline.end()

    def _command(self, line: bytes) -> None:
        """One command. Raises `Refused` for a mistake in the line itself."""
        self._call = UNKNOWN
        try:
            text = line.decode()
        except UnicodeDecodeError:
            raise wrong("a line must be UTF-8") from None
        self._is_known = self._is_known or _verb_of(text) in COMMANDS
        words = split(text)
        if not words:
            return
        command = COMMANDS.get(words[0].lower())
        if command is None:
            raise wrong(f"unknown command {shown(words[0])}; try help")
        self._call = command.name
        given = _given(command, words[1:]) if len(words) > 1 else {}
        if self._brief and not command.is_short(given):
            raise wrong("too many connections")
        if command is QUIT:
            self._pipeline.end()
            return
        grant = self._visitor.grant
        check(grant, command.right, "auth TOKEN")
        arguments = command.validated(given)
        if command is AUTH:
            self._visitor.show(arguments["token"])
        elif grant.prefix:
            arguments = command.within(arguments, grant.prefix)
        start = command.start(self._node, arguments)
        answered = self._answered.of("text", command.name)
        if command.flows:
            lines = _Lines(command)
            wanted = start()._replace(prefix=grant.prefix)
            follow = partial(self._watchers.watch, wanted, lines, self._pipeline)
            self._pipeline.add(follow, partial(_flow, answered))
            self._pipeline.end()
            return
        runs = command.runs(given)
        render = partial(_answer, command, answered)
        self._pipeline.add(start, render, command.shares)
        if command.is_repeated(given):
            needs = command.right, arguments["counter"]
            meaning = Meaning(start, render, command.shares, runs, *needs)
            self._memo.remember(line, meaning, given.get("key"))

    def _too_long(self) -> None:
        self._close(f"a line has at most {self._limits.line_size_max} bytes")

    def _close(self, detail: str) -> None:
        self._call = UNKNOWN
        self._refuse(wrong(detail))
        self._pipeline.end(linger=True)

    def _refuse(self, refused: Refused) -> None:
        self._answered.of("text", self._call).add(status_of(refused))
        self._pipeline.say(_error(refused))


class _Lines:
    """The `Encoding` of events."""

    head = b""

    def __init__(self, command: Operation) -> None:
        assert command.text is not None
        self._line = command.text

    def piece(self, events: Iterable[Event]) -> bytes:
        return "".join(map(self._line, events)).encode(errors="replace")

    def last(self, event: Event) -> bytes:
        return self.piece((event,))


def _verb_of(line: str) -> str:
    """Its first word, whatever stands behind it."""
    return (line.split(maxsplit=1) or [""])[0].strip('"').lower()


def _given(command: Operation, words: list[str]) -> dict[str, object]:
    """What was said along with a command, by its place and by name."""
    words, named = options(words)
    for option in named.keys() - command.by_name.keys():
        raise wrong(f"{option}= is no option here; usage: {command.usage}")
    many = [word for word in command.words if command.by_name[word].many]
    if len(words) > len(command.words) and not many:
        raise wrong(f"too many arguments; usage: {command.usage}")
    placed = dict(zip(command.words, words, strict=False))
    for name in placed.keys() & named.keys():
        raise wrong(f"{name} is given twice")
    given = {**placed, **named}
    read = {name: command.by_name[name].read(text) for name, text in given.items()}
    return {**read, many[0]: words} if many and words else read


def _answer(command: Operation, answered: Answers, value: Any) -> Answer:
    if isinstance(value, Refused):
        answered.add(status_of(value))
        return _error(value)
    answered.ok += value.times if isinstance(value, Counted) else 1
    assert command.text is not None
    if command.rows:
        return in_blocks(value, command.text)
    return command.text(value).encode(errors="replace")


def _flow(answered: Answers, value: Iterator[bytes] | Refused) -> Answer:
    if isinstance(value, Refused):
        answered.add(status_of(value))
        return _error(value)
    answered.ok += 1
    return value


def _error(refused: Refused) -> bytes:
    return f"error: {' '.join(refused.detail.split())}\n".encode(errors="replace")
