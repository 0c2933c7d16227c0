"""The page that a browser gets for `GET /`: one file without any request to others.

`page.html` holds its words, `page.css` its looks, and the scripts what it does; they are put
together when a browser asks first. Its Content-Security-Policy allows that style and that script
by their hashes and nothing else, so that no name that somebody gave to a counter or a node could
ever run as code. What it shows it asks of the calls that everybody has.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from gossipd.sideport.accepting import weights
from gossipd.sideport.http_answers import VARIES, Document

SCRIPTS = ("text.js", "asking.js", "following.js", "members.js", "counters.js", "node.js")
"""In this order, as one module."""

HTML = b"text/html; charset=utf-8"

_HERE = Path(__file__).parent


@cache
def page() -> Document:
    """The page; the same for every node and every browser."""
    style = _read("page.css")
    script = "".join(map(_read, SCRIPTS))
    body = _read("page.html").replace("{{style}}", style).replace("{{script}}", script)
    policy = (
        "default-src 'none'",
        f"script-src '{_hash(script)}'",
        f"style-src '{_hash(style)}'",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    headers = {
        "Content-Security-Policy": "; ".join(policy),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return Document(HTML, body.encode(), VARIES + lines.encode())


def is_preferred(accept: str) -> bool:
    """Whether a client would rather have HTML than plain text; one that takes all alike, as curl
    does, would not."""
    wanted = weights(accept)
    html, plain = (
        next((wanted[each] for each in (kind, "text/*", "*/*") if each in wanted), 0.0)
        for kind in ("text/html", "text/plain")
    )
    return html > plain


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
