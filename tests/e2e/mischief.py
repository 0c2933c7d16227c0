"""Datagrams that nobody should send: each kind is a function of a seeded generator.

All of them can be sent by anybody who reads the source and knows the cluster's name; what a member
itself could legally say is not among them, for without secrets nothing keeps that out.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from typing import Any

import msgpack

from gossipd.core.identity import new_stream
from gossipd.core.wire.encoding import (
    pack_body,
    pack_group,
    pack_head,
    pack_record,
    pack_view,
)
from gossipd.core.wire.frame import TagFrame
from gossipd.core.wire.messages import (
    Ack,
    Gossip,
    Join,
    MembersAsk,
    MemberView,
    Message,
    Ping,
    Shown,
    Standing,
    Status,
)
from tests.e2e.node import Node

Make = Callable[[random.Random], bytes]

FRAME = TagFrame("gossipd")
FOREIGN = TagFrame("somebody else's")
SHOWN = Shown(1, 1, True)
NOW_MS = 1_800_000_000_000


class Mischief:
    """Datagrams against the members of one cluster; forged joins name the address `victim`."""

    def __init__(self, members: list[Node], victim: tuple[str, int], reflected: bytes) -> None:
        self._members = members
        self._victim = victim
        self._reflected = reflected
        self.kinds: tuple[Make, ...] = (
            self.noise,
            self.flipped,
            self.truncated,
            self.oversized,
            self.foreign,
            self.other_version,
            self.absurd,
            self.mutated,
            self.rumour,
            self.forged_join,
            self.guessed_cookie,
            self.echo,
            self.unasked,
        )
        self.answered = 0
        """How many of those drawn begin or go on with a join, which is answered, not dropped."""

    def draw(self, rng: random.Random) -> bytes:
        """Any of them."""
        kind = rng.choice(self.kinds)
        self.answered += kind in (self.forged_join, self.guessed_cookie, self.echo)
        return kind(rng)

    # --- damaged -----------------------------------------------------------------------------

    def noise(self, rng: random.Random) -> bytes:
        start = b"gd\x01\x00" if rng.random() < 0.5 else b""
        return start + rng.randbytes(rng.randrange(1, 1300))

    def flipped(self, rng: random.Random) -> bytes:
        data = bytearray(self._from_member(rng))
        for bit in rng.sample(range(8 * len(data)), rng.randrange(1, 4)):
            data[bit // 8] ^= 1 << bit % 8
        return bytes(data)

    def truncated(self, rng: random.Random) -> bytes:
        data = self._from_member(rng)
        return data[: rng.randrange(1, len(data))]

    def oversized(self, rng: random.Random) -> bytes:
        return FRAME.close(self._body(rng, "n1", Gossip()) + rng.randbytes(2000))

    def foreign(self, rng: random.Random) -> bytes:
        return FOREIGN.close(self._body(rng, "n1", Gossip()))

    def other_version(self, rng: random.Random) -> bytes:
        data = bytearray(self._from_member(rng))
        data[2] = rng.choice((0, 2, 255))
        return bytes(data)

    # --- in a good frame ---------------------------------------------------------------------

    def absurd(self, rng: random.Random) -> bytes:
        """A member's name, a legal shape, and a number out of every range."""
        huge = rng.choice((-1, 2**63, 2**64 - 1, 1.5, float("nan"), None, "9", b"9"))
        stream = new_stream(rng)
        sender = rng.choice(self._members).name
        bodies: tuple[Any, ...] = (
            [0, sender, huge, 0, [1, "n1", 0, 0, True], [], []],
            [5, sender, 2**53, 0, [], [], []],
            [5, sender, 1, 2**33, [], [], []],
            [5, sender, 1, 0, [], [], [[stream, 0, 5, [[0, "default", huge, 7]]]]],
            [5, sender, 1, 0, [], [], [[stream, 0, 5, [[0, "default", 5, 2**63]]]]],
            [5, sender, 1, 0, [], [], [[stream, 9, huge, []]]],
            [5, sender, 1, 0, [], [["n1", "127.0.0.1", 70000, 1, 0, 2, [], 0, []]], []],
            [5, sender, 1, 0, [], [["n1", "127.0.0.1", 1, 1, 0, huge, [], 0, []]], []],
            [huge, sender, 1, 0, [], [], []],
            [[[[[[]]]]]] * 200,
            {"sender": sender},
        )
        return FRAME.close(msgpack.packb(rng.choice(bodies)))

    def mutated(self, rng: random.Random) -> bytes:
        """Damaged before it was framed, by somebody who is no member."""
        body = bytearray(self._body(rng, "nobody", Gossip()))
        for _ in range(rng.randrange(1, 6)):
            body[rng.randrange(12, len(body))] = rng.randrange(256)
        return FRAME.close(bytes(body))

    def rumour(self, rng: random.Random) -> bytes:
        """A stranger that knows of a count and of everybody's death."""
        return FRAME.close(self._body(rng, f"ghost{rng.randrange(100)}", Gossip()))

    def forged_join(self, rng: random.Random) -> bytes:
        """A join in the name of another address, or of a member."""
        member = rng.choice(self._members)
        name, address = rng.choice(
            (
                (f"ghost{rng.randrange(100)}", self._victim),
                (member.name, self._victim),
                (f"ghost{rng.randrange(100)}", (member.host, member.port)),
            )
        )
        return self.said(name, Join(rng.getrandbits(64), address, (), b"", Standing.NEWCOMER))

    def guessed_cookie(self, rng: random.Random) -> bytes:
        cookie = rng.randbytes(rng.choice((1, 8, 16)))
        return self.said(
            "ghost", Join(rng.getrandbits(64), self._victim, (), cookie, Standing.NEWCOMER)
        )

    def echo(self, _: random.Random) -> bytes:
        """What the target sent itself."""
        return self._reflected

    def unasked(self, rng: random.Random) -> bytes:
        """Answers and questions out of nowhere."""
        nonce = rng.getrandbits(64)
        message = rng.choice(
            (Ping(nonce, "n1", SHOWN), Ack(nonce, SHOWN), MembersAsk(1, "", 32, 9))
        )
        return self.said("ghost", message)

    # --- parts -------------------------------------------------------------------------------

    def _from_member(self, rng: random.Random) -> bytes:
        return FRAME.close(self._body(rng, self._members[0].name, Gossip()))

    def said(self, sender: str, message: Message) -> bytes:
        return FRAME.close(pack_body(pack_head(sender, NOW_MS, 0, message), [], []))

    def _body(self, rng: random.Random, sender: str, message: Message) -> bytes:
        target = rng.choice(self._members)
        lie = MemberView(target.name, (target.host, target.port), NOW_MS, 9, Status.FAILED)
        group = pack_group(new_stream(rng), 0, 5, [pack_record(("default", 5, 1_000_000))])
        return pack_body(pack_head(sender, NOW_MS, 0, message), [pack_view(lie)], [group])


def said_by(node: Node, sock: socket.socket) -> bytes:
    """A datagram of a node: its answer to a join that never goes on."""
    join = Join(1, sock.getsockname(), (), b"", Standing.NEWCOMER)
    sock.sendto(
        FRAME.close(pack_body(pack_head("ghost", NOW_MS, 0, join), [], [])), (node.host, node.port)
    )
    return sock.recv(65536)
