"""The leaf parts of one node, which decide nothing: `parts` hands each part those that it uses."""

from __future__ import annotations

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

from .effects import Effect
from .identity import Address
from .means import Means
from .settings import Settings
from .tally import Tally
from .timers import Timers
from .turn import Outlet, Turn


class State:
    """Everything that a node knows."""

    def __init__(
        self,
        own: MemberView,
        settings: Settings,
        frame: Frame,
        rng: Random,
        now: float,
        durable: bool,
    ) -> None:
        self.durable = durable
        self.means = Means(settings, rng, Timers())
        self.life = Life(settings.probe_interval, now)
        limits = settings.streams_max, settings.registers_max, settings.keys_max
        self.log = log = Log(*limits, int(settings.doubles_max))
        self.members = members = MemberTable(own, settings.remember, now)
        log.keeps_marks = members.keeps_marks = durable
        self.dedup = Dedup(log, settings, lambda: self.life.ready)
        self.writer = Writer(log, self.dedup, rng)
        self.recent = RecentEvents(int(settings.tail_size))
        self.newcomers = Newcomers(settings.probe_interval)
        self.rumours = Rumours(settings.probe_interval)
        self.elsewhere = Elsewhere()
        self.plausible = Plausible(own.generation)
        self.amplification = AmplificationLimit()
        self.rounds = Rounds()
        self.showing = Showing(log, members, self.rounds, self.life)
        self.questions = Questions(rng)
        self.round_trips = RoundTrips(settings)
        self.health = Health(settings.health_max)
        self.member_queue, self.log_queue = queues = MemberQueue(), LogQueue(log)
        self.write_behind = WriteBehind(log, members, self.dedup)
        self.packet_builder = PacketBuilder(settings, frame, members, *queues)
        self.growth = Growth()
        self.tally = Tally()
        self._outlet = Outlet(
            self.packet_builder,
            members,
            self.amplification,
            self.recent,
            log,
            self.means.timers,
            self.tally,
        )

    def turn(
        self, now: float, source: Address = ("", 0), effects: list[Effect] | None = None
    ) -> Turn:
        """An input that comes now."""
        return Turn(self._outlet, now, source, effects)
