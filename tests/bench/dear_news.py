"""News of the log that costs most: key records, registers, streams, claims."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from gossipd.core import StreamSnapshot
from gossipd.core.identity import SEQ_MAX
from gossipd.core.wire.messages import Gossip, Hold
from gossipd.core.wire.records import Group, KeyRecord
from tests.bench.victim import (
    LIAR,
    OTHER,
    SAMPLES,
    Case,
    Victim,
    below,
    fitting,
    keyed,
)


def one_key(size: int) -> float:
    """All events of a stream have one key."""
    return _one_key(Victim(), count(1), size)


def one_key_falling(size: int) -> float:
    """The same, each event smaller than all before."""
    victim = Victim()
    victim.hold(StreamSnapshot(LIAR, 0, (("c", SEQ_MAX, 1),)))
    return _one_key(victim, count(SEQ_MAX, -1), size)


def _one_key(victim: Victim, seqs: Iterator[int], size: int) -> float:
    def datagrams() -> Iterator[bytes]:
        sent = 0
        while sent < size:
            records = fitting(KeyRecord(bytes(16), seq, "c", 1, 0) for seq in seqs)
            sent += len(records)
            yield victim.says(Gossip(), [keyed(*records)])

    return victim.cost(datagrams())


def falling(size: int) -> float:
    """Each key record lies below all that are held."""
    victim = Victim()
    keys = tuple(
        KeyRecord(victim.rng.randbytes(16), SEQ_MAX - size + seq, "c", 1, 0) for seq in range(size)
    )
    victim.hold(StreamSnapshot(LIAR, 0, (("c", SEQ_MAX, 1),), keys))
    seqs = count(SEQ_MAX - size - 1, -1)

    def datagrams() -> Iterator[bytes]:
        for _ in range(SAMPLES):
            new = (KeyRecord(victim.rng.randbytes(16), seq, "c", 1, 0) for seq in seqs)
            yield victim.says(Gossip(), [keyed(*fitting(new))])

    return victim.cost(datagrams())


def registers(size: int) -> float:
    """Each register lies among those that are held, by seq and by name."""
    victim = Victim()
    held = tuple((f"{seq:07}", 2 * seq, 1) for seq in range(1, size + 1))
    victim.hold(StreamSnapshot(LIAR, 0, held))

    def datagrams() -> Iterator[bytes]:
        for _ in range(SAMPLES):
            new = (
                (f"{victim.rng.randrange(size):07}x{n}", 2 * victim.rng.randrange(size) + 1, 1)
                for n in count()
            )
            yield victim.says(Gossip(), [Group(LIAR, 0, 0, fitting(new))])

    return victim.cost(datagrams())


def streams(size: int) -> float:
    """Each group opens a stream below those that are held, which have one prefix."""
    victim = Victim()
    victim.hold(*(StreamSnapshot(below(2 * seq), 1, (("c", 1, 1),)) for seq in range(size)))

    def datagrams() -> Iterator[bytes]:
        for _ in range(SAMPLES):
            new = [below(2 * victim.rng.randrange(size) + 1) for _ in range(30)]
            yield victim.says(Gossip(), [Group(stream, 0, 1, (("c", 1, 1),)) for stream in new])

    return victim.cost(datagrams())


def crowded(size: int) -> float:
    """Each of many keys names as many events as it may, and is told one smaller than all."""
    victim = Victim()
    victim.hold(StreamSnapshot(LIAR, 0, (("c", SEQ_MAX, 1),)))
    seqs = count(SEQ_MAX, -1)
    keys = [victim.rng.randbytes(16) for _ in range(size // 40)]

    def datagrams() -> Iterator[bytes]:
        for _ in range(40):
            for at in range(0, len(keys), 25):
                records = (KeyRecord(key, next(seqs), "c", 1, 0) for key in keys[at : at + 25])
                yield victim.says(Gossip(), [keyed(*records)])

    return victim.cost(datagrams())


def claims(size: int) -> float:
    """A claim covers a part of the key records above it, the more the later."""
    victim = Victim()
    keys = tuple(KeyRecord(victim.rng.randbytes(16), seq, "c", 1, 0) for seq in range(1, size + 1))
    victim.hold(StreamSnapshot(LIAR, 0, (("c", SEQ_MAX, 1),), keys))
    step = size // (SAMPLES + 1)
    return victim.cost(
        victim.says(Gossip(), [Group(LIAR, 0, step * number + step // 2, ())])
        for number in range(1, SAMPLES + 1)
    )


def awaited(size: int) -> float:
    """A register comes that very many doubles wait for."""
    costs: list[float] = []
    for _ in range(3):
        victim = Victim()
        keys = [victim.rng.randbytes(16) for _ in range(size)]
        for stream, counter in ((LIAR, "c"), (OTHER, "d")):
            records = tuple(KeyRecord(key, at + 1, "c", 1, 0) for at, key in enumerate(keys))
            victim.hold(StreamSnapshot(stream, 0, ((counter, size, size),), records))
        assert len(victim.node.log.doubles) == size
        news = Group(OTHER, 0, size, (("c", size, size),))
        costs.append(victim.cost([victim.says(Gossip(), [news])]))
    return min(costs)


def holds(size: int) -> float:
    """Many groups of streams that are new."""
    victim = Victim()
    victim.hold(*(StreamSnapshot(below(2 * seq), 1, (("c", 1, 1),)) for seq in range(size)))

    def datagrams() -> Iterator[bytes]:
        for _ in range(SAMPLES):
            new = [below(2 * victim.rng.randrange(size) + 1) for _ in range(20)]
            groups = tuple(Group(stream, 0, 1, (("c", 1, 1),)) for stream in new)
            yield victim.says(Hold(victim.rng.getrandbits(64), groups))

    return victim.cost(datagrams())


CASES = (
    Case("Gossip", "key records, all of one key", 500, one_key),
    Case("Gossip", "falling events of one key", 500, one_key_falling),
    Case("Gossip", "keys that name many events", 1_000, crowded),
    Case("Gossip", "key records in falling order", 30_000, falling),
    Case("Gossip", "key records that are claimed", 30_000, claims),
    Case("Gossip", "doubles that wait for a register", 3_000, awaited),
    Case("Gossip", "new registers of one stream", 30_000, registers),
    Case("Gossip", "new streams of one prefix", 30_000, streams),
    Case("Hold", "new streams of one prefix", 30_000, holds),
)
