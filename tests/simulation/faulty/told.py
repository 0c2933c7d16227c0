"""What clients were told, and what was true then: the ghost records that checkers compare with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from gossipd.core import Put, Stream, Uncounted
from gossipd.core.log.sources import PutResult
from gossipd.core.log.writer import Result
from gossipd.simulator.engine import EPOCH

from .host import Host

Increment: TypeAlias = tuple[str, int, bytes | None]
"""(counter, by, idempotency key): what a client asks for."""

Outcome: TypeAlias = Result | Uncounted | None
"""What became of it; None: nobody knows yet."""


@dataclass(frozen=True, slots=True)
class Made:
    """An increment that was committed: the ghost record that checkers compare with."""

    host: str
    stream: Stream
    seq: int
    counter: str
    by: int
    acknowledged: bool = True
    """Whether its client was told. If not, it counts from the next start on."""
    key: bytes | None = None
    at: float = 0.0
    """When."""
    certain: bool = True
    """Whether its process knows that it is on its disk. If not, its stream ends with it, and it
    counts from the next start on if it has not been taken back by then."""


class Judged:
    """What a client was told of an increment with a key, and by which process."""

    __slots__ = (
        "at",
        "by",
        "counter",
        "disk",
        "from_disk",
        "host",
        "key",
        "lacking",
        "life",
        "ready",
        "result",
        "wall",
    )

    def __init__(
        self,
        at: float,
        host: Host,
        increment: tuple[str, int, bytes],
        result: Result,
        from_disk: bool,
    ) -> None:
        self.at = at
        self.wall = EPOCH + at + host.clock
        """The time on the host's own clock."""
        self.host, self.life, self.disk = host.name, host.lives, host.disk
        """The process: which one on that host it was, and the disk that it had."""
        self.ready = host.node is not None and host.node.ready
        self.counter, self.by, self.key = increment
        node = host.node
        self.lacking = node is not None and not all(
            map(node.log.is_present, node.events(self.key))
        )
        """Whether its record was held there without its event."""
        self.result = result
        self.from_disk = from_disk
        """Whether the disk had been asked, and had something."""


@dataclass(frozen=True, slots=True)
class PutAnswer:
    """What a client was told of a put."""

    host: str
    put: Put
    result: PutResult
    committed: bool
    """Whether this very put was."""
    doubtful: bool = False
    """Whether it may have been, as the commit failed."""


@dataclass(frozen=True, slots=True)
class CopiesTold:
    """What a client that waited for copies of an increment was told, and what was true then."""

    made: Made
    wanted: int
    memory: bool
    """Whether copies in memory were to count."""
    told: int
    """How many hold it."""
    enough: bool
    disks: int
    """On how many disks it was, of those that hosts have had."""


@dataclass(frozen=True, slots=True)
class Read:
    """What a client that waited for an increment was told, and what was true then."""

    host: str
    made: Made
    included: bool
    true: bool
    waited: bool
    """Whether that was not so at once."""
    exact: bool
    """Whether the counter was known; if not, a node may include it without knowing."""
