"""Who follows what changes: from what there is, without a gap, and never at others' cost."""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from typing import cast

import pytest

from gossipd.sideport import rings
from gossipd.sideport.port import SidePort
from gossipd.sideport.rings import AT_ONCE
from gossipd.sideport.streaming import ROWS_AT_ONCE
from gossipd.sideport.validation import WATCHED_MAX
from gossipd.sideport.watch import Watch
from gossipd.sideport.watching import GATHERED_MAX, STOPPING, TOO_SLOW
from tests.deadline import DEADLINE
from tests.event_source import Books, Event, Interpreter

from .conftest import Connect
from .fake import Client, FakeBackend, until

FEW = {"changes_max": 20}

RECEIVED_MAX = 4096
"""Bytes that the system takes for who reads nothing; without a bound it would be much."""


class Follower:
    """Reads a stream as a browser does."""

    def __init__(self, client: Client, last: str = "") -> None:
        self.client = client
        self.headers: dict[str, str] = {}
        self.interpreter = Interpreter(last)
        self.books = Books()
        self.ended = False
        self._events: deque[Event] = deque()

    async def begin(self, query: str = "") -> Follower:
        last = self.interpreter.last_event_id
        lines = ["GET /events" + query + " HTTP/1.1", "Host: 127.0.0.1"]
        lines += [f"Last-Event-ID: {last}"] if last else []
        await self.client.send("\r\n".join([*lines, "", ""]).encode())
        async with asyncio.timeout(DEADLINE):
            head = (await self.client.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        assert head[0] == "HTTP/1.1 200 OK"
        self.headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        return self

    async def event(self) -> Event:
        while not self._events:
            await self._read()
        event = self._events.popleft()
        self.books.take(event)
        return event

    async def hears_nothing_else(self, port: SidePort) -> None:
        """A heartbeat is told where there is nothing else."""
        comments = self.interpreter.comments
        for watch in list(port.watchers.watches):
            watch.beat()
        while self.interpreter.comments == comments:
            await self._read()
            assert not self._events, self._events

    async def _read(self) -> None:
        reader = self.client.reader
        async with asyncio.timeout(DEADLINE):
            size = int(await reader.readline(), 16)
            data = await reader.readexactly(size + 2)
        self._events.extend(self.interpreter.feed(data.removesuffix(b"\r\n")))

    async def events(self, count: int) -> list[Event]:
        return [await self.event() for _ in range(count)]

    async def upto(self, kind: str) -> Event:
        while True:
            event = await self.event()
            if event.kind == kind:
                return event

    async def upto_count(self, counter: str, count: int) -> None:
        while self.books.counts.get(counter) != count:
            await self.event()


def reading(client: Client) -> asyncio.Transport:
    return cast(asyncio.Transport, client.writer.transport)


def add(port: SidePort, backend: FakeBackend, counter: str, by: int = 1, times: int = 1) -> None:
    backend.add(counter, by, times)
    port.watchers.look()


def change(port: SidePort, backend: FakeBackend, name: str, state: str | None) -> None:
    backend.change(name, state)
    port.watchers.look()


# --- what is told ----------------------------------------------------------------------------


async def test_members_come_first_then_counts_then_what_changes(
    client: Client, port: SidePort, backend: FakeBackend
) -> None:
    backend.add("a", 5)
    follower = await Follower(client).begin()
    assert follower.headers["content-type"] == "text/event-stream"
    assert follower.headers["cache-control"] == "no-store"
    assert follower.headers["x-accel-buffering"] == "no"
    first = await follower.events(4)
    assert [event.kind for event in first] == ["member", "member", "present", "counts"]
    assert first[0].data == backend.rows["n1"]
    assert first[2].data == {"members": 2, "ready": True}
    assert first[3].data == {"a": 5}
    assert first[3].id
    assert follower.interpreter.retry
    add(port, backend, "a", -2)
    made = await follower.event()
    assert made.kind == "increment"
    assert made.data == backend.event_row(backend.recent_events()[-1])
    change(port, backend, "node-2", "alive")
    assert (await follower.event()).data["state"] == "alive"
    change(port, backend, "node-2", None)
    assert (await follower.event()).data == {"name": "node-2", "state": "forgotten"}
    assert follower.books.members == {"n1": "alive"}


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("?members", ["member", "member", "present", "member"]),
        ("?members=true", ["member", "member", "present", "member"]),
        ("?counter=a", ["counts", "increment"]),
        ("?counter=a&members", ["member", "member", "present", "counts", "member", "increment"]),
        ("?members=false", ["counts", "increment", "increment"]),
    ],
)
async def test_only_what_is_asked_for_is_told(
    client: Client, port: SidePort, backend: FakeBackend, query: str, kinds: list[str]
) -> None:
    follower = await Follower(client).begin(query)
    first = [kind for kind in kinds if kind in ("present", "counts")][-1]
    await follower.upto(first)
    backend.add("a")
    backend.add("b")
    change(port, backend, "n1", "suspect")
    while len(follower.books.kinds) < len(kinds):
        await follower.event()
    assert follower.books.kinds == kinds
    await follower.hears_nothing_else(port)
    if "?counter=a" in query:
        assert follower.books.counts == {"a": 1}


