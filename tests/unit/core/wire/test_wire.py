"""The wire format, pinned: these datagrams must never change, nor be understood otherwise."""

from __future__ import annotations

import tracemalloc
from typing import get_args

import msgpack
import pytest

from gossipd.core.identity import NAME_BYTES_MAX, TAGS_MAX
from gossipd.core.settings import DATAGRAM_SIZE_MAX
from gossipd.core.wire.decoding import ARRAY_MAX, decode, is_of_probes
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.encoding import pack_record, padded
from gossipd.core.wire.frame import TagFrame
from gossipd.core.wire.messages import (
    ACCUSERS_MAX,
    HOLD_GROUPS_MAX,
    Ack,
    Envelope,
    Gossip,
    Held,
    Hold,
    MemberView,
    Message,
    Nack,
    Pages,
    Ping,
    PingReq,
    RelayedAck,
    Status,
)
from gossipd.core.wire.records import BEGINNING, END, Group, Page, Position

from .wire_examples import (
    ALIVE,
    CORRECTION,
    DOUBLE,
    EXAMPLES,
    GROUP,
    KEY,
    KEY_RECORD,
    KEYED,
    LEFT,
    OTHER,
    SHOWN,
    STREAM,
    encode,
    spoken,
)

FRAME = TagFrame("golden")
PAGE = Page(STREAM, 3, BEGINNING, END, 9, (), (), (DOUBLE,), (CORRECTION,))

