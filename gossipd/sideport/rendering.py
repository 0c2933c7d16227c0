"""What becomes of a command as an HTTP answer, at once, later or in pieces."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from gossipd.sideport import answers, calls
from gossipd.sideport.answers import Framing
from gossipd.sideport.backend import Incremented, Refused
from gossipd.sideport.commands import Ack, Acknowledged, Commands
from gossipd.sideport.outcomes import Later, answer_later, attempt, outcome
from gossipd.sideport.pipeline import Answer
from gossipd.sideport.rows import Listing


def problem(refused: Refused, framing: Framing, text: bool = False) -> bytes:
    """A refusal, whatever it was that was refused; `text`: its count is a string."""
    return answers.frame(answers.problem(refused, text), framing)


def answer(request: calls.Request, commands: Commands, framing: Framing) -> Answer:
    """Run a call of the table; it does not raise, and its future does not fail."""
    call, fields, text = request
    value = attempt(lambda: call.run(commands, fields))
    if isinstance(value, Listing):
        return answers.framed(call.status, value.pieces(text), framing)
    render = partial(_rendered, call, framing, text)
    return answer_later(value, render) if isinstance(value, Later) else render(value)


def options(target: bytes, framing: Framing) -> bytes:
    """What may be asked of a target; it does not raise."""
    allow = attempt(lambda: calls.allowed(target))
    if isinstance(allow, Refused):
        return problem(allow, framing)
    return answers.options(allow, framing)


def acknowledged(
    start: Callable[[], Later[Acknowledged]], ack: Ack, framing: Framing, text: bool
) -> asyncio.Future[bytes]:
    """Start an increment whose answer tells how many nodes hold it; it does not raise."""

    def render(result: Acknowledged | Refused) -> bytes:
        if isinstance(result, Refused):
            return problem(result, framing)
        return answers.frame(answers.acknowledged(result, ack.copies, text), framing)

    return answer_later(start(), render)


def incremented(future: asyncio.Future[Incremented], framing: Framing, text: bool) -> bytes:
    """The answer to a plain increment, whose future is done."""
    result = outcome(future)
    if isinstance(result, Refused):
        return problem(result, framing)
    return answers.incremented(result, framing, text)


def _rendered(call: calls.Call, framing: Framing, text: bool, value: object) -> bytes:
    if not isinstance(value, Refused):
        made = attempt(lambda: calls.answer(call, value, text))
        if not isinstance(made, Refused):
            return answers.frame(made, framing)
        value = made
    return problem(value, framing, text)
