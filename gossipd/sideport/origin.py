"""Whether a request may come from a web page.

A browser sends `Origin` with whatever may change something. A page of another site must not
count or make a node leave, so its origin must be the host that was asked. A name that was rebound
to a local address passes that test, therefore a page may only ask by an address or `localhost`.
Programs send no `Origin` and are not concerned.
"""

from __future__ import annotations

import ipaddress


def is_same_host(origin: str, host: str | None) -> bool:
    scheme, _, authority = origin.lower().partition("://")
    if scheme not in ("http", "https") or host is None:
        return False
    return authority == host.lower() and _is_local_or_literal(authority)


def _is_local_or_literal(authority: str) -> bool:
    opening, closing = ("[", "]") if authority.startswith("[") else ("", ":")
    name = authority.removeprefix(opening).partition(closing)[0]
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
