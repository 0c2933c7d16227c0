"""What comes is handled at once, or when there is time: others first, each address in turn."""

from __future__ import annotations

import asyncio
import time

import pytest

from gossipd.core import Address
from gossipd.daemon.inbox import (
    ADDRESSES_MAX,
    BURST,
    READS_FIRST_MAX,
    SLICE,
    STRANGERS_SHARE,
    WAITING_MAX,
    Inbox,
)
from tests.unit.daemon.waiting import until

LIAR: Address = ("10.0.0.1", 1)
PEER: Address = ("10.0.0.2", 1)
OTHER: Address = ("10.0.0.3", 1)
URGENT = b"urgent"
NOTHING = b"nothing"


class Bench:
    """An inbox whose datagrams cost what their sender wants."""

    def __init__(self) -> None:
        self.clock = 0.0
        self.costs: dict[Address, float] = {}
        self.handled: list[tuple[bytes, Address]] = []
        self.breaks_at: bytes | None = None
        self.asked: list[tuple[bytes, Address]] = []
        """Whether they are nothing."""
        self.dropped: list[Address] = []
        self.amplification: set[str] = set()
        """Hosts that have proven nothing."""
        self.inbox = Inbox(
            self.handle, self, self.refuse, self.dropped.append, clock=lambda: self.clock
        )

    def refuse(self, data: bytes, source: Address) -> bool:
        self.asked.append((data, source))
        return data == NOTHING

    def is_urgent(self, data: bytes) -> bool:
        return data == URGENT

    def is_proven(self, address: Address) -> bool:
        return address[0] not in self.amplification

    def handle(self, data: bytes, source: Address) -> None:
        if data == self.breaks_at:
            raise RuntimeError("a bug")
        self.clock += self.costs.get(source, 0.0)
        self.handled.append((data, source))

    def flood(self, source: Address, seconds: float = 10 * BURST) -> None:
        """Use more than its share, but leave some to the others."""
        self.costs[source] = seconds
        self.inbox.receive(b"much", source)
        self.costs[source] = SLICE
        self.inbox._all.add(-self.inbox._all._seconds)
        self.handled.clear()


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_what_comes_within_a_share_is_handled_at_once(bench: Bench) -> None:
    for number in range(100):
        bench.inbox.receive(bytes([number]), LIAR)
    assert bench.handled == [(bytes([number]), LIAR) for number in range(100)]


async def test_who_has_used_its_share_waits_and_nobody_else_does(bench: Bench) -> None:
    bench.flood(LIAR)
    bench.inbox.receive(b"more", LIAR)
    assert bench.handled == []
    bench.inbox.receive(b"a", PEER)
    assert bench.handled == [(b"a", PEER)]
    await until(lambda: len(bench.handled) == 2)
    assert bench.handled[-1] == (b"more", LIAR)
    assert bench.dropped == []


async def test_a_datagram_that_cannot_be_handled_holds_up_none_of_those_that_wait(
    bench: Bench,
) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    bench.flood(LIAR)
    bench.breaks_at = b"first"
    bench.inbox.receive(b"first", LIAR)
    bench.inbox.receive(b"second", LIAR)
    await until(lambda: bench.handled == [(b"second", LIAR)])


async def test_when_all_have_used_too_much_probes_come_first_and_each_address_in_turn(
    bench: Bench,
) -> None:
    bench.flood(LIAR)
    bench.inbox._all.add(1000)
    for number in range(3):
        bench.inbox.receive(bytes([number]), LIAR)
    for source in (PEER, OTHER):
        bench.inbox.receive(b"x", source)
        bench.inbox.receive(URGENT, source)
    assert bench.handled == []
    await until(lambda: len(bench.handled) == 7)
    assert bench.handled == [
        (URGENT, PEER),
        (URGENT, OTHER),
        (b"\0", LIAR),
        (b"x", PEER),
        (b"x", OTHER),
        (b"\1", LIAR),
        (b"\2", LIAR),
    ]


async def test_what_waits_lets_the_loop_go_on_between_two_slices(bench: Bench) -> None:
    bench.flood(LIAR)
    for _ in range(10):
        bench.inbox.receive(b"more", LIAR)
    counts = set()
    while len(bench.handled) < 10:
        await asyncio.sleep(0)
        counts.add(len(bench.handled))
    assert counts == set(range(11))


async def test_the_socket_is_read_first_but_not_for_ever(bench: Bench) -> None:
    bench.flood(LIAR)
    bench.inbox.receive(b"more", LIAR)
    rounds = 0
    while (b"more", LIAR) not in bench.handled:
        bench.inbox.receive(b"a", PEER)
        await asyncio.sleep(0)
        rounds += 1
        assert rounds < 2 * READS_FIRST_MAX
    assert rounds >= READS_FIRST_MAX


async def test_who_has_too_much_waiting_loses_what_is_beyond(bench: Bench) -> None:
    bench.flood(LIAR)
    for data in (b"more", URGENT):
        for _ in range(WAITING_MAX + 3):
            bench.inbox.receive(data, LIAR)
    assert bench.dropped == [LIAR] * 6
    await until(lambda: len(bench.handled) == 2 * WAITING_MAX)


async def test_probes_that_wait_are_handled_when_somebody_is_about_to_be_blamed(
    bench: Bench,
) -> None:
    bench.flood(LIAR)
    bench.inbox.receive(b"more", LIAR)
    bench.inbox.receive(URGENT, LIAR)
    bench.inbox.hurry()
    assert bench.handled == [(URGENT, LIAR)]
    await until(lambda: len(bench.handled) == 2)


