"""Whether a request comes from a web page, and whether that page may ask.

A browser shows itself by `Origin`, by `Sec-Fetch-…`, or by the name that it gives itself. A page
of another site must not count or make a node leave, so its origin must be the host that was
asked. A name of somebody else's that was rebound to this host's address passes that test, and its
page may even read the answers; therefore a browser may only ask by an address, `localhost` or the
node's own names. Programs, and proxies in front of them, use whatever name they like.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Container, Mapping

FIELDS = frozenset({b"origin", b"user-agent", b"sec-fetch-site", b"sec-fetch-mode"})
"""The header fields that tell."""

_BROWSERS = b"mozilla/"
"""What they all call themselves."""


def is_browser(headers: Mapping[bytes, list[bytes]]) -> bool:
    """`headers`: the values of each field by its name in small letters."""
    fields = headers.keys() & FIELDS
    if fields <= {b"user-agent"}:
        return any(agent.lower().startswith(_BROWSERS) for agent in headers.get(b"user-agent", ()))
    return True


def is_same_host(origin: str, host: str | None) -> bool:
    """Whether a page of that origin asks where it came from."""
    scheme, _, authority = origin.lower().partition("://")
    return scheme in ("http", "https") and host is not None and authority == host.lower()


def is_own(host: str | None, names: Container[str]) -> bool:
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
