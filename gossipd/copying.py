"""Increments that wait until enough nodes hold them durably (`ack=K`): futures around the core.

The core asks, counts and keeps the time (see `core.copies`); this gives each wish a token and ends
its future with how many hold the increment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count

from gossipd.core import Copies, Effect, Node, Stream

WISHES_MAX = 10_000
"""Wishes that wait at a time."""


class Copying:
    """The wishes that wait, by token."""

    def __init__(self, node: Node, perform: Callable[[Sequence[Effect]], None]) -> None:
        self._node = node
        self._perform = perform
        self._tokens = count(1)
        self._answers: dict[int, asyncio.Future[int]] = {}

    def wait(
        self, stream: Stream, seq: int, copies: int, memory: bool, timeout: float
    ) -> asyncio.Future[int]:
        """Ends with how many nodes hold that increment durably, this one included: as soon as it
        is `copies`, or after `timeout` seconds, or at once where `WISHES_MAX` wait. `memory`:
        those without a disk count, too. Nobody is asked any more on behalf of who cancels it."""
        token = next(self._tokens)
        answer = self._answers[token] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(partial(self._give_up, token))
        now = time.monotonic()
        self._perform(
            self._node.await_copies(
                token, stream, seq, copies, until=now + timeout, now=now, memory=memory
            )
        )
        if token in self._answers and len(self._answers) > WISHES_MAX:
            answer.set_result(self._node.copies(token))
            self._give_up(token, answer)
        return answer

    def done(self, copies: Copies) -> None:
        """The core has told of a wish; after `stop` it has its answer already."""
        answer = self._answers.pop(copies.token, None)
        if answer is not None:
            _end(answer, copies.count)

    def stop(self) -> None:
        """Nobody will be asked any more: what is known is the answer."""
        for token, answer in self._answers.items():
            _end(answer, self._node.copies(token))
        self._answers.clear()

    def _give_up(self, token: int, _: asyncio.Future[int]) -> None:
        """Its future has ended; where the core does not know why, it waits for nothing."""
        if self._answers.pop(token, None) is not None:
            self._node.give_up_copies(token)


def _end(answer: asyncio.Future[int], copies: int) -> None:
    if not answer.done():
        answer.set_result(copies)