async def test_several_counters_are_watched_together_and_told_as_text_if_that_is_wanted(
    client: Client, port: SidePort, backend: FakeBackend
) -> None:
    backend.add("b", 2**60)
    follower = await Follower(client).begin("?counter=b&counter=c&counts=string")
    assert (await follower.event()).data == {"b": str(2**60), "c": "0"}
    backend.add("a")
    add(port, backend, "c", 2**60 + 1)
    follower.books.counts.clear()
    follower.books.take = lambda event: None  # type: ignore[method-assign]  # counts are text
    made = await follower.event()
    assert made.data["counter"] == "c"
    assert made.data["count"] == made.data["by"] == str(2**60 + 1)


async def test_a_long_list_of_counts_is_exact_though_others_count_meanwhile(
    client: Client, port: SidePort, backend: FakeBackend
) -> None:
    """Increments are told of the counters that were listed already, and of no others."""
    names = [f"counter-{number:04}" for number in range(5 * ROWS_AT_ONCE)]
    backend.values = dict.fromkeys(names, 1)
    follower = await Follower(client).begin("?members=false")
    for _ in range(6):
        await follower.upto("counts")
        for name in (names[0], names[ROWS_AT_ONCE], names[-1]):
            add(port, backend, name)
    assert follower.interpreter.last_event_id
    add(port, backend, names[2], 5)
    await follower.upto_count(names[2], 6)
    assert follower.books.counts == backend.values


async def test_counts_wait_until_the_node_is_ready(
    client: Client, port: SidePort, backend: FakeBackend
) -> None:
    backend.reason = "no peer yet"
    follower = await Follower(client).begin()
    *_, present = await follower.events(3)
    assert present.data == {"members": 2, "ready": False}
    add(port, backend, "a", 4)
    change(port, backend, "n1", "suspect")
    assert (await follower.event()).kind == "member"
    backend.reason = None
    port.watchers.look()
    assert [event.kind for event in await follower.events(2)] == ["ready", "counts"]
    assert follower.books.counts == {"a": 4}
    add(port, backend, "a", 1)
    await follower.upto_count("a", 5)


async def test_who_follows_members_alone_is_told_once_the_node_knows_them_all(
    client: Client, port: SidePort, backend: FakeBackend
) -> None:
    backend.reason = "no peer yet"
    follower = await Follower(client).begin("?members")
    await follower.upto("present")
    backend.change("n3", "alive")
    backend.reason = None
    port.watchers.look()
    told = await follower.events(2)
    assert [event.kind for event in told] == ["member", "ready"]
    change(port, backend, "n3", "failed")
    assert (await follower.event()).kind == "member"


