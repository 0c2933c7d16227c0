"""Tokens on a real node: who shows which may do what, in whatever language, and until when."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner

from gossipd.bench.dialects import DIALECTS
from gossipd.cli import gossipd
from gossipd.config.tokens import digest_of
from tests.e2e import namespaces
from tests.e2e.bounds import crowding
from tests.e2e.cluster import Cluster
from tests.e2e.node import Node, until
from tests.e2e.node import gossipd as gossipd_of
from tests.e2e.programs import program
from tests.e2e.test_redis import DEBIAN_MODULES, SCRIPT, WITHIN, client_of, run

READ, WRITE, JOBS, ADMIN = (secrets.token_hex(16) for _ in range(4))

SHOW = "name the file of one with --token-file or GOSSIPD_TOKEN_FILE"

FILE = f"""\
# tokens of the test
read {READ}
write {WRITE}
write sha256:{digest_of(JOBS.encode()).hex()} prefix=jobs.
admin {ADMIN}
"""


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.touch(0o600)
    path.write_text(FILE)
    return path


@pytest.fixture
def guarded(cluster: Cluster, tokens: Path) -> Node:
    node = cluster.add()
    node.start("--tokens", str(tokens))
    until(lambda: node.ready, 20, "it is ready")
    return node


def status(node: Node, token: str, method: str = "POST", path: str = "/increment") -> int:
    node.token = token
    return node.ask(method, path).status


@pytest.mark.fresh  # its command line is looked at
def test_rights_hold_until_the_file_says_otherwise(guarded: Node, tokens: Path) -> None:
    assert status(guarded, "", "GET", "/count") == 401
    assert status(guarded, "0" * 32, "GET", "/count") == 401
    assert status(guarded, READ, "GET", "/count") == 200
    assert status(guarded, READ) == 403
    assert [status(guarded, WRITE) for _ in range(3)] == [200] * 3
    assert status(guarded, JOBS) == 403
    assert status(guarded, JOBS, path="/increment?counter=jobs.a") == 200
    assert status(guarded, WRITE, path="/leave") == 403
    assert status(guarded, WRITE, path="/increment?counter=hidden&key=order") == 200
    guarded.token = JOBS
    told = guarded.ask("POST", "/increment?counter=jobs.a&key=order")
    assert (told.status, "hidden" in str(told.data)) == (422, False)
    assert guarded.ask("GET", "/increments?key=order").status == 404
    with guarded.connect() as session, guarded.connect() as watcher:
        session.sendall(b"auth %b\nincrement\n" % WRITE.encode())
        watcher.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ")
        watcher.sendall(WRITE.encode() + b"\r\n\r\n")
        until(lambda: "default\t4" in guarded.text(f"auth {READ}", "counters"), 10, "it counted")
        tokens.write_text(FILE.replace(f"write {WRITE}\n", ""))
        guarded.send(signal.SIGHUP)
        guarded.says(f"reload: read the tokens again: {tokens}")
        assert b"".join(iter(lambda: session.recv(4096), b"")) == b"ok\n4\n"
        rest = b"".join(iter(lambda: watcher.recv(4096), b""))
        assert b"its token is not valid any more" in rest
    assert status(guarded, WRITE) == 401
    tokens.write_text("read x\n")
    guarded.send(signal.SIGHUP)
    complaint = f"the tokens cannot be read again: {tokens}: line 1: a token has"
    guarded.says(f"reload: {complaint}")
    guarded.token = READ
    (alarm,) = guarded.status()["alarms"]
    assert alarm.startswith(complaint)
    told = guarded.get("/metrics")
    assert 'call="increment",dialect="http",status="401"' in told
    assert 'call="increment",dialect="http",status="403"' in told
    assert guarded.text(f"auth {ADMIN}", "status")[0] == "ok"
    known = guarded.log + json.dumps(guarded.get("/status")) + told
    command = Path(f"/proc/{guarded.process.pid}/cmdline").read_text()
    assert not [token for token in (READ, WRITE, JOBS, ADMIN) if token in known + command]
    assert status(guarded, ADMIN, path="/leave") == 202
    assert guarded.ended() == 0


@pytest.mark.parametrize(
    ("mode", "text", "why"),
    [
        (0o644, FILE, "others may use it (mode 0644); run: chmod 600"),
        (0o600, f"root {READ}\n", "line 1: expected one of read TOKEN, write TOKEN, admin TOKEN"),
    ],
    ids=["mode", "right"],
)
def test_a_node_does_not_start_with_tokens_that_are_none(
    cluster: Cluster, tokens: Path, mode: int, text: str, why: str
) -> None:
    tokens.write_text(text)
    tokens.chmod(mode)
    node = cluster.add()
    node.start("--tokens", str(tokens))
    assert node.ended() == 1
    assert node.log.startswith(f"gossipd: {tokens}: {why}")
    assert READ not in node.log


def test_a_credential_of_systemd_is_the_file_of_tokens(cluster: Cluster, tokens: Path) -> None:
    node = cluster.add()
    node.start(CREDENTIALS_DIRECTORY=str(tokens.parent))
    until(lambda: node.ready, 20, "it is ready")
    assert status(node, "", "GET", "/count") == 401
    assert status(node, READ, "GET", "/count") == 200


@pytest.mark.skipif(bool(namespaces.why_none()), reason=namespaces.why_none())
def test_a_name_that_others_reach_needs_tokens_or_has_to_be_meant(
    cluster: Cluster, tokens: Path
) -> None:
    """It is looked at where it is bound: here, which name is whose is not known before."""
    with namespaces.Network(1) as network:
        namespace, address = network.hosts[0], network.address(0)
        namespace.file("hosts", f"127.0.0.1 localhost\n{address} outside\n")
        namespace.file("nsswitch.conf", "hosts: files\n")
        node = cluster.add(host=address, namespace=namespace)
        api = ("run", "--in-memory", "--bind", "127.0.0.1:7946", "--api", "outside:7947")
        node.start_as(*api)
        assert node.ended() == 1
        said = (
            f"gossipd: the API at {address}:7947 is reached from other hosts, where anybody could"
        )
        assert node.log.startswith(said)
        node.api = (address, 7947)
        for more in (("--insecure-api",), ("--tokens", str(tokens))):
            node.start_as(*api, *more)
            until(lambda: node.ready, 20, "it is ready")
            is_open = more[1:] == ()
            assert node.ask("GET", "/count").status == (200 if is_open else 401)
            told = f"whoever reaches the API at {address}:7947 may do all: it asks for no tokens"
            node.says('msg="ready"')  # which comes later
            assert (told in node.log) is is_open
            node.kill()
        cluster.close()


def test_redis_py_shows_a_token_as_its_password(guarded: Node) -> None:
    for version in (2, 3):
        with client_of(guarded, password=WRITE, protocol=version) as client:
            assert client.incr("a") == version - 1
    with client_of(guarded, username="till", password=JOBS) as client:
        assert client.incr("jobs.a") == 1
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.incr("a")
        assert client.keys("*") == ["jobs.a"]
    with client_of(guarded) as client, pytest.raises(redis.AuthenticationError):
        client.get("a")
    with client_of(guarded, password="0" * 32) as client, pytest.raises(redis.AuthenticationError):
        client.get("a")


@program("redis-cli", "redis-tools")
def test_redis_cli_shows_a_token_as_its_password(guarded: Node) -> None:
    assert run(guarded, "redis-cli", "--no-auth-warning", "-a", WRITE, "incr", "a") == "1\n"
    assert "NOAUTH" in run(guarded, "redis-cli", "incr", "a")
    assert "NOPERM" in run(guarded, "redis-cli", "--no-auth-warning", "-a", READ, "incr", "a")
    with pytest.raises(AssertionError, match="AUTH failed: WRONGPASS no such token"):
        run(guarded, "redis-cli", "--no-auth-warning", "-a", "0" * 32, "incr", "a")
    pipelined = ("-t", "incr", "-c", "8", "-q", "-n", "2000", "-P", "16", "-a", WRITE)
    assert "requests per second" in run(guarded, "redis-benchmark", *pipelined)


@program("node", "nodejs")
def test_node_redis_shows_a_token_as_its_password(guarded: Node) -> None:
    modules = os.environ.get("NODE_PATH", DEBIAN_MODULES)
    if not Path(modules, "redis").exists():
        pytest.skip("needs node-redis")
    host, port = guarded.api
    for token, good in ((WRITE, True), ("0" * 32, False)):
        done = subprocess.run(
            ("node", str(SCRIPT), f":{token}@{host}:{port}"),
            env={**os.environ, "NODE_PATH": modules},
            capture_output=True,
            text=True,
            check=False,
            timeout=WITHIN * crowding(),
        )
        assert (done.returncode == 0) is good, done.stderr
        assert good or "WRONGPASS no such token" in done.stderr


def test_who_may_open_a_unix_socket_needs_no_token(cluster: Cluster, tokens: Path) -> None:
    node, path = cluster.add(), tokens.with_name("api.sock")
    host, port = node.api
    node.start("--tokens", str(tokens), "--api", f"{host}:{port}", "--api", f"unix:{path}")
    until(lambda: node.ready, 20, "it is ready")
    with socket.socket(socket.AF_UNIX) as inside, node.connect() as outside:
        inside.connect(str(path))
        for connection, answer in ((inside, b"1\n"), (outside, b"error: a token is needed")):
            connection.sendall(b"increment\n")
            assert connection.recv(100).startswith(answer)
        tokens.write_text(f"read {READ}\n")
        node.send(signal.SIGHUP)
        node.says("reload: read the tokens again")
        inside.sendall(b"increment\n")
        assert inside.recv(100) == b"2\n"


def test_who_changes_the_node_is_told_in_its_log(cluster: Cluster, tokens: Path) -> None:
    node, path = cluster.add(), tokens.with_name("api.sock")
    host, port = node.api
    node.start("--tokens", str(tokens), "--api", f"{host}:{port}", "--api", f"unix:{path}")
    until(lambda: node.ready, 20, "it is ready")
    node.token = ADMIN
    who = "by 127.0.0.1 with token 4 of the file"
    for call, body, words in (
        ("/join", {"peers": ["127.0.0.1:1"]}, "join ['127.0.0.1:1']"),
        ("/forget", {"name": "nobody"}, "forget 'nobody'"),
        ("/reload", None, "reload"),
    ):
        node.ask("POST", call, body)
        node.says(f'level=info msg="asked to {words} {who}"')
    node.says("reload: read the configuration again")
    assert "SIGHUP" not in node.log
    assert status(node, WRITE, path="/leave") == 403
    by_socket = gossipd_of("leave", GOSSIPD_API=f"unix:{path}")
    assert by_socket.returncode == 0, by_socket
    node.says(f'msg="asked to leave by user {os.getuid()}"')
    assert node.log.count("asked to ") == 4
    assert not any(token in node.log for token in (ADMIN, WRITE))


def test_every_command_that_asks_a_node_shows_the_token_of_a_file(
    guarded: Node, tmp_path: Path
) -> None:
    host, port = guarded.api
    secret = tmp_path / "mine"
    secret.touch(0o600)
    secret.write_text(f"{ADMIN}\n")
    (lines := tmp_path / "lines").write_text('{"counter": "a"}\n')

    def called(*arguments: str, **variables: str) -> tuple[int, str]:
        variables["GOSSIPD_API"] = f"{host}:{port}"
        result = CliRunner().invoke(gossipd, arguments, env=variables)
        return result.exit_code, result.stderr if result.exit_code else result.stdout

    shown = ("--token-file", str(secret))
    for arguments in (
        ("increment", "a"), ("increment", "--batch", str(lines)), ("count", "a"), ("counters",),
        ("members",), ("peers",), ("status",), ("log",), ("explain", "n1"), ("doctor",),
        ("join", guarded.address),
        *(("bench", "--requests", "64", "--dialect", dialect) for dialect in DIALECTS),
    ):  # fmt: skip
        code, output = called(*arguments)
        if arguments != ("doctor",):
            certain = "; nothing was counted" if "--batch" in arguments else ""
            assert output == f"gossipd: the daemon asks for a token: {SHOW}{certain}\n"
        assert code == 1
        code, output = called(*arguments, *shown)
        assert code == 0 or "this is the node itself" in output, (arguments, output)
    assert called("count", "a", GOSSIPD_TOKEN_FILE=str(secret))[0] == 0
    assert called("count", "a", GOSSIPD_TOKEN=f"{READ}\n")[0] == 0
    code, output = called("increment", "a", GOSSIPD_TOKEN=READ)
    assert (code, output) == (1, "gossipd: this needs a token for write, and yours is for read\n")
    code, output = called("count", GOSSIPD_TOKEN="0" * 32)
    assert (code, output) == (1, f"gossipd: the daemon knows no such token: {SHOW}\n")
    secret.write_text(f"{ADMIN}\n{READ}\n")
    expected = f"gossipd: {secret}: expected one token, and nothing else\n"
    assert called("count", *shown) == (2, expected)
    secret.write_text("\n")
    assert called("count", *shown) == (2, f"gossipd: {secret}: holds no token\n")
    secret.chmod(0o640)
    os.chown(secret, 1, -1)
    assert "others may use it" in called("count", *shown)[1]
