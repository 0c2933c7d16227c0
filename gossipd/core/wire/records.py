"""What the log consists of, as values, and how it is told: in groups, in pages, as a digest.

A record means the same whoever sends it, and in whatever order. A group is news; a page answers
somebody who asked for what it lacks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from gossipd.core.identity import SEQ_MAX, Stream

Register: TypeAlias = tuple[str, int, int]
"""(counter, seq, total): the newest event known of a stream on a counter."""

AGE_TICK = 0.1
"""Seconds in one unit of a key record's age."""

AGE_WANTED_MAX = 2**31 - 1
"""The largest age of a key record, in `AGE_TICK` (6.8 years)."""


class KeyRecord(NamedTuple):
    """Event `seq` of a stream was `by` on `counter` under an idempotency key."""

    key: bytes
    """A UUID's 16 bytes."""
    seq: int
    counter: str
    by: int
    age: int
    """Since it was accepted first, in `AGE_TICK`; not part of what it says."""

    @property
    def said(self) -> tuple[bytes, int, str, int]:
        """What all copies of it have in common."""
        return self[:4]


class Double(NamedTuple):
    """Event `seq` of a stream was counted before under its key, as event `winner_seq` of the
    stream `winner` (see `doubles`)."""

    counter: str
    seq: int
    by: int
    winner: Stream
    winner_seq: int
    age: int
    """At least since it was found, in `AGE_TICK`; not part of what it says."""

    @property
    def said(self) -> tuple[str, int, int, Stream, int]:
        """What all copies of it have in common."""
        return self[:5]


class Correction(NamedTuple):
    """What became of the doubles of a stream on one counter with seq <= `seq`."""

    counter: str
    seq: int
    lost: int
    """For so many, not more than `seq`, the value leaves out ..."""
    out: int
    """... this sum."""
    digest: int
    """The sum of their hashes modulo 2^64."""


Record: TypeAlias = Register | KeyRecord | Double | Correction
"""What the log consists of; the second field of each is its seq."""


class Kinds(NamedTuple):
    """Records by kind, as pages hold them."""

    registers: tuple[Register, ...]
    keys: tuple[KeyRecord, ...]
    doubles: tuple[Double, ...]
    corrections: tuple[Correction, ...]


def by_kind(records: Iterable[Record]) -> Kinds:
    """Sort records by kind."""
    registers: list[Register] = []
    keys: list[KeyRecord] = []
    doubles: list[Double] = []
    corrections: list[Correction] = []
    for record in records:
        if isinstance(record, KeyRecord):
            keys.append(record)
        elif isinstance(record, Double):
            doubles.append(record)
        elif isinstance(record, Correction):
            corrections.append(record)
        else:
            registers.append(record)
    return Kinds(tuple(registers), tuple(keys), tuple(doubles), tuple(corrections))


Position: TypeAlias = tuple[int, str]
"""How far a pass has come: (0, counter) among the registers, then (seq, "") among what follows."""

BEGINNING: Position = (0, "")
END: Position = (SEQ_MAX + 1, "")


class Group(NamedTuple):
    """All registers and key records of a stream above `start`; `to` claims completeness.

    A receiver whose version is at least `start` holds everything up to `to` once it has merged
    the records.
    """

    stream: Stream
    start: int
    to: int
    registers: tuple[Register, ...]
    keys: tuple[KeyRecord, ...] = ()


class Page(NamedTuple):
    """What a stream holds above seq `start`, as far as it stands in `(after, upto]`.

    Registers come in the order of their names, each beside the correction of its counter, then key
    records and doubles in that of seqs; `version` is the answerer's at that moment.
    """

    stream: Stream
    start: int
    after: Position
    upto: Position
    version: int
    registers: tuple[Register, ...]
    keys: tuple[KeyRecord, ...] = ()
    doubles: tuple[Double, ...] = ()
    corrections: tuple[Correction, ...] = ()


class PassItem(NamedTuple):
    """A wish for the pages of one stream: everything above `start` that comes after `after`."""

    stream: Stream
    start: int
    after: Position
    doubles: bool = False
    """Whether all doubles and corrections of the stream are wanted, those at or below `start`
    too."""
    until: int = 0
    """The seq up to which that is wanted, as what follows is held; 0: to the end."""


class Leaf(NamedTuple):
    """One stream in the log's digest."""

    stream: Stream
    version: int
    digest: int
