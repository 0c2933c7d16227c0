"""Keys on the disk: what is committed with them is known for as long as it may be retried."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Coroutine
from contextlib import closing
from itertools import permutations
from pathlib import Path

import pytest

from gossipd.core import (
    AGE_TICK,
    Double,
    KeyedEvent,
    Stored,
)
from gossipd.core.identity import key_time
from gossipd.core.log.dedup import held_longer, reach
from gossipd.store import BrokenError, StoreError
from gossipd.store.aging import Expiry, Lifetimes
from gossipd.store.checking import check
from gossipd.store.export import export_lines
from gossipd.store.recovery import connect
from tests.unit.store.keyed import (
    doubles_in,
    keyed,
    plain_key,
    record,
    records_in,
    timed_key,
    told,
)
from tests.unit.store.parts import (
    NOTHING,
    OTHER,
    STREAM,
    as_of,
    batch,
    contents,
    opened,
    stored,
)


async def test_the_next_life_has_the_keys_of_a_batch_in_memory(tmp_path: Path) -> None:
    async with opened(tmp_path, "full") as store:
        await store.commit(keyed(3, record(1), record(3, by=-2)))
    (found,) = (await stored(tmp_path)).streams
    assert [each.said for each in found.keys] == [record(1).said, record(3, by=-2).said]
    assert all(each.age * AGE_TICK < 60 for each in found.keys)
    assert (found.version, found.archived, found.doubles) == (3, 0, ())


async def test_records_age_while_the_node_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    up = [1000.0]
    monkeypatch.setattr(time, "clock_gettime", lambda _: up[0])
    async with opened(tmp_path) as store:
        await store.save(told(record(1, age=30.0)))
    up[0] += 100
    async with opened(tmp_path) as store:
        (held,) = store.load().streams[0].keys
        assert held.age * AGE_TICK == pytest.approx(130, abs=0.1)
        assert list(await store.read_keys(STREAM, 0, 9, 9)) == [held]


async def test_an_event_has_one_key_whichever_was_written_first(tmp_path: Path) -> None:
    several = (
        record(1, plain_key(2), counter="b"),
        record(1, plain_key(2), counter="a", by=3),
        record(1, plain_key(2), counter="a", by=2),
        record(1, plain_key(3), counter="a", by=1),
    )
    for number, order in enumerate(permutations(several)):
        async with opened(tmp_path / str(number)) as store:
            for each in (*order, order[0]):
                await store.save(told(each))
        ((found,),) = [each.keys for each in (await stored(tmp_path / str(number))).streams]
        assert found.said == several[2].said


async def test_a_record_that_is_written_again_is_as_old_as_before(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.save(told(record(1, age=300.0)))
        await store.save(told(record(1, age=0.0)))
        await store.save(told(record(1, age=500.0)))
        (found,) = await store.read_keys(STREAM, 0, 1, 1)
    assert 300 <= found.age * AGE_TICK < 360


async def test_the_horizon_never_moves_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for horizon in (7, 5, 0):
            await store.save(NOTHING._replace(horizon=horizon))
    assert (await stored(tmp_path)).horizon == 7


async def test_a_stream_of_which_only_records_came_is_loaded(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.save(NOTHING._replace(keys=((OTHER, record(4)),)))
        await store.commit(keyed(1, record(1)))
    assert records_in(await stored(tmp_path)) == {STREAM: [1], OTHER: [4]}


# --- what belongs into memory --------------------------------------------------------------------


async def test_memory_gets_the_window_and_the_rest_is_archived(tmp_path: Path) -> None:
    records = (
        record(1, timed_key(9000), age=9000),  # has expired
        record(2, timed_key(5000), age=5000),
        record(4, timed_key(1000), age=1000),
        record(5, age=900),
        record(7, timed_key(100), age=100),
        record(8, age=800),  # behind one that stays
    )
    async with opened(tmp_path, retention=1e6) as store:
        await store.save(told(*records, version=8))
    async with opened(tmp_path, retention=6000) as store:
        snapshot = store.load()
    assert records_in(snapshot) == {STREAM: [7, 8]}
    assert snapshot.streams[0].archived == 5
    assert snapshot.horizon == int.from_bytes(records[2].key[:6], "big")


async def test_what_no_version_covers_belongs_into_memory_until_it_expires(tmp_path: Path) -> None:
    records = [record(seq, timed_key(7000 - 1000 * seq), 7000 - 1000 * seq) for seq in range(1, 6)]
    async with opened(tmp_path, retention=1e6) as store:
        await store.save(told(*records, version=3))
        await store.save(told(*records, stream=OTHER))
    async with opened(tmp_path, retention=4500) as store:
        snapshot = store.load()
    assert records_in(snapshot) == {STREAM: [4, 5], OTHER: [3, 4, 5]}
    assert [each.archived for each in snapshot.streams] == [3, 0]
    assert snapshot.horizon == int.from_bytes(records[2].key[:6], "big")


async def test_the_horizon_is_that_of_all_that_has_left_memory(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.save(NOTHING._replace(horizon=10**9))
        await store.save(told(record(1, age=1000), version=1))
    assert (await stored(tmp_path)).horizon == 10**9


async def test_a_time_that_was_not_written_does_not_become_the_horizon(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.save(told(record(1, timed_key(1000), age=1000), version=1))
    with closing(sqlite3.connect(tmp_path / "gossipd.db", isolation_level=None)) as connection:
        connection.execute("UPDATE keys SET key = x'ffffffffffff70008000000000000000'")
    with pytest.raises(StoreError, match="is damaged: the key record of event 1 in"):
        await stored(tmp_path)


# --- looking up ----------------------------------------------------------------------------------


async def test_keys_are_found_with_all_their_events(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.commit(keyed(1500, *(record(seq) for seq in range(1, 1501))))
        await store.save(told(record(7, plain_key(2), by=5), stream=OTHER))
        found = await store.find_keys([plain_key(number) for number in range(1400, 3000)])
        assert sorted(found) == [plain_key(number) for number in range(1400, 1501)]
        two = await store.find_keys([plain_key(2)])
        assert set(two[plain_key(2)]) == {
            KeyedEvent(STREAM, 2, "default", 1),
            KeyedEvent(OTHER, 7, "default", 5),
        }
        assert await store.find_keys([]) == {}


async def test_records_of_a_stream_are_read_from_the_oldest_on(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.commit(keyed(50, *(record(seq) for seq in range(1, 51))))
        await store.save(told(record(20), stream=OTHER))
        found = [each.seq for each in await store.read_keys(STREAM, 10, 30, 5)]
        assert found == [11, 12, 13, 14, 15]
        assert [each.seq for each in await store.read_keys(STREAM, 48, 99, 5)] == [49, 50]
        assert list(await store.read_keys(STREAM, 50, 99, 5)) == []


async def test_a_save_tells_of_keys_in_it_that_have_several_events(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.commit(keyed(2000, *(record(seq) for seq in range(1, 2001))))
        assert await store.save(told(record(1))) == {}
        several = tuple(record(seq, plain_key(seq + 1000)) for seq in range(1, 2001))
        twins = await store.save(told(*several, stream=OTHER))
        assert set(twins) == {plain_key(seq) for seq in range(1001, 2001)}
        assert set(twins[plain_key(1001)]) == {
            KeyedEvent(STREAM, 1001, "default", 1),
            KeyedEvent(OTHER, 1, "default", 1),
        }
        assert await store.save(told(record(1), record(2))) == {}


def damage_first_record(directory: Path) -> None:
    with closing(sqlite3.connect(directory / "gossipd.db", isolation_level=None)) as connection:
        connection.execute("UPDATE keys SET by = 2 WHERE seq = 1")


async def test_a_damaged_record_that_expires_is_told_with_what_to_do(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.save(told(record(1, age=5000), version=1))
    damage_first_record(tmp_path)
    async with opened(tmp_path, retention=1000) as store:
        with pytest.raises(BrokenError) as caught:
            await store.expire()
    said = str(caught.value)
    assert f"{tmp_path}/gossipd.db is damaged: the key record of event 1 in stream" in said
    assert f"gossipd data move-aside {tmp_path}" in said


async def test_what_is_damaged_is_told_as_nothing_else(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.save(told(record(1, age=1000), record(2, age=1000), version=2))
    damage_first_record(tmp_path)
    async with opened(tmp_path) as store:
        assert await store.find_keys([plain_key(2)])
        with pytest.raises(BrokenError, match="the key record of event 1"):
            await store.find_keys([plain_key(1)])
        with pytest.raises(BrokenError, match="the key record of event 1"):
            await store.read_keys(STREAM, 0, 1, 1)
    with pytest.raises(StoreError, match="is damaged: the key record of event 1"):
        async with opened(tmp_path, window=5000):
            pass


async def test_a_file_that_was_removed_is_not_looked_up_in(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.commit(keyed(1, record(1)))
        (tmp_path / "gossipd.db").unlink()
        with pytest.raises(BrokenError, match="removed or replaced"):
            await store.find_keys([plain_key(1)])
        with pytest.raises(BrokenError, match="removed or replaced"):
            await store.read_keys(STREAM, 0, 1, 1)


# --- order of writes -----------------------------------------------------------------------------


async def test_no_version_is_stored_before_the_keys_that_it_covers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gossipd.store.sqlite.SLICE_SECONDS", 0.0)
    records = tuple(record(seq) for seq in range(1, 1001))
    seen: set[tuple[int, int]] = set()
    async with opened(tmp_path) as store:
        with closing(sqlite3.connect(tmp_path / "gossipd.db")) as second:
            write_behind = asyncio.create_task(store.save(told(*records, version=1000)))
            while not write_behind.done():
                query = "SELECT (SELECT count(*) FROM keys), count(*) FROM streams WHERE version"
                seen.update(second.execute(query))
                await asyncio.sleep(0)
            await write_behind
    assert any(0 < found < len(records) for found, _ in seen)
    assert all(found == len(records) for found, versions in seen if versions)


async def test_a_batch_goes_before_keys_that_are_saved_or_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gossipd.store.sqlite.SLICE_SECONDS", 0.0)
    records = tuple(record(seq) for seq in range(1, 2001))
    async with opened(tmp_path) as store:
        starts: tuple[Callable[[], Coroutine[None, None, Stored]], ...] = (
            lambda: store.save(told(*records, stream=OTHER)),
            lambda: store.find_keys([each.key for each in records]),
        )
        for start in starts:
            slow = asyncio.create_task(start())
            await asyncio.sleep(0)
            await store.commit(keyed(1, record(1)))
            assert not slow.done()
            await slow


# --- expiry --------------------------------------------------------------------------------------


def held(directory: Path) -> dict[bytes, list[int]]:
    """The seqs of the records in a file that is open, by stream."""
    found: dict[bytes, list[int]] = {}
    with closing(sqlite3.connect(directory / "gossipd.db")) as connection:
        for stream, seq in connection.execute("SELECT stream, seq FROM keys ORDER BY seq"):
            found.setdefault(stream, []).append(seq)
    return found


async def test_expired_records_go_and_raise_the_horizon(tmp_path: Path) -> None:
    old = tuple(record(seq, timed_key(5000, seq), 5000) for seq in range(1, 501))
    async with opened(tmp_path, retention=1e6) as store:
        await store.save(told(*old, record(501, age=100), record(502, age=5000), version=502))
        await store.save(told(*old, stream=OTHER))
    async with opened(tmp_path, retention=1000) as store:
        await store.expire()
    assert held(tmp_path) == {STREAM: [501, 502]}
    assert (await stored(tmp_path)).horizon == max(int.from_bytes(r.key[:6], "big") for r in old)


async def test_expired_records_go_some_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gossipd.store.sqlite.SLICE_SECONDS", 0.0)
    monkeypatch.setattr("gossipd.store.sqlite.EXPIRED_AT_ONCE", 600)
    async with opened(tmp_path, retention=1e6) as store:
        await store.save(told(*(record(seq, age=5000) for seq in range(1, 2001)), version=2000))
    async with opened(tmp_path, retention=1000) as store:
        await store.save(NOTHING)
        assert len(held(tmp_path)[STREAM]) == 2000, "a save removes nothing"
        for left in (1400, 800, 200):
            assert await store.expire() == 0.0, "there is more"
            assert len(held(tmp_path)[STREAM]) == left
        assert await store.expire() == 1000.0
        assert held(tmp_path) == {}


async def test_expired_records_go_on_to_go_after_an_error_closed_the_connection(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as store:
        await store.save(told(*(record(seq, age=5000) for seq in range(1, 401)), version=400))
    with closing(connect(tmp_path / "gossipd.db")) as later:
        now = connect(tmp_path / "gossipd.db")
        lifetimes = Lifetimes(0.0, 1000.0)
        writes = Expiry(lambda: now, time.time(), time.time(), lifetimes).writes(10**6)
        for _ in range(2):
            now.execute(*next(writes))
        now.close()
        now = later
        for write in writes:
            now.execute(*write)
    assert held(tmp_path) == {}


async def test_an_expiry_tells_for_how_long_there_is_none(tmp_path: Path) -> None:
    async with opened(tmp_path, window=0.0, retention=1000.0) as store:
        assert await store.expire() == 1000.0, "nothing that comes now goes sooner"
        await store.save(told(record(1, age=300.0), record(2, age=900.0), version=2))
        assert 690 < await store.expire() <= 700, "none goes before those below it"
        await store.save(told(record(1, age=1005.0), record(2, age=600.0), stream=OTHER))
        assert 390 < await store.expire() <= 400
        assert held(tmp_path) == {STREAM: [1, 2], OTHER: [2]}


async def test_an_expiry_knows_that_a_key_of_a_clock_ahead_goes_later(tmp_path: Path) -> None:
    async with opened(tmp_path, window=0.0, retention=1000.0) as store:
        await store.save(told(record(1, timed_key(-YEAR, 1), 1050.0)))
        last = await store.expire()
        assert 0 < last <= held_longer(0.0) - 50.0
        await store.save(told(record(1, timed_key(reach(1000.0) - 5.0, 1), 1050.0), stream=OTHER))
        assert 0 < await store.expire() <= min(last, 5.0), "it lies ahead for 5 s more"
        assert held(tmp_path) == {STREAM: [1], OTHER: [1]}


# --- clocks that are wrong ----------------------------------------------------------------------

YEAR = 365 * 86_400.0


def step(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Set the wall clock forward, or back."""
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + seconds)


