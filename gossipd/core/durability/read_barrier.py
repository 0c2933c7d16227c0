"""Reads that wait until this node includes an increment (`after=ID`).

Exact: a read ends as included only if the stream's version covers the increment, the given
counter's register does, or the increment itself was merged just now. It is looked at after every
input, so a read ends in the same moment in which the increment arrives.

A look costs what has moved, however many wait: registers that rose are in the effects, and where
the log changed, each stream that is held and waited for is asked for its version. Of very many
reads that end together some end a moment later.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from gossipd.core.effects import Effect, Included, Incremented, Learned, TooManyReads
from gossipd.core.identity import Stream
from gossipd.core.log.log import Log
from gossipd.core.log.recent import RecentEvents
from gossipd.core.timers import Timer, Timers
from gossipd.core.turn import Turn

from .waiters import ENDS_MAX, GO_ON_AFTER, WAITS_MAX, Wait, Waiting


class Reads:
    """The reads of one node that wait."""

    def __init__(self, log: Log, recent: RecentEvents, timers: Timers) -> None:
        self._log = log
        self._timers = timers
        self._recent = recent
        self._waiting: Waiting[str | None] = Waiting(timers, Timer.AFTER)
        """None: all reads of a stream; each is also in the queue of its counter, if that is known.
        """
        self._versions: dict[Stream, int] = {}
        """Of the streams that are waited for and held: the version when it was looked at last."""
        self._unheard: dict[Stream, None] = {}
        """Those of which nothing is held."""
        self._due: dict[int, None] = {}
        """The tokens of those that are included and have not been told."""
        self._stream_count = 0
        self._fingerprint = 0
        """Those of the log when it was looked at last."""

    def includes(self, stream: Stream, seq: int, counter: str | None) -> bool:
        """Whether an increment is counted here, as far as is known; exact with `counter`."""
        if seq <= self._log.version(stream) or self._recent.has(stream, seq):
            return True
        return counter is not None and self._log.register(stream, counter)[0] >= seq

    def want(
        self, token: int, stream: Stream, seq: int, counter: str | None, until: float, turn: Turn
    ) -> None:
        """Tell whether that increment is included: as soon as it is, or at `until`."""
        if self.includes(stream, seq, counter):
            turn.emit(Included(token, True))
        elif self._waiting.is_full:
            turn.emit(TooManyReads(token))
        else:
            wants = (None,) if counter is None else (None, counter)
            self._waiting.add(token, Wait(stream, seq, wants), until)
            if stream not in self._versions and stream not in self._unheard:
                if self._log.holds(stream):
                    self._versions[stream] = self._log.version(stream)
                else:
                    self._unheard[stream] = None

    def waits(self, token: int) -> bool:
        """Whether there is a read of that token."""
        return token in self._waiting.waits

    def give_up(self, token: int) -> None:
        """It waits no more."""
        self._due.pop(token, None)
        stream = self._waiting.drop(token).stream
        if stream not in self._waiting.queues:
            self._versions.pop(stream, None)
            self._unheard.pop(stream, None)

    def expired(self, token: int, turn: Turn) -> None:
        """Its time is over."""
        included = token in self._due
        self.give_up(token)
        turn.emit(Included(token, included))

    def stop(self, turn: Turn) -> None:
        """Nothing more will arrive."""
        for token in list(self._waiting.waits):
            self.expired(token, turn)

    def look(self, turn: Turn) -> None:
        """An input was taken, with these effects."""
        if not self._waiting.waits:
            return
        if self._log.fingerprint != self._fingerprint:
            self._find(turn.effects)
        for token in list(islice(self._due, ENDS_MAX)):
            self.give_up(token)
            turn.emit(Included(token, True))
        if self._due:
            self._timers.set(Timer.INCLUDED, turn.now + GO_ON_AFTER)

    def _find(self, effects: Sequence[Effect]) -> None:
        """The log has changed, with these effects: who is included now."""
        log = self._log
        self._fingerprint = log.fingerprint
        if log.stream_count != self._stream_count:
            self._stream_count = log.stream_count
            for stream in [stream for stream in self._unheard if log.holds(stream)]:
                del self._unheard[stream]
                self._versions[stream] = 0
        self._see(effects)
        for stream, before in list(self._versions.items()):
            version = log.version(stream)
            if version > before:
                self._versions[stream] = version
                self._included(stream, None, 0, version)

    def _see(self, effects: Sequence[Effect]) -> None:
        """A register that has reached an event includes the event itself and all earlier ones of
        its counter."""
        for effect in effects:
            if not isinstance(effect, Incremented | Learned):
                continue
            for stream, counter, seq, _, _ in effect.advances:
                if stream in self._versions:
                    self._included(stream, None, seq - 1, seq)
                    self._included(stream, counter, 0, seq)

    def _included(self, stream: Stream, want: str | None, above: int, upto: int) -> None:
        due = self._waiting.between(stream, want, above, upto, WAITS_MAX)
        self._due.update((token, None) for _, token in due)
