"""Strangers that hold a node's side port, and strangers that flood its gossip port: real traffic.

Each is a function that runs for some seconds, in a process of its own, and tells how much it did.
What a node closes is opened again: the attack is always at full strength.
"""

from __future__ import annotations

import random
import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import cycle
from typing import NamedTuple

from gossipd.core import Address
from gossipd.core.wire.messages import Hello, Ping
from gossipd.sealing.frame import SealedFrame
from gossipd.sealing.keyring import Keyring, Secret
from tests.e2e.mischief import FRAME, SHOWN, Mischief
from tests.e2e.node import Node
from tests.fuzz.attacks import sideport
from tests.fuzz.attacks.sealed import CAPTURED, Captured, hostile

POOL = 2000
"""Different datagrams of a flood, which come again and again."""

TICK = 0.005
"""Seconds between two bursts of a flood."""

OPENED_MAX = 200
"""Connections that are opened in one go."""

DRIP = 1.0
"""Seconds between two bytes of a slow sender."""


class Crowd(NamedTuple):
    """Connections that are held, and never read."""

    size: int
    said: bytes = b""
    """What each says first."""

    drip: bytes = b""
    """What each says after that, a byte a second."""


IDLE = Crowd(5000)
SLOW = Crowd(500, b"POST /increment HTTP/1.1\r\nHost: a\r\nX: ", b"x")
DEAF = Crowd(200, b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")


def hold(to: Address, sources: Sequence[str], crowd: Crowd, seconds: float) -> int:
    """Hold connections from some addresses in turn; how many were opened in all."""
    sideport.allow_files()
    held: dict[int, socket.socket] = {}
    hosts, opened = cycle(sources), 0
    ends, drips_at = time.monotonic() + seconds, time.monotonic() + DRIP
    with select.epoll() as poll:
        while (now := time.monotonic()) < ends:
            for _ in range(min(OPENED_MAX, crowd.size - len(held))):
                with suppress(OSError):
                    sock = _connected(to, next(hosts), crowd.said)
                    held[sock.fileno()] = sock
                    poll.register(sock, select.EPOLLRDHUP)
                    opened += 1
            if crowd.drip and now >= drips_at:
                drips_at = now + DRIP
                for sock in held.values():
                    with suppress(OSError):
                        sock.send(crowd.drip)
            for number, _ in poll.poll(TICK):
                poll.unregister(number)
                held.pop(number).close()
    for sock in held.values():
        sock.close()
    return opened


def _connected(to: Address, host: str, said: bytes) -> socket.socket:
    sock = socket.socket()
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(1)
        sock.bind((host, 0))
        sock.connect(to)
        sock.sendall(said)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def flood(
    to: Address, sources: Sequence[str], datagrams: Sequence[bytes], rate: float, seconds: float
) -> int:
    """Send datagrams from some addresses in turn, so many a second; how many were sent."""
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in sources]
    for sock, host in zip(socks, sources, strict=True):
        sock.bind((host, 0))
        sock.setblocking(False)
    pairs, sent, began = cycle(zip(cycle(socks), datagrams, strict=False)), 0, time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        for _ in range(int(now * rate) - sent):
            sock, data = next(pairs)
            with suppress(OSError):
                sock.sendto(data, to)
            sent += 1
        time.sleep(TICK)
    for sock in socks:
        sock.close()
    return sent


# --- what strangers can say ----------------------------------------------------------------------


def of_every_kind(nodes: list[Node], victim: Address) -> dict[str, list[bytes]]:
    """Datagrams that anybody can make up who knows the cluster's name, by kind."""
    rng = random.Random(5)
    mischief = Mischief(nodes, victim, FRAME.close(b""))
    made: dict[str, Callable[[], bytes]] = {
        "garbage": lambda: mischief.noise(rng),
        "damaged": lambda: rng.choice((mischief.flipped, mischief.truncated))(rng),
        "absurd": lambda: mischief.absurd(rng),
        "views": lambda: mischief.rumour(rng),
        "joins": lambda: rng.choice((mischief.forged_join, mischief.guessed_cookie))(rng),
        "pings": lambda: mischief.said("ghost", Ping(rng.getrandbits(64), nodes[0].name, SHOWN)),
        "hellos": lambda: mischief.said("ghost", Hello(rng.getrandbits(64), 0)),
        "plain": lambda: rng.choice((b"ping", b"ping x" + bytes(1000))),
    }
    return {kind: [make() for _ in range(POOL)] for kind, make in made.items()}


def of_every_sealed_kind(nodes: list[Node], secret: Secret) -> dict[str, list[bytes]]:
    """The same where there is a secret, of who listens: what a member has said is his to change
    and to send again."""
    rng, frame = random.Random(5), SealedFrame("gossipd", Keyring((secret,)))
    mischief = Mischief(nodes, (nodes[0].host, 9), b"")
    said = [mischief.said("ghost", Ping(rng.getrandbits(64), "", SHOWN)) for _ in range(CAPTURED)]
    heard = [frame.close(data[FRAME.overhead :]) for data in said]
    kinds = hostile(secret)
    del kinds["reflected"]  # they were sent by nobody
    captured = Captured(heard, [])
    made = {kind: [make(captured, rng) for _ in range(POOL)] for kind, (_, make) in kinds.items()}
    return {**made, "plain": [b"ping"] * POOL}


def mixed(kinds: dict[str, list[bytes]]) -> list[bytes]:
    """All of them in turn."""
    return [data for row in zip(*kinds.values(), strict=True) for data in row]
