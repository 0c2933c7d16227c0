"""Pages of two moments are found, however sound each of them is."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from itertools import product
from pathlib import Path
from random import Random

import pytest

from gossipd.core import (
    Batch,
    Correction,
    Double,
    KeyRecord,
    StreamSnapshot,
)
from gossipd.store import DiskStore, StoreError, schema
from gossipd.store.checking import check
from gossipd.store.export import export_lines
from tests.effort import effort, few
from tests.unit.store.keyed import (
    keyed,
    plain_key,
    record,
    told,
)
from tests.unit.store.parts import (
    NOTHING,
    OTHER,
    STREAM,
    filled,
    opened,
    stored,
)

FILES = ("gossipd.db", "gossipd.db-wal")
COUNTERS = 300
THIRD = bytes(9) + b"\x0b"


class Torn:
    """A store that counts on many pages, and a copy whose two files are not of one moment."""

    def __init__(self, directory: Path, seed: int, with_keys: bool) -> None:
        self._directory = directory
        self._rng = Random(seed)
        self._keyed = with_keys
        self._totals: dict[str, int] = {}
        self._events: list[tuple[str, bytes]] = []
        """Counter and key of each."""

    async def copy(self, to: Path, first: str) -> None:
        """Copy `first`, count on, copy the other."""
        async with opened(self._directory) as store:
            for number in range(COUNTERS):
                await self._count(store, number)
            for name in (first, *(name for name in FILES if name != first)):
                shutil.copy(self._directory / name, to)
                for _ in range(self._rng.randrange(1, 60)):
                    await self._count(store, self._rng.randrange(COUNTERS))

    async def _count(self, store: DiskStore, number: int) -> None:
        counter = f"counter {number}"
        self._totals[counter] = self._totals.get(counter, 0) + 1
        self._events.append((counter, key := self._rng.randbytes(16)))
        seq = len(self._events)
        rows = ((counter, seq, self._totals[counter]),)
        keys = (KeyRecord(key, seq, counter, 1, 0),) if self._keyed else ()
        await store.commit(Batch(STREAM, seq, rows, (), keys))

    async def lies(self, copy: Path) -> bool:
        """Whether something is not there though a version covers it: registers, records of keys,
        and keys as a retry looks for them."""
        async with opened(copy) as store:
            snapshot = store.load()
            found = await store.find_keys([key for _, key in self._events])
        for stream in snapshot.streams:
            registers = {counter: seq for counter, seq, _ in stream.registers}
            records = {record.seq for record in stream.keys}
            for seq, (counter, key) in enumerate(self._events[: stream.version], 1):
                if registers.get(counter, 0) < seq:
                    return True
                if self._keyed and not (seq in records and key in found):
                    return True
        return False


@pytest.mark.parametrize("with_keys", few([True, False], 1))
async def test_a_copy_of_a_file_and_its_log_of_two_moments_is_refused_or_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_keys: bool
) -> None:
    monkeypatch.setattr("gossipd.store.connection.FOLD_AFTER", 20)
    refused = 0
    for seed, first in product(range(effort(6, 12)), FILES):
        torn = Torn(tmp_path / f"{seed} {first}", seed, with_keys)
        copy = tmp_path / f"{seed} {first} copied"
        copy.mkdir()
        await torn.copy(copy, first)
        problems = check_of(copy)
        try:
            assert not await torn.lies(copy)
            assert problems == ()
        except StoreError:
            refused += 1
            assert problems
    assert refused > 2


def check_of(directory: Path) -> tuple[str, ...]:
    try:
        return check(directory).problems
    except StoreError as error:
        return (str(error),)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM registers WHERE seq = 199",
        "DELETE FROM keys WHERE seq = 5",
        "DELETE FROM losers",
        "DELETE FROM corrections",
        "DELETE FROM streams WHERE version = 199",
        "UPDATE streams SET content = content + 1 WHERE version = 199",
        "INSERT INTO registers SELECT x'00000000000000000001', counter, seq, total, sum "
        "FROM registers LIMIT 1",
    ],
)
async def test_what_was_changed_past_the_sums_is_found(tmp_path: Path, change: str) -> None:
    """As the pages of another moment would have it."""
    file = await filled(tmp_path)
    async with opened(tmp_path) as store:
        await store.save(told(*map(record, range(1, 9)), stream=OTHER, version=199))
        double = (OTHER, Double("a", 2, 3, STREAM, 1, 0))
        folded = (OTHER, Correction("other é 2", 2, 1, 3, 7))
        await store.save(NOTHING._replace(doubles=(double,), corrections=(folded,)))
    assert check(file).problems == ()
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        triggers = connection.execute(query).fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        assert connection.execute(change).rowcount > 0
        for _, made in triggers:
            connection.execute(made)
    assert "does not belong together" in str(check_of(file))
    says = "is damaged: what is kept of .* does not belong together, as in a copy of a file"
    with pytest.raises(StoreError, match=says):
        await stored(tmp_path)
    with pytest.raises(StoreError, match=says):
        list(export_lines(file))


async def test_the_sums_follow_whatever_is_written(tmp_path: Path) -> None:
    """Registers and keys that rise, that are replaced, repeated, taken back and removed."""
    async with opened(tmp_path, retention=60.0) as store:
        await store.commit(keyed(1, record(1)))
        await store.commit(keyed(2, record(2)))
        store.abandon(keyed(2, record(2)), StreamSnapshot(STREAM, 1, (("default", 1, 1),)))
        await store.commit(keyed(1, record(1), stream=OTHER))
        store.abandon(keyed(1, record(1), stream=OTHER), StreamSnapshot(OTHER, 0, ()))
        await store.save(told(record(9, age=1000), record(10), stream=THIRD))
        await store.save(told(record(9, plain_key(1)), record(10), stream=THIRD, version=10))
        doubles = tuple((THIRD, Double("a", seq, 3, STREAM, 1, 0)) for seq in (2, 3, 3, 4))
        await store.save(NOTHING._replace(doubles=doubles))
        for seq in (2, 3):
            folded = (THIRD, Correction("a", seq, 1, 3, 7))
            await store.save(NOTHING._replace(corrections=(folded,)))
        await store.expire()
    with closing(sqlite3.connect(tmp_path / "gossipd.db")) as connection:
        (wrong,) = connection.execute(
            f"SELECT count(*) FROM streams WHERE content != {schema.content(schema.WITH_LOSERS)}"
        ).fetchone()
        assert wrong == 0
        rows = connection.execute("SELECT stream, version, content != 0 FROM streams").fetchall()
    assert rows == [(STREAM, 1, 1), (OTHER, 0, 0), (THIRD, 10, 1)]
    assert [each.stream for each in (await stored(tmp_path)).streams] == [STREAM, THIRD]
