"""One example of everything that a datagram can hold: the golden datagrams and their relatives."""

from __future__ import annotations

from collections.abc import Sequence

from gossipd.core.wire.encoding import (
    pack_body,
    pack_group,
    pack_head,
    pack_record,
    pack_view,
)
from gossipd.core.wire.messages import (
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
    BEGINNING,
    END,
    Correction,
    Double,
    Group,
    KeyRecord,
    Leaf,
    Page,
    PassItem,
    Record,
)

STREAM = bytes.fromhex("01020304050607080910")
OTHER = bytes.fromhex("03ffffffffffffffffff")
SHOWN = Shown(0xFEDCBA98765432100123456789ABCDEF, 2**128 - 1, True, 0x01020304)
ALIVE = MemberView("bob", ("10.0.0.2", 7946), 1_700_000_000_000, 3, Status.ALIVE)
SUSPECT = ALIVE._replace(status=Status.SUSPECT, accusers=("ann", "eve"))
LEFT = MemberView(
    "zoé", ("2001:db8::1", 1), 1, 2**32 - 1, Status.LEFT, (("dc", "north"), ("note", "")), 17
)
GROUP = Group(STREAM, 3, 9, (("default", 9, -12), ("a b", 4, 2**62)))
KEY = bytes.fromhex("0190a1b2c3d4750080a1b2c3d4e5f607")
KEY_RECORD = KeyRecord(KEY, 9, "default", -(2**53), 6000)
DOUBLE = Double("a b", 4, 2**53, STREAM, 3, 6000)
CORRECTION = Correction("m", 5, 2, -(2**53), 2**64 - 1)
KEYED = Group(STREAM, 3, 9, (("default", 9, -12),), (KEY_RECORD,))


def packed(group: Group) -> bytes:
    """A group with all that is in it."""
    records: tuple[Record, ...] = (*group.registers, *group.keys)
    return pack_group(group.stream, group.start, group.to, list(map(pack_record, records)))


def encode(envelope: Envelope) -> bytes:
    """The body of an envelope, as a packet builder would write it."""
    head = pack_head(envelope.sender, envelope.generation, envelope.incarnation, envelope.message)
    groups = list(map(packed, envelope.groups))
    return pack_body(head, list(map(pack_view, envelope.views)), groups)


def spoken(
    message: Message, views: Sequence[MemberView] = (), groups: Sequence[Group] = ()
) -> Envelope:
    """An envelope from "ann"."""
    return Envelope("ann", 1_700_000_000_123, 5, message, tuple(views), tuple(groups))


EXAMPLES: tuple[tuple[str, Envelope], ...] = (
    ("ping", spoken(Ping(7, "bob", SHOWN))),
    ("ack", spoken(Ack(2**64 - 1, SHOWN))),
    ("ping-req", spoken(PingReq(8, "bob", ("10.0.0.2", 7946), 500))),
    ("relayed ack", spoken(RelayedAck(9))),
    ("nack", spoken(Nack(10))),
    ("gossip with news", spoken(Gossip(), (ALIVE, SUSPECT, LEFT), (GROUP,))),
    ("gossip with keys", spoken(Gossip(), (), (KEYED,))),
    ("first join", spoken(Join(11, ("10.0.0.1", 7946), (), b"", Standing.NEWCOMER))),
    (
        "join with cookie",
        spoken(Join(11, ("::1", 65535), (("k", "v"),), b"\x01" * 8, Standing.HOLDER)),
    ),
    ("cookie", spoken(Cookie(11, b"\x01" * 8, ("10.0.0.1", 40000)))),
    ("welcome", spoken(Welcome(12, SHOWN), (ALIVE,))),
    ("refuse", spoken(Refuse(13, Refusal.GENERATION_TOO_LOW, ("10.0.0.3", 7946), 2**52 - 1))),
    ("digest ask", spoken(DigestAsk(14, 3, 0x1234, 1200))),
    ("digest of leaves", spoken(Digest(15, 0, 0, (Leaf(STREAM, 9, 2**63),), None))),
    ("digest of sums", spoken(Digest(16, 12, 2**72 - 1, None, tuple(range(64))))),
    (
        "pass ask",
        spoken(
            PassAsk(
                17,
                (
                    PassItem(STREAM, 3, BEGINNING),
                    PassItem(OTHER, 0, (0, "m"), True),
                    PassItem(OTHER, 3, (2**48 - 1, "")),
                    PassItem(OTHER, 3, (5, ""), until=2**48 - 1),
                ),
                32,
                1200,
                216_000,
            )
        ),
    ),
    (
        "pages",
        spoken(
            Pages(
                18,
                (
                    Page(STREAM, 3, BEGINNING, (0, "m"), 9, (("default", 9, -12),)),
                    Page(OTHER, 0, (0, "m"), END, 0, (), corrections=(CORRECTION,)),
                    Page(STREAM, 3, (0, "z"), (9, ""), 9, (), (KEY_RECORD,), (DOUBLE,)),
                    Page(STREAM, 3, (9, ""), END, 9, ()),
                ),
                False,
            )
        ),
    ),
    ("members ask", spoken(MembersAsk(19, "bob", 4, 640))),
    ("members page", spoken(MembersPage(20, "bob", "", (LEFT,)))),
    ("hold", spoken(Hold(21, (GROUP, KEYED)))),
    ("held", spoken(Held(22, True, ((STREAM, 9), (OTHER, 2**48 - 1)), True))),
    ("hello", spoken(Hello(2**64 - 1, 23))),
)  # fmt: skip
