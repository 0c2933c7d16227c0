"""What clients asked for that is not answered yet: it waits, is taken into a batch, is told.

Increments that were sent together wait part by part, so that those of others find their place
between two. Nothing here knows the log, the disk, or why a batch is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import TypeAlias

from gossipd.core.effects import Answered, AnsweredPart, Token
from gossipd.core.log.sources import Put
from gossipd.core.replies import Reply, ShareFull, Uncounted
from gossipd.core.results import Item
from gossipd.core.turn import Turn

from .batch_size import COST_MAX, DEAREST, Part

PUTS_MAX = 200
"""Sources that are put together at most."""

_SHARE_FULL = ShareFull()


class _Many:
    """Increments that were sent together. One part of them waits at a time, so that those of
    others find their place between two."""

    __slots__ = ("fed", "items", "open", "token")

    def __init__(self, token: Token, items: Sequence[Item]) -> None:
        self.token = token
        self.items = items
        self.fed = 0
        """How many have been given in."""
        self.open = 0
        """How many of these are not answered."""


_Asked: TypeAlias = tuple[Token, str, int, bytes | None, _Many | None, int]
"""An increment that is not committed yet: whose it is, its counter, by how much, its key, the
batch of a client's that it is of, and how many such there are in a row. A bare tuple, as one is
made for each increment."""

times = itemgetter(5)
"""How many there are of one in a row."""


class Intake:
    """Those of one node."""

    def __init__(self) -> None:
        self.waiting: list[_Asked] = []
        self.puts: list[tuple[Token, Put]] = []
        self._many = 0
        """Batches of clients that are not answered."""
        self.taken: list[_Asked] = []
        self.taken_puts: list[tuple[Token, Put]] = []
        """Those that are being committed, as long as they are not answered."""
        self._shareless: dict[int, None] = {}
        """Which of these are not in the batch, as there is no room for their keys."""

    @property
    def waits(self) -> bool:
        """Whether anything does."""
        return bool(self.waiting or self.puts)

    @property
    def count(self) -> int:
        """How many are not answered; of batches what was given in."""
        waiting = len(self.waiting) + len(self.puts)
        return waiting + len(self.taken) + len(self.taken_puts)

    def add_all(self, token: Token, items: Sequence[Item]) -> None:
        """Increments that were sent together."""
        self._many += 1
        self._feed(_Many(token, items))

    def take(self) -> bool:
        """Take what waits, as much as a batch holds; whether that is anything."""
        waiting, end = self.waiting, len(self.waiting)
        if sum(map(times, waiting)) * DEAREST > COST_MAX:
            part, end = Part(), 0
            for _, counter, _, key, many, count in waiting:
                if not part.takes(counter, keyed=key is not None, alone=many is None, count=count):
                    break
                end += 1
        self.taken, self.taken_puts = waiting[:end], self.puts[:PUTS_MAX]
        del waiting[:end], self.puts[:PUTS_MAX]
        return bool(self.taken or self.taken_puts)

    def within(self, room: int, is_known: Callable[[bytes], bool]) -> list[_Asked]:
        """Of the increments that were taken those that are to be committed: not those of batches
        whose new keys are more than `room`. They are answered with the others."""
        if room >= len(self.taken):
            return self.taken
        for index, (_, _, _, key, many, _) in enumerate(self.taken):
            if many is None or key is None or is_known(key):
                continue
            room -= 1
            if room < 0:
                self._shareless[index] = None
        return [one for index, one in enumerate(self.taken) if index not in self._shareless]

    def answer(
        self,
        replies: Sequence[Reply],
        put_replies: Sequence[Reply],
        refusal: Uncounted | None,
        turn: Turn,
    ) -> None:
        """Tell those that were taken; nobody is left where they were let go before. `refusal`:
        what is said to whoever comes now."""
        taken, puts, shareless = self.taken, self.taken_puts, self._shareless
        self.taken, self.taken_puts, self._shareless = [], [], {}
        if shareless:
            rest = iter(replies)
            replies = [
                _SHARE_FULL if index in shareless else next(rest) for index in range(len(taken))
            ]
        self._tell(taken, replies, refusal, turn)
        if puts:
            turn.emit(Answered([token for token, _ in puts], put_replies))

    def refuse(self, why: Uncounted, refusal: Uncounted | None, turn: Turn) -> None:
        """Nobody knows of those that were taken that they count."""
        count = len(self.taken) - len(self._shareless)
        self.answer([why] * count, [why] * len(self.taken_puts), refusal, turn)

    def take_rest(self) -> None:
        """Take all that waits."""
        self.taken, self.waiting = self.waiting, []
        self.taken_puts, self.puts = self.puts, []

    def _feed(self, many: _Many) -> None:
        """Give in the next part."""
        part, items = Part(), many.items
        end = len(items)
        while many.fed < end and part.takes(
            items[many.fed].counter, keyed=items[many.fed].key is not None, alone=False
        ):
            self.waiting.append((many.token, *items[many.fed], many, 1))
            many.fed += 1
            many.open += 1

    def _tell(
        self,
        taken: list[_Asked],
        replies: Sequence[Reply],
        refusal: Uncounted | None,
        turn: Turn,
    ) -> None:
        """Of a batch each part is told when all of it is known, and the next one is given in."""
        if not self._many:  # the usual case, and short of all that is below
            if taken:
                turn.emit(Answered([token for token, *_ in taken], replies))
            return
        tokens: list[Token] = []
        told: list[Reply] = []
        parts: dict[_Many, list[Reply]] = {}
        for (token, _, _, _, of, _), reply in zip(taken, replies, strict=False):
            if of is None:
                tokens.append(token)
                told.append(reply)
            else:
                parts.setdefault(of, []).append(reply)
        if tokens:
            turn.emit(Answered(tokens, told))
        for many, part in parts.items():
            many.open -= len(part)
            if not many.open and refusal is not None:
                part += [refusal] * (len(many.items) - many.fed)
                many.fed = len(many.items)
            turn.emit(AnsweredPart(many.token, part))
            if many.open:
                continue
            if many.fed < len(many.items):
                self._feed(many)
            else:
                self._many -= 1
