"""What stands in the fields of messages, checked one by one: numbers have a range and texts a
length, so a decoded value is legal by type."""

from __future__ import annotations

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
    Tags,
    is_host,
    is_text,
)
from gossipd.core.settings import DATAGRAM_SIZE_FLOOR, DATAGRAM_SIZE_MAX

from .messages import (
    ACCUSERS_MAX,
    AGE_MAX,
    DIGEST_BITS,
    DIGEST_DEPTH_MAX,
    ROUND_MAX,
    MemberView,
    Shown,
    Standing,
    Status,
)
from .records import (
    AGE_WANTED_MAX,
    BEGINNING,
    END,
    Correction,
    Double,
    Group,
    KeyRecord,
    Kinds,
    Leaf,
    Page,
    Position,
    Register,
)

U64 = 2**64 - 1

REGISTER, KEY, OLD_DOUBLE, DOUBLE, CORRECTION = range(5)
"""The kinds of log records."""


class MalformedError(Exception):
    """A peer's bytes are not what their kind prescribes; `decode` tells it as a drop."""


class UnknownKindError(Exception):
    """A kind of message from a later version; `decode` tells it as a drop."""


class Reader:
    """Takes the fields of one array in order and counts what lies behind the last known one."""

    def __init__(self) -> None:
        self.unknown = 0
        self.whole = True
        """Whether every log record was understood."""

    def array(self, value: object, length_min: int = 0) -> list[object]:
        if type(value) is not list or len(value) < length_min:
            raise MalformedError
        return value

    def fields(self, value: object, count: int, optional: int = 0) -> list[object]:
        """The first `count` fields of an array, and `optional` ones that may be missing; those
        behind them are counted as unknown."""
        array = self.array(value, count)
        self.unknown += max(0, len(array) - count - optional)
        return array


