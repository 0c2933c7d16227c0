"""Asking one of several daemons: in order, the next one at each failure, and again if need be.

What is asked again must be safe to do twice: a question, or an increment under its key. A failure
that may pass (refused and broken connections, time-outs, 503) is worth the next daemon and the
next try; any other refusal is the answer.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from gossipd.client import (
    Answer,
    AskingError,
    Client,
    NoAnswerError,
    RefusedError,
    UnresolvedError,
)
from gossipd.endpoint import Endpoint

PAUSE_MIN = 0.1
"""Seconds before the second try; doubled before each further one."""

PAUSE_MAX = 10.0
"""Seconds between two tries at most."""

TRY_TIMEOUT = 5.0
"""Seconds for one try at one daemon where there may be another: one that hangs must not take the
time of all."""

NOTHING_DONE = "this call did nothing, an earlier one may have been counted"

Ask = Callable[[Client], Answer]


class Daemons:
    """The daemons to ask, in order."""

    def __init__(self, addresses: Sequence[Endpoint], timeout: float) -> None:
        """`timeout`: seconds for each daemon, as `Client` takes it."""
        self.addresses = addresses
        self.timeout = timeout

    def get(self, path: str, **query: object) -> Answer:
        """Raises `RefusedError` and `NoAnswerError`, like all that ask."""
        return self.ask(lambda client: client.get(path, **query))

    def post(self, path: str, **fields: object) -> Answer:
        return self.ask(lambda client: client.post(path, **fields))

    def ask(self, ask: Ask, left: Callable[[], float] | None = None) -> Answer:
        """Ask each daemon once, until one answers; `left`: seconds that are left for all."""
        failures: list[tuple[Endpoint, AskingError]] = []
        for address in self.addresses:
            timeout = min(self.timeout, max(left(), PAUSE_MIN)) if left else self.timeout
            try:
                return ask(Client(address, timeout))
            except AskingError as error:
                failures.append((address, error))
                if not (error.passing or isinstance(error, UnresolvedError)):
                    error.doubtful |= any(earlier.doubtful for _, earlier in failures)
                    raise
        raise _together(failures)


def _together(failures: Sequence[tuple[Endpoint, AskingError]]) -> AskingError:
    """What came of asking all of them, as one error."""
    errors = [error for _, error in failures]
    reason = "; ".join(f"{address}: {error.reason}" for address, error in failures)
    silent = all(isinstance(error, NoAnswerError) for error in errors)
    text = f"no daemon answers: {reason}" if silent else reason
    together = (NoAnswerError if silent else RefusedError)(
        str(errors[0]) if len(errors) == 1 else text,
        reason,
        passing=any(error.passing for error in errors),
        doubtful=any(error.doubtful for error in errors),
    )
    together.retry_after = max(error.retry_after for error in errors)
    return together


class Patience:
    """How long something is asked again and again, and what the user is told meanwhile."""

    def __init__(
        self,
        within: float,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`within`: seconds in all; 0: each daemon is asked once."""
        self._within = within
        self._say = say
        self._clock = clock
        self._sleep = sleep

    def ask(self, daemons: Daemons, ask: Ask, doubt: str) -> Answer:
        """Ask until it is done or refused, or the time is over.

        `doubt`: what to tell where it may have been done all the same. Raises `RefusedError` and
        `NoAnswerError`.
        """
        deadline = self._clock() + self._within
        left = (lambda: deadline - self._clock()) if self._within else None
        doubtful, tries, pause = False, 0, PAUSE_MIN
        while True:
            tries += 1
            try:
                return daemons.ask(ask, left)
            except AskingError as error:
                doubtful |= error.doubtful
                remaining = deadline - self._clock()
                if not error.passing or remaining < PAUSE_MIN:
                    unanswered = error.passing and tries > 1
                    said = f"; {tries} tries in {self._within:g} s" if unanswered else ""
                    unsure = _unsure(error, doubt) if doubtful else ""
                    raise type(error)(f"{error}{said}{unsure}") from None
                if tries == 1:
                    self._say(f"{error.reason}; trying again for {remaining:.3g} s")
                self._sleep(min(_pause(error, pause), remaining / 2))
                pause = min(2 * pause, PAUSE_MAX)


def _pause(error: AskingError, pause: float) -> float:
    """Seconds until the next try; clients that one restart cut off do not come back at once."""
    return min(max(random.uniform(0.5, 1.0) * pause, error.retry_after), PAUSE_MAX)


def _unsure(error: AskingError, doubt: str) -> str:
    """What is to be said beside the last failure where some try may have been counted."""
    if not (isinstance(error, RefusedError) and error.status and error.status < 500):
        return f"; {doubt}"
    return "" if NOTHING_DONE in str(error) else f"; {NOTHING_DONE}"
