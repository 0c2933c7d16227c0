"""What is asked of counters."""

from __future__ import annotations

import asyncio
import gc
from functools import partial
from uuid import UUID

import pytest

from gossipd.sideport.port import SidePort
from gossipd.sideport.resp import asking
from gossipd.sideport.resp.asking import KEYS_MAX, LISTS_MAX, SCANNED_MAX
from gossipd.sideport.turns import Slice
from tests.deadline import DEADLINE

from ..conftest import Connect
from ..fake import KEY, Client, FakeBackend, increment_id, until
from .talk import Answer, Failure, ask, heard, said

NOT_A_NUMBER = "ERR value is not an integer or out of range"


async def test_reading_several(client: Client, backend: FakeBackend) -> None:
    backend.values = {"a": 3, "b": -1, "c": 0}
    assert await ask(client, "MGET", "a", "x", "b", "c") == ["3", None, "-1", "0"]
    assert await ask(client, "EXISTS", "a", "x", "c", "a") == 3
    assert await ask(client, "TYPE", "c") == "string"
    assert await ask(client, "TYPE", "x") == "none"
    assert await ask(client, "DBSIZE") == 3


@pytest.mark.parametrize("by", ["x", "", "1.5", "1 ", "0x1", "1" * 101, "é"])
async def test_what_is_no_number_is_refused(client: Client, backend: FakeBackend, by: str) -> None:
    for command in "INCRBY", "DECRBY":
        assert await ask(client, command, "a", by) == NOT_A_NUMBER
    assert await ask(client, "GOSSIPD.INCRBY", "a", by, str(KEY)) == NOT_A_NUMBER
    assert backend.started == []


async def test_more_than_can_be_added_is_refused(client: Client, backend: FakeBackend) -> None:
    assert await ask(client, "INCRBY", "a", str(2**53)) == 2**53
    assert "within -2^53 and 2^53" in str(await ask(client, "INCRBY", "a", str(2**53 + 1)))
    assert "within -2^53 and 2^53" in str(await ask(client, "DECRBY", "a", str(-(2**53) - 1)))
    assert backend.started == [("a", 2**53)]


async def test_to_add_nothing_reads_and_makes_no_counter(
    client: Client, backend: FakeBackend
) -> None:
    assert await ask(client, "INCRBY", "a", "0") == 0
    assert await ask(client, "DECRBY", "a", "-0") == 0
    assert await ask(client, "EXISTS", "a") == 0
    await ask(client, "INCR", "a")
    assert await ask(client, "INCRBY", "a", "0") == 1
    assert backend.started == [("a", 1)]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        (b"", "1 to 128 bytes"),
        (b"x" * 129, "1 to 128 bytes"),
        (b"a\nb", "control characters"),
        (b"\xff", "must be UTF-8"),
    ],
)
async def test_no_name_is_none_for_any_command(client: Client, name: bytes, wrong: str) -> None:
    ways: tuple[tuple[str | bytes, ...], ...] = (
        *(("INCR", name), ("GET", name), ("MGET", "a", name), ("EXISTS", name), ("TYPE", name)),
        *(("INCRBY", name, "1"), ("INCRBY", name, "0"), ("GOSSIPD.INCRBY", name, "1", "k")),
    )
    for words in ways:
        assert wrong in str(await ask(client, *words)), words


async def test_a_key_counts_as_it_does_elsewhere(client: Client, backend: FakeBackend) -> None:
    assert await ask(client, "GOSSIPD.INCRBY", "a", "2", str(KEY)) == 2
    assert await ask(client, "gossipd.incrby", "a", "2", "order 17") == 4
    assert await ask(client, "GOSSIPD.INCRBY", "a", "2", "order 17") == 6
    first, second, third = backend.keys
    assert first == KEY
    assert second == third != first
    for key in "", "x" * 256, str(UUID(int=0)):
        assert "key" in str(await ask(client, "GOSSIPD.INCRBY", "a", "1", key))
    assert "by must not be 0" in str(await ask(client, "GOSSIPD.INCRBY", "a", "0", "k"))
    assert len(backend.started) == 3