GOLDEN: dict[str, str] = {
    "ping": (
        "67640100941a9be5d74e45e768095e8c9700a3616e6ecf0000018bcfe5687b059807a3626f62cf0123456789"
        "abcdefcfffffffffffffffffc3ce01020304cffedcba9876543210cfffffffffffffffff9090"
    ),
    "ack": (
        "67640100941a9be50ec8167965af12449701a3616e6ecf0000018bcfe5687b0597cfffffffffffffffffcf01"
        "23456789abcdefcfffffffffffffffffc3ce01020304cffedcba9876543210cfffffffffffffffff9090"
    ),
    "ping-req": (
        "67640100941a9be50df0f9119f64c4fd9702a3616e6ecf0000018bcfe5687b059508a3626f62a831302e302e"
        "302e32cd1f0acd01f49090"
    ),
    "relayed ack": (
        "67640100941a9be5258e1bc3141a86ce9703a3616e6ecf0000018bcfe5687b0591099090"
    ),
    "nack": (
        "67640100941a9be516cd7b6c2f3cf2ce9704a3616e6ecf0000018bcfe5687b05910a9090"
    ),
    "gossip with news": (
        "67640100941a9be5dd85710892efb5d39705a3616e6ecf0000018bcfe5687b05909399a3626f62a831302e30"
        "2e302e32cd1f0acf0000018bcfe56800030090009099a3626f62a831302e302e302e32cd1f0acf0000018bcf"
        "e568000301900092a3616e6ea365766599a47a6fc3a9ab323030313a6462383a3a310101ceffffffff0394a2"
        "6463a56e6f727468a46e6f7465a011909194c40a010203040506070809100309929400a764656661756c7409"
        "f49400a361206204cf4000000000000000"
    ),
    "gossip with keys": (
        "67640100941a9be5371c54e3d22892109705a3616e6ecf0000018bcfe5687b0590909194c40a010203040506"
        "070809100309929400a764656661756c7409f49601c4100190a1b2c3d4750080a1b2c3d4e5f60709a7646566"
        "61756c74d3ffe0000000000000cd1770"
    ),
    "first join": (
        "67640100941a9be540c09483a614b12a9706a3616e6ecf0000018bcfe5687b05960ba831302e302e302e31cd"
        "1f0a90c400009090"
    ),
    "join with cookie": (
        "67640100941a9be5d3a365b56e29e8879706a3616e6ecf0000018bcfe5687b05960ba33a3a31cdffff92a16b"
        "a176c4080101010101010101039090"
    ),
    "cookie": (
        "67640100941a9be5a00061fcdc1ef2399707a3616e6ecf0000018bcfe5687b05940bc4080101010101010101"
        "a831302e302e302e31cd9c409090"
    ),
    "welcome": (
        "67640100941a9be54fbee4d045a7ca6b9708a3616e6ecf0000018bcfe5687b05970ccf0123456789abcdefcf"
        "ffffffffffffffffc3ce01020304cffedcba9876543210cfffffffffffffffff9199a3626f62a831302e302e"
        "302e32cd1f0acf0000018bcfe56800030090009090"
    ),
    "refuse": (
        "67640100941a9be5a8b9b6a65f1a78709709a3616e6ecf0000018bcfe5687b05960d01a831302e302e302e33"
        "cd1f0acf000fffffffffffff039090"
    ),
    "digest ask": (
        "67640100941a9be550e637358e7207e8970aa3616e6ecf0000018bcfe5687b05940e03c4021234cd04b09090"
    ),
    "digest of leaves": (
        "67640100941a9be52bd26054ddd85c14970ba3616e6ecf0000018bcfe5687b05950f00c4009193c40a010203"
        "0405060708091009cf8000000000000000c09090"
    ),
    "digest of sums": (
        "67640100941a9be505029b866057d9d0970ba3616e6ecf0000018bcfe5687b0595100cc409ffffffffffffff"
        "ffffc0c502000000000000000000000000000000000100000000000000020000000000000003000000000000"
        "0004000000000000000500000000000000060000000000000007000000000000000800000000000000090000"
        "00000000000a000000000000000b000000000000000c000000000000000d000000000000000e000000000000"
        "000f000000000000001000000000000000110000000000000012000000000000001300000000000000140000"
        "0000000000150000000000000016000000000000001700000000000000180000000000000019000000000000"
        "001a000000000000001b000000000000001c000000000000001d000000000000001e000000000000001f0000"
        "0000000000200000000000000021000000000000002200000000000000230000000000000024000000000000"
        "00250000000000000026000000000000002700000000000000280000000000000029000000000000002a0000"
        "00000000002b000000000000002c000000000000002d000000000000002e000000000000002f000000000000"
        "0030000000000000003100000000000000320000000000000033000000000000003400000000000000350000"
        "000000000036000000000000003700000000000000380000000000000039000000000000003a000000000000"
        "003b000000000000003c000000000000003d000000000000003e000000000000003f9090"
    ),
    "pass ask": (
        "67640100941a9be5fbdf2c5c8edb4218970ca3616e6ecf0000018bcfe5687b0595119495c40a010203040506"
        "0708091003a0c20095c40a03ffffffffffffffffff00a16dc30095c40a03ffffffffffffffffff03cf0000ff"
        "ffffffffffc20095c40a03ffffffffffffffffff0305c2cf0000ffffffffffff20cd04b0ce00034bc09090"
    ),
    "pages": (
        "67640100941a9be5c2e6f4ac2592ea3f970da3616e6ecf0000018bcfe5687b0593129496c40a010203040506"
        "0708091003a0a16d09919400a764656661756c7409f496c40a03ffffffffffffffffff00a16da000919604a1"
        "6d0502d3ffe0000000000000cfffffffffffffffff96c40a0102030405060708091003a17a0909929601c410"
        "0190a1b2c3d4750080a1b2c3d4e5f60709a764656661756c74d3ffe0000000000000cd17709703a361206204"
        "cf0020000000000000c40a0102030405060708091003cd177096c40a010203040506070809100309a00990c2"
        "9090"
    ),
    "members ask": (
        "67640100941a9be5ffd7aa26dfe999ad970ea3616e6ecf0000018bcfe5687b059413a3626f6204cd02809090"
    ),
    "members page": (
        "67640100941a9be54b4ea7195b61c84a970fa3616e6ecf0000018bcfe5687b059414a3626f62a09199a47a6f"
        "c3a9ab323030313a6462383a3a310101ceffffffff0394a26463a56e6f727468a46e6f7465a011909090"
    ),
    "hold": (
        "67640100941a9be5336b6c987da8bf829710a3616e6ecf0000018bcfe5687b0592159294c40a010203040506"
        "070809100309929400a764656661756c7409f49400a361206204cf400000000000000094c40a010203040506"
        "070809100309929400a764656661756c7409f49601c4100190a1b2c3d4750080a1b2c3d4e5f60709a7646566"
        "61756c74d3ffe0000000000000cd17709090"
    ),
    "held": (
        "67640100941a9be53d41693d1e12debe9711a3616e6ecf0000018bcfe5687b059416c39292c40a0102030405"
        "06070809100992c40a03ffffffffffffffffffcf0000ffffffffffffc39090"
    ),
    "hello": (
        "67640100941a9be5fe61ea190ecedbac9712a3616e6ecf0000018bcfe5687b0592cfffffffffffffffff1790"
        "90"
    ),
}  # fmt: skip