async def test_a_share_comes_back_with_time(bench: Bench) -> None:
    bench.flood(LIAR)
    bench.inbox.receive(b"a", LIAR)
    assert bench.handled == []
    await until(lambda: bench.handled)
    bench.inbox._uses[LIAR]._at -= 1000.0
    bench.inbox.receive(b"b", LIAR)
    assert bench.handled[-1] == (b"b", LIAR)


async def test_time_counts_in_which_the_host_does_something_else() -> None:
    """While it sleeps, this process uses no CPU, as while others have it."""
    handled: list[bytes] = []

    def handle(data: bytes, _: Address) -> None:
        handled.append(data)
        time.sleep(1.5 * BURST)

    inbox = Inbox(handle, Bench(), lambda *_: False, lambda _: None)
    inbox.receive(b"a", PEER)
    inbox.receive(b"b", PEER)
    assert handled == [b"a"]
    await until(lambda: len(handled) == 2)


async def test_strangers_share_a_share_whatever_addresses_they_write(bench: Bench) -> None:
    bench.amplification.add("10.0.0.9")
    bench.flood(("10.0.0.9", 1), seconds=1.5 * BURST)
    bench.inbox.receive(b"more", ("10.0.0.9", 99))
    assert bench.handled == []
    bench.inbox.receive(b"a", PEER)
    assert bench.handled == [(b"a", PEER)]
    await until(lambda: len(bench.handled) == 2)
    assert bench.dropped == []


async def test_strangers_do_not_get_all_the_time_that_nobody_else_wants(bench: Bench) -> None:
    """Each of their addresses has its turn in what they get."""
    bench.amplification.add("10.0.0.9")
    bench.flood(("10.0.0.9", 1), seconds=BURST + 50 * SLICE)
    bench.costs = {("10.0.0.9", port): 20 * SLICE for port in (1, 2)}
    for _ in range(8):
        bench.inbox.receive(b"much", ("10.0.0.9", 1))
    bench.inbox.receive(b"join", ("10.0.0.9", 2))
    began, before = time.monotonic(), bench.clock
    await until(lambda: len(bench.handled) == 9)
    assert [source[1] for _, source in bench.handled] == [1, 2, *[1] * 7]
    took = time.monotonic() - began
    assert bench.clock - before - 20 * SLICE <= STRANGERS_SHARE * took


async def test_what_strangers_wait_for_nobody_else_waits_for(bench: Bench) -> None:
    bench.amplification.add("10.0.0.9")
    bench.flood(("10.0.0.9", 1), seconds=1000.0)
    bench.inbox.receive(b"more", ("10.0.0.9", 1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    bench.inbox._all.add(1000)
    bench.inbox.receive(b"a", PEER)
    await until(lambda: bench.handled == [(b"a", PEER)])
    assert bench.inbox.waiting_count == 1


async def test_nothing_of_a_stranger_is_urgent(bench: Bench) -> None:
    stranger = ("10.0.0.9", 1)
    bench.amplification.add(stranger[0])
    bench.inbox._all.add(1000)
    bench.inbox.receive(URGENT, stranger)
    bench.inbox.receive(URGENT, PEER)
    bench.inbox.hurry()
    assert bench.handled == [(URGENT, PEER)]
    await until(lambda: len(bench.handled) == 2)


async def test_what_is_nothing_neither_waits_nor_is_handled(bench: Bench) -> None:
    stranger = ("10.0.0.9", 1)
    bench.amplification.add(stranger[0])
    bench.inbox._all.add(1000)
    for source in (stranger, PEER):
        for _ in range(2 * WAITING_MAX):
            bench.inbox.receive(NOTHING, source)
        bench.inbox.receive(b"a", source)
    assert (bench.inbox.waiting_count, bench.dropped) == (2, [])
    await until(lambda: len(bench.handled) == 2)
    assert bench.handled == [(b"a", PEER), (b"a", stranger)]


async def test_of_a_peer_within_its_share_it_is_not_asked_whether_it_sends_nothing(
    bench: Bench,
) -> None:
    bench.inbox.receive(NOTHING, PEER)
    assert (bench.handled, bench.asked) == ([(NOTHING, PEER)], [])


async def test_no_more_addresses_than_some_are_remembered_or_wait(bench: Bench) -> None:
    bench.inbox._all.add(1000)
    for number in range(ADDRESSES_MAX + 5):
        bench.inbox.receive(b"x", ("10.0.0.9", number))
    assert len(bench.dropped) == 5
    await until(lambda: len(bench.handled) == ADDRESSES_MAX)
    bench.inbox._all.add(-1000)
    for number in range(ADDRESSES_MAX + 5):
        bench.inbox.receive(b"x", ("10.0.0.8", number))
    assert len(bench.inbox._uses) == ADDRESSES_MAX


async def test_what_waits_is_told_with_its_age() -> None:
    bench = Bench()
    bench.flood(LIAR)
    assert (bench.inbox.waiting_count, bench.inbox.oldest_age(time.monotonic())) == (0, 0)
    bench.inbox.receive(b"one", LIAR)
    bench.inbox.receive(URGENT, LIAR)
    assert bench.inbox.waiting_count == 2
    assert bench.inbox.oldest_age(time.monotonic() + 5) >= 5
    await until(lambda: not bench.inbox.waiting_count)
    assert bench.inbox.oldest_age(time.monotonic()) == 0
