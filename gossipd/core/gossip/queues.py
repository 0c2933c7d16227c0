"""What there is to tell: two queues from which every datagram is filled.

Members first, within a reserved share, then news of the log; in each the item that was sent least
comes first, of equal ones the one that has waited longest. An item leaves after
`retransmit_mult x ceil(log10(N + 1))` transmissions. Nothing here sends: an item is counted when
the caller takes it for a datagram.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

from gossipd.core.identity import Stream
from gossipd.core.log.groups import cut_group
from gossipd.core.log.log import Log
from gossipd.core.wire.encoding import GROUP_OVERHEAD, Packed, pack_group

_SPANS_MAX = 8
_MISSES_MAX = 8
"""Items that do not fit before a datagram counts as full."""

_OPEN = 2**64
"""The end of a span that has none: above every seq."""

T = TypeVar("T")


def transmissions(retransmit_mult: int, live_count: int) -> int:
    """How often each item is sent in a cluster of that size."""
    return retransmit_mult * math.ceil(math.log10(live_count + 1))


def is_told(sent: int, sends_max: int) -> bool:
    """The rule of retransmission: what was sent so often is not sent again."""
    return sent >= sends_max


class _Queue(Generic[T]):
    """Items by how often they were sent, so that no datagram has to look at all of them."""

    def __init__(self) -> None:
        self._sent: dict[T, int] = {}
        self._by_sent: dict[int, dict[T, None]] = {}

    def __len__(self) -> int:
        return len(self._sent)

    def __iter__(self) -> Iterator[T]:
        """Least sent first; nothing may change meanwhile."""
        for sent in sorted(self._by_sent):
            yield from self._by_sent[sent]

    @property
    def least(self) -> int | None:
        """How often the item was sent that was sent least; None when there is none."""
        return min(self._by_sent, default=None)

    def sent(self, item: T) -> int | None:
        """How often an item was sent, None where it is not in the queue."""
        return self._sent.get(item)

    def put(self, item: T, sent: int) -> None:
        """Put an item, in the queue or not, behind all that were sent as often."""
        self.drop(item)
        self._sent[item] = sent
        self._by_sent.setdefault(sent, {})[item] = None

    def drop(self, item: T) -> None:
        """Take an item out, if it is in."""
        sent = self._sent.pop(item, None)
        if sent is not None:
            del self._by_sent[sent][item]
            if not self._by_sent[sent]:
                del self._by_sent[sent]


class _Lane(Generic[T]):
    """Something of which there is news, and how often it was sent."""

    def __init__(self) -> None:
        self._queue: _Queue[T] = _Queue()

    def __len__(self) -> int:
        return len(self._queue)

    def sent_less_than(self, times: int) -> bool:
        """Whether something was sent fewer than `times` times."""
        least = self._queue.least
        return least is not None and least < times


class MemberQueue(_Lane[str]):
    """Members of which there is news."""

    def push(self, name: str) -> None:
        """There is news of a member."""
        self._queue.put(name, 0)

    def take(
        self, share: int, room: int, sends_max: int, pack: Callable[[str], Packed | None]
    ) -> list[Packed]:
        """Packed views of at most `share` bytes, or a single one of at most `room` bytes.

        `pack` gives None for a member not shared.
        """
        taken: dict[str, Packed] = {}
        unshared: list[str] = []
        misses = 0
        for name in self._queue:
            free = share if taken else room
            if free <= 0 or misses == _MISSES_MAX:
                break
            packed = pack(name)
            if packed is None:
                unshared.append(name)
            elif len(packed) > free:
                misses += 1
            else:
                share -= len(packed)
                taken[name] = packed
        for name in unshared:
            self._queue.drop(name)
        for name in taken:
            sent = (self._queue.sent(name) or 0) + 1
            if is_told(sent, sends_max):
                self._queue.drop(name)
            else:
                self._queue.put(name, sent)
        return list(taken.values())


class _Span(NamedTuple):
    """News `(start, end]` of a stream, and how often it was sent."""

    start: int
    end: int
    sent: int


class LogQueue(_Lane[Stream]):
    """Streams of which there is news: disjoint spans, oldest first, each with a count.

    A stream that changes all the time keeps a few spans, so that what was sent often enough leaves
    while newer news stays. A span that is larger than a datagram is split: what did not fit keeps
    its count, and follows.
    """

    def __init__(self, log: Log) -> None:
        super().__init__()  # each stream by the count of its least sent span
        self._log = log
        self.is_crowded = False
        """Whether there has been more news than could be told for a while: then it is told to each
        peer once at most, and repair brings what is lost."""
        self._spans: dict[Stream, list[_Span]] = {}

    def push(self, stream: Stream, start: int) -> None:
        """There is news of a stream above seq `start`."""
        spans = self._spans.get(stream, ())
        if spans and spans[-1].sent == 0 and spans[-1].start <= start and spans[-1].end == _OPEN:
            return  # it is in there, and that was not sent yet
        older = (span._replace(end=min(span.end, start)) for span in spans if span.start < start)
        self._spans[stream] = _joined([*older, _Span(start, _OPEN, 0)])
        if self._queue.sent(stream) != 0:
            self._queue.put(stream, 0)

    def take(self, budget: int, sends_max: int, now: float) -> list[Packed]:
        """Packed groups of at most `budget` bytes."""
        taken: dict[Stream, tuple[int, int]] = {}
        groups: list[Packed] = []
        silent: list[Stream] = []
        misses = 0
        for stream in self._queue:
            if budget <= GROUP_OVERHEAD or misses == _MISSES_MAX:
                break
            start, end = self._untold(stream)
            if not self._log.has_news(stream, start, end):
                silent.append(stream)
                continue
            # Between the next record and `start` lies nothing, so that it costs nothing to claim.
            start = self._log.newest_at_or_below(stream, start)
            cut = cut_group(self._log, stream, start, end, budget, now)
            if cut is None:
                misses += 1
                continue
            groups.append(pack_group(stream, cut.start, cut.to, cut.packed))
            budget -= len(groups[-1])
            taken[stream] = cut.above, end
        for stream in silent:
            self._count(stream, *self._untold(stream), 0)
        for stream, told in taken.items():
            self._count(stream, *told, sends_max)
        return groups

    def _untold(self, stream: Stream) -> tuple[int, int]:
        """What the next group is made from: from the newest span sent least down to the oldest."""
        spans = self._spans[stream]
        least = self._queue.sent(stream)
        return spans[0].start, max(span.end for span in spans if span.sent == least)

    def _count(self, stream: Stream, above: int, end: int, sends_max: int) -> None:
        """What is in `(above, end]` was sent once more."""
        parts: list[_Span] = []
        for span in self._spans[stream]:
            told = _Span(max(span.start, above), min(span.end, end), span.sent + 1)
            parts.append(span._replace(end=min(span.end, above)))
            if not is_told(told.sent, sends_max):
                parts.append(told)
            parts.append(span._replace(start=max(span.start, end)))
        spans = _joined(part for part in parts if part.start < part.end)
        if spans:
            self._spans[stream] = spans
            self._queue.put(stream, min(span.sent for span in spans))
        else:
            del self._spans[stream]
            self._queue.drop(stream)


def _joined(parts: Iterable[_Span]) -> list[_Span]:
    """Neighbours sent equally often as one; of too many, the two that were sent most."""
    spans: list[_Span] = []
    for part in parts:
        if spans and (spans[-1].end, spans[-1].sent) == (part.start, part.sent):
            part = part._replace(start=spans.pop().start)
        spans.append(part)
    while len(spans) > _SPANS_MAX:
        # Never two of which one was sent least while there are others: it would come for ever.
        at = max(range(len(spans) - 1), key=lambda at: min(spans[at].sent, spans[at + 1].sent))
        older, newer = spans[at : at + 2]
        spans[at : at + 2] = [_Span(older.start, newer.end, min(older.sent, newer.sent))]
    return spans
