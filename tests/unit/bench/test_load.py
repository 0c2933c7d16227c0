"""The clients of a bench, against a server that does what a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from gossipd.bench.dialects import DIALECTS
from gossipd.bench.load import CONNECTING_MAX, UNUSED, Load, Plan
from gossipd.config.endpoint import Endpoint

Answer = Callable[[int, bytes], bytes | None]
"""What is said to the so many-th line of a connection; nothing: the connection is closed."""


class Lines(asyncio.Protocol):
    """A server of lines."""

    def __init__(self, answer: Answer, heard: list[bytes]) -> None:
        self._answer = answer
        self._heard = heard
        self._number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        for line in data.splitlines():
            self._heard.append(line)
            said = self._answer(self._number, line)
            self._number += 1
            if said is None:
                self._transport.close()
                return
            self._transport.write(said)


@asynccontextmanager
async def served(answer: Answer) -> AsyncIterator[tuple[tuple[str, int], list[bytes]]]:
    heard: list[bytes] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Lines(answer, heard), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[:2], heard


def plan(address: tuple[str, int], **given: object) -> Plan:
    usual = Plan(DIALECTS["text"], [Endpoint(*address)], 3, 1, ["a"], 1, 100, None, 10.0)
    return usual._replace(**given)  # type: ignore[arg-type]


async def loaded(answer: Answer, **given: object) -> tuple[Load, list[bytes]]:
    async with served(answer) as (address, heard):
        load = Load(plan(address, **given))
        await load.run(lambda _: None)
        return load, heard


async def test_just_so_many_are_sent_and_each_is_answered() -> None:
    load, heard = await loaded(lambda *_: b"1\n", pipeline=7, requests=100)
    assert heard == 100 * [b"increment a"]
    assert (load.answered, load.refused, load.in_doubt) == (100, 0, 0)
    assert load.counted() == [(100, 100)]
    assert load.seconds > 0
    assert len(load.latencies.at([0.5, 1])) == 2


async def test_counters_have_their_turns_whatever_is_sent_at_once() -> None:
    load, heard = await loaded(
        lambda *_: b"1\n", pipeline=5, requests=23, counters=["a", "b", "c"], by=2
    )
    counts = [heard.count(b"increment %b 2" % name) for name in (b"a", b"b", b"c")]
    assert counts == [8, 8, 7]
    assert load.counted() == [(count, count) for count in counts]


async def test_a_refusal_takes_off_one_of_its_counter() -> None:
    def answer(number: int, line: bytes) -> bytes:
        if line.endswith(b" b"):
            return b"error: not counted: full\n"
        return b"error: it may have been\n" if line.endswith(b" c") and number < 3 else b"1\n"

    load, _ = await loaded(answer, clients=1, pipeline=3, requests=9, counters=["a", "b", "c"])
    assert (load.answered, load.refused, load.in_doubt) == (5, 3, 1)
    assert load.counted() == [(3, 3), (0, 0), (2, 3)]
    assert load.reasons == {"not counted: full": 3, "it may have been": 1}


async def test_reasons_that_differ_each_time_take_no_more_memory() -> None:
    load, _ = await loaded(lambda number, _: b"error: no %d\n" % number, clients=1, requests=300)
    assert len(load.reasons) == 101
    assert load.reasons["other reasons"] == 200


async def test_what_a_lost_connection_has_not_answered_is_in_doubt_and_others_go_on() -> None:
    closed: list[bool] = []

    def answer(number: int, _: bytes) -> bytes | None:
        if number == 6 and not closed:
            closed.append(True)
            return None
        return b"1\n"

    load, _ = await loaded(answer, clients=2, pipeline=4, requests=40)
    assert (load.answered, load.refused, load.in_doubt) == (38, 0, 2)
    assert load.counted() == [(38, 40)]
    assert load.reasons == {"connection closed": 1}


async def test_it_ends_when_all_connections_are_lost() -> None:
    load, _ = await loaded(lambda *_: None, clients=3, requests=1000)
    assert (load.answered, load.in_doubt) == (0, 3)
    assert load.deserted


async def test_a_connection_that_ends_before_anything_is_sent_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []
    lost = asyncio.Event()

    class Busy(Lines):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            made.append(1)
            if len(made) == 1:
                transport.close()

    loop = asyncio.get_running_loop()
    connect, begun = loop.create_connection, list[int]()

    async def after_the_first_is_lost(made: Any, *given: Any, **named: Any) -> Any:
        begun.append(1)
        if len(begun) > 1:
            await lost.wait()
            return await connect(made, *given, **named)
        client = made()
        told = client.connection_lost

        def connection_lost(error: Exception | None) -> None:
            told(error)
            lost.set()

        client.connection_lost = connection_lost
        return await connect(lambda: client, *given, **named)

    monkeypatch.setattr(loop, "create_connection", after_the_first_is_lost)
    server = await loop.create_server(lambda: Busy(lambda *_: b"1\n", []), "127.0.0.1", 0)
    async with server:
        load = Load(plan(server.sockets[0].getsockname()[:2], clients=10))
        await load.run(lambda _: None)
    assert (load.answered, load.in_doubt) == (100, 0)
    assert load.reasons == {UNUSED: 1}


async def test_silent_nodes_are_given_up() -> None:
    load, _ = await loaded(lambda *_: b"", clients=2, patience=0.2)
    assert (load.answered, load.in_doubt) == (0, 2)
    assert load.reasons == {"no answer within 0.2 s": 2}


async def test_it_goes_on_for_as_long_as_it_is_told() -> None:
    load, heard = await loaded(lambda *_: b"1\n", requests=None, seconds=0.2)
    assert load.answered == len(heard) > 3
    assert load.elapsed >= 0.2
    assert load.in_doubt == 0
    assert not load.deserted


async def test_a_stop_waits_for_what_is_under_way_and_a_second_one_for_nothing() -> None:
    silent = asyncio.Event()

    def answer(number: int, _: bytes) -> bytes:
        if number < 5:
            return b"1\n"
        silent.set()
        return b""

    async with served(answer) as (address, _):
        load = Load(plan(address, clients=1, requests=None))
        run = asyncio.ensure_future(load.run(lambda _: None))
        await silent.wait()
        load.stop()
        await asyncio.sleep(0)
        assert not run.done()
        load.stop()
        await run
        assert (load.answered, load.in_doubt) == (5, 1)


async def test_clients_are_spread_over_the_nodes() -> None:
    async with served(lambda *_: b"1\n") as (one, first), served(lambda *_: b"1\n") as (two, rest):
        addresses = [Endpoint(*one), Endpoint(*two)]
        load = Load(plan(one, addresses=addresses, clients=4, requests=None, seconds=0.1))
        await load.run(lambda _: None)
        assert len(first) + len(rest) == load.answered
        assert first
        assert rest


async def test_many_clients_connect_at_once_and_no_more_than_so_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, enough = asyncio.get_running_loop(), asyncio.Event()
    connect, under_way = loop.create_connection, list[int]()
    most = 0

    async def together(*given: Any, **named: Any) -> Any:
        nonlocal most
        under_way.append(1)
        most = max(most, len(under_way))
        if most == CONNECTING_MAX:
            enough.set()
        await enough.wait()
        made = await connect(*given, **named)
        under_way.pop()
        return made

    monkeypatch.setattr(loop, "create_connection", together)
    clients = 2 * CONNECTING_MAX
    load, _ = await loaded(lambda *_: b"1\n", clients=clients, requests=2 * clients)
    assert load.answered == 2 * clients
    assert most == CONNECTING_MAX


async def test_a_stop_while_clients_connect_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    connect = loop.create_connection

    async with served(lambda *_: b"1\n") as (address, heard):
        load = Load(plan(address, clients=1000))

        async def and_stop(*given: Any, **named: Any) -> Any:
            load.stop()
            return await connect(*given, **named)

        monkeypatch.setattr(loop, "create_connection", and_stop)
        await load.run(lambda _: None)
        assert (load.answered, load.in_doubt, heard) == (0, 0, [])


async def test_it_says_so_where_nobody_listens() -> None:
    async with served(lambda *_: b"") as (address, _):
        pass
    with pytest.raises(ConnectionRefusedError):
        await Load(plan(address)).run(lambda _: None)
