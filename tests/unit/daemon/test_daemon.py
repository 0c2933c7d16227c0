"""The daemon in this process: opening, serving, what the side port asks, leaving."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from gossipd.config.config import Config
from gossipd.config.endpoint import Endpoint
from gossipd.config.layers import Layers
from gossipd.core import (
    BY_MAX,
    RETRY_AFTER,
    TOTAL_MAX,
    Address,
    Batch,
    Effect,
    Node,
    Refused,
    Settings,
    Why,
    increment_id,
    parse_increment_id,
)
from gossipd.core.durability.batch_size import ALONE_COST, COST_MAX, COUNTER_COST
from gossipd.core.durability.waiters import WAITS_MAX
from gossipd.core.identity import STREAM_BYTES
from gossipd.core.wire.records import Register
from gossipd.daemon import daemon as module
from gossipd.daemon import opening, resolving
from gossipd.daemon.counting import Counting
from gossipd.daemon.daemon import Daemon
from gossipd.daemon.opening import StartError
from gossipd.sideport.connection import Connection
from gossipd.store import DiskStore, MemoryStore
from tests.deadline import DEADLINE
from tests.unit.asking import increment
from tests.unit.daemon.waiting import until
from tests.unit.sideport.fake import FakeTransport

ANY = Endpoint("127.0.0.1", 0)
QUICK = Settings(alone_after=0.0)
"""Of a node that does not listen first whether others hold it as a member."""

one = partial(Config, bind=ANY, api=(ANY,), name="one", settings=QUICK)
"""The configuration of a node, on ports that are free."""


@pytest.fixture
async def daemon() -> AsyncIterator[Daemon]:
    """One that serves, alone."""
    made = await Daemon.open(one())
    serving = asyncio.create_task(made.serve())
    await until(lambda: made.service.not_ready() is None)
    yield made
    made.service.leave()
    async with asyncio.timeout(DEADLINE):
        assert await serving == 0


def gossip_address(daemon: Daemon) -> Address:
    endpoint = Endpoint.parse(str(daemon.service.status()["address"]))
    return endpoint.host, endpoint.port


@pytest.mark.parametrize(
    ("adds", "reads", "error"),
    [
        (b"increment a %d\n", b"count a\n", b"error: "),
        (
            b"*3\r\n$6\r\nINCRBY\r\n$1\r\na\r\n$16\r\n%d\r\n",
            b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
            b"-ERR ",
        ),
    ],
    ids=["text", "RESP"],
)
async def test_the_same_again_and_again_in_a_pipeline_is_counted_each_time(
    daemon: Daemon, adds: bytes, reads: bytes, error: bytes
) -> None:
    """Up to the end of the range, which lies within some of them."""
    connection, transport = Connection(daemon._port), FakeTransport()
    connection.connection_made(transport)
    times, most = 20, TOTAL_MAX // BY_MAX
    told: list[bytes] = []
    while len(told) < most:
        transport.written = b""
        connection.data_received(adds % BY_MAX * times + reads)
        await until(lambda: connection.idle_since is not None)
        told += transport.written.splitlines()[:times]
    values = [int(line.lstrip(b":")) for line in told[:most]]
    assert values == [BY_MAX * number for number in range(1, most + 1)]
    assert len(told) > most
    assert all(line.startswith(error) for line in told[most:])
    assert daemon.service.count("a") == TOTAL_MAX
    events = list(daemon.service.log("", None))
    assert [event["count"] for event in events] == values[::-1]
    assert len({event["id"] for event in events}) == most
    connection.connection_lost(None)


async def test_a_port_in_use_cannot_be_opened() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        bind = Endpoint(*taken.getsockname())
        with pytest.raises(StartError, match=f"cannot bind {bind}: Address already in use"):
            await Daemon.open(Config(bind=bind, api=(ANY,)))


async def test_a_side_port_in_use_cannot_be_opened() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        api = Endpoint(*taken.getsockname())
        with pytest.raises(StartError, match="cannot bind the API port"):
            await Daemon.open(Config(bind=ANY, api=(api,)))


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (Config(bind=Endpoint("a.invalid", 1), api=(ANY,)), r"cannot bind a\.invalid:1: "),
        (
            Config(bind=ANY, api=(Endpoint("a.invalid", 1),)),
            r"the API port a\.invalid:1",
        ),
    ],
)
async def test_own_names_have_to_resolve(config: Config, complaint: str) -> None:
    with pytest.raises(StartError, match=complaint):
        await Daemon.open(config)


async def test_a_name_to_bind_to_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()
    monkeypatch.setattr(opening, "BIND_WITHIN", 0.05)
    monkeypatch.setattr(resolving, "resolve_now", lambda _: release.wait(60) and [])
    with pytest.raises(StartError, match=r"cannot bind a\.invalid:1: no resolver has answered"):
        await Daemon.open(Config(bind=Endpoint("a.invalid", 1), api=(ANY,)))
    release.set()


@pytest.mark.parametrize("seeds", [("a.invalid", "b.invalid"), ("a.invalid", "127.9.9.9")])
async def test_seeds_that_cannot_be_resolved_do_not_end_the_start(
    seeds: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    settings = replace(QUICK, ready_after=0.2)
    config = one(join=seeds, settings=settings)
    made = await Daemon.open(config)
    serving = asyncio.create_task(made.serve())
    await until(lambda: "cannot resolve the seed a.invalid:7946: " in caplog.text)
    literal = "127.9.9.9" in seeds
    if literal:
        await until(lambda: made.service.not_ready() is None)
        assert (await increment(made.service, "a", 1)).value == 1
    else:
        reason = "no seed's name resolves: a.invalid:7946: "
        await until(lambda: reason in str(made.service.not_ready()))
    made.service.leave()
    async with asyncio.timeout(DEADLINE):
        assert await serving == 0
    alone = "ready, though no ready peer was found: counts may be incomplete"
    assert (alone in caplog.messages) == literal


async def test_a_node_that_finds_only_itself_behind_its_seeds_is_ready_at_once() -> None:
    """It advertises one of its addresses, and its seed is another one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = Config(
        bind=Endpoint("0.0.0.0", port),
        api=(ANY,),
        name="one",
        join=(f"localhost:{port}", f"127.0.0.3:{port}"),
        advertise=Endpoint("127.0.0.2", port),
    )
    made = await Daemon.open(config)
    serving = asyncio.create_task(made.serve())
    await until(lambda: made.service.not_ready() is None)
    made.service.leave()
    assert await serving == 0


