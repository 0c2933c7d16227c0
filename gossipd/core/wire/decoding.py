"""Bodies of datagrams: msgpack arrays, checked completely before anything is used.

    [kind, sender, generation, incarnation, [fields of the message], [views], [groups], padding]

The padding, bytes or nil that say nothing, is there only where sizes are to tell less.
Fields are positional and only ever appended, so an older version reads what it knows and counts
the rest. `decode` is total: any bytes give an `Envelope` or a reason to drop them.
"""

from __future__ import annotations

from collections.abc import Callable

import msgpack

from gossipd.core.identity import GENERATION_MAX, INCARNATION_MAX, SEQ_MAX, Stream

from .drops import Drop
from .messages import (
    COOKIE_BYTES_MAX,
    DIGEST_FANOUT,
    HOLD_GROUPS_MAX,
    PAGES_MAX,
    PASS_ITEMS_MAX,
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
    Message,
    Nack,
    Pages,
    PassAsk,
    Ping,
    PingReq,
    Refusal,
    Refuse,
    RelayedAck,
    Welcome,
)
from .records import AGE_WANTED_MAX, BEGINNING, PassItem
from .values import (
    U64,
    MalformedError,
    Reader,
    UnknownKindError,
    as_address,
    as_big,
    as_bytes,
    as_flag,
    as_group,
    as_integer,
    as_leaf,
    as_name,
    as_nonce,
    as_page,
    as_position,
    as_prefix,
    as_shown,
    as_size,
    as_standing,
    as_start_or_name,
    as_stream,
    as_tags,
    as_view,
)

ARRAY_MAX = 256
"""Items of any array in a body. An array is allocated as its head tells, before its items come,
and may be in another one: 460 of them in a datagram, one in the other, each of 1,400 items that
never come, would take 2 to 6 ms and 5 MiB; of 256 a third of a millisecond. No datagram has room
for as many records, the smallest of which takes 6 bytes. Texts and bytes are not longer than the
body, or nothing is allocated; more than 1,024 in one another are refused, without recursion."""

# one reader per kind; the index in `_READERS` is the kind on the wire


def _read_ping_req(f: list[object], _: Reader) -> PingReq:
    return PingReq(
        as_nonce(f[0]), as_name(f[1]), as_address(f[2], f[3]), as_integer(f[4], 1, TIMEOUT_MS_MAX)
    )


def _read_join(f: list[object], r: Reader) -> Join:
    address, tags = as_address(f[1], f[2]), as_tags(f[3], r)
    cookie = as_bytes(f[4], COOKIE_BYTES_MAX)
    return Join(as_nonce(f[0]), address, tags, cookie, as_standing(f[5]))


def _read_cookie(f: list[object], _: Reader) -> Cookie:
    return Cookie(as_nonce(f[0]), as_bytes(f[1], COOKIE_BYTES_MAX), as_address(f[2], f[3]))


def _read_refuse(f: list[object], _: Reader) -> Refuse:
    return Refuse(
        as_nonce(f[0]),
        Refusal(as_integer(f[1], 0, len(Refusal) - 1)),
        as_address(f[2], f[3]),
        as_integer(f[4], 0, GENERATION_MAX),
        as_standing(f[5]),
    )


def _read_digest_ask(f: list[object], _: Reader) -> DigestAsk:
    depth, prefix = as_prefix(f[1], as_big(f[2]))
    return DigestAsk(as_nonce(f[0]), depth, prefix, as_size(f[3]))


def _read_digest(f: list[object], r: Reader) -> Digest:
    depth, prefix = as_prefix(f[1], as_big(f[2]))
    if f[4] is None:
        leaves = tuple(as_leaf(*r.fields(leaf, 3)[:3]) for leaf in r.array(f[3]))
        return Digest(as_nonce(f[0]), depth, prefix, leaves, None)
    packed = as_bytes(f[4], 8 * DIGEST_FANOUT, 8 * DIGEST_FANOUT)
    sums = tuple(int.from_bytes(packed[i : i + 8], "big") for i in range(0, len(packed), 8))
    return Digest(as_nonce(f[0]), depth, prefix, None, sums)


def _read_pass_ask(f: list[object], r: Reader) -> PassAsk:
    items = r.array(f[1], 1)
    if len(items) > PASS_ITEMS_MAX:
        raise MalformedError
    wishes: list[PassItem] = []
    for item in items:
        stream, start, after, doubles, until = [*r.fields(item, 4, optional=1), 0][:5]
        begin = as_position(after, BEGINNING)
        first, last = as_integer(start, 0, SEQ_MAX), as_integer(until, 0, SEQ_MAX)
        wishes.append(PassItem(as_stream(stream), first, begin, as_flag(doubles), last))
    return PassAsk(
        as_nonce(f[0]),
        tuple(wishes),
        as_integer(f[2], 1, PAGES_MAX),
        as_size(f[3]),
        as_integer(f[4], 0, AGE_WANTED_MAX),
    )


