"""The one set of commands: what may be asked, with which values.

Both dialects bring their arguments here as they found them (`object`) and get back plain data or
`Refused`. This module knows no HTTP and no text, and every rule about values stands here once.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar
from uuid import UUID

from gossipd.sideport.backend import Backend, Incremented, Refused

T = TypeVar("T")

log = logging.getLogger(__name__)

COUNTER_DEFAULT = "default"
NAME_SIZE_MAX = 128
BY_MAX = 2**53
LOG_LIMIT_DEFAULT = 100
LOG_LIMIT_MAX = 1000
PEERS_MAX = 256
ADDRESS_SIZE_MAX = 300
RETRY_AFTER = 1
"""Seconds after which a node that was not ready is worth asking again."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_INTEGER = re.compile("[+-]?[0-9]{1,100}")


def refusal(status: int, detail: str, retry_after: int | None = None) -> Refused:
    """A refusal under the status' usual title (RFC 9457 wants that for `about:blank`)."""
    return Refused(status, HTTPStatus(status).phrase, detail, retry_after)


def shown(value: object) -> str:
    """A client's value for an error message: on one line, and short."""
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


def number(text: str) -> int | str:
    """An integer as clients type it; anything else is left for the rules below to refuse."""
    return int(text) if _INTEGER.fullmatch(text) else text


def name(value: object, what: str = "counter") -> str:
    if not isinstance(value, str):
        raise refusal(400, f"{what} must be a string, not {shown(value)}")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise refusal(400, f"{what} must be valid Unicode, not {shown(value)}") from None
    if not 1 <= size <= NAME_SIZE_MAX:
        raise refusal(400, f"{what} must have 1 to {NAME_SIZE_MAX} bytes of UTF-8, not {size}")
    if _CONTROL.search(value):
        raise refusal(400, f"{what} must not contain control characters: {shown(value)}")
    return value


def amount(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise refusal(400, f"by must be an integer, not {shown(value)}")
    if value == 0:
        raise refusal(400, "by must not be 0")
    if abs(value) > BY_MAX:
        raise refusal(400, f"by must be within -2^53 and 2^53, not {shown(value)}")
    return value


def log_limit(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LOG_LIMIT_MAX:
        raise refusal(400, f"limit must be an integer from 1 to {LOG_LIMIT_MAX}")
    return value


def increment_id(value: object) -> UUID:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise refusal(400, f"an increment id is a UUID with hyphens, not {shown(value)}")
    return UUID(value)


def addresses(value: object) -> list[str]:
    if not isinstance(value, list) or not 1 <= len(value) <= PEERS_MAX:
        raise refusal(400, f'peers must be a list of 1 to {PEERS_MAX} strings "host:port"')
    found: list[str] = []
    for item in value:
        if not isinstance(item, str) or not 1 <= len(item) <= ADDRESS_SIZE_MAX:
            raise refusal(400, f'a peer must be a string "host:port", not {shown(item)}')
        found.append(item)
    return found


class Commands:
    """The commands that answer at once. Increments alone take time: `increment_of` validates one,
    the connection's pipeline starts it in its turn."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.increment = backend.increment

    @staticmethod
    def increment_of(counter: object = COUNTER_DEFAULT, by: object = 1) -> tuple[str, int]:
        return name(counter), amount(by)

    def count(self, counter: object = COUNTER_DEFAULT) -> tuple[str, int]:
        known = name(counter)
        self._caught_up()
        return known, self._backend.count(known)

    def counters(self) -> dict[str, int]:
        self._caught_up()
        return self._backend.counters()

    def counted(self, increment: object, counter: object = None) -> tuple[UUID, bool]:
        uuid = increment_id(increment)
        return uuid, self._backend.counted(uuid, None if counter is None else name(counter))

    def log(self, limit: object = LOG_LIMIT_DEFAULT) -> list[dict[str, object]]:
        return self._backend.log(log_limit(limit))

    def ready(self) -> None:
        """Returns when the node is ready, else raises `Refused` with the reason."""
        reason = self._backend.not_ready()
        if reason is not None:
            raise refusal(503, reason, RETRY_AFTER)

    def peers(self) -> list[str]:
        return self._backend.peers()

    def members(self) -> list[dict[str, object]]:
        return self._backend.members()

    def status(self) -> dict[str, object]:
        return self._backend.status()

    def join(self, peers: object) -> list[str]:
        known = addresses(peers)
        self._backend.join(known)
        return known

    def leave(self) -> None:
        self._backend.leave()

    def forget(self, member: object) -> str:
        known = name(member, "name")
        self._backend.forget(known)
        return known

    def _caught_up(self) -> None:
        """A count that lacks what the others already have would be a wrong answer."""
        reason = self._backend.not_ready()
        if reason is not None:
            raise refusal(503, f"catching up: {reason}", RETRY_AFTER)


def attempt(run: Callable[[], T]) -> T | Refused:
    """Run a command. A fault in the daemon costs one answer, not the connection."""
    try:
        return run()
    except Refused as refused:
        return refused
    except Exception:
        log.exception("a command failed")
        return refusal(500, "the daemon made a mistake; its log has the details")


def outcome(future: asyncio.Future[Incremented]) -> Incremented | Refused:
    """What became of an increment whose future is done."""
    if future.cancelled():
        return refusal(503, "the node is shutting down")
    failure = future.exception()
    if failure is None:
        return future.result()
    if isinstance(failure, Refused):
        return failure
    log.error("an increment failed", exc_info=failure)
    return refusal(500, "the daemon made a mistake; its log has the details")
