"""Server-Sent Events: what changes, as browsers' `EventSource` and `curl -N` read it.

The id of an event is where to go on behind it (`Last-Event-ID`). It stands with every event behind
which that is known, and with each heartbeat, which is no event to a browser: so who asked for
little, and is told little, still knows a place that is not long ago. With counts that are not all
there is none to go on from: the one that a client brought, perhaps from another node, is taken
away, for what would follow on it has been added to these already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gossipd.sideport.http_answers import EVENTS, Framing, encode, stream_head, with_text
from gossipd.sideport.rings import Event

RETRY = 1000
"""Milliseconds after which a browser comes back when the connection has ended."""


LATER = 10_000
"""The same of one that was turned away, as there are too many."""


def reads_nothing_else(accept: bytes | None) -> bool:
    """Whether a client reads events only, as `EventSource` does: one that gets any other answer
    does not come back."""
    kinds = [kind.partition(b";")[0].strip().lower() for kind in (accept or b"").split(b",")]
    return set(kinds) == {EVENTS}


class ServerSentEvents:
    """An `Encoding` of events."""

    def __init__(self, framing: Framing, text: bool, id_of: Callable[[int], str]) -> None:
        """`text`: counts are strings."""
        self._chunked = framing.chunked
        self._text = text
        self._form = "sse", text
        self._id_of = id_of
        self.head = stream_head(framing) + self._framed(f"retry: {RETRY}\n\n".encode())

    def piece(self, events: Iterable[Event]) -> bytes:
        return self._framed(b"".join([self._told(event) for event in events]))

    def last(self, event: Event) -> bytes:
        return self.piece((event,)) + (b"0\r\n\r\n" if self._chunked else b"")

    def turned_away(self, reason: str) -> bytes:
        """All of an answer that says so, and after which the client comes back."""
        later = self._framed(b"retry: %d\n\n" % LATER)
        return self.head + later + self.last(Event("end", "", lambda: {"reason": reason}))

    def _told(self, event: Event) -> bytes:
        form = event.forms.get(self._form)
        if form is None:
            form = event.forms[self._form] = self._formed(event)
        return form

    def _formed(self, event: Event) -> bytes:
        number = event.number
        if number is not None:
            place = b"id: %b\n" % self._id_of(number).encode()
        else:
            place = b"id\n" if event.kind == "counts" else b""
        if event.kind == "heartbeat":
            return b": heartbeat\n%b\n" % place
        data = event.data()
        if self._text:
            as_text = {name: str(count) for name, count in data.items()}
            data = as_text if event.kind == "counts" else with_text(data)
        return b"event: %b\n%bdata: %b\n" % (event.kind.encode(), place, encode(data))

    def _framed(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data
