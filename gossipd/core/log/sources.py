"""Registers that clients own: they keep their totals themselves and put them anywhere.

A source is a stream of the second kind with one register. Its id is a hash of the client's and the
counter's name, so every node finds the same one. The client numbers its puts; a put that is
repeated, or late, changes nothing, for ever and on any node, without any window.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple, TypeAlias

import msgpack

from gossipd.core.identity import SOURCE_BIT, STREAM_BYTES, Stream, may_move
from gossipd.core.wire.records import Register

from .log import Log


class Put(NamedTuple):
    """A client's total after its `seq`-th change."""

    stream: Stream
    counter: str
    seq: int
    total: int


@dataclass(frozen=True, slots=True)
class PutTaken:
    """What the source holds now: this put, or a newer one that was known."""

    seq: int
    total: int


@dataclass(frozen=True, slots=True)
class PutConflicts:
    """Another total is held under the same seq; nothing is done."""

    total: int


@dataclass(frozen=True, slots=True)
class PutRefused:
    """The counter's value would leave its range, or the log is full; nothing is done."""

    full: bool


PutResult: TypeAlias = PutTaken | PutConflicts | PutRefused


def source_stream(client: str, counter: str) -> Stream:
    """The stream of a client's register: 73 bits of blake2b under a kind bit of 1."""
    digest = blake2b(msgpack.packb((client, counter)), digest_size=STREAM_BYTES).digest()
    return bytes((SOURCE_BIT | digest[0] & (SOURCE_BIT - 1),)) + digest[1:]


class Puts:
    """Puts on their way into one batch, judged one after the other."""

    def __init__(
        self, log: Log, moved: Callable[[str], int], registers: int, streams: int
    ) -> None:
        """What else is in the batch: `moved` tells what that adds to a counter, and it brings so
        many new registers and streams."""
        self._log = log
        self._moved = moved
        self._registers = registers
        self._streams = streams
        self.rows: dict[Stream, Register] = {}
        """The newest register of each source that changes."""
        self._put: Counter[str] = Counter()
        """What the puts so far add to each counter."""

    def judge(self, put: Put) -> PutResult:
        """What becomes of a put, once the batch is committed."""
        held = self._log.register(put.stream, put.counter)
        row = self.rows.get(put.stream)
        seq, total = row[1:] if row else held
        if put.seq < seq or (put.seq, put.total) == (seq, total):
            return PutTaken(seq, total)
        if put.seq == seq:
            return PutConflicts(total)
        before = self._log.value(put.counter) + self._moved(put.counter) + self._put[put.counter]
        if not may_move(before, before + put.total - total):
            return PutRefused(full=False)
        if row is None and not self._log.has_room(
            put.stream, put.counter, self._registers, self._streams
        ):
            return PutRefused(full=True)
        if row is None and held == (0, 0):
            self._registers += 1
            self._streams += 1
        self._put[put.counter] += put.total - total
        self.rows[put.stream] = (put.counter, put.seq, put.total)
        return PutTaken(put.seq, put.total)
