"""What becomes of each effect of the core: a table, whose rows are the parts of the process that
heed it.

It decides nothing and keeps nothing, and knows no part that no effect is for.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

from gossipd.core import (
    Answered,
    AnsweredPart,
    BecameReady,
    ClustersMet,
    Commit,
    CommitSoon,
    Copies,
    DiskLost,
    Dropped,
    Effect,
    FoundItself,
    GaveUpDisk,
    Included,
    Incremented,
    JoinDoubtful,
    Joined,
    Learned,
    Left,
    MemberChanged,
    NameLost,
    Node,
    NotAlone,
    Questioned,
    Refuted,
    Send,
    SpeaksElsewhere,
    Stalled,
    TooManyReads,
)
from gossipd.daemon import plain
from gossipd.daemon.advertising import Advertising
from gossipd.daemon.alone import Alone
from gossipd.daemon.counting import Counting
from gossipd.daemon.dropping import Drops
from gossipd.daemon.ending import Ending
from gossipd.daemon.keeping import Keeping
from gossipd.daemon.lines import fields
from gossipd.daemon.numbers import Numbers
from gossipd.daemon.reports import address_text
from gossipd.daemon.sealing import Seals
from gossipd.daemon.seeds import Seeds
from gossipd.daemon.telling import Telling, tell
from gossipd.daemon.udp import Udp
from gossipd.daemon.waits import Waits

log = logging.getLogger("gossipd")


@dataclass(frozen=True, slots=True)
class Performing:
    """The parts of one node that its effects are for."""

    node: Node
    cluster: str
    udp: Udp
    seals: Seals
    numbers: Numbers
    telling: Telling
    drops: Drops
    keeping: Keeping
    counting: Counting
    ending: Ending
    waits: Waits
    alone: Alone
    seeds: Seeds
    advertising: Advertising

    def do(self, effects: Iterator[Effect]) -> None:  # noqa: C901  a table
        """Each of these, in order; what one raises leaves the rest in the iterator."""
        for effect in effects:
            match effect:
                case Send(data, to):
                    self.udp.send(data, to)
                case Answered() | AnsweredPart():
                    self.counting.do(effect)
                case Incremented(advances):
                    self.numbers.local += len(advances)
                case Learned(advances):
                    self.numbers.remote += len(advances)
                case CommitSoon() | Commit():  # among the last, they would be looked for long
                    self.keeping.do(effect)
                case Copies() | Included() | TooManyReads():
                    self.waits.do(effect)
                case Questioned(source, question):
                    said = plain.answer(question, time.time())
                    if said is not None:
                        self.udp.send(self.seals.frame.close(said), source)
                case Dropped(source, reason):
                    self.drops.drop(source, reason)
                case Joined():
                    # Others than seeds take a node in too, again and again if somebody forges
                    # joins in its name.
                    level = logging.INFO if self.seeds.joined(effect) else logging.DEBUG
                    name, at = effect.name, address_text(effect.address)
                    extra = fields(member=name, address=at)
                    log.log(level, "joined through %s at %s", name, at, extra=extra)
                    self.advertising.answered()
                case FoundItself(address):
                    self.seeds.found_itself(address)
                case NameLost(detail):
                    self.ending.lose_name(detail)
                case DiskLost(detail):
                    self.ending.lose_disk(detail)
                case GaveUpDisk():
                    log.warning(
                        "leaving, though the disk has not answered: "
                        "the last increments may be counted"
                    )
                case ClustersMet():
                    self.telling.merged(effect, self.cluster, self.node.own.name)
                case Left(undrained):
                    self.ending.left(undrained)
                case MemberChanged():
                    self.advertising.members_changed()
                    self.telling.tell_again(effect)
                case JoinDoubtful():
                    self.advertising.doubted(effect)
                case Refuted() | Stalled():
                    self.seals.frame.renew()
                    self.telling.tell_again(effect)
                case NotAlone(name):
                    self.alone.found(name)
                case SpeaksElsewhere() | BecameReady():
                    tell(effect)
                case _:
                    self.keeping.do(effect)
