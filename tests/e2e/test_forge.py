"""What the forge forks is a process as any other."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.cluster import Cluster
from tests.e2e.forge import Forge, can_have
from tests.e2e.node import Node, environment, gossipd


@pytest.mark.parametrize(
    "arguments", [("count", "--api", "127.0.0.1:1"), ("nonsense",), ("keygen",)]
)
def test_a_command_says_and_returns_what_it_does_in_an_interpreter_of_its_own(
    forge: Forge, arguments: tuple[str, ...]
) -> None:
    forked = forge.run(arguments, environment(), "", given="", within=60)
    fresh = gossipd(*arguments)
    assert (forked.returncode, forked.stderr) == (fresh.returncode, fresh.stderr)
    assert len(forked.stdout) == len(fresh.stdout)


def test_it_reads_its_input_and_its_environment_alone(node: Node, forge: Forge) -> None:
    variables = environment(GOSSIPD_API=f"{node.api[0]}:{node.api[1]}")
    batch = ("increment", "--batch", "-")
    done = forge.run(batch, variables, "", given='{"by": 5}\n{"by": 2}\n', within=60)
    assert done.returncode == 0, done.stderr
    assert node.count() == 7


def test_its_end_is_told_once_it_has_ended_and_nothing_is_left_of_it(cluster: Cluster) -> None:
    first, second = cluster.start(2)
    assert first.process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        first.process.wait(0.01)
    pid = first.process.pid
    first.kill()
    assert first.process.poll() == -signal.SIGKILL
    assert not Path(f"/proc/{pid}").exists()
    first.send(signal.SIGTERM)  # nobody is there any more
    second.send(signal.SIGTERM)
    assert second.ended() == 0


def test_what_an_interpreter_reads_at_its_start_takes_one() -> None:
    assert can_have({**os.environ, "GOSSIPD_NAME": "n1"})
    assert not can_have({**os.environ, "LD_PRELOAD": "libfaketime.so.1"})
