"""The ghost record: every increment and every put that was committed, which nobody in the world
can see.

I1: one content per (stream, seq), one writer per stream. I11: increment ids are a bijection.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator
from typing import NamedTuple
from uuid import RFC_4122

from gossipd.core import Node, Stream, identity
from gossipd.core.wire.records import Register
from tests.simulation.faulty.world import Made, PutAnswer, World


class Event(NamedTuple):
    """One increment of a counter."""

    seq: int
    total: int
    """The sum of `by` of its stream and counter up to this event."""


class Ghosts:
    """What was made in a world, by stream and by counter."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._read = 0
        self._puts_read = 0
        self._puts: dict[tuple[Stream, Register], None] = {}
        self._ranges: dict[Stream, tuple[int, int]] = {}
        """The smallest and largest total put to each source, and 0, which it begins with."""
        self._made: dict[tuple[Stream, int], tuple[Made, int]] = {}
        self._counters: dict[Stream, dict[str, list[Event]]] = {}
        self._doubtful: dict[tuple[Stream, str, Event], None] = {}
        """Events that may count or not, as their commit failed."""
        self._last: dict[Stream, int] = {}
        self._positive: dict[str, int] = {}
        self._negative: dict[str, int] = {}
        self._writers: dict[Stream, Node] = {}
        self._shared: dict[Stream, int] = {}
        """Streams with two histories, and the last seq that both have."""
        self._forked: dict[tuple[Stream, int, str, str], None] = {}
        """(stream, seq, counter, host) of what was made under them."""

    # --- queries -----------------------------------------------------------------------------

    @property
    def streams(self) -> list[Stream]:
        """Every stream under which something was made, but those with two histories."""
        return [stream for stream in self._counters if stream not in self._shared]

    @property
    def stream_count(self) -> int:
        """How many streams there are."""
        return len(self._counters)

    @property
    def register_count(self) -> int:
        """How many registers hold everything that was made."""
        return sum(map(len, self._counters.values()))

    def counters(self, stream: Stream) -> dict[str, list[Event]]:
        """The events of a stream by counter, oldest first."""
        return self._counters.get(stream, {})

    def ends(self, stream: Stream, counter: str) -> list[tuple[int, int]]:
        """Which registers of a stream may be the last ones: that of its newest event, and those
        below it as far as what is above may not count."""
        ends: list[tuple[int, int]] = []
        for event in reversed(self._counters[stream][counter]):
            ends.append(event)
            if (stream, counter, event) not in self._doubtful:
                return ends
        return [*ends, (0, 0)]

    def newest(self, stream: Stream) -> int:
        """The seq of the newest event of a stream."""
        return self._last.get(stream, 0)

    def needed(self, stream: Stream, above: int, upto: int) -> Iterator[tuple[str, int]]:
        """(counter, seq) of what whoever claims to hold all of `(above, upto]` has to hold.

        Costs the shorter one of the span and the list of counters.
        """
        counters = self.counters(stream)
        if upto - above < len(counters):
            for seq in range(above + 1, upto + 1):
                found = self._made.get((stream, seq))
                if found is not None:
                    yield found[0].counter, seq
            return
        for counter, events in counters.items():
            index = bisect_right(events, upto, key=lambda event: event.seq)
            if index and events[index - 1].seq > above:
                yield counter, events[index - 1].seq

    def positive(self, counter: str) -> int:
        """The sum of what was added to a counter."""
        return self._positive.get(counter, 0)

    def negative(self, counter: str) -> int:
        """The sum of what was taken from a counter, as a number above 0."""
        return self._negative.get(counter, 0)

    @property
    def has_clones(self) -> bool:
        """Whether any stream has two histories."""
        return bool(self._shared)

    def is_shared(self, stream: Stream) -> bool:
        """Whether a stream has two histories, so that its contents prove nothing."""
        return stream in self._shared

    # --- checks ------------------------------------------------------------------------------

    def share(self, stream: Stream) -> None:
        """A live clone was made of the process that writes this stream: two contents under one id
        are expected from here on, and that its writers notice."""
        self._note_made()
        self._shared[stream] = self.newest(stream)

    def read(self) -> None:
        """Note what was made since the last time (I1, I11), and who writes what (I1)."""
        self._note_made()
        for name, node in self._world.running.items():
            stream = node.stream
            if stream is not None and stream not in self._shared:
                writer = self._writers.setdefault(stream, node)
                assert writer is node, f"I1: {name} resumes the stream of another process"

    def check_register(self, stream: Stream, register: Register, where: str) -> None:
        """I1, I2: a register is that of an event that was made."""
        if stream in self._shared:
            return
        counter, seq, total = register
        if stream[0] & identity.SOURCE_BIT:
            put = (stream, register) in self._puts
            assert put, f"I1: {where} {register} of a source, which nobody put"
            return
        found = self._made.get((stream, seq))
        assert found is not None, f"I1: {where} {register}, which nobody made"
        made, sum_made = found
        assert made.counter == counter, f"I1: {where} {register}, made was {made}"
        assert total == sum_made, f"I2: {where} {register}, the sum is {sum_made}"

    def check_clones(self) -> None:
        """I1: after its news has spread, no clone writes on under a stream of which it holds
        something that another one made."""
        for name, node in self._world.running.items():
            stream = node.stream
            if stream is None or stream not in self._shared:
                continue
            for counter, seq, _ in node.log.by_name(stream, 0, ""):
                own = (stream, seq, counter, name) in self._forked
                assert own or seq <= self._shared[stream], f"I1: {name} has not noticed its clone"

    def _note_made(self) -> None:
        for made in self._world.made[self._read :]:
            self._note(made)
        self._read = len(self._world.made)
        for answer in self._world.puts[self._puts_read :]:
            if answer.committed or answer.doubtful:
                self._note_put(answer)
        self._puts_read = len(self._world.puts)

    def _note_put(self, answer: PutAnswer) -> None:
        stream, counter, seq, total = answer.put
        register = (counter, seq, total)
        if answer.committed:
            self._doubtful.pop((stream, counter, Event(seq, total)), None)
        if (stream, register) in self._puts:
            return
        if answer.doubtful:
            self._doubtful[stream, counter, Event(seq, total)] = None
        self._puts[stream, register] = None
        insort(self._counters.setdefault(stream, {}).setdefault(counter, []), Event(seq, total))
        self._last[stream] = max(seq, self.newest(stream))
        low, high = self._ranges.get(stream, (0, 0))
        lower, higher = min(low, total), max(high, total)
        self._ranges[stream] = (lower, higher)
        self._positive[counter] = self.positive(counter) + higher - high
        self._negative[counter] = self.negative(counter) + higher - lower - (high - low)

    def _note(self, made: Made) -> None:
        place = (made.stream, made.seq)
        events = self._counters.setdefault(made.stream, {}).setdefault(made.counter, [])
        if made.stream in self._shared:
            self._forked[made.stream, made.seq, made.counter, made.host] = None
        else:
            other = self._made.get(place)
            assert other is None, f"I1: {made} and {other} have one id"
        _check_id(made.stream, made.seq)
        total = (events[-1].total if events else 0) + made.by
        events.append(Event(made.seq, total))
        if not made.certain:
            self._doubtful[made.stream, made.counter, events[-1]] = None
        self._made[place] = (made, total)
        self._last[made.stream] = max(made.seq, self.newest(made.stream))
        bucket = self._positive if made.by > 0 else self._negative
        bucket[made.counter] = bucket.get(made.counter, 0) + abs(made.by)


def _check_id(stream: Stream, seq: int) -> None:
    """I11: a UUID of version 8 that shows the seq in its last group and names this event only."""
    uuid = identity.increment_id(stream, seq)
    what = f"increment id {uuid} of event {seq}"
    assert uuid.version == 8, f"I11: {what} is of version {uuid.version}"
    assert uuid.variant == RFC_4122, f"I11: {what} has another variant"
    assert str(uuid).endswith(f"-{seq:012x}"), f"I11: {what} does not end with it"
    kind = int.from_bytes(stream, "big") >> (identity.STREAM_BITS - 1)
    assert kind == 0, f"I11: {what} has a stream of another kind"
    assert identity.parse_increment_id(uuid) == (stream, seq), f"I11: {what} names another event"
