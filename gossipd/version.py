"""Which gossipd this is: the release, and a digest of the files that it consists of.

The release alone says little: nodes are installed from checkouts, and two of them may differ while
both call themselves alike. A node asks when it starts, as its files may be replaced while it runs.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from pathlib import Path

from gossipd import __version__

_ROOT = Path(__file__).parent

_KINDS = {".py", ".html", ".css", ".js"}

REPLACED = "restart this node, if files of it were replaced while it ran"
"""What to do where something cannot be loaded that was left for when it is needed."""

DIGITS = 8
"""Of the digest. An answer of the gossip port has room for no more than some twenty bytes."""


@cache
def full_version() -> str:
    """As `0.1.0+3f9a2c1d`; equal on two hosts where the same files are installed."""
    return f"{__version__}+{_digest(_ROOT)[:DIGITS]}"


def _digest(root: Path) -> str:
    """Of names and contents."""
    whole = sha256()
    for path in sorted(root.rglob("*")):
        if path.suffix in _KINDS and path.is_file():
            content = path.read_bytes()
            whole.update(b"%s\0%d\0" % (str(path.relative_to(root)).encode(), len(content)))
            whole.update(content)
    return whole.hexdigest()
