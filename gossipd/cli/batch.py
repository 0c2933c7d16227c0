"""`gossipd increment --batch`: many increments from lines of JSON, thousands in a request.

A line without a key is given one before it is first sent, so that what is sent again is counted
once. A line that is refused costs itself alone; one that cannot be counted now (503) is sent again
with those that share its fate.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any

from gossipd.cli.asking import Daemons, Patience
from gossipd.cli.keys import mint
from gossipd.client import Answer, AskingError, Client, RefusedError

ITEMS_MAX = 10_000
"""Lines in a request."""

SIZE_MAX = 4 * 1024 * 1024
"""Bytes of a request."""

LINE_SIZE_MAX = 4096
"""Bytes of a line."""

KEY_ROOM = 64
"""Bytes that a key adds to a line."""

Chunk = dict[int, bytes]
"""Lines by their number in the input, from 1."""


class Batch:
    def __init__(self, daemons: Daemons, patience: Patience, say: Callable[[str], None]) -> None:
        self.counted = 0
        """Lines that were counted, now or under the same key before."""

        self.failed = 0
        """Lines that were refused; `say` was told each with its reason."""

        self._daemons = daemons
        self._patience = patience
        self._say = say

    def send(self, lines: Iterable[bytes]) -> None:
        """Send all lines. Raises `RefusedError` and `NoAnswerError` where it had to stop."""
        for chunk in self._chunks(lines):
            self._give_keys(chunk)
            if chunk:
                self._send(chunk)

    def _send(self, chunk: Chunk) -> None:
        def send(client: Client) -> Answer:
            """Send those that wait for their answer, and take out those that got it."""
            answer = client.post_lines("/increments", b"\n".join(chunk.values()))
            self._take(chunk, answer)
            return answer

        doubt = (
            f"some from there to line {max(chunk)} may have been counted all the same; "
            "only lines with keys of their own can be repeated safely"
        )
        try:
            self._patience.ask(self._daemons, send, doubt)
        except AskingError as error:
            raise type(error)(f"stopped at line {min(chunk)}: {error}") from None

    def _chunks(self, lines: Iterable[bytes]) -> Iterator[Chunk]:
        chunk: Chunk = {}
        size = 0
        for number, line in enumerate(lines, 1):
            stripped = line.strip()
            if not stripped:
                continue
            if len(stripped) > LINE_SIZE_MAX:
                self._fail(number, f"longer than {LINE_SIZE_MAX} bytes")
                continue
            if len(chunk) == ITEMS_MAX or size + len(stripped) + KEY_ROOM > SIZE_MAX:
                yield chunk
                chunk, size = {}, 0
            chunk[number] = stripped
            size += len(stripped) + KEY_ROOM
        if chunk:
            yield chunk

    def _give_keys(self, chunk: Chunk) -> None:
        for number, line in list(chunk.items()):
            try:
                chunk[number] = _with_key(line)
            except (ValueError, RecursionError):
                self._fail(number, "expected a JSON object in UTF-8")
                del chunk[number]

    def _take(self, chunk: Chunk, answer: Answer) -> None:
        outcomes = answer.records()
        if len(outcomes) != len(chunk):
            raise RefusedError(f"{len(outcomes)} answers to {len(chunk)} lines")
        later: dict[str, Any] = {}
        for number, outcome in zip(list(chunk), outcomes, strict=True):
            if outcome.get("status") == HTTPStatus.SERVICE_UNAVAILABLE:
                later = outcome
                continue
            if "count" in outcome:
                self.counted += 1
            else:
                self._fail(number, str(outcome.get("detail") or outcome.get("title")))
            del chunk[number]
        if chunk:
            raise RefusedError.of(HTTPStatus.SERVICE_UNAVAILABLE, later, "", changing=True)

    def _fail(self, number: int, reason: str) -> None:
        self.failed += 1
        self._say(f"line {number}: {reason}")


def _with_key(line: bytes) -> bytes:
    ambiguous = False

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal ambiguous
        fields = dict(pairs)
        ambiguous |= len(fields) != len(pairs)
        return fields

    item = json.loads(line, object_pairs_hook=once)
    if not isinstance(item, dict):
        raise ValueError("not an object")
    if "key" in item or ambiguous:
        # What gives a field twice is for the daemon to refuse.
        return line
    return json.dumps(
        {**item, "key": mint()}, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    ).encode()
