"""A batch that is committed survives what the store survives; this one survives nothing.

What a store needs is in `Batch`: the rows of the changed registers and the version.
"""

from __future__ import annotations

from typing import Protocol

from gossipd.core import Batch


class Store(Protocol):
    """Commits one batch at a time."""

    async def commit(self, batch: Batch) -> None:
        """Return when the batch is as durable as it gets here. Raises `OSError` if it is not."""


class MemoryStore:
    """Keeps nothing beside what the core holds, and commits at once."""

    async def commit(self, batch: Batch) -> None:
        """Nothing to do."""
