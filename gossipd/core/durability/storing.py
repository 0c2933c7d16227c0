"""Stores what this node has learned, lazily: a second later, two at most, or at once when asked.

Own increments are committed before they are exposed (see `committing`); this is for all the rest.
A cycle is stored in parts (see `write_behind`), one at a time, so that a batch does not wait long.
What could not be stored is tried again, later and later, for as long as the disk may come back,
whoever waits for it (see `disk_health`); but at the end it is not.
Now and then what has expired is removed, whether or not anything changed; the disk says when that
will be, for a node that does nothing is best left asleep, and its disk, too.

A node whose disk takes nothing is not ready, so clients count elsewhere and nothing of theirs
would show that it takes something again: this tries until it does.
"""

from __future__ import annotations

from gossipd.core.effects import AllSaved, Expire, Probe, Save, SaveWanted
from gossipd.core.replies import Failure
from gossipd.core.timers import Timer, Timers
from gossipd.core.turn import Turn

from .disk_health import Disk, Retry
from .write_behind import Changes, WriteBehind

SAVE_INTERVAL, SAVE_LATEST = 0.95, 1.95
"""Seconds after which what has changed is stored: the first with whatever deadline comes then, as
probes do each second, else the second."""

EXPIRE_INTERVAL, EXPIRE_LATEST = 5.0, 60.0
"""Seconds after which key records that have expired are removed from the disk: the first where
there are any, the second where none will be so soon, for one that comes meanwhile may be old."""


class Storing:
    """What one node has its disk do, but for commits."""

    def __init__(
        self, write_behind: WriteBehind, disk: Disk, timers: Timers, *, durable: bool
    ) -> None:
        self._write_behind = write_behind
        self._disk = disk
        self._timers = timers
        self._durable = durable
        self._stopped = True
        """Whether nothing is stored yet, or any more."""
        self._told = False
        """Whether `SaveWanted` was told and has not been heeded."""
        self._busy = False
        """Whether the disk has something to do."""
        self._wanted = False
        """Whether somebody waits for more than what it has."""
        self._ends = self._last = False
        """Whether everything is to be stored once more, and whether that has begun."""
        self._retry = Retry()
        self._retry_at = float("-inf")
        self._expire_at = float("-inf")

    def start(self, turn: Turn) -> None:
        """Begin to store, if there is a disk."""
        self._stopped = not self._durable
        self.want(turn)

    def want(self, turn: Turn) -> None:
        """Store what has changed now: somebody waits, or it is time. What could not be stored a
        moment ago waits all the same."""
        if self._busy or self._told or turn.now < self._retry_at:
            self._wanted = True
        elif not self._stopped:
            self._told = True
            self._timers.cancel(Timer.SAVE)
            turn.emit(SaveWanted())

    def save(self, most: int, turn: Turn) -> None:
        """The next part, of at most so many records."""
        self._told = False
        if self._busy or self._stopped:
            return
        self._go_on_later(turn)
        begun = self._write_behind.begun
        changes = self._write_behind.take(most, turn.now)
        if changes is None or self._write_behind.begun > begun:
            self._last = self._ends  # and not in a cycle that covers less
        if changes is None:
            self._tidy(turn)
        else:
            self._ask(Save(changes), turn)

    def saved(self, changes: Changes, turn: Turn) -> None:
        """A part is on the disk."""
        self._done(turn)
        self._write_behind.stored(changes)
        if changes.last:
            self._tidy(turn)
        else:
            self.want(turn)

    def tidied(self, wait: float, turn: Turn) -> None:
        """What has expired is gone, and of what is left nothing will for `wait` seconds."""
        self._done(turn)
        self._expire_at = turn.now + min(max(wait, EXPIRE_INTERVAL), EXPIRE_LATEST)
        self._tidy(turn)

    def probed(self, turn: Turn) -> None:
        """The disk takes something again."""
        self._done(turn)
        self._disk.succeeded(turn)
        self._rest(turn)

    def failed(self, failure: Failure, why: str, turn: Turn) -> None:
        """The disk did not do what it was asked for."""
        self._busy = False
        self._disk.failed(failure, why, turn)
        if failure is Failure.BROKEN or self._ends:
            self._stop(turn)
        else:
            self._retry_at = turn.now + self._retry.failed()
            self._timers.set(Timer.SAVE, self._retry_at)

    def end(self, turn: Turn) -> None:
        """Store what there is once more, and no more after that."""
        self._ends = True
        self._retry_at = float("-inf")
        if self._stopped:
            turn.emit(AllSaved())
        else:
            self.want(turn)

    def _tidy(self, turn: Turn) -> None:
        """All is stored: what is left to do."""
        if not self._last and turn.now >= self._expire_at:
            self._expire_at = turn.now + EXPIRE_INTERVAL
            self._ask(Expire(), turn)
        elif not self._last and self._disk.refuses:
            self._ask(Probe(), turn)
        else:
            self._rest(turn)

    def _rest(self, turn: Turn) -> None:
        if self._last:
            self._stop(turn)
            return
        wanted, self._wanted = self._wanted and self._write_behind.pending, False
        if wanted or self._ends:
            self.want(turn)

    def _ask(self, effect: Save | Expire | Probe, turn: Turn) -> None:
        self._busy = True
        self._timers.cancel(Timer.SAVE)
        turn.emit(effect)

    def _done(self, turn: Turn) -> None:
        """The disk has done what it was asked for."""
        self._busy = False
        self._retry.succeeded()
        self._go_on_later(turn)

    def _go_on_later(self, turn: Turn) -> None:
        """Said before anything that may raise: so saving never stops for good."""
        now = turn.now
        self._timers.set_between(Timer.SAVE, now + SAVE_INTERVAL, now + SAVE_LATEST)

    def _stop(self, turn: Turn) -> None:
        self._stopped = True
        self._timers.cancel(Timer.SAVE)
        if self._ends:
            turn.emit(AllSaved())
