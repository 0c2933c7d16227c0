"""Following a daemon for as long as the command runs: a connection that ends is begun again, where
it was, with whichever daemon answers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from gossipd.cli.daemons import PAUSE_MIN, Daemons
from gossipd.cli.failure import say
from gossipd.client import NUMBER_OR_NONE, Answer, AskingError, UnresolvedError
from gossipd.client.stream import Event, Stream

BACK_MAX = 2.0
"""Seconds between two tries to come back at most: nobody wants to miss more than he has to."""

QUIET = 60.0
"""Seconds without an event after which nothing is done about it."""

FORGOTTEN = "forgotten"
"""The state of a member that is listed no more."""

UPDATE = "update"

LISTED = ("present", "ready")
"""The kinds of events behind which all members may have been told."""


BEGINS = Event("begins", {})
"""A connection has begun: all members are told again."""


class Follower:
    """What a daemon tells, over however many connections."""

    def __init__(self, daemons: Daemons, query: Sequence[tuple[str, str]]) -> None:
        self._daemons = daemons
        self._query = query
        self._last = ""
        self.api = ""
        """Who tells."""

    def events(self, wait: float = QUIET) -> Iterator[Event | None]:
        """Each event, with `BEGINS` before those of each connection; None where nothing came for
        `wait` seconds. Raises `AskingError` where there is nobody to begin with, or who answers
        refuses."""
        stream = self._daemons.ask(self._begin)
        while True:
            yield BEGINS
            try:
                while True:
                    told = stream.events(wait)
                    yield from told
                    if not told:
                        yield None
            except AskingError as error:
                if not error.passing:
                    raise
                say(f"{error}; coming back when somebody answers")
            finally:
                self._last = stream.last
                stream.close()
            stream = self._begin_again()
            say(f"{stream.api} answers again")

    def _begin_again(self) -> Stream:
        pause = PAUSE_MIN
        while True:
            time.sleep(pause)
            try:
                return self._daemons.ask(self._begin)
            except AskingError as error:
                if not (error.passing or isinstance(error, UnresolvedError)):
                    raise
            pause = min(2 * pause, BACK_MAX)

    def _begin(self, client: Any) -> Stream:
        stream = Stream(client, "/events", self._query, self._last)
        self.api = str(stream.api)
        return stream


class Change(NamedTuple):
    """A member is something else than before."""

    kind: str
    """Its state, or `UPDATE` where that is what it was."""

    row: dict[str, Any]
    before: str
    """Its state before; empty where it was not known."""

    first: bool
    """It was so when the command began."""


class Members:
    """What is known of the members, from the events of however many connections."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self._told: set[str] = set()
        self._first = True

    def take(self, event: Event) -> list[Change]:
        """What an event changes. Who is not told of when a connection begins is there no more, as
        soon as the daemon is ready: one that has just started may not know him yet."""
        if event is BEGINS:
            self._told.clear()
        if event.kind in LISTED:
            self._first = False
            unknown = self.rows.keys() - self._told if event.data.get("ready", True) else ()
            return [self._put({"name": name, "state": FORGOTTEN}) for name in sorted(unknown)]
        if event.kind != "member":
            return []
        row = member(event)
        self._told.add(row["name"])
        before = self.rows.get(row["name"])
        if row["state"] == FORGOTTEN and before is None:
            return []
        if before is not None and _what(before) == _what(row):
            self.rows[row["name"]] = row
            return []
        return [self._put(row)]

    def _put(self, row: dict[str, Any]) -> Change:
        name, state = row["name"], row["state"]
        before = self.rows.pop(name, {})
        if state == FORGOTTEN:
            row = {**before, **row}
        else:
            self.rows[name] = row
        kind = UPDATE if before.get("state") == state else state
        return Change(kind, row, before.get("state", ""), self._first)


def member(event: Event) -> dict[str, Any]:
    """The row of a member; raises `StrangerError` where it is none."""
    found = Answer("", event.data)
    row = found.fields(name=str, state=str)
    if row["state"] != FORGOTTEN:
        found.fields(address=str, since=NUMBER_OR_NONE, rtt_ms=NUMBER_OR_NONE, tags=dict)
    return row


def _what(row: dict[str, Any]) -> tuple[object, ...]:
    """Of a member what others act on."""
    return tuple(row.get(name) for name in ("state", "address", "generation", "tags"))
