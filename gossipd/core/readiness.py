"""When counts may be answered: once everything that a ready peer holds is held here.

`ready` turns true after one complete walk against a ready peer, on equal fingerprints with one,
after `ready_after` seconds in a row without any ready peer, or at once when there is nobody to
join. It never turns back.
"""

from __future__ import annotations

from .effects import BecameReady
from .messages import Shown
from .state import State, Turn
from .timers import Timer


class Readiness:
    """Watches for the moment from which counts are complete."""

    def __init__(self, state: State) -> None:
        self._state = state

    def start(self, alone: bool, turn: Turn) -> None:
        """Begin; `alone`: there is nobody to join."""
        if alone:
            self._become(False, turn)
        else:
            self._wait(turn)

    def shown(self, shown: Shown, turn: Turn) -> None:
        """A peer showed its state."""
        if self._state.ready or not shown.ready:
            return
        self._wait(turn)
        if shown.log == self._state.log.fingerprint:
            self._become(False, turn)

    def walked(self, peer: str, turn: Turn) -> None:
        """A walk over a peer's digest, with its passes, is complete."""
        shown = self._state.shown_by.get(peer)
        if not self._state.ready and shown is not None and shown.ready:
            self._become(False, turn)

    def waited(self, turn: Turn) -> None:
        """No ready peer was found in all the time."""
        self._become(True, turn)

    def _wait(self, turn: Turn) -> None:
        self._state.timers.set(Timer.READY, turn.now + self._state.settings.ready_after)

    def _become(self, alone: bool, turn: Turn) -> None:
        self._state.ready = True
        self._state.timers.cancel(Timer.READY)
        turn.emit(BecameReady(alone))