def as_integer(value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise MalformedError
    return value


def as_text(value: object, bytes_max: int) -> str:
    if type(value) is not str or not is_text(value, bytes_max):
        raise MalformedError
    return value


def as_bytes(value: object, length_max: int, length_min: int = 0) -> bytes:
    if type(value) is not bytes or not length_min <= len(value) <= length_max:
        raise MalformedError
    return value


def as_flag(value: object) -> bool:
    if type(value) is not bool:
        raise MalformedError
    return value


def as_name(value: object) -> str:
    return as_text(value, NAME_BYTES_MAX)


def _text_or_empty(value: object, bytes_max: int) -> str:
    return "" if value == "" else as_text(value, bytes_max)


def as_start_or_name(value: object) -> str:
    return _text_or_empty(value, NAME_BYTES_MAX)


def as_stream(value: object) -> Stream:
    stream = as_bytes(value, STREAM_BYTES, STREAM_BYTES)
    if stream[0] >> (STREAM_BITS % 8):
        raise MalformedError
    return stream


def as_address(host: object, port: object) -> Address:
    if type(host) is not str or not is_host(host):
        raise MalformedError
    return host, as_integer(port, 1, 65535)


def as_tags(value: object, reader: Reader) -> Tags:
    flat = reader.array(value)
    if len(flat) % 2 or len(flat) > 2 * TAGS_MAX:
        raise MalformedError
    keys = [as_text(key, TAGS_BYTES_MAX) for key in flat[::2]]
    values = [_text_or_empty(item, TAGS_BYTES_MAX) for item in flat[1::2]]
    tags = tuple(zip(keys, values, strict=True))
    if list(tags) != sorted(dict(tags).items()):
        raise MalformedError
    if sum(len(text.encode()) for text in keys + values) > TAGS_BYTES_MAX:
        raise MalformedError
    return tags


def as_view(value: object, reader: Reader) -> MemberView:
    name, host, port, generation, incarnation, status, tags, age, accusers = reader.fields(
        value, 9
    )[:9]
    names = reader.array(accusers)
    if len(names) > ACCUSERS_MAX:
        raise MalformedError
    return MemberView(
        as_name(name),
        as_address(host, port),
        as_integer(generation, 0, GENERATION_MAX),
        as_integer(incarnation, 0, INCARNATION_MAX),
        Status(as_integer(status, 0, len(Status) - 1)),
        as_tags(tags, reader),
        as_integer(age, 0, AGE_MAX),
        tuple(as_name(accuser) for accuser in names),
    )


class _Records:
    """Log records, by kind."""

    def __init__(self, value: object, reader: Reader) -> None:
        self.registers: list[Register] = []
        self.keys: list[KeyRecord] = []
        self.doubles: list[Double] = []
        self.corrections: list[Correction] = []
        self.whole = True
        """Whether all of them were understood."""
        for record in reader.array(value):
            self._take(reader.array(record, 1), reader)

    def _take(self, record: list[object], reader: Reader) -> None:
        kind = as_integer(record[0], 0, U64)
        if kind == REGISTER:
            _, counter, seq, total = reader.fields(record, 4)[:4]
            register = as_text(counter, COUNTER_BYTES_MAX), as_integer(seq, 1, SEQ_MAX)
            self.registers.append((*register, as_integer(total, -TOTAL_MAX, TOTAL_MAX)))
        elif kind == KEY:
            age = as_integer(reader.fields(record, 6)[5], 0, AGE_WANTED_MAX)
            self.keys.append(KeyRecord(*_keyed(record), age))
        elif kind == DOUBLE:
            self.doubles.append(as_double(*reader.fields(record, 7)[1:7]))
        elif kind == CORRECTION:
            self.corrections.append(as_correction(*reader.fields(record, 6)[1:6]))
        elif kind != OLD_DOUBLE:
            reader.unknown += 1
            self.whole = reader.whole = False

    @property
    def all(self) -> Kinds:
        doubles, corrections = tuple(self.doubles), tuple(self.corrections)
        return Kinds(tuple(self.registers), tuple(self.keys), doubles, corrections)


def as_double(
    counter: object, seq: object, by: object, winner: object, winner_seq: object, age: object
) -> Double:
    return Double(
        as_text(counter, COUNTER_BYTES_MAX),
        as_integer(seq, 1, SEQ_MAX),
        as_amount(by),
        as_stream(winner),
        as_integer(winner_seq, 1, SEQ_MAX),
        as_integer(age, 0, AGE_WANTED_MAX),
    )


def as_correction(
    counter: object, seq: object, lost: object, out: object, digest: object
) -> Correction:
    newest = as_integer(seq, 1, SEQ_MAX)
    return Correction(
        as_text(counter, COUNTER_BYTES_MAX),
        newest,
        as_integer(lost, 0, newest),  # each event has lost once, and none has come behind
        as_integer(out, -TOTAL_MAX, TOTAL_MAX),
        as_integer(digest, 0, U64),
    )


def as_amount(by: object) -> int:
    amount = as_integer(by, -BY_MAX, BY_MAX)
    if not amount:
        raise MalformedError
    return amount


def _keyed(record: list[object]) -> tuple[bytes, int, str, int]:
    """(key, seq, counter, by) of a record."""
    _, key, seq, counter, by = record[:5]
    return (
        as_bytes(key, KEY_BYTES, KEY_BYTES),
        as_integer(seq, 1, SEQ_MAX),
        as_text(counter, COUNTER_BYTES_MAX),
        as_amount(by),
    )


def as_group(value: object, reader: Reader) -> Group:
    stream, start, to, records = reader.fields(value, 4)[:4]
    first = as_integer(start, 0, SEQ_MAX)
    last = as_integer(to, 0, SEQ_MAX)
    found = _Records(records, reader)
    # What is not understood may be below `to`: such a group claims nothing.
    return Group(
        as_stream(stream), first, last if found.whole else min(first, last), *found.all[:2]
    )


def as_position(value: object, empty: Position) -> Position:
    """A counter among the registers, a seq among what follows; `empty` stands for ""."""
    if type(value) is int:
        return as_integer(value, 1, SEQ_MAX), ""
    return (0, as_text(value, COUNTER_BYTES_MAX)) if value != "" else empty


def as_page(value: object, reader: Reader) -> Page:
    stream, start, after, upto, version, records = reader.fields(value, 6)[:6]
    found = _Records(records, reader)
    begin, end = as_position(after, BEGINNING), as_position(upto, END)
    origin = as_stream(stream)
    smaller = all((d.winner, d.winner_seq) < (origin, d.seq) for d in found.doubles)
    if end <= begin or not smaller:
        raise MalformedError
    first, last = as_integer(start, 0, SEQ_MAX), as_integer(version, 0, SEQ_MAX)
    if not found.whole:
        begin, last = end, first  # an empty interval covers nothing; its records are merged
    return Page(origin, first, begin, end, last, *found.all)


def as_shown(
    log: object,
    members: object,
    ready: object,
    number: object,
    log_high: object = 0,
    members_high: object = 0,
) -> Shown:
    return Shown(
        as_integer(log_high, 0, U64) << 64 | as_integer(log, 0, U64),
        as_integer(members_high, 0, U64) << 64 | as_integer(members, 0, U64),
        as_flag(ready),
        as_integer(number, 0, ROUND_MAX),
    )


def as_nonce(value: object) -> int:
    return as_integer(value, 0, U64)


def as_size(value: object) -> int:
    return as_integer(value, DATAGRAM_SIZE_FLOOR, DATAGRAM_SIZE_MAX)


def as_standing(value: object) -> Standing:
    return Standing(as_integer(value, 0, len(Standing) - 1))


def as_prefix(depth: object, prefix: object) -> tuple[int, int]:
    levels = as_integer(depth, 0, DIGEST_DEPTH_MAX)
    return levels, as_integer(prefix, 0, 2 ** (levels * DIGEST_BITS) - 1)


def as_big(value: object) -> int:
    """An integer wider than msgpack's: big-endian bytes."""
    return int.from_bytes(as_bytes(value, STREAM_BYTES), "big")


def as_leaf(stream: object, version: object, digest: object) -> Leaf:
    return Leaf(as_stream(stream), as_integer(version, 0, SEQ_MAX), as_integer(digest, 0, U64))