def _fields(envelope: Envelope) -> list[object]:
    fields: list[object] = msgpack.unpackb(encode(envelope))
    return fields


def _decoded(fields: list[object]) -> Envelope:
    envelope = decode(msgpack.packb(fields))
    assert isinstance(envelope, Envelope)
    return envelope


@pytest.mark.parametrize(("description", "envelope"), EXAMPLES)
def test_a_golden_datagram_is_written_and_read(description: str, envelope: Envelope) -> None:
    datagram = FRAME.close(encode(envelope))
    assert datagram.hex() == GOLDEN[description]
    body = FRAME.open(bytes.fromhex(GOLDEN[description]))
    assert isinstance(body, bytes)
    assert decode(body) == envelope


@pytest.mark.parametrize(("description", "envelope"), EXAMPLES)
def test_probes_and_their_answers_are_known_by_their_first_bytes(
    description: str, envelope: Envelope
) -> None:
    probes = Ping | Ack | PingReq | RelayedAck | Nack
    is_one = isinstance(envelope.message, probes)
    assert is_of_probes(encode(envelope)) is is_one, description
    assert not is_of_probes(encode(envelope)[:1])


def test_every_kind_of_message_has_a_golden_datagram() -> None:
    assert {type(envelope.message) for _, envelope in EXAMPLES} == set(get_args(Message))


@pytest.mark.parametrize("envelope", [envelope for _, envelope in EXAMPLES])
def test_fields_of_a_later_version_are_counted_and_ignored(envelope: Envelope) -> None:
    fields = _fields(envelope)
    message = fields[4]
    assert isinstance(message, list)
    decoded = _decoded([*fields[:4], [*message, "new", {"x": 1}], *fields[5:], None, b"new"])
    assert decoded.unknown == 3
    assert decoded.message == envelope.message


def test_padding_is_read_over_and_nothing_else_in_its_place() -> None:
    fields = _fields(spoken(Gossip()))
    for nothing in (None, b"", bytes(9), b"anything"):
        assert _decoded([*fields, nothing]) == spoken(Gossip())
    assert _decoded([*fields, "a word"]).unknown == 1


def test_a_body_is_padded_to_any_size() -> None:
    body = encode(spoken(Gossip(), [ALIVE], [KEYED]))
    for missing in range(-2, 258):
        longer = padded(body, len(body) + missing)
        assert len(longer) == len(body) + max(0, missing)
        assert decode(longer) == spoken(Gossip(), [ALIVE], [KEYED])


def test_later_fields_of_views_groups_and_records_are_counted_and_ignored() -> None:
    fields = _fields(spoken(Gossip(), [ALIVE], [KEYED]))
    views, groups = fields[5], fields[6]
    assert isinstance(views, list)
    assert isinstance(groups, list)
    views[0].append(1)
    groups[0].append(1)
    for record in groups[0][3]:
        record.append(1)
    decoded = _decoded(fields)
    assert decoded.unknown == 4
    assert decoded.views == (ALIVE,)
    assert decoded.groups == (KEYED,)


def test_an_unknown_kind_of_message_is_dropped_as_such() -> None:
    fields = _fields(spoken(Gossip()))
    assert decode(msgpack.packb([19, *fields[1:]])) is Drop.UNKNOWN_KIND
    assert decode(msgpack.packb([2**64 - 1, *fields[1:]])) is Drop.UNKNOWN_KIND
    assert decode(msgpack.packb([-1, *fields[1:]])) is Drop.MALFORMED


def test_an_unknown_record_makes_a_group_claim_nothing() -> None:
    records = [[0, "default", 9, -12], [5, b"key", 5]]
    fields: list[object] = [*_fields(spoken(Gossip()))[:6], [[STREAM, 3, 9, records]]]
    decoded = _decoded(fields)
    assert decoded.groups == (Group(STREAM, 3, 3, (("default", 9, -12),)),)
    assert decoded.unknown == 1


