"""Asking one of several daemons by one deadline: in order, the next one at each failure, and again
if need be.

What is asked again must be safe to do twice: a question, or an increment under its key. A failure
that may pass (refused and broken connections, time-outs, 429, 503, what no gossipd answers) is
worth the next daemon and the next try; any other refusal is the answer.

A daemon that may have done it already is asked again before any other: the others may not have
heard of it yet, and would count it, too, for a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import TypeVar

from gossipd.client import (
    Answer,
    AskingError,
    Client,
    Credentials,
    NoAnswerError,
    RefusedError,
    StrangerError,
    UnresolvedError,
)
from gossipd.config.bounds import TIMEOUT_MAX
from gossipd.config.unix import ApiAddress

PAUSE_MIN = 0.1
"""Seconds before the second try; doubled before each further one."""

PAUSE_MAX = 10.0
"""Seconds between two tries at most."""

HOLD_MAX = 60.0
"""Seconds for which a daemon that holds a batch back is left alone at a time."""

TRY_TIMEOUT = 5.0
"""Seconds for one try at one daemon where there may be another: one that hangs must not take the
time of all."""

_ANSWERING_SHARE, _ANSWERING_MAX = 0.2, 1.0
"""Part of the time of a try, and seconds at most, that a daemon which waits has left to answer."""

TOKEN_VARIABLE = "GOSSIPD_TOKEN"

NOTHING_DONE = "this call did nothing, an earlier one may have been counted"

T = TypeVar("T")
Ask = Callable[[Client], Answer]


class Daemons:
    """The daemons to ask, in order."""

    def __init__(
        self,
        addresses: Sequence[ApiAddress],
        timeout: float,
        credentials: Credentials | None = None,
    ) -> None:
        """`timeout`: seconds for one try at one of them at most; of a question, for all."""
        self.addresses = addresses
        self.credentials = credentials or Credentials()
        self.timeout = timeout
        self._first: ApiAddress | None = None
        """The one that may have done it already."""

    def get(self, check: Callable[[Answer], object], path: str, **query: object) -> Answer:
        """`check` raises what an answer of another form is. Raises `AskingError`, like all that
        ask."""
        return self.question(lambda client: _checked(client.get(path, **query), check))

    def post(self, check: Callable[[Answer], object], path: str, **fields: object) -> Answer:
        return self.question(lambda client: _checked(client.post(path, **fields), check))

    def question(self, ask: Ask) -> Answer:
        """Ask each daemon once, until one answers, by one deadline."""
        deadline = time.monotonic() + self.timeout
        return self.ask(ask, lambda: deadline - time.monotonic())

    def ask(self, ask: Callable[[Client], T], left: Callable[[], float] | None = None) -> T:
        """Ask each daemon once, until one answers; `left`: seconds that are left for all."""
        failures: dict[ApiAddress, AskingError] = {}
        waiting = sorted(self.addresses, key=lambda address: address != self._first)
        while waiting:
            address, others = waiting.pop(0), len(waiting)
            timeout, before = self.timeout, left() if left else 0.0
            if left:
                share = max(before, PAUSE_MIN) / (others + 1)
                timeout = min(timeout, share, TRY_TIMEOUT if others else share)
            try:
                return ask(Client(address, timeout, self.credentials))
            except AskingError as error:
                self._name_token(error)
                error.doubtful |= any(earlier.doubtful for earlier in failures.values())
                failures[address] = error
                if not (error.passing or isinstance(error, UnresolvedError)):
                    raise
                if error.doubtful and self._first is None:
                    self._first = address
                    # Who let the time pass is not asked again at once, nor where all are once.
                    if others and left and before - left() < timeout / 2:
                        waiting.insert(0, address)
        raise _together(list(failures.items()))

    def _name_token(self, error: AskingError) -> None:
        """Say how a token is shown, where that is what a daemon asks for."""
        if not isinstance(error, RefusedError) or isinstance(error, StrangerError):
            return
        if error.status == HTTPStatus.UNAUTHORIZED:
            known = "knows no such token" if self.credentials.token else "asks for a token"
            way = f"name the file of one with --token-file or {TOKEN_VARIABLE}_FILE"
            error.saying(f"the daemon {known}: {way}")


def waiting_time(client: Client) -> str:
    """For how long the daemon may wait for others, so that its answer still comes in time."""
    answering = min(_ANSWERING_SHARE * client.timeout, _ANSWERING_MAX)
    return f"{max(1, int(1000 * min(client.timeout - answering, TIMEOUT_MAX)))}ms"


def _checked(answer: Answer, check: Callable[[Answer], object]) -> Answer:
    check(answer)
    return answer


def _together(failures: Sequence[tuple[ApiAddress, AskingError]]) -> AskingError:
    """What came of asking all of them, as one error."""
    errors = [error for _, error in failures]
    reason = "; ".join(f"{address}: {error.reason}" for address, error in failures)
    if len(errors) == 1:
        errors[0].reason = reason
        return errors[0]
    silent = all(isinstance(error, NoAnswerError) for error in errors)
    together = (NoAnswerError if silent else RefusedError)(
        f"no daemon answers: {reason}" if silent else reason,
        reason,
        passing=any(error.passing for error in errors),
        doubtful=any(error.doubtful for error in errors),
    )
    together.retry_after = max(error.retry_after for error in errors)
    together.progress = any(error.progress for error in errors)
    return together


class Patience:
    """How long something is asked again and again, and what the user is told meanwhile."""

    def __init__(
        self,
        within: float,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        held_back: float = 0.0,
    ) -> None:
        """`within`: seconds in all; 0: each daemon is asked once. `held_back`: seconds for which
        daemons may ask for time (`Retry-After`) beside these; both begin anew at each progress."""
        self._within = within
        self._say = say
        self._clock = clock
        self._sleep = sleep
        self._held_back = held_back

    def ask(self, daemons: Daemons, ask: Ask, doubt: Callable[[], str]) -> Answer:
        """Ask until it is done or refused, or the time is over.

        `doubt`: what to tell where it may have been done all the same. Raises `AskingError`.
        """
        deadline, held_back = self._clock() + self._within, self._held_back
        left = (lambda: deadline - self._clock()) if self._within else None
        doubtful, tries, pause = False, 0, PAUSE_MIN
        while True:
            tries += 1
            try:
                return daemons.ask(ask, left)
            except AskingError as error:
                doubtful |= error.doubtful
                if error.progress:
                    deadline, held_back = self._clock() + self._within, self._held_back
                    pause = PAUSE_MIN
                hold = min(error.retry_after, held_back, HOLD_MAX) if error.passing else 0.0
                held_back -= hold
                remaining = deadline - self._clock()
                if not error.passing or (remaining < PAUSE_MIN and not hold):
                    raise self._vain(error, tries, doubt() if doubtful else "") from None
                if tries == 1:
                    how = "waiting as it asks" if hold else f"trying again for {remaining:.3g} s"
                    self._say(f"{error.reason}; {how}")
                deadline += hold
                self._sleep(hold or min(_pause(error, pause), remaining / 2))
                pause = min(2 * pause, PAUSE_MAX)

    def _vain(self, error: AskingError, tries: int, doubt: str) -> AskingError:
        """The last failure, with what is to be said beside it."""
        often = f"; {tries} tries in {self._within:g} s" if error.passing and tries > 1 else ""
        unsure = f"; {_unsure(error, doubt)}" if doubt else ""
        return error.saying(f"{error}{often}{unsure}")


def _pause(error: AskingError, pause: float) -> float:
    """Seconds until the next try; clients that one restart cut off do not come back at once."""
    import random  # slow to import, and seldom needed

    return min(max(random.uniform(0.5, 1.0) * pause, error.retry_after), PAUSE_MAX)


def _unsure(error: AskingError, doubt: str) -> str:
    """What is to be said beside the last failure where some try may have been counted."""
    did_nothing = (
        isinstance(error, RefusedError)
        and not isinstance(error, StrangerError)
        and error.status
        and error.status < 500
    )
    return f"{NOTHING_DONE}; {doubt}" if did_nothing and NOTHING_DONE not in str(error) else doubt
