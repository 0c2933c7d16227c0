"""The leaf parts of a node, wired up without the node."""

from __future__ import annotations

from random import Random
from uuid import UUID

from gossipd.core.settings import Settings
from gossipd.core.state import State
from gossipd.core.wire.frame import TagFrame
from gossipd.core.wire.messages import MemberView, Status

FRAME = TagFrame("parts")
OWN = MemberView("own", ("10.0.0.9", 1), 5, 0, Status.ALIVE)
ALIVE = MemberView("bob", ("10.0.0.1", 1), 5, 3, Status.ALIVE)
LARGEST = MemberView(
    "n" * 64,
    ("2001:1111:2222:3333:4444:5555:6666:7777", 65535),
    2**52 - 1,
    2**32 - 1,
    Status.FAILED,
    tuple((f"{n:02}", "x" * 6) for n in range(32)),
    accusers=tuple(str(n) * 64 for n in range(8)),
)
"""No legal view takes more bytes than this one, but for the age."""


def new_key(rng: Random) -> bytes:
    """An idempotency key that does not tell its time (a UUID of version 4)."""
    return UUID(int=rng.getrandbits(128), version=4).bytes


def state_of(
    *views: MemberView,
    datagram_size: int = 1200,
    own: MemberView = OWN,
    settings: Settings | None = None,
    durable: bool = False,
) -> State:
    """The state of a node that holds these members."""
    settings = settings or Settings(datagram_size=datagram_size)
    state = State(own, settings, FRAME, Random(1), 0.0, durable)
    state.life.ready = True
    for view in views:
        state.members.merge(view, 0.0, proven=True)
    return state
