"""A commit that failed although it is on the disk: nothing of it is found or counted later."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from gossipd.core import (
    Batch,
    Counted,
    Effect,
    Item,
    Refused,
    StreamSnapshot,
)
from gossipd.store import NoSpaceError
from gossipd.store.backup import back_up
from gossipd.store.recovery import database_path
from tests.deadline import DEADLINE
from tests.unit.asking import increment
from tests.unit.counter import Counter
from tests.unit.store.keyed import (
    Life,
    new_life,
    plain_key,
    timed_key,
)
from tests.unit.store.parts import (
    NOTHING,
    OTHER,
    STREAM,
    batch,
    opened,
    stored,
)


class Bench:
    """A life whose next commit fails, once it is written or before."""

    def __init__(self, life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
        self.life = life
        self.effects: list[Effect] = []
        store = self.life.store
        counter = Counter(self.life.node, store, perform=self.effects.extend)
        self.counting = counter.counting
        self._commit = store.commit
        self._patch = monkeypatch

    def fail_once(self, *, written: bool, error: Exception | None = None) -> None:
        async def fail(batch: Batch) -> None:
            self._patch.setattr(self.life.store, "commit", self._commit)
            if written:
                await self._commit(batch)
            raise error or NoSpaceError("full")

        self._patch.setattr(self.life.store, "commit", fail)

    async def refused(self, *items: Item) -> str:
        answers = await self.counting.increment_all(items)
        details = {answer.detail for answer in answers if isinstance(answer, Refused)}
        assert len(details) == 1
        return details.pop()

    async def tried(self, item: Item) -> str:
        """Why it was refused when the disk was tried for it."""
        async with asyncio.timeout(DEADLINE):
            while True:
                try:
                    await increment(self.counting, *item)
                except Refused as refused:
                    if "cannot write" not in refused.detail:
                        return refused.detail
                await asyncio.sleep(0.001)

    async def counted(self, item: Item) -> Counted:
        """The answer, asked again for as long as it is refused."""
        found: list[Counted] = []
        async with asyncio.timeout(DEADLINE):
            while not found:
                with suppress(Refused):
                    found.append(await increment(self.counting, *item))
                await asyncio.sleep(0.001)
        return found[0]


@pytest.mark.parametrize("error", [NoSpaceError("full"), RuntimeError("a bug")])
@pytest.mark.parametrize("written", [True, False])
async def test_an_increment_that_is_repeated_is_counted_once_now_and_in_the_next_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: bytes, written: bool, error: Exception
) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    bench = Bench(await new_life(tmp_path, 1), monkeypatch)
    bench.fail_once(written=written, error=error)
    item = Item("default", 1, key)
    assert "may have been counted" in await bench.refused(item)
    answer = await bench.counted(item)
    assert (answer.value, answer.duplicate) == (1, False)
    again = await bench.counted(item)
    assert (again.id, again.value, again.duplicate) == (answer.id, 1, True)
    await bench.life.store.close()
    (found,) = (await stored(tmp_path)).streams
    assert (found.registers, found.version, found.doubles) == ((("default", 1, 1),), 1, ())
    assert [record.key for record in found.keys] == [key]


async def test_what_was_exposed_of_the_stream_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(await new_life(tmp_path, 1), monkeypatch)
    first, second, third = (plain_key(number) for number in (1, 2, 3))
    await bench.counted(Item("a", 5, first))
    await bench.counted(Item("b", 7, None))
    stream = bench.life.node.stream
    before = bench.life.node.log.fingerprint
    bench.fail_once(written=True)
    await bench.refused(Item("a", 1, second), Item("c", 1, third), Item("a", 1, None))
    assert bench.life.node.log.fingerprint == before
    await bench.counted(Item("d", 1, None))
    await bench.life.store.close()
    (found,) = (each for each in (await stored(tmp_path)).streams if each.stream == stream)
    assert (found.registers, found.version) == ((("a", 1, 5), ("b", 2, 7)), 2)
    assert [record.key for record in found.keys] == [first]
    life = await new_life(tmp_path, 2)
    assert life.node.log.values == {"a": 5, "b": 7, "d": 1}
    await life.store.close()


async def test_it_is_taken_back_whatever_was_stored_before_its_failure_was_known(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as store:
        await store.commit(batch(1))
        lost = batch(2)
        await store.commit(lost)
        learned = NOTHING._replace(registers=((OTHER, "default", 1, 1),), versions=((OTHER, 1),))
        await store.save(learned)
        store.abandon(lost, StreamSnapshot(STREAM, 1, (("default", 1, 1),)))
        await store.probe()
    streams = (await stored(tmp_path)).streams
    assert {each.stream: each.version for each in streams} == {STREAM: 1, OTHER: 1}
    assert {each.registers for each in streams} == {(("default", 1, 1),)}


async def test_what_a_copy_reveals_of_it_is_stored_like_anything_that_others_tell(
    tmp_path: Path,
) -> None:
    here, copy, lost = tmp_path / "here", tmp_path / "copy", batch(2)
    copy.mkdir()
    async with opened(here) as store:
        await store.commit(batch(1))
        await store.commit(lost)
        store.abandon(lost, StreamSnapshot(STREAM, 1, (("default", 1, 1),)))
        back_up(database_path(here), database_path(copy))
        (revealed,) = (await stored(copy)).streams
        assert revealed.version == 2
        registers = tuple((STREAM, *register) for register in revealed.registers)
        await store.save(NOTHING._replace(registers=registers, versions=((STREAM, 2),)))
        await store.probe()
    assert (await stored(here)).streams == (revealed,)


async def test_while_it_cannot_be_taken_back_nothing_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gossipd.store.recovery.BUSY_SECONDS", 0.05)
    bench = Bench(await new_life(tmp_path, 1), monkeypatch)
    bench.fail_once(written=True)
    plain, timed = plain_key(1), timed_key(1.0)
    item = Item("default", 1, plain)
    await bench.refused(item)
    with closing(sqlite3.connect(tmp_path / "gossipd.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for each in (item, Item("default", 1, timed), Item("default", 1, None)):
            assert "another program holds its lock" in await bench.tried(each)
        other.execute("ROLLBACK")
    assert (await bench.counted(item)).value == 1
    await bench.life.store.close()
    assert len((await stored(tmp_path)).streams) == 1
