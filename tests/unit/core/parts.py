"""The leaf parts of a node, wired up without the node."""

from __future__ import annotations

from random import Random
from uuid import UUID

from gossipd.core.courier import Courier
from gossipd.core.frame import TagFrame
from gossipd.core.health import Health
from gossipd.core.hearsay import Hearsay
from gossipd.core.judge import Judge
from gossipd.core.lanes import LogLane, MemberLane
from gossipd.core.log import Log
from gossipd.core.members import MemberTable
from gossipd.core.messages import MemberView, Status
from gossipd.core.newcomers import Newcomers
from gossipd.core.pings import RoundTrips
from gossipd.core.plausible import Plausible
from gossipd.core.questions import Questions
from gossipd.core.saving import Saving
from gossipd.core.settings import Settings
from gossipd.core.state import State
from gossipd.core.strangers import Strangers
from gossipd.core.tail import Tail
from gossipd.core.timers import Timers
from gossipd.core.writer import Writer

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
    rng = Random(1)
    log = Log()
    members = MemberTable(own, settings.remember, 0.0)
    for view in views:
        members.merge(view, 0.0, proven=True)
    log.keeps_marks = members.keeps_marks = durable
    judge = Judge(log, settings, lambda: True)
    member_lane, log_lane = MemberLane(), LogLane(log)
    return State(
        settings=settings,
        rng=rng,
        timers=Timers(),
        members=members,
        newcomers=Newcomers(settings.probe_interval),
        log=log,
        judge=judge,
        writer=Writer(log, judge, rng),
        tail=Tail(10),
        member_lane=member_lane,
        log_lane=log_lane,
        questions=Questions(rng),
        round_trips=RoundTrips(settings),
        health=Health(settings.health_max),
        strangers=Strangers(),
        courier=Courier(settings, FRAME, members, member_lane, log_lane),
        saving=Saving(log, members, judge),
        plausible=Plausible(own.generation),
        hearsay=Hearsay(1.0),
    )
