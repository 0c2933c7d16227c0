"""What this node has asked and may still be answered, by nonce: one table for all questions.

A nonce is 64 random bits, so an answer may come from any address, and who has not seen the
question cannot answer it. What a question was about stands beside its nonce; of each kind of
question there is room for so many, so that none crowds out another, and the oldest are given up
first. Cookies and Hellos are not in here: of those, nothing is remembered.
"""

from __future__ import annotations

from random import Random
from typing import TypeVar

ANSWER_WITHIN = 60.0
"""Seconds after which a question is given up when another one of its kind is asked."""

Q = TypeVar("Q")


class Questions:
    """The open questions of one node, of each kind the oldest first."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._open: dict[int, tuple[float, object]] = {}
        """When each was asked, and what it was about."""
        self._kinds: dict[type, dict[int, None]] = {}

    def ask(self, question: object, most: int, now: float) -> int:
        """Remember what is about to be asked, and at most so many of its kind; its nonce."""
        nonce = self._rng.getrandbits(64)
        kind = self._kinds.setdefault(type(question), {})
        self._open[nonce] = now, question
        kind[nonce] = None
        while len(kind) > most or now - self._open[next(iter(kind))][0] > ANSWER_WITHIN:
            self._close(kind, next(iter(kind)))
        return nonce

    def get(self, kind: type[Q], nonce: int) -> Q | None:
        """The question of that kind which an answer is to; it stays open."""
        question = self._open.get(nonce, (0.0, None))[1]
        return question if isinstance(question, kind) else None

    def take(self, kind: type[Q], nonce: int) -> Q | None:
        """The same, once: it is answered, or given up."""
        question = self.get(kind, nonce)
        if question is not None:
            self._close(self._kinds[type(question)], nonce)
        return question

    def give_up(self, kind: type) -> None:
        """No question of that kind is open any more."""
        for nonce in self._kinds.pop(kind, {}):
            del self._open[nonce]

    def _close(self, kind: dict[int, None], nonce: int) -> None:
        del kind[nonce], self._open[nonce]
