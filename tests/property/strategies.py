"""Legal values of everything that travels."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from hypothesis import strategies as st

from gossipd.core.identity import (
    BY_MAX,
    COUNTER_BYTES_MAX,
    GENERATION_MAX,
    INCARNATION_MAX,
    KEY_BYTES,
    NAME_BYTES_MAX,
    SEQ_MAX,
    STREAM_BITS,
    TOTAL_MAX,
    is_host,
)
from gossipd.core.settings import DATAGRAM_SIZE_FLOOR, DATAGRAM_SIZE_MAX
from gossipd.core.wire.encoding import pack_body, pack_head, pack_view
from gossipd.core.wire.messages import (
    ACCUSERS_MAX,
    AGE_MAX,
    COOKIE_BYTES_MAX,
    DIGEST_DEPTH_MAX,
    PAGES_MAX,
    ROUND_MAX,
    TIMEOUT_MS_MAX,
    Ack,
    Cookie,
    Digest,
    DigestAsk,
    Envelope,
    Gossip,
    Held,
    Hello,
    Hold,
    Join,
    MembersAsk,
    MembersPage,
    MemberView,
    Message,
    Nack,
    Pages,
    PassAsk,
    Ping,
    PingReq,
    Refusal,
    Refuse,
    RelayedAck,
    Shown,
    Standing,
    Status,
    Welcome,
)
from gossipd.core.wire.records import (
    AGE_WANTED_MAX,
    BEGINNING,
    END,
    Correction,
    Double,
    Group,
    KeyRecord,
    Leaf,
    Page,
    PassItem,
)
from tests.unit.core.wire.wire_examples import packed


def texts(bytes_max: int) -> st.SearchStrategy[str]:
    """Texts of 1 to that many bytes."""
    characters = st.characters(exclude_categories=("Cc", "Cs"))
    return st.text(characters, min_size=1, max_size=bytes_max).filter(
        lambda text: len(text.encode()) <= bytes_max
    )


u64 = st.integers(0, 2**64 - 1)
seqs = st.integers(0, SEQ_MAX)
names = texts(NAME_BYTES_MAX)
counters = texts(COUNTER_BYTES_MAX)
streams = st.integers(0, 2**STREAM_BITS - 1).map(lambda bits: bits.to_bytes(10, "big"))
hosts = (
    st.integers(1, 2**32 - 1).map(lambda n: str(IPv4Address(n)))
    | st.integers(1, 2**128 - 1).map(lambda n: str(IPv6Address(n)))
).filter(is_host)
addresses = st.tuples(hosts, st.integers(1, 65535))
generations = st.integers(0, GENERATION_MAX)
incarnations = st.integers(0, INCARNATION_MAX)
tags = st.dictionaries(texts(8), texts(8) | st.just(""), max_size=8).map(
    lambda tags: tuple(sorted(tags.items()))
)
views = st.builds(
    MemberView,
    names,
    addresses,
    generations,
    incarnations,
    st.sampled_from(Status),
    tags,
    st.integers(0, AGE_MAX),
    st.lists(names, max_size=ACCUSERS_MAX).map(tuple),
)
registers = st.tuples(counters, st.integers(1, SEQ_MAX), st.integers(-TOTAL_MAX, TOTAL_MAX))


def _many(
    items: st.SearchStrategy[object], max_size: int = 4, min_size: int = 0
) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(items, min_size=min_size, max_size=max_size).map(tuple)


_keys = st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES)
_amounts = st.integers(-BY_MAX, BY_MAX).filter(bool)
_ages = st.integers(0, AGE_WANTED_MAX)
_event_seqs = st.integers(1, SEQ_MAX)
_records = (
    _many(registers),
    _many(st.builds(KeyRecord, _keys, _event_seqs, counters, _amounts, _ages)),
)
_doubles = _many(
    st.builds(Double, counters, _event_seqs, _amounts, streams, _event_seqs, _ages), max_size=3
)
_sums = st.integers(-TOTAL_MAX, TOTAL_MAX)


def _correction(counter: str, seq: int, lost: int, out: int, digest: int) -> Correction:
    return Correction(counter, seq, min(seq, lost), out, digest)


_corrections = _many(st.builds(_correction, counters, _event_seqs, seqs, _sums, u64), max_size=3)
groups = st.builds(Group, streams, seqs, seqs, *_records)
positions = (
    st.sampled_from((BEGINNING, END))
    | counters.map(lambda counter: (0, counter))
    | st.integers(1, SEQ_MAX).map(lambda seq: (seq, ""))
)
_ends = st.tuples(positions, positions).map(
    lambda two: (BEGINNING, END) if two[0] == two[1] else (min(two), max(two))
)


def _lost(page: Page) -> Page:
    """With doubles that have lost to smaller events only."""
    place = page.stream
    doubles = (d for d in page.doubles if (d.winner, d.winner_seq) < (place, d.seq))
    return page._replace(doubles=tuple(doubles))


pages = st.tuples(_ends, streams, seqs, seqs, *_records, _doubles, _corrections).map(
    lambda p: _lost(Page(p[1], p[2], *p[0], *p[3:]))
)
shown = st.builds(Shown, u64, u64, st.booleans(), st.integers(0, ROUND_MAX))
_depths = st.integers(0, DIGEST_DEPTH_MAX)
_prefixes = _depths.flatmap(
    lambda depth: st.tuples(st.just(depth), st.integers(0, 2 ** (6 * depth) - 1))
)
_leaves = st.builds(Leaf, streams, seqs, u64)
_items = st.builds(
    PassItem,
    streams,
    seqs,
    positions.filter(lambda position: position != END),
    st.booleans(),
    st.just(0) | seqs,
)
_page_counts = st.integers(1, PAGES_MAX)
_sizes = st.integers(DATAGRAM_SIZE_FLOOR, DATAGRAM_SIZE_MAX)
_cookies = st.binary(max_size=COOKIE_BYTES_MAX)
_starts = names | st.just("")


def _digest(
    nonce: int, at: tuple[int, int], leaves: tuple[Leaf, ...], sums: tuple[int, ...] | None
) -> Digest:
    return Digest(nonce, at[0], at[1], None if sums else leaves, sums)


MESSAGES: dict[type[Message], st.SearchStrategy[Message]] = {
    Ping: st.builds(Ping, u64, names, shown),
    Ack: st.builds(Ack, u64, shown),
    PingReq: st.builds(PingReq, u64, names, addresses, st.integers(1, TIMEOUT_MS_MAX)),
    RelayedAck: st.builds(RelayedAck, u64),
    Nack: st.builds(Nack, u64),
    Gossip: st.builds(Gossip),
    Join: st.builds(Join, u64, addresses, tags, _cookies, st.sampled_from(Standing)),
    Cookie: st.builds(Cookie, u64, _cookies, addresses),
    Welcome: st.builds(Welcome, u64, shown),
    Refuse: st.builds(
        Refuse, u64, st.sampled_from(Refusal), addresses, generations, st.sampled_from(Standing)
    ),
    DigestAsk: st.builds(
        lambda nonce, at, size: DigestAsk(nonce, at[0], at[1], size), u64, _prefixes, _sizes
    ),
    Digest: st.builds(
        _digest,
        u64,
        _prefixes,
        _many(_leaves),
        st.none() | st.lists(u64, min_size=64, max_size=64).map(tuple),
    ),
    PassAsk: st.builds(
        PassAsk, u64, _many(_items, 32, 1), _page_counts, _sizes, st.integers(0, AGE_WANTED_MAX)
    ),
    Pages: st.builds(Pages, u64, _many(pages), st.booleans()),
    MembersAsk: st.builds(MembersAsk, u64, _starts, _page_counts, _sizes),
    MembersPage: st.builds(MembersPage, u64, _starts, _starts, _many(views)),
    Hold: st.builds(Hold, u64, _many(groups, 4, 1)),
    Held: st.builds(Held, u64, st.booleans(), _many(st.tuples(streams, seqs)), st.booleans()),
    Hello: st.builds(Hello, u64, u64),
}
"""A strategy for every kind of message."""


def envelopes(
    messages: st.SearchStrategy[Message] | None = None,
) -> st.SearchStrategy[Envelope]:
    """Envelopes around some kind of message."""
    chosen = st.one_of(*MESSAGES.values()) if messages is None else messages
    riding = (_many(views, 3), _many(groups, 3))
    return st.builds(Envelope, names, generations, incarnations, chosen, *riding)


def encode(envelope: Envelope) -> bytes:
    """The body of an envelope, as a packet builder would write it."""
    head = pack_head(envelope.sender, envelope.generation, envelope.incarnation, envelope.message)
    riding = list(map(packed, envelope.groups))
    return pack_body(head, list(map(pack_view, envelope.views)), riding)
