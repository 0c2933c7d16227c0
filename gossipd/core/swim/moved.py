"""Who advertises what does not answer, and speaks from somewhere else: its operator is to know.

That a host speaks from another of its addresses than it advertises is no fault by itself. It is
one where the advertised address is silent for a while: a newcomer asks again and again without
echoing the cookie that was sent there, or a member is suspected, or failed, and yet speaks. One
that has just got another address takes a moment to say so.
"""

from __future__ import annotations

from typing import NamedTuple

from gossipd.core.identity import Address

SPEAKS_FOR = 1.0
"""Seconds for which somebody may do so; a cookie takes a round trip."""

PAUSE = 10.0
"""Seconds without a word from there after which that begins anew."""

TOLD_EVERY = 60.0
"""Seconds until it is told of the same name again."""

APART = 1.0
"""Seconds between two names that are told of: anybody can make names up."""

NAMES_MAX = 256


class _Noted(NamedTuple):
    advertised: Address
    since: float
    told_at: float
    at: float
    """When it was so last."""


class Elsewhere:
    """The names of which this is so, the most recent ones."""

    def __init__(self) -> None:
        self._noted: dict[str, _Noted] = {}
        self._told_at = float("-inf")

    def spoke(self, name: str, advertised: Address, now: float) -> bool:
        """A newcomer asks from elsewhere without a cookie, or a member speaks from there that is
        silent where it advertises to be; whether to tell of it."""
        noted = self._noted.get(name)
        if noted is None or noted.advertised != advertised or now - noted.at > PAUSE:
            told_at = noted.told_at if noted else float("-inf")
            self._note(name, _Noted(advertised, now, told_at, now))
            return False
        self._noted[name] = noted = noted._replace(at=now)
        return now - noted.since >= SPEAKS_FOR and self._tell(name, noted, now)

    def proven(self, name: str) -> None:
        """It answers where it advertises to be."""
        self._noted.pop(name, None)

    def _tell(self, name: str, noted: _Noted, now: float) -> bool:
        if now - noted.told_at < TOLD_EVERY or now - self._told_at < APART:
            return False
        self._told_at = now
        self._note(name, noted._replace(told_at=now))
        return True

    def _note(self, name: str, noted: _Noted) -> None:
        self._noted.pop(name, None)
        self._noted[name] = noted
        if len(self._noted) > NAMES_MAX:
            del self._noted[next(iter(self._noted))]
