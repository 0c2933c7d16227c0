"""What one datagram of a peer costs at most: the dearest of each kind, and how that grows.

    python -m tests.bench.costs [--quick] [--json]

A peer that is a member sends what costs most, to a core that holds much: the median of the last
datagrams of a case, in CPU time of this process, then the same with ten times as much held. No
input may cost more than a millisecond, and ten times the size at most twelve times the cost (a
core that answers within some 100 us is not looked at for growth). It takes half a minute.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count
from random import Random
from statistics import median
from typing import NamedTuple, TypeVar

from gossipd.core import Address, Image, MemberView, Node, Settings, Status, StreamImage, TagFrame
from gossipd.core.encoding import pack_body, pack_head, pack_record, pack_view
from gossipd.core.identity import SEQ_MAX, STREAM_BYTES, Stream
from gossipd.core.messages import (
    PAGES_MAX,
    PASS_ITEMS_MAX,
    DigestAsk,
    Gossip,
    Group,
    Hold,
    Join,
    KeyRecord,
    MembersAsk,
    Message,
    PassAsk,
    PassItem,
    Ping,
    Record,
    Shown,
    Standing,
)
from tests.bench.program import Row, options, report
from tests.unit.core.wire_examples import packed

COST_MAX = 1.0
"""Milliseconds that one datagram may take."""

GROWTH_MAX = 12.0
"""Times the cost of ten times the size."""

CHEAP = 0.1
"""Milliseconds: what costs less is not looked at for growth: that is the way through Python."""

SETTLES = 0.02
"""Seconds for which what a datagram has begun goes on."""

SAMPLES = 30
"""Datagrams of which the median is taken."""

FRAME = TagFrame("costs")
PEER: Address = ("10.0.0.2", 7946)
SIZE = 1400
LIAR: Stream = bytes(9) + b"\x07"

R = TypeVar("R", bound=Record)


class Bench:
    """A node that is full of something, and the peer that speaks to it."""

    def __init__(self, members: int = 0) -> None:
        self.rng = Random(1)
        self.now = 100.0
        own = MemberView("own", ("10.0.0.1", 7946), 1, 0, Status.ALIVE)
        self.node = Node(own, Settings(alone_after=0.0), FRAME, Random(2), self.now, durable=True)
        self.node.start(True, self.now)
        views = [MemberView("peer", PEER, 1, 0, Status.ALIVE)]
        views += [
            MemberView(f"m{number}", (f"10.1.{number >> 8}.{number & 255}", 1), 1, 0, Status.ALIVE)
            for number in range(members)
        ]
        self.node.load(Image((), tuple(views)), self.now, met=True)

    def hold(self, *streams: StreamImage) -> None:
        """Take in what an earlier life has stored."""
        self.node.load(Image(streams, ()), self.now)

    def says(
        self,
        message: Message,
        groups: Iterable[Group] = (),
        views: Iterable[MemberView] = (),
        name: str = "peer",
    ) -> bytes:
        head = pack_head(name, 1, 0, message)
        return FRAME.close(pack_body(head, list(map(pack_view, views)), list(map(packed, groups))))

    def cost(self, datagrams: Iterable[bytes]) -> float:
        """Milliseconds that each of the last datagrams took, or the dearest of the timers that
        followed."""
        took: list[float] = []
        for data in datagrams:
            assert len(data) <= SIZE, len(data)
            self.now += 0.001
            cost = self._timed(partial(self.node.receive_datagram, data, PEER, self.now))
            until = self.now + SETTLES
            while (at := self.node.next_timeout) is not None and at <= until:
                self.now = max(self.now, at)
                cost = max(cost, self._timed(partial(self.node.handle_timeout, self.now)))
            took.append(cost)
        return median(took[-SAMPLES:])

    def _timed(self, what: Callable[[], object]) -> float:
        began = time.process_time_ns()
        what()
        return (time.process_time_ns() - began) / 1e6


class Case(NamedTuple):
    """Something that a peer does to a node that holds `size` of something."""

    kind: str
    what: str
    size: int
    cost: Callable[[int], float]


def fitting(records: Iterator[R], size: int = SIZE - 120) -> tuple[R, ...]:
    """As many records as a datagram holds."""
    taken: list[R] = []
    for record in records:
        size -= len(pack_record(record))
        if size < 0:
            break
        taken.append(record)
    return tuple(taken)


def keyed(*records: KeyRecord) -> Group:
    return Group(LIAR, 0, 0, (), records)


# --- news of the log -----------------------------------------------------------------------------


def one_key(size: int) -> float:
    """All events of a stream have one key."""
    return _one_key(Bench(), count(1), size)


def one_key_falling(size: int) -> float:
    """The same, each event smaller than all before."""
    bench = Bench()
    bench.hold(StreamImage(LIAR, 0, (("c", SEQ_MAX, 1),)))
    return _one_key(bench, count(SEQ_MAX, -1), size)


def _one_key(bench: Bench, seqs: Iterator[int], size: int) -> float:
    def datagrams() -> Iterator[bytes]:
        sent = 0
        while sent < size:
            records = fitting(KeyRecord(bytes(16), seq, "c", 1, 0) for seq in seqs)
            sent += len(records)
            yield bench.says(Gossip(), [keyed(*records)])

    return bench.cost(datagrams())


def falling(size: int) -> float:
    """Each key record lies below all that are held."""
    bench = Bench()
    keys = tuple(
        KeyRecord(bench.rng.randbytes(16), SEQ_MAX - size + seq, "c", 1, 0) for seq in range(size)
    )
    bench.hold(StreamImage(LIAR, 0, (("c", SEQ_MAX, 1),), keys))
    seqs = count(SEQ_MAX - size - 1, -1)

    def datagrams() -> Iterator[bytes]:
        for _ in range(SAMPLES):
            new = (KeyRecord(bench.rng.randbytes(16), seq, "c", 1, 0) for seq in seqs)
            yield bench.says(Gossip(), [keyed(*fitting(new))])

    return bench.cost(datagrams())


def registers(size: int) -> float:
    """Each register lies among those that are held, by seq and by name."""
    bench = Bench()
    held = tuple((f"{seq:07}", 2 * seq, 1) for seq in range(1, size + 1))
    bench.hold(StreamImage(LIAR, 0, held))

    def datagrams() -> Iterator[bytes]:
        for _ in range(SAMPLES):
            new = (
                (f"{bench.rng.randrange(size):07}x{n}", 2 * bench.rng.randrange(size) + 1, 1)
                for n in count()
            )
            yield bench.says(Gossip(), [Group(LIAR, 0, 0, fitting(new))])

    return bench.cost(datagrams())


def streams(size: int) -> float:
    """Each group opens a stream below those that are held, which have one prefix."""
    bench = Bench()
    bench.hold(*(StreamImage(below(2 * seq), 1, (("c", 1, 1),)) for seq in range(size)))

    def datagrams() -> Iterator[bytes]:
        for _ in range(SAMPLES):
            new = [below(2 * bench.rng.randrange(size) + 1) for _ in range(30)]
            yield bench.says(Gossip(), [Group(stream, 0, 1, (("c", 1, 1),)) for stream in new])

    return bench.cost(datagrams())


def below(number: int) -> Stream:
    """One of many streams that differ in their last bits only."""
    return bytes(STREAM_BYTES - 4) + number.to_bytes(4, "big")


# --- questions -----------------------------------------------------------------------------------


def digest(size: int) -> float:
    """Everything lies below one prefix of the digest."""
    bench = Bench()
    bench.hold(*(StreamImage(below(seq), 1, (("c", 1, 1),)) for seq in range(size)))
    return max(
        bench.cost([bench.says(DigestAsk(1, depth, 0, SIZE))] * SAMPLES) for depth in range(13)
    )


def pages(size: int) -> float:
    """A stream of many counters, of which one in three is asked for."""
    bench = Bench()
    held = tuple((f"c{number:07}", number, 1) for number in range(1, size + 1))
    bench.hold(StreamImage(LIAR, size, held))
    asks = [
        PassAsk(1, (PassItem(LIAR, start, (0, "c0")),), PAGES_MAX, SIZE, 0)
        for start in (0, size // 3, size - 2000, size - 50, size)
    ]
    return max(bench.cost([bench.says(ask)] * SAMPLES) for ask in asks)


def many_pages(size: int) -> float:
    """Many passes in one question, each over a stream of many counters."""
    bench = Bench()
    ids = [below(number) for number in range(PASS_ITEMS_MAX)]
    held = tuple((f"c{number:07}", number, 1) for number in range(1, size // len(ids) + 1))
    bench.hold(*(StreamImage(stream, size, held) for stream in ids))
    items = tuple(PassItem(stream, len(held) - 5, (0, "c0")) for stream in ids)
    return bench.cost([bench.says(PassAsk(1, items, PAGES_MAX, SIZE, 0))] * SAMPLES)


def members_pages(size: int) -> float:
    bench = Bench(size)
    return bench.cost([bench.says(MembersAsk(1, "", PAGES_MAX, SIZE))] * SAMPLES)


def holds(size: int) -> float:
    """Many groups of streams that are new."""
    bench = Bench()
    bench.hold(*(StreamImage(below(2 * seq), 1, (("c", 1, 1),)) for seq in range(size)))

    def datagrams() -> Iterator[bytes]:
        for _ in range(SAMPLES):
            new = [below(2 * bench.rng.randrange(size) + 1) for _ in range(20)]
            groups = tuple(Group(stream, 0, 1, (("c", 1, 1),)) for stream in new)
            yield bench.says(Hold(bench.rng.getrandbits(64), groups))

    return bench.cost(datagrams())


# --- members -------------------------------------------------------------------------------------


def pings(size: int) -> float:
    bench = Bench(size)
    shown = Shown(1, 1, True)
    return bench.cost([bench.says(Ping(1, "own", shown))] * SAMPLES)


def views(size: int) -> float:
    """Members that are new."""
    bench = Bench(size)

    def datagrams() -> Iterator[bytes]:
        for _ in range(SAMPLES):
            new = [
                MemberView(f"n{bench.rng.random()}", ("10.9.0.1", 1), 1, 0, Status.ALIVE)
                for _ in range(25)
            ]
            yield bench.says(Gossip(), views=new)

    return bench.cost(datagrams())


def joins(size: int) -> float:
    bench = Bench(size)

    def datagrams() -> Iterator[bytes]:
        for number in range(SAMPLES):
            join = Join(number, ("10.9.0.2", 1), (), b"", Standing.NEWCOMER)
            yield bench.says(join, name=f"j{number}")

    return bench.cost(datagrams())


CASES = (
    Case("Gossip", "key records, all of one key", 500, one_key),
    Case("Gossip", "falling events of one key", 500, one_key_falling),
    Case("Gossip", "key records in falling order", 30_000, falling),
    Case("Gossip", "new registers of one stream", 30_000, registers),
    Case("Gossip", "new streams of one prefix", 30_000, streams),
    Case("DigestAsk", "streams of one prefix", 3_000, digest),
    Case("PassAsk", "counters of one stream", 30_000, pages),
    Case("PassAsk", "counters of 32 streams", 30_000, many_pages),
    Case("Hold", "new streams of one prefix", 30_000, holds),
    Case("MembersAsk", "members", 2_000, members_pages),
    Case("Ping", "members", 2_000, pings),
    Case("Gossip", "new members", 1_900, views),
    Case("Join", "members", 1_900, joins),
)


def measure(quick: bool) -> Iterator[Row]:
    for kind, what, size, cost in CASES:
        size = size // 10 if quick else size
        few, many = cost(size), cost(10 * size)
        growth = many / max(few, CHEAP)
        yield Row(f"{kind}: {10 * size:,} {what}", many, COST_MAX, "ms", note=f"x{growth:.1f}")
        yield Row("  times the cost of a tenth", growth, GROWTH_MAX, "")


def main(arguments: list[str]) -> int:
    """Measure and print; 1 when a bound was missed."""
    wanted = options(__doc__).parse_args(arguments)
    return report(measure(wanted.quick), wanted.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
