"""Where batches are committed."""

from __future__ import annotations

from gossipd.store import MemoryStore
from tests.commits import prepared
from tests.unit.pair import Pair


def test_memory_commits_at_once() -> None:
    batch = prepared(Pair().node, [("default", 1)], 1e9, 1e9)
    assert MemoryStore().commit(batch) is None
    assert batch.rows == (("default", 1, 1),)
