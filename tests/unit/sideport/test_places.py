"""Who may stay where there are too many, and what is answered all the same."""

from __future__ import annotations

import asyncio

import pytest

from gossipd.sideport.limits import Limits
from gossipd.sideport.places import Place, Places, source_of
from gossipd.sideport.port import SidePort
from tests.deadline import DEADLINE

from .conftest import Connect
from .fake import Client, FakeBackend, until

LIMITS = Limits(connections_max=4, address_share=0.5, idle_min=1.0, reserve_max=2)
FULL = {"connections_max": 2, "address_share": 1.0, "reserve_max": 2, "refusals_max": 2}


class Guest:
    """A connection."""

    def __init__(self) -> None:
        self.dismissed = False
        self.idle_since: float | None = None

    def drain(self) -> None:
        self.dismissed = True


class Room:
    """Places, with a clock that tests set."""

    def __init__(self) -> None:
        self.now = 0.0
        self.places = Places(LIMITS, lambda: self.now)

    def come(self, host: str) -> tuple[Guest, Place]:
        guest = Guest()
        return guest, self.places.take(guest, host)

    def fill(self) -> list[Guest]:
        guests = [self.come(f"192.0.2.{number % 2}") for number in range(4)]
        assert {place for _, place in guests} == {Place.KEPT}
        return [guest for guest, _ in guests]


def test_a_newcomer_takes_the_place_of_who_has_been_idle_the_longest() -> None:
    room = Room()
    guests = room.fill()
    for at, number in ((0, 2), (1, 1), (2, 3), (3, 2)):
        guests[number].idle_since = at
    guests[1].idle_since = None
    room.now = 10.0
    assert room.come("192.0.2.7")[1] is Place.KEPT
    assert [guest.dismissed for guest in guests] == [False, False, False, True]
    assert room.come("192.0.2.7")[1] is Place.KEPT
    assert [guest.dismissed for guest in guests] == [False, False, True, True]


def test_who_has_asked_since_it_was_looked_keeps_his_place() -> None:
    room = Room()
    guests = room.fill()
    for since, guest in enumerate(guests):
        guest.idle_since = float(since)
    room.now = 10.0
    assert room.come("192.0.2.7")[1] is Place.KEPT
    guests[1].idle_since, guests[2].idle_since = None, 9.5
    assert room.come("192.0.2.8")[1] is Place.KEPT
    assert [guest.dismissed for guest in guests] == [True, False, False, True]
    room.now = 10.4
    assert room.come("192.0.2.9")[1] is Place.BRIEF, "one is busy, another was a moment ago"
    room.now = 11.5
    assert room.come("192.0.2.9")[1] is Place.KEPT
    assert [guest.dismissed for guest in guests] == [True, False, True, True]


def test_an_address_that_has_its_share_makes_room_itself() -> None:
    room = Room()
    mine, _ = room.come("192.0.2.1")
    other, _ = room.come("192.0.2.2")
    other.idle_since = room.now
    assert room.come("192.0.2.1")[1] is Place.KEPT
    room.now = 5.0
    mine.idle_since = 5.0
    assert room.come("192.0.2.1")[1] is Place.BRIEF
    room.now = 10.0
    assert room.come("192.0.2.1")[1] is Place.KEPT
    assert (mine.dismissed, other.dismissed) == (True, False)


def test_who_was_busy_a_moment_ago_keeps_his_place_and_newcomers_get_a_short_answer() -> None:
    room = Room()
    for guest in room.fill():
        guest.idle_since = room.now
    room.now = 0.9
    brief = [room.come("192.0.2.7") for _ in range(3)]
    assert [place for _, place in brief] == [Place.BRIEF, Place.BRIEF, Place.NONE]
    brief[1][0].idle_since = room.now
    assert room.come("192.0.2.7")[1] is Place.BRIEF
    assert [guest.dismissed for guest, _ in brief] == [False, True, False]


def test_who_has_gone_leaves_nothing_behind() -> None:
    room = Room()
    for _ in range(3):
        guests = [*room.fill(), room.come("192.0.2.7")[0]]
        for guest in guests:
            guest.idle_since = room.now
            room.places.leave(guest)
            room.places.leave(guest)


def test_a_client_is_counted_for_its_address_or_its_network() -> None:
    assert source_of("192.0.2.1") == source_of("::ffff:192.0.2.1") != source_of("192.0.2.2")
    assert source_of("2001:db8::1") == source_of("2001:db8::ffff:1") != source_of("2001:db8:1::1")
    assert source_of("fe80::1%lo") == source_of("fe80::2")
    assert source_of(None) is None


@pytest.mark.parametrize("limits", [{**FULL, "idle_min": 0.0}], indirect=True)
async def test_the_idle_make_room_for_newcomers(
    port: SidePort, connect: Connect, limits: Limits
) -> None:
    silent, asked = await connect(), await connect()
    await until(lambda: port.connection_count == 2)
    assert (await silent.request("GET", "/health")).status == 200
    newcomer = await connect()
    assert (await newcomer.request("GET", "/health")).status == 200
    assert await asked.rest() == b""
    assert (await silent.request("GET", "/health")).status == 200
    assert port.refused_count == 0


@pytest.fixture
async def full(connect: Connect, backend: FakeBackend) -> list[Client]:
    """Connections that are all busy."""
    backend.paused = True
    clients = [await connect() for _ in range(int(FULL["connections_max"]))]
    for client in clients:
        await client.send(b"increment\n")
    await until(lambda: len(backend.waiting) == len(clients))
    return clients


@pytest.mark.parametrize("limits", [FULL], indirect=True)
async def test_where_all_are_busy_short_questions_are_answered(
    connect: Connect, full: list[Client], limits: Limits
) -> None:
    for path, status in (
        ("/health", 200),
        ("/ready", 200),
        ("/status", 200),
        ("/count", 200),
        ("/counters", 503),
        ("/members", 503),
        ("/count?after=00000000-0000-8000-8000-000000000001", 503),
    ):
        client = await connect()
        answer = await client.request("GET", path)
        assert (answer.status, answer.headers["connection"]) == (status, "close"), path
        assert await client.rest() == b""
    for line, said in ((b"health\n", b"OK\n"), (b"members\n", b"error: too many connections\n")):
        client = await connect()
        await client.send(line + b"ping\n")
        assert await client.rest() == said


@pytest.mark.parametrize("limits", [{**FULL, "reserve_timeout": 0.1}], indirect=True)
async def test_who_asks_nothing_in_the_reserve_is_closed_soon(
    connect: Connect, full: list[Client], limits: Limits
) -> None:
    client = await connect()
    async with asyncio.timeout(DEADLINE):
        assert await client.rest() == b""


@pytest.mark.parametrize("limits", [FULL], indirect=True)
async def test_the_silent_do_not_fill_the_reserve(
    port: SidePort, connect: Connect, full: list[Client], limits: Limits
) -> None:
    silent = [await connect() for _ in range(20)]
    assert (await (await connect()).request("GET", "/health")).status == 200
    assert port.refused_count == 0
    assert await silent[0].rest() == b""
