"""Bodies of datagrams: msgpack arrays, checked completely before anything is used.

    [kind, sender, generation, incarnation, [fields of the message], [views], [groups]]

Fields are positional and only ever appended, so an older version reads what it knows and counts
the rest. `decode` is total: any bytes give an `Envelope` or a reason to drop them. Numbers have
a range and texts a length, so a decoded value is legal by type.
"""

from __future__ import annotations

from collections.abc import Callable

import msgpack

from gossipd.core.identity import (
    BY_MAX,
    COUNTER_BYTES_MAX,
    GENERATION_MAX,
    INCARNATION_MAX,
    KEY_BYTES,
    NAME_BYTES_MAX,
    SEQ_MAX,
    STREAM_BITS,
    STREAM_BYTES,
    TAGS_BYTES_MAX,
    TAGS_MAX,
    TOTAL_MAX,
    Address,
    Stream,
    is_host,
    is_text,
)
from gossipd.core.settings import DATAGRAM_SIZE_FLOOR, DATAGRAM_SIZE_MAX

from .drops import Drop
from .messages import (
    ACCUSERS_MAX,
    AGE_MAX,
    AGE_WANTED_MAX,
    BEGINNING,
    COOKIE_BYTES_MAX,
    DIGEST_BITS,
    DIGEST_DEPTH_MAX,
    DIGEST_FANOUT,
    END,
    HOLD_GROUPS_MAX,
    PAGES_MAX,
    PASS_ITEMS_MAX,
    ROUND_MAX,
    TIMEOUT_MS_MAX,
    Ack,
    Cookie,
    Correction,
    Digest,
    DigestAsk,
    Double,
    Envelope,
    Gossip,
    Group,
    Held,
    Hello,
    Hold,
    Join,
    KeyRecord,
    Kinds,
    Leaf,
    MembersAsk,
    MembersPage,
    MemberView,
    Message,
    Nack,
    Page,
    Pages,
    PassAsk,
    PassItem,
    Ping,
    PingReq,
    Position,
    Refusal,
    Refuse,
    Register,
    RelayedAck,
    Shown,
    Standing,
    Status,
    Welcome,
)

_U64 = 2**64 - 1
_ITEMS_MAX = DATAGRAM_SIZE_MAX

REGISTER, KEY, OLD_DOUBLE, DOUBLE, CORRECTION = range(5)
"""The kinds of log records."""


class _MalformedError(Exception):
    """A peer's bytes are not what their kind prescribes; never leaves this module."""


class _UnknownKindError(Exception):
    """A kind of message from a later version; never leaves this module."""


class _Reader:
    """Takes the fields of one array in order and counts what lies behind the last known one."""

    def __init__(self) -> None:
        self.unknown = 0
        self.whole = True
        """Whether every log record was understood."""

    def array(self, value: object, length_min: int = 0) -> list[object]:
        if type(value) is not list or len(value) < length_min:
            raise _MalformedError
        return value

    def fields(self, value: object, count: int) -> list[object]:
        """The first `count` fields of an array; those behind them are counted as unknown."""
        array = self.array(value, count)
        self.unknown += len(array) - count
        return array


