"""Many increments in one request: lines of JSON in, an answer for each, in order.

A line that is wrong costs its own answer alone, and nothing is counted before all are read. So
much is read and written in slices, between which the event loop does other work.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence

from gossipd.config.bounds import ITEM_SIZE_MAX, ITEMS_MAX
from gossipd.core import Counted, Item, Refused, Why
from gossipd.daemon.service import Service
from gossipd.sideport.access import Denied
from gossipd.sideport.fields import MARKED, NOT_UTF_8, from_object
from gossipd.sideport.gate import gate
from gossipd.sideport.http_answers import incremented_members, problem_object
from gossipd.sideport.operations import Operation
from gossipd.sideport.turns import Turns
from gossipd.sideport.validation import wrong

SMALL = 200
"""Lines of a batch that need not wait for its turn among the large ones."""

BLANK_SIZE_MAX = 64 * 1024
"""Bytes of blanks and empty lines that are passed over in one go."""

_BLANK = re.compile(rb"[ \t\r\n]+")
_JOINED = re.compile(rb"\}\s*\{")
"""The end of an object and the beginning of another one, in one line."""

_HINT = "; curl -d strips line ends, --data-binary keeps them"


async def answer_batch(
    operation: Operation,
    node: Service,
    turns: Turns,
    body: bytes,
    text: bool = False,
    prefix: str = "",
) -> bytes:
    """Do what the lines of `body` ask for; the answers as a JSON array. Raises `Refused` where
    nothing was done. Who is cancelled before all is read has done nothing, later everything.
    `text`: counts are strings; `prefix`: how all counters have to begin."""
    if MARKED.match(body):
        raise wrong(f"{NOT_UTF_8}: none was counted")
    if body.count(b"\n") <= SMALL:
        return await _answer(operation, node, turns, body, text, prefix)
    async with turns.batches:
        return await _answer(operation, node, turns, body, text, prefix)


async def _answer(
    operation: Operation, node: Service, turns: Turns, body: bytes, text: bool, prefix: str
) -> bytes:
    entries = await _read(operation, body, turns, prefix)
    items = [entry for entry in entries if isinstance(entry, Item)]
    counted = await _done(operation.run(node, items)) if items else []
    _raise_if_full(counted)
    ends = iter(counted)
    answers = [next(ends) if isinstance(entry, Item) else entry for entry in entries]
    return await _written(answers, text, turns)


async def _done(counting: asyncio.Future[list[Counted | Refused]]) -> list[Counted | Refused]:
    """What it ends with; it goes on, and is looked at, though nobody waits for it any more."""
    over, end = gate()
    counting.add_done_callback(end)
    counting.add_done_callback(lambda done: done.cancelled() or done.exception())
    await over
    return counting.result()


def _raise_if_full(ends: Sequence[Counted | Refused]) -> None:
    """What is said of all lines, and later may not be, is said once, with `Retry-After`."""
    first = ends[0] if ends else None
    if not isinstance(first, Refused) or first.retry_after is None:
        return
    if all(isinstance(end, Refused) and end.detail == first.detail for end in ends):
        raise first


async def _read(
    operation: Operation, body: bytes, turns: Turns, prefix: str
) -> list[Item | Refused]:
    time = await turns.wait()
    entries: list[Item | Refused] = []
    at = 0
    while at < len(body):
        if blank := _BLANK.match(body, at, at + BLANK_SIZE_MAX):
            at = blank.end()
        else:
            end = body.find(b"\n", at)
            end = len(body) if end < 0 else end
            entries.append(_entry(operation, body, at, end, prefix))
            at = end
        if len(entries) > ITEMS_MAX:
            detail = f"a batch has at most {ITEMS_MAX} increments: none was counted"
            raise Refused(Why.TOO_LARGE, detail)
        if time.over:
            time = await turns.wait()
    return entries


def _entry(operation: Operation, body: bytes, start: int, end: int, prefix: str) -> Item | Refused:
    """The increment of a line."""
    line = body[start : min(end, start + ITEM_SIZE_MAX)]
    try:
        if end - start > ITEM_SIZE_MAX:
            detail = f"a line of a batch has at most {ITEM_SIZE_MAX} bytes"
            raise Refused(Why.TOO_LARGE, detail)
        given = operation.validated(from_object(line, operation.by_name, "the line"))
        return Item(**(operation.within(given, prefix) if prefix else given))
    except Denied as denied:
        return denied.bare()
    except Refused as refused:
        hint = _HINT if _JOINED.search(line) else ""
        # A copy, without the frames that the original keeps: there may be thousands.
        return Refused(refused.why, refused.detail + hint)


async def _written(answers: Sequence[Counted | Refused], text: bool, turns: Turns) -> bytes:
    time = await turns.wait()
    lines: list[str] = []
    for answer in answers:
        lines.append(_line(answer, text))
        if time.over:
            time = await turns.wait()
    array = ",\n ".join(lines)
    return f"[{array}]\n".encode(errors="replace")


def _line(answer: Counted | Refused, text: bool) -> str:
    if isinstance(answer, Refused):
        return json.dumps(problem_object(answer), ensure_ascii=False)
    return f"{{{incremented_members(answer, text)}}}"
