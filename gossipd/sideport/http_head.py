"""The head of a request: its first line and the header fields that are heeded, and what is wrong
with them whatever is asked for.
"""

from __future__ import annotations

from gossipd.sideport import origin
from gossipd.sideport.access import is_basic
from gossipd.sideport.http_answers import Problem
from gossipd.sideport.limits import Limits
from gossipd.sideport.validation import wrong

KEY = b"idempotency-key"
LAST_EVENT = b"last-event-id"
AUTHORIZATION = b"authorization"
KEPT = frozenset(
    {
        b"accept", b"host", b"expect", AUTHORIZATION,
        b"content-encoding", b"content-length", b"transfer-encoding", KEY, LAST_EVENT,
        *origin.FIELDS,
    }
)  # fmt: skip
"""The fields that are heeded."""

FIELD_OVERHEAD = 4
"""The colon, blank and line end that stand around a header field's name and value."""

LINE_OVERHEAD = len(b"UNSUBSCRIBE  HTTP/1.1\r\n\r\n")
"""What stands around the target, with the longest method there is, and the end of a head: so all
of a head is counted, and its limit is the same in however many reads it comes."""


class Head:
    """Of one request."""

    __slots__ = ("cors", "fields", "is_complete", "size", "target", "version")

    def __init__(self) -> None:
        self.target = b""
        self.fields: dict[bytes, list[bytes]] = {}
        """The values of those that are heeded, by their name in small letters."""
        self.size = LINE_OVERHEAD
        """Bytes so far, or a few more; of the trailers, too."""
        self.is_complete = False
        self.version = ""
        self.cors = b""
        """Header fields of the answer to a page of another origin."""

    def field(self, name: bytes) -> bytes | None:
        """The value of a header field, of all its lines together; None where it is not given."""
        given = self.fields.get(name)
        return None if given is None else b", ".join(given)

    def check(self, limits: Limits, has_body: bool, asks: bool) -> None:
        """Raises `Refused` for fields that no call may have. `asks`: tokens are asked for."""
        host = self.field(b"host")
        if host is None:
            if self.version == "1.1":
                raise wrong("malformed HTTP: HTTP/1.1 requires the field Host (RFC 9112, 3.2)")
        elif b"," in host or b" " in host:
            raise wrong("malformed HTTP: Host must name one host")
        if not origin.FIELDS.isdisjoint(self.fields) and origin.is_browser(self.fields):
            # A token that no browser shows by itself; it may be a wrong one.
            shown = self.field(AUTHORIZATION) if asks else None
            shows_bearer = shown is not None and not is_basic(shown)
            self.cors = origin.let_in(self.field, limits, shows_bearer)
        coding = self.field(b"content-encoding")
        if has_body and coding is not None and coding.lower() != b"identity":
            detail = "send the body as it is, without a content coding"
            raise Problem(415, detail, headers=b"Accept-Encoding: identity\r\n")

    def without_upgrade(self, method: bytes, keep: bool) -> bytes:
        """It, as far as it is heeded, to be read once more."""
        fields = {**self.fields, b"connection": [b"keep-alive" if keep else b"close"]}
        lines = [b"%b: %b\r\n" % (name, value) for name in fields for value in fields[name]]
        start = method, self.target, self.version.encode()
        return b"%b %b HTTP/%b\r\n%b\r\n" % (*start, b"".join(lines))
