"""Reads that wait until this node includes an increment (`after=ID`).

Exact: a wait ends with True only if the stream's version covers the increment, the given counter's
register does, or the increment itself was merged just now. It is looked at after every input of
the core, so it ends in the same moment in which the increment arrives.

A look costs what has moved, however many wait: registers that rose are in the effects, and where
the log changed, each stream that is held and waited for is asked for its version. Within a stream
reads are sorted by seq, so what includes some of them includes a beginning.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import count
from typing import NamedTuple, TypeAlias

from gossipd.core import (
    RETRY_AFTER,
    Effect,
    Incremented,
    Learned,
    Node,
    Refused,
    Stream,
    Why,
)

READS_MAX = 10_000
"""Reads that wait at a time; one more is refused."""

_Queue: TypeAlias = list[tuple[int, int]]
"""(seq, token) of reads, sorted."""


class _Read(NamedTuple):
    stream: Stream
    seq: int
    counter: str | None
    answer: asyncio.Future[bool]


class _Queues:
    """The reads that wait for one stream."""

    __slots__ = ("all", "by_counter", "version")

    def __init__(self, version: int) -> None:
        self.all: _Queue = []
        self.by_counter: dict[str, _Queue] = {}
        """Those whose counter is known."""
        self.version = version
        """The stream's, when it was looked at last."""


class Waiting:
    """The reads that wait, by the stream of what they wait for."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._tokens = count(1)
        self._reads: dict[int, _Read] = {}
        self._queues: dict[Stream, _Queues] = {}
        """By stream, if the log holds it."""
        self._unheard: dict[Stream, _Queues] = {}
        """The same of streams of which nothing is held; they have no version to look at."""
        self._stream_count = 0
        self._fingerprint = 0
        """Those of the log when it was looked at last."""

    def wait(
        self, stream: Stream, seq: int, counter: str | None, timeout: float
    ) -> asyncio.Future[bool]:
        """Ends with True as soon as this node includes that increment, with False after `timeout`
        seconds without it. `counter`: the one that is to be read, if that is known. Raises
        `Refused` where too many wait."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bool] = loop.create_future()
        if self._node.counted(stream, seq, counter):
            answer.set_result(True)
            return answer
        if len(self._reads) >= READS_MAX:
            detail = f"{READS_MAX:,} reads wait for increments already"
            raise Refused(Why.UNAVAILABLE, detail, RETRY_AFTER)
        token = next(self._tokens)
        self._enter(token, _Read(stream, seq, counter, answer))
        timer = loop.call_later(timeout, _end, answer, False)
        answer.add_done_callback(partial(self._leave, token, timer))
        return answer

    def look(self, effects: Sequence[Effect]) -> None:
        """The core has taken an input, with these effects."""
        log = self._node.log
        if not self._reads or log.fingerprint == self._fingerprint:
            return
        self._fingerprint = log.fingerprint
        if log.stream_count != self._stream_count:
            self._stream_count = log.stream_count
            for stream in [stream for stream in self._unheard if log.holds(stream)]:
                self._queues[stream] = self._unheard.pop(stream)
        for effect in effects:
            if isinstance(effect, Incremented | Learned):
                for advance in effect.advances:
                    self._advanced(advance.stream, advance.counter, advance.seq)
        for stream, queues in self._queues.items():
            version = log.version(stream)
            if version > queues.version:
                queues.version = version
                self._included(_upto(queues.all, version))

    def stop(self) -> None:
        """Nothing more will arrive."""
        for read in self._reads.values():
            _end(read.answer, False)

    def _advanced(self, stream: Stream, counter: str, seq: int) -> None:
        """The register has reached the event, so this node includes the event itself and all
        earlier ones of the counter."""
        queues = self._queues.get(stream)
        if queues is not None:
            here = bisect_left(queues.all, (seq, 0))
            self._included(queues.all[here : _behind(queues.all, seq)])
            self._included(_upto(queues.by_counter.get(counter, []), seq))

    def _included(self, reads: Iterable[tuple[int, int]]) -> None:
        for _, token in reads:
            _end(self._reads[token].answer, True)

    def _enter(self, token: int, read: _Read) -> None:
        log, stream = self._node.log, read.stream
        heard = stream not in self._unheard and log.holds(stream)
        by_stream = self._queues if heard else self._unheard
        queues = by_stream.get(stream)
        if queues is None:
            queues = by_stream[stream] = _Queues(log.version(stream))
        self._reads[token] = read
        insort(queues.all, (read.seq, token))
        if read.counter is not None:
            insort(queues.by_counter.setdefault(read.counter, []), (read.seq, token))

    def _leave(self, token: int, timer: asyncio.TimerHandle, _: asyncio.Future[bool]) -> None:
        timer.cancel()
        stream, seq, counter, _ = self._reads.pop(token)
        by_stream = self._queues if stream in self._queues else self._unheard
        queues = by_stream[stream]
        del queues.all[bisect_left(queues.all, (seq, token))]
        if not queues.all:
            del by_stream[stream]
        elif counter is not None:
            queue = queues.by_counter[counter]
            del queue[bisect_left(queue, (seq, token))]
            if not queue:
                del queues.by_counter[counter]


def _behind(queue: _Queue, seq: int) -> int:
    """Where the reads above `seq` begin."""
    return bisect_left(queue, (seq + 1, 0))


def _upto(queue: _Queue, seq: int) -> _Queue:
    return queue[: _behind(queue, seq)]


def _end(answer: asyncio.Future[bool], included: bool) -> None:
    if not answer.done():
        answer.set_result(included)