async def test_reads_are_refused_until_counts_are_complete(
    client: Client, backend: FakeBackend
) -> None:
    backend.reason = "nothing pulled yet"
    for words in (
        ("GET", "a"), ("MGET", "a"), ("EXISTS", "a"), ("TYPE", "a"), ("DBSIZE",), ("SCAN", "0"),
        ("KEYS", "*"), ("INCRBY", "a", "0"),
    ):  # fmt: skip
        assert await ask(client, *words) == "UNAVAILABLE catching up: nothing pulled yet", words
    assert await ask(client, "INCR", "a") == 1
    assert "loading:1" in str(await ask(client, "INFO"))


# --- WAIT ------------------------------------------------------------------------------------


async def test_wait_tells_how_many_others_hold_the_last_increment(
    client: Client, backend: FakeBackend
) -> None:
    backend.copies = 3
    await client.send(said("INCR", "a") + said("INCR", "b") + said("WAIT", "2", "1500"))
    assert [await heard(client) for _ in range(3)] == [1, 1, 2]
    assert backend.asked == [(increment_id(1), 3, True, 1.5)]


@pytest.mark.parametrize(
    ("wanted", "milliseconds", "copies", "seconds"),
    [
        ("0", "5", 1, 0.005),
        ("-3", "5", 1, 0.005),
        ("1", "0", 2, 60.0),
        ("999", "999999", 64, 60.0),
    ],
)
async def test_wait_within_what_can_be_waited_for(
    client: Client, backend: FakeBackend, wanted: str, milliseconds: str, copies: int,
    seconds: float,
) -> None:  # fmt: skip
    await ask(client, "INCR", "a")
    assert await ask(client, "WAIT", wanted, milliseconds) == 0
    assert backend.asked == [(increment_id(1), copies, True, seconds)]


async def test_wait_without_an_increment_tells_who_is_there(
    client: Client, backend: FakeBackend
) -> None:
    assert await ask(client, "WAIT", "5", "0") == 2
    backend.unstartable = ValueError("a")
    await ask(client, "INCR", "a")
    assert await ask(client, "WAIT", "5", "0") == 2
    assert backend.asked == []
    assert await ask(client, "WAIT", "1", "-1") == "ERR timeout is negative"
    assert await ask(client, "WAIT", "x", "1") == NOT_A_NUMBER


async def test_who_goes_while_it_waits_is_not_waited_for(
    client: Client, backend: FakeBackend
) -> None:
    backend.slow = True
    await client.send(said("INCR", "a") + said("WAIT", "1", "60000"))
    await until(lambda: len(backend.waits) == 1)
    client.reset()
    await until(lambda: backend.waits[0].cancelled())


# --- lists -----------------------------------------------------------------------------------


async def scanned(client: Client, *options: str) -> list[list[Answer]]:
    """What each call told, until the cursor comes back to 0."""
    found, cursor = [], "0"
    while True:
        answer = await ask(client, "SCAN", cursor, *options)
        assert isinstance(answer, list)
        names = answer[1]
        assert isinstance(names, list)
        found.append(names)
        cursor = str(answer[0])
        if cursor == "0":
            return found


def joined(parts: list[list[Answer]]) -> list[Answer]:
    return [name for part in parts for name in part]


async def test_scan_tells_all_a_few_at_a_time(
    client: Client, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "Slice", partial(Slice, DEADLINE))  # which ends a part early
    assert await ask(client, "SCAN", "0") == ["0", []]
    names = [f"page:{number:03}" for number in range(95)] + ["z"]
    backend.values = dict.fromkeys(names, 1)
    parts = await scanned(client)
    assert joined(parts) == names
    assert {len(part) for part in parts} <= {10, 6}
    assert joined(await scanned(client, "COUNT", "1000")) == names
    some = await scanned(client, "MATCH", "page:0[12]*", "COUNT", "7")
    assert joined(some) == names[10:30]
    assert len(some) == 14
    assert joined(await scanned(client, "TYPE", "string", "match", "z")) == ["z"]
    assert joined(await scanned(client, "TYPE", "list", "COUNT", "100")) == []


async def test_a_scan_whose_time_is_over_tells_less_and_passes_over_nothing(
    client: Client, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "Slice", partial(Slice, 0.0))
    backend.values = {"a": 1, "b": 1, "c": 1}
    assert await scanned(client) == [["a"], ["b"], ["c"]]


