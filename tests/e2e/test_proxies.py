"""Increments through a proxy that answers for the node: each counts once, or its key is named."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import Cluster
from tests.e2e.command import Command
from tests.e2e.node import Node, until
from tests.e2e.proxies import (
    PROGRAMS,
    Between,
    Fate,
    Proxy,
    why_none,
)

ALWAYS = 1000
"""Requests: more than any of these tests makes."""

LINES = '{"counter": "a"}\n{"counter": "b", "by": 2}\n{"counter": "a", "by": 3}\n'


@pytest.fixture
def between(cluster: Cluster, node: Node) -> Iterator[Between]:
    with Between(cluster.address(), node) as made:
        yield made


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if why_none(name):
        pytest.skip(why_none(name))
    return name


@pytest.fixture
def proxy(program: str, cluster: Cluster, between: Between, tmp_path: Path) -> Iterator[Proxy]:
    with Proxy(program, cluster.address(), between.address, tmp_path) as made:
        yield made


def key_in(told: str) -> str:
    """The one that the user is told to repeat it with."""
    found = re.search(r"in case it was counted all the same, repeat it with --key (\S+)$", told)
    assert found, told
    return found[1]


def test_what_a_proxy_answers_is_tried_again_and_counts_once(
    proxy: Proxy, between: Between, node: Node
) -> None:
    between.fates = list(Fate)
    done = proxy.cli("increment", "visits", "--by", "5")
    assert (done.returncode, done.stdout) == (0, "5\n"), done.stderr
    assert between.fates == []
    assert f"{proxy.address}: does not answer like gossipd (HTTP 502); trying again" in done.stderr
    assert node.get("/counters") == {"visits": 5}


@pytest.mark.parametrize(
    ("fate", "status"),
    [
        (Fate.COUNTED_AND_BROKEN, 502),
        (Fate.COUNTED_AND_SILENT, 504),
        (Fate.BROKEN, 502),
        (Fate.SILENT, 504),
    ],
)
def test_when_the_time_is_over_the_key_is_named_under_which_it_counts_once(
    proxy: Proxy, between: Between, node: Node, fate: Fate, status: int
) -> None:
    between.fates = [fate] * ALWAYS
    done = proxy.cli("increment", "--timeout", "0")
    assert (done.returncode, done.stdout) == (1, "")
    told = done.stderr.splitlines()[-1]
    assert f"{proxy.address} does not answer like gossipd (HTTP {status})" in told
    between.fates = []
    again = proxy.cli("increment", "--key", key_in(told))
    assert (again.returncode, again.stdout) == (0, "1\n"), again.stderr
    assert node.count() == 1


@pytest.mark.parametrize("fate", [Fate.COUNTED_AND_SILENT, Fate.BROKEN])
def test_who_interrupts_it_is_told_the_key(
    proxy: Proxy, between: Between, node: Node, tmp_path: Path, fate: Fate
) -> None:
    between.fates = [fate] * ALWAYS
    with Command(proxy.address, tmp_path) as command:
        until(lambda: command.says("trying again"), 20, "it is tried again")
        command.interrupt()
        assert command.ended() == (128 + signal.SIGINT, "")
    between.fates = []
    assert proxy.cli("increment", "--key", key_in(command.told[-1])).stdout == "1\n"
    assert node.count() == 1


def test_a_node_that_is_gone_and_comes_back_counts_once(
    program: str, cluster: Cluster, node: Node, tmp_path: Path
) -> None:
    with Proxy(program, cluster.address(), node.api, tmp_path) as proxy:
        assert proxy.cli("increment").stdout == "1\n"
        node.kill()
        lines = tmp_path / "lines"
        lines.write_text(LINES)
        ways: tuple[tuple[str, ...], ...] = (("--by", "2"), ("--batch", str(lines)))
        for way, said in zip(ways, ("3\n", "3\n"), strict=True):
            with Command(proxy.address, tmp_path, *way) as command:
                until(lambda: command.says("trying again"), 20, "it is tried again")
                assert "does not answer like gossipd (HTTP 50" in command.told[0]
                node.start()
                assert command.ended() == (0, said), command.told
            node.kill()
        node.start()
        until(lambda: node.ready, 20, "it is ready")
        assert proxy.cli("counters").stdout == "a\t4\nb\t2\ndefault\t3\n"


def test_batches_count_once(proxy: Proxy, between: Between, node: Node, tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_text(LINES)
    between.fates = list(Fate)
    done = proxy.cli("increment", "--batch", str(lines))
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
    assert between.fates == []
    assert node.get("/counters") == {"a": 4, "b": 2}


@pytest.mark.parametrize("interrupted", [True, False])
def test_what_is_certain_of_a_batch_is_told_where_it_ends(
    proxy: Proxy, between: Between, node: Node, tmp_path: Path, interrupted: bool
) -> None:
    lines = tmp_path / "lines"
    lines.write_text(LINES)
    between.fates = [Fate.COUNTED_AND_BROKEN] * ALWAYS
    timeout = "30s" if interrupted else "0"
    with Command(proxy.address, tmp_path, "--batch", str(lines), "--timeout", timeout) as command:
        if interrupted:
            until(lambda: command.says("trying again"), 20, "it is tried again")
            command.interrupt()
        assert command.ended() == (128 + signal.SIGINT if interrupted else 1, "0\n")
    assert command.told[-1].endswith(
        "no line is certain, some up to line 3 may have been counted; "
        "only lines with keys of their own can be repeated safely"
    )
    assert node.get("/counters") == {"a": 4, "b": 2}