def test_run_says_why_in_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = Config(bind=ANY, api=(Endpoint(*taken.getsockname()),))
        assert module.run(config, Layers(), None) == 1
    err = capfd.readouterr().err
    assert err.startswith("gossipd: cannot bind the API port 127.0.0.1:")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("bind", "join", "advertise", "host"),
    [
        ("127.0.0.1", (), None, "127.0.0.1"),
        ("127.0.0.1", (), Endpoint("127.3.2.1", 9), "127.3.2.1"),
        ("", ("127.0.0.1:1",), None, "127.0.0.1"),
        ("", ("[::1]:1",), None, "::1"),
        ("::1", (), None, "::1"),
    ],
)
async def test_a_node_advertises_what_others_reach_it_at(
    bind: str, join: tuple[str, ...], advertise: Endpoint | None, host: str
) -> None:
    config = Config(bind=Endpoint(bind, 0), api=(ANY,), join=join, advertise=advertise)
    made = await Daemon.open(config)
    serving = asyncio.create_task(made.serve())
    await until(lambda: made.service.status()["udp"])
    address = Endpoint.parse(str(made.service.status()["address"]))
    assert address.host == host
    assert str(made.service.status()["name"]).endswith(f":{address.port}")
    made.service.leave()
    assert await serving == 0


@pytest.mark.usefixtures("unhurried")
async def test_who_is_answered_is_written_to_before_the_loop_comes_round() -> None:
    """So what he says next is read before the next batch is begun."""
    made = await Daemon.open(one(in_memory=True))
    serving = asyncio.create_task(made.serve())
    await until(lambda: made.service.not_ready() is None)
    connection, transport = Connection(made._port), FakeTransport()
    connection.connection_made(transport)
    connection.data_received(b"increment\n")
    await asyncio.sleep(0)  # in which it is committed
    at_once = transport.written
    connection.connection_lost(None)
    made.service.leave()
    assert await serving == 0
    assert at_once


async def test_it_counts_and_shows_what_it_counted(daemon: Daemon) -> None:
    answer = await increment(daemon.service, "a", 3)
    assert (answer.counter, answer.by, answer.value, answer.duplicate) == ("a", 3, 3, False)
    assert daemon.service.count("a") == 3
    assert dict(daemon.service.counters("", "")) == {"a": 3}
    assert daemon.service.counted(answer.id, None)
    assert daemon.service.counted(answer.id, "a")
    assert not daemon.service.counted(UUID(int=answer.id.int + 1), "a")
    assert [event["id"] for event in daemon.service.log("", None)] == [str(answer.id)]
    with pytest.raises(Refused) as caught:
        daemon.service.counted(uuid4(), None)
    assert caught.value.why is Why.WRONG


