"""The leaf parts of one node, which decide nothing: `node` hands each part those that it uses."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from .courier import Courier
from .elsewhere import Elsewhere
from .frame import Frame
from .growth import Growth
from .health import Health
from .hearsay import Hearsay
from .identity import Address
from .image import Image, StreamImage
from .judge import Judge
from .lanes import LogLane, MemberLane
from .life import Life
from .log import Log
from .means import Means
from .members import MemberTable
from .messages import MemberView
from .newcomers import Newcomers
from .pings import RoundTrips
from .plausible import Plausible
from .questions import Questions
from .rounds import Rounds
from .saving import Saving
from .settings import Settings
from .showing import Showing
from .strangers import Strangers
from .tail import Tail
from .timers import Timers
from .turn import Outlet, Turn
from .writer import Writer


@dataclass(frozen=True, slots=True)
class State:
    """Everything that a node knows."""

    means: Means
    life: Life
    log: Log
    judge: Judge
    writer: Writer
    tail: Tail
    members: MemberTable
    newcomers: Newcomers
    hearsay: Hearsay
    elsewhere: Elsewhere
    plausible: Plausible
    strangers: Strangers
    rounds: Rounds
    showing: Showing
    questions: Questions
    round_trips: RoundTrips
    health: Health
    member_lane: MemberLane
    log_lane: LogLane
    saving: Saving
    courier: Courier
    growth: Growth
    outlet: Outlet

    def turn(self, now: float, source: Address = ("", 0)) -> Turn:
        """An input that comes now."""
        return Turn(self.outlet, now, source)

    def image(self, now: float) -> Image:
        """What the next life of this node may `load`."""
        log, members = self.log, self.members
        streams = tuple(
            StreamImage(
                stream,
                log.version(stream),
                tuple(log.by_name(stream, 0, "")),
                tuple(log.keys.oldest_first(stream, 0, now)),
                tuple(log.doubles.of(stream, 0, now)),
                log.archived(stream, now),
                tuple(log.doubles.corrections(stream)),
            )
            for stream in log.streams
        )
        names = (view.name for view in members.views() if view.name != self.members.own.name)
        views = (members.worth_keeping(name, now) for name in names)
        known = [view for view in views if view is not None]
        known += (v for v in self.newcomers.kept if members.get(v.name) is None)
        return Image(streams, tuple(sorted(known)), self.judge.horizon)


def begin(
    own: MemberView, settings: Settings, frame: Frame, rng: Random, now: float, durable: bool
) -> State:
    """What a node knows when it begins."""
    limits = settings.streams_max, settings.registers_max, settings.keys_max
    log = Log(*limits, int(settings.doubles_max))
    members = MemberTable(own, settings.remember, now)
    log.keeps_marks = members.keeps_marks = durable
    life, rounds = Life(settings.probe_interval, now), Rounds()
    timers = Timers()
    judge = Judge(log, settings, lambda: life.ready)
    lanes, strangers = (MemberLane(), LogLane(log)), Strangers()
    courier, tail = Courier(settings, frame, members, *lanes), Tail(int(settings.tail_size))
    return State(
        means=Means(settings, rng, timers),
        life=life,
        log=log,
        judge=judge,
        writer=Writer(log, judge, rng),
        tail=tail,
        members=members,
        newcomers=Newcomers(settings.probe_interval),
        hearsay=Hearsay(settings.probe_interval),
        elsewhere=Elsewhere(),
        plausible=Plausible(own.generation),
        strangers=strangers,
        rounds=rounds,
        showing=Showing(log, members, rounds, life),
        questions=Questions(rng),
        round_trips=RoundTrips(settings),
        health=Health(settings.health_max),
        member_lane=lanes[0],
        log_lane=lanes[1],
        saving=Saving(log, members, judge),
        courier=courier,
        growth=Growth(),
        outlet=Outlet(courier, members, strangers, tail, log, timers),
    )
