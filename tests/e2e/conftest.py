"""A cluster per test: its logs are shown when the test fails, and checked when it does not."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import Cluster
from tests.e2e.forge import Forge
from tests.e2e.node import Node, until
from tests.fuzz.attacks import sideport


@pytest.fixture(scope="session")
def forge() -> Iterator[Forge]:
    with Forge() as made:
        yield made


@pytest.fixture
def cluster(tmp_path: Path, forge: Forge, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Without nodes yet. Those of tests with the mark `fresh` are interpreters of their own."""
    is_fresh = request.node.get_closest_marker("fresh") is not None
    with Cluster(tmp_path, forge=None if is_fresh else forge) as made:
        yield made
    made.show()
    assert made.mishaps() == []


@pytest.fixture
def node(cluster: Cluster) -> Node:
    """One that serves."""
    node = cluster.add()
    node.start()
    until(lambda: node.ready, 20, "it is ready")
    return node


@pytest.fixture
def many_files() -> Iterator[None]:
    """This process may open some thousands."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = sideport.FILES
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"needs {wanted} file descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
