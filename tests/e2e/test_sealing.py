"""Nodes with secrets: who has none of them is kept out, and both sides say so."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gossipd.sealing.keyring import Secret
from tests.e2e.cluster import Cluster, agree, counted, live
from tests.e2e.node import Node, gossipd, until


def keyring(directory: Path, *secrets: Secret) -> str:
    """A file of these secrets."""
    path = directory / f"keyring{len(list(directory.glob('keyring*')))}"
    path.touch(0o600)
    path.write_text("".join(f"{secret.text}\n" for secret in secrets))
    return str(path)


def plain_answer(node: Node, question: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect((node.host, node.port))
        sock.send(question)
        return sock.recv(2000)


def test_nodes_with_a_secret_count_together_and_all_others_are_kept_out(
    cluster: Cluster, tmp_path: Path
) -> None:
    secret, other = (Secret.parse(gossipd("keygen").stdout.strip()) for _ in range(2))
    file = keyring(tmp_path, secret)
    nodes = cluster.start(2, "--keyring", file)
    inside = cluster.add()
    inside.start(join=nodes[:1], GOSSIPD_SECRET=secret.text)
    nodes.append(inside)
    agree(nodes, within=20)
    without, wrong = cluster.add(), cluster.add()
    without.start("--ready-after", "0.5", join=nodes[:1])
    wrong.start("--keyring", keyring(tmp_path, other), "--ready-after", "0.5", join=nodes[:1])
    nodes[0].says("not sealed, and this node has a secret")
    nodes[0].says("sealed with a secret that this node does not have")
    nodes[1].increment(by=3)
    counted(nodes, 3, within=10)
    for stranger in (without, wrong):
        assert set(live(stranger)) == {stranger.name}
        until(lambda: stranger.count() == 0, 20, "it is ready, alone")  # noqa: B023
    assert set(live(nodes[0])) == {node.name for node in nodes}
    dropped = nodes[0].status()["dropped"]
    assert dropped["unsealed"] > 0 < dropped["unknown_secret"]
    assert f"seals={secret.fingerprint}" in nodes[0].log
    assert not any(secret.text in node.log or other.text in node.log for node in cluster.nodes)
    # That a packet gets through is told to all, the version only by who has no secret.
    assert plain_answer(nodes[0], b"ping\n") == b"pong\n"
    assert plain_answer(without, b"ping w0rd".ljust(60)).startswith(b"pong w0rd")
    before = nodes[0].status()["dropped"].get("magic", 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"ping w0rd".ljust(60), (nodes[0].host, nodes[0].port))
    until(lambda: nodes[0].status()["dropped"].get("magic", 0) > before, 10, "it is no question")


@pytest.mark.parametrize(
    ("mode", "lines", "said"),
    [
        (0o640, "", "others than its owner may use it, mode 0640: chmod 0600"),
        (0o600, "# empty\n", "there is no secret in it"),
        (0o600, "\nhunter2\n", ":2: expected the base64 of 32 bytes, as gossipd keygen gives"),
    ],
)
def test_a_node_does_not_start_with_a_bad_keyring(
    cluster: Cluster, tmp_path: Path, mode: int, lines: str, said: str
) -> None:
    path = tmp_path / "keyring"
    path.write_text(lines)
    path.chmod(mode)
    node = cluster.add()
    node.start("--keyring", str(path))
    assert node.ended() == 1
    assert node.log.startswith(f"gossipd: {path}:")
    assert said in node.log
    assert "hunter2" not in node.log
