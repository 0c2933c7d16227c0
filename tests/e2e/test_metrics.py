"""What nodes tell Prometheus: all that the table promises, and each number moves."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

from gossipd.sideport.limits import Limits
from tests.e2e.cluster import Cluster, counted, see
from tests.e2e.node import ROOT, Node, until
from tests.e2e.scraping import PROMTOOL, Scrape, Shape, lint, scrape

TABLE = ROOT / "gossipd/sideport/METRICS.md"
ROW = re.compile(r"\| `(gossipd_\w+)` \| (\w+) \| (.*?) \| (.+) \|")

STEADY = {
    "gossipd_info", "gossipd_log_limit", "gossipd_connections_limit",
    "gossipd_watchers_limit",
    "gossipd_receive_buffer_bytes",
    "gossipd_receive_buffer_used_bytes",  # see tests/unit/daemon/test_udp.py
}  # fmt: skip
"""What stays as it is as long as a node lives, and what cannot be caught in time."""

FLOOD = 8000
"""Datagrams, of which the kernel drops some where nobody reads them."""

KEPT, RESERVED = Limits().share_of(Limits().connections_max), Limits().reserve_max
NEVER = f"count after={UUID(int=8 << 76 | 2 << 62 | 1)} timeout=60s\n".encode()
"""Waits for an increment that does not come."""

COUNT = b"increment waits\n"

WAITING = {"increments": COUNT, "disk": COUNT, "waits": NEVER}
"""What stands in which queue while the disk does not answer."""

DISK_TIMEOUT = "4"

TRIES_MAX = 10


def table() -> dict[str, Shape]:
    """The metrics that are documented."""
    return {
        name: Shape(kind, what, frozenset(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels, what in ROW.findall(TABLE.read_text())
    }


def test_what_is_told_is_what_is_documented(cluster: Cluster) -> None:
    (node,) = cluster.start(1)
    node.increment()
    node.ask(
        "POST", "/join", {"peers": ["192.0.2.1:7946"]}
    )  # nobody's; loopback cannot send there
    until(lambda: scrape(node).value("gossipd_kernel_refusals_total"), 5, "an error has a name")
    found = scrape(node, "?counters=")
    own = [name for name in found.families if not name.startswith("process_")]
    assert {name: found.shape(name) for name in own} == table()
    assert found.value("process_resident_memory_bytes") > 0
    if PROMTOOL is not None:
        assert lint(found.text) == ""


def test_values_of_counters_are_told_where_they_are_asked_for(cluster: Cluster) -> None:
    (node,) = cluster.start(1)
    lines = "".join(f'{{"counter": "v{number}", "by": {number + 1}}}\n' for number in range(1001))
    node.ask("POST", "/increments", raw=lines.encode())
    node.increment('o"d\\d')
    assert "gossipd_counters_value" not in scrape(node).families
    many = scrape(node, "?counters=v")
    assert len(many.families["gossipd_counters_value"].samples) == 1000
    assert many.text.count("# TYPE gossipd_counters_value ") == 1
    assert many.value("gossipd_counters_value", counter="v7") == 8
    assert many.value("gossipd_counters_value_cut") == 1
    few = scrape(node, "?counters=o")
    assert few.value("gossipd_counters_value", counter='o"d\\d') == 1
    assert few.value("gossipd_counters_value_cut") == 0


class Watch:
    """Which metrics have changed on some nodes."""

    def __init__(self, nodes: list[Node]) -> None:
        self._nodes = nodes
        self._first = {node.name: scrape(node) for node in nodes}
        self.moved = set[str]()

    def look(self) -> None:
        for node in self._nodes:
            found, before = scrape(node), self._first[node.name]
            self.moved |= {name for name in table() if _value(found, name) != _value(before, name)}


def _value(found: Scrape, name: str) -> object:
    samples = found.families[name].samples if name in found.families else ()
    return {(sample.name, *sample.labels.items()): sample.value for sample in samples}


def test_every_metric_of_the_table_moves(cluster: Cluster, many_files: None) -> None:
    nodes = cluster.start(3, "--disk-timeout", DISK_TIMEOUT)
    first, second, third = nodes
    other, alone = cluster.add(), cluster.add()
    for node in other, alone:
        node.start()
        until(partial(getattr, node, "ready"), 10, "it is ready")
    watch = Watch([*nodes, other, alone])
    counting(first, second)
    meeting(first, other)
    suspected(first, third)
    failed_and_back(first, third, watch)
    hanging(second, watch)
    crowded(second)
    too_slow(alone)  # what it counts would be told to the others
    too_many(second)
    watch.look()
    assert table().keys() - watch.moved - STEADY == {
        "gossipd_counters_value", "gossipd_counters_value_cut",  # nobody has asked for them
        "gossipd_tls_handshakes_total", "gossipd_tls_certificate_expires_seconds",  # see test_tls
    }  # fmt: skip


def test_what_the_protocol_has_begun_is_told(cluster: Cluster) -> None:
    first, second = cluster.start(2)
    late = cluster.add()

    def begun(node: Node, kind: str) -> float:
        return scrape(node).value("gossipd_pending", kind=kind)

    assert begun(first, "timers") > 0
    assert begun(first, "newcomers") == 0
    second.send(signal.SIGSTOP)
    late.start(join=[first])
    until(lambda: begun(late, "newcomers") == 1, 10, "it was told of one that is silent")
    until(lambda: begun(first, "questions"), 10, "that one is asked whether it lives")
    second.send(signal.SIGCONT)
    until(lambda: begun(late, "newcomers") == 0, 20, "it has shown that it is there")


def too_many(node: Node) -> None:
    """Watchers from one address."""
    with ExitStack() as stack:
        for _ in range(Limits().share_of(Limits().watchers_max)):
            stack.enter_context(node.connect()).sendall(b"watch members=true\n")
        until(lambda: node.text("watch")[0].startswith("error: "), 10, "one more is refused")


def counting(first: Node, second: Node) -> None:
    """In all dialects, and mistakes, too."""
    with first.connect() as garbage:
        garbage.sendall(b"nonsense\n")
        assert garbage.recv(100).startswith(b"error")
    assert first.text("increment", "count") == ["1", "1"]
    with first.connect() as redis:
        redis.sendall(b"*2\r\n$4\r\nINCR\r\n$7\r\ndefault\r\n*2\r\n$3\r\nGET\r\n$7\r\ndefault\r\n")
        until(lambda: redis.recv(100).endswith(b"2\r\n"), 5, "both are answered")
    second.increment()
    counted([first, second], 3, within=5)
    assert first.ask("POST", "/increment?by=0").status == 400
    found = scrape(first)
    for labels in (
        {"dialect": "text", "call": "unknown", "status": "400"},
        {"dialect": "text", "call": "increment", "status": "200"},
        {"dialect": "text", "call": "count", "status": "200"},
        {"dialect": "resp", "call": "increment", "status": "200"},
        {"dialect": "resp", "call": "get", "status": "200"},
        {"dialect": "http", "call": "increment", "status": "400"},
    ):
        assert found.value("gossipd_requests_total", **labels) == 1, labels
    assert found.value("gossipd_increments_total", origin="local") == 2
    assert found.value("gossipd_increments_total", origin="remote") == 1
    assert found.value("gossipd_commit_seconds") == found.value("gossipd_commit_increments") >= 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"garbage", (first.host, first.port))
    until(
        lambda: scrape(first).value("gossipd_drops_total", reason="too_short"), 5, "it is dropped"
    )
    first.ask("POST", "/join", {"peers": ["192.0.2.1:7946"]})
    until(lambda: scrape(first).value("gossipd_kernel_refusals_total"), 5, "the kernel refuses")


def meeting(first: Node, other: Node) -> None:
    """Another cluster of the same name has counted the same key: a double, an alarm, repairs."""
    key = str(uuid4())
    for node in first, other:
        assert node.ask("POST", f"/increment?key={key}").status == 200
    other.ask("POST", "/join", {"peers": [first.address]})
    counted([first, other], 4, within=10)
    until(lambda: scrape(first).value("gossipd_doubles") == 1, 10, "the double is found")
    assert scrape(first).value("gossipd_log_entries", kind="keys") > 0
    until(lambda: scrape(other).value("gossipd_repairs_total", kind="log"), 5, "it has pulled")
    until(lambda: scrape(first).value("gossipd_agreeing_members") == 3, 10, "all hold the same")


def suspected(first: Node, third: Node) -> None:
    """A member stands still until it is suspected, and refutes. Where it is called failed first,
    since all of this was slow, it has to come back, and does so again."""
    for failures in range(TRIES_MAX):  # noqa: B007  it is used below
        third.send(signal.SIGSTOP)
        until(lambda: first.states()[third.name] != "alive", 20, "it is suspected")
        third.send(signal.SIGCONT)
        until(lambda: first.states()[third.name] == "alive", 20, "it is back")
        found, own = scrape(first), scrape(third)
        if found.value("gossipd_refutations_total", by="others"):
            break
    assert found.value("gossipd_refutations_total", by="others") > 0
    assert found.value("gossipd_suspicions_total") > 0
    assert found.value("gossipd_false_failures_total") <= failures
    assert own.value("gossipd_refutations_total", by="self") > 0
    assert own.value("gossipd_probes_total") > 0


def failed_and_back(first: Node, third: Node, watch: Watch) -> None:
    """A member stands still until it has failed, while datagrams come, and goes on."""
    third.send(signal.SIGSTOP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for _ in range(FLOOD):
            stranger.sendto(bytes(1200), (third.host, third.port))
    see([first], third.name, "failed", within=20)
    third.send(signal.SIGCONT)
    until(lambda: scrape(third).value("gossipd_health_score"), 5, "it notices its own fault")
    watch.look()
    until(lambda: scrape(first).value("gossipd_false_failures_total") == 1, 20, "it is back")
    assert scrape(third).value("gossipd_receive_buffer_overflows_total") > 0


def hanging(node: Node, watch: Watch) -> None:
    """The disk does not answer: increments wait, and who waits for others does anyway."""
    with ExitStack() as stack, stopped(keeper(node)):
        for queue, said in WAITING.items():
            until(partial(waits, node, stack, queue, said), 5, queue)
        waiting(node, stack, b"watch\n")
        until(lambda: scrape(node).value("gossipd_watchers"), 5, "one follows")
        watch.look()
        until(
            lambda: scrape(node).value("gossipd_disk_errors_total", kind="hangs"), 20, "it hangs"
        )
        watch.look()
    until(lambda: node.ready, 10, "the disk answers again")


def waits(node: Node, stack: ExitStack, queue: str, said: bytes) -> bool:
    """Whether somebody who says so, now or before, stands in a queue."""
    waiting(node, stack, said)
    found = scrape(node)
    length = found.value("gossipd_queue_length", queue=queue)
    return length > 0 and found.value("gossipd_queue_age_seconds", queue=queue) > 0


def crowded(node: Node) -> None:
    """All connections that an address may have wait, and those in reserve, too."""
    with ExitStack() as stack:
        for _ in range(KEPT):
            waiting(node, stack, NEVER)
        with stopped(keeper(node)):
            last = [waiting(node, stack, COUNT) for _ in range(RESERVED + 1)][-1]
            assert b"too many connections" in last.recv(1000)
    until(lambda: scrape(node).value("gossipd_connections_refused_total"), 10, "it is counted")


def too_slow(node: Node) -> None:
    """A watcher does not read what changes: far more than is remembered for it."""
    lines = "\n".join(f'{{"counter": "slow {number}"}}' for number in range(10_000)).encode()
    with ExitStack() as stack:
        waiting(node, stack, b"watch\n")
        until(lambda: scrape(node).value("gossipd_watchers"), 5, "one follows")

        def is_dropped() -> bool:
            assert node.ask("POST", "/increments", raw=lines).status == 200
            return scrape(node).value("gossipd_watchers_dropped_total") > 0

        until(is_dropped, 20, "it is dropped")


def waiting(node: Node, stack: ExitStack, said: bytes) -> socket.socket:
    client = stack.enter_context(node.connect())
    client.sendall(said)
    return client


def keeper(node: Node) -> Path:
    """The process that has the disk."""
    for process in node.processes[1:]:
        files = [file.readlink() for file in (process / "fd").iterdir()]
        if any(file.is_relative_to(node.data_directory) for file in files):
            return process
    raise AssertionError(f"{node.name} has no disk")


@contextmanager
def stopped(process: Path) -> Iterator[None]:
    """A process stands still meanwhile."""
    os.kill(int(process.name), signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(int(process.name), signal.SIGCONT)
