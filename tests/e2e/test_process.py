"""What the host does to a process: signals at any moment, and standard streams that fail it."""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from gossipd.cli import gossipd as group
from gossipd.process.signals import ENDING, LEFT_ALONE, TOLD
from tests.deadline import DEADLINE
from tests.e2e.cluster import Cluster
from tests.e2e.forge import Forge
from tests.e2e.node import (
    ROOT,
    Node,
    environment,
    until,
)
from tests.effort import THOROUGH, effort

COMMAND = (sys.executable, "-m", "gossipd")

PENDING = """
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
os.kill(os.getpid(), int(sys.argv[1]))
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Runs a command that gets a signal as early as it can handle it."""

MOMENTS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
"""Seconds after it handles signals; on most machines it serves at the last one."""

BEGUN = """
import os
from gossipd.process import signals
signals.begin(False)
os.write(1, b"!")
from gossipd.process.entry import main
main()
"""

BUSY = """
import sys
from gossipd.daemon.sifting import Sifting
def receive(*_):
    print("busy", file=sys.stderr, flush=True)
    while True:
        pass
Sifting.receive = receive
sys.argv = sys.argv[3:]
from gossipd.process.entry import main
main()
"""
"""Runs a node that does nothing more once a datagram has come."""

FULL = Path("/dev/full")
NO_SPACE = "gossipd: cannot write: No space left on device\n"


def up(node: Node) -> Node:
    until(lambda: node.ready, 20, f"{node.name} is ready")
    return node


def handles_signals(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    (caught,) = (line for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGHUP - 1) & 1)


# --- signals ---------------------------------------------------------------------------------


def test_no_signal_ends_a_node_but_those_that_shall(cluster: Cluster) -> None:
    (node,) = cluster.form([cluster.add()])
    for number in signal.valid_signals() - {*LEFT_ALONE, *ENDING}:
        for process in node.processes:
            os.kill(int(process.name), number)
        assert node.increment() > 0, number
    for number in TOLD:
        line = f'level=info msg="{number.name}: nothing to reopen'
        until(lambda line=line: line in node.log, 10, line)  # type: ignore[misc]


def test_a_node_leaves_and_the_exit_code_says_whether_all_was_well(cluster: Cluster) -> None:
    for number in ENDING:
        node = cluster.add()
        node.start()
        up(node).send(number)
        assert node.ended() == int(number == signal.SIGXCPU)
        lines = node.log.splitlines()
        assert f'level=info msg="{number.name}: leaving"' in lines[-2]
        assert lines[-1].endswith('level=info msg="left"')


def test_a_third_signal_ends_a_node_that_does_nothing_more(cluster: Cluster) -> None:
    node = cluster.add()
    node.prefix = (sys.executable, "-c", BUSY)
    node.start()
    up(node)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"ping", (node.host, node.port))
    until(lambda: "busy" in node.log, 10, "it is busy")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        node.send(number)  # different ones, as two of a kind may come as one; in any order
    assert node.ended() == 1
    assert node.log.splitlines()[-1].endswith(": ended at once")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGTTOU])
def test_signals_before_the_start_do_not_end_a_node(
    cluster: Cluster, number: signal.Signals
) -> None:
    node = cluster.add()
    node.prefix = (sys.executable, "-c", PENDING, str(int(number)))
    node.start()
    assert up(node).increment() == 1
    if number is signal.SIGHUP:
        node.says("reload: read the configuration again")
    elif number in TOLD:
        node.says(f"{number.name}: nothing to reopen")
    else:
        assert number.name not in node.log


@pytest.mark.fresh
def test_a_node_that_is_interrupted_while_it_starts_ends_with_a_line(cluster: Cluster) -> None:
    for moment in MOMENTS:
        node = cluster.add()
        node.start()
        until(lambda node=node: handles_signals(node.process.pid), 20, "it has begun")  # type: ignore[misc]
        time.sleep(moment)
        node.send(signal.SIGINT)
        assert node.ended() == 0, node.log
        # Its writer may come to the last line when the node has ended.
        until(lambda node=node: node.log.endswith("\n"), 10, "something is written")  # type: ignore[misc]
        last = node.log.splitlines()[-1]
        assert last == "gossipd: SIGINT: ended before the node served" or last.endswith('"left"')
    node = cluster.add()
    node.prefix = (sys.executable, "-c", PENDING, str(int(signal.SIGINT)))
    node.start()
    assert node.ended() == 0
    assert node.log == "gossipd: SIGINT: ended before the node served\n"


def test_a_command_that_is_interrupted_ends_with_130_and_a_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        api = f"127.0.0.1:{silent.getsockname()[1]}"
        for moment in MOMENTS[:5]:
            with subprocess.Popen(
                (sys.executable, "-c", BEGUN, "members", "--api", api),
                cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            ) as process:  # fmt: skip
                assert process.stdout is not None
                assert process.stdout.read(1) == b"!"
                time.sleep(moment)
                process.send_signal(signal.SIGINT)
                _, said = process.communicate(timeout=DEADLINE)
            assert process.returncode == 130, said
            assert said.startswith(b"gossipd: interrupted")
            assert said.count(b"\n") == 1


# --- standard streams ------------------------------------------------------------------------