async def test_what_is_no_increment_is_not_waited_for(daemon: Daemon) -> None:
    with pytest.raises(Refused, match="not an increment id"):
        daemon.service.included(uuid4(), None, 1)
    with pytest.raises(Refused, match="not an increment id"):
        daemon.service.held(uuid4(), 2, False, 1)


async def test_what_two_hold_is_on_the_disk_of_the_other_one(
    daemon: Daemon, state_home: Path, tmp_path: Path
) -> None:
    """So it survives the one that answered, disk included."""
    seed = str(daemon.service.status()["address"])
    other = await Daemon.open(one(name="two", join=(seed,)))
    serving = asyncio.create_task(other.serve())
    await until(lambda: other.service.not_ready() is None)
    for number in range(10):
        answer = await increment(daemon.service, f"counter {number % 3}", 1)
        assert await daemon.service.held(answer.id, 2, False, 5) == 2
        copy = tmp_path / f"copy {number}"
        copying = await asyncio.create_subprocess_exec("cp", "-r", state_home / "two", copy)
        assert await copying.wait() == 0
        [kept] = await stored_registers(copy, answer.id)
        assert kept[0] == answer.counter
    assert await daemon.service.held(answer.id, 3, False, 0.05) == 2
    other.service.leave()
    assert await serving == 0


async def stored_registers(directory: Path, increment: UUID) -> list[Register]:
    """The register of an increment's stream on a copy of a disk that ends with it."""
    stream, seq = parse_increment_id(increment)
    store = DiskStore.open(
        directory,
        durability="full",
        node="copy",
        cluster="gossipd",
        key_window=600,
        key_retention=3600,
    )
    streams = store.load().streams
    await store.close()
    return [
        register
        for held in streams
        if held.stream == stream
        for register in held.registers
        if register[1] == seq
    ]


async def test_reads_that_wait_are_bounded(daemon: Daemon) -> None:
    """What they wait for is made by nobody."""
    absent = [increment_id(bytes(STREAM_BYTES), seq) for seq in range(1, WAITS_MAX + 2)]
    waits = [daemon.service.included(each, None, 60) for each in absent[:-1]]
    with pytest.raises(Refused, match="10,000 reads wait") as caught:
        await daemon.service.included(absent[-1], None, 60)
    assert (caught.value.why, caught.value.retry_after) == (Why.UNAVAILABLE, RETRY_AFTER)
    for wait in waits:
        wait.cancel()
    await asyncio.wait(waits)
    assert not await daemon.service.included(absent[-1], None, 0.01)


async def test_a_read_waits_until_what_it_is_to_include_has_come(daemon: Daemon) -> None:
    seed = str(daemon.service.status()["address"])
    other = await Daemon.open(one(name="two", join=(seed,)))
    serving = asyncio.create_task(other.serve())
    await until(lambda: other.service.not_ready() is None)
    for number in range(1, 21):
        answer = await increment(daemon.service, "a", 1)
        assert await other.service.included(answer.id, "a", 5)
        assert other.service.count("a") == number
    later = UUID(int=answer.id.int + 1)
    assert not await other.service.included(later, None, 0.01)
    waits = other.service.included(later, None, 60), other.service.held(later, 1, False, 60)
    other.service.leave()
    assert await serving == 0
    assert (await waits[0], await waits[1]) == (False, 0)


async def test_what_it_drops_is_counted_by_reason(daemon: Daemon) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for data in (b"x", b"nonsense nonsense nonsense", b"gd\x09\x00" + bytes(30)):
            stranger.sendto(data, gossip_address(daemon))
        await until(lambda: len(daemon.service.status()["dropped"]) == 3)  # type: ignore[arg-type]
    assert daemon.service.status()["dropped"] == {"too_short": 1, "magic": 1, "version": 1}


