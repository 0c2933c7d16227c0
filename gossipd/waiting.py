"""Reads that wait until this node includes an increment (`after=ID`).

Exact: a wait ends with True only if the stream's version covers the increment, the given counter's
register does, or the increment itself was merged just now. It is looked at after every input of
the core, so it ends in the same moment in which the increment arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from gossipd.core import Effect, Incremented, Learned, Node, Stream


class _Read(NamedTuple):
    seq: int
    counter: str | None
    answer: asyncio.Future[bool]


class Waiting:
    """The reads that wait, by the stream of what they wait for."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._reads: dict[Stream, list[_Read]] = {}

    def wait(
        self, stream: Stream, seq: int, counter: str | None, timeout: float
    ) -> asyncio.Future[bool]:
        """Ends with True as soon as this node includes that increment, with False after `timeout`
        seconds without it. `counter`: the one that is to be read, if that is known."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bool] = loop.create_future()
        if self._node.counted(stream, seq, counter):
            answer.set_result(True)
            return answer
        self._reads.setdefault(stream, []).append(_Read(seq, counter, answer))
        timer = loop.call_later(timeout, _end, answer, False)
        answer.add_done_callback(lambda _: timer.cancel())
        return answer

    def look(self, effects: Sequence[Effect]) -> None:
        """The core has taken an input, with these effects."""
        if not self._reads:
            return
        merged = {
            (advance.stream, advance.seq)
            for effect in effects
            if isinstance(effect, Incremented | Learned)
            for advance in effect.advances
            if advance.stream in self._reads
        }
        for stream, reads in list(self._reads.items()):
            for read in reads:
                if (stream, read.seq) in merged or self._covers(stream, read):
                    _end(read.answer, True)
            left = [read for read in reads if not read.answer.done()]
            if left:
                self._reads[stream] = left
            else:
                del self._reads[stream]

    def stop(self) -> None:
        """Nothing more will arrive."""
        for reads in self._reads.values():
            for read in reads:
                _end(read.answer, False)
        self._reads.clear()

    def _covers(self, stream: Stream, read: _Read) -> bool:
        log = self._node.log
        if read.counter is not None and log.register(stream, read.counter)[0] >= read.seq:
            return True
        return log.version(stream) >= read.seq


def _end(answer: asyncio.Future[bool], included: bool) -> None:
    if not answer.done():
        answer.set_result(included)
