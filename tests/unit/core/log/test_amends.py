"""What others put in the place of what this process wrote, and what makes up for it."""

from __future__ import annotations

from copy import deepcopy
from random import Random

import pytest

from gossipd.core import KeyRecord, Stream
from gossipd.core.identity import SEQ_MAX, TOTAL_MAX
from gossipd.core.log.amends import AMENDS_AT_ONCE, MINT_EVERY, MINTS_SAVED
from gossipd.core.log.dedup import Dedup
from gossipd.core.log.learning import Company, Learning, Lesson
from gossipd.core.log.log import Log
from gossipd.core.log.registers import Advance
from gossipd.core.log.writer import Batch, Writer
from gossipd.core.settings import Settings
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.records import Group, Register

NOW = 1.0
K, L = bytes(15) + b"\2", bytes(15) + b"\1"


class Own:
    """A node's writer, and what it is told."""

    def __init__(self, log: Log | None = None) -> None:
        self.log = log or Log()
        self.writer = Writer(self.log, Dedup(self.log, Settings(), lambda: True), Random(1))
        self._learning = Learning(self.log, self.writer, lambda _, keys, __: keys)

    def prepare(self, *pairs: tuple[str, int], keys: tuple[bytes, ...] = ()) -> Batch:
        return self.writer.prepare(pairs, NOW, NOW, keys, amends=True)

    def count(self, *pairs: tuple[str, int]) -> list[Advance]:
        """What beside these a batch brings."""
        return self.writer.expose(self.prepare(*pairs), NOW).others

    def told(
        self, stream: Stream, *registers: Register, to: int = 0, keys: tuple[KeyRecord, ...] = ()
    ) -> Lesson:
        return self._learning.group(Group(stream, 0, to, registers, keys), Company(), NOW)

    @property
    def stream(self) -> Stream:
        assert self.writer.stream is not None
        return self.writer.stream


@pytest.fixture
def own() -> Own:
    own = Own()
    own.count(("up", 7), ("down", -7), ("both", 7), ("both", -4))
    return own


def test_what_is_missing_counts_under_the_next_stream(own: Own) -> None:
    first = own.stream
    assert own.told(first, ("up", 99, 3), ("down", 99, -3), ("both", 99, 1)).drops == [
        Drop.NOT_OURS
    ]
    assert own.writer.stream is None
    assert own.writer.amends.owes
    amends = own.count(("up", 1))
    assert own.log.values == {"up": 8, "down": -7, "both": 3}
    assert [(each.counter, each.seq, each.by, each.value) for each in amends] == [
        ("up", 2, 4, 8),
        ("down", 3, -4, -7),
        ("both", 4, 2, 3),
    ]
    assert own.stream != first
    assert not own.writer.amends.owes


def test_what_is_more_than_was_written_stays(own: Own) -> None:
    """It may be a clone's."""
    own.told(own.stream, ("up", 99, 30), ("down", 99, -30), ("both", 99, 30))
    assert not own.count()
    assert own.log.values == {"up": 30, "down": -30, "both": 30}


def test_what_was_made_up_for_and_stands_again_is_taken_back(own: Own) -> None:
    first = own.stream
    for seq, total, value in ((99, 3, 7), (100, -5, 7), (101, 5, 7), (102, 20, 20), (103, 7, 7)):
        own.told(first, ("up", seq, total))
        own.count()
        assert own.log.value("up") == value


def test_what_is_told_of_a_counter_that_was_not_written_is_the_tellers(own: Own) -> None:
    own.told(own.stream, ("others", 99, -5))
    own.told(next(iter(own.log.streams)), ("others", 100, -6))
    assert not own.count()
    assert own.log.value("others") == -6


def test_what_made_up_for_something_is_looked_after_as_well(own: Own) -> None:
    for _ in range(5):
        own.told(next(s for s in own.log.streams), ("up", 99, 3))
        own.count()
        own.told(own.stream, ("up", 99, -100))
        own.count()
        assert own.log.value("up") == 7


def test_less_at_the_same_seqs_that_are_under_way_is_made_up_for(own: Own) -> None:
    batch = own.prepare(("up", 1), ("new", 5))
    own.told(batch.stream, ("up", 4, 2), ("up", 99, 3), ("new", 99, 1))
    exposed = own.writer.expose(batch, NOW)
    assert [advance.value for advance in exposed.made] == [4, 6]
    assert own.log.values == {"up": 3, "down": -7, "both": 3, "new": 1}
    own.count()
    assert own.log.values == {"up": 8, "down": -7, "both": 3, "new": 5}


def test_a_batch_whose_commit_fails_makes_up_for_nothing_and_the_next_one_does(own: Own) -> None:
    own.told(own.stream, ("up", 99, 3))
    own.writer.abandon(own.prepare())
    assert own.log.value("up") == 3
    own.count()
    assert own.log.value("up") == 7


def test_a_stream_whose_commit_failed_is_not_looked_after(own: Own) -> None:
    """A copy of its disk may hold more of it, which its clients were told of."""
    batch = own.prepare(("up", -1))
    own.writer.abandon(batch)
    assert own.told(batch.stream, ("up", 5, 6)).drops == []
    assert not own.writer.amends.owes
    assert own.log.value("up") == 6


