"""A member that sends what costs its peers most, as fast as it wants, and is a good member else.

    python -m tests.fuzz.attacks.costly ADDRESS [--cluster NAME] [--host HOST] [--rate R] ...

It joins through ADDRESS, answers pings, and sends R datagrams a second there: key records of one
key and in falling order, new streams under one prefix, questions for digests, passes and members.
"""

from __future__ import annotations

import random
import socket
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from itertools import cycle

from gossipd.config.endpoint import Endpoint
from gossipd.core import Address
from gossipd.core.identity import SEQ_MAX, Stream
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.encoding import (
    pack_body,
    pack_group,
    pack_head,
    pack_record,
)
from gossipd.core.wire.frame import TagFrame
from gossipd.core.wire.messages import (
    PAGES_MAX,
    Ack,
    Cookie,
    DigestAsk,
    Envelope,
    Gossip,
    Hello,
    Join,
    MembersAsk,
    Message,
    PassAsk,
    Ping,
    Shown,
    Standing,
    Welcome,
)
from gossipd.core.wire.records import BEGINNING, KeyRecord, PassItem, Record

NAME = "costly"
SIZE = 1400
ROOM = 1200
"""Bytes of records in a datagram."""

TICK = 0.01
"""Seconds between two bursts."""


class Costly:
    """The member, and one node that it has chosen."""

    def __init__(self, to: Address, host: str, cluster: str = "gossipd", seed: int = 1) -> None:
        self._to = to
        self._frame = TagFrame(cluster)
        self._rng = random.Random(seed)
        self.generation = int(1000 * time.time())
        self._shown = Shown(1, 1, True)
        self._seq = SEQ_MAX
        self._streams = 0
        self._stream = self._rng.randbytes(9)
        self.sent = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**22)
        self.socket.bind((host, 0))
        self.socket.settimeout(TICK)

    def join(self, within: float = 10.0) -> None:
        """Become a member."""
        host, port = self.socket.getsockname()
        cookie, until = b"", time.monotonic() + within
        while time.monotonic() < until:
            self._say(Join(1, (host, port), (), cookie, Standing.NEWCOMER))
            for envelope in self._heard(5 * TICK):
                if isinstance(envelope.message, Cookie):
                    cookie = envelope.message.cookie
                    break
                if isinstance(envelope.message, Welcome):
                    return
        raise TimeoutError("not taken in")

    def attack(self, seconds: float, rate: float) -> None:
        """Send what is dear, and answer pings meanwhile."""
        kinds: Iterator[Callable[[], None]] = cycle(
            (self._one_key, self._falling, self._opening, self._digests, self._passes, self._table)
        )
        began = time.monotonic()
        while (now := time.monotonic()) < began + seconds:
            while self.sent < (now - began) * rate:
                next(kinds)()
                self.sent += 1
            self.behave(TICK)

    def behave(self, seconds: float) -> None:
        """Be a member that answers."""
        for _ in self._heard(seconds):
            pass

    # --- what is dear ------------------------------------------------------------------------

    def _one_key(self) -> None:
        self._tell(b"\0" + self._stream, self._keys(lambda: bytes(16)))

    def _falling(self) -> None:
        self._tell(b"\1" + self._stream, self._keys(lambda: self._rng.randbytes(16)))

    def _opening(self) -> None:
        """Streams that differ in their last bits only."""
        groups = []
        for _ in range(25):
            self._streams += 1
            stream = bytes(6) + self._streams.to_bytes(4, "big")
            groups.append(pack_group(stream, 0, 1, [pack_record(("c", 1, 1))]))
        self._send(pack_body(self._head(Gossip()), [], groups))

    def _digests(self) -> None:
        self._say(DigestAsk(1, self._rng.randrange(13), 0, SIZE))

    def _passes(self) -> None:
        wishes = (PassItem(b"\0" + self._stream, 0, BEGINNING),)
        self._say(PassAsk(self._rng.getrandbits(64), wishes, PAGES_MAX, SIZE, 2**31 - 1))

    def _table(self) -> None:
        self._say(MembersAsk(self._rng.getrandbits(64), "", PAGES_MAX, SIZE))

    def _keys(self, key: Callable[[], bytes]) -> Iterator[KeyRecord]:
        while True:
            self._seq -= 1
            yield KeyRecord(key(), self._seq, "c", 1, 0)

    def _tell(self, stream: Stream, records: Iterator[Record]) -> None:
        taken, room = [], ROOM
        for record in map(pack_record, records):
            room -= len(record)
            if room < 0:
                break
            taken.append(record)
        self._send(pack_body(self._head(Gossip()), [], [pack_group(stream, 0, 0, taken)]))

    # --- speaking ----------------------------------------------------------------------------

    def _head(self, message: Message) -> bytes:
        return pack_head(NAME, self.generation, 0, message)

    def _say(self, message: Message, to: Address | None = None) -> None:
        self._send(pack_body(self._head(message), [], []), to)

    def _send(self, body: bytes, to: Address | None = None) -> None:
        self.socket.sendto(self._frame.close(body), to or self._to)

    def _heard(self, seconds: float) -> Iterator[Envelope]:
        """What comes within a time; pings are answered, and nonces echoed."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                data, source = self.socket.recvfrom(2048)
            except TimeoutError:
                return
            body = self._frame.open(data)
            envelope = decode(body) if isinstance(body, bytes) else None
            if not isinstance(envelope, Envelope):
                continue
            if isinstance(envelope.message, Ping):
                self._say(Ack(envelope.message.nonce, self._shown), source)
            elif isinstance(envelope.message, Hello) and envelope.message.nonce:
                self._say(Hello(0, envelope.message.nonce), source)
            yield envelope


def main(arguments: list[str]) -> int:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("address", type=Endpoint.parse_peer)
    parser.add_argument("--cluster", default="gossipd")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=1000.0)
    wanted = parser.parse_args(arguments)
    liar = Costly((wanted.address.host, wanted.address.port), wanted.host, wanted.cluster)
    liar.join()
    liar.attack(wanted.seconds, wanted.rate)
    print(f"sent {liar.sent} datagrams")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
