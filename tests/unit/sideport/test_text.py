"""The text dialect, command by command."""

from __future__ import annotations

from uuid import UUID

import pytest

from gossipd.core import Refused, Why
from gossipd.sideport.limits import Limits
from gossipd.sideport.validation import key

from .fake import (
    KEY,
    Client,
    FakeBackend,
    increment_id,
    until,
)


async def test_what_the_manual_pipes_through_netcat_works(client: Client) -> None:
    await client.send(b"increment\ncount\n")
    client.half_close()
    assert await client.rest() == b"1\n1\n"


@pytest.mark.parametrize(
    ("line", "started"),
    [
        ("increment", ("default", 1)),
        ("INCREMENT hits", ("hits", 1)),
        ("increment 5", ("5", 1)),
        ("Increment hits -2", ("hits", -2)),
        ("increment hits +2\r", ("hits", 2)),
        ('\tincrement  "two words"   3 ', ("two words", 3)),
        (r'increment "a \"b\" \\"', ('a "b" \\', 1)),
        ('increment a"b', ('a"b', 1)),
        ("increment é", ("é", 1)),
        ("increment a=b", ("a=b", 1)),
        ('increment "ack=2"', ("ack=2", 1)),
        (f"increment key={KEY}", ("default", 1)),
        (f"increment key={KEY} hits timeout=2s 3", ("hits", 3)),
    ],
)
async def test_an_increment_answers_the_count(
    client: Client, backend: FakeBackend, line: str, started: tuple[str, int]
) -> None:
    await client.send(f"{line}\n".encode())
    assert await client.line() == str(started[1])
    assert backend.started == [started]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"increment x 0", "must not be 0"),
        (b"increment x 1.5", "must be an integer"),
        (b"increment x x", "must be an integer"),
        (b"increment x 1180591620717411303424", "within -2^53 and 2^53"),
        (b"increment x 1 2", "usage: increment [COUNTER] [BY]"),
        (b"increment x 1 ack=2 3", "usage: increment [COUNTER] [BY]"),
        (b"increment ack=x", "ack must be an integer"),
        (b"increment ack=65", "ack must be an integer"),
        (b"increment ack=1 ack=1", "ack= is given twice"),
        (b"increment ack=1 ack_memory=yes", "ack_memory must be true or false"),
        (f"increment key={UUID(int=0)}".encode(), "a field that was never set"),
        (b"increment timeout=1m", "timeout must be"),
        (b"increment after=x", "after= is no option here; usage: increment"),
        (b"count after=x", "an increment id is a UUID"),
        (b"count ack=1", "ack= is no option here; usage: count"),
        (b"ping key=x", "key= is no option here; usage: ping"),
        (b'increment ""', "1 to 128 bytes"),
        (b'increment "a', "quoted name"),
        (b'increment "a"b', "quoted name"),
        (rb'increment "a\n"', "quoted name"),
        (b"increment " + b"x" * 129, "1 to 128 bytes"),
        (b"increment a\x07", "control characters"),
        (b"increment \xff", "must be UTF-8"),
        (b"count a b", "too many arguments"),
        (b"log 0", "limit must be"),
        (b"log x", "limit must be"),
        (b"launch", "unknown command 'launch'"),
        (b"get /count", "unknown command"),
    ],
)
async def test_a_mistake_is_one_line_and_the_next_command_works(
    client: Client, backend: FakeBackend, line: bytes, error: str
) -> None:
    await client.send(b"ping\n" + line + b"\n")
    assert await client.line() == "pong"
    answer = await client.line()
    assert answer.startswith("error: ")
    assert error in answer
    await client.send(b"ping\n")
    assert await client.line() == "pong"
    assert backend.started == []


