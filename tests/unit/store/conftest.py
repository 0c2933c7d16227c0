"""Keys of both kinds, minted as a test begins: one minted at import would expire in a long run."""

from __future__ import annotations

import pytest

from tests.unit.store.keyed import plain_key, timed_key


@pytest.fixture(params=["plain", "timed"])
def key(request: pytest.FixtureRequest) -> bytes:
    """The key of an increment."""
    return plain_key(1) if request.param == "plain" else timed_key(1.0)
