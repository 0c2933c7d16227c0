"""The asker's side of one pass: which part of a stream the pages cover, and what may be claimed.

Pages may come in any order and from any answerer. When those used cover everything from the
beginning to the end, everything up to the *smallest* version stated on any of them is held: a
register that moved while the pass ran is above the version stated before it moved, and what comes
after the registers never moves.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gossipd.core.wire.messages import BEGINNING, END, Page, Position

BUFFERED_MAX = 64


@dataclass(slots=True)
class Pass:
    """A pass over what a stream holds above `start`."""

    start: int
    doubles: bool = False
    """Whether all doubles and corrections of the stream are asked for."""
    after: Position = BEGINNING
    """Everything up to this is covered."""
    claim: int | None = None
    """The smallest version stated so far."""
    _ahead: list[Page] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether everything is covered."""
        return self.after == END

    def use(self, page: Page) -> bool:
        """Take a page of this stream into account; whether it brought the pass forward."""
        if page.start > self.start or self.complete:
            return False
        before = self.after
        self._ahead.append(page._replace(registers=(), keys=(), doubles=(), corrections=()))
        while self._take_one():
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