@pytest.mark.parametrize(
    "first",
    [
        b"set a 0 0 9",
        b"EHLO x",
        b"OPTIONS rtsp://a RTSP/1.0\r\n",
        b"~2",
        b'"a',
        b"USER a",
    ],
)
async def test_behind_a_first_line_that_is_no_command_nothing_is_run(
    client: Client, backend: FakeBackend, first: bytes
) -> None:
    await client.send(first + b"\r\nincrement\r\n")
    answer = await client.rest()
    assert (answer[:7], answer.count(b"\n")) == (b"error: ", 1)
    assert backend.started == []


async def test_a_mistake_in_a_first_command_does_not_end_the_connection(client: Client) -> None:
    await client.send(b'"Increment" a 0x1\nping\n')
    assert (await client.line()).startswith("error: by must be")
    assert await client.line() == "pong"


async def test_the_value_of_an_option_may_stand_in_quotes(
    client: Client, backend: FakeBackend
) -> None:
    await client.send(b'increment key="a b"\nincrement key="a\\"b"\nincrement "key=a b"\n')
    assert [await client.line() for _ in range(3)] == ["1", "2", "1"]
    assert backend.keys == [UUID(bytes=key("a b")), UUID(bytes=key('a"b')), None]
    assert backend.started[-1] == ("key=a b", 1)


async def test_a_refused_increment_is_an_error_line(client: Client, backend: FakeBackend) -> None:
    backend.refusal = Refused(Why.CONFLICT, "total out\nof range")
    await client.send(b"increment\nping\n")
    assert await client.line() == "error: total out of range"
    assert await client.line() == "pong"


@pytest.mark.parametrize("text", [f"key={KEY}", f"key={str(KEY).upper()} a 2"])
async def test_an_increment_takes_a_key(client: Client, backend: FakeBackend, text: str) -> None:
    await client.send(f"increment {text}\nincrement\n".encode())
    await client.line()
    await client.line()
    assert backend.keys == [KEY, None]


async def test_an_increment_waits_for_other_nodes(client: Client, backend: FakeBackend) -> None:
    backend.copies = 2
    await client.send(b"increment a 5 ack=2\nincrement ack=3 timeout=500ms\n")
    await client.send(b"increment ack=3 ack_memory=true\nincrement ack=3 ack_memory=false\n")
    assert [await client.line() for _ in range(4)] == [
        "5",
        "error: counted, but only 2 of 3 nodes hold it durably after 0.5s",
        "error: counted, but only 2 of 3 nodes hold it after 2s",
        "error: counted, but only 2 of 3 nodes hold it durably after 2s",
    ]
    assert [memory for _, _, memory, _ in backend.asked] == [False, False, True, False]
    backend.refusal = Refused(Why.CONFLICT, "out of range")
    await client.send(b"increment ack=2\n")
    assert await client.line() == "error: out of range"


async def test_a_count_waits_for_an_increment(client: Client, backend: FakeBackend) -> None:
    backend.values = {"default": 3, "a": 5}
    await client.send(f"count after={increment_id(7)}\n".encode())
    assert await client.line() == "3"
    backend.included_at_once = False
    await client.send(f"count a after={increment_id(7)} timeout=10ms\nping\n".encode())
    assert await client.line() == (
        f"error: increment {increment_id(7)} has not come to this node within 0.01s; "
        "the count without it is 5"
    )
    assert await client.line() == "pong"
    assert [asked[1:] for asked in backend.asked] == [("default", 2.0), ("a", 0.01)]


async def test_names_that_look_like_options_are_listed_in_quotes(
    client: Client, backend: FakeBackend
) -> None:
    backend.values = {"ack=2": 1, "a=b": 2}
    await client.send(b"counters\n")
    assert await client.lines() == ["a=b\t2", '"ack=2"\t1']


async def test_counts_wait_for_a_node_that_catches_up(
    client: Client, backend: FakeBackend
) -> None:
    backend.reason = "not yet"
    await client.send(b"count\ncounters\nincrement\nhealth\n")
    assert await client.line() == "error: catching up: not yet"
    assert await client.line() == "error: catching up: not yet"
    assert await client.line() == "1"
    assert await client.line() == "OK"


