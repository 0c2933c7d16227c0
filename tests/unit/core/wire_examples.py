"""One example of everything that a datagram can hold: the golden datagrams and their relatives."""

from __future__ import annotations

from collections.abc import Sequence

from gossipd.core.codec import pack_body, pack_group, pack_head, pack_record, pack_view
from gossipd.core.messages import (
    Ack,
    Cookie,
    Digest,
    DigestAsk,
    Envelope,
    Gossip,
    Group,
    Held,
    Hold,
    Join,
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
    Refusal,
    Refuse,
    RelayedAck,
    Shown,
    Status,
    Welcome,
)

STREAM = bytes.fromhex("01020304050607080910")
OTHER = bytes.fromhex("03ffffffffffffffffff")
SHOWN = Shown(0x0123456789ABCDEF, 2**64 - 1, True, 0x01020304)
ALIVE = MemberView("bob", ("10.0.0.2", 7946), 1_700_000_000_000, 3, Status.ALIVE)
SUSPECT = ALIVE._replace(status=Status.SUSPECT, accusers=("ann", "eve"))
LEFT = MemberView(
    "zoé", ("2001:db8::1", 1), 1, 2**32 - 1, Status.LEFT, (("dc", "north"), ("note", "")), 17
)
GROUP = Group(STREAM, 3, 9, (("default", 9, -12), ("a b", 4, 2**62)))


def encode(envelope: Envelope) -> bytes:
    """The body of an envelope, as a courier would write it."""
    head = pack_head(envelope.sender, envelope.generation, envelope.incarnation, envelope.message)
    groups = [
        pack_group(group.stream, group.start, group.to, list(map(pack_record, group.registers)))
        for group in envelope.groups
    ]
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
    ("first join", spoken(Join(11, ("10.0.0.1", 7946), (), b""))),
    ("join with cookie", spoken(Join(11, ("::1", 65535), (("k", "v"),), b"\x01" * 8))),
    ("cookie", spoken(Cookie(11, b"\x01" * 8, ("10.0.0.1", 40000)))),
    ("welcome", spoken(Welcome(12, SHOWN), (ALIVE,))),
    ("refuse", spoken(Refuse(13, Refusal.GENERATION_TOO_LOW, ("10.0.0.3", 7946), 2**52 - 1))),
    ("digest ask", spoken(DigestAsk(14, 3, 0x1234, 1200))),
    ("digest of leaves", spoken(Digest(15, 0, 0, (Leaf(STREAM, 9, 2**63),), None))),
    ("digest of sums", spoken(Digest(16, 12, 2**72 - 1, None, tuple(range(64))))),
    (
        "pass ask",
        spoken(PassAsk(17, (PassItem(STREAM, 3, ""), PassItem(OTHER, 0, "m")), 32, 1200)),
    ),
    (
        "pages",
        spoken(
            Pages(
                18,
                (
                    Page(STREAM, 3, "", "m", 9, (("default", 9, -12),)),
                    Page(OTHER, 0, "m", "", 0, ()),
                ),
                False,
            )
        ),
    ),
    ("members ask", spoken(MembersAsk(19, "bob", 4, 640))),
    ("members page", spoken(MembersPage(20, "bob", "", (LEFT,)))),
    ("hold", spoken(Hold(21, (GROUP,)))),
    ("held", spoken(Held(22, True, ((STREAM, 9), (OTHER, 2**48 - 1)), True))),
)  # fmt: skip
