"""TLS on the API: by programs of others, by our command line, with wrong certificates."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

import pytest
import redis

from tests.certificates import Authority, Pair
from tests.deadline import DEADLINE
from tests.e2e.cluster import Cluster, see
from tests.e2e.node import Node
from tests.e2e.programs import program
from tests.effort import effort


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


class Secured:
    """A node that speaks TLS."""

    def __init__(self, node: Node, authority: Authority, pair: Pair) -> None:
        self.node = node
        self.pair = pair
        self.url = f"https://{node.api[0]}:{node.api[1]}"
        self.cacert = str(authority.cert)

    def start(self, *options: str) -> None:
        self.node.start(*self.pair.options, *options)
        self.node.says("serves at")

    def cli(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        given = {"GOSSIPD_API": self.url, "GOSSIPD_CACERT": self.cacert, **variables}
        return self.node.cli(*arguments, **given)

    def served(self) -> int:
        """The serial number of the certificate that who comes is shown."""
        with self.connect() as session:
            shown = session.getpeercert()
        assert shown
        return int(str(shown["serialNumber"]), 16)

    def connect(self) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=self.cacert)
        connection = socket.create_connection(self.node.api, 10)
        return context.wrap_socket(connection, server_hostname=self.node.api[0])


@pytest.fixture
def secured(cluster: Cluster, authority: Authority) -> Secured:
    node = cluster.add()
    return Secured(node, authority, authority.issue("node", node.host, "localhost"))


def run(*command: str, said: str = "") -> str:
    done = subprocess.run(command, input=said, capture_output=True, text=True, timeout=DEADLINE)
    return done.stdout + done.stderr


@program("curl", "curl")
@program("openssl", "openssl")
@program("redis-cli", "redis-tools")
def test_all_dialects_are_spoken_by_their_own_programs(secured: Secured) -> None:
    secured.start()
    host, port = secured.node.api
    curl = ("curl", "-sS", "--max-time", "10", "--cacert", secured.cacert)
    assert '"count": 1' in run(*curl, "-X", "POST", f"{secured.url}/increment")
    twice = run(*curl, f"{secured.url}/count", f"{secured.url}/health", "-v")
    assert "Re-using existing connection" in twice
    assert "server accepted http/1.1" in twice
    openssl = ("openssl", "s_client", "-quiet", "-no_ign_eof", "-CAfile", secured.cacert)
    with subprocess.Popen(
        (*openssl, "-verify_return_error", "-connect", f"{host}:{port}"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as client:  # fmt: skip
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(b"increment\n")
        client.stdin.flush()
        assert client.stdout.readline() == b"2\n"
        client.stdin.close()  # which says goodbye
        assert client.wait(10) == 0
    command = ("redis-cli", "-h", host, "-p", str(port), "--tls", "--cacert", secured.cacert)
    assert run(*command, "incr", "default") == "3\n"
    python = redis.Redis(host, port, ssl=True, ssl_ca_certs=secured.cacert)
    with python.pipeline(transaction=False) as pipeline:
        for _ in range(100):
            pipeline.incr("default")
        assert pipeline.execute()[-1] == 103
    python.close()

    assert "this port speaks TLS: ask for https://" in run(
        "curl", "-sS", secured.url.replace("s", "", 1)
    )
    assert "ERR this port speaks TLS" in run("redis-cli", "-h", host, "-p", str(port), "ping")
    weak = run("curl", "-sSk", "--tls-max", "1.1", secured.url)
    assert "alert protocol version" in weak
    scraped = run(*curl, f"{secured.url}/metrics")
    for line in 'handshakes_total{outcome="plain"} 2.0', 'handshakes_total{outcome="failed"} 1.0':
        assert f"gossipd_tls_{line}" in scraped
    (ends,) = (line for line in scraped.splitlines() if line.startswith("gossipd_tls_cert"))
    assert 89 < (float(ends.split()[1]) - time.time()) / 86_400 < 91


def test_the_command_line_speaks_it(cluster: Cluster, secured: Secured) -> None:
    secured.start()
    assert secured.cli("increment").stdout == "1\n"
    assert secured.cli("status").stdout.count(secured.url) == 1
    bench = secured.cli("bench", "--requests", "500", "--dialect", "text", "--pipeline", "5")
    assert "yes, on 1 node" in bench.stdout, bench
    with subprocess.Popen(
        (sys.executable, "-m", "gossipd", "watch", "--api", secured.url),
        stdout=subprocess.PIPE, env={**os.environ, "GOSSIPD_CACERT": secured.cacert},
    ) as watching:  # fmt: skip
        assert watching.stdout is not None
        assert b"member\tn1\talive" in watching.stdout.readline()
        watching.terminate()
    doctor = secured.cli("doctor")
    assert f"ok\tnode\t{secured.url}" in doctor.stdout, doctor


def test_what_goes_wrong_is_said_in_words(
    cluster: Cluster, secured: Secured, authority: Authority, tmp_path: Path
) -> None:
    """And never by a traceback; another daemon that is named is asked then."""
    secured.start()
    plain = cluster.start(1)[0]
    node, other = cluster.add(), cluster.add()
    expired = Secured(node, authority, authority.issue("old", node.host, days=-1))
    elsewhere = Secured(other, authority, authority.issue("other", "other.example"))
    for each in expired, elsewhere:
        each.start()
    mine = Authority(tmp_path, "mine")
    at_plain = f"https://{plain.api[0]}:{plain.api[1]}"
    for api, cacert, words in (
        (secured.url, "", "shows a certificate of no CA that is known here: name its file with"),
        (secured.url, str(mine.cert), "shows a certificate of no CA that is known here"),
        (expired.url, secured.cacert, "shows a certificate that has expired"),
        (elsewhere.url, secured.cacert, "shows a certificate for another"),
        (at_plain, secured.cacert, "speaks no TLS: ask for it without https://"),
    ):
        told = secured.node.cli("count", GOSSIPD_API=api, GOSSIPD_CACERT=cacert)
        assert told.returncode == 1
        assert told.stderr.startswith(f"gossipd: {api} {words}"), told
        assert told.stderr.count("\n") == 1, told
    told = secured.node.cli("count", GOSSIPD_API=secured.url.removeprefix("https://"))
    assert told.stderr == "gossipd: this port speaks TLS: ask for https://\n"
    for api, words in (
        (secured.url.removeprefix("https://"), "this port speaks TLS"),
        (expired.url, "shows a certificate that has expired"),
        (at_plain, "speaks no TLS"),
    ):
        told = secured.node.cli("doctor", GOSSIPD_API=api, GOSSIPD_CACERT=secured.cacert)
        assert f"\tthe node here cannot be asked: {words}" in told.stdout, told
    told = secured.node.cli(
        "count", "--api", expired.url, "--api", secured.url, "--cacert", secured.cacert
    )
    assert told.stdout == "0\n", told
    told = secured.cli("count", GOSSIPD_CACERT=str(tmp_path / "none"))
    assert told.stderr == f"gossipd: {tmp_path}/none: No such file or directory\n"
    expired.node.says("has expired")


def test_a_reload_takes_another_pair_for_who_comes(secured: Secured, authority: Authority) -> None:
    secured.start()
    before = secured.served()
    with secured.connect() as old:
        secured.pair.cert.write_bytes(Authority(authority.cert.parent, "b").cert.read_bytes())
        secured.node.send(signal.SIGHUP)
        secured.node.says("is not the key of this certificate; this node goes on with what it had")
        assert secured.served() == before
        alarms = secured.cli("status").stdout
        assert "is not the key of this certificate" in alarms

        authority.issue("node", secured.node.host, days=7)
        secured.node.send(signal.SIGHUP)
        secured.node.says("expires in 7 days")
        secured.node.says("cleared: the certificate cannot be read again")
        assert secured.served() != before
        old.sendall(b"increment\n")
        assert old.recv(10) == b"1\n"
    authority.issue("node", secured.node.host)
    secured.node.send(signal.SIGHUP)
    secured.node.says("cleared: the API's certificate")


@program("curl", "curl")
def test_who_shows_no_certificate_is_not_let_in(
    cluster: Cluster, secured: Secured, authority: Authority, tmp_path: Path
) -> None:
    mine, stranger = authority.issue("mine"), Authority(tmp_path, "strange").issue("stranger")
    secured.start("--api-client-ca", secured.cacert)
    told = secured.cli("count")
    assert (
        told.stderr
        == f"gossipd: {secured.url} asks for a client's certificate: name it with --cert\n"
    )
    shown = ("--cert", str(stranger.cert), "--cert-key", str(stranger.key))
    assert (
        "does not know the CA of this client's certificate" in secured.cli("count", *shown).stderr
    )
    assert "alert certificate required" in run(
        "curl", "-sS", "--cacert", secured.cacert, secured.url
    )
    shown = ("--cert", str(mine.cert), "--cert-key", str(mine.key))
    assert secured.cli("increment", *shown, "--key", "order 17").stdout == "1\n"
    variables = {"GOSSIPD_CERT": str(mine.cert), "GOSSIPD_CERT_KEY": str(mine.key)}
    assert secured.cli("count", **variables).stdout == "1\n"


def test_who_came_by_a_ca_that_is_removed_has_to_go(
    secured: Secured, authority: Authority, tmp_path: Path
) -> None:
    """And whoever is in the middle of a handshake. One that is added ends nothing."""
    second, third = Authority(tmp_path, "second"), Authority(tmp_path, "third")
    cas, pairs = tmp_path / "cas.pem", (authority.issue("one"), second.issue("two"))

    def connect(pair: Pair) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=secured.cacert)
        context.load_cert_chain(pair.cert, pair.key)
        connection = socket.create_connection(secured.node.api, 10)
        return context.wrap_socket(connection, server_hostname=secured.node.api[0])

    def trust(*trusted: Authority) -> None:
        cas.write_bytes(b"# one of us\n".join(each.cert.read_bytes() for each in trusted))

    trust(authority, second)
    secured.start("--api-client-ca", str(cas))
    with connect(pairs[0]) as text, connect(pairs[0]) as events:
        trust(authority, second, third)
        secured.node.send(signal.SIGHUP)
        secured.node.says("read the certificate again")
        text.sendall(b"increment\n")
        assert text.recv(100) == b"1\n"
        events.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in events.recv(4096)
        with socket.create_connection(secured.node.api, 10) as half_open:
            half_open.sendall(hello())
            assert half_open.recv(1) == b"\x16"
            trust(second, third)
            secured.node.send(signal.SIGHUP)
            assert text.recv(100) == b""
            rest = b"".join(iter(lambda: events.recv(4096), b""))
            assert b"the CAs of clients have changed" in rest
            while _more(half_open):
                pass
    with connect(pairs[1]) as text:
        text.sendall(b"increment\n")
        assert text.recv(100) == b"2\n"
    with pytest.raises(ssl.SSLError), connect(pairs[0]) as text:
        text.recv(100)


def _more(connection: socket.socket) -> bytes:
    try:
        return connection.recv(4096)
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ("locked", "is encrypted, and nobody is there to be asked for a password"),
        ("shared", "others may use it (mode 0644); run: chmod 600"),
        ("other", "is not the key of this certificate"),
        ("none", "cannot be read: No such file or directory"),
        ("text", "no certificate in it (PEM)"),
    ],
)
def test_a_pair_that_is_of_no_use_is_told_in_a_line(
    cluster: Cluster, authority: Authority, files: str, words: str
) -> None:
    node, pair = cluster.add(), authority.issue("pair", password=b"secret" * (files == "locked"))
    match files:
        case "shared":
            pair.key.chmod(0o644)
        case "other":
            shutil.copy(authority.issue("another").key, pair.key)
        case "none":
            pair.key.unlink()
        case "text":
            pair.cert.write_text("hello")
    node.start(*pair.options)
    assert node.ended() == 1
    at = pair.cert if files == "text" else pair.key
    assert node.log.startswith(f"gossipd: {at}: {words}")
    assert node.log.count("\n") == 1


def hello() -> bytes:
    """How a client begins, ready to be sent as often as one likes: what it costs is the port's."""
    outgoing = ssl.MemoryBIO()
    session = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="a")
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


def test_a_flood_of_handshakes_stops_neither_gossip_nor_counting(
    cluster: Cluster, authority: Authority
) -> None:
    """None of these is gone on with; those that have begun first give way."""
    (other,), node = cluster.start(1), cluster.add()
    secured = Secured(node, authority, authority.issue("rsa", node.host, with_rsa=True))
    node.start(*secured.pair.options, join=[other])
    see([other], node.name, "alive", 20)
    said, until_then, begun = hello(), time.monotonic() + effort(3, 4), 0
    half_open: deque[socket.socket] = deque()
    while time.monotonic() < until_then:
        for _ in range(50):
            client = socket.create_connection(node.api, 10)
            client.sendall(said)
            half_open.append(client)
            begun += 1
        while len(half_open) > 400:
            half_open.popleft().close()
        assert other.states()[node.name] != "failed"
    assert secured.cli("increment").stdout == "1\n"
    assert begun > 200
    for client in half_open:
        client.close()
    see([other], node.name, "alive", 20)
    assert "is failed" not in other.log
