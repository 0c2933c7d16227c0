"""What is read again while a node runs."""

from __future__ import annotations

import asyncio

import pytest

from gossipd.daemon.rereading import Reading
from gossipd.daemon.troubles import Troubles


@pytest.mark.parametrize("error", [ValueError("f: no"), RuntimeError("what nobody expected")])
async def test_whatever_is_wrong_with_a_file_is_an_outcome(error: Exception) -> None:
    """Else the node would wait for one for ever, and never read it again."""

    def read() -> None:
        raise error

    found, ended = list[object](), asyncio.Event()
    reading = Reading("x", "f", read, found.append, 9.0, Troubles(), ended.set)
    reading.begin()
    reading.begin()  # once more behind
    await asyncio.wait_for(ended.wait(), 10)
    assert found == [error, error]
    assert not reading.is_under_way
