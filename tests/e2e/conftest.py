"""A cluster per test: its logs are shown when the test fails, and checked when it does not."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import Cluster
from tests.e2e.node import Node, until
from tests.fuzz.attacks import sideport


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(tmp_path) as made:
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
