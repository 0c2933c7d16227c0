"""Handshakes, and what is told of the node and of the commands."""

from __future__ import annotations

import pytest

from gossipd.sideport.port import SidePort
from gossipd.sideport.resp.commands import COMMANDS
from gossipd.sideport.resp.refusals import REASONS

from ..conftest import Connect
from ..fake import Client, FakeBackend, until
from .talk import Answer, Failure, ask, heard, said

HELLO = {
    "server": "gossipd", "version": "7.2.0", "mode": "standalone", "role": "master", "modules": [],
}  # fmt: skip


async def test_hello_sets_the_version(client: Client) -> None:
    flat = await ask(client, "HELLO")
    assert isinstance(flat, list)
    assert flat[:6] == ["server", "gossipd", "version", "7.2.0", "proto", 2]
    assert await ask(client, "GET", "a") is None
    await client.send(said("GET", "a"))
    assert await client.line() == "$-1\r"
    answer = await ask(client, "HELLO", "3", "SETNAME", "me", "AUTH", "default", "any")
    assert isinstance(answer, dict)
    number = answer.pop("id")
    assert answer == {**HELLO, "proto": 3}
    assert await ask(client, "CLIENT", "ID") == number
    assert await ask(client, "CLIENT", "GETNAME") == "me"
    await client.send(said("GET", "a") + said("MGET", "a"))
    assert [await client.line() for _ in range(3)] == ["_\r", "*1\r", "_\r"]
    assert isinstance(await ask(client, "HELLO"), dict)
    assert await ask(client, "RESET") == "RESET"
    assert isinstance(await ask(client, "HELLO"), list)
    assert await ask(client, "CLIENT", "GETNAME") is None


async def test_answers_before_hello_are_in_the_version_before(
    client: Client, backend: FakeBackend
) -> None:
    backend.paused = True
    await client.send(said("INCR", "a") + said("GET", "b") + said("HELLO", "3") + said("GET", "b"))
    await until(lambda: len(backend.waiting) == 1)
    backend.commit()
    assert await heard(client) == 1
    assert await client.line() == "$-1\r"
    assert isinstance(await heard(client), dict)
    assert await client.line() == "_\r"


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("4",), "NOPROTO unsupported protocol version"),
        (("x",), "ERR Protocol version is not an integer or out of range"),
        (
            ("3", "AUTH", "root", "x"),
            "WRONGPASS invalid username-password pair or user is disabled.",
        ),
        (("3", "AUTH", "default"), "ERR Syntax error in HELLO option 'AUTH'"),
        (("3", "SETNAME", "a b"), "ERR Client names cannot contain spaces, newlines or special"),
        (("3", "SETNAME", "a" * 129), "ERR Client names have at most 128 bytes"),
        (("3", "WHAT"), "ERR Syntax error in HELLO option 'WHAT'"),
    ],
)
async def test_a_hello_that_is_wrong_changes_nothing(
    client: Client, words: tuple[str, ...], wrong: str
) -> None:
    answer = await ask(client, "HELLO", *words)
    assert isinstance(answer, Failure)
    assert answer.startswith(wrong)
    assert isinstance(await ask(client, "HELLO"), list)
    assert await ask(client, "CLIENT", "GETNAME") is None


async def test_there_are_no_passwords(client: Client) -> None:
    assert str(await ask(client, "AUTH", "secret")).startswith(
        "ERR AUTH <password> called without any password configured for the default user."
    )
    assert await ask(client, "AUTH", "default", "secret") == "OK"
    assert str(await ask(client, "AUTH", "root", "secret")).startswith("WRONGPASS ")
    assert await ask(client, "AUTH", "a", "b", "c") == "ERR syntax error"
    assert await ask(client, "INCR", "a") == 1


async def test_there_is_one_database(client: Client) -> None:
    assert await ask(client, "SELECT", "0") == "OK"
    assert str(await ask(client, "SELECT", "1")).startswith("ERR DB index is out of range")
    assert str(await ask(client, "SELECT", "x")).startswith("ERR value is not an integer")


