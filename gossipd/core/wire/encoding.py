"""Bodies of datagrams, written: the other direction of `decoding.py`, and what things take.

Values are legal by type, so nothing is checked here. Records, views and groups are packed one by
one: whoever fills a datagram asks what fits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, assert_never

import msgpack

from gossipd.core.identity import STREAM_BYTES, Stream

from .decoding import KINDS
from .messages import (
    Ack,
    Cookie,
    Digest,
    DigestAsk,
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
    Refuse,
    RelayedAck,
    Shown,
    Welcome,
)
from .records import END, Correction, Double, Group, KeyRecord, Page, PassItem, Position, Record
from .values import CORRECTION, DOUBLE, KEY, REGISTER

Packed: TypeAlias = bytes

_pack: Callable[[object], bytes] = msgpack.Packer(use_bin_type=True, autoreset=True).pack


def pack_head(sender: str, generation: int, incarnation: int, message: Message) -> Packed:
    """Everything of a body but the views and groups that ride along."""
    kind = KINDS[type(message)]
    fields = _pack(_fields(message))
    return b"".join(
        (b"\x97", _pack(kind), _pack(sender), _pack(generation), _pack(incarnation), fields)
    )


def pack_body(head: Packed, views: Sequence[Packed], groups: Sequence[Packed]) -> bytes:
    """A whole body. At most `BODY_OVERHEAD` bytes longer than its parts."""
    return b"".join((head, _array(len(views)), *views, _array(len(groups)), *groups))


BODY_OVERHEAD = 6
"""Bytes that the two arrays of a body take at most, beside their items."""


def _array(length: int) -> bytes:
    return bytes((0x90 | length,)) if length < 16 else b"\xdc" + length.to_bytes(2, "big")


def padded(body: Packed, size: int) -> Packed:
    """The same body with a field behind all others that says nothing, `size` bytes long: at most
    257 longer than it is; as it is where it is no shorter than that."""
    missing = size - len(body)
    if missing <= 0:
        return body
    return b"\x98" + body[1:] + _PADDINGS[missing]


_PADDINGS = (b"", b"\xc0", *(bytes((0xC4, size)) + bytes(size) for size in range(256)))
"""By their sizes: nil, or bytes."""


def pack_view(view: MemberView) -> Packed:
    """One member as it stands in a datagram."""
    return _pack(_view_fields(view))


def pack_record(record: Record) -> Packed:
    """One record as it stands in a group or page."""
    return _pack((_KIND_OF_RECORD.get(type(record), REGISTER), *record))


_KIND_OF_RECORD: dict[type, int] = {KeyRecord: KEY, Double: DOUBLE, Correction: CORRECTION}


def pack_group(stream: Stream, start: int, to: int, records: Sequence[Packed]) -> Packed:
    """A group from records that are packed already."""
    head = (b"\x94", _pack(stream), _pack(start), _pack(to), _array(len(records)))
    return b"".join((*head, *records))


GROUP_OVERHEAD = 1 + 2 + STREAM_BYTES + 2 * 9 + 3
"""Bytes that a group takes at most, beside its records."""

PAGE_OVERHEAD = GROUP_OVERHEAD + 9
"""Bytes that a page takes at most, beside its records and the two positions that bound it."""


def position_size(position: Position) -> int:
    """Bytes that a position takes in a page or a wish."""
    return len(_pack(_position_field(position)))


def pass_item_size(item: PassItem) -> int:
    """Bytes that a wish takes in a question for passes."""
    return len(_pack(_pass_item_fields(item)))


LEAF_SIZE_MAX = 1 + 2 + STREAM_BYTES + 9 + 9
"""Bytes that a leaf takes at most."""


def _view_fields(view: MemberView) -> tuple[object, ...]:
    flat = [text for tag in view.tags for text in tag]
    return (
        view.name,
        *view.address,
        view.generation,
        view.incarnation,
        view.status.value,
        flat,
        view.age,
        view.accusers,
    )


def _records(of: Group | Page) -> list[tuple[object, ...]]:
    registers = [(REGISTER, *register) for register in of.registers]
    keys = [(KEY, *record) for record in of.keys]
    return [*registers, *keys]


def _group_fields(group: Group) -> tuple[object, ...]:
    return group.stream, group.start, group.to, _records(group)


def _page_fields(page: Page) -> tuple[object, ...]:
    bounds = _position_field(page.after), _position_field(page.upto)
    doubles = [(DOUBLE, *double) for double in page.doubles]
    corrections = [(CORRECTION, *correction) for correction in page.corrections]
    records = [*_records(page), *doubles, *corrections]
    return (page.stream, page.start, *bounds, page.version, records)


def _pass_item_fields(item: PassItem) -> tuple[object, ...]:
    return item.stream, item.start, _position_field(item.after), item.doubles, item.until


def _position_field(position: Position) -> int | str:
    seq, counter = position
    return "" if position == END else seq or counter


def _fields(message: Message) -> tuple[object, ...]:  # noqa: C901  one row per kind
    match message:
        case Ping(nonce, target, shown):
            return nonce, target, *_shown_fields(shown)
        case Ack(nonce, shown) | Welcome(nonce, shown):
            return nonce, *_shown_fields(shown)
        case PingReq(nonce, target, address, timeout_ms):
            return nonce, target, *address, timeout_ms
        case RelayedAck(nonce) | Nack(nonce):
            return (nonce,)
        case Gossip():
            return ()
        case Join(nonce, address, tags, cookie, standing):
            flat = [text for tag in tags for text in tag]
            return nonce, *address, flat, cookie, standing
        case Cookie(nonce, cookie, seen):
            return nonce, cookie, *seen
        case Refuse(nonce, reason, holder, generation, standing):
            return nonce, reason.value, *holder, generation, standing
        case DigestAsk(nonce, depth, prefix, size):
            return nonce, depth, _unsigned(prefix), size
        case Digest(nonce, depth, prefix, leaves, sums):
            packed = None if sums is None else b"".join(s.to_bytes(8, "big") for s in sums)
            return nonce, depth, _unsigned(prefix), leaves, packed
        case PassAsk(nonce, items, pages, size, age):
            return nonce, [_pass_item_fields(item) for item in items], pages, size, age
        case Pages(nonce, pages_, last):
            return nonce, [_page_fields(page) for page in pages_], last
        case MembersAsk(nonce, after, pages, size):
            return nonce, after, pages, size
        case MembersPage(nonce, after, upto, views):
            return nonce, after, upto, [_view_fields(view) for view in views]
        case Hold(nonce, groups):
            return nonce, [_group_fields(group) for group in groups]
        case Held(nonce, leaving, versions, durable):
            return nonce, leaving, versions, durable
        case Hello(nonce, echo):
            return nonce, echo
        case _:
            assert_never(message)


def _shown_fields(shown: Shown) -> tuple[object, ...]:
    """The upper halves of fingerprints come last: versions that knew 64 bits read the rest."""
    (log_high, log), (members_high, members) = (
        divmod(shown.log, 2**64),
        divmod(shown.members, 2**64),
    )
    return log, members, shown.ready, shown.round, log_high, members_high


def _unsigned(prefix: int) -> bytes:
    return prefix.to_bytes((prefix.bit_length() + 7) // 8, "big")
