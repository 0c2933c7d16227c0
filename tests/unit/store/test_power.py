"""Power cuts at any call of SQLite: what was told is there, no version without its registers.

Moments are drawn just before writes, syncs and deletions, so most of them lie within a commit or
while the log is folded. What a cut leaves then is opened as the next life would.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from gossipd.core import Snapshot, Stream
from gossipd.store import BrokenError, DiskStore, Durability
from gossipd.store.checking import check
from tests.effort import effort, few
from tests.power.disk import (
    SECTOR,
    Disk,
    Failing,
    torn,
)
from tests.power.vfs import running_on, why_none
from tests.unit.store.history import History
from tests.unit.store.parts import batch, opened, stored

needs_shim = pytest.mark.skipif(bool(why_none()), reason=why_none())

STEPS = 120


@dataclass(slots=True)
class Cut:
    """What a power cut at one moment leaves, and what had been told by then."""

    left: Path
    told: dict[Stream, int]
    generation: int

    async def next_life(self, history: History) -> bool:
        """Whether all that was told is there; what is there is sound either way."""
        if (self.left / "gossipd.db").exists():
            assert check(self.left).problems == ()
        async with opened(self.left) as store:
            found = history.check(store.load())
            renewed = await store.begin_life(1.0) > self.generation
        assert check(self.left).problems == ()
        return renewed and all(found.get(each, 0) >= told for each, told in self.told.items())


async def cuts_of_a_life(
    folder: Path, durability: Durability, rng: Random, tears: bool
) -> tuple[History, list[Cut]]:
    """A life of random batches and saves, and power cuts at random moments of it."""
    history = History()
    cuts: list[Cut] = []

    def watch(_what: str) -> None:
        if rng.random() < 0.06:
            cut = Cut(folder / f"left{len(cuts)}", dict(history.told), history.generation)
            disk.leave(cut.left, rng if tears else None)
            cuts.append(cut)

    disk = Disk(folder / "data", watch)
    with running_on(disk):
        async with opened(folder / "data", durability) as store:
            history.generation = await store.begin_life(time.time())
            for _ in range(STEPS):
                await history.step(store, rng)
    return history, cuts


@needs_shim
@pytest.mark.parametrize(("seed", "tears"), few([(2, True), (1, False), (1, True)], 1))
async def test_what_was_told_survives_a_power_cut_at_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, tears: bool
) -> None:
    monkeypatch.setattr("gossipd.store.recovery.LOG_PAGES", 60)
    monkeypatch.setattr("gossipd.store.sqlite.SLICE_SECONDS", 0.0)
    history, cuts = await cuts_of_a_life(tmp_path, "full", Random(seed), tears)
    assert len(cuts) > 30
    for cut in cuts:
        assert await cut.next_life(history), cut


@needs_shim
@pytest.mark.parametrize("tears", few([True, False], 1))
async def test_normal_may_lose_the_last_commits_to_a_power_cut_and_no_more_than_these(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tears: bool
) -> None:
    """Also shows that what is not synced does get lost here."""
    monkeypatch.setattr("gossipd.store.recovery.LOG_PAGES", 60)
    history, cuts = await cuts_of_a_life(tmp_path, "normal", Random(3), tears)
    assert len(cuts) > 30
    kept = [await cut.next_life(history) for cut in cuts]
    assert kept.count(False) > 10


@needs_shim
async def test_a_power_cut_at_each_moment_of_the_making_leaves_no_file_or_a_whole_one(
    tmp_path: Path,
) -> None:
    moments: list[str] = []
    rng = Random(5)

    def watch(what: str) -> None:
        for kind in effort((rng,), (None, rng)):
            disk.leave(tmp_path / f"left{len(moments)}", kind)
            moments.append(what)

    disk = Disk(tmp_path / "data", watch)
    with running_on(disk):
        async with opened(tmp_path / "data", "full") as store:
            await store.begin_life(1.0)
    made = 0
    for number in range(len(moments)):
        left = tmp_path / f"left{number}"
        made += (left / "gossipd.db").exists()
        assert await stored(left) == Snapshot((), ())
        assert check(left).problems == ()
    assert {"write", "sync", "rename", "names", "delete"} <= set(moments)
    assert 10 < made < len(moments) - 10


@asynccontextmanager
async def failing(folder: Path, what: Failing) -> AsyncIterator[tuple[Disk, DiskStore]]:
    """A store with one batch, on a disk that fails from then on."""
    disk = Disk(folder / "data")
    with running_on(disk):
        async with opened(folder / "data", "full") as store:
            await store.commit(batch(1))
            disk.fail(what)
            yield disk, store


@needs_shim
@pytest.mark.parametrize("what", ["write", "sync"])
async def test_a_disk_that_fails_is_broken_for_good_and_keeps_what_it_was_told(
    tmp_path: Path, what: Failing
) -> None:
    async with failing(tmp_path, what) as (disk, store):
        for seq in (2, 3):
            with pytest.raises(BrokenError, match="disk I/O error"):
                await store.commit(batch(seq))
        disk.leave(tmp_path / "left")
    (found,) = (await stored(tmp_path / "left")).streams
    assert (found.version, found.registers) == (1, (("default", 1, 1),))


def test_later_sectors_reach_the_disk_whole_and_in_any_order() -> None:
    old, new = b"a" * (8 * SECTOR), b"b" * (10 * SECTOR + 9)
    found = {torn(old, new, Random(seed)) for seed in range(200)}
    assert {len(data) for data in found} == {len(old), len(new)}
    sectors = {data[at : at + SECTOR] for data in found for at in range(0, len(data), SECTOR)}
    assert {bytes(set(sector)) for sector in sectors} == {b"a", b"b", b"\0"}
    assert any(data[:SECTOR] == old[:SECTOR] and b"b" in data for data in found)
    assert {torn(old, old, Random(seed)) for seed in range(20)} == {old}