def test_a_group_that_claims_nothing_stays_as_it_is_with_an_unknown_record() -> None:
    fields: list[object] = [*_fields(spoken(Gossip()))[:6], [[STREAM, 3, 2, [[5]]]]]
    assert _decoded(fields).groups == (Group(STREAM, 3, 2, ()),)


def test_an_unknown_record_makes_a_page_cover_nothing() -> None:
    page = [STREAM, 3, "a", "m", 9, [[0, "default", 9, -12], [7]]]
    fields = _fields(spoken(Pages(18, (), True)))
    decoded = _decoded([*fields[:4], [18, [page], True], *fields[5:]])
    assert isinstance(decoded.message, Pages)
    read = decoded.message.pages[0]
    assert read.after == read.upto
    assert read.registers == (("default", 9, -12),)
    assert decoded.unknown == 1


@pytest.mark.parametrize("kind", [False, 0.0, -1, None, "0", float("nan")])
def test_the_kind_of_a_record_is_an_integer(kind: object) -> None:
    fields = [*_fields(spoken(Gossip()))[:6], [[STREAM, 3, 9, [[kind, "default", 9, -12]]]]]
    assert decode(msgpack.packb(fields)) is Drop.MALFORMED


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "x" * (NAME_BYTES_MAX + 1)},
        {"name": "a\nb"},
        {"address": ("bob.example", 7946)},
        {"address": ("0.0.0.0", 7946)},
        {"address": ("10.0.0.2", 0)},
        {"address": ("10.0.0.2", 65536)},
        {"address": ("fe80::1%eth0", 7946)},
        {"address": (4, 7946)},
        {"generation": 2**52},
        {"generation": -1},
        {"incarnation": 2**32},
        {"incarnation": True},
        {"incarnation": 1.0},
        {"tags": (("b", "1"), ("a", "2"))},
        {"tags": (("a", "1"), ("a", "2"))},
        {"tags": (("", "1"),)},
        {"tags": (("a", "x" * 256),)},
        {"tags": tuple((f"{n:03}", "") for n in range(TAGS_MAX + 1))},
        {"age": 2**32},
        {"accusers": ("x",) * (ACCUSERS_MAX + 1)},
        {"accusers": ("",)},
    ],
    ids=str,
)
def test_an_illegal_view_makes_a_datagram_malformed(change: dict[str, object]) -> None:
    view = MemberView(**{**ALIVE._asdict(), **change})
    assert decode(encode(spoken(Gossip(), [view]))) is Drop.MALFORMED


@pytest.mark.parametrize("status", [-1, 5, 2**63])
def test_a_status_out_of_the_list_is_malformed(status: int) -> None:
    fields = _fields(spoken(Gossip(), [ALIVE]))
    views = fields[5]
    assert isinstance(views, list)
    views[0][5] = status
    assert decode(msgpack.packb(fields)) is Drop.MALFORMED


def test_an_odd_number_of_texts_is_no_list_of_tags() -> None:
    fields = _fields(spoken(Gossip(), [LEFT]))
    views = fields[5]
    assert isinstance(views, list)
    views[0][6].append("k")
    assert decode(msgpack.packb(fields)) is Drop.MALFORMED


def test_a_tag_may_have_an_empty_value() -> None:
    view = ALIVE._replace(tags=(("canary", ""),))
    envelope = spoken(Gossip(), [view])
    assert decode(encode(envelope)) == envelope


@pytest.mark.parametrize(
    "group",
    [
        GROUP._replace(stream=b"\x04" + STREAM[1:]),
        GROUP._replace(stream=STREAM[1:]),
        GROUP._replace(start=-1),
        GROUP._replace(to=2**48),
        GROUP._replace(registers=(("", 1, 1),)),
        GROUP._replace(registers=(("x" * 129, 1, 1),)),
        GROUP._replace(registers=(("x", 0, 1),)),
        GROUP._replace(registers=(("x", 2**48, 1),)),
        GROUP._replace(registers=(("x", 1, 2**62 + 1),)),
        GROUP._replace(registers=(("x", 1, -(2**62) - 1),)),
        *[
            GROUP._replace(keys=(KEY_RECORD._replace(**wrong),))
            for wrong in (
                {"key": KEY[1:]},
                {"key": KEY + b"x"},
                {"key": "k" * 16},
                {"seq": 0},
                {"seq": 2**48},
                {"counter": ""},
                {"by": 0},
                {"by": 2**53 + 1},
                {"by": True},
                {"age": -1},
                {"age": 2**31},
            )
        ],
    ],
    ids=str,
)
def test_an_illegal_group_makes_a_datagram_malformed(group: Group) -> None:
    assert decode(encode(spoken(Gossip(), [], [group]))) is Drop.MALFORMED


