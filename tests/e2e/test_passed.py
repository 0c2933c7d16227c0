"""Sockets that somebody else has opened for a node; over a restart: `test_systemd`."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from tests.e2e.cluster import Cluster
from tests.e2e.node import Node, until

ACTIVATE = shutil.which("systemd-socket-activate")

pytestmark = pytest.mark.skipif(ACTIVATE is None, reason="passing sockets needs systemd")


def activated(node: Node, *sockets: str) -> None:
    """The node's process is to be started by what comes to these sockets."""
    variables = (
        "PYTHONDONTWRITEBYTECODE",
        "GOSSIPD_RUN_ALONE_AFTER",
        "XDG_STATE_HOME",
        "PYTHONPATH",
    )
    kept = (f"--setenv={name}" for name in variables)
    listened = (f"--listen={where}" for where in sockets)
    node.prefix = (str(ACTIVATE), *listened, *kept)


def listening(address: tuple[str, int]) -> str:
    """The inode of who listens there."""
    packed = "".join(f"{int(part):02X}" for part in reversed(address[0].split(".")))
    where = f"{packed}:{address[1]:04X}"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines())
    return next((row[9] for row in rows if row[1] == where and row[3] == "0A"), "")


def has(process: Path, inode: str) -> bool:
    return any(fd.readlink().name == f"socket:[{inode}]" for fd in (process / "fd").iterdir())


def test_a_passed_socket_is_used_and_not_given_on(cluster: Cluster) -> None:
    node = cluster.add()
    activated(node, f"{node.api[0]}:{node.api[1]}")
    node.start()
    until(lambda: listening(node.api), 10, "somebody listens")
    inode = listening(node.api)
    node.says("Listening on")
    assert "serves" not in node.log
    assert node.increment() == 1  # which starts it, and waits for it
    assert listening(node.api) == inode
    own, *others = node.processes
    assert has(own, inode)
    assert others
    assert not any(has(other, inode) for other in others)
    environment = (own / "environ").read_bytes()
    assert b"LISTEN_FDS=1" in environment


def test_a_passed_unix_socket_stands_beside_what_the_node_opens_itself(
    cluster: Cluster, tmp_path: Path
) -> None:
    node, path = cluster.add(), tmp_path / "api.sock"
    activated(node, str(path))
    node.start("--api", f"unix:{path}", "--api", f"{node.api[0]}:{node.api[1]}")
    until(path.exists, 10, "somebody listens")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(path))
        client.sendall(b"increment\n")
        assert client.recv(100) == b"1\n"
    assert node.count() == 1
    node.process.terminate()
    assert node.ended() == 0
    assert path.exists()


def test_a_socket_that_is_not_that_of_the_options_is_refused(cluster: Cluster) -> None:
    node = cluster.add()
    other = cluster.address(), node.api[1] + 1
    activated(node, f"{node.host}:{other[1]}")
    node.start()
    until(lambda: listening((node.host, other[1])), 10, "somebody listens")
    socket.create_connection((node.host, other[1])).close()
    assert node.ended() == 1
    given, wanted = f"{node.host}:{other[1]}", f"{node.host}:{node.api[1]}"
    assert (
        f"gossipd: cannot bind the API port {wanted}: systemd passes a socket at {given} "
        f"(ListenStream), but --api is {wanted}: make them equal\n"
    ) in node.log
