"""What a browser makes of a stream of events, as the standard has it (HTML, 9.2.6), and what a
counter is to one who follows it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple


class Event(NamedTuple):
    kind: str
    data: Any
    id: str
    """The last event ID when it was dispatched."""


class Interpreter:
    """Bytes of a stream, to events."""

    def __init__(self, last_event_id: str = "") -> None:
        self.retry: int | None = None
        self.last_event_id = last_event_id
        self.comments = 0
        self._id = last_event_id
        self._rest = b""
        self._kind = ""
        self._data: list[str] = []

    def feed(self, data: bytes) -> list[Event]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [event for line in lines if (event := self._take(line.decode())) is not None]

    def _take(self, line: str) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "":
                self.comments += 1
            case "event":
                self._kind = value
            case "data":
                self._data.append(value)
            case "id":
                self._id = value
            case "retry":
                self.retry = int(value)
        return None

    def _dispatch(self) -> Event | None:
        self.last_event_id = self._id
        kind, data = self._kind or "message", "\n".join(self._data)
        self._kind, self._data = "", []
        return Event(kind, json.loads(data), self.last_event_id) if data else None


class Books:
    """Counts and members as one knows them who follows the events of a node. Raises
    `AssertionError` where an event does not follow from those before."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.members: dict[str, str] = {}
        self.ids: list[str] = []
        """Those of the increments, in order."""
        self.kinds: list[str] = []

    def take(self, event: Event) -> None:
        self.kinds.append(event.kind)
        match event.kind:
            case "counts":
                self.counts.update(event.data)
            case "increment":
                counter, by = event.data["counter"], event.data["by"]
                self.counts[counter] = self.counts.get(counter, 0) + by
                assert self.counts[counter] == event.data["count"], event
                self.ids.append(event.data["id"])
            case "member":
                self.members[event.data["name"]] = event.data["state"]
                if event.data["state"] == "forgotten":
                    del self.members[event.data["name"]]