@pytest.mark.parametrize("limits", [{"heartbeat_interval": 3600.0}], indirect=True)
async def test_that_the_node_knows_all_members_is_told_though_none_has_changed(
    client: Client, port: SidePort, backend: FakeBackend
) -> None:
    backend.reason = "no peer yet"
    follower = await Follower(client).begin("?members")
    await follower.upto("present")
    change(port, backend, "n1", "suspect")
    assert (await follower.event()).kind == "member"
    backend.reason = None
    port.watchers.look()
    assert (await follower.event()).kind == "ready"


# --- going on --------------------------------------------------------------------------------


@pytest.mark.parametrize("others", [False, True], ids=["alone", "beside another"])
async def test_who_comes_back_goes_on_where_it_was(
    connect: Connect, port: SidePort, backend: FakeBackend, others: bool
) -> None:
    if others:
        await (await Follower(await connect()).begin()).upto("counts")
    backend.add("a")
    first = await Follower(await connect()).begin("?counter=a")
    add(port, backend, "a", 2)
    await first.upto_count("a", 3)
    first.client.reset()
    await until(lambda: len(port.watchers) == others)
    backend.add("b", 5)
    backend.add("a", 4, times=3)
    second = Follower(await connect(), first.interpreter.last_event_id)
    second.books = first.books
    await second.begin("?counter=a")
    await second.upto_count("a", 15)
    assert first.books.kinds == ["counts"] + ["increment"] * 4
    second.client.reset()
    third = Follower(await connect(), second.interpreter.last_event_id)
    third.books = second.books
    await third.begin()
    await third.upto("present")
    add(port, backend, "a")
    await third.upto_count("a", 16)
    assert "counts" not in third.books.kinds[1:]


@pytest.mark.parametrize("last", ["", "x", "-1", "{life}-", "{life}-99", "0000-1", "{life}-²"])
async def test_who_cannot_go_on_is_told_the_counts(
    client: Client, port: SidePort, backend: FakeBackend, last: str
) -> None:
    backend.add("a", 3)
    follower = Follower(client, last.replace("{life}", port.watchers.life))
    await follower.begin("?counter=a")
    assert (await follower.event()).data == {"a": 3}


async def test_who_was_told_a_part_of_the_counts_goes_on_nowhere(
    client: Client, backend: FakeBackend
) -> None:
    """It may come back to the node whose place it had, which would add to these what they have."""
    backend.values = {f"counter-{number:04}": 1 for number in range(ROWS_AT_ONCE + 1)}
    follower = await Follower(client, "of-another-9").begin("?members=false")
    first, rest = await follower.events(2)
    assert (len(first.data), first.id) == (ROWS_AT_ONCE, "")
    assert rest.id.endswith("-0")


async def test_what_is_remembered_no_more_is_told_as_counts(
    client: Client, port: SidePort, backend: FakeBackend
) -> None:
    """The node remembers 50 increments."""
    backend.add("a", times=60)
    last = f"{port.watchers.life}-9"
    follower = await Follower(client, last).begin("?counter=a")
    assert (await follower.event()).kind == "counts"


async def test_who_was_away_for_too_long_is_told_the_counts(
    connect: Connect, port: SidePort, backend: FakeBackend
) -> None:
    first = await Follower(await connect()).begin("?counter=a")
    add(port, backend, "a")
    await first.upto_count("a", 1)
    first.client.reset()
    await until(lambda: len(port.watchers) == 0)
    last = first.interpreter.last_event_id
    backend.add("a", times=51)
    second = await Follower(await connect(), last).begin("?counter=a")
    assert (await second.event()).data == {"a": 52}
    assert second.interpreter.last_event_id != last
    second.client.reset()
    backend.add("a", times=49)
    third = await Follower(await connect(), second.interpreter.last_event_id).begin("?counter=a")
    third.books.counts["a"] = 52
    await third.upto_count("a", 101)


