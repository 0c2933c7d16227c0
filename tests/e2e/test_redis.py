"""Redis' own clients, unchanged, on a real node."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from tests.e2e.bounds import crowding
from tests.e2e.cluster import Cluster
from tests.e2e.node import Node, until
from tests.e2e.programs import program
from tests.effort import effort

SCRIPT = Path(__file__).parent / "counting.js"
DEBIAN_MODULES = "/usr/share/nodejs"
BENCHED = effort(2_000, 8_000)
"""Requests of each kind that redis-benchmark sends at a time."""

WITHIN = 30.0
"""Seconds for what a client does in one of them."""


needs_tools = program("redis-cli", "redis-tools")


@contextmanager
def client_of(node: Node, **options: object) -> Iterator[redis.Redis]:
    """redis-py with its defaults, but for its patience."""
    host, port = node.api
    patience = {"socket_timeout": WITHIN, "decode_responses": True}
    with redis.Redis(host, port, **{**patience, **options}) as client:  # type: ignore[arg-type]
        yield client


def run(node: Node, name: str, *arguments: str, said: str | bytes = "") -> str:
    """A program of redis-tools, to its end; what it wrote."""
    host, port = node.api
    done = subprocess.run(
        (name, "-h", host, "-p", str(port), *arguments),
        input=said.encode() if isinstance(said, str) else said,
        capture_output=True,
        check=False,
        timeout=WITHIN * crowding(),
    )
    assert done.returncode == 0, done
    return (done.stdout + done.stderr).decode()


@pytest.mark.parametrize("version", [2, 3])
def test_redis_py_counts_and_reads(node: Node, version: int) -> None:
    with client_of(node, protocol=version, client_name="till") as client:
        assert client.ping() is True
        assert client.echo("a b") == "a b"
        assert client.incr("a") == 1
        assert client.incr("a", 5) == 6
        assert client.decr("a") == 5
        assert client.decrby("a", 2) == 3
        assert client.get("a") == "3"
        assert client.get("nothing") is None
        assert client.mget("a", "nothing") == ["3", None]
        assert client.exists("a", "nothing") == 1
        assert client.type("a") == "string"
        assert client.dbsize() == 1
        for number in range(25):
            client.incrby(f"page:{number}", number or 1)
        assert sorted(client.scan_iter("page:*")) == sorted(f"page:{n}" for n in range(25))
        assert client.keys("page:2[0-3]") == ["page:20", "page:21", "page:22", "page:23"]
        assert client.client_getname() == "till"
        info = client.info()
        assert (info["role"], info["loading"], info["db0"]["keys"]) == ("master", 0, 26)
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.command_count() == len(client.command())
        assert client.wait(1, 10) == 0
    assert node.count("page:24") == 24


def test_redis_py_is_told_what_a_counter_cannot_do_and_goes_on(node: Node) -> None:
    with client_of(node) as client:
        with pytest.raises(redis.ResponseError, match="a counter cannot be set"):
            client.set("a", 1)
        with pytest.raises(redis.ResponseError, match="cannot be deleted"):
            client.delete("a")
        with client.pipeline() as transaction:
            transaction.incr("a")
            transaction.incr("a")
            with pytest.raises(redis.ResponseError, match="there are no transactions"):
                transaction.execute()
        assert client.exists("a") == 0
        with client.pipeline(transaction=False) as pipeline:
            for _ in range(1000):
                pipeline.incr("a")
            pipeline.get("a")
            assert pipeline.execute() == [*range(1, 1001), "1000"]


class LostAnswer:
    """Passes on what clients of a node say, and loses the first answer to what contains `word`:
    the connection ends in its place."""

    def __init__(self, node: Node, word: bytes) -> None:
        self._node = node
        self._word = word
        self.lost = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client, self._node.connect() as server:
                while said := client.recv(65536):
                    server.sendall(said)
                    answer = server.recv(65536)
                    if self._word in said and not self.lost:
                        self.lost += 1
                        break
                    client.sendall(answer)


@pytest.mark.parametrize(("keyed", "count"), [(False, 2), (True, 1)])
def test_what_redis_py_sends_again_counts_twice_unless_it_has_a_key(
    node: Node, keyed: bool, count: int
) -> None:
    relay = LostAnswer(node, b"INCRBY")
    try:
        host, port = relay.address
        with redis.Redis(host, port, socket_timeout=WITHIN) as client:
            if keyed:
                assert client.execute_command("GOSSIPD.INCRBY", "a", 1, "order 17") == count
            else:
                assert client.incrby("a", 1) == count
    finally:
        relay.close()
    assert relay.lost == 1
    assert node.count("a") == count


def test_what_counts_is_not_sent_again_because_something_else_was_refused(
    cluster: Cluster,
) -> None:
    """As it would be, with all that is in the pipeline, if reads were refused with LOADING."""
    node = cluster.add()
    nobody = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with nobody:
        nobody.bind((node.host, 0))
        node.start("--join", f"{node.host}:{nobody.getsockname()[1]}", "--ready-after", "4")
        until(lambda: node.ask("GET", "/health").status == 200, 20, "it serves")
        with client_of(node) as client:
            assert client.info()["loading"] == 1
            pipeline = client.pipeline(transaction=False)
            pipeline.incr("a")
            pipeline.get("a")
            pipeline.incr("a")
            first, refusal, second = pipeline.execute(raise_on_error=False)
            assert (first, second) == (1, 2)
            assert isinstance(refusal, redis.ResponseError)
            assert str(refusal).startswith("UNAVAILABLE catching up: ")
            until(lambda: node.ready, 30, "it is ready")
            assert client.get("a") == "2"


def test_wait_is_for_the_other_nodes(cluster: Cluster) -> None:
    first, second = cluster.add(), cluster.add()
    first.start()
    second.start(join=[first])
    until(lambda: first.ready and second.ready, 30, "both are ready")
    until(lambda: len(first.get("/peers")) == 1, 20, "they see each other")
    with client_of(first) as client:
        assert client.incr("a") == 1
        assert client.wait(1, int(WITHIN * 1000)) == 1
        assert client.wait(2, 2_000) == 1  # so long, as the machine may be busy
    until(lambda: second.count("a") == 1, 20, "the other one tells it")


@needs_tools
def test_redis_cli_counts_and_reads(node: Node) -> None:
    assert run(node, "redis-cli", "incrby", "page views", "3") == "3\n"
    lines = 'incr "page views"\nget "page views"\nget nothing\nset a 1\nincr a\n'
    answers = run(node, "redis-cli", said=lines).splitlines()
    assert answers[:3] == ["4", "4", ""]
    assert answers[3].startswith("ERR no 'set' here: a counter cannot be set")
    assert answers[-1] == "1"
    assert run(node, "redis-cli", "-3", "mget", "a", "nothing").splitlines() == ["1", ""]
    assert run(node, "redis-cli", "--scan", "--pattern", "p*") == "page views\n"
    assert run(node, "redis-cli", "-r", "5", "incr", "a") == "2\n3\n4\n5\n6\n"
    piped = b"*2\r\n$4\r\nINCR\r\n$1\r\nb\r\n" * 1000
    assert "errors: 0, replies: 1000" in run(node, "redis-cli", "--pipe", said=piped)
    assert node.get("/counters") == {"a": 6, "b": 1000, "page views": 4}


@needs_tools
def test_redis_benchmark_measures_and_all_of_it_counts(node: Node) -> None:
    counting = ("-t", "incr,get", "-c", "32", "-q", "-n", str(BENCHED))
    alone = run(node, "redis-benchmark", *counting)
    assert "WARNING" not in alone
    assert alone.count("requests per second") == 2
    run(node, "redis-benchmark", *counting, "-P", "16", "-r", "1000")
    assert sum(node.get("/counters").values()) == 2 * BENCHED


@program("node", "nodejs")
def test_node_redis_counts_and_reads(node: Node) -> None:
    modules = os.environ.get("NODE_PATH", DEBIAN_MODULES)
    if not Path(modules, "redis").exists():
        pytest.skip("needs node-redis")
    host, port = node.api
    done = subprocess.run(
        ("node", str(SCRIPT), f"{host}:{port}"),
        env={**os.environ, "NODE_PATH": modules},
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN * crowding(),
    )
    assert done.returncode == 0, done.stderr
    *told, set_refused, multi_refused, last, name, names = json.loads(done.stdout)
    assert told == ["PONG", 1, 6, 4, "4", None, ["4", None], 1, 1, ["a"], 1000, 2, 2]
    assert "a counter cannot be set" in set_refused
    assert "there are no transactions" in multi_refused
    assert (last, name, names) == ("4", "till", ["a", "b", "c"])


GO_HANDSHAKE = (
    ("hello", "3"),
    ("client", "maint_notifications", "on", "moving-endpoint-type", "internal-ip"),
    ("client", "setinfo", "lib-name", "go-redis(,go1.24)"),
    ("client", "setinfo", "lib-ver", "9.12.0"),
)


def test_the_handshake_of_go_redis_is_understood(node: Node) -> None:
    """Its words, from its source: it goes on without notifications where these are refused."""
    said = b"".join(
        b"*%d\r\n" % len(words)
        + b"".join(b"$%d\r\n%b\r\n" % (len(word), word.encode()) for word in words)
        for words in (*GO_HANDSHAKE, ("incr", "a"), ("quit",))
    )
    with node.connect() as connection:
        connection.sendall(said)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"%7\r\n$6\r\nserver\r\n$7\r\ngossipd\r\n")
    rest = answer.partition(b"-ERR no 'client maint_notifications' here: ")[2]
    assert rest.partition(b"\r\n")[2] == b"+OK\r\n+OK\r\n:1\r\n+OK\r\n"
