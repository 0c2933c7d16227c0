"""Many increments in one request: lines of JSON in, an answer for each, in order.

A line that is wrong costs its own answer alone, and nothing is counted before all are read. So
much is read and written in slices, between which the event loop does other work.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from gossipd.sideport.answers import incremented_members, problem_object
from gossipd.sideport.backend import Incremented, Item, Refused
from gossipd.sideport.commands import Commands
from gossipd.sideport.fields import MARKED, NOT_UTF_8, from_object
from gossipd.sideport.turns import Turns
from gossipd.sideport.values import refusal

FIELDS = frozenset({"counter", "by", "key"})

ITEMS_MAX = 10_000
"""Increments in a batch; beyond, the whole of it is refused (413)."""

SMALL = 200
"""Lines of a batch that need not wait for its turn among the large ones."""

ITEM_SIZE_MAX = 4096
"""Bytes of a line: reading one must fit into a slice of time."""

BLANK_SIZE_MAX = 64 * 1024
"""Bytes of blanks and empty lines that are passed over in one go."""

_BLANK = re.compile(rb"[ \t\r\n]+")
_JOINED = re.compile(rb"\}\s*\{")
"""The end of an object and the beginning of another one, in one line."""

_HINT = "; curl -d strips line ends, --data-binary keeps them"


async def count_batch(commands: Commands, body: bytes, text: bool = False) -> bytes:
    """Count the lines of `body`; the answers as a JSON array. Raises `Refused` where none was
    counted. Who is cancelled before all is read has counted nothing, later everything. `text`:
    counts are strings."""
    if MARKED.match(body):
        raise refusal(400, f"{NOT_UTF_8}: none was counted")
    if body.count(b"\n") <= SMALL:
        return await _count(commands, body, text)
    async with commands.batching:
        return await _count(commands, body, text)


async def _count(commands: Commands, body: bytes, text: bool) -> bytes:
    entries = await _read(body, commands.turns)
    items = [entry for entry in entries if isinstance(entry, Item)]
    counted = await commands.increment_all(items)
    _raise_if_full(counted)
    ends = iter(counted)
    answers = [next(ends) if isinstance(entry, Item) else entry for entry in entries]
    return await _written(answers, text, commands.turns)


def _raise_if_full(ends: Sequence[Incremented | Refused]) -> None:
    """What is said of all lines, and later may not be, is said once, with `Retry-After`."""
    first = ends[0] if ends else None
    if not isinstance(first, Refused) or first.retry_after is None:
        return
    if all(isinstance(end, Refused) and end.detail == first.detail for end in ends):
        raise first


async def _read(body: bytes, turns: Turns) -> list[Item | Refused]:
    time = await turns.wait()
    entries: list[Item | Refused] = []
    at = 0
    while at < len(body):
        if blank := _BLANK.match(body, at, at + BLANK_SIZE_MAX):
            at = blank.end()
        else:
            end = body.find(b"\n", at)
            end = len(body) if end < 0 else end
            entries.append(_entry(body, at, end))
            at = end
        if len(entries) > ITEMS_MAX:
            raise refusal(413, f"a batch has at most {ITEMS_MAX} increments: none was counted")
        if time.over:
            time = await turns.wait()
    return entries


def _entry(body: bytes, start: int, end: int) -> Item | Refused:
    """The increment of a line."""
    line = body[start : min(end, start + ITEM_SIZE_MAX)]
    try:
        if end - start > ITEM_SIZE_MAX:
            raise refusal(413, f"a line of a batch has at most {ITEM_SIZE_MAX} bytes")
        fields = from_object(line, FIELDS, "the line")
        counter, by, key, _ = Commands.increment_of(**fields)
        return Item(counter, by, key)
    except Refused as refused:
        hint = _HINT if _JOINED.search(line) else ""
        # A copy, without the frames that the original keeps: there may be thousands.
        return Refused(refused.status, refused.title, refused.detail + hint)


async def _written(answers: Sequence[Incremented | Refused], text: bool, turns: Turns) -> bytes:
    time = await turns.wait()
    lines: list[str] = []
    for answer in answers:
        lines.append(_line(answer, text))
        if time.over:
            time = await turns.wait()
    array = ",\n ".join(lines)
    return f"[{array}]\n".encode(errors="replace")


def _line(answer: Incremented | Refused, text: bool) -> str:
    if isinstance(answer, Refused):
        return json.dumps(problem_object(answer), ensure_ascii=False)
    return f"{{{incremented_members(answer, text)}}}"
