"""What there is to tell: two queues from which every datagram is filled.

Members first, within a reserved share, then news of the log; in each the item that was sent least
comes first. An item leaves after `retransmit_mult x ceil(log10(N + 1))` transmissions. Nothing
here sends: an item is counted when the caller takes it for a datagram.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .codec import GROUP_OVERHEAD, Packed, pack_group, pack_register
from .identity import Stream
from .log import Log

_SPANS_MAX = 8
_MISSES_MAX = 8
"""Items that do not fit before a datagram counts as full."""


def transmissions(retransmit_mult: int, live_count: int) -> int:
    """How often each item is sent in a cluster of that size."""
    return retransmit_mult * math.ceil(math.log10(live_count + 1))


class MemberLane:
    """Members of which there is news, and how often it was sent."""

    def __init__(self) -> None:
        self._sent: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._sent)

    def push(self, name: str) -> None:
        """There is news of a member."""
        self._sent.pop(name, None)
        self._sent[name] = 0

    @property
    def fresh(self) -> bool:
        """Whether something was never sent."""
        return 0 in self._sent.values()

    def take(
        self, share: int, room: int, sends_max: int, pack: Callable[[str], Packed | None]
    ) -> list[Packed]:
        """Packed views of at most `share` bytes, or a single one of at most `room` bytes.

        `pack` gives None for a member not shared.
        """
        taken: list[Packed] = []
        misses = 0
        for name in sorted(self._sent, key=self._sent.__getitem__):
            packed = pack(name)
            if packed is None:
                del self._sent[name]
                continue
            if len(packed) > (share if taken else room):
                misses += 1
                if misses == _MISSES_MAX:
                    break
                continue
            share -= len(packed)
            taken.append(packed)
            self._sent[name] += 1
            if self._sent[name] >= sends_max:
                del self._sent[name]
        return taken


class LogLane:
    """Streams of which there is news: spans `(start, ...]` and how often each was sent.

    A stream that changes all the time keeps a few spans, so that what was sent often enough leaves
    while newer news stays.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._spans: dict[Stream, list[tuple[int, int]]] = {}

    def __len__(self) -> int:
        return len(self._spans)

    @property
    def fresh(self) -> bool:
        """Whether something was never sent."""
        return any(spans[-1][1] == 0 for spans in self._spans.values())

    def push(self, stream: Stream, start: int) -> None:
        """There is news of a stream above seq `start`."""
        spans = self._spans.setdefault(stream, [])
        if spans and spans[-1][1] == 0:
            spans[-1] = (min(start, spans[-1][0]), 0)
        else:
            spans.append((start, 0))
        if len(spans) > _SPANS_MAX:
            (first, sent), (second, sent_less) = spans[:2]
            spans[:2] = [(min(first, second), min(sent, sent_less))]

    def take(self, budget: int, sends_max: int) -> list[Packed]:
        """Packed groups of at most `budget` bytes."""
        taken: list[Packed] = []
        misses = 0
        for stream in sorted(self._spans, key=lambda stream: self._spans[stream][-1][1]):
            start = min(start for start, _ in self._spans[stream])
            if self._log.newest(stream) <= start:
                del self._spans[stream]  # nothing to tell
                continue
            packed = self._group(stream, start, budget)
            if packed is None:
                misses += 1
                if misses == _MISSES_MAX:
                    break
                continue
            budget -= len(packed)
            taken.append(packed)
            spans = [(start, sent + 1) for start, sent in self._spans[stream]]
            self._spans[stream] = [span for span in spans if span[1] < sends_max]
            if not self._spans[stream]:
                del self._spans[stream]
        return taken

    def _group(self, stream: Stream, start: int, budget: int) -> Packed | None:
        """Everything above `start`, newest first; None when not one register fits.

        What does not fit raises `start` to the newest seq left out. What lies below `start`
        without a register between costs nothing, so `start` falls to the next register.
        """
        budget -= GROUP_OVERHEAD
        records: list[Packed] = []
        for register in self._log.newest_first(stream, start):
            packed = pack_register(register)
            if len(packed) > budget:
                start = register[1]
                break
            budget -= len(packed)
            records.append(packed)
        else:
            start = self._log.newest_at_or_below(stream, start)
        if not records:
            return None
        to = max(start, self._log.version(stream))
        return pack_group(stream, start, to, records)