async def test_very_many_increments_at_once_are_told_as_one_for_each_counter(
    client: Client, port: SidePort, backend: FakeBackend
) -> None:
    follower = await Follower(client).begin("?members=false")
    await follower.upto("counts")
    for counter, by in (("a", 1), ("b", -2), ("c", 1), ("c", -1)):
        backend.add(counter, by, times=2000)
    add(port, backend, "a", 7)
    assert [(await follower.event()).data["by"] for _ in range(2)] == [2007, -4000]
    add(port, backend, "c", 1)
    assert (await follower.event()).data["by"] == 1, "what came to nothing was told"
    assert follower.books.counts == backend.values


@pytest.mark.parametrize("limits", [FEW], indirect=True)
@pytest.mark.parametrize("query", ["?members=false", "?counter=a&counter=b"])
async def test_who_falls_behind_is_told_sums(
    client: Client, port: SidePort, backend: FakeBackend, query: str
) -> None:
    """However many increments of few counters there are: who reads as fast as he is told stays."""
    follower = await Follower(client).begin(query)
    await follower.upto("counts")
    told = 0
    for _ in range(5):
        backend.add("a", 1, times=4)
        backend.add("b", 2)
        port.watchers.pull()  # before it is the turn of the watcher
    while follower.books.counts != {"a": 20, "b": 10}:
        assert (await follower.event()).kind == "increment"
        told += 1
    assert port.watchers.dropped_count == 0
    assert told < 25
    add(port, backend, "a", times=2)
    await follower.upto_count("a", 22)
    assert follower.books.kinds[-2:] == ["increment", "increment"], "one by one again"


async def test_a_heartbeat_tells_where_to_go_on(
    connect: Connect, port: SidePort, backend: FakeBackend
) -> None:
    """Also who is told nothing can go on where it is."""
    follower = await Follower(await connect()).begin("?counter=a")
    await follower.upto("counts")
    add(port, backend, "b", times=3)
    assert port.watchers.id_of(3) != follower.interpreter.last_event_id
    reading = asyncio.ensure_future(follower.event())
    while follower.interpreter.last_event_id != port.watchers.id_of(3):
        for watch in list(port.watchers.watches):
            watch.beat()
        await asyncio.sleep(0.002)
    assert follower.interpreter.comments
    add(port, backend, "a")
    assert (await reading).data["counter"] == "a"


@pytest.mark.parametrize("limits", [{"heartbeat_interval": 0.02}], indirect=True)
async def test_a_watcher_hears_that_the_node_lives(client: Client) -> None:
    follower = await Follower(client).begin("?members")
    reading = asyncio.ensure_future(follower.upto("end"))
    await until(lambda: follower.interpreter.comments > 2)
    reading.cancel()


# --- limits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [FEW], indirect=True)
async def test_what_comes_in_one_go_passes_nobody_who_had_seen_all(
    client: Client, port: SidePort, backend: FakeBackend
) -> None:
    """As of a batch of very many different counters."""
    follower = await Follower(client).begin("?members=false")
    await follower.upto("counts")
    for times in range(1, 4):
        for number in range(45):
            backend.add(f"c{number:02}")
        port.watchers.pull()
        port.watchers.pull()
        await follower.upto_count("c44", times)
    assert follower.books.counts == {f"c{number:02}": 3 for number in range(45)}
    assert port.watchers.dropped_count == 0


