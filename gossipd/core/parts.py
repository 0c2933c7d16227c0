"""The parts of one node that decide, and what each of them uses."""

from __future__ import annotations

from gossipd.core.durability.acks import CopiesWanted
from gossipd.core.durability.committing import Committing
from gossipd.core.durability.disk_health import Disk
from gossipd.core.durability.holding import Holding
from gossipd.core.durability.read_barrier import Reads
from gossipd.core.durability.retention import Retention
from gossipd.core.durability.storing import Storing
from gossipd.core.gossip.dissemination import Dissemination
from gossipd.core.log.learning import Learning
from gossipd.core.repair.answering import Answering
from gossipd.core.repair.log_repair import LogRepair
from gossipd.core.repair.member_repair import MemberRepair
from gossipd.core.repair.serving import Serving
from gossipd.core.repair.slices import Slices
from gossipd.core.swim.admission import Admission
from gossipd.core.swim.detector import Detector
from gossipd.core.swim.introducing import Introducing
from gossipd.core.swim.joining import Joining
from gossipd.core.swim.leaving import Leaving
from gossipd.core.swim.membership import Membership
from gossipd.core.swim.merging import ClusterMerge
from gossipd.core.swim.name_checks import NameChecks
from gossipd.core.swim.name_conflict import NameConflict
from gossipd.core.swim.own_view import OwnView
from gossipd.core.swim.pinging import Pinger
from gossipd.core.swim.readiness import Readiness
from gossipd.core.swim.second_opinions import SecondOpinions
from gossipd.core.swim.senders import Senders
from gossipd.core.swim.suspecting import Suspecting

from .state import State


class Parts:
    """Those of one node. What is about randomness is built in a fixed order."""

    def __init__(self, s: State, disk_timeout: float) -> None:
        self.retention = Retention(s.means, s.log, s.dedup, s.write_behind)
        self.learning = Learning(s.log, s.writer, self.retention.accepted)
        self.gossiping = Dissemination(
            s.means,
            s.members,
            s.member_queue,
            s.log_queue,
            s.packet_builder,
            s.growth,
            self.learning,
        )
        self._build_detection(s)
        self._build_repair(s)
        self._build_joining(s)
        self.holding = Holding(s.means, s.log, s.write_behind, s.life, self.gossiping, self.repair)
        self.copies = CopiesWanted(
            s.means, s.members, s.log, s.packet_builder, s.questions, s.round_trips
        )
        self.reads = Reads(s.log, s.recent, s.means.timers)
        disk, durable_parts = Disk(), (s.means, s.log, s.writer, s.dedup, s.recent)
        self.committing = Committing(
            *durable_parts, self.gossiping, self.leaving, disk, disk_timeout
        )
        self.storing = Storing(s.write_behind, disk, s.means.timers, durable=s.durable)

    def _build_detection(self, s: State) -> None:
        self.rival = NameConflict(s.means, s.life, s.members)
        self.own = OwnView(s.members, s.plausible, s.health, self.gossiping, self.rival)
        self.pinger = Pinger(
            s.means,
            s.members,
            s.questions,
            s.round_trips,
            s.health,
            s.showing,
            s.amplification,
            s.life.contacts,
        )
        self.suspecting = Suspecting(s.means, s.members, self.pinger)
        self.membership = Membership(
            s.means,
            s.members,
            s.newcomers,
            s.plausible,
            s.rumours,
            s.life,
            self.gossiping,
            self.own,
            self.suspecting,
        )
        self.opinions = SecondOpinions(
            s.means, s.members, self.pinger, s.rumours, self.suspecting, self.membership
        )
        self.senders = Senders(s.members, s.questions, s.elsewhere, s.life, self.membership)
        self.detector = Detector(
            s.means,
            s.members,
            self.pinger,
            s.health,
            s.rounds,
            s.life,
            self.suspecting,
            self.membership,
        )
        self.readiness = Readiness(
            s.means, s.members, s.newcomers, s.log, s.life, s.showing, self.pinger
        )

    def _build_repair(self, s: State) -> None:
        self.slices = Slices(s.means.timers)
        answering = Answering(s.log, s.members, s.packet_builder, s.means.settings.key_window)
        self.serving = Serving(answering, self.slices)
        self.repair = LogRepair(
            s.means,
            s.members,
            s.log,
            s.packet_builder,
            s.questions,
            s.health,
            s.life,
            self.learning,
            self.gossiping,
            self.readiness,
            self.retention,
            s.showing,
        )
        self.meeting = ClusterMerge(s.members, s.newcomers, s.log)
        self.member_repair = MemberRepair(
            s.means,
            s.members,
            s.newcomers,
            s.life,
            s.member_queue,
            s.questions,
            s.health,
            s.showing,
            self.membership,
            self.meeting,
        )

    def _build_joining(self, s: State) -> None:
        self.joining = Joining(
            s.means, s.members, s.questions, s.amplification, s.life, self.own, self.rival
        )
        self.admission = Admission(
            s.means,
            s.members,
            s.amplification,
            s.elsewhere,
            s.showing,
            self.membership,
            self.rival,
            self.readiness,
            NameChecks(s.means, s.questions, self.pinger),
        )
        self.introducing = Introducing(
            s.means, s.members, s.newcomers, s.life, self.membership, self.joining
        )
        self.leaving = Leaving(
            s.means, s.members, s.log, s.packet_builder, s.questions, s.life, self.own
        )
