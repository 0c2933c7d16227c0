"""The servers that `tests.bench.speed` measures beside each other, each started by it.

What they keep is in directories beside each other, on one disk.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from tests.bench.loaders import PATIENCE, Address
from tests.e2e.cluster import Cluster
from tests.e2e.node import ROOT, Node, cpu_of, end_by_unwinding, until, with_children
from tests.e2e.ports import Net, found_port


class Server:
    """One that runs."""

    def __init__(self, address: Address, pid: int) -> None:
        self.address = address
        self._pid = pid

    @property
    def cpu(self) -> float:
        """Seconds of CPU that it and its children have used."""
        return cpu_of(with_children(self._pid))

    def total(self) -> int | None:
        """The sum of all counts; None where nobody asks."""
        return None


class Gossipd(Server):
    def __init__(self, node: Node) -> None:
        super().__init__(node.api, node.process.pid)
        self._node = node

    def total(self) -> int:
        return sum(self._node.get("/counters").values())


@contextmanager
def gossipd(
    directory: Path, durable: bool, peers: int = 0, checkout: Path = ROOT
) -> Iterator[Server]:
    """One node as it is by default, or `--in-memory`, of a cluster with so many others."""
    with Cluster(directory) as cluster:
        try:
            nodes = [cluster.add() for _ in range(1 + peers)]
            for node in nodes:
                node.checkout = checkout
            (first, *_) = cluster.form(nodes, *(() if durable else ("--in-memory",)))
            yield Gossipd(first)
            if mishaps := cluster.mishaps():
                raise AssertionError(f"mishaps in the logs: {mishaps}")
        except BaseException:
            cluster.show()
            raise


@contextmanager
def redis(directory: Path, durable: bool) -> Iterator[Server]:
    """`redis-server` that keeps nothing, or syncs every turn of its loop (`appendfsync always`);
    its log is never rewritten meanwhile."""
    with _address() as address:
        host, port = address
        command = ["redis-server", "--bind", host, "--port", str(port), "--dir", str(directory)]
        command += ["--save", "", "--auto-aof-rewrite-percentage", "0"]
        command += ["--appendonly", "yes" if durable else "no", "--appendfsync", "always"]
        with _process(command, directory, address) as pid:
            yield Server(address, pid)


@contextmanager
def bare(directory: Path, durable: bool) -> Iterator[Server]:
    """The least that Python can be: see `tests.bench.bare`."""
    with _address() as address:
        host, port = address
        command = [sys.executable, "-m", "tests.bench.bare", f"{host}:{port}"]
        command += [str(directory)] if durable else []
        with _process(command, directory, address) as pid:
            yield Server(address, pid)


def start(
    name: str, directory: Path, durable: bool, checkout: Path = ROOT
) -> AbstractContextManager[Server]:
    """One of `gossipd`, `beside` (the same of another checkout), `crowd` (a node with four peers),
    `redis` and `bare`."""
    directory.mkdir()
    if name == "beside":
        return gossipd(directory, durable, checkout=checkout)
    if name == "crowd":
        return gossipd(directory, durable, peers=4)
    return {"gossipd": gossipd, "redis": redis, "bare": bare}[name](directory, durable)


@contextmanager
def _address() -> Iterator[Address]:
    """Nobody else's."""
    with closing(Net()) as net:
        yield net.address(1), found_port() + 1


@contextmanager
def _process(command: Sequence[str], directory: Path, address: Address) -> Iterator[int]:
    """A process that accepts connections; it ends with the block."""
    log = directory / "log"
    end_by_unwinding()
    with log.open("wb") as said:
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)
    try:
        until(lambda: _accepts(address), PATIENCE, f"{command[0]} accepts connections")
        yield process.pid
    except BaseException:
        print(log.read_text(errors="replace")[-2000:])
        raise
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def _accepts(address: Address) -> bool:
    socket.create_connection(address, PATIENCE).close()
    return True