async def test_what_clients_say_of_themselves(connect: Connect) -> None:
    first, second = await connect(), await connect()
    assert await ask(first, "CLIENT", "ID") != await ask(second, "CLIENT", "ID")
    assert await ask(first, "CLIENT", "SETNAME", "me") == "OK"
    assert await ask(first, "CLIENT", "SETINFO", "LIB-NAME", "redis-py") == "OK"
    assert await ask(first, "CLIENT", "setinfo", "lib-ver", "8.1.0") == "OK"
    assert await ask(first, "CLIENT", "NO-EVICT", "on") == "OK"
    info = str(await ask(first, "CLIENT", "INFO"))
    assert info.endswith(" name=me db=0 resp=2 lib-name=redis-py lib-ver=8.1.0\n")
    assert await ask(first, "CLIENT", "SETNAME", "") == "OK"
    assert await ask(first, "CLIENT", "GETNAME") is None
    for words, wrong in (
        (("SETINFO", "LIB-X", "a"), "ERR Unrecognized option 'lib-x'"),
        (("SETINFO", "LIB-VER", "a b"), "ERR lib-ver cannot contain spaces"),
        (("SETNAME",), "ERR wrong number of arguments for 'client|setname' command"),
        (("TRACKING", "ON"), "ERR no 'client tracking' here: "),
        (("REPLY", "OFF"), "ERR no 'client reply' here: every command is answered"),
        (("MAINT_NOTIFICATIONS", "ON", "moving-endpoint-type", "none"), "ERR no 'client maint_"),
        (("KILL", "x"), "ERR unknown subcommand 'KILL'; CLIENT has ID, "),
    ):
        assert str(await ask(first, "CLIENT", *words)).startswith(wrong), words


async def test_what_is_said_is_said_back(client: Client) -> None:
    assert await ask(client, "PING") == "PONG"
    assert await ask(client, "PING", "a b") == "a b"
    assert "wrong number" in str(await ask(client, "PING", "a", "b"))
    await client.send(said("ECHO", b"\0\xff\r\n"))
    assert await client.reader.readexactly(10) == b"$4\r\n\0\xff\r\n\r\n"


async def test_what_a_counter_cannot_do_is_told_and_it_goes_on(client: Client) -> None:
    for name, reason in REASONS.items():
        answer = await ask(client, name.lower(), "a", "1")
        assert isinstance(answer, Failure)
        assert answer == f"ERR no '{name.lower()}' here: {reason}"
        if name == "MULTI":
            await ask(client, "EXEC")  # all that follows it is refused
    assert await ask(client, "INCR", "a") == 1


def test_what_is_refused_is_not_there() -> None:
    assert not REASONS.keys() & COMMANDS.keys()


async def test_an_unknown_command_is_named_as_in_redis(client: Client) -> None:
    assert await ask(client, "FOO", "a b", "c") == (
        "ERR unknown command 'FOO', with args beginning with: 'a b' 'c'"
    )
    long = str(await ask(client, b"x\r\n\xff" + b"y" * 500, "z" * 500, "z"))
    assert long.startswith("ERR unknown command 'x??\ufffdy")
    assert len(long) < 400


async def test_settings_are_told_as_redis_has_them(client: Client) -> None:
    assert await ask(client, "CONFIG", "GET", "save") == ["save", ""]
    assert await ask(client, "CONFIG", "GET", "appendonly") == ["appendonly", "no"]
    several = await ask(client, "config", "get", "MAX*", "databases")
    assert several == ["databases", "1", "maxclients", "4096", "maxmemory", "0"]
    assert await ask(client, "CONFIG", "GET", "nothing") == []
    assert "wrong number" in str(await ask(client, "CONFIG", "GET"))
    assert "cannot be changed" in str(await ask(client, "CONFIG", "SET", "save", ""))