@pytest.mark.parametrize(
    "page",
    [
        *[
            PAGE._replace(doubles=(DOUBLE._replace(**wrong),))
            for wrong in (
                {"counter": ""},
                {"seq": 0},
                {"by": 0},
                {"by": -(2**53) - 1},
                {"winner": b"s"},
                {"winner_seq": 2**48},
                {"winner_seq": 4},
                {"winner": OTHER},
                {"age": 2**31},
            )
        ],
        *[
            PAGE._replace(corrections=(CORRECTION._replace(**wrong),))
            for wrong in (
                {"counter": "x" * 129},
                {"seq": 2**48},
                {"lost": -1},
                {"out": 2**62 + 1},
                {"digest": -1},
            )
        ],
    ],
    ids=str,
)
def test_an_illegal_page_makes_a_datagram_malformed(page: Page) -> None:
    assert decode(encode(spoken(Pages(1, (PAGE,), True)))) == spoken(Pages(1, (PAGE,), True))
    assert decode(encode(spoken(Pages(1, (page,), True)))) is Drop.MALFORMED


def test_a_double_as_it_was_told_before_is_passed_over() -> None:
    records = [[0, "default", 9, -12], [2, KEY, 4, "a b", 1]]
    fields: list[object] = [*_fields(spoken(Gossip()))[:6], [[STREAM, 3, 9, records]]]
    decoded = _decoded(fields)
    assert decoded.groups == (Group(STREAM, 3, 9, (("default", 9, -12),)),)
    assert decoded.unknown == 0


@pytest.mark.parametrize(
    ("after", "upto"),
    [((0, "b"), (0, "b")), ((0, "b"), (0, "a")), ((3, ""), (0, "c")), ((3, ""), (2, ""))],
)
def test_a_page_that_ends_before_it_begins_is_malformed(after: Position, upto: Position) -> None:
    page = Page(STREAM, 0, after, upto, 1, ())
    assert decode(encode(spoken(Pages(1, (page,), True)))) is Drop.MALFORMED


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (0, [1, "bob", 1, 2, True]),
        (1, [1, 2, 3, 1, 0]),
        (1, [1, 2, 3, 1.0, 0]),
        (1, [1, 2, 3, True, -1]),
        (1, [1, 2, 3, True, 2**32]),
        (8, [1, 2, 3, True, None]),
        (2, [1, "bob", "10.0.0.1", 1, 0]),
        (6, [1, "10.0.0.1", 1, [], b"x" * 17]),
        (9, [1, 2, "10.0.0.1", 1, 1]),
        (10, [1, 13, b"", 1200]),
        (10, [1, 1, b"\x40", 1200]),
        (10, [1, 1, b"x" * 11, 1200]),
        (10, [1, 0, b"", 1401]),
        (11, [1, 0, b"", None, b"x" * 511]),
        (11, [1, 0, b"", None, None]),
        (12, [1, [], 1, 1200, 0]),
        (12, [1, [[STREAM, 0, "", False]] * 33, 1, 1200, 0]),
        (12, [1, [[STREAM, 0, "", False]], 33, 1200, 0]),
        (12, [1, [[STREAM, 0, "", False]], 1, 639, 0]),
        (12, [1, [[STREAM, 0, "", False]], 1, 1200, -1]),
        (12, [1, [[STREAM, 0, "", False]], 1, 1200, 2**31]),
        (12, [1, [[STREAM, 0, "", 0]], 1, 1200, 0]),
        (12, [1, [[STREAM, 0, 0, False]], 1, 1200, 0]),
        (12, [1, [[STREAM, 0, 2**48, False]], 1, 1200, 0]),
        (12, [1, [[STREAM, 0, True, False]], 1, 1200, 0]),
        (12, [1, [[STREAM, 0, "", False]], 1, 1200]),
        (12, [1, [[STREAM, 0, ""]], 1, 1200, 0]),
        (14, [1, "", 0, 1200]),
        (16, [1, []]),
        (16, [1, [[STREAM, 0, 0, []]] * (HOLD_GROUPS_MAX + 1)]),
        (17, [1, 1, []]),
    ],
)
def test_an_illegal_message_is_malformed(kind: int, message: list[object]) -> None:
    fields = _fields(spoken(Gossip()))
    body = msgpack.packb([kind, *fields[1:4], message, [], []])
    assert decode(body) is Drop.MALFORMED