def _integer(value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise _MalformedError
    return value


def _text(value: object, bytes_max: int) -> str:
    if type(value) is not str or not is_text(value, bytes_max):
        raise _MalformedError
    return value


def _bytes(value: object, length_max: int, length_min: int = 0) -> bytes:
    if type(value) is not bytes or not length_min <= len(value) <= length_max:
        raise _MalformedError
    return value


def _flag(value: object) -> bool:
    if type(value) is not bool:
        raise _MalformedError
    return value


def _name(value: object) -> str:
    return _text(value, NAME_BYTES_MAX)


def _text_or_empty(value: object, bytes_max: int) -> str:
    return "" if value == "" else _text(value, bytes_max)


def _start_or_name(value: object) -> str:
    return _text_or_empty(value, NAME_BYTES_MAX)


def _stream(value: object) -> Stream:
    stream = _bytes(value, STREAM_BYTES, STREAM_BYTES)
    if stream[0] >> (STREAM_BITS % 8):
        raise _MalformedError
    return stream


def _address(host: object, port: object) -> Address:
    if type(host) is not str or not is_host(host):
        raise _MalformedError
    return host, _integer(port, 1, 65535)


def _tags(value: object, reader: _Reader) -> tuple[tuple[str, str], ...]:
    flat = reader.array(value)
    if len(flat) % 2 or len(flat) > 2 * TAGS_MAX:
        raise _MalformedError
    keys = [_text(key, TAGS_BYTES_MAX) for key in flat[::2]]
    values = [_text_or_empty(item, TAGS_BYTES_MAX) for item in flat[1::2]]
    tags = tuple(zip(keys, values, strict=True))
    if list(tags) != sorted(dict(tags).items()):
        raise _MalformedError
    if sum(len(text.encode()) for text in keys + values) > TAGS_BYTES_MAX:
        raise _MalformedError
    return tags


def _view(value: object, reader: _Reader) -> MemberView:
    name, host, port, generation, incarnation, status, tags, age, accusers = reader.fields(
        value, 9
    )[:9]
    names = reader.array(accusers)
    if len(names) > ACCUSERS_MAX:
        raise _MalformedError
    return MemberView(
        _name(name),
        _address(host, port),
        _integer(generation, 0, GENERATION_MAX),
        _integer(incarnation, 0, INCARNATION_MAX),
        Status(_integer(status, 0, len(Status) - 1)),
        _tags(tags, reader),
        _integer(age, 0, AGE_MAX),
        tuple(_name(accuser) for accuser in names),
    )


class _Records:
    """Log records, by kind."""

    def __init__(self, value: object, reader: _Reader) -> None:
        self.registers: list[Register] = []
        self.keys: list[KeyRecord] = []
        self.doubles: list[Double] = []
        self.corrections: list[Correction] = []
        self.whole = True
        """Whether all of them were understood."""
        for record in reader.array(value):
            self._take(reader.array(record, 1), reader)

    def _take(self, record: list[object], reader: _Reader) -> None:
        kind = _integer(record[0], 0, _U64)
        if kind == REGISTER:
            _, counter, seq, total = reader.fields(record, 4)[:4]
            register = _text(counter, COUNTER_BYTES_MAX), _integer(seq, 1, SEQ_MAX)
            self.registers.append((*register, _integer(total, -TOTAL_MAX, TOTAL_MAX)))
        elif kind == KEY:
            age = _integer(reader.fields(record, 6)[5], 0, AGE_WANTED_MAX)
            self.keys.append(KeyRecord(*_keyed(record), age))
        elif kind == DOUBLE:
            self.doubles.append(_double(*reader.fields(record, 7)[1:7]))
        elif kind == CORRECTION:
            self.corrections.append(_correction(*reader.fields(record, 6)[1:6]))
        elif kind != OLD_DOUBLE:
            reader.unknown += 1
            self.whole = reader.whole = False

    @property
    def all(self) -> Kinds:
        doubles, corrections = tuple(self.doubles), tuple(self.corrections)
        return Kinds(tuple(self.registers), tuple(self.keys), doubles, corrections)


def _double(
    counter: object, seq: object, by: object, winner: object, winner_seq: object, age: object
) -> Double:
    return Double(
        _text(counter, COUNTER_BYTES_MAX),
        _integer(seq, 1, SEQ_MAX),
        _amount(by),
        _stream(winner),
        _integer(winner_seq, 1, SEQ_MAX),
        _integer(age, 0, AGE_WANTED_MAX),
    )


def _correction(
    counter: object, seq: object, lost: object, out: object, digest: object
) -> Correction:
    return Correction(
        _text(counter, COUNTER_BYTES_MAX),
        _integer(seq, 1, SEQ_MAX),
        _integer(lost, 0, SEQ_MAX),
        _integer(out, -TOTAL_MAX, TOTAL_MAX),
        _integer(digest, 0, _U64),
    )


def _amount(by: object) -> int:
    amount = _integer(by, -BY_MAX, BY_MAX)
    if not amount:
        raise _MalformedError
    return amount


def _keyed(record: list[object]) -> tuple[bytes, int, str, int]:
    """(key, seq, counter, by) of a record."""
    _, key, seq, counter, by = record[:5]
    return (
        _bytes(key, KEY_BYTES, KEY_BYTES),
        _integer(seq, 1, SEQ_MAX),
        _text(counter, COUNTER_BYTES_MAX),
        _amount(by),
    )


def _group(value: object, reader: _Reader) -> Group:
    stream, start, to, records = reader.fields(value, 4)[:4]
    first = _integer(start, 0, SEQ_MAX)
    last = _integer(to, 0, SEQ_MAX)
    found = _Records(records, reader)
    # What is not understood may be below `to`: such a group claims nothing.
    return Group(_stream(stream), first, last if found.whole else min(first, last), *found.all[:2])


def _position(value: object, empty: Position) -> Position:
    """A counter among the registers, a seq among what follows; `empty` stands for ""."""
    if type(value) is int:
        return _integer(value, 1, SEQ_MAX), ""
    return (0, _text(value, COUNTER_BYTES_MAX)) if value != "" else empty


def _page(value: object, reader: _Reader) -> Page:
    stream, start, after, upto, version, records = reader.fields(value, 6)[:6]
    found = _Records(records, reader)
    begin, end = _position(after, BEGINNING), _position(upto, END)
    origin = _stream(stream)
    smaller = all((d.winner, d.winner_seq) < (origin, d.seq) for d in found.doubles)
    if end <= begin or not smaller:
        raise _MalformedError
    first, last = _integer(start, 0, SEQ_MAX), _integer(version, 0, SEQ_MAX)
    if not found.whole:
        begin, last = end, first  # an empty interval covers nothing; its records are merged
    return Page(origin, first, begin, end, last, *found.all)


def _shown(log: object, members: object, ready: object, number: object) -> Shown:
    return Shown(
        _integer(log, 0, _U64),
        _integer(members, 0, _U64),
        _flag(ready),
        _integer(number, 0, ROUND_MAX),
    )


def _nonce(value: object) -> int:
    return _integer(value, 0, _U64)


def _size(value: object) -> int:
    return _integer(value, DATAGRAM_SIZE_FLOOR, DATAGRAM_SIZE_MAX)


# --- one reader per kind; the index in `_READERS` is the kind on the wire ------------------------


def _read_ping_req(f: list[object], _: _Reader) -> PingReq:
    return PingReq(
        _nonce(f[0]), _name(f[1]), _address(f[2], f[3]), _integer(f[4], 1, TIMEOUT_MS_MAX)
    )


def _read_join(f: list[object], r: _Reader) -> Join:
    address, tags = _address(f[1], f[2]), _tags(f[3], r)
    cookie = _bytes(f[4], COOKIE_BYTES_MAX)
    return Join(_nonce(f[0]), address, tags, cookie, _standing(f[5]))


def _read_cookie(f: list[object], _: _Reader) -> Cookie:
    return Cookie(_nonce(f[0]), _bytes(f[1], COOKIE_BYTES_MAX), _address(f[2], f[3]))


def _read_refuse(f: list[object], _: _Reader) -> Refuse:
    return Refuse(
        _nonce(f[0]),
        Refusal(_integer(f[1], 0, len(Refusal) - 1)),
        _address(f[2], f[3]),
        _integer(f[4], 0, GENERATION_MAX),
        _standing(f[5]),
    )


def _standing(value: object) -> Standing:
    return Standing(_integer(value, 0, len(Standing) - 1))


def _prefix(depth: object, prefix: object) -> tuple[int, int]:
    levels = _integer(depth, 0, DIGEST_DEPTH_MAX)
    return levels, _integer(prefix, 0, 2 ** (levels * DIGEST_BITS) - 1)


def _read_digest_ask(f: list[object], _: _Reader) -> DigestAsk:
    depth, prefix = _prefix(f[1], _big(f[2]))
    return DigestAsk(_nonce(f[0]), depth, prefix, _size(f[3]))


def _big(value: object) -> int:
    """An integer wider than msgpack's: big-endian bytes."""
    return int.from_bytes(_bytes(value, STREAM_BYTES), "big")


def _leaf(stream: object, version: object, digest: object) -> Leaf:
    return Leaf(_stream(stream), _integer(version, 0, SEQ_MAX), _integer(digest, 0, _U64))


def _read_digest(f: list[object], r: _Reader) -> Digest:
    depth, prefix = _prefix(f[1], _big(f[2]))
    if f[4] is None:
        leaves = tuple(_leaf(*r.fields(leaf, 3)[:3]) for leaf in r.array(f[3]))
        return Digest(_nonce(f[0]), depth, prefix, leaves, None)
    packed = _bytes(f[4], 8 * DIGEST_FANOUT, 8 * DIGEST_FANOUT)
    sums = tuple(int.from_bytes(packed[i : i + 8], "big") for i in range(0, len(packed), 8))
    return Digest(_nonce(f[0]), depth, prefix, None, sums)


def _read_pass_ask(f: list[object], r: _Reader) -> PassAsk:
    items = r.array(f[1], 1)
    if len(items) > PASS_ITEMS_MAX:
        raise _MalformedError
    wishes: list[PassItem] = []
    for item in items:
        stream, start, after, doubles = r.fields(item, 4)[:4]
        begin = _position(after, BEGINNING)
        first = _integer(start, 0, SEQ_MAX)
        wishes.append(PassItem(_stream(stream), first, begin, _flag(doubles)))
    return PassAsk(
        _nonce(f[0]),
        tuple(wishes),
        _integer(f[2], 1, PAGES_MAX),
        _size(f[3]),
        _integer(f[4], 0, AGE_WANTED_MAX),
    )


def _read_pages(f: list[object], r: _Reader) -> Pages:
    return Pages(_nonce(f[0]), tuple(_page(page, r) for page in r.array(f[1])), _flag(f[2]))


def _read_members_ask(f: list[object], _: _Reader) -> MembersAsk:
    return MembersAsk(
        _nonce(f[0]), _start_or_name(f[1]), _integer(f[2], 1, PAGES_MAX), _size(f[3])
    )


def _read_members_page(f: list[object], r: _Reader) -> MembersPage:
    return MembersPage(
        _nonce(f[0]),
        _start_or_name(f[1]),
        _start_or_name(f[2]),
        tuple(_view(view, r) for view in r.array(f[3])),
    )


def _read_hold(f: list[object], r: _Reader) -> Hold:
    """Who holds only what it understands must not say that it holds everything."""
    groups = r.array(f[1], 1)
    if len(groups) > HOLD_GROUPS_MAX:
        raise _MalformedError  # the answer has to fit a datagram too
    hold = Hold(_nonce(f[0]), tuple(_group(group, r) for group in groups))
    if not r.whole:
        raise _UnknownKindError
    return hold


def _read_held(f: list[object], r: _Reader) -> Held:
    versions: list[tuple[Stream, int]] = []
    for item in r.array(f[2]):
        stream, version = r.fields(item, 2)[:2]
        versions.append((_stream(stream), _integer(version, 0, SEQ_MAX)))
    return Held(_nonce(f[0]), _flag(f[1]), tuple(versions), _flag(f[3]))


_READERS: tuple[tuple[type[Message], int, Callable[[list[object], _Reader], Message]], ...] = (
    (Ping, 6, lambda f, _: Ping(_nonce(f[0]), _name(f[1]), _shown(*f[2:6]))),
    (Ack, 5, lambda f, _: Ack(_nonce(f[0]), _shown(*f[1:5]))),
    (PingReq, 5, _read_ping_req),
    (RelayedAck, 1, lambda f, _: RelayedAck(_nonce(f[0]))),
    (Nack, 1, lambda f, _: Nack(_nonce(f[0]))),
    (Gossip, 0, lambda _f, _: Gossip()),
    (Join, 6, _read_join),
    (Cookie, 4, _read_cookie),
    (Welcome, 5, lambda f, _: Welcome(_nonce(f[0]), _shown(*f[1:5]))),
    (Refuse, 6, _read_refuse),
    (DigestAsk, 4, _read_digest_ask),
    (Digest, 5, _read_digest),
    (PassAsk, 5, _read_pass_ask),
    (Pages, 3, _read_pages),
    (MembersAsk, 4, _read_members_ask),
    (MembersPage, 4, _read_members_page),
    (Hold, 2, _read_hold),
    (Held, 4, _read_held),
    (Hello, 2, lambda f, _: Hello(_nonce(f[0]), _nonce(f[1]))),
)
KINDS: dict[type[Message], int] = {row[0]: kind for kind, row in enumerate(_READERS)}


def decode(body: bytes) -> Envelope | Drop:
    """The envelope in a datagram's body, or why there is none. Never raises."""
    try:
        return _decode(body)
    except _MalformedError:
        return Drop.MALFORMED
    except _UnknownKindError:
        return Drop.UNKNOWN_KIND


_OF_PROBES = frozenset(map(KINDS.__getitem__, (Ping, Ack, PingReq, RelayedAck, Nack)))


def is_of_probes(body: bytes) -> bool:
    """Whether a body, if it is one, holds a probe or an answer to one; by its first bytes, which
    are an array and a small number."""
    return len(body) > 1 and body[1] in _OF_PROBES


def _decode(body: bytes) -> Envelope:
    reader = _Reader()
    top = reader.array(_unpack(body), 7)
    kind = _integer(top[0], 0, _U64)
    sender = _name(top[1])
    generation = _integer(top[2], 0, GENERATION_MAX)
    incarnation = _integer(top[3], 0, INCARNATION_MAX)
    if kind >= len(_READERS):
        raise _UnknownKindError
    _, count, read = _READERS[kind]
    reader.unknown += len(top) - 7
    message = read(reader.fields(top[4], count), reader)
    views = tuple(_view(view, reader) for view in reader.array(top[5]))
    groups = tuple(_group(group, reader) for group in reader.array(top[6]))
    return Envelope(sender, generation, incarnation, message, views, groups, reader.unknown)


def _unpack(body: bytes) -> object:
    try:
        unpacked: object = msgpack.unpackb(
            body, max_array_len=_ITEMS_MAX, max_map_len=_ITEMS_MAX, max_ext_len=0
        )
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise _MalformedError from error
    return unpacked
