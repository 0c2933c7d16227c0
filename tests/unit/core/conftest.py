"""These tests show that all branches of the core are covered, as few as do so under the tracing of
coverage, which makes them twice to thrice as slow."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def traced(request: pytest.FixtureRequest) -> Iterator[None]:
    """The mark `untraced` is for a test with long loops that reaches nothing which others do
    not."""
    trace = sys.gettrace()
    if request.node.get_closest_marker("untraced"):
        sys.settrace(None)
    yield
    sys.settrace(trace)