async def test_numbers_and_lists_are_answered(client: Client, backend: FakeBackend) -> None:
    backend.values = {"default": 3, "a b": -1}
    await client.send(b'count\ncount "a b"\ncount unknown\n')
    assert [await client.line() for _ in range(3)] == ["3", "-1", "0"]
    await client.send(b"counters\n")
    assert await client.lines() == ['"a b"\t-1', "default\t3"]
    await client.send(b"peers\n")
    assert await client.lines() == list(backend.peers())
    await client.send(b"members\n")
    assert await client.lines() == [
        "n1      127.0.0.1:7946  alive   self",
        "node-2  127.0.0.1:7956  failed  0.3 ms  rack=a  n1 says so",
    ]
    await client.send(b"status\n")
    assert await client.lines() == [
        "name:         n1",
        "ready:        yes",
        "members:      alive=1",
        "fingerprint:  -",
    ]
    await client.send(b"log 1\nlog limit=1\n")
    row = f'2026-01-01T00:00:00Z  "two words"  by 2  count 7  {increment_id(1)}  number 17'
    assert await client.lines() == [row]
    assert await client.lines() == [row]
    await client.send(b"log\n")
    assert len(await client.lines()) == 100
    await client.send(b"help\n")
    assert "increment [COUNTER] [BY]" in (await client.lines())[0]


async def test_an_empty_list_is_an_empty_line(client: Client) -> None:
    await client.send(b"counters\nping\n")
    assert await client.lines() == []
    assert await client.line() == "pong"


async def test_quit_closes_after_the_answers_before_it(
    client: Client, backend: FakeBackend
) -> None:
    backend.paused = True
    await client.send(b"increment\nquit\nincrement\n")
    await until(lambda: len(backend.waiting) == 1)
    backend.commit()
    assert await client.rest() == b"1\n"
    assert len(backend.started) == 1


async def test_empty_lines_are_ignored(client: Client) -> None:
    await client.send(b"\n\r\n  \n\nping\n\n\nping\n")
    assert [await client.line(), await client.line()] == ["pong", "pong"]


async def test_a_last_line_without_its_end_is_still_a_command(client: Client) -> None:
    await client.send(b"increment\ncount")
    client.half_close()
    assert await client.rest() == b"1\n1\n"


async def test_a_first_line_without_its_end_is_still_a_command(client: Client) -> None:
    await client.send(b"ping")
    client.half_close()
    assert await client.rest() == b"pong\n"


async def test_a_command_may_come_byte_by_byte(client: Client) -> None:
    for byte in b"Ping\r\nPOST\r\n":
        await client.send(bytes([byte]))
    assert await client.line() == "pong"
    assert await client.line() == "error: unknown command 'POST'; try help"


@pytest.mark.parametrize("lead", [b"", b"ping\n"])
@pytest.mark.parametrize("end", [b"", b"\n"])
async def test_a_line_that_is_too_long_ends_the_connection(
    client: Client, lead: bytes, end: bytes
) -> None:
    await client.send(lead + b"x" * 5000 + end)
    expected = (b"pong\n" if lead else b"") + b"error: a line has at most 4096 bytes\n"
    assert await client.rest() == expected


async def test_binary_after_a_good_line_ends_the_connection(client: Client) -> None:
    await client.send(b"ping\na\0b\nping\n")
    assert (await client.rest()).startswith(b"pong\nerror: this port speaks")


@pytest.mark.parametrize("limits", [{"text_idle_timeout": 0.1}], indirect=True)
async def test_an_idle_text_connection_is_closed_with_a_word(
    client: Client, limits: Limits
) -> None:
    await client.send(b"ping\n")
    assert await client.rest() == b"pong\nerror: idle for too long\n"


@pytest.mark.parametrize("limits", [{"silent_timeout": 0.1}], indirect=True)
@pytest.mark.parametrize("said", [b"", b"incre", b"\r\n\r\n"])
async def test_a_connection_that_says_nothing_is_closed(
    client: Client, limits: Limits, said: bytes
) -> None:
    await client.send(said)
    assert await client.rest() == b""
