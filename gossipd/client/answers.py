"""What comes of asking: an answer whose parts are checked before they are used, or an error.

Proxies, captive portals and other programs answer too, with any status and any body. Only what
has exactly the form of gossipd's own answers is taken for one; all else is a stranger's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NoReturn, Self

from gossipd.client.exchange import Response

PROBLEM = "application/problem+json"

NOT_COUNTED = "not counted"
"""How a daemon begins the detail of a refusal where it is certain of that."""

ANOTHER_VERSION = "is this another version of gossipd?"

NUMBER_MAX = 2**80
"""No number of a daemon is as large, nor so large that Python could not print or convert it."""

Kind = type | tuple[type, ...]
"""What a value may be; true and false are no numbers."""

NUMBER: Kind = (int, float)
NUMBER_OR_NONE: Kind = (int, float, type(None))


class AskingError(Exception):
    """Asked in vain; the text says why."""

    def __init__(
        self, text: str, reason: str = "", *, passing: bool = False, doubtful: bool = False
    ) -> None:
        super().__init__(text)
        self.reason = reason or text
        """The text for where the address stands beside it."""

        self.passing = passing
        """Whether another node, or this one later, may do it."""

        self.doubtful = doubtful
        """Whether it may have been done all the same."""

        self.retry_after = 0.0
        """Seconds for which the daemon asks to be left alone."""

        self.progress = False
        """Whether a part of it was done, so that waiting for the rest begins anew."""

    def saying(self, text: str) -> Self:
        """The same in other words."""
        self.args = (text,)
        return self


class NoAnswerError(AskingError):
    """No daemon answered; the text says what was tried."""


class RefusedError(AskingError):
    """The daemon refused."""

    status: int | None = None
    """That of HTTP."""

    problem: Mapping[str, Any] = MappingProxyType({})
    """The fields of a problem (RFC 9457)."""

    date: str = ""
    """When it was answered, as the daemon's clock has it (RFC 9110, 6.6.1)."""

    @classmethod
    def of(cls, response: Response, problem: dict[str, Any], changing: bool) -> RefusedError:
        """That of a daemon's own answer; `changing`: to what was to change something."""
        status = response.status
        refused = cls(
            problem["detail"],
            passing=status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE),
            doubtful=changing and is_doubtful(problem),
        )
        refused.status, refused.problem, refused.date = status, problem, response.date
        refused.retry_after = seconds(response.retry_after)
        return refused


class StrangerError(RefusedError):
    """What answered is not gossipd, or not this version of it: another daemon or another try may
    do better, and what was to change something may have done so."""

    def __init__(self, text: str, reason: str = "", *, doubtful: bool) -> None:
        super().__init__(text, reason, passing=True, doubtful=doubtful)


class UnresolvedError(RefusedError):
    """Nobody can be asked there, for now (`passing`) or at all: the name of the host has no
    address."""


class UntrustedError(UnresolvedError):
    """The same, as there is no TLS with it that can be trusted."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to what was done. Raises `StrangerError` where it has not the form that is asked
    for."""

    text: str
    """The body as it came, without newlines at its end."""

    data: Any
    """The same, decoded."""

    status: int = HTTPStatus.OK

    changing: bool = False
    """Whether it is the answer to what was to change something."""

    date: str = ""
    """When it was answered, as the daemon's clock has it."""

    retry_after: float = 0.0
    """Seconds for which the daemon asks to be left alone."""

    def fields(self, **kinds: Kind) -> dict[str, Any]:
        """An object that has these fields, others beside them."""
        return self._checked(self._object(self.data), kinds)

    def items(self, kind: Kind) -> dict[str, Any]:
        """An object whose fields are all of one kind."""
        found = self._object(self.data)
        return self._checked(found, dict.fromkeys(found, kind))

    def entries(self, kind: Kind) -> list[Any]:
        """A list of values of one kind."""
        found = self._list()
        for number, entry in enumerate(found):
            self._check(f"entry {number}", entry, kind)
        return found

    def records(self, **kinds: Kind) -> list[dict[str, Any]]:
        """A list of objects that have these fields."""
        return [self._checked(self._object(entry), kinds) for entry in self._list()]

    def check(self, found: dict[str, Any], **kinds: Kind) -> None:
        """An object within the answer has these fields."""
        self._checked(found, kinds)

    def strange(self, what: str) -> NoReturn:
        raise StrangerError(f"the answer {what}; {ANOTHER_VERSION}", doubtful=self.changing)

    def _list(self) -> list[Any]:
        if not isinstance(self.data, list):
            self.strange("is not a list")
        return self.data

    def _object(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.strange("is not an object" if value is self.data else "lists what is no object")
        return value

    def _checked(self, found: dict[str, Any], kinds: Mapping[str, Kind]) -> dict[str, Any]:
        for name, kind in kinds.items():
            if name not in found and not _is(None, kind):
                self.strange(f"has no {name!r}")
            self._check(repr(name), found.get(name), kind)
        return found

    def _check(self, what: str, value: Any, kind: Kind) -> None:
        if not _is(value, kind):
            shown = ascii(value)
            self.strange(f"has {shown if len(shown) <= 40 else shown[:37] + '...'} for {what}")


def decoded(text: str) -> Any:
    """JSON. Raises ValueError."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deep") from None


def problem_of(response: Response, data: Any) -> dict[str, Any] | None:
    """What a daemon says in an answer other than 2xx; None: it is none of a daemon."""
    if response.content_type != PROBLEM or not isinstance(data, dict):
        return None
    told = data.get("status") == response.status
    words = isinstance(data.get("title"), str) and isinstance(data.get("detail"), str)
    return data if told and words else None


def is_doubtful(problem: Mapping[str, Any]) -> bool:
    """Whether a daemon that refused so may have done it all the same: where it failed, unless it
    says that it did not."""
    failed = bool(problem["status"] >= HTTPStatus.INTERNAL_SERVER_ERROR)
    return failed and not problem["detail"].startswith(NOT_COUNTED)


def seconds(retry_after: str) -> float:
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0


def _is(value: Any, kind: Kind) -> bool:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if isinstance(value, bool):
        return bool in kinds
    if isinstance(value, int | float) and not abs(value) < NUMBER_MAX:
        return False
    return isinstance(value, kinds)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
