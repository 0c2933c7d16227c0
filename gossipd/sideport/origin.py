"""Whether a request comes from a web page, and whether that page may ask.

A browser shows itself by `Origin`, by `Sec-Fetch-…`, by what no program says, or by the name that
it gives itself (in some a page may change that, but for no other of these). A page of another site
must not count or make a node leave, so its origin must be the host that was asked. A name of
somebody else's that was rebound to this host's address passes that test, and its page may even
read the answers; therefore a browser may only ask by an address, `localhost` or the node's own
names. Programs, and proxies in front of them, use whatever name they like.

Pages of some origins may be let in (CORS). Such a page is who it says, whatever name it asks by.
It has to show a token as a program does (`Bearer`): what a browser shows by itself (`Basic`) is
the visitor's, and not the page's to use.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Container, Mapping

from gossipd.sideport.accepting import weights
from gossipd.sideport.http_answers import Problem
from gossipd.sideport.limits import Limits
from gossipd.sideport.validation import shown

FIELDS = frozenset(
    {
        b"origin",
        b"user-agent",
        b"sec-fetch-site",
        b"sec-fetch-mode",
        b"accept-language",
        b"referer",
    }
)
"""The header fields that tell."""

ANY = "*"
"""Stands for all origins."""

_ELSEWHERE = (b"cross-site", b"same-site")

VARIES = b"Vary: Origin\r\n"

_REMEMBERED = 600
"""Seconds for which a browser need not ask again what a page may do."""

_OPENED = frozenset({"text/html", "*/*"})
"""What a browser takes for a page that is opened."""

_BROWSERS = b"mozilla/"
"""What they all call themselves."""


def is_browser(headers: Mapping[bytes, list[bytes]]) -> bool:
    """`headers`: the values of each field by its name in small letters."""
    fields = headers.keys() & FIELDS
    if fields <= {b"user-agent"}:
        return any(agent.lower().startswith(_BROWSERS) for agent in headers.get(b"user-agent", ()))
    return True


def is_script(headers: Mapping[bytes, list[bytes]]) -> bool:
    """Whether it is one in a browser that asks, and not a visitor who opens an address."""
    accept = b",".join(headers.get(b"accept", (b"*/*",))).decode("latin-1")
    return is_browser(headers) and _OPENED.isdisjoint(weights(accept))


def let_in(field: Callable[[bytes], bytes | None], limits: Limits, shows_bearer: bool) -> bytes:
    """What the answer to a browser has to say beside all else. Raises `Problem` where a page asks
    that may not. `field`: the value of a header field by its name in small letters;
    `shows_bearer`: whether a token is shown that no browser shows by itself."""
    page, host = (_text(field(name)) for name in (b"origin", b"host"))
    if page is not None and not _is_same_host(page, host):
        if limits.origins.isdisjoint((page.lower(), ANY)):
            raise Problem(403, "pages of other sites may not use this port", headers=VARIES)
        return _cors(page)
    if page is None and _is_embedded(field(b"sec-fetch-site"), field(b"sec-fetch-mode")):
        raise Problem(403, "pages of other sites may not embed what is here")
    # No page has such a token by having a name bound to this address.
    if not shows_bearer and not _is_own(host, limits.names):
        detail = "a browser may only ask by an address, localhost or the node's own name"
        raise Problem(403, f"{detail}, not {shown(host)}")
    return b""


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _is_same_host(origin: str, host: str | None) -> bool:
    """Whether a page of that origin asks where it came from."""
    scheme, _, authority = origin.lower().partition("://")
    return scheme in ("http", "https") and host is not None and authority == host.lower()


def _is_embedded(site: bytes | None, mode: bytes | None) -> bool:
    """Whether a page of another origin asks for something for itself, as an image or a script,
    rather than a visitor who follows its link. `site`, `mode`: the fields `Sec-Fetch-…`."""
    return site in _ELSEWHERE and mode != b"navigate"


def _cors(page: str) -> bytes:
    """The header fields of an answer that a page of another origin may read."""
    fields = (
        f"Access-Control-Allow-Origin: {page}\r\n"
        "Access-Control-Expose-Headers: Date, Retry-After\r\n"
    )
    return fields.encode("latin-1") + VARIES


def preflight(allow: str) -> bytes:
    """What such a page is told of a path with these methods before it asks for anything."""
    return (
        f"Access-Control-Allow-Methods: {allow}\r\n"
        "Access-Control-Allow-Headers: authorization, content-type, idempotency-key, "
        "last-event-id\r\n"
        f"Access-Control-Max-Age: {_REMEMBERED}\r\n"
    ).encode()


def _is_own(host: str | None, names: Container[str]) -> bool:
    """Whether no other site can be behind the `Host` that was asked. `names`: the node's own, in
    small letters."""
    if host is None:
        return False
    opening, closing = ("[", "]") if host.startswith("[") else ("", ":")
    name = host.lower().removeprefix(opening).partition(closing)[0].removesuffix(".")
    if name == "localhost" or name.endswith(".localhost") or name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
