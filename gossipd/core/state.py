"""The leaf parts of one node, which decide nothing: `node` hands each part those that it uses."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from gossipd.core.durability.write_behind import WriteBehind
from gossipd.core.gossip.amplification import AmplificationLimit
from gossipd.core.gossip.growth import Growth
from gossipd.core.gossip.packets import PacketBuilder
from gossipd.core.gossip.queues import LogQueue, MemberQueue
from gossipd.core.log.dedup import Dedup
from gossipd.core.log.log import Log
from gossipd.core.log.recent import RecentEvents
from gossipd.core.log.writer import Writer
from gossipd.core.swim.health import Health
from gossipd.core.swim.life import Life
from gossipd.core.swim.members import MemberTable
from gossipd.core.swim.moved import Elsewhere
from gossipd.core.swim.newcomers import Newcomers
from gossipd.core.swim.pings import RoundTrips
from gossipd.core.swim.plausible import Plausible
from gossipd.core.swim.questions import Questions
from gossipd.core.swim.rounds import Rounds
from gossipd.core.swim.rumours import Rumours
from gossipd.core.swim.showing import Showing
from gossipd.core.wire.frame import Frame
from gossipd.core.wire.messages import MemberView

from .identity import Address
from .means import Means
from .settings import Settings
from .snapshot import Snapshot, StreamSnapshot
from .timers import Timers
from .turn import Outlet, Turn


@dataclass(frozen=True, slots=True)
class State:
    """Everything that a node knows."""

    means: Means
    life: Life
    log: Log
    dedup: Dedup
    writer: Writer
    recent: RecentEvents
    members: MemberTable
    newcomers: Newcomers
    rumours: Rumours
    elsewhere: Elsewhere
    plausible: Plausible
    amplification: AmplificationLimit
    rounds: Rounds
    showing: Showing
    questions: Questions
    round_trips: RoundTrips
    health: Health
    member_queue: MemberQueue
    log_queue: LogQueue
    write_behind: WriteBehind
    packet_builder: PacketBuilder
    growth: Growth
    outlet: Outlet

    def turn(self, now: float, source: Address = ("", 0)) -> Turn:
        """An input that comes now."""
        return Turn(self.outlet, now, source)

    def snapshot(self, now: float) -> Snapshot:
        """What the next life of this node may `load`."""
        log, members = self.log, self.members
        streams = tuple(
            StreamSnapshot(
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
        return Snapshot(streams, tuple(sorted(known)), self.dedup.horizon)


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
    dedup = Dedup(log, settings, lambda: life.ready)
    queues, amplification = (MemberQueue(), LogQueue(log)), AmplificationLimit()
    packet_builder, recent = (
        PacketBuilder(settings, frame, members, *queues),
        RecentEvents(int(settings.tail_size)),
    )
    return State(
        means=Means(settings, rng, timers),
        life=life,
        log=log,
        dedup=dedup,
        writer=Writer(log, dedup, rng),
        recent=recent,
        members=members,
        newcomers=Newcomers(settings.probe_interval),
        rumours=Rumours(settings.probe_interval),
        elsewhere=Elsewhere(),
        plausible=Plausible(own.generation),
        amplification=amplification,
        rounds=rounds,
        showing=Showing(log, members, rounds, life),
        questions=Questions(rng),
        round_trips=RoundTrips(settings),
        health=Health(settings.health_max),
        member_queue=queues[0],
        log_queue=queues[1],
        write_behind=WriteBehind(log, members, dedup),
        packet_builder=packet_builder,
        growth=Growth(),
        outlet=Outlet(packet_builder, members, amplification, recent, log, timers),
    )
