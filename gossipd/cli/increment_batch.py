"""`gossipd increment --batch`: many increments from lines of JSON, thousands in a request.

A line without a key is given one before it is first sent, so that what is sent again is counted
once. A line that is refused costs itself alone; one that cannot be counted now (429, 503) is sent
again with those that share its fate, after as long as the daemon asks for. Whenever it ends, it
can be said up to which line everything is certain.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple

from gossipd.cli.clock_offset import Mint
from gossipd.cli.daemons import NOTHING_DONE, Daemons, Patience
from gossipd.cli.line_reader import Lines
from gossipd.client import Answer, AskingError, Client, RefusedError, is_doubtful
from gossipd.config.bounds import BATCH_SIZE_MAX, ITEM_SIZE_MAX, ITEMS_MAX

KEY_ROOM = 64
"""Bytes that a key adds to a line."""

FLUSH_AFTER = 1.0
"""Seconds for which a line that has come waits for others to be sent with."""

HELD_BACK_MAX = 900.0
"""Seconds for which daemons may ask for time while not one line is counted: more than the window
(10 minutes by default) for which a full table keeps a key."""

_LATER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class _Line(NamedTuple):
    given: bytes
    sent: bytes

    @property
    def minted(self) -> bool:
        """Whether its key was made here."""
        return self.sent is not self.given


class Batch:
    def __init__(
        self,
        daemons: Daemons,
        patience: Patience,
        say: Callable[[str], None],
        keyed: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`keyed`: whether lines are given keys; without, nothing in doubt is sent again."""
        self.counted = 0
        """Lines that were counted, now or under the same key before."""

        self.failed = 0
        """Lines that were refused; `say` was told each with its reason."""

        self._daemons = daemons
        self._patience = patience
        self._say = say
        self._keyed = keyed
        self._clock = clock
        self._mint = Mint(say)
        self._read = 0
        """Lines that were read."""

        self._chunk: dict[int, _Line] = {}
        """Those that wait for their outcome, by their number in the input, from 1."""

        self._last = 0
        """The last of those that were sent with these."""

        self._doubtful = False
        """Whether any of these may have been counted already."""

        self._counted_upto = 0
        """The last line that was counted."""

    def send(self, lines: Lines) -> None:
        """Send all lines. Raises `AskingError` where it had to stop, and as `lines` does."""
        more = True
        while more:
            more = self._fill(lines)
            while self._chunk:
                self._send()

    def certain(self) -> str:
        """Up to which line everything is certain."""
        first = min(self._chunk, default=self._read + 1)
        last = first - 1
        known = f"line {last} is the last that is certain" if last else "no line is certain"
        if not self._doubtful and self._counted_upto < first:
            return f"{known}, nothing behind it was counted" if last else "nothing was counted"
        return (
            f"{known}, some up to line {self._last} may have been counted; "
            "only lines with keys of their own can be repeated safely"
        )

    def _fill(self, lines: Lines) -> bool:
        """Collect lines until there are enough, or none came for a while; False at the end."""
        size = 0
        flush_at: float | None = None
        while len(self._chunk) < ITEMS_MAX and size <= BATCH_SIZE_MAX - ITEM_SIZE_MAX - KEY_ROOM:
            left = None if flush_at is None else flush_at - self._clock()
            if left is not None and left <= 0:
                return True
            try:
                line = lines.next(left)
            except TimeoutError:
                return True
            if line is None:
                return False
            self._read += 1
            size += self._add(self._read, line.strip())
            if self._chunk and flush_at is None:
                flush_at = self._clock() + FLUSH_AFTER
        return True

    def _add(self, number: int, line: bytes) -> int:
        """Let a line be sent; the bytes that takes."""
        if len(line) > ITEM_SIZE_MAX:
            self._fail(number, f"longer than {ITEM_SIZE_MAX} bytes")
            return 0
        if not line:
            return 0
        try:
            sent = _with_key(line, self._mint) if self._keyed else line
        except (ValueError, RecursionError):
            self._fail(number, "expected a JSON object in UTF-8")
            return 0
        self._chunk[number] = _Line(line, sent)
        return len(line) + KEY_ROOM

    def _send(self) -> None:
        self._last = max(self._chunk)
        try:
            self._patience.ask(self._daemons, self._post, lambda: "")
        except AskingError as error:
            raise error.saying(f"{error}; {self.certain()}") from None
        self._doubtful = False

    def _post(self, client: Client, again: bool = False) -> Answer:
        """Send those that wait for their outcome, and take out those that got it."""
        before, self._doubtful = self._doubtful, True  # so it is, if it ends meanwhile
        try:
            body = b"\n".join(line.sent for line in self._chunk.values())
            answer = client.post_lines("/increments", body)
            outcomes = _outcomes(answer, len(self._chunk))
        except AskingError as error:
            self._doubtful = before or error.doubtful
            error.passing &= self._keyed or not error.doubtful
            raise
        self._doubtful = before
        counted = self.counted
        misdated, later = self._settle(outcomes)
        if misdated and self._mint.see(answer.date, client.api, not (before or again)):
            for number in misdated:
                given = self._chunk[number].given
                self._chunk[number] = _Line(given, _with_key(given, self._mint))
            if not later:
                return self._post(client, again=True)
        else:
            doubt = f"; {NOTHING_DONE}" if before else ""
            for number in misdated:
                self._fail(number, f"not counted: {self._mint.wrong}{doubt}")
                del self._chunk[number]
        if later:
            raise self._refused(later, answer, self.counted > counted)
        return answer

    def _settle(self, outcomes: list[dict[str, Any]]) -> tuple[list[int], dict[str, Any]]:
        """Take out the lines that are done or refused for good. Those left are such whose own key
        was refused, and such that cannot be counted now, with the reason of one of these."""
        misdated: list[int] = []
        later: dict[str, Any] = {}
        for (number, line), outcome in zip([*self._chunk.items()], outcomes, strict=True):
            status = outcome.get("status")
            if "count" in outcome:
                self.counted += 1
                self._counted_upto = max(self._counted_upto, number)
            elif status in _LATER:
                later = outcome
                continue
            elif status == HTTPStatus.UNPROCESSABLE_ENTITY and line.minted:
                misdated.append(number)
                continue
            else:
                self._fail(number, outcome["detail"])
            del self._chunk[number]
        return misdated, later

    def _refused(self, outcome: dict[str, Any], answer: Answer, progress: bool) -> RefusedError:
        """What is to be done about lines that cannot be counted now."""
        doubtful = is_doubtful(outcome)
        self._doubtful |= doubtful
        passing = self._keyed or not doubtful
        error = RefusedError(outcome["detail"], passing=passing, doubtful=doubtful)
        asked = outcome.get("retry_after")
        error.retry_after = asked if isinstance(asked, int) else answer.retry_after
        error.progress = progress
        return error

    def _fail(self, number: int, reason: str) -> None:
        self.failed += 1
        self._say(f"line {number}: {reason}")


def _outcomes(answer: Answer, count: int) -> list[dict[str, Any]]:
    """What became of each line, as only a daemon says it."""
    outcomes = answer.records()
    if len(outcomes) != count:
        answer.strange(f"is to {len(outcomes)} lines, not {count}")
    for outcome in outcomes:
        if "count" in outcome:
            answer.check(outcome, id=str, counter=str, by=int, count=int)
        else:
            answer.check(outcome, title=str, status=int, detail=str)
    return outcomes


def _with_key(line: bytes, mint: Mint) -> bytes:
    """A line with a key of its own. Raises ValueError and RecursionError where it is none."""
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
        {**item, "key": mint.new()}, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    ).encode()
