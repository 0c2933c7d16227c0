"""When counts may be answered: once everything that a ready peer holds is held here.

`ready` turns true after one complete walk against a ready peer, on equal fingerprints with one,
after `ready_after` seconds in a row without any ready peer, or at once when there is nobody to
join. It never turns back. Time proves nothing where no peer could be asked: whoever notices that
forbids it, until a peer shows itself all the same.
"""

from __future__ import annotations

from .effects import BecameReady
from .life import Life
from .log import Log
from .means import Means
from .members import MemberTable
from .messages import Shown
from .newcomers import Newcomers
from .showing import Showing
from .timers import Timer
from .turn import Turn


class Readiness:
    """Watches for the moment from which counts are complete."""

    def __init__(
        self,
        means: Means,
        members: MemberTable,
        newcomers: Newcomers,
        log: Log,
        life: Life,
        showing: Showing,
    ) -> None:
        self._settings, self._timers = means.settings, means.timers
        self._members = members
        self._newcomers = newcomers
        self._log = log
        self._life = life
        self._showing = showing
        self._started = False
        self._allowed = True
        """Whether time may make this node ready although no peer has shown itself."""
        self._met = False
        """Whether a peer has shown itself."""
        self._ready_peers: dict[str, None] = {}
        """Those that said in an answer to this node that they are ready."""

    def start(self, alone: bool, turn: Turn) -> None:
        """Begin; `alone`: there is nobody to join."""
        self._started = True
        if alone:
            self._become(False, turn)
        else:
            self._wait(turn)

    def shown(self, shown: Shown, peer: str, turn: Turn) -> None:
        """A peer showed its state in an answer to this node. What it says unasked may be anybody's
        word."""
        if self._life.ready:
            return
        if shown.ready:
            self._ready_peers[peer] = None
        if shown.ready or not (self._met or self._allowed):
            self._wait(turn)
        self._met = True
        if shown.ready and shown.log == self._log.fingerprint:
            self._become(False, turn)

    def walked(self, peer: str, turn: Turn) -> None:
        """A walk over a peer's digest, with its passes, is complete."""
        is_live = peer in self._showing.by
        if not self._life.ready and is_live and peer in self._ready_peers:
            self._become(False, turn)

    def waited(self, turn: Turn) -> None:
        """No ready peer was found in all the time."""
        if self._allowed or self._met:
            self._become(True, turn)

    def may_be_alone(self, allowed: bool, turn: Turn) -> None:
        """Whether time may make this node ready although no peer shows itself; the time begins
        anew once it may."""
        waits = self._started and not self._life.ready
        if waits and allowed and not self._allowed:
            self._wait(turn)
        self._allowed = allowed

    def nobody_to_join(self, turn: Turn) -> None:
        """There is nobody to join, as far as the operator knows; are there members?"""
        others = self._members.live or self._members.down or self._newcomers
        if self._started and not (self._life.ready or others):
            self._become(False, turn)

    def _wait(self, turn: Turn) -> None:
        self._timers.set(Timer.READY, turn.now + self._settings.ready_after)

    def _become(self, alone: bool, turn: Turn) -> None:
        self._life.ready = True
        self._ready_peers = {}
        self._timers.cancel(Timer.READY)
        turn.emit(BecameReady(alone))
