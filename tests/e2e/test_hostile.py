"""Garbage on every socket: nothing changes, it is counted, and the next good request works."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from tests.deadline import DEADLINE
from tests.e2e.cluster import Cluster, counted
from tests.e2e.forge import Forge
from tests.e2e.mischief import Mischief, said_by
from tests.e2e.node import Node, until
from tests.e2e.scraping import scrape
from tests.fuzz.attacks import sideport

DATAGRAMS = 10_000
BURST = 250
IDLE = 1000


def members(node: Node) -> list[dict[str, Any]]:
    """The members, without what a measurement moves."""
    return [{**member, "rtt_ms": 0, "since": 0} for member in node.get("/members")]


def test_ten_thousand_bad_datagrams_change_nothing(cluster: Cluster) -> None:
    nodes = cluster.start(2)
    nodes[0].increment(by=42)
    counted(nodes, 42, within=5)
    held = [members(node) for node in nodes]
    victim_host = cluster.address() + "1"
    rng = random.Random(11)
    with ExitStack() as stack:
        sender, victim = (
            stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in "12"
        )
        sender.bind((victim_host, 0))
        sender.settimeout(5)
        victim.bind((victim_host, 0))
        victim.setblocking(False)
        mischief = Mischief(nodes, victim.getsockname(), said_by(nodes[0], sender))
        sent_bytes = _flood(nodes, mischief, sender, rng)
        received = _drained(victim)
    print(f"sent {sent_bytes} bytes; the victim of forged joins received {received} of them")
    assert received <= 3 * sent_bytes
    assert [members(node) for node in nodes] == held
    assert nodes[0].increment() == 43
    counted(nodes, 43, within=5)
    assert nodes[0].status()["streams"] == nodes[1].status()["streams"] == 1
    dropped = {node.name: node.status()["dropped"] for node in nodes}
    print(dropped)
    for counts in dropped.values():
        assert set(counts) >= {
            "magic",
            "version",
            "foreign",
            "tag",
            "too_short",
            "too_large",
            "malformed",
            "stranger",
        }
    assert (
        sum(sum(counts.values()) for counts in dropped.values()) >= DATAGRAMS - mischief.answered
    )
    assert dropped["n1"]["own"] > 0
    for node in nodes:
        assert len(node.log.splitlines()) < 20, "the log is flooded"


def _flood(
    nodes: list[Node], mischief: Mischief, sender: socket.socket, rng: random.Random
) -> int:
    """Send it all in bursts, each read before the next; how many bytes that was."""
    size = 0
    before = [node.status()["udp"]["received"] for node in nodes]

    def read(each: int) -> bool:
        now = [node.status()["udp"]["received"] for node in nodes]
        return all(b - a >= each for a, b in zip(before, now, strict=True))

    for sent in range(BURST, DATAGRAMS + 1, BURST):
        for number in range(BURST):
            node = nodes[number % len(nodes)]
            data = mischief.draw(rng)
            sender.sendto(data, (node.host, node.port))
            size += len(data)
        until(partial(read, sent // len(nodes)), 10, "the datagrams were read")
    return size


def _drained(sock: socket.socket) -> int:
    size = 0
    while True:
        try:
            size += len(sock.recv(65536))
        except BlockingIOError:
            return size


def test_a_thousand_idle_connections_are_no_trouble(cluster: Cluster, many_files: None) -> None:
    nodes = cluster.start(2)
    with ExitStack() as stack:
        for number in range(IDLE):
            connection = stack.enter_context(nodes[0].connect())
            if number % 2:
                connection.sendall(b"POST /incr")
        assert nodes[0].increment() == 1
        assert nodes[0].cli("increment").stdout == "2\n"
        counted(nodes, 2, within=5)


def test_a_node_takes_no_more_connections_than_it_has_descriptors_for(cluster: Cluster) -> None:
    node = cluster.add()
    node.prefix = ("prlimit", "--nofile=500")
    node.start("--in-memory", "--connections-max", "9000", "--address-share", "1")
    until(lambda: node.ready, 20, "it is ready")
    node.says("connections_max is 100, as this process may open 500 files only")
    with ExitStack() as stack:
        for _ in range(600):
            stack.enter_context(node.connect())
        until(lambda: scrape(node).value("gossipd_connections") >= 100, 10, "they are there")
        assert scrape(node).value("gossipd_connections_limit") == 100
        assert [node.increment() for _ in range(20)] == list(range(1, 21))
        assert node.status()["files"]["open"] < 500


@pytest.mark.parametrize("attack", [sideport.silence, sideport.half_a_head])
def test_who_holds_all_connections_hides_no_node(
    many_files: None, attack: sideport.Attack, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sideport, "Cluster", partial(Cluster, forge=forge))
    found = sideport.run(attack, seconds=2, counters=0, patience=DEADLINE)
    print(found)
    assert found.asked > 2 * found.failed


def test_an_amount_that_is_none_is_refused(cluster: Cluster) -> None:
    (node,) = cluster.start(1)
    amounts = "0", "1.5", '"x"', str(2**70), "true", "null", "-9007199254740993"
    for number, by in enumerate(amounts, 1):
        refused = node.ask("POST", "/increment", raw=f'{{"by": {by}}}'.encode())
        assert refused.status == 400, by
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert set(refused.data) >= {"title", "status", "detail"}
        assert node.text(f"increment default {by}")[0].startswith("error: "), by
        assert node.increment() == number


RAW = {
    "a huge head": (b"GET /" + b"x" * 20_000, b"431"),
    "a huge field": (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"x" * 20_000 + b"\r\n\r\n", b"431"),
    "a huge body": (
        b"POST /increment HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n" + b" " * 70_000,
        b"413",
    ),
    "no HTTP": (b"GET / HTTP/9.9\r\n\r\n", b"400"),
    "bad JSON": (b"POST /increment HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n{", b"400"),
    "not UTF-8": (
        b'POST /increment HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n{"counter":"\xff"}',
        b"400",
    ),
    "an unknown path": (b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
    "a wrong method": (b"GET /increment HTTP/1.1\r\nHost: x\r\n\r\n", b"405"),
    "text that is not UTF-8": (b"count \xff\xfe\n", b"error: "),
    "an unknown command": (b"launch\n", b"error: "),
    "a long line": (b"count " + b"x" * 10_000 + b"\n", b"error: "),
    "binary": (b"\x00\x01\x02\x16\x03\x01" * 50 + b"\n", b"error: "),
}


def test_each_mistake_has_its_answer_and_the_next_request_works(cluster: Cluster) -> None:
    (node,) = cluster.start(1)
    for number, (what, (said, wanted)) in enumerate(RAW.items(), 1):
        with node.connect() as connection:
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(partial(connection.recv, 65536), b""))
        assert wanted in answer[:20], f"{what}: {answer[:200]!r}"
        assert node.increment() == number


def test_clients_that_vanish_are_no_trouble(cluster: Cluster) -> None:
    (node,) = cluster.start(1)
    for _ in range(50):
        with node.connect() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.sendall(b"increment\n" * 100)
    until(lambda: node.increment("after") > 0, 5, "the node still counts")
    assert node.count() <= 5000