async def test_info_tells_figures_in_sections(
    client: Client, backend: FakeBackend, port: SidePort
) -> None:
    backend.values = {"a": 1, "b": 2}
    text = str(await ask(client, "INFO"))
    parts = {
        part.splitlines()[0]: dict(line.split(":", 1) for line in part.splitlines()[1:])
        for part in text.split("\r\n\r\n")
    }
    assert list(parts) == [
        "# Server", "# Clients", "# Memory", "# Persistence", "# Replication", "# Cpu",
        "# Cluster", "# Keyspace", "# Gossipd",
    ]  # fmt: skip
    assert parts["# Server"]["tcp_port"] == str(port.addresses[0][1])
    assert parts["# Server"]["redis_version"] == "7.2.0"
    assert parts["# Clients"]["connected_clients"] == "1"
    assert int(parts["# Memory"]["used_memory"]) > 1_000_000
    assert parts["# Persistence"] == {"loading": "0", "aof_enabled": "0"}
    assert parts["# Replication"] == {"role": "master", "connected_slaves": "2"}
    assert parts["# Keyspace"] == {"db0": "keys=2,expires=0,avg_ttl=0"}
    assert parts["# Gossipd"] == {"name": "n1", "ready": "1", "members_alive": "1"}
    assert await ask(client, "INFO", "ALL") != ""
    some = str(await ask(client, "INFO", "keyspace", "CLUSTER", "what"))
    assert some.startswith("# Cluster\r\ncluster_enabled:0\r\n\r\n# Keyspace\r\ndb0:")
    assert await ask(client, "INFO", "what") == ""
    backend.values = {}
    assert await ask(client, "INFO", "keyspace") == "# Keyspace\r\n"


def by_name(answer: Answer) -> dict[str, list[Answer]]:
    assert isinstance(answer, list)
    found = {}
    for row in answer:
        assert isinstance(row, list)
        found[str(row[0])] = row[1:]
    return found


async def test_commands_are_described(client: Client) -> None:
    assert await ask(client, "COMMAND", "COUNT") == len(COMMANDS)
    assert await ask(client, "COMMAND", "LIST") == [name.lower() for name in COMMANDS]
    rows = by_name(await ask(client, "COMMAND"))
    assert len(rows) == len(COMMANDS)
    assert rows["incr"][:5] == [2, ["write", "denyoom", "fast"], 1, 1, 1]
    assert rows["mget"][2:5] == [1, -1, 1]
    assert rows["info"][2:5] == [0, 0, 0]
    assert by_name(await ask(client, "COMMAND", "INFO", "GET")) == {"get": rows["get"]}
    assert await ask(client, "COMMAND", "INFO", "what") == [None]
    for words in (("COUNT", "x"), ("LIST", "x")):
        assert "wrong number of arguments for 'command|" in str(
            await ask(client, "COMMAND", *words)
        )
    assert "unknown subcommand" in str(await ask(client, "COMMAND", "what"))


async def test_commands_are_documented(client: Client) -> None:
    await ask(client, "HELLO", "3")
    documents = await ask(client, "COMMAND", "DOCS")
    assert isinstance(documents, dict)
    assert len(documents) == len(COMMANDS)
    some = await ask(client, "COMMAND", "DOCS", "scan", "what")
    assert isinstance(some, dict)
    assert some == {"scan": documents["scan"]}
    scan = some["scan"]
    assert isinstance(scan, dict)
    assert scan["since"] == "2.8.0"
    arguments = scan["arguments"]
    assert isinstance(arguments, list)
    assert arguments[1] == {
        "name": "pattern", "type": "pattern", "token": "MATCH", "flags": ["optional"],
    }  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
async def test_every_command_answers_whatever_it_is_given(client: Client, name: str) -> None:
    if name == "QUIT":
        return
    for count in range(6):
        for word in ("", "0", "x", "GET", "HELLO"):
            answer = await ask(client, name, *[word] * count)
            assert not (isinstance(answer, Failure) and "internal error" in answer), (count, word)
    assert await ask(client, "ECHO", "still here") == "still here"