async def test_scan_passes_over_nothing_though_others_add(
    client: Client, backend: FakeBackend
) -> None:
    names = {f"m{number:02}" for number in range(40)}
    backend.values = dict.fromkeys(names, 1)
    found: set[Answer] = set()
    cursor = "0"
    for number in range(100):
        answer = await ask(client, "SCAN", cursor, "COUNT", "3")
        assert isinstance(answer, list)
        assert isinstance(answer[1], list)
        found |= set(answer[1])
        cursor = str(answer[0])
        if cursor == "0":
            break
        backend.values[f"{'az'[number % 2]}{number}"] = 1
    assert names <= found


async def test_one_scan_looks_at_some_at_most(client: Client, backend: FakeBackend) -> None:
    backend.values = {f"{number:05}": 1 for number in range(3 * SCANNED_MAX)}
    parts = await scanned(client, "COUNT", "100000")
    assert len(joined(parts)) == 3 * SCANNED_MAX
    assert max(map(len, parts)) <= SCANNED_MAX


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("x",), "ERR invalid cursor"),
        (("-1",), "ERR invalid cursor"),
        (("9" * 20,), "ERR invalid cursor"),
        (("0", "COUNT"), "ERR syntax error"),
        (("0", "COUNT", "0"), "ERR syntax error"),
        (("0", "LIMIT", "1"), "ERR syntax error"),
        (("0", "COUNT", "x"), NOT_A_NUMBER),
        (("0", "MATCH", "x" * 300), "ERR a pattern has at most 256 characters"),
    ],
)
async def test_what_scan_does_not_understand(
    client: Client, words: tuple[str, ...], wrong: str
) -> None:
    assert await ask(client, "SCAN", *words) == wrong


async def test_a_cursor_beyond_all_ends(client: Client, backend: FakeBackend) -> None:
    backend.values = {"a": 1}
    assert await ask(client, "SCAN", "9" * 19) == ["0", []]


async def test_keys_tells_all_that_fit(client: Client, backend: FakeBackend) -> None:
    backend.values = {f"{kind}:{number:04}": 1 for number in range(300) for kind in ("a", "b")}
    names = sorted(backend.values)
    assert await ask(client, "KEYS", "*") == names
    assert await ask(client, "KEYS", "a:*") == names[:300]
    assert await ask(client, "KEYS", "*:0299") == ["a:0299", "b:0299"]
    assert await ask(client, "KEYS", "nothing") == []
    assert isinstance(await ask(client, "KEYS", "x" * 300), Failure)


async def test_keys_tells_no_more_than_it_holds(client: Client, backend: FakeBackend) -> None:
    backend.values = {f"{number:06}": 1 for number in range(KEYS_MAX)}
    assert len(str(await ask(client, "KEYS", "*"))) > KEYS_MAX
    backend.values["x"] = 1
    assert await ask(client, "KEYS", "*") == f"ERR more than {KEYS_MAX} counters fit; use SCAN"
    assert await ask(client, "KEYS", "0*") == sorted(backend.values)[:-1]


async def test_long_lists_that_nobody_takes_are_few(
    connect: Connect, port: SidePort, backend: FakeBackend
) -> None:
    backend.values = {f"{'x' * 100}{number:06}": 1 for number in range(KEYS_MAX)}
    clients = [await connect() for _ in range(LISTS_MAX + 1)]
    for client in clients[1:]:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await client.send(said("KEYS", "*"))
    await until(lambda: len(port.resp.lists) == LISTS_MAX)
    assert "use SCAN" in str(await ask(clients[0], "KEYS", "*"))
    assert await ask(clients[0], "INCR", "a") == 1
    for client in clients[1:]:
        client.reset()
    gc.disable()
    try:
        await until(lambda: port.connection_count == 1)
        await until(lambda: not port.resp.lists)
    finally:
        gc.enable()
    await asyncio.sleep(0)
    assert isinstance(await ask(clients[0], "KEYS", "*"), Failure)
    del backend.values["a"]
    assert len(str(await ask(clients[0], "KEYS", "*"))) > KEYS_MAX