@contextmanager
def unread_node(node: Node) -> Iterator[tuple[int, int]]:
    """Start a node whose stderr is a pipe of one page; its pid, and the end of the pipe that
    nobody reads."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    arguments = ("run", "--bind", node.address, "--name", node.name)
    with subprocess.Popen(
        (*COMMAND, *arguments),
        cwd=ROOT, env=environment(XDG_STATE_HOME=str(node.state_home)), stderr=writer,
    ) as process:  # fmt: skip
        os.close(writer)
        try:
            yield process.pid, reader
            process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()
            os.close(reader)


def test_who_does_not_read_the_log_does_not_stop_the_node(cluster: Cluster) -> None:
    node = cluster.add()
    with unread_node(node) as (pid, reader):
        up(node)
        deadline = time.monotonic() + 60

        def has_lost() -> bool:
            return any("the log has lost" in text for text in node.status()["alarms"])

        while not has_lost():
            assert time.monotonic() < deadline
            for number in (signal.SIGUSR1, signal.SIGUSR2) * 100:  # a line for each that it hears
                os.kill(pid, number)
        assert node.increment() == 1  # it serves; and when somebody reads, it tells
        said = b""
        while b" log lines were dropped: stderr was not read" not in said:
            assert time.monotonic() < deadline
            said += os.read(reader, 65536)
        until(lambda: not has_lost(), 20, "no lines are lost any more")


def test_closed_standard_streams_do_not_stop_a_node(cluster: Cluster) -> None:
    for count in (1, 2, 3) if THOROUGH else (1, 3):
        for closed in itertools.combinations((0, 1, 2), count):
            node = cluster.add()
            closing = " ".join(f"{fd}>&-" for fd in closed)
            node.prefix = ("sh", "-c", f'exec "$@" {closing}', "sh")
            node.start()
            assert up(node).increment() == 1
            files = Path(f"/proc/{node.process.pid}/fd")
            assert all((files / str(fd)).readlink() == Path("/dev/null") for fd in closed)
            node.send(signal.SIGTERM)
            assert node.ended() == 0


def commands(command: click.Command, *path: str) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            found = command.get_command(ctx, name)
            assert found is not None
            yield from commands(found, *path, name)


def shell(script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run lines of shell in which "$@" is the command."""
    return subprocess.run(
        ("bash", "-c", script, "bash", *COMMAND, *arguments),
        cwd=ROOT, env=environment(**variables), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def into_a_full_device(forge: Forge, directory: Path, *arguments: str, **variables: str) -> int:
    """Run a command that cannot write; its exit code. What it says is in the file `said`."""
    with (
        Path(os.devnull).open("rb") as nothing,
        FULL.open("wb") as full,
        (directory / "said").open("wb") as errors,
    ):
        streams = nothing, full, errors
        return forge.start(arguments, environment(**variables), streams).wait(DEADLINE)


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
def test_help_that_cannot_be_written_is_told_by_every_command(
    tmp_path: Path, forge: Forge
) -> None:
    for path in commands(group):
        assert into_a_full_device(forge, tmp_path, *path, "--help") == 1, path
        assert (tmp_path / "said").read_text() == NO_SPACE, path


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
def test_answers_that_cannot_be_written_are_told(
    cluster: Cluster, forge: Forge, tmp_path: Path
) -> None:
    (node,) = cluster.form([cluster.add()])
    node.increment("\u540d\xe9")
    api = f"{node.api[0]}:{node.api[1]}"
    asked = (("count",), ("counters",), ("members", "--json"), ("status",), ("log",))
    commands = *asked, ("data", "export", str(node.data_directory))
    for command in commands:
        assert into_a_full_device(forge, tmp_path, *command, GOSSIPD_API=api) == 1, command
        assert (tmp_path / "said").read_text() == NO_SPACE, command
    done = shell('"$@" >/dev/full', "count", GOSSIPD_API=api)
    assert (done.returncode, done.stderr) == (1, NO_SPACE)
    for command in commands[-effort(2, len(commands)) :]:
        done = shell('"$@" >&-', *command, GOSSIPD_API=api)
        assert done.returncode == 1, command
        assert done.stderr == "gossipd: cannot write: Bad file descriptor\n", command
        done = shell('"$@" <&- >&- 2>&-', *command, GOSSIPD_API=api)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", ""), command
        done = shell('"$@" 2>&-', *command, GOSSIPD_API=api)
        assert done.returncode == 0, command
    for variables in (
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ):
        done = shell('"$@"', "counters", GOSSIPD_API=api, **variables)
        assert (done.returncode, done.stdout) == (0, "\\u540d\\u00e9\t1\n"), done.stderr


def test_stdin_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    done = shell('"$@" <&-', "data", "import", str(tmp_path / "data"))
    assert done.returncode == 1
    assert done.stderr == "gossipd: cannot read stdin: Bad file descriptor\n"


def test_a_reader_that_has_seen_enough_ends_a_command_quietly(cluster: Cluster) -> None:
    (node,) = cluster.form([cluster.add()])
    lines = "".join(f'{{"counter": "{number:0100}"}}\n' for number in range(2000))
    api = f"{node.api[0]}:{node.api[1]}"
    sent = node.cli("increment", "--batch", "-", given=lines)
    assert sent.returncode == 0, sent.stderr
    export = ("data", "export", str(node.data_directory))
    for command in ("counters",), ("counters", "--json"), export:
        done = shell('"$@" | head -c 10; exit "${PIPESTATUS[0]}"', *command, GOSSIPD_API=api)
        assert (done.returncode, done.stderr, len(done.stdout)) == (141, "", 10), command