@pytest.mark.parametrize("seconds", [86_400.0, 10 * YEAR, -86_400.0, -10 * YEAR])
async def test_a_step_of_the_wall_clock_ages_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """Neither in the life in which it comes nor in the next one."""
    async with opened(tmp_path) as store:
        await store.begin_life(time.time())
        await store.commit(keyed(1, record(1)))
        step(monkeypatch, seconds)
        await store.commit(keyed(2, record(2)))
        await store.save(told(record(3), stream=OTHER, version=3))
        await store.expire()
        assert held(tmp_path) == {STREAM: [1, 2], OTHER: [3]}
    async with opened(tmp_path) as store:
        await store.begin_life(time.time())
        await store.expire()
        snapshot = store.load()
        assert records_in(snapshot) == {STREAM: [1, 2], OTHER: [3]}
        assert all(key.age < 600 for stream in snapshot.streams for key in stream.keys)
    assert held(tmp_path) == {STREAM: [1, 2], OTHER: [3]}


async def test_keys_age_between_two_lives_of_one_start_of_the_machine_and_not_across(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    up, boot = [1000.0], tmp_path / "boot"
    boot.write_text("one\n")
    monkeypatch.setattr("gossipd.store.clock.BOOT", boot)
    monkeypatch.setattr(time, "clock_gettime", lambda _: up[0])
    ages: list[int] = []
    for start, now in (("one", 1000.0), ("one", 1400.0), ("two", 10.0), ("two", 110.0)):
        boot.write_text(f"{start}\n")
        up[0] = now
        async with opened(tmp_path / "data") as store:
            await store.begin_life(time.time())
            if not ages:
                await store.commit(keyed(1, record(1)))
            ages += [key.age for stream in store.load().streams for key in stream.keys] or [0]
    assert ages == [0, 4000, 4000, 5000]


async def test_a_key_that_lies_ahead_of_the_clock_goes_later(tmp_path: Path) -> None:
    """As that of a host that is ahead: without its record it would be new one day."""
    async with opened(tmp_path, window=0.0, retention=1000.0) as store:
        for seq, age in ((1, 1050.0), (2, 1070.0)):
            key = timed_key(-YEAR, seq)
            await store.save(told(record(seq, key, age), stream=bytes((0, seq, *bytes(8)))))
        await store.expire()
        assert held(tmp_path) == {bytes((0, 1, *bytes(8))): [1]}


# --- twins that only show when all is read -------------------------------------------------------


@pytest.mark.parametrize("ages", [(0.0, 0.0), (1000.0, 0.0), (1000.0, 1000.0)])
async def test_events_of_one_key_are_doubles_wherever_their_records_are(
    tmp_path: Path, ages: tuple[float, float]
) -> None:
    key = plain_key(1)
    async with opened(tmp_path) as store:
        await store.save(told(record(3, key, ages[0]), version=3))
        await store.save(told(record(5, key, ages[1]), stream=OTHER, version=5))
        await store.save(told(record(6, key, ages[1]), stream=OTHER, version=6))
        await store.save(told(record(7, key, ages[1], by=9), stream=bytes(10), version=7))
    first, *others = sorted([(STREAM, 3), (OTHER, 5), (OTHER, 6)])
    lost = {(stream, Double("default", seq, 1, *first, 0)) for stream, seq in others}
    assert doubles_in(await stored(tmp_path)) == lost
    # They are stored by now: the records may expire.
    async with opened(tmp_path, retention=0.0) as store:
        await store.expire()
    assert held(tmp_path) == {}
    assert doubles_in(await stored(tmp_path)) == lost


async def test_of_more_records_than_memory_may_hold_the_newest_are_for_it(tmp_path: Path) -> None:
    older = timed_key(60.0)
    async with opened(tmp_path) as store:
        await store.save(told(record(1, timed_key(90.0), 90.0), version=1))
        await store.save(told(record(2, older, 60.0), record(3, age=30.0), version=3))
        await store.save(told(record(4, age=0.0), record(5, age=0.0), stream=OTHER))
    assert records_in(await stored(tmp_path)) == {STREAM: [1, 2, 3], OTHER: [4, 5]}
    snapshot = await stored(tmp_path, keys_max=3)
    assert records_in(snapshot) == {STREAM: [3], OTHER: [4, 5]}
    assert {each.stream: each.archived for each in snapshot.streams} == {STREAM: 2, OTHER: 0}
    assert snapshot.horizon == key_time(older), "what is not in memory lies below"


async def test_more_records_above_a_version_than_memory_may_hold_stay_on_the_disk(
    tmp_path: Path,
) -> None:
    """Of a node that was ended while it caught up with more than it has room for."""
    async with opened(tmp_path) as store:
        old = [record(seq, age=610.0) for seq in range(1, 6)]
        await store.save(told(*old, record(6, age=0.0)))
        await store.save(told(record(1, age=610.0), stream=OTHER))
    assert records_in(await stored(tmp_path, keys_max=7)) == {
        STREAM: [1, 2, 3, 4, 5, 6], OTHER: [1]
    }  # fmt: skip
    snapshot = await stored(tmp_path, keys_max=3)
    assert records_in(snapshot) == {STREAM: [6], OTHER: [1]}
    assert {each.stream: each.archived for each in snapshot.streams} == {STREAM: 5, OTHER: 0}


# --- an older file -------------------------------------------------------------------------------


async def test_a_file_from_before_there_were_keys_is_migrated_in_place(tmp_path: Path) -> None:
    file = tmp_path / "gossipd.db"
    await filled_before_keys(tmp_path)
    finding = check(file)
    assert (finding.problems, finding.registers, finding.generation) == ((), 1, 1000)
    assert len(list(export_lines(file))) == 4
    async with opened(tmp_path) as store:
        await store.commit(keyed(2, record(2)))
    (found,) = (await stored(tmp_path)).streams
    assert (found.version, found.registers) == (2, (("default", 2, 2),))
    assert records_in(await stored(tmp_path)) == {STREAM: [2]}


async def test_a_damaged_file_from_before_there_were_keys_is_left_as_it_was(
    tmp_path: Path,
) -> None:
    await filled_before_keys(tmp_path)
    file = tmp_path / "gossipd.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("UPDATE registers SET total = 2")
    before = contents(tmp_path)
    with pytest.raises(StoreError, match="is damaged: the register of"):
        await stored(tmp_path)
    assert contents(tmp_path) == before


async def filled_before_keys(directory: Path) -> None:
    async with opened(directory) as store:
        assert await store.begin_life(1.0) == 1000
        await store.commit(batch(1))
    as_of(directory / "gossipd.db", 1)


@pytest.mark.parametrize("ahead", [0.0, YEAR])
async def test_twins_are_looked_for_where_one_may_have_left_memory_only(
    tmp_path: Path, ahead: float
) -> None:
    """While both are in memory, the node itself sees that they have one key. What has left it
    lies not above the horizon, whatever time its key tells."""
    async with opened(tmp_path, window=600.0) as store:
        gone, young = timed_key(-ahead), timed_key(-ahead - 1)
        horizon = int.from_bytes(gone[:6], "big")
        for seq, key, found in ((1, gone, True), (2, young, False), (3, plain_key(1), True)):
            await store.save(told(record(seq, key), stream=STREAM)._replace(horizon=horizon))
            twins = await store.save(told(record(seq, key), stream=OTHER))
            assert (key in twins) is found
    async with opened(tmp_path, window=600.0) as store:
        assert gone in await store.save(told(record(4, gone), stream=bytes(10)))
