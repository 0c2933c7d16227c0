"""What is known of who holds what: spans of streams, as peers have told in their present lives."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from gossipd.core.identity import Stream

from .waiters import Queue


class Span(NamedTuple):
    """`(start, to]` of a stream."""

    start: int
    to: int


@dataclass(slots=True)
class Peer:
    """What one life of a peer has told."""

    life: int
    """Its generation."""
    held: dict[Stream, Span] = field(default_factory=dict)
    """What it holds of the streams that somebody waits for."""
    lacks: dict[Stream, None] = field(default_factory=dict)
    """Of which it may lack something that somebody waits for; it is asked in this order."""
    durable: bool = True
    """Whether it has a disk: thought so until it says otherwise."""
    leaving: bool = False
    silences: int = 0
    """Questions in a row without an answer in time."""
    waits: bool = False
    """Whether the last question is unanswered."""
    asked_at: float = float("-inf")
    next_at: float = float("-inf")
    """When it may be asked next."""

    def learn(self, stream: Stream, span: Span) -> None:
        """It holds that span, too: joined with the other one, or instead of it if they do not
        touch and this one is newer."""
        self.lacks[stream] = None
        before = self.held.get(stream, Span(0, 0))
        if span.start <= before.to and before.start <= span.to:
            self.held[stream] = Span(min(span.start, before.start), max(span.to, before.to))
        elif span.to > before.to:
            self.held[stream] = span

    def is_copy(self, memory: bool) -> bool:
        """Whether what it holds is a copy, of those in memory, too, or on disks only."""
        return not self.leaving and (memory or self.durable)


def plateaus_of(spans: list[Span]) -> Iterator[tuple[Span, int]]:
    """In which span how many of these are, in order."""
    changes: Counter[int] = Counter()
    for start, to in spans:
        changes[start] += 1
        changes[to] -= 1
    count = 0
    for start, to in pairwise(sorted(changes)):
        count += changes[start]
        yield Span(start, to), count


def lowest_lacking(queues: Iterable[Queue], held: Span) -> int | None:
    """The lowest seq that somebody waits for and that is not in the span."""
    lacking = (
        queue[index][0]
        for queue in queues
        for index in (0, bisect_left(queue, (held.to + 1, 0)))
        if index < len(queue) and not held.start < queue[index][0] <= held.to
    )
    return min(lacking, default=None)
