"""The asker's side of one pass: which part of a stream the pages cover, and what may be claimed.

Pages may come in any order and from any answerer. When those used cover everything from the
beginning to the end, everything up to the *smallest* version stated on any of them is held: a
register that moved while the pass ran is above the version stated before it moved, and what comes
after the registers never moves.

Most of what a pass is over may have come by gossip meanwhile. Each seq is one event, so where key
records are held that follow each other without a gap, a pass has nothing to ask for: it skips
them, and asks for what lies between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from gossipd.core.identity import Stream
from gossipd.core.wire.records import BEGINNING, END, Page, PassItem, Position

BUFFERED_MAX = 64

RUN_MIN = 10
"""Key records in a row from which on it pays to ask for what is before and what is behind them: a
wish and a page of its own cost what three or four records take."""

Runs: TypeAlias = Callable[[int], Iterable[tuple[int, int]]]
"""Where key records above a seq are held that follow each other: the first and the last of each
run, of a long one in parts."""


@dataclass(slots=True)
class Pass:
    """A pass over what a stream holds above `start`."""

    start: int
    doubles: bool = False
    """Whether all doubles and corrections of the stream are asked for."""
    runs: Runs = lambda _: ()
    """What is held and skipped; one that asks for all doubles skips nothing."""
    after: Position = BEGINNING
    """Everything up to this is covered."""
    claim: int | None = None
    """The smallest version stated so far."""
    _ahead: list[Page] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether everything is covered."""
        return self.after == END

    def wishes(self, stream: Stream) -> Iterator[PassItem]:
        """For what it lacks: one for each gap."""
        after, above = self.after, max(self.start, self.after[0])
        for seq, until in self._gaps(above):
            position = (seq, "") if after[0] else after
            yield PassItem(stream, self.start, position, self.doubles, until)
            after = until, ""

    def use(self, page: Page) -> bool:
        """Take a page of this stream into account; whether it brought the pass forward."""
        if page.start > self.start or self.complete:
            return False
        before = self.after
        self._ahead.append(page._replace(registers=(), keys=(), doubles=(), corrections=()))
        while self._take_one() or self._skip():
            pass
        # What is covered by now will not be used, and must not push out what may be.
        self._ahead = [page for page in self._ahead if page.upto > self.after]
        del self._ahead[:-BUFFERED_MAX]
        return self.after != before

    def _take_one(self) -> bool:
        for page in self._ahead:
            if page.after <= self.after < page.upto:
                self._ahead.remove(page)
                self.claim = page.version if self.claim is None else min(self.claim, page.version)
                self.after = page.upto
                return True
        return False

    def _skip(self) -> bool:
        """Pass over what is held; whether there was any. Registers come first, of which all are
        asked for."""
        above = seq = self.after[0]
        if not above or self.complete:
            return False
        for first, last in self.runs(above):
            if first != seq + 1:
                break
            seq = last
        if seq > above:
            self.after = seq, ""
        return seq > above

    def _gaps(self, above: int) -> Iterator[tuple[int, int]]:
        """What may be missing above a seq: behind which one, up to which one. The last gap has no
        end: 0."""
        run = 0, -1
        for first, last in self.runs(above):
            if first == above + 1:
                above = last
                continue
            run = (run[0] if run[1] + 1 == first else first), last
            if last - run[0] + 1 >= RUN_MIN:
                yield above, run[0] - 1
                above = last
        yield above, 0
