"""A node on a disk: a retry is one after a crash, on an old copy, and after a failed commit."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gossipd.core import (
    Accepted,
    Duplicate,
    KeyedEvent,
    KeyExpired,
    KeyReused,
)
from tests.commits import abandon, prepared
from tests.unit.store.keyed import (
    Life,
    doubles_in,
    new_life,
    plain_key,
    record,
    timed_key,
    told,
)
from tests.unit.store.parts import (
    OTHER,
    ROOT,
    STREAM,
    opened,
    stored,
)


async def test_a_retry_in_the_next_life_is_a_duplicate(tmp_path: Path, key: bytes) -> None:
    first = await new_life(tmp_path, 1)
    batch = await first.increment(key)
    await first.store.close()
    second = await new_life(tmp_path, 2)
    retry = await second.prepare(key)
    assert retry.results == (Duplicate(KeyedEvent(batch.stream, 1, "default", 1)),)
    assert (retry.rows, second.node.log.value("default")) == ((), 1)
    await second.store.close()


async def test_a_key_that_only_the_disk_holds_is_known(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        old = (record(1, plain_key(1), 1000), record(2, timed_key(1000), 1000))
        await store.save(told(*old, version=2))
    life = await new_life(tmp_path, 1)
    assert not any(life.node.events(each.key) for each in old)
    for each in old:
        found = (await life.prepare(each.key)).results
        life_event = KeyedEvent(STREAM, each.seq, "default", 1)
        assert found == (Duplicate(life_event),)
        life = await again(life, tmp_path)
        assert (await life.prepare(each.key, by=2)).results == (KeyReused(life_event),)
        life = await again(life, tmp_path)
    await life.store.close()


async def again(life: Life, directory: Path) -> Life:
    await life.store.close()
    return await new_life(directory, 1)


async def test_what_was_removed_is_refused_by_the_horizon(tmp_path: Path) -> None:
    key = timed_key(560.0)
    async with opened(tmp_path, retention=1e6) as store:
        await store.save(told(record(1, key, 560), version=1))
    async with opened(tmp_path, retention=300, window=300) as store:
        await store.save(told(record(2), version=2))
        await store.expire()
    life = await new_life(tmp_path, 1)
    (found,) = (await life.prepare(key)).results
    assert isinstance(found, KeyExpired)
    await life.store.close()


async def test_a_retry_on_a_restored_old_copy_is_counted_once_in_the_end(tmp_path: Path) -> None:
    """The copy does not know the increment, so it counts it; whoever learns of both leaves one
    out."""
    key = plain_key(2)  # it tells no time: the other record may be on the disk only
    original = await new_life(tmp_path / "original", 1)
    await original.increment(plain_key(1))
    await original.save()
    copy = tmp_path / "copy"
    copy.mkdir()
    with (
        closing(sqlite3.connect(copy / "gossipd.db")) as to,
        closing(sqlite3.connect(f"file:{tmp_path}/original/gossipd.db?mode=ro", uri=True)) as of,
    ):
        of.backup(to)
    batch = await original.increment(key)
    await original.store.close()

    life = await new_life(copy, 2)
    assert isinstance((await life.increment(key)).results[0], Accepted)
    assert life.node.log.value("default") == 2
    await life.store.save(told(*batch.keys, stream=batch.stream))
    twins = await life.store.save(told(*batch.keys, stream=batch.stream))
    assert len(twins[key]) == 2
    await life.store.close()
    assert len(doubles_in(await stored(copy))) == 1


async def test_a_batch_that_failed_after_it_was_written_counts_once_with_its_retry(
    tmp_path: Path,
) -> None:
    key = timed_key(1.0)
    first = await new_life(tmp_path, 1)
    lost = await first.prepare(key)
    await first.store.commit(lost)
    abandon(first.node, time.monotonic())  # as after an error, though it was written
    kept = await first.increment(key)
    assert isinstance(kept.results[0], Accepted)
    assert first.node.log.value("default") == 1
    await first.save()
    await first.store.close()
    second = await new_life(tmp_path, 2)
    assert second.node.log.value("default") == 1
    (retry,) = (await second.prepare(key)).results
    first_event = min((batch.stream, 1) for batch in (lost, kept))
    assert retry == Duplicate(KeyedEvent(*first_event, "default", 1))
    assert len(second.node.log.doubles) == 1
    await second.store.close()


async def test_twins_that_a_save_showed_are_left_out_at_once_and_in_the_next_life(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as store:
        await store.save(told(record(1, plain_key(1), 1000), version=1))
    life = await new_life(tmp_path, 1)
    log = life.node.log
    log.merge(OTHER, [("default", 5, 1)])
    log.merge_keys(OTHER, [record(5, plain_key(1))], time.monotonic())
    assert log.value("default") == 2
    await life.save()
    assert log.value("default") == 1
    await life.store.close()
    other = await new_life(tmp_path, 2)
    assert other.node.log.value("default") == 1
    assert other.node.log.fingerprint == log.fingerprint
    await other.store.close()


KEYED_WRITER = """
import asyncio, sys
from itertools import count
from pathlib import Path
from gossipd.store import sqlite as disk
from tests.unit.store.keyed import new_life, plain_key, record, told
from tests.unit.store.parts import OTHER
from tests.commits import abandon, prepared

disk.SLICE_SECONDS = 0.0

async def main():
    life = await new_life(Path(sys.argv[1]), int(sys.argv[2]))
    first = 1000 * int(sys.argv[2])
    async def saves():
        for part in count(1):
            start = first * 1000 + 200 * part
            records = (record(start + n, counter="c") for n in range(200))
            await life.store.save(told(*records, stream=OTHER, version=start + 199))
    saving = asyncio.create_task(saves())
    for number in count(first + 1):
        await life.increment(plain_key(number))
        print(number, flush=True)

asyncio.run(main())
"""


@contextmanager
def keyed_writer(directory: Path, number: int) -> Iterator[subprocess.Popen[str]]:
    """A process that counts one keyed increment after another and says each, and saves keys of a
    stream of others meanwhile."""
    command = [sys.executable, "-c", KEYED_WRITER, str(directory), str(number)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_what_a_killed_process_had_answered_is_a_duplicate_for_the_next(
    tmp_path: Path,
) -> None:
    answered: list[int] = []
    for number in (1, 2, 3):
        with keyed_writer(tmp_path, number) as process:
            assert process.stdout is not None
            for line in process.stdout:
                answered.append(int(line))
                if len(answered) == 30 * number:
                    process.kill()
    assert len(answered) >= 90
    life = await new_life(tmp_path, 9)
    count = life.node.log.value("default")
    keys = [plain_key(number) for number in answered]
    batch = prepared(
        life.node, [("default", 1)] * len(keys), time.monotonic(), time.time(), keys, {}
    )
    assert {type(result) for result in batch.results} == {Duplicate}
    await life.store.close()
    snapshot = await stored(tmp_path)
    for each in snapshot.streams:
        first = each.version // 10**6 * 10**6 + 200 if each.stream == OTHER else 1
        # A version never covers a record that is missing, wherever the process was killed.
        assert {key.seq for key in each.keys} >= set(range(first, each.version + 1))
    (others,) = (each for each in snapshot.streams if each.stream == OTHER)
    assert others.version > 3 * 10**6
    assert count - others.registers[0][2] >= 90
