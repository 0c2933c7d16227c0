"""This host's clock beside a daemon's: what a key that was minted here is judged by.

A daemon takes no key that is too old or too far ahead by its own clock. It dates its answers (RFC
9110, section 6.6.1), so a key can be minted by that clock, and the user be told which is wrong.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gossipd.cli.minting import mint
from gossipd.config.spans import span
from gossipd.config.unix import ApiAddress

EQUAL = 5.0
"""Seconds between two clocks that are not worth a word."""


class Mint:
    """Keys by this host's clock, or by that of a daemon once it has refused one."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.wrong = ""
        """What is wrong with the clocks, as a sentence."""

        self._say = say
        self._ahead = 0.0

    def new(self) -> str:
        return mint(self._ahead)

    def see(self, date: str, api: ApiAddress, use: bool) -> bool:
        """A daemon that refused a new key answered with this `Date`: with `use` mint by its clock
        from now on. False where it is not used, or not known."""
        ahead = _ahead(date)
        if ahead is None:
            self.wrong = f"this host's clock and that of {api} differ"
            return False
        if abs(ahead) < EQUAL:
            self.wrong = f"{api} refuses what is dated now, though its clock is this host's"
        else:
            side = "behind" if ahead > 0 else "ahead of"
            self.wrong = f"this host's clock is {span(abs(ahead))} {side} that of {api}"
            if use and abs(ahead - self._ahead) >= EQUAL:
                self._say(f"{self.wrong}; the daemon's is used")
        if use:
            self._ahead = ahead
        return use


def _ahead(date: str) -> float | None:
    """Seconds by which the clock of an answer is ahead of this host's; None: it tells none."""
    from email.utils import mktime_tz, parsedate_tz  # slow to import, and seldom needed

    try:
        parsed = parsedate_tz(date)
        return None if parsed is None else mktime_tz(parsed) - time.time()
    except (ValueError, OverflowError):
        return None
