"""What clients ask for and are told, whatever they speak: counted, or refused and why.

The words are for whoever asked. Which status or sign goes with a reason is for the dialects.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple, Self
from uuid import UUID

from gossipd.core.identity import Stream, increment_id

RETRY_AFTER = 1
"""Seconds after which a node that could not do something is worth asking again."""


class Why(Enum):
    """Why something is not done."""

    WRONG = "what was asked makes no sense"
    UNKNOWN = "nothing is known of what was asked about"
    CONFLICT = "it contradicts what is there"
    KEY = "the key does not fit: too old, or used for something else"
    TOO_LARGE = "more than is taken at a time"
    UNAVAILABLE = "not here and now; another node, or this one later, may do it"
    DISK = "the same, as the disk of this one cannot be written"
    UNCERTAIN = "nobody knows whether it was done"
    LATE = "what was waited for did not come in time"
    MISTAKE = "a fault of this program"


class Refused(Exception):  # noqa: N818 - it is an answer rather than a failure of the program
    """What is told instead of an answer. Text clients are told `detail` alone."""

    def __init__(
        self,
        why: Why,
        detail: str,
        retry_after: int | None = None,
        facts: Mapping[str, object] | None = None,
    ) -> None:
        """`facts`: what is known all the same, for programs."""
        super().__init__(detail)
        self.why = why
        self.detail = detail
        self.retry_after = retry_after
        self.facts = facts or {}

    def bare(self) -> Self:
        """This one, as a value: without the frames that it came through, which hold what holds
        it and would be freed by the collector alone."""
        self.__traceback__ = self.__context__ = self.__cause__ = None
        return self


class Counted(NamedTuple):
    """An increment that is committed: what the client may rely on from now on."""

    stream: Stream
    counter: str
    seq: int
    by: int
    value: int
    """The counter's, after it."""

    duplicate: bool = False
    times: int = 1
    """So many such increments in a row, of which this is the last."""

    @property
    def values(self) -> range:
        """The counter's value after each of these."""
        return range(self.value - self.by * (self.times - 1), self.value + self.by, self.by)

    @property
    def id(self) -> UUID:
        """Its name."""
        return increment_id(self.stream, self.seq)


class Item(NamedTuple):
    """One increment of a batch."""

    counter: str
    by: int
    key: bytes | None = None
