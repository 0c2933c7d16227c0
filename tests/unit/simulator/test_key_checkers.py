"""Checkers of keys notice what is not true, in small worlds with one thing wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gossipd.core import (
    Accepted,
    Duplicate,
    Settings,
    TagFrame,
)
from gossipd.core.log.dedup import (
    CatchingUp,
    KeyExpired,
    KeyReused,
    KeysFull,
)
from gossipd.core.log.keys import KeyedEvent
from gossipd.core.log.writer import Result
from gossipd.core.wire.encoding import (
    pack_body,
    pack_group,
    pack_head,
    pack_record,
)
from gossipd.core.wire.messages import Gossip, Pages
from gossipd.core.wire.records import BEGINNING, END, Double, KeyRecord, Page, Record
from tests.simulation.checkers import Checker
from tests.simulation.faulty.world import Captured, Judged, World
from tests.unit.core.wire.wire_examples import encode, spoken

KEY, SPARE = bytes(6) + b"\x40" + bytes(9), bytes(6) + b"\x40" + bytes(8) + b"\1"


@pytest.fixture
def world() -> World:
    """Two nodes; the first one has counted one thing under a key and one without."""
    made = World(1, Settings(key_window=5.0, key_retention=5.0))
    made.formed(2)
    made.increment("n0", "a", 2, KEY)
    made.increment("n0", "a", 1)
    made.run(1)
    return made


def say(world: World, start: int, to: int, *records: Record) -> None:
    """Note that the first node has sent a group of its stream."""
    own = world.node("n0").own
    group = pack_group(world.made[0].stream, start, to, [pack_record(r) for r in records])
    head = pack_head(own.name, own.generation, own.incarnation, Gossip())
    data = TagFrame("sim").close(pack_body(head, (), (group,)))
    assert world.captured is not None
    world.captured.append(Captured("n1", data, own.address))


@pytest.mark.parametrize(
    "double",
    [
        Double("a", 1, 2, bytes(10), 1, 0),
        Double("a", 2, 1, bytes(10), 1, 0),
        Double("a", 9, 2, bytes(10), 1, 0),
    ],
)
def test_a_double_of_nothing_is_named(world: World, double: Double) -> None:
    checker = Checker(world)
    own = world.node("n0").own
    page = Page(world.made[0].stream, 2, BEGINNING, END, 2, (), (), (double,))
    said = spoken(Pages(1, (page,), True))
    said = replace(said, sender=own.name, generation=own.generation, incarnation=own.incarnation)
    assert world.captured is not None
    world.captured.append(Captured("n1", TagFrame("sim").close(encode(said)), own.address))
    with pytest.raises(AssertionError, match=r"^I6: n0 says Double"):
        checker.check()


def answer(world: World, result: Result, key: bytes = KEY, by: int = 2) -> None:
    """Note that a client of the second node was told something."""
    told = Judged(world.now, world.hosts["n1"], ("a", by, key), result, from_disk=False)
    world.judged.append(told)


REGISTER = ("a", 2, 3)


@pytest.mark.parametrize(
    ("start", "to", "records", "said"),
    [
        (0, 2, (REGISTER,), "I3: n0 says up to 2 without the key"),
        (0, 2, (REGISTER, KeyRecord(KEY, 1, "a", 9, 0)), "I1: n0 says event 1 under a key"),
        (0, 2, (REGISTER, KeyRecord(SPARE, 2, "a", 1, 0)), "I1: n0 says event 2 under a key"),
    ],
)
def test_a_group_that_is_not_true_of_keys_is_named(
    world: World, start: int, to: int, records: tuple[Record, ...], said: str
) -> None:
    checker = Checker(world)
    say(world, start, to, *records)
    with pytest.raises(AssertionError, match=f"^{said}"):
        checker.check()


def test_a_group_with_its_key_or_above_it_or_after_its_window_is_true(world: World) -> None:
    checker = Checker(world)
    say(world, 0, 2, REGISTER, KeyRecord(KEY, 1, "a", 2, 0))
    say(world, 1, 2, REGISTER)
    checker.check()
    world.run(5)
    say(world, 0, 2, REGISTER)
    checker.check()


def test_a_true_answer_passes(world: World) -> None:
    checker = Checker(world)
    event = KeyedEvent(world.made[0].stream, 1, "a", 2)
    answer(world, Duplicate(event))
    answer(world, KeyReused(event), by=3)
    checker.check()


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (Duplicate(KeyedEvent(bytes(10), 1, "a", 2)), "takes .* for a retry of None"),
        (KeyReused(KeyedEvent(bytes(10), 1, "a", 9)), "calls a key reused that was not"),
        (KeyExpired(3.0), "takes a key for expired that tells no time"),
        (KeysFull(), "is full of 1 keys"),
        (CatchingUp(), "is ready and says that it is not"),
    ],
)
def test_an_answer_that_is_not_true_is_named(world: World, result: Result, said: str) -> None:
    checker = Checker(world)
    answer(world, result)
    with pytest.raises(AssertionError, match=rf"^Q4: n1 at 1.00 s {said}"):
        checker.check()


def test_a_retry_that_counts_again_where_its_key_was_known_is_named(world: World) -> None:
    checker = Checker(world)
    answer(world, Duplicate(KeyedEvent(world.made[0].stream, 1, "a", 2)))
    answer(world, Accepted(7, "a", 2))
    with pytest.raises(AssertionError, match=r"^Q4: n1 at 1.00 s counts .* again"):
        checker.check()


def test_what_counts_more_than_once_is_told_for_each_counter(world: World) -> None:
    checker = Checker(world)
    assert checker.over("n1") == {}
    world.run(6)
    world.increment("n1", "a", 2, KEY)
    assert checker.over("n1") == {"a": 2}
