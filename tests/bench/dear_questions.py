"""Questions of a peer that cost most, and its answers to those of the node."""

from __future__ import annotations

from collections.abc import Iterator

from gossipd.core import MemberView, Status, StreamSnapshot
from gossipd.core.wire.messages import (
    DIGEST_BITS,
    DIGEST_FANOUT,
    PAGES_MAX,
    PASS_ITEMS_MAX,
    Digest,
    DigestAsk,
    Held,
    Hold,
    MembersAsk,
    MembersPage,
    Pages,
    PassAsk,
    Ping,
    Shown,
)
from gossipd.core.wire.records import Double, Leaf, Page, PassItem
from tests.bench.victim import (
    LIAR,
    OTHER,
    SAMPLES,
    SIZE,
    Case,
    Victim,
    below,
    fitting,
)
from tests.commits import count_all


def digest(size: int) -> float:
    """Everything lies below one prefix of the digest."""
    victim = Victim()
    victim.hold(*(StreamSnapshot(below(seq), 1, (("c", 1, 1),)) for seq in range(size)))
    return max(
        victim.cost([victim.says(DigestAsk(1, depth, 0, SIZE))] * SAMPLES) for depth in range(13)
    )


def pages(size: int) -> float:
    """A stream of many counters, of which one in three is asked for."""
    victim = Victim()
    held = tuple((f"c{number:07}", number, 1) for number in range(1, size + 1))
    victim.hold(StreamSnapshot(LIAR, size, held))
    asks = [
        PassAsk(1, (PassItem(LIAR, start, (0, "c0")),), PAGES_MAX, SIZE, 0)
        for start in (0, size // 3, size - 2000, size - 50, size)
    ]
    return max(victim.cost([victim.says(ask)] * SAMPLES) for ask in asks)


def many_pages(size: int) -> float:
    """Many passes in one question, each over a stream of many counters."""
    victim = Victim()
    ids = [below(number) for number in range(PASS_ITEMS_MAX)]
    held = tuple((f"c{number:07}", number, 1) for number in range(1, size // len(ids) + 1))
    victim.hold(*(StreamSnapshot(stream, size, held) for stream in ids))
    items = tuple(PassItem(stream, len(held) - 5, (0, "c0")) for stream in ids)
    return victim.cost([victim.says(PassAsk(1, items, PAGES_MAX, SIZE, 0))] * SAMPLES)


def members_pages(size: int) -> float:
    victim = Victim(size)
    return victim.cost([victim.says(MembersAsk(1, "", PAGES_MAX, SIZE))] * SAMPLES)


# --- answers -------------------------------------------------------------------------------------


def shows(victim: Victim, log: int, members: int) -> bytes:
    """The peer shows that it holds something else."""
    return victim.says(Ping(1, "own", Shown(log, members, True)))


def digests(size: int) -> float:
    """All that is below a prefix of many streams differs, as sums."""
    victim = Victim()
    victim.hold(*(StreamSnapshot(below(seq), 1, (("c", 1, 1),)) for seq in range(size)))

    def datagrams() -> Iterator[bytes]:
        asks: list[DigestAsk] = []
        for _ in range(4 * SAMPLES):
            while not (asks := asks or victim.asked(DigestAsk)):
                victim.waits(1.5)
                victim.hears(shows(victim, victim.rng.getrandbits(64), 1))
            ask = asks.pop()
            sums = tuple(victim.rng.getrandbits(64) for _ in range(DIGEST_FANOUT))
            if ask.prefix << DIGEST_BITS >= size:
                sums = (1,) + (0,) * (DIGEST_FANOUT - 1)  # where the streams are not
            yield victim.says(Digest(ask.nonce, ask.depth, ask.prefix, None, sums))

    return victim.cost(datagrams())


def pages_of_doubles(size: int) -> float:
    """Pages full of doubles, of a stream of which many are held."""
    victim = Victim()
    doubles = tuple(Double("c", 2 * seq, 1, LIAR, seq, 0) for seq in range(1, size + 1))
    for stream in (LIAR, OTHER):
        registers = (("c", 2 * size + 1, 1),)
        held = StreamSnapshot(stream, 1, registers, (), doubles if stream == OTHER else ())
        victim.hold(held)
    victim.hears(shows(victim, 1, 1))
    ask = victim.asked(DigestAsk)[0]
    victim.hears(victim.says(Digest(ask.nonce, 0, 0, (Leaf(OTHER, 2 * size, 1),), None)))
    nonce = victim.asked(PassAsk)[0].nonce

    def datagrams() -> Iterator[bytes]:
        for _ in range(SAMPLES):
            seqs = iter(sorted(victim.rng.sample(range(size), 60)))
            new = fitting(Double("c", 2 * seq + 1, 1, LIAR, seq + 1, 0) for seq in seqs)
            after, upto = (new[0].seq - 1, ""), (new[-1].seq, "")
            page = Page(OTHER, 0, after, upto, 1, (), (), new)
            yield victim.says(Pages(nonce, (page,), False))

    cost = victim.cost(datagrams())
    assert len(victim.node.log.doubles) > size + SAMPLES
    return cost


def members_answers(size: int) -> float:
    """Pages of members that are new, to a node that knows many."""
    victim = Victim(size)

    def datagrams() -> Iterator[bytes]:
        for number in range(SAMPLES):
            victim.waits(5.0)
            victim.hears(shows(victim, 1, victim.rng.getrandbits(64)))
            ask = victim.asked(MembersAsk)[-1]
            new = tuple(
                MemberView(f"n{number}-{at}", ("10.9.0.1", 1 + at), 1, 0, Status.FAILED, (), 1)
                for at in range(30)
            )
            yield victim.says(MembersPage(ask.nonce, ask.after, new[-1].name, new))

    return victim.cost(datagrams())


def copies(size: int) -> float:
    """An answer that many wishes for copies wait for."""
    costs: list[float] = []
    for _ in range(3):
        victim = Victim()
        count_all(victim.node, [("c", 1)] * size, victim.now, victim.now)
        stream = victim.node.stream
        assert stream is not None
        for token in range(size):
            victim.effects += victim.node.await_copies(
                token, stream, token + 1, 2, victim.now + 60.0, victim.now, memory=True
            )
        hold = victim.asked(Hold)[-1]
        held = Held(hold.nonce, False, ((stream, size),), True)
        costs.append(victim.cost([victim.says(held)]))
    return min(costs)


CASES = (
    Case("DigestAsk", "streams of one prefix", 3_000, digest),
    Case("PassAsk", "counters of one stream", 30_000, pages),
    Case("PassAsk", "counters of 32 streams", 30_000, many_pages),
    Case("MembersAsk", "members", 1_900, members_pages),
    Case("Digest", "streams of one prefix", 3_000, digests),
    Case("Pages", "doubles of one stream", 10_000, pages_of_doubles),
    Case("MembersPage", "members", 1_400, members_answers),
    Case("Held", "wishes for copies", 400, copies),
)
