"""Every answer is counted once: by dialect, call and status, whatever was wrong."""

from __future__ import annotations

from gossipd.sideport.port import SidePort

from .fake import Client, FakeBackend

INCR = b"*2\r\n$4\r\nINCR\r\n$1\r\nx\r\n"
GET = b"*2\r\n$3\r\nGET\r\n$1\r\nx\r\n"


def answered(port: SidePort, dialect: str) -> dict[tuple[str, str], int]:
    """Answers by call and status, without those that there are none of."""
    return {
        (call, status): count
        for (spoken, call, status), count in port.answered
        if spoken == dialect and count
    }


async def test_over_http(port: SidePort, client: Client, backend: FakeBackend) -> None:
    for _ in range(3):  # from the second one on it is not parsed
        await client.request("POST", "/increment")
    await client.request("POST", "/increment?by=0")
    await client.request("GET", "/members")
    await client.request("HEAD", "/health")
    await client.request("OPTIONS", "/count")
    await client.request("OPTIONS", "/nothing")
    await client.request("GET", "/nothing")
    await client.request("DELETE", "/count")
    await client.request("POST", "/leave", b"")
    await client.request("POST", "/increments", b'{"by": 0}\n{}\n')
    backend.reason = "not yet"
    await client.request("GET", "/count")
    await client.send(b"GET / HTTP/9.9\r\n\r\n")
    await client.response()
    assert answered(port, "http") == {
        ("increment", "200"): 3,
        ("increment", "400"): 1,
        ("members", "200"): 1,
        ("health", "200"): 1,
        ("options", "204"): 1,
        ("options", "404"): 1,
        ("unknown", "404"): 1,
        ("unknown", "405"): 1,
        ("leave", "202"): 1,
        ("increments", "200"): 1,
        ("count", "503"): 1,
        ("unknown", "400"): 1,
    }


async def test_in_text(port: SidePort, client: Client, backend: FakeBackend) -> None:
    await client.send(b"increment x\n" * 3 + b"increment x 0\nlaunch\nping\n")
    for _ in range(6):
        await client.line()
    backend.reason = "not yet"
    await client.send(b"count x\n")
    await client.line()
    assert answered(port, "text") == {
        ("increment", "200"): 3,
        ("increment", "400"): 1,
        ("unknown", "400"): 1,
        ("ping", "200"): 1,
        ("count", "503"): 1,
    }


async def test_in_resp(port: SidePort, client: Client, backend: FakeBackend) -> None:
    for _ in range(3):  # the last time it is found by its bytes
        await client.send(INCR * 2 + GET)
        for line in b":", b":", b"$", b"":
            assert (await client.line()).encode().startswith(line)
    await client.send(b"*1\r\n$3\r\nGET\r\n*2\r\n$3\r\nSET\r\n$1\r\nx\r\n")
    for _ in range(2):
        assert (await client.line()).startswith("-ERR")
    backend.reason = "not yet"
    await client.send(GET)
    assert (await client.line()).startswith("-UNAVAILABLE")
    await client.send(b"*x\r\n")
    await client.line()
    assert answered(port, "resp") == {
        ("increment", "200"): 6,
        ("get", "200"): 3,
        ("get", "400"): 1,
        ("get", "503"): 1,
        ("unknown", "400"): 2,
    }


async def test_connections_are_counted(port: SidePort, client: Client) -> None:
    await client.request("GET", "/health")
    assert (port.accepted_count, port.refused_count) == (1, 0)
