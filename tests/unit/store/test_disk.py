"""What is committed is there in the next life, in whatever order it was written."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
import time
from contextlib import closing
from itertools import permutations
from pathlib import Path
from shutil import copyfile

import pytest

from gossipd.core import (
    Batch,
    Changes,
    Snapshot,
    Status,
    StreamSnapshot,
)
from gossipd.core.identity import GENERATION_MAX
from gossipd.store import BrokenError, DiskStore, NoSpaceError
from gossipd.store import connection as disk
from gossipd.store.names import FILE_NAME, index_path
from gossipd.store.recovery import INDEX_BYTES, reading
from tests.unit.store.parts import (
    NOTHING,
    OTHER,
    STREAM,
    batch,
    filled,
    member,
    opened,
    stored,
    writer,
)

BESIDE = ("gossipd.db-wal", "gossipd.db-shm", "gossipd.lock")
"""What lies beside the file while it is used."""


async def test_a_new_directory_holds_nothing(tmp_path: Path) -> None:
    assert await stored(tmp_path / "data") == Snapshot((), ())


async def test_the_next_life_finds_what_was_committed(tmp_path: Path) -> None:
    async with opened(tmp_path, "full") as store:
        await store.commit(batch(1, "b", 2))
        await store.commit(batch(2, "a", 3))
    assert await stored(tmp_path) == Snapshot(
        (StreamSnapshot(STREAM, 2, (("a", 2, 6), ("b", 1, 2))),), ()
    )


async def test_a_batch_without_rows_writes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.commit(Batch(STREAM, 0, (), ()))
    assert await stored(tmp_path) == Snapshot((), ())


async def test_the_index_of_the_log_has_its_room_before_the_disk_is_full(tmp_path: Path) -> None:
    """Or who writes to it would be killed (SIGBUS)."""
    async with opened(tmp_path) as store:
        await store.commit(batch(1, "a"))
        index = index_path(tmp_path / FILE_NAME).stat()
        assert 512 * index.st_blocks >= INDEX_BYTES
        await store.commit(batch(2, "a"))


async def test_a_file_without_a_log_is_written_to(tmp_path: Path) -> None:
    """As one is that was restored from a backup."""
    async with opened(tmp_path) as store:
        await store.commit(batch(1, "a"))
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        assert connection.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
    async with opened(tmp_path) as store:
        await store.commit(batch(2, "a"))
    (found,) = (await stored(tmp_path)).streams
    assert found.version == 2


async def test_who_reads_takes_nothing_from_who_writes(tmp_path: Path) -> None:
    """SQLite cuts the index when nobody else holds its locks."""
    with writer(tmp_path / "data", "normal") as process:
        assert process.stdout is not None
        for _ in range(3):
            told = int(process.stdout.readline())
            with reading(tmp_path / "data" / FILE_NAME) as connection:
                assert connection.execute("SELECT count(*) FROM registers").fetchone()[0]
            while int(process.stdout.readline()) <= told:
                pass


async def test_nothing_is_opened_where_there_is_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as store:
        await store.commit(batch(1, "a"))
        store._connection._disconnect()

        def full(*_: object) -> None:
            raise NoSpaceError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(disk, "reserve", full)
        monkeypatch.setattr(disk, "connect", lambda *_: pytest.fail("it is opened"))
        with pytest.raises(NoSpaceError, match="No space left"):
            await store.commit(batch(2, "a"))
        monkeypatch.undo()
        await store.commit(batch(2, "a"))


async def test_writes_are_joins_in_any_order(tmp_path: Path) -> None:
    changes = (
        Changes(((STREAM, "a", 3, 9),), ((STREAM, 3),), (member("m", 6),), ()),
        Changes(((STREAM, "a", 2, 7),), ((STREAM, 2),), (member("m", 5, Status.LEFT),), ()),
        Changes(((STREAM, "a", 3, 8),), ((STREAM, 1),), (member("m", 4),), ()),
    )
    for number, order in enumerate(permutations(changes)):
        async with opened(tmp_path / str(number)) as store:
            for each in (*order, order[0]):
                await store.save(each)
        assert await stored(tmp_path / str(number)) == Snapshot(
            (StreamSnapshot(STREAM, 3, (("a", 3, 9),)),), (member("m", 6),)
        )


async def test_members_come_back_whole_and_go_when_they_are_gone(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.save(NOTHING._replace(members=(member("a"), member("b"), member("c", 9))))
        await store.save(NOTHING._replace(gone=("a", "c"), members=(member("c", 2),)))
    assert (await stored(tmp_path)).members == (member("b"), member("c", 2))


async def test_verdicts_age_while_the_node_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as store:
        await store.save(NOTHING._replace(members=(member("a", 5, Status.FAILED, 3), member("b"))))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 590)
    failed, alive = (await stored(tmp_path)).members
    assert failed == member("a", 5, Status.FAILED, 3 + 10)
    assert alive == member("b")
    monkeypatch.setattr(time, "time", lambda: now - 3600)
    assert (await stored(tmp_path)).members[0].age == 0


async def test_generations_only_rise_whatever_the_wall_clock_says(tmp_path: Path) -> None:
    found = []
    for wall in (2000.0, 2000.0, 1000.0, 3000.5):
        async with opened(tmp_path) as store:
            found.append(await store.begin_life(wall))
    assert found == [2_000_000, 2_000_001, 2_000_002, 3_000_500]


async def test_a_generation_that_was_adopted_while_running_is_not_used_again(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as store:
        assert await store.begin_life(1.0) == 1000
        await store.save(NOTHING._replace(generation=9000))
        await store.save(NOTHING)
    async with opened(tmp_path) as store:
        assert await store.begin_life(1.0) == 9001


async def test_a_generation_that_an_attack_has_left_is_passed_over(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        assert await store.begin_life(1.0) == 1000
        await store.save(NOTHING._replace(members=(member("here", GENERATION_MAX),)))
    async with opened(tmp_path) as store:
        assert await store.begin_life(0.0) == 1001
        await store.save(NOTHING._replace(generation=GENERATION_MAX))
    async with opened(tmp_path) as store:
        assert await store.begin_life(2.0) == 2000


async def test_a_generation_of_a_member_with_the_own_name_is_not_used_again(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as store:
        await store.save(NOTHING._replace(members=(member("here", 9000), member("there", 99_000))))
    async with opened(tmp_path) as store:
        assert await store.begin_life(1.0) == 9001


async def test_an_old_copy_gives_the_old_image(tmp_path: Path) -> None:
    file = await filled(tmp_path / "data")
    old = await stored(tmp_path / "data")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / file.name).write_bytes(file.read_bytes())
    async with opened(tmp_path / "data") as store:
        await store.commit(batch(200))
    assert await stored(tmp_path / "copy") == old
    assert await stored(tmp_path / "data") != old


async def test_no_version_is_stored_before_all_that_it_covers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gossipd.store.sqlite.SLICE_SECONDS", 0.0)
    streams = [bytes(9) + bytes([number]) for number in range(20)]
    registers = tuple((stream, f"c{seq}", seq, seq) for seq in range(1, 6) for stream in streams)
    changes = Changes(registers, tuple((stream, 5) for stream in streams), (), ())
    counts: set[tuple[int, int]] = set()
    async with opened(tmp_path) as store:
        with closing(sqlite3.connect(tmp_path / "gossipd.db")) as second:
            write_behind = asyncio.create_task(store.save(changes))
            while not write_behind.done():
                (seen,) = second.execute(
                    "SELECT (SELECT count(*) FROM registers), count(*) FROM streams WHERE version"
                )
                counts.add(seen)
                await asyncio.sleep(0)
            await write_behind
    assert any(0 < found < len(registers) for found, _ in counts)
    assert all(found == len(registers) for found, versions in counts if versions)
    assert len((await stored(tmp_path)).streams) == 20


async def test_a_batch_goes_before_what_others_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gossipd.store.sqlite.SLICE_SECONDS", 0.0)
    registers = tuple((OTHER, f"c{seq}", seq, seq) for seq in range(1, 500))
    async with opened(tmp_path) as store:
        write_behind = asyncio.create_task(store.save(Changes(registers, ((OTHER, 499),), (), ())))
        await asyncio.sleep(0)
        await store.commit(batch(1))
        assert not write_behind.done()
        await write_behind
    assert [each.version for each in (await stored(tmp_path)).streams] == [1, 499]


async def test_the_loop_goes_on_while_the_disk_is_written(tmp_path: Path) -> None:
    turns = 0
    async with opened(tmp_path, "full") as store:
        commit = asyncio.create_task(store.commit(batch(1)))
        while not commit.done():
            turns += 1
            await asyncio.sleep(0)
    assert turns > 1  # all of what ran in the loop itself would be one turn


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("name", ["gossipd.db", *BESIDE])
async def test_a_file_removed_or_replaced_while_in_use_takes_no_more(
    tmp_path: Path, name: str, replaced: bool
) -> None:
    async with opened(tmp_path) as store:
        await store.commit(batch(1))
        if replaced:
            copyfile(tmp_path / name, tmp_path / "copy")
            (tmp_path / "copy").replace(tmp_path / name)
        else:
            (tmp_path / name).unlink()
        for _ in range(2):
            with pytest.raises(BrokenError, match=f"{name} was removed or replaced"):
                await store.commit(batch(2))


@pytest.mark.parametrize("name", BESIDE)
async def test_what_was_committed_outlives_the_loss_of_a_file_beside_it(
    tmp_path: Path, name: str
) -> None:
    async with opened(tmp_path) as store:
        await store.commit(batch(1))
        (tmp_path / name).unlink()
        with pytest.raises(BrokenError):
            await store.probe()
        (tmp_path / "copy").mkdir()
        copyfile(tmp_path / FILE_NAME, tmp_path / "copy" / FILE_NAME)
    (found,) = (await stored(tmp_path / "copy")).streams
    assert found.version == 1


async def test_the_log_and_its_index_are_the_same_files_while_there_is_a_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often the log is folded and cut short, and whoever else opens the file."""
    monkeypatch.setattr("gossipd.store.connection.FOLD_AFTER", 3)
    monkeypatch.setattr("gossipd.store.recovery.LOG_PAGES", 20)
    async with opened(tmp_path) as store:
        sizes = set()
        for seq in range(1, 100):
            rows = tuple((f"c{number}", seq, seq) for number in range(seq * 20))
            await store.commit(Batch(STREAM, seq, rows, ()))
            sizes.add((tmp_path / "gossipd.db-wal").stat().st_size)
            if not seq % 10:
                connection = store._connection.connected()
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                with reading(tmp_path / FILE_NAME) as other:
                    assert other.execute("SELECT count(*) FROM registers").fetchone()
        assert min(sizes) < max(sizes) / 2


