"""What others ask this node to hold, answered once everything in the question is durable here.

A `Hold` that arrived before a cycle of saving began is answered at the end of that cycle, at once
where nothing is to be stored. The answer also tells the durable versions, whether this node keeps
them on a disk or in its memory only, and whether it is about to leave.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import NamedTuple

from gossipd.core.gossip.dissemination import Dissemination
from gossipd.core.identity import Address
from gossipd.core.log.log import Log
from gossipd.core.means import Means
from gossipd.core.repair.log_repair import LogRepair
from gossipd.core.swim.life import Life
from gossipd.core.timers import Timer
from gossipd.core.turn import Turn
from gossipd.core.wire.messages import Held, Hold

from .write_behind import WriteBehind

WISHES_MAX = 256
"""Holds that wait for the disk at most; who asked asks again."""

WISHES_EACH = 32
"""The same of one asker; one that lives has a question under way, and a few that were late."""

ANSWERS_AT_ONCE = 16
"""Those that one input answers, some 100 to 200 us each; the next ones a moment later."""

GO_ON_AFTER = 0.002
"""Seconds until the next ones."""


class _Wish(NamedTuple):
    """A Hold that is answered when everything in it is on the disk."""

    hold: Hold
    asker: str
    address: Address
    cycle: int
    """The cycle of saving at whose end it is."""


@dataclass(eq=False, repr=False)
class Holding:
    """The answering side of `Hold`."""

    means: InitVar[Means]
    _log: Log
    _write_behind: WriteBehind
    _life: Life
    _dissemination: Dissemination
    _repair: LogRepair

    def __post_init__(self, means: Means) -> None:
        self._timers = means.timers
        self._wishes: list[_Wish] = []
        self._ready: list[_Wish] = []
        """Those that are yet to be answered, as everything in them is on the disk."""

    def asked(self, hold: Hold, sender: str, turn: Turn) -> None:
        """Somebody asks this node to keep something."""
        log = self._log
        learned = [self._dissemination.heard(group, turn) for group in hold.groups]
        if not all(learned):
            return  # for lack of room, not everything in it is held
        wish = _Wish(hold, sender, turn.reply_to, self._write_behind.begun + 1)
        if log.keeps_marks and self._write_behind.pending:
            if self._has_room(sender):
                self._wishes.append(wish)
                turn.save_wanted = True
        else:
            self._answer(wish, turn)
        self._catch_up(hold, sender, turn)

    def _has_room(self, asker: str) -> bool:
        wishes = self._wishes + self._ready
        own = sum(1 for wish in wishes if wish.asker == asker)
        return len(wishes) < WISHES_MAX and own < WISHES_EACH

    def stored(self, turn: Turn) -> None:
        """Something is on the disk: answer those whose wish was there before it was taken; all
        of them when everything is, as then no cycle follows."""
        write_behind = self._write_behind
        done = write_behind.done if write_behind.pending else write_behind.begun + 1
        self._ready += (wish for wish in self._wishes if wish.cycle <= done)
        self._wishes = [wish for wish in self._wishes if wish.cycle > done]
        if self._wishes:
            turn.save_wanted = True
        self.go_on(turn)

    def go_on(self, turn: Turn) -> None:
        """Answer some of those that may be."""
        some = self._ready[:ANSWERS_AT_ONCE]
        del self._ready[:ANSWERS_AT_ONCE]
        if self._ready:
            self._timers.set(Timer.HELD, turn.now + GO_ON_AFTER)
        for wish in some:
            self._answer(wish, turn)

    def _answer(self, wish: _Wish, turn: Turn) -> None:
        log = self._log
        streams = (group.stream for group in wish.hold.groups)
        versions = tuple((stream, log.durable(stream)) for stream in streams)
        held = Held(wish.hold.nonce, self._life.leaving, versions, log.keeps_marks)
        turn.send(held, wish.address, wish.asker)

    def _catch_up(self, hold: Hold, sender: str, turn: Turn) -> None:
        """Pull what the asker holds below what it sent. A group that claims nothing asks for the
        version, by somebody who is about to go: that is urgent."""
        version = self._log.version
        behind = [group for group in hold.groups if version(group.stream) < group.start]
        if behind and not self._life.leaving:
            urgent = any(group.start == group.to for group in behind)
            self._repair.want(sender, turn, urgent)
