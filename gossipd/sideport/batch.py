"""Many increments in one request: lines of JSON in, one commit, an answer for each, in order.

A line that is wrong costs its own answer alone, and nothing is counted before all are read. So
much is read and written in slices, between which the event loop does other work.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Sequence

from gossipd.sideport.answers import incremented_members, problem_object
from gossipd.sideport.backend import Incremented, Item, Refused
from gossipd.sideport.commands import Commands
from gossipd.sideport.fields import from_object
from gossipd.sideport.values import refusal

FIELDS = frozenset({"counter", "by", "key"})

ITEMS_MAX = 10_000
"""Increments in a batch; beyond, the whole of it is refused (413)."""

ITEM_SIZE_MAX = 4096
"""Bytes of a line: reading one must fit into a slice of time."""

BLANK_SIZE_MAX = 64 * 1024
"""Bytes of blanks and empty lines that are passed over in one go."""

SLICE_TIME = 0.002
"""Seconds of work after which others get their turn."""

_BLANK = re.compile(rb"[ \t\r\n]+")


class Slices:
    """Work cut into slices of time."""

    def __init__(self) -> None:
        self._until = time.perf_counter() + SLICE_TIME

    @property
    def over(self) -> bool:
        return time.perf_counter() >= self._until

    async def next(self) -> None:
        """Let others work before the next slice."""
        await asyncio.sleep(0)
        self._until = time.perf_counter() + SLICE_TIME


async def count_batch(commands: Commands, body: bytes) -> bytes:
    """Count the lines of `body`; the answers as a JSON array. Raises `Refused` where none was
    counted. Who is cancelled before all is read has counted nothing, later everything."""
    slices = Slices()
    entries = await _read(body, slices)
    items = [entry for entry in entries if isinstance(entry, Item)]
    counted = iter(await commands.increment_all(items))
    answers = [next(counted) if isinstance(entry, Item) else entry for entry in entries]
    return await _written(answers, slices)


async def _read(body: bytes, slices: Slices) -> list[Item | Refused]:
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
        if slices.over:
            await slices.next()
    return entries


def _entry(body: bytes, start: int, end: int) -> Item | Refused:
    """The increment of a line."""
    if end - start > ITEM_SIZE_MAX:
        return refusal(413, f"a line of a batch has at most {ITEM_SIZE_MAX} bytes")
    try:
        fields = from_object(body[start:end], FIELDS, "the line")
        counter, by, key, _ = Commands.increment_of(**fields)
        return Item(counter, by, key)
    except Refused as refused:
        # A copy, without the frames that the original keeps: there may be thousands.
        return Refused(refused.status, refused.title, refused.detail)


async def _written(answers: Sequence[Incremented | Refused], slices: Slices) -> bytes:
    lines: list[str] = []
    for answer in answers:
        lines.append(_line(answer))
        if slices.over:
            await slices.next()
    array = ",\n ".join(lines)
    return f"[{array}]\n".encode(errors="replace")


def _line(answer: Incremented | Refused) -> str:
    if isinstance(answer, Refused):
        return json.dumps(problem_object(answer), ensure_ascii=False)
    return f"{{{incremented_members(answer)}}}"
