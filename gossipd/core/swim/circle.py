"""Names in a random order, each in its turn: who comes or goes costs no more than itself.

A list that is shuffled whenever somebody comes would cost as much as there are names, each time.
"""

from __future__ import annotations

from random import Random


class Circle:
    """Names that are passed through again and again, in one order until it is mixed."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._names: list[str] = []
        self._at: dict[str, int] = {}
        """Where each name stands."""
        self._place = 0
        """The next one's; those before it have had their turn in this round."""
        self._mixes = False
        """Whether this round is in a new order: what is still to come is drawn name by name."""

    def __len__(self) -> int:
        return len(self._names)

    def add(self, name: str) -> None:
        """Let a new name have its turn at some moment of this round."""
        self._at[name] = len(self._names)
        self._names.append(name)
        self._swap(self._rng.randint(self._place, len(self._names) - 1), len(self._names) - 1)

    def remove(self, name: str) -> None:
        """Pass over a name, which is in, from now on."""
        at = self._at[name]
        if at < self._place:
            # What is still to come must stay behind the place.
            self._place -= 1
            self._swap(at, self._place)
            at = self._place
        self._swap(at, len(self._names) - 1)
        self._names.pop()
        del self._at[name]

    def next(self, mix: bool) -> str:
        """The next name, of at least one. `mix`: if a round begins with it, in a new order."""
        if self._place == len(self._names):
            self._place = 0
            self._mixes = mix
        if self._mixes:
            self._swap(self._place, self._rng.randrange(self._place, len(self._names)))
        self._place += 1
        return self._names[self._place - 1]

    def _swap(self, at: int, other: int) -> None:
        names = self._names
        names[at], names[other] = names[other], names[at]
        self._at[names[at]], self._at[names[other]] = at, other


def some_of(rng: Random, names: list[str], count: int) -> list[str]:
    """Up to `count` of some members, at random."""
    return rng.sample(names, min(count, len(names)))