async def test_the_file_grows_with_counters_not_with_increments(tmp_path: Path) -> None:
    sizes = []
    for count in (100, 5000):
        async with opened(tmp_path / str(count)) as store:
            for seq in range(1, count + 1):
                await store.commit(batch(seq))
            log = (tmp_path / str(count) / "gossipd.db-wal").stat().st_size
            assert log < 5_000_000, "a log that is overwritten syncs faster than one that grows"
        sizes.append((tmp_path / str(count) / "gossipd.db").stat().st_size)
        assert not (tmp_path / str(count) / "gossipd.db-wal").exists()
    assert sizes[0] == sizes[1]


async def test_a_hundred_thousand_registers_are_loaded_in_seconds(tmp_path: Path) -> None:
    registers = tuple(
        (bytes(8) + divmod(number, 1000)[0].to_bytes(2, "big"), f"c{number % 1000}", number + 1, 1)
        for number in range(100_000)
    )
    async with opened(tmp_path) as store:
        await store.save(Changes(registers, (), (), ()))
    began = time.monotonic()
    store = DiskStore.open(
        tmp_path,
        durability="full",
        node="here",
        cluster="ours",
        key_window=600,
        key_retention=3600,
    )
    took = time.monotonic() - began
    assert sum(len(each.registers) for each in store.load().streams) == 100_000
    await store.close()
    print(f"100,000 registers in {took:.2f} s")
    assert took < 10
