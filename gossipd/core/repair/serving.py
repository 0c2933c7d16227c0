"""The one who is asked: each question for what this node holds, answered in slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gossipd.core.effects import KeysWanted
from gossipd.core.identity import Address
from gossipd.core.turn import Turn
from gossipd.core.wire.messages import DigestAsk, MembersAsk, PassAsk
from gossipd.core.wire.records import KeyRecord

from .answering import Answering, Archive, Lack
from .slices import Slices

ARCHIVED_AT_ONCE = 1_000
"""Key records read from the disk for one answer: as many as it can hold."""


@dataclass(eq=False, repr=False)
class Serving:
    """Answers those who repair their own."""

    _answering: Answering
    _slices: Slices

    def digest_asked(self, ask: DigestAsk, turn: Turn) -> None:
        """Tell what is below a prefix; like all answers without news, which would be told to one
        peer only."""
        turn.send(self._answering.digest(ask), turn.reply_to)

    def passes_asked(self, ask: PassAsk, asker: str, turn: Turn) -> None:
        """Send the pages that were asked for."""
        self._answer(ask, asker, turn.reply_to, None, turn)

    def keys_read(self, wanted: KeysWanted, records: Sequence[KeyRecord], turn: Turn) -> None:
        """The disk has told what an answer lacked: go on with it."""
        upto = wanted.upto if len(records) < wanted.limit else records[-1].seq
        archive = Archive(wanted.stream, wanted.above, upto, tuple(records))
        self._answer(wanted.ask, wanted.asker, wanted.address, archive, turn)

    def members_asked(self, ask: MembersAsk, asker: str, turn: Turn) -> None:
        """Send pages of the member table."""
        pages = self._answering.members(ask, turn.now)
        self._slices.serve("members", asker, turn.reply_to, pages, turn)

    def _answer(
        self, ask: PassAsk, asker: str, to: Address, archive: Archive | None, turn: Turn
    ) -> None:
        answers = self._answering.passes(ask, archive, turn.now)
        parts = (
            KeysWanted(*part[:3], ARCHIVED_AT_ONCE, part.ask, asker, to)
            if isinstance(part, Lack)
            else part
            for part in answers
        )
        self._slices.serve("log", asker, to, parts, turn)
