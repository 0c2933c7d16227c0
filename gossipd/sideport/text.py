"""The text dialect: one command a line, for people with netcat and for shell scripts.

Numbers are answered on one line, lists end with an empty line, a mistake is one line `error: …`
and the connection goes on. Lines end in LF or CRLF; the last one may end with the input.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from gossipd.sideport.backend import Incremented, Refused
from gossipd.sideport.commands import Ack, Acknowledged, Commands
from gossipd.sideport.limits import Limits
from gossipd.sideport.listing import aligned, event_row, member_row, pairs
from gossipd.sideport.outcomes import Later, answer_later, attempt, outcome
from gossipd.sideport.pipeline import Answer, Pipeline
from gossipd.sideport.protocols import NOT_RESP, RESP
from gossipd.sideport.rows import in_blocks
from gossipd.sideport.values import from_text, number, refusal, shown
from gossipd.sideport.words import options, quote, split

Options = dict[str, object]


@dataclass(frozen=True, slots=True)
class Verb:
    """A text command: how it is written and how it is answered (a list gets an empty line)."""

    usage: str
    summary: str
    arguments_max: int
    run: Callable[[Commands, list[str], Options], str | Later[str] | Iterator[bytes]]
    options: frozenset[str] = frozenset()


def _count(commands: Commands, arguments: list[str], options: Options) -> str | Later[str]:
    if "after" not in options:
        return f"{commands.count(*arguments)[1]}\n"
    fields: Options = {"counter": arguments[0]} if arguments else {}
    return Later(partial(_count_after, commands, fields | options))


async def _count_after(commands: Commands, fields: Options) -> str:
    return f"{(await commands.count_after(**fields))[1]}\n"


def _counters(commands: Commands, _: list[str], options: Options) -> Iterator[bytes]:
    return in_blocks(
        commands.counters(**options),
        lambda some: "".join([f"{quote(counter)}\t{count}\n" for counter, count in some]),
    )


def _members(commands: Commands, _: list[str], options: Options) -> Iterator[bytes]:
    return in_blocks(
        commands.members(**options), lambda some: aligned([member_row(member) for member in some])
    )


def _peers(commands: Commands, *_: object) -> Iterator[bytes]:
    return in_blocks(commands.peers(), lambda some: "".join([f"{peer}\n" for peer in some]))


def _status(commands: Commands, *_: object) -> str:
    return pairs(commands.status()) + "\n"


def _log(commands: Commands, arguments: list[str], options: Options) -> Iterator[bytes]:
    if arguments:
        if "limit" in options:
            raise refusal(400, "limit is given twice")
        options = {**options, "limit": number(arguments[0])}
    return in_blocks(
        commands.log(**options), lambda some: aligned([event_row(event) for event in some])
    )


def _help(*_: object) -> str:
    return aligned([(verb.usage, verb.summary) for verb in VERBS.values()]) + "\n"


PAGE = frozenset({"prefix", "limit", "after"})

VERBS: dict[str, Verb] = {
    verb.usage.split()[0]: verb
    for verb in (
        Verb(
            "increment [COUNTER] [BY] [key=UUID] [ack=K] [ack_memory=true] [timeout=2s]",
            "add BY (1), answer the new count; with ack once K nodes hold it", 2, lambda *_: "",
            frozenset({"key", "ack", "ack_memory", "timeout"}),
        ),
        Verb(
            "count [COUNTER] [after=ID] [timeout=2s]", "the count; with after once ID is in it", 1,
            _count, frozenset({"after", "timeout"}),
        ),
        Verb(
            "counters [prefix=X] [limit=N] [after=NAME]", "every counter with its count", 0,
            _counters, PAGE,
        ),
        Verb(
            "members [prefix=X] [limit=N] [after=NAME]", "the members of the cluster", 0,
            _members, PAGE,
        ),
        Verb("peers", "gossip addresses of the other alive members", 0, _peers),
        Verb("status", "this node", 0, _status),
        Verb(
            "log [LIMIT] [prefix=X] [after=ID]", "recent increments, newest first", 1, _log, PAGE,
        ),
        Verb("ping", "answers pong", 0, lambda *_: "pong\n"),
        Verb("health", "answers OK", 0, lambda *_: "OK\n"),
        Verb("help", 'this list; write a name with spaces or like key=x as "a name"', 0, _help),
        Verb("quit", "close the connection", 0, lambda *_: ""),
    )
}  # fmt: skip
"""`increment` and `quit` are more than an answer: `TextDialect` does them itself."""


_SHORT = (b"health", b"ping", b"status", b"increment", b"count")
"""What is answered where all connections are taken."""


class TextDialect:
    """Splits input into lines, lines into words, and adds their commands to the pipeline."""

    size = 0

    def __init__(
        self, commands: Commands, pipeline: Pipeline, limits: Limits, *, brief: bool = False
    ) -> None:
        """`brief`: nothing is answered but one line."""
        self._brief = brief
        self._commands = commands
        self._pipeline = pipeline
        self._limits = limits
        self._partial = b""
        self._is_known = False
        """This client has sent a command, so it speaks this dialect."""

    def feed(self, data: bytes, now: float) -> None:  # noqa: ARG002 - one time-out fits all here
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._take(line)
            if self._pipeline.closed:
                return
        if len(self._partial) > self._limits.line_size_max:
            self._too_long()

    def finish(self) -> None:
        if not self._pipeline.closed:
            self._take(self._partial)
        self._pipeline.end()

    def expires_at(self, active_at: float) -> float:
        return active_at + self._limits.text_idle_timeout

    def expire(self) -> None:
        self._close("idle for too long")

    def resume(self, now: float) -> None:
        """Nothing to do: the time-out is counted from the last answer."""

    def end(self) -> None:
        """Nothing to do: nothing here refers back."""

    def _take(self, line: bytes) -> None:
        line = line.removesuffix(b"\r")
        if len(line) > self._limits.line_size_max:
            self._too_long()
        elif 0 in line:
            self._close("this port speaks HTTP and lines of text, not binary")
        elif RESP.match(line):
            # What follows may be the words of a command, one a line.
            self._pipeline.add(lambda: NOT_RESP)
            self._pipeline.end(linger=True)
        elif self._brief and line.lower() not in _SHORT:
            self._close("too many connections")
        else:
            try:
                self._command(line)
            except Refused as refused:
                self._pipeline.add(partial(_error, refused.detail))
                if not self._is_known:
                    # Another protocol, perhaps: what follows may look like commands, and is none.
                    self._pipeline.end(linger=True)
        if self._brief:
            self._pipeline.end()

    def _command(self, line: bytes) -> None:
        """One command. Raises `Refused` for a mistake in the line itself."""
        try:
            text = line.decode()
        except UnicodeDecodeError:
            raise refusal(400, "a line must be UTF-8") from None
        self._is_known = self._is_known or _verb_of(text) in VERBS
        words = split(text)
        if not words:
            return
        verb = VERBS.get(words[0].lower())
        if verb is None:
            raise refusal(400, f"unknown command {shown(words[0])}; try help")
        arguments, given = _options(verb, words) if "=" in text else (words[1:], {})
        if len(arguments) > verb.arguments_max:
            raise refusal(400, f"too many arguments; usage: {verb.usage}")
        if verb is VERBS["increment"]:
            self._increment(arguments, given)
        elif verb is VERBS["quit"]:
            self._pipeline.end()
        else:
            self._pipeline.add(partial(_answer, verb, self._commands, arguments, given))

    def _increment(self, arguments: list[str], given: Options) -> None:
        values: list[object] = [*arguments[:1], *map(number, arguments[1:])]
        counter, by, key, ack = self._commands.increment_of(*values, **given)
        if ack is None:
            self._pipeline.add_increment(counter, by, key, _incremented)
        else:
            start = partial(self._commands.increment_acknowledged, counter, by, key, ack)
            self._pipeline.add_acknowledged(partial(_acknowledged, start, ack))

    def _too_long(self) -> None:
        self._close(f"a line has at most {self._limits.line_size_max} bytes")

    def _close(self, detail: str) -> None:
        self._pipeline.add(partial(_error, detail))
        self._pipeline.end(linger=True)


def _verb_of(line: str) -> str:
    """Its first word, whatever stands behind it."""
    return (line.split(maxsplit=1) or [""])[0].strip('"').lower()


def _options(verb: Verb, words: list[str]) -> tuple[list[str], Options]:
    arguments, typed = options(words[1:])
    for option in typed.keys() - verb.options:
        raise refusal(400, f"{option}= is no option here; usage: {verb.usage}")
    return arguments, {option: from_text(option, value) for option, value in typed.items()}


def _answer(verb: Verb, commands: Commands, arguments: list[str], options: Options) -> Answer:
    answer = attempt(lambda: verb.run(commands, arguments, options))
    if isinstance(answer, Later):
        return answer_later(answer, _rendered)
    return _rendered(answer) if isinstance(answer, str | Refused) else answer


def _rendered(answer: str | Refused) -> bytes:
    return (
        _error(answer.detail) if isinstance(answer, Refused) else answer.encode(errors="replace")
    )


def _acknowledged(start: Callable[[], Later[Acknowledged]], ack: Ack) -> asyncio.Future[bytes]:
    def render(result: Acknowledged | Refused) -> bytes:
        if isinstance(result, Refused):
            return _error(result.detail)
        if result.acks >= ack.copies:
            return b"%d\n" % result.done.count
        durably = "" if ack.memory else " durably"
        return _error(
            f"counted, but only {result.acks} of {ack.copies} nodes hold it{durably} "
            f"after {ack.timeout:g}s"
        )

    return answer_later(start(), render)


def _incremented(future: asyncio.Future[Incremented]) -> bytes:
    result = outcome(future)
    return _error(result.detail) if isinstance(result, Refused) else b"%d\n" % result.count


def _error(detail: str) -> bytes:
    return f"error: {' '.join(detail.split())}\n".encode(errors="replace")