@pytest.mark.parametrize("limits", [FEW], indirect=True)
async def test_who_is_too_slow_is_told_so_and_dropped(
    connect: Connect, port: SidePort, backend: FakeBackend
) -> None:
    client = await connect()
    reading(client).pause_reading()
    await client.send(b"GET /events?members=false HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    await until(lambda: len(port.watchers) == 1)
    names = [f"{number}{'x' * 120}" for number in range(15)]
    told = 0
    while port.watchers.dropped_count == 0:
        for name in names:
            backend.add(name)
        port.watchers.pull()
        await asyncio.sleep(0)
        told += len(names)
        assert told < 100_000, "what is not read is held without end"
    assert len(port.watchers) == 0
    reading(client).resume_reading()
    rest = await client.rest()
    assert TOO_SLOW.encode() in rest
    assert rest.endswith(b"\n\r\n0\r\n\r\n")
    # It may go on with what is left.
    interpreter, books = Interpreter(), Books()
    body = rest.partition(b"\r\n\r\n")[2]
    while body:
        size, _, body = body.partition(b"\r\n")
        for event in interpreter.feed(body[: int(size, 16)]):
            books.take(event)
        body = body[int(size, 16) + 2 :]
    assert books.kinds[-1] == "end"
    again = Follower(await connect(), interpreter.last_event_id)
    again.books = books
    await again.begin("?members=false")
    while again.books.counts != backend.values:
        await again.event()


@pytest.mark.parametrize("limits", [FEW], indirect=True)
@pytest.mark.parametrize("query", ["?counter=a", "?counter=a&members", "?members"])
async def test_what_a_watcher_did_not_ask_for_makes_it_no_slower(
    client: Client, port: SidePort, backend: FakeBackend, query: str
) -> None:
    follower = await Follower(client).begin(query)
    await follower.upto("counts" if "counter" in query else "present")
    for _ in range(50):
        backend.add("b")
        port.watchers.pull()
        await asyncio.sleep(0)
    assert len(port.watchers) == 1
    backend.add("a")
    change(port, backend, "n1", "suspect")
    assert (await follower.event()).kind in ("member", "increment")


@pytest.mark.parametrize("limits", [FEW], indirect=True)
async def test_who_follows_members_alone_is_not_slow_at_increments(
    client: Client, port: SidePort, backend: FakeBackend
) -> None:
    follower = await Follower(client).begin("?members")
    await follower.upto("present")
    backend.change("n1", "suspect")
    for _ in range(21):  # before it is its turn to be told of the member
        backend.add("b")
        port.watchers.pull()
    assert (await follower.event()).data["state"] == "suspect"


@pytest.mark.parametrize("limits", [{"changes_max": 10}], indirect=True)
async def test_who_finds_out_itself_that_it_is_too_slow_ends_once(
    client: Client, port: SidePort, backend: FakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    backend.reason = "no peer yet"
    follower = await Follower(client).begin("?members=false")
    await until(lambda: bool(port.watchers.waiting))
    for number in range(10 * AT_ONCE + 1):
        backend.add(str(number))
    for watch in list(port.watchers.watches):
        watch.beat()  # it looks whether there are counts to tell
    assert (await follower.event()).data == {"reason": TOO_SLOW}
    assert (await client.rest()).endswith(b"0\r\n\r\n")
    assert not caplog.records, "it was not told all the same"


async def test_nothing_is_done_for_those_who_do_not_read(
    connect: Connect, port: SidePort, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look takes the time of those who have read all, however many others there are; and who
    reads nothing is one of these as soon as what he was told cannot be sent."""
    deaf = [await connect(RECEIVED_MAX) for _ in range(5)]
    for client in deaf:
        await Follower(client).begin()
        reading(client).pause_reading()
    do_not_read = set(port.watchers.watches)
    follower = await Follower(await connect()).begin()
    await follower.upto("counts")
    name, number = "x" * 100, 0
    while do_not_read & set(port.watchers.waiting) or number < 10:
        number += 1
        add(port, backend, name)
        await follower.upto_count(name, number)
    assert number * (len(name) + 150) < 4 * port.limits.unsent_max
    await until(lambda: len(port.watchers.waiting) == 1)  # the one who reads, to its end
    looked = list[Watch]()
    monkeypatch.setattr(Watch, "look", lambda watch, *_: looked.append(watch))
    add(port, backend, name)
    port.watchers.pull()
    assert (len(port.watchers), len(looked)) == (6, 1)


async def test_very_many_are_gathered_a_few_at_a_time_and_summed(
    client: Client, port: SidePort, backend: FakeBackend
) -> None:
    follower = await Follower(client).begin("?members=false")
    await follower.upto("counts")
    for _ in range(40):
        for counter in "ab":
            backend.add(counter, 1, GATHERED_MAX // 2)
        backend.add("c", 5)
        backend.add("c", -5)
        port.watchers.look()
    await follower.upto_count("b", 20 * GATHERED_MAX)
    assert follower.books.counts == {"a": 20 * GATHERED_MAX, "b": 20 * GATHERED_MAX}
    assert len(follower.books.kinds) < 40


ONE = {"watchers_max": 2, "address_share": 1.0}
HALF = {"watchers_max": 4}


@pytest.mark.parametrize(
    ("limits", "detail"),
    [
        (ONE, "2 are watching this node already"),
        (HALF, "2 are watching this node from your address already"),
    ],
    indirect=["limits"],
)
async def test_one_watcher_too_many_is_refused(
    connect: Connect, port: SidePort, detail: str
) -> None:
    followers = [await Follower(await connect()).begin() for _ in range(2)]
    client = await connect()
    refused = await client.request("GET", "/events")
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert refused.detail == detail
    client = await connect()
    await client.send(b"watch\n")
    assert await client.line() == f"error: {detail}"
    assert port.watchers.refused_count == 2
    for follower in followers:
        follower.client.reset()
    await until(lambda: len(port.watchers) == 0)
    for _ in range(2):
        await Follower(await connect()).begin()


@pytest.mark.parametrize("limits", [{"watchers_max": 0}], indirect=True)
async def test_who_reads_events_alone_is_told_of_a_refusal_as_one_and_comes_back(
    client: Client, port: SidePort
) -> None:
    """`EventSource` gives up for ever where it gets anything else."""
    await client.send(b"GET /events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")
    said = (await client.rest()).decode()
    assert said.startswith("HTTP/1.1 200 OK")
    assert said.index("retry: 1000\n") < said.index("retry: 10000\n") < said.index("event: end\n")
    assert 'data: {"reason": "0 are watching this node already"}' in said
    assert said.endswith("0\r\n\r\n")
    assert dict(port.answered)["http", "watch", "503"] == 1


async def test_while_nobody_watches_nothing_is_kept(
    connect: Connect, port: SidePort, backend: FakeBackend
) -> None:
    follower = await Follower(await connect()).begin()
    await follower.upto("counts")
    change(port, backend, "n1", "left")
    assert (await follower.event()).kind == "member"
    backend.add("a")
    follower.client.reset()
    await until(lambda: len(port.watchers) == 0)
    held = (each for each in gc.get_objects() if isinstance(each, rings.Event))
    assert not [event.name for event in held if event.kind == "member"]
    add(port, backend, "a")
    change(port, backend, "n1", "failed")
    assert backend.following.take_events() == []
    assert not backend.following.has_members


@pytest.mark.parametrize("limits", [{"watchers_max": 0}], indirect=True)
@pytest.mark.parametrize(
    ("target", "detail"),
    [
        ("?members=maybe", "members must be true or false, not 'maybe'"),
        ("?counter=", "counter must have 1 to 128 bytes of UTF-8, not 0"),
        ("?what", "unknown field 'what'; known here: counter, counts, members"),
        ("?" + "&".join(["counter=x"] * (WATCHED_MAX + 1)), "at most 256 counters"),
    ],
)
async def test_what_makes_no_sense_is_refused(client: Client, target: str, detail: str) -> None:
    refused = await client.request("GET", f"/events{target}")
    assert refused.status == 400
    assert detail in refused.detail


# --- the connection --------------------------------------------------------------------------


async def test_the_head_alone_begins_nothing(client: Client, port: SidePort) -> None:
    head = await client.request("HEAD", "/events")
    assert (head.status, head.headers["content-type"]) == (200, "text/event-stream")
    assert len(port.watchers) == 0
    assert (await client.request("GET", "/health")).body == b"OK\n"


async def test_an_old_client_reads_until_the_end(client: Client, port: SidePort) -> None:
    await client.send(b"GET /events?members HTTP/1.0\r\n\r\n")
    await until(lambda: len(port.watchers) == 1)
    await port.stop()
    head, _, body = (await client.rest()).partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert body.startswith(b"retry: ")
    assert [event.kind for event in Interpreter().feed(body)][-1] == "end"


async def test_what_a_watcher_sends_is_not_answered(client: Client, port: SidePort) -> None:
    follower = await Follower(client).begin("?members")
    assert follower.headers["connection"] == "close"
    await client.send(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    await follower.upto("present")
    await port.stop()
    assert (await follower.upto("end")).data == {"reason": STOPPING}
    assert await client.rest() == b"0\r\n\r\n"


@pytest.mark.parametrize("limits", [{"idle_min": 0.0, "connections_max": 1}], indirect=True)
async def test_a_watcher_is_not_idle(connect: Connect, port: SidePort) -> None:
    """It gives its place to nobody, however long it is silent."""
    follower = await Follower(await connect()).begin("?members")
    await follower.upto("present")
    assert (await (await connect()).request("GET", "/health")).status == 200
    assert len(port.watchers) == 1
    brief = await (await connect()).request("GET", "/events")
    assert brief.status == 503


async def test_who_has_said_his_last_word_still_watches(
    client: Client, port: SidePort, backend: FakeBackend
) -> None:
    follower = await Follower(client).begin("?counter=a")
    client.half_close()
    await follower.upto("counts")
    add(port, backend, "a")
    await follower.upto_count("a", 1)


@pytest.mark.parametrize("limits", [{"word_timeout": 0.01}], indirect=True)
async def test_a_node_that_stops_waits_for_no_watcher(
    connect: Connect, port: SidePort, backend: FakeBackend
) -> None:
    client = await connect()
    reading(client).pause_reading()
    await client.send(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    await until(lambda: len(port.watchers) == 1)
    while len(port.watchers) and backend.recent.count < 10_000:  # more than what is taken
        backend.add("x" * 100, times=50)
        port.watchers.pull()
        await asyncio.sleep(0)
    async with asyncio.timeout(DEADLINE / 2):
        await port.stop(DEADLINE)


# --- text ------------------------------------------------------------------------------------


async def test_watch_tells_lines(client: Client, port: SidePort, backend: FakeBackend) -> None:
    backend.add("two words", 5)
    await client.send(b"watch\n")
    assert await client.line() == "member  n1  127.0.0.1:7946  alive  self"
    assert (await client.line()).startswith("member  node-2  127.0.0.1:7956  failed  0.3 ms")
    assert await client.line() == 'count  "two words"  5'
    add(port, backend, "two words", 2)
    at, rest = (await client.line()).removeprefix("increment  ").split("  ", 1)
    assert float(at)
    assert rest.startswith('"two words"  by 2  count 7  00000000-0000-8000-8000-')
    await port.stop()
    assert (await client.rest()).decode() == f"error: {STOPPING}\n"


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("watch a b", ["count  a  3", "count  b  0"]),
        ("watch members=true", ["member  n1  127.0.0.1:7946  alive  self"]),
        ('watch a "members=true"', ["count  a  3", 'count  "members=true"  0']),
        ("watch a members=true", ["member  n1  127.0.0.1:7946  alive  self"]),
        ("watch members=x", ["error: members must be true or false, not 'x'"]),
    ],
)
async def test_watch_takes_names(
    client: Client, backend: FakeBackend, line: str, first: list[str]
) -> None:
    backend.add("a", 3)
    await client.send(f"{line}\n".encode())
    assert [await client.line() for _ in first] == first


async def test_help_shows_that_watch_takes_many(client: Client) -> None:
    await client.send(b"help\nquit\n")
    assert "watch [COUNTER…] [members=true]" in (await client.rest()).decode()