async def test_a_second_signal_does_not_wait_for_a_commit(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = await Daemon.open(one(name="slow", in_memory=True))
    serving = asyncio.create_task(made.serve())
    await until(lambda: made.service.not_ready() is None)
    committing, done = asyncio.Event(), asyncio.Event()

    async def commit(_: MemoryStore, _batch: Batch) -> None:
        committing.set()
        await done.wait()

    monkeypatch.setattr(MemoryStore, "commit", commit)
    counting = increment(made.service, "a", 1)
    await committing.wait()
    caplog.set_level(logging.INFO)
    os.kill(os.getpid(), signal.SIGTERM)
    await until(lambda: "SIGTERM: leaving" in caplog.text)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await asyncio.wait_for(serving, DEADLINE) == 1
    done.set()
    await asyncio.wait([counting])


async def test_an_effect_that_cannot_be_performed_costs_none_of_the_others(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Here that the next part is committed, which is told once."""
    sound = Counting.do

    def fail(*_: object) -> None:
        monkeypatch.setattr(Counting, "do", sound)
        raise RuntimeError("a bug")

    monkeypatch.setattr(Counting, "do", fail)
    more_than_a_part = COST_MAX // (1 + COUNTER_COST + ALONE_COST) + 1
    futures = [increment(daemon.service, f"c{n}", 1) for n in range(more_than_a_part)]
    async with asyncio.timeout(DEADLINE):
        assert (await futures[-1]).value == 1
    assert not futures[0].done()
    assert "a bug" in caplog.text


async def test_after_a_mistake_in_what_is_due_there_is_a_next_timer(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound, fired = Node.handle_timeout, 0

    def fail(node: Node, now: float) -> list[Effect]:
        nonlocal fired
        fired += 1
        if fired == 1:
            raise RuntimeError("a bug")
        return sound(node, now)

    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    monkeypatch.setattr(Node, "handle_timeout", fail)
    await until(lambda: fired > 3)


async def test_a_log_that_gets_full_raises_an_alarm(caplog: pytest.LogCaptureFixture) -> None:
    settings = replace(QUICK, registers_max=5)
    made = await Daemon.open(one(name="small", settings=settings))
    serving = asyncio.create_task(made.serve())
    await until(lambda: made.service.not_ready() is None)
    for number in range(5):
        await increment(made.service, f"c{number}", 1)
    with pytest.raises(Refused, match="the log holds no more counters"):
        await increment(made.service, "one more", 1)
    assert (await increment(made.service, "c0", 1)).value == 2
    assert made.service.status()["alarms"] == ["5 of at most 5 registers"]
    full = "the log holds 5 of at most 5 registers: new ones are refused"
    await until(lambda: full in caplog.messages)
    made.service.leave()
    assert await serving == 0


async def test_a_ping_is_answered_by_a_pong(daemon: Daemon) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setblocking(False)
        client.sendto(b"ping\n", gossip_address(daemon))
        async with asyncio.timeout(DEADLINE):
            assert await asyncio.get_running_loop().sock_recv(client, 100) == b"pong\n"


async def test_wishes_that_cannot_be_done_are_refused(daemon: Daemon) -> None:
    wishes: tuple[tuple[Callable[[], None], Why], ...] = (
        (partial(daemon.service.join, ["nonsense:x"]), Why.WRONG),
        (partial(daemon.service.forget, "nobody"), Why.UNKNOWN),
        (partial(daemon.service.forget, "one"), Why.CONFLICT),
    )
    for wish, why in wishes:
        with pytest.raises(Refused) as caught:
            wish()
        assert caught.value.why is why


async def test_two_meet_and_one_leaves(daemon: Daemon, caplog: pytest.LogCaptureFixture) -> None:
    await increment(daemon.service, "a", 1)
    seed = str(daemon.service.status()["address"])
    other = await Daemon.open(one(name="two", join=(seed,)))
    with caplog.at_level(logging.INFO):
        serving = asyncio.create_task(other.serve())
        await until(lambda: other.service.not_ready() is None)
    assert other.service.count("a") == 1
    assert list(other.service.peers()) == [seed]
    assert caplog.messages.count(f"joined through one at {seed}") == 1
    await increment(other.service, "a", 1)
    other.service.leave()
    async with asyncio.timeout(DEADLINE):
        assert await serving == 0
    with pytest.raises(Refused, match="leaving"):
        await increment(other.service, "a", 1)
    await until(lambda: list(daemon.service.members("", ""))[1]["state"] == "left")
    assert daemon.service.count("a") == 2
    daemon.service.forget("two")
    assert len(list(daemon.service.members("", ""))) == 1


async def test_a_taken_name_ends_the_newcomer(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    seed = str(daemon.service.status()["address"])
    other = await Daemon.open(one(name="two", join=(seed,)))
    serving = asyncio.create_task(other.serve())
    await until(lambda: other.service.not_ready() is None)
    twin = await Daemon.open(one(join=(str(other.service.status()["address"]),), in_memory=True))
    async with asyncio.timeout(DEADLINE):
        assert await twin.serve() == 1
    assert (
        f"the name 'one' is taken by a live node at {seed.replace(':', ' port ')}" in caplog.text
    )
    assert [
        member["address"] for member in other.service.members("", "") if member["name"] == "one"
    ] == [seed]
    other.service.leave()
    assert await serving == 0


async def test_a_signal_leaves(caplog: pytest.LogCaptureFixture) -> None:
    made = await Daemon.open(one(name="three"))
    serving = asyncio.create_task(made.serve())
    await until(lambda: made.service.not_ready() is None)
    with caplog.at_level(logging.INFO):
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(DEADLINE):
            assert await serving == 0
    assert "SIGTERM: leaving" in caplog.messages


@pytest.mark.parametrize(("in_memory", "where"), [(False, "on this disk only"), (True, "lost")])
async def test_what_nobody_took_over_is_said_to_be_where_it_is(
    in_memory: bool, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = await Daemon.open(one(in_memory=in_memory))
    serving = asyncio.create_task(made.serve())
    await until(lambda: made.service.not_ready() is None)
    await increment(made.service, "a", 1)
    made.service.leave()
    assert await serving == 0
    assert f"left; what was counted here may be {where}" in caplog.messages


async def test_a_directory_in_use_ends_the_start(daemon: Daemon) -> None:
    with pytest.raises(StartError, match=r"state/gossipd/one is in use by process \d+"):
        await Daemon.open(one())


async def test_a_directory_of_another_cluster_ends_the_start() -> None:
    config = one(cluster="a")
    daemon = await Daemon.open(config)
    serving = asyncio.create_task(daemon.serve())
    await until(lambda: daemon.service.not_ready() is None)
    daemon.service.leave()
    assert await serving == 0
    with pytest.raises(StartError, match=r"state/gossipd/one belongs to cluster 'a', not 'b'$"):
        await Daemon.open(one(cluster="b"))


async def test_a_limit_below_what_is_stored_stops_no_start_and_takes_no_more() -> None:
    config = one()
    counts = []
    for limits in (QUICK, replace(QUICK, streams_max=1, registers_max=1)):
        daemon = await Daemon.open(replace(config, settings=limits))
        serving = asyncio.create_task(daemon.serve())
        await until(lambda daemon=daemon: daemon.service.not_ready() is None)  # type: ignore[misc]
        counts.append([daemon.service.count(counter) for counter in "ab"])
        if len(counts) == 1:
            await increment(daemon.service, "a", 1)
            await increment(daemon.service, "b", 1)
        else:
            with pytest.raises(Refused, match="the log holds no more counters"):
                await increment(daemon.service, "a", 1)
        daemon.service.leave()
        assert await serving == 0
    assert counts == [[0, 0], [1, 1]]


async def test_a_life_goes_on_where_the_last_one_ended() -> None:
    config = one()
    answers = []
    for _ in range(3):
        daemon = await Daemon.open(config)
        serving = asyncio.create_task(daemon.serve())
        await until(lambda daemon=daemon: daemon.service.not_ready() is None)  # type: ignore[misc]
        answers.append(await increment(daemon.service, "a", 1))
        daemon.service.leave()
        assert await serving == 0
    assert [answer.value for answer in answers] == [1, 2, 3]
    assert len({answer.id.hex[:20] for answer in answers}) == 3, "a stream for each life"


async def test_more_young_keys_than_memory_may_hold_stop_no_start_and_are_known() -> None:
    """As on a host whose clock is behind when it starts: all stored keys look young."""
    config = one()
    keys = [uuid4().bytes for _ in range(6)]
    answers = []
    for limits in (QUICK, replace(QUICK, key_limit=1)):
        daemon = await Daemon.open(replace(config, settings=limits))
        serving = asyncio.create_task(daemon.serve())
        await until(lambda daemon=daemon: daemon.service.not_ready() is None)  # type: ignore[misc]
        answers += [await increment(daemon.service, "a", 1, key) for key in keys]
        daemon.service.leave()
        assert await serving == 0
    assert [answer.duplicate for answer in answers] == 6 * [False] + 6 * [True]
    assert [answer.id for answer in answers[:6]] == [answer.id for answer in answers[6:]]
