"""What somebody sees who captures a cluster's packets: everything where there is no secret, and
nothing of names, counters, tags and counts, and sizes to 32 bytes, where there is one."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gossipd.core import Settings
from gossipd.sealing.frame import SealedFrame
from gossipd.sealing.keyring import Secret
from tests.deadline import DEADLINE
from tests.e2e import namespaces
from tests.e2e.cluster import Cluster, counted
from tests.e2e.forge import Forge
from tests.e2e.namespaces import Network
from tests.e2e.node import until

COUNT = 1_234_567_890_123
SMALL = 30
"""Increments among them."""

WORDS = {
    "a member's name": b"observed-member",
    "a counter's name": b"observed-counter",
    "a tag's key": b"observed-key",
    "a tag's value": b"observed-value",
    "a count": COUNT.to_bytes(8),
    "the cluster's name": b"observed-cluster",
}


def _why_not() -> str:
    return namespaces.why_none() or ("" if shutil.which("tshark") else "needs tshark")


pytestmark = pytest.mark.skipif(bool(_why_not()), reason=_why_not())


@contextmanager
def capturing(network: Network, file: Path) -> Iterator[None]:
    """Have tshark write down all that passes the bridge."""
    command = (
        *network.hub.prefix,
        "tshark",
        "-q",
        "-i",
        "hub",
        "-f",
        "udp port 7946",
        "-w",
        str(file),
    )
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as tshark:
        try:
            assert tshark.stderr is not None
            assert any(b"Capturing on" in line for line in tshark.stderr)
            yield
        finally:
            tshark.send_signal(signal.SIGINT)
            tshark.communicate(timeout=DEADLINE)


def payloads(file: Path) -> list[bytes]:
    """The datagrams that were captured, as tshark reads them."""
    command = ("tshark", "-r", str(file), "-T", "fields", "-e", "udp.payload")
    read = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [bytes.fromhex(line) for line in read.stdout.split()]


@pytest.mark.parametrize("secret", [None, Secret.fresh()], ids=["plain", "sealed"])
def test_captured_traffic_shows_words_and_numbers_only_where_nobody_has_a_secret(
    secret: Secret | None, tmp_path: Path, forge: Forge
) -> None:
    (tmp_path / "nodes").mkdir()
    file = tmp_path / "captured.pcapng"
    file.touch(0o666)  # it is written by another user than root
    with Network(2) as network, Cluster(tmp_path / "nodes", secret, forge) as cluster:
        nodes = [
            cluster.add(network.address(number), name=name, namespace=network.hosts[number])
            for number, name in enumerate(("observed-member", "another"))
        ]
        with capturing(network, file):
            options = ("--cluster", "observed-cluster", "--tag", "observed-key=observed-value")
            cluster.form(nodes, *options)
            nodes[0].increment("observed-counter", COUNT - SMALL)
            for _ in range(SMALL):
                nodes[0].increment("observed-counter")
            counted(nodes, COUNT, 20, "observed-counter")
            began = file.stat().st_size
            until(lambda: file.stat().st_size > began + 1000, 20, "what came by is written down")
        cluster.close()
    datagrams = payloads(file)
    assert len(datagrams) > 20
    captured = b"".join(datagrams)
    seen = {what for what, word in WORDS.items() if word in captured}
    assert seen == (set() if secret else set(WORDS) - {"the cluster's name"})
    sizes = {len(datagram) - SealedFrame.overhead for datagram in datagrams}
    odd = {size for size in sizes if size % SealedFrame.padding}
    assert odd <= {Settings().datagram_size - SealedFrame.overhead} if secret else len(odd) > 5
