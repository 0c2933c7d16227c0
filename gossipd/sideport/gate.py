"""Waiting for something that goes on though who waits is cancelled.

`asyncio.wait` would do, but from Python 3.14 on what it leaves when cancelled is a cycle, which
stays until Python's collector finds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


def gate() -> tuple[asyncio.Future[None], Callable[..., None]]:
    """What one waits for, and what opens it, as often and as late as anybody likes."""
    opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def open_it(*_: object) -> None:
        if not opened.done():
            opened.set_result(None)

    return opened, open_it
