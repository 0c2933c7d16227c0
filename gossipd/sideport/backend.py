"""What the side port needs from the daemon, and nothing more.

The daemon implements `Backend`; the port hands it arguments that are validated already. A call
that cannot be done raises `Refused`, or its future ends with it, in the words of the interface.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Incremented:
    """An increment that is committed: what the client may rely on from now on."""

    id: UUID
    counter: str
    by: int
    count: int
    duplicate: bool


class Item(NamedTuple):
    """One increment of a batch."""

    counter: str
    by: int
    key: UUID | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """What a client's key stands for: the winning event where there are several."""

    id: UUID
    counter: str
    by: int
    counted: bool


@dataclass(frozen=True, slots=True)
class Source:
    """A client's own register, committed."""

    client: str
    counter: str
    seq: int
    total: int
    count: int
    """The counter's value after it."""


class Refused(Exception):  # noqa: N818 - it is an answer rather than a failure of the program
    """Why a call was not done. `status` is HTTP's; text clients are told `detail` alone."""

    def __init__(
        self, status: int, title: str, detail: str, retry_after: int | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.retry_after = retry_after

    def bare(self) -> Self:
        """This one, as a value: without the frames that it came through, which hold what holds
        it and would be freed by the collector alone."""
        self.__traceback__ = self.__context__ = self.__cause__ = None
        return self


class Backend(Protocol):
    """The daemon, as the side port sees it. Nothing here waits except on the returned future."""

    def increment(
        self, counter: str, by: int, key: UUID | None = None
    ) -> asyncio.Future[Incremented]:
        """Start an increment; the future ends when it is committed, or with `Refused`
        (409: total out of range, 422: the key is expired or was used for something else, 503:
        leaving, too many keys, or it cannot be committed)."""
        ...

    def increment_all(self, items: Sequence[Item]) -> asyncio.Future[list[Incremented | Refused]]:
        """Start many increments, which share one commit; the future ends with an answer for each
        of them in their order, or with `Refused` for all of them."""
        ...

    def count(self, counter: str) -> int:
        """The counter's value, 0 for an unknown one."""
        ...

    def counters(self, prefix: str, after: str) -> Iterator[tuple[str, int]]:
        """The counters behind `after` whose names begin with `prefix`, in the order of names; each
        with its value at the moment when it is asked for. Others may count between two."""
        ...

    def counted(self, increment: UUID, counter: str | None) -> bool:
        """Whether this node counts that increment; `Refused` (400) where the UUID is not the id
        of an increment."""
        ...

    def event_of(self, key: UUID) -> asyncio.Future[Event]:
        """What a key stands for; the future ends with `Refused` 404 when no record of it is held,
        in memory or on the disk."""
        ...

    def included(
        self, increment: UUID, counter: str | None, timeout: float
    ) -> asyncio.Future[bool]:
        """The future ends with True once this node counts that increment (as `counted` says it),
        with False after `timeout` seconds. Nobody waits any more when it is cancelled. `Refused`
        (503) where too many wait."""
        ...

    def held(
        self, increment: UUID, copies: int, memory: bool, timeout: float
    ) -> asyncio.Future[int]:
        """How many nodes, this one included, hold that increment durably (with `memory` also
        those that hold it in memory). The future ends once there are `copies`, or after
        `timeout` seconds, or at once where too many wait. Nobody waits any more when it is
        cancelled."""
        ...

    def put_source(
        self, client: str, counter: str, seq: int, total: int
    ) -> asyncio.Future[Source]:
        """Set what `client` counted on `counter` by itself; the future ends when it is committed,
        or with `Refused` (409: another total is known at that seq, or the counter would be out of
        range; 503 as for increments)."""
        ...

    def log(self, prefix: str, after: UUID | None) -> Iterator[dict[str, object]]:
        """Recent events on counters whose names begin with `prefix`, newest first; with `after`
        those before that increment, `Refused` (404) where it is not among them."""
        ...

    def incomplete(self) -> str | None:
        """Why counts are not complete yet, or None when they are."""
        ...

    def not_ready(self) -> str | None:
        """Why clients should ask another node: `incomplete`, or a trouble; None where they need
        not."""
        ...

    def peers(self) -> Iterator[str]: ...

    def members(self, prefix: str, after: str) -> Iterator[dict[str, object]]:
        """The members behind `after` whose names begin with `prefix`, in the order of names, each
        as it is when it is asked for."""
        ...

    def status(self) -> dict[str, object]: ...

    def join(self, peers: list[str]) -> None:
        """Start joining; `Refused` (400) for an address that cannot be parsed, (503) where too
        many are being joined already."""
        ...

    def seeds(self) -> list[dict[str, object]]:
        """What has become of each address or name that the node joins through."""
        ...

    def leave(self) -> None: ...

    def forget(self, name: str) -> None:
        """`Refused` 404 for an unknown member, 409 for a live one."""
        ...
