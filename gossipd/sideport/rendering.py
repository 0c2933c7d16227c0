"""What becomes of a command as an HTTP answer, at once or later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from gossipd.sideport import answers, calls
from gossipd.sideport.answers import Framing
from gossipd.sideport.backend import Incremented, Refused
from gossipd.sideport.commands import Ack, Acknowledged, Commands
from gossipd.sideport.outcomes import Later, answer_later, attempt, outcome


def problem(refused: Refused, framing: Framing) -> bytes:
    """A refusal, whatever it was that was refused."""
    return answers.frame(answers.problem(refused), framing)


def answer(
    call: calls.Call, commands: Commands, fields: calls.Fields, framing: Framing
) -> bytes | asyncio.Future[bytes]:
    """Run a call of the table; it does not raise, and its future does not fail."""
    value = attempt(lambda: call.run(commands, fields))
    render = partial(_rendered, call, framing)
    return answer_later(value, render) if isinstance(value, Later) else render(value)


def acknowledged(
    start: Callable[[], Later[Acknowledged]], ack: Ack, framing: Framing
) -> asyncio.Future[bytes]:
    """Start an increment whose answer tells how many nodes hold it; it does not raise."""

    def render(result: Acknowledged | Refused) -> bytes:
        if isinstance(result, Refused):
            return problem(result, framing)
        return answers.frame(answers.acknowledged(result, ack.copies), framing)

    return answer_later(start(), render)


def incremented(future: asyncio.Future[Incremented], framing: Framing) -> bytes:
    """The answer to a plain increment, whose future is done."""
    result = outcome(future)
    if isinstance(result, Refused):
        return problem(result, framing)
    return answers.incremented(result, framing)


def _rendered(call: calls.Call, framing: Framing, value: object) -> bytes:
    if not isinstance(value, Refused):
        made = attempt(lambda: calls.answer(call, value))
        if not isinstance(made, Refused):
            return answers.frame(made, framing)
        value = made
    return problem(value, framing)
