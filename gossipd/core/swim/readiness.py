"""When counts may be answered: once everything that a ready peer holds is held here.

`ready` turns true after one complete walk against a ready peer, on equal fingerprints with one,
or after `ready_after` seconds in a row without any ready peer. Time proves nothing where no peer
could be asked: whoever notices that forbids it, until a peer shows itself all the same.

Where there is nobody to join, what is held is all there is. But a node that holds nothing may have
lost its state, and others may hold it as a member still: they ping it by its name, or ask it to
take them in, as members of a cluster do with one that is silent. So it *listens* for `alone_after`
first. What is sent unasked may be anybody's word: it makes a node listen a little longer, and no
more. Who has proven where it is, belongs to others and shows, asked, that it is ready and holds
what is not held here makes this node a joiner, even one that has become ready alone.

It turns back at no other time, and only once; nobody holds a node back for ever.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass

from gossipd.core.effects import BecameReady, NotAlone
from gossipd.core.log.log import Log
from gossipd.core.means import Means
from gossipd.core.timers import Timer
from gossipd.core.turn import Turn
from gossipd.core.wire.messages import Shown, Standing

from .life import Life
from .members import MemberTable
from .newcomers import Newcomers
from .pinging import Pinger
from .showing import Showing

HELD_BACK_MAX = 60
"""x `ready_after`: for so long peers that call themselves ready may keep a node waiting whose
counts do not become complete. The largest log takes some minutes."""

LISTENS_MAX = 2
"""x `alone_after`: for so long a node listens at most, whatever it hears."""

HOLDERS_MAX = 64

TOLD_MAX = 100
"""Members that are told at once that who began their cluster is ready; others find it out."""


@dataclass(eq=False, repr=False)
class Readiness:
    """Watches for the moment from which counts are complete."""

    means: InitVar[Means]
    _members: MemberTable
    _newcomers: Newcomers
    _log: Log
    _life: Life
    _showing: Showing
    _pinger: Pinger

    def __post_init__(self, means: Means) -> None:
        self._settings, self._timers = means.settings, means.timers
        self._started = False
        self._allowed = True
        """Whether time may make this node ready although no peer has shown itself."""
        self._met = False
        """Whether a peer has shown itself."""
        self._ready_peers: dict[str, int] = {}
        """Those that said in an answer to this node that they are ready, and in which generation:
        an earlier life may have held what this one lacks."""
        self._alone = False
        """Whether there is nobody to join, and no ready peer has shown otherwise."""
        self.listens = False
        """Whether it still has to turn out that nobody holds this node as a member."""
        self._listens_until = float("-inf")
        """When that ends, if nobody calls."""
        self._holders: dict[str, None] = {}
        """Those that may hold this node as a member, the most recent ones."""
        self._latest = float("inf")
        """When this node is ready, whatever ready peers say."""

    def start(self, alone: bool, turn: Turn) -> None:
        """Begin; `alone`: there is nobody to join."""
        self._started = True
        if alone:
            self._be_alone(turn)
        else:
            self._wait(turn)

    def shown(self, shown: Shown, peer: str, turn: Turn) -> None:
        """A peer showed its state in an answer to this node."""
        is_same = shown.log == self._log.fingerprint
        if self._alone and shown.ready:
            self._meet(peer, is_same, turn)
        if self._life.ready:
            return
        if shown.ready:
            self._latest = min(self._latest, turn.now + HELD_BACK_MAX * self._patience)
            self._ready_peers[peer] = self._members.held(peer).generation
        else:
            self._ready_peers.pop(peer, None)
        if shown.ready or not (self._met or self._allowed or self.listens):
            self._wait(turn)
        self._met = True
        if shown.ready and is_same:
            self._become(False, turn)

    def said(self, shown: Shown, peer: str, turn: Turn) -> None:
        """A peer showed its state unasked, which may be anybody's word: it is asked, if it is the
        first one that is ready."""
        if shown.ready and not (self._life.ready or self._ready_peers):
            self._pinger.ask(peer, turn)

    def walked(self, peer: str, turn: Turn) -> None:
        """A walk over a peer's digest, with its passes, is complete."""
        view, is_live = self._members.get(peer), peer in self._showing.by
        is_ready = view is not None and self._ready_peers.get(peer) == view.generation
        if not self._life.ready and is_live and is_ready:
            self._become(False, turn)

    def waited(self, turn: Turn) -> None:
        """No ready peer was found in all the time, or nobody who holds this node as a member."""
        if self.listens:
            self._become(False, turn)
            for name in self._members.live[:TOLD_MAX]:
                self._pinger.ask(name, turn)
        elif self._allowed or self._met:
            self._become(True, turn)

    def may_be_alone(self, allowed: bool, turn: Turn) -> None:
        """Whether time may make this node ready although no peer shows itself; the time begins
        anew once it may."""
        waits = self._started and not (self._life.ready or self.listens)
        if waits and allowed and not self._allowed:
            self._latest = float("inf")
            self._wait(turn)
        self._allowed = allowed

    def nobody_to_join(self, turn: Turn) -> None:
        """There is nobody to join, as far as the operator knows; are there members?"""
        if self._started and not (self._life.ready or self._alone or self._knows_others):
            self._be_alone(turn)

    def called(self, turn: Turn) -> None:
        """A stranger has spoken to this node by its name, as to a member."""
        if self.listens:
            settings = self._settings
            latest = self._life.began_at + LISTENS_MAX * settings.alone_after
            at = max(self._listens_until, min(turn.now + settings.probe_timeout, latest))
            self._timers.set(Timer.READY, at)

    def taken_in(self, name: str, standing: Standing, turn: Turn) -> None:
        """This node has taken somebody in, who may hold it as a member: then it is asked at once.
        Who is a member for nobody else may be another node that began alone: it matters only to
        one that has nothing to show."""
        least = Standing.MEMBER if self._log.stream_count else Standing.ALONE
        if self._alone and standing >= least:
            self._holders[name] = None
            if len(self._holders) > HOLDERS_MAX:
                del self._holders[next(iter(self._holders))]
            self.called(turn)
            self._pinger.ask(name, turn)

    def _meet(self, peer: str, is_same: bool, turn: Turn) -> None:
        """A ready peer has shown itself to a node that took itself to be alone."""
        if is_same:
            self._alone = False
        elif self.listens or peer in self._holders:
            self._alone = self.listens = self._life.ready = False
            turn.emit(NotAlone(peer))

    @property
    def _knows_others(self) -> bool:
        return bool(self._members.live or self._members.down or len(self._newcomers))

    def _be_alone(self, turn: Turn) -> None:
        self._alone = True
        self._listens_until = self._life.began_at + self._settings.alone_after
        is_empty = not (self._log.stream_count or self._knows_others)
        if is_empty and turn.now < self._listens_until:
            self.listens = True
            self._timers.set(Timer.READY, self._listens_until)
        else:
            self._become(False, turn)

    @property
    def _patience(self) -> float:
        return self._settings.ready_after

    def _wait(self, turn: Turn) -> None:
        self._timers.set(Timer.READY, min(turn.now + self._patience, self._latest))

    def _become(self, alone: bool, turn: Turn) -> None:
        self._life.ready = True
        self.listens = False
        self._ready_peers = {}
        self._timers.cancel(Timer.READY)
        turn.emit(BecameReady(alone))