def _read_pages(f: list[object], r: Reader) -> Pages:
    return Pages(as_nonce(f[0]), tuple(as_page(page, r) for page in r.array(f[1])), as_flag(f[2]))


def _read_members_ask(f: list[object], _: Reader) -> MembersAsk:
    return MembersAsk(
        as_nonce(f[0]), as_start_or_name(f[1]), as_integer(f[2], 1, PAGES_MAX), as_size(f[3])
    )


def _read_members_page(f: list[object], r: Reader) -> MembersPage:
    return MembersPage(
        as_nonce(f[0]),
        as_start_or_name(f[1]),
        as_start_or_name(f[2]),
        tuple(as_view(view, r) for view in r.array(f[3])),
    )


def _read_hold(f: list[object], r: Reader) -> Hold:
    """Who holds only what it understands must not say that it holds everything."""
    groups = r.array(f[1], 1)
    if len(groups) > HOLD_GROUPS_MAX:
        raise MalformedError  # the answer has to fit a datagram too
    hold = Hold(as_nonce(f[0]), tuple(as_group(group, r) for group in groups))
    if not r.whole:
        raise UnknownKindError
    return hold


def _read_held(f: list[object], r: Reader) -> Held:
    versions: list[tuple[Stream, int]] = []
    for item in r.array(f[2]):
        stream, version = r.fields(item, 2)[:2]
        versions.append((as_stream(stream), as_integer(version, 0, SEQ_MAX)))
    return Held(as_nonce(f[0]), as_flag(f[1]), tuple(versions), as_flag(f[3]))


_READERS: tuple[tuple[type[Message], int, int, Callable[[list[object], Reader], Message]], ...] = (
    (Ping, 6, 2, lambda f, _: Ping(as_nonce(f[0]), as_name(f[1]), as_shown(*f[2:8]))),
    (Ack, 5, 2, lambda f, _: Ack(as_nonce(f[0]), as_shown(*f[1:7]))),
    (PingReq, 5, 0, _read_ping_req),
    (RelayedAck, 1, 0, lambda f, _: RelayedAck(as_nonce(f[0]))),
    (Nack, 1, 0, lambda f, _: Nack(as_nonce(f[0]))),
    (Gossip, 0, 0, lambda _f, _: Gossip()),
    (Join, 6, 0, _read_join),
    (Cookie, 4, 0, _read_cookie),
    (Welcome, 5, 2, lambda f, _: Welcome(as_nonce(f[0]), as_shown(*f[1:7]))),
    (Refuse, 6, 0, _read_refuse),
    (DigestAsk, 4, 0, _read_digest_ask),
    (Digest, 5, 0, _read_digest),
    (PassAsk, 5, 0, _read_pass_ask),
    (Pages, 3, 0, _read_pages),
    (MembersAsk, 4, 0, _read_members_ask),
    (MembersPage, 4, 0, _read_members_page),
    (Hold, 2, 0, _read_hold),
    (Held, 4, 0, _read_held),
    (Hello, 2, 0, lambda f, _: Hello(as_nonce(f[0]), as_nonce(f[1]))),
)
"""By kind: the class, how many fields there are at least, how many may be missing behind them,
and how they are read."""
KINDS: dict[type[Message], int] = {row[0]: kind for kind, row in enumerate(_READERS)}


def decode(body: bytes) -> Envelope | Drop:
    """The envelope in a datagram's body, or why there is none. Never raises."""
    try:
        return _decode(body)
    except MalformedError:
        return Drop.MALFORMED
    except UnknownKindError:
        return Drop.UNKNOWN_KIND


_OF_PROBES = frozenset(map(KINDS.__getitem__, (Ping, Ack, PingReq, RelayedAck, Nack)))


def is_of_probes(body: bytes) -> bool:
    """Whether a body, if it is one, holds a probe or an answer to one; by its first bytes, which
    are an array and a small number."""
    return len(body) > 1 and body[1] in _OF_PROBES


def _decode(body: bytes) -> Envelope:
    reader = Reader()
    top = reader.array(_unpack(body), 7)
    kind = as_integer(top[0], 0, U64)
    sender = as_name(top[1])
    generation = as_integer(top[2], 0, GENERATION_MAX)
    incarnation = as_integer(top[3], 0, INCARNATION_MAX)
    if kind >= len(_READERS):
        raise UnknownKindError
    _, count, optional, read = _READERS[kind]
    is_padded = len(top) > 7 and (top[7] is None or type(top[7]) is bytes)
    reader.unknown += len(top) - 7 - is_padded
    message = read(reader.fields(top[4], count, optional), reader)
    views = tuple(as_view(view, reader) for view in reader.array(top[5]))
    groups = tuple(as_group(group, reader) for group in reader.array(top[6]))
    return Envelope(sender, generation, incarnation, message, views, groups, reader.unknown)


def _unpack(body: bytes) -> object:
    try:
        unpacked: object = msgpack.unpackb(
            body, max_array_len=ARRAY_MAX, max_map_len=ARRAY_MAX, max_ext_len=0
        )
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise MalformedError from error
    return unpacked