def test_more_than_a_total_holds_is_made_up_for_by_several_streams(own: Own) -> None:
    own.told(own.stream, ("up", SEQ_MAX, -TOTAL_MAX), to=SEQ_MAX)
    own.count()
    second = own.writer.stream
    assert second is None
    own.count()
    assert own.log.value("up") == 7
    assert own.writer.stream is not None


def test_a_full_log_makes_up_for_it_as_soon_as_there_is_room() -> None:
    own = Own(Log(registers_max=1))
    own.count(("up", 7))
    own.told(own.stream, ("up", 99, 3))
    assert not own.count()
    assert own.writer.amends.owes
    own.log.registers_max = 5
    own.count()
    assert own.log.value("up") == 7


def test_what_a_full_log_refuses_spoils_nothing() -> None:
    own = Own(Log(registers_max=1))
    own.count(("up", 7))
    own.told(own.stream, ("up", 99, 3), ("other", 98, 3))
    assert not own.writer.amends.owes
    assert own.log.value("up") == 7


def test_one_batch_makes_up_for_so_much_and_no_more() -> None:
    own = Own()
    names = [f"c{number}" for number in range(AMENDS_AT_ONCE + 1)]
    own.count(*((name, 2) for name in names))
    own.told(own.stream, *((name, 10**6, 1) for name in names))
    assert len(own.count()) == AMENDS_AT_ONCE
    assert len(own.count()) == 1
    assert set(own.log.values.values()) == {2}


def test_streams_begin_at_a_pace_however_often_one_is_spoilt() -> None:
    own = Own()
    for _ in range(MINTS_SAVED):
        assert own.writer.wait(NOW) == 0
        own.count(("up", 1))
        own.told(own.stream, ("up", 10**6, 0))
    assert own.writer.wait(NOW) == pytest.approx(MINT_EVERY)
    assert own.writer.wait(NOW + MINT_EVERY) == 0
    own.writer.expose(own.writer.prepare([("up", 1)], NOW + MINT_EVERY, NOW + MINT_EVERY), NOW)
    assert own.writer.wait(NOW + MINT_EVERY) == 0, "this stream is not spoilt"


def test_what_a_process_that_was_put_back_is_told_of_itself_is_no_lie(own: Own) -> None:
    """As a virtual machine is with a snapshot: what it wrote after that others know."""
    own.told(own.stream, ("up", 99, 3))
    own.writer.expose(own.writer.prepare([("up", 1)], NOW, NOW + 2, amends=True), NOW)
    assert not own.writer.amends.owes
    assert own.log.values == {"up": 4, "down": -7, "both": 3}
    own.told(own.stream, ("up", 99, -1))
    own.writer.expose(own.writer.prepare([], NOW, NOW + 2, amends=True), NOW)
    assert own.log.value("up") == 4, "what it has written since is looked after"


@pytest.mark.parametrize("seed", range(10))
def test_two_copies_of_a_process_begin_one_stream_each_and_do_not_answer_each_other(
    own: Own, seed: int
) -> None:
    rng, twin = Random(seed), deepcopy(own)
    twin.writer._rng = Random(2)  # in production nobody mints what another one does
    for _ in range(20):
        one, other = rng.sample((own, twin), 2)
        one.count(*((rng.choice(("up", "down")), rng.randint(-5, 5)) for _ in range(3)))
        if rng.random() < 0.3:
            tell(one, other)
    for _ in range(3):
        tell(own, twin)
        tell(twin, own)
        own.count()
        twin.count()
    assert not own.count()
    assert not twin.count()
    assert own.log.fingerprint == twin.log.fingerprint
    assert own.log.stream_count <= 3


def tell(teller: Own, told: Own) -> None:
    """All that it holds."""
    for stream in teller.log.streams:
        registers = tuple(teller.log.newest_first(stream, 0))
        told.told(stream, *registers, to=teller.log.version(stream))


# --- keys ----------------------------------------------------------------------------------------


def test_an_own_event_keeps_its_key_whatever_others_say_of_it() -> None:
    own = Own()
    own.writer.expose(own.prepare(("up", 1), keys=(K,)), NOW)
    first = own.stream
    lie = KeyRecord(L, 1, "up", 1, 0)
    assert own.told(first, keys=(lie,)).drops == [Drop.NOT_OURS]
    assert own.writer.stream is None
    assert own.told(first, keys=(lie,)).drops == [Drop.NOT_OURS], "nor once the stream has ended"
    assert [event.seq for event in own.log.keys.events(K)] == [1]
    assert not own.log.keys.events(L)


def test_an_event_that_is_under_way_keeps_its_key_too() -> None:
    own = Own()
    own.count(("up", 1))
    batch = own.prepare(("up", 1), ("up", 1), keys=(K, bytes(16)))
    own.told(batch.stream, keys=(KeyRecord(L, 2, "up", 1, 0), KeyRecord(bytes(16), 3, "up", 1, 0)))
    own.writer.expose(batch, NOW)
    assert [event.seq for event in own.log.keys.events(K)] == [2]
    assert not own.log.keys.events(L)
    assert [event.seq for event in own.log.keys.events(bytes(16))] == [3]


def test_what_is_said_of_events_behind_the_last_one_is_held_as_others_do() -> None:
    own = Own()
    own.count(("up", 1))
    first = own.stream
    assert own.told(first, keys=(KeyRecord(L, 9, "up", 1, 0),)).drops == [Drop.NOT_OURS]
    assert [event.seq for event in own.log.keys.events(L)] == [9]
