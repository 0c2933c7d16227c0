"""Where batches are committed."""

from __future__ import annotations

from gossipd.store import MemoryStore
from tests.unit.pair import Pair


async def test_memory_commits_at_once() -> None:
    batch = Pair().node.prepare([("default", 1)], 1e9, 1e9)
    await MemoryStore().commit(batch)
    assert batch.rows == (("default", 1, 1),)