def test_a_hold_with_a_record_that_is_not_known_is_not_promised() -> None:
    fields = _fields(spoken(Gossip()))
    groups = [[STREAM, 0, 1, [[0, "a", 1, 1], [5, "a later kind"]]]]
    body = msgpack.packb([16, *fields[1:4], [1, groups], [], []])
    assert decode(body) is Drop.UNKNOWN_KIND


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x97",
        b"\xc0",
        b"\x80",
        b"\x97" + b"\x00" * 6 + b"\xc0",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x01",
        b"\xd6\xff\x00\x00\x00\x00",
        b"\xc7\x00\x05",
        b"\xa1\xff",
        b"\x81\x90\x01",
        b"\x91" * 1400,
        b"\xdc\x05\x78" * 466,
    ],
)
def test_bytes_that_are_no_body_are_malformed(body: bytes) -> None:
    assert decode(body) is Drop.MALFORMED


_SIZE = DATAGRAM_SIZE_MAX - TagFrame.overhead
_OPENED = b"\x97\x05\xa1n\x01\x00"
"""What stands before the fields of a message; behind it two lists, the views and the groups."""


@pytest.mark.parametrize("where", [b"", _OPENED, _OPENED + b"\x90\x90"])
@pytest.mark.parametrize(
    "head",
    [
        *(b"\xdc\x05\x78", b"\xdc\x01\x00", b"\xdd\0\0\x05\x78", b"\xdd\xff\xff\xff\xff"),
        *(b"\xde\x05\x78\0", b"\xdf\xff\xff\xff\xff\0", b"\x91", b"\x9f", b"\x81\xa0"),
        *(b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xc9\x7f\xff\xff\xff\x01"),
    ],
)
def test_what_is_promised_and_never_comes_takes_no_memory(head: bytes, where: bytes) -> None:
    """Heads of lists, texts and more, one in the other as far as a datagram goes."""
    body = where + head * ((_SIZE - len(where)) // len(head))
    tracemalloc.start()
    try:
        assert decode(body) is Drop.MALFORMED
        assert tracemalloc.get_traced_memory()[1] < 1_200_000
    finally:
        tracemalloc.stop()


def test_no_datagram_has_room_for_as_long_a_list_as_is_refused() -> None:
    assert _SIZE // len(pack_record(("c", 1, 1))) < ARRAY_MAX


def test_bytes_behind_a_body_make_it_malformed() -> None:
    assert decode(encode(spoken(Ack(1, SHOWN))) + b"\0") is Drop.MALFORMED


def test_the_answer_to_the_largest_hold_fits_a_datagram() -> None:
    versions = ((STREAM, 2**48 - 1),) * HOLD_GROUPS_MAX
    held = spoken(Held(2**64 - 1, True, versions, True))
    assert len(FRAME.close(encode(held))) + NAME_BYTES_MAX <= 1200
    hold = spoken(Hold(1, (Group(STREAM, 0, 0, ()),) * HOLD_GROUPS_MAX))
    assert decode(encode(hold)) == hold


def test_statuses_have_their_precedence_on_the_wire() -> None:
    names = ["ALIVE", "SUSPECT", "FAILED", "LEFT", "FORGOTTEN"]
    assert [status.name for status in Status] == names
    assert [status.value for status in Status] == list(range(5))


def test_no_more_events_have_lost_than_there_are() -> None:
    """Else who folds one more could tell nobody."""
    page = Page(STREAM, 0, BEGINNING, END, 5, (), (), (), (CORRECTION._replace(seq=5, lost=5),))
    told = spoken(Pages(1, (page,), True))
    assert decode(encode(told)) == told
    worse = page._replace(corrections=(CORRECTION._replace(seq=5, lost=6),))
    assert decode(encode(spoken(Pages(1, (worse,), True)))) is Drop.MALFORMED
