"""What begins like another protocol: refused at once in its own words, and nothing is run."""

from __future__ import annotations

import pytest

from gossipd.sideport.protocols import NOT_RESP

from .fake import Client, FakeBackend

ERROR = b"error: this port speaks HTTP/1.1, RESP (Redis) and lines of text, not "
TLS = bytes.fromhex("16030100f1010000ed0303")


@pytest.mark.parametrize("data", [b"*1\r\nincrement\r\n", b"*0\r\nincrement\r\n", b"*\r\n"])
async def test_redis_is_told_in_its_words_and_nothing_is_run(
    client: Client, backend: FakeBackend, data: bytes
) -> None:
    await client.send(data + b"increment\n")
    answer = await client.rest()
    assert answer.startswith(b"-ERR Protocol error: ")
    assert answer.count(b"\n") == 1
    assert backend.started == []


async def test_a_string_of_redis_begins_nothing(client: Client, backend: FakeBackend) -> None:
    await client.send(b"$9\r\nincrement\r\n")
    answer = await client.rest()
    assert answer == NOT_RESP
    assert NOT_RESP.startswith(b"-ERR ")
    assert NOT_RESP.endswith(b"\r\n")
    assert backend.started == []


@pytest.mark.parametrize("first", [b"ping\n", b"ping\nping\n"])
async def test_redis_behind_a_good_line_is_no_command_either(
    client: Client, backend: FakeBackend, first: bytes
) -> None:
    await client.send(first + b"$9\r\nincrement\r\nincrement\n")
    assert await client.rest() == first.replace(b"ping", b"pong") + NOT_RESP
    assert backend.started == []


async def test_tls_gets_an_alert(client: Client) -> None:
    await client.send(TLS)
    alert = await client.rest()
    content, level, description = alert[0], alert[5], alert[6]
    assert (content, level, description) == (21, 2, 70)  # alert, fatal, protocol_version
    assert len(alert) == 5 + int.from_bytes(alert[3:5])


async def test_http_2_is_told_to_use_http_1_1(client: Client, backend: FakeBackend) -> None:
    post = b"POST /increment HTTP/1.1\r\nHost: a\r\n\r\n"
    await client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9) + post)
    answer = await client.rest()
    size, frame = int.from_bytes(answer[:3]), answer[3]
    assert (size, frame) == (0, 4)  # SETTINGS comes first
    goaway = answer[9:]
    assert len(goaway) == 9 + int.from_bytes(goaway[:3])
    assert goaway[3] == 7
    last_stream, error = int.from_bytes(goaway[9:13]), int.from_bytes(goaway[13:17])
    assert (last_stream, error) == (0, 13)  # HTTP_1_1_REQUIRED
    assert backend.started == []


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", b"SSH"),
        (b"PROXY TCP4 10.0.0.1 10.0.0.2 5 6\r\nincrement\r\n", b"the PROXY protocol"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", b"binary"),
        (b"\xef\xbb\xbfincrement\n", b"text with a byte order mark in front"),
        ("increment\n".encode("utf-16"), b"UTF-16"),
        ("increment\n".encode("utf-16-le"), b"UTF-16"),
        ("increment\n".encode("utf-16-be"), b"UTF-16"),
        (b"\0\0\0\x08\x04\xd2\x16\x2f", b"binary"),
        (b"\x10\x1b\0\x04MQTT", b"binary"),
        (b"AMQP\0\0\x09\x01", b"binary"),
        (b"\x80\x2e\x01\0\x02", b"binary"),
        (b"ping\0\n", b"binary"),
        (b"increment\rincrement\r", b"binary"),
    ],
)
async def test_what_is_no_text_line_is_refused_at_once(
    client: Client, backend: FakeBackend, data: bytes, what: bytes
) -> None:
    await client.send(data)
    assert await client.rest() == ERROR + what + b"\n"
    assert backend.started == []


@pytest.mark.parametrize("data", [b"\x16", b"\xff\xfe", b"SSH-", b"\x01"])
async def test_one_packet_byte_by_byte_is_told_the_same(client: Client, data: bytes) -> None:
    for byte in data:
        await client.send(bytes([byte]))
    assert await client.rest() != b""


@pytest.mark.parametrize("line", [b"PRINT", b"PROXY", b"SSH", b"increment a\x07", b"\tlaunch"])
async def test_a_line_of_text_is_none_of_them(client: Client, line: bytes) -> None:
    await client.send(line + b"\n")
    answer = await client.line()
    assert answer.startswith("error: ")
    assert not answer.startswith(ERROR.decode())
