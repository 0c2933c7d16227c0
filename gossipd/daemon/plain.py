"""Plain questions to the gossip port: is somebody there, and what gets through?

`ping` is for people with netcat. `ping WORD`, as long as the asker makes it, is for `gossipd
doctor`: its answer is just as long, so that it shows whether datagrams of that size get through
both ways, and tells this host's clock and the version. An answer is never longer than its
question, so nobody is sent more than somebody has sent in his name; an older node does not answer
the longer form, nor does one with a secret: clock and version are told to who holds it, and that a
packet gets through is enough for all others.
"""

from __future__ import annotations

from gossipd.core.settings import DATAGRAM_SIZE_MAX
from gossipd.version import full_version

WORD_MAX = 16
"""Bytes of the asker's word that come back, so that it knows which question is answered."""

PING = b"ping"
"""How a question begins."""

_PONG = b"pong"


def answer(question: bytes, wall: float, *, only_ping: bool = False) -> bytes | None:
    """What is answered to a datagram; None where it is no plain question. `wall`: seconds since
    the epoch; `only_ping`: nothing is told to strangers."""
    if not question.startswith(PING):
        return None
    if question in (PING, b"ping\n", b"ping\r\n"):
        return question.replace(PING, _PONG)
    if only_ping or question[4:5] != b" " or len(question) > DATAGRAM_SIZE_MAX:
        return None
    word = question[5:].partition(b" ")[0][:WORD_MAX]
    said = b" ".join((_PONG, word, b"%d" % int(1000 * wall), full_version().encode(), b""))
    return said[: len(question)].ljust(len(question), b" ")
