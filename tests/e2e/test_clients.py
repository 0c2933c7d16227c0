"""Real clients at the side port: served, or refused at once in the words of their protocol."""

from __future__ import annotations

import codecs
import gzip
import json
import ssl
import subprocess
import uuid
from pathlib import Path

import pytest

from tests.e2e.bounds import crowding
from tests.e2e.cluster import Cluster
from tests.e2e.command import Command
from tests.e2e.node import Node, until
from tests.e2e.programs import program

JAVA = Path(__file__).parent / "Counting.java"
LITTLE = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Java optimises nothing and has few threads, for all this takes it a second."""

AT_ONCE = 10.0
"""Seconds: far less than any client waits for an answer that does not come."""


needs_curl = program("curl", "curl")


def url(node: Node, path: str, scheme: str = "http") -> str:
    return f"{scheme}://{node.api[0]}:{node.api[1]}{path}"


def run(*command: str, within: float = AT_ONCE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=within * crowding()
    )


def curl(node: Node, path: str, *options: str) -> tuple[str, str]:
    """The status and what else came: headers and body."""
    done = run("curl", "-sS", "-i", "-w", "\n%{http_code}", *options, url(node, path))
    assert done.returncode == 0, done.stderr
    came, _, status = done.stdout.rpartition("\n")
    return status, came


def raw(node: Node, data: bytes) -> bytes:
    """All that is answered to these bytes until the node closes the connection."""
    with node.connect(AT_ONCE) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@needs_curl
def test_curl_that_would_rather_speak_http_2_is_served_as_any(node: Node, tmp_path: Path) -> None:
    upgrading = "--http2"
    status, _ = curl(node, "/increment", upgrading, "-d", '{"counter": "a", "by": 2}')
    assert status == "200"
    assert curl(node, "/increment?counter=a", upgrading, "-X", "POST")[0] == "200"
    assert curl(node, "/count?counter=a", upgrading)[1].endswith('{"counter": "a", "count": 3}\n')
    lines = tmp_path / "lines"  # large enough for curl to wait for 100 Continue
    lines.write_text("".join(f'{{"counter": "b", "key": "{n:0250}"}}\n' for n in range(5_000)))
    sent = ("--data-binary", f"@{lines}")
    assert curl(node, "/increments", upgrading, *sent, "-o", "/dev/null") == ("200", "")
    put = ("-X", "PUT", "-d", '{"seq": 1, "total": 7}')
    assert curl(node, "/sources/till/sales", upgrading, *put)[0] == "200"
    assert node.get("/counters") == {"a": 3, "b": 5_000, "sales": 7}


@program("java", "default-jre-headless")
def test_javas_own_client_counts(node: Node) -> None:
    bodies = ('{"counter": "a"}', '{"counter": "a", "by": 2}', '{"by": 0}')
    done = run("java", *LITTLE, str(JAVA), url(node, "/increment"), *bodies, within=60)
    assert done.stdout == "HTTP_1_1 200\nHTTP_1_1 200\nHTTP_1_1 400\n", done.stderr
    assert node.count("a") == 3


@needs_curl
def test_what_is_wrong_with_a_request_is_told_in_http(node: Node, tmp_path: Path) -> None:
    status, told = curl(node, "/increment", "-H", "Host:", "-d", "{}")
    assert (status, "Host" in told.rpartition("\n\n")[2]) == ("400", True)
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(b'{"counter": "a"}'))
    coded = ("-H", "Content-Encoding: gzip", "--data-binary", f"@{packed}")
    assert curl(node, "/increment", *coded)[0] == "415"
    assert curl(node, "/increments", *coded)[0] == "415"
    lines = tmp_path / "lines"
    lines.write_text('{"counter": "a"}\n{"counter": "b"}\n')
    status, told = curl(node, "/increments", "-d", f"@{lines}")
    assert "--data-binary" in told, status
    assert node.get("/counters") == {}


@needs_curl
def test_what_may_be_asked_is_told(node: Node) -> None:
    for path, allowed in (
        ("/increment", {"OPTIONS", "POST"}),
        ("/counters", {"GET", "HEAD", "OPTIONS"}),
    ):
        status, told = curl(node, path, "-X", "OPTIONS")
        assert status in ("200", "204")
        (allow,) = (line for line in told.splitlines() if line.lower().startswith("allow:"))
        assert {method.strip() for method in allow[6:].split(",")} == allowed
    assert curl(node, "/nothing", "-X", "OPTIONS")[0] == "404"
    assert curl(node, "", "-X", "OPTIONS", "--request-target", "*")[0] in ("200", "204")


def test_what_is_no_text_runs_nothing(node: Node) -> None:
    for said, answered in (
        (b"*1\r\nincrement\r\nincrement\n", b"-ERR "),
        (b"*0\r\nincrement\nincrement\r\n", b"-ERR "),
        (b"$9\r\nincrement\r\nincrement\n", b"-ERR "),
        (b"SSH-2.0-OpenSSH_9.2p1\r\nincrement\n", b"error: "),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nincrement\r\n", b"error: "),
        (b"\x00\x01\x02\x03increment\n", b"error: "),
        (codecs.BOM_UTF8 + b"increment\n", b"error: "),
        ("increment\n".encode("utf-16"), b"error: "),
        ("increment\n".encode("utf-16-le"), b"error: "),
        ("increment\n".encode("utf-16-be"), b"error: "),
    ):
        answer = raw(node, said)
        assert answer.startswith(answered), said
        assert answer.count(b"\n") == 1, said
        assert node.get("/counters") == {}, said


def test_tls_is_refused_by_an_alert(node: Node) -> None:
    context = ssl.create_default_context()
    with node.connect(AT_ONCE) as connection, pytest.raises(ssl.SSLError, match="ALERT"):
        context.wrap_socket(connection, server_hostname="localhost")


@needs_curl
def test_curl_of_https_or_http_2_alone_fails_at_once(node: Node) -> None:
    """But where curl knows how to go on with HTTP/1.1, as it is told, it is served (8.23 does)."""
    assert run("curl", "-sS", url(node, "/count", "https")).returncode == 35  # TLS
    prior = run("curl", "-sS", "-d", "{}", "--http2-prior-knowledge", url(node, "/increment"))
    ends = {16: {}, 0: {"default": 1}}
    assert ends.get(prior.returncode) == node.get("/counters"), prior.stderr


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_body_in_another_encoding_is_named_so(node: Node, encoding: str) -> None:
    for path in "/increment", "/increments":
        reply = node.ask("POST", path, raw='{"counter": "a"}\n'.encode(encoding))
        assert reply.status == 400, (path, reply)
        assert "UTF-8" in reply.data["detail"], (path, reply)
    assert node.get("/counters") == {}


def test_keys_are_whatever_clients_have(node: Node) -> None:
    own = uuid.uuid4()
    several: tuple[tuple[str, ...], ...] = (
        ("order-4711",),
        ('Zürich 🚲 "7" %',),
        ("x" * 255,),
        (str(own), str(own).upper(), own.hex, f"{{{own}}}", own.urn),
    )
    for number, ways in enumerate(several, 1):
        first = node.cli("increment", "--key", ways[-1])
        assert (first.returncode, first.stdout) == (0, f"{number}\n"), first.stderr
        for way in ways:
            reply = node.ask("POST", "/increment", {"key": way})
            assert (reply.status, reply.data.get("duplicate")) == (200, True), reply
            again = node.cli("increment", "--key", way, "--json")
            assert json.loads(again.stdout)["duplicate"] is True, again.stderr
    assert node.text("increment default 1 key=order-4711") == ["4"]
    for unset in uuid.UUID(int=0), uuid.UUID(int=2**128 - 1):
        for written in str(unset), unset.hex, f"{{{unset}}}":
            refused = node.ask("POST", "/increment", {"key": written})
            assert (refused.status, "never set" in refused.data["detail"]) == (400, True)
        assert "never set" in node.cli("increment", "--key", str(unset)).stderr
    for wrong in "", "x" * 256:
        assert node.ask("POST", "/increment", {"key": wrong}).status == 400
    assert node.count() == len(several)


@needs_curl
def test_the_header_for_keys_takes_them_bare_or_quoted(node: Node) -> None:
    for value in ("order 1", '"order 1"'):
        status, _ = curl(node, "/increment", "-X", "POST", "-H", f"Idempotency-Key: {value}")
        assert status == "200"
    assert node.count() == 1


def test_a_users_batch_leaves_room_for_the_keys_of_others_and_goes_on(
    cluster: Cluster, tmp_path: Path
) -> None:
    node = cluster.add()
    node.start("--key-limit", "1000", "--key-window", "6")
    until(lambda: node.ready, 20, "it is ready")
    lines = tmp_path / "lines"
    lines.write_text('{"counter": "many"}\n' * 1_500)
    with Command(f"{node.api[0]}:{node.api[1]}", tmp_path, "--batch", str(lines)) as command:
        until(lambda: command.says("waiting as it asks"), 20, "it waits")
        assert node.count("many") == 800
        for _ in range(100):
            alone = node.ask("POST", f"/increment?counter=one&key={uuid.uuid4()}")
            assert alone.status == 200, alone
        assert node.cli("increment", "one", "--timeout", "0").stdout == "101\n"
        assert command.ended() == (0, "1500\n"), command.told
    assert node.get("/counters") == {"many": 1_500, "one": 101}
