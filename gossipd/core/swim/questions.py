"""What this node has asked and may still be answered, by nonce: one table for all questions.

A nonce is 64 random bits, so an answer may come from any address, and who has not seen the
question cannot answer it. What a question was about stands beside its nonce; of each kind of
question there is room for so many, so that none crowds out another, and the oldest are given up
first. Cookies and Hellos are not in here: of those, nothing is remembered.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple, TypeAlias, TypeVar

ANSWER_WITHIN = 60.0
"""Seconds after which a question is given up when another one of its kind is asked."""

Q = TypeVar("Q")

_Kind: TypeAlias = tuple[type, str]
"""What there is room for so many of: questions of a type, or those of them to one peer."""


class _Open(NamedTuple):
    question: object
    kind: _Kind
    at: float


class Questions:
    """The open questions of one node, of each kind the oldest first."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._open: dict[int, _Open] = {}
        self._kinds: dict[_Kind, dict[int, None]] = {}

    @property
    def count(self) -> int:
        """How many there are, of all kinds."""
        return len(self._open)

    def ask(self, question: object, most: int, now: float, peer: str = "") -> int:
        """Remember what is about to be asked, and at most so many of its kind; its nonce. `peer`:
        who is asked, where that many may be open for each."""
        nonce = self._rng.getrandbits(64)
        kind = type(question), peer
        nonces = self._kinds.setdefault(kind, {})
        self._open[nonce] = _Open(question, kind, now)
        nonces[nonce] = None
        while len(nonces) > most or now - self._open[next(iter(nonces))].at > ANSWER_WITHIN:
            self._close(next(iter(nonces)))
        return nonce

    def get(self, kind: type[Q], nonce: int, peer: str = "") -> Q | None:
        """The question of that kind which an answer is to; it stays open."""
        held = self._open.get(nonce)
        if held is None or held.kind[1] != peer or not isinstance(held.question, kind):
            return None
        return held.question

    def take(self, kind: type[Q], nonce: int, peer: str = "") -> Q | None:
        """The same, once: it is answered, or given up."""
        question = self.get(kind, nonce, peer)
        if question is not None:
            self._close(nonce)
        return question

    def give_up(self, kind: type, peer: str = "") -> None:
        """No question of that kind is open any more."""
        for nonce in self._kinds.pop((kind, peer), {}):
            del self._open[nonce]

    def _close(self, nonce: int) -> None:
        kind = self._open.pop(nonce).kind
        del self._kinds[kind][nonce]
        if not self._kinds[kind]:
            del self._kinds[kind]
