"""Crashes, full disks and disks that cannot be written: what was committed stays committed."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import count, pairwise
from pathlib import Path
from random import Random

import pytest

from gossipd.core import Batch
from gossipd.store import BrokenError, NoSpaceError, StoreError
from gossipd.store.failures import classify
from tests.effort import effort
from tests.unit.store.history import History
from tests.unit.store.parts import (
    STREAM,
    batch,
    names_in,
    opened,
    stored,
    writer,
)


@pytest.mark.parametrize("durability", ["full", "normal"])
async def test_what_a_killed_process_had_committed_is_there(
    tmp_path: Path, durability: str
) -> None:
    told = 0
    for life in range(3):
        with writer(tmp_path / str(life), durability) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if int(line) == 20 * (life + 1):
                    process.kill()
                told = int(line)
        log = tmp_path / str(life) / "gossipd.db-wal"
        assert log.stat().st_size > 0, "nothing was left to recover"
        (found,) = (await stored(tmp_path / str(life))).streams
        assert told <= found.version <= told + 1
        assert max(seq for _, seq, _ in found.registers) == found.version
        assert len(found.registers) == 7


async def test_a_second_process_is_refused_by_the_number_of_the_first(tmp_path: Path) -> None:
    with writer(tmp_path, "full") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        with pytest.raises(StoreError, match=f"is in use by process {process.pid}$"):
            await stored(tmp_path)
    assert (await stored(tmp_path)).streams[0].version >= 1


async def test_a_mistake_in_a_transaction_stops_nothing_that_follows(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.commit(batch(1))
        wrong = batch(2)
        rows = (*wrong.rows, ("other", 2**64, 1))
        with pytest.raises(OverflowError):
            await store.commit(Batch(STREAM, 2, rows, ()))
        await store.commit(batch(3))
    (found,) = (await stored(tmp_path)).streams
    assert (found.version, found.registers) == (3, (("default", 3, 3),))


async def test_the_torn_end_of_the_log_costs_only_what_is_torn(tmp_path: Path) -> None:
    with writer(tmp_path, "full") as process:
        assert process.stdout is not None
        while process.stdout.readline() != "30\n":
            pass
    log = tmp_path / "gossipd.db-wal"
    os.truncate(log, log.stat().st_size * 2 // 3 + 5)
    (found,) = (await stored(tmp_path)).streams
    assert found.version >= 1
    assert max(seq for _, seq, _ in found.registers) == found.version


async def test_a_flipped_byte_in_a_log_costs_what_came_after_it_and_nothing_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any time of a life: also when the log has just been folded into the file."""
    monkeypatch.setattr("gossipd.store.recovery.LOG_PAGES", 100)
    history, rng, steps = History(counters=3000), Random(1), effort(100, 200)
    damaged = []
    async with opened(tmp_path / "data") as store:
        for number in range(steps):
            await history.step(store, rng)
            damaged.append(tmp_path / f"damaged{number}")
            copy_with_a_flipped_byte(tmp_path / "data", damaged[-1], rng)
    versions = [history.check(await stored(each)).get(STREAM, 0) for each in damaged]
    fell = sum(after < before for before, after in pairwise(versions))
    assert steps / 20 < fell < steps * 0.95


def copy_with_a_flipped_byte(directory: Path, to: Path, rng: Random) -> None:
    to.mkdir()
    shutil.copyfile(directory / "gossipd.db", to / "gossipd.db")
    log = bytearray((directory / "gossipd.db-wal").read_bytes())
    log[rng.randrange(len(log))] ^= 1 << rng.randrange(8)
    (to / "gossipd.db-wal").write_bytes(log)


@contextmanager
def mounted(directory: Path, *options: str) -> Iterator[Path]:
    """A file system of 1 MiB in memory."""
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", ",".join(("size=1m", *options)), "tmpfs"]
    try:
        subprocess.run([*command, str(directory)], check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a file system is not allowed here")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True, timeout=10)


def remount(directory: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(directory)], check=True, timeout=10)


def fill(disk: Path) -> None:
    """Leave no space, not even what was freed since it was filled last."""
    with pytest.raises(OSError, match="No space left"):
        append_for_ever(disk / "filler")


def append_for_ever(path: Path) -> None:
    with path.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))


async def test_a_full_disk_takes_batches_again_when_there_is_space(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk") as disk:
        async with opened(disk / "data", "full") as store:
            await store.commit(batch(1))
            fill(disk)
            committed = 1
            for seq in count(2):
                try:
                    await store.commit(batch(seq, f"c{seq}"))
                except NoSpaceError:
                    break
                committed = seq
            for seq in range(committed + 2, committed + 5):
                fill(disk)
                with pytest.raises(NoSpaceError):
                    await store.commit(batch(seq, f"c{seq}"))
            (disk / "filler").unlink()
            last = committed + 10
            await store.commit(batch(last, "last"))
        (found,) = (await stored(disk / "data")).streams
        assert found.version == last
        counters = {counter for counter, _, _ in found.registers}
        assert {f"c{seq}" for seq in range(2, committed + 1)} | {"default", "last"} <= counters


async def test_a_full_disk_is_told_at_the_start_and_nothing_is_left(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk") as disk:
        (disk / "data").mkdir()
        fill(disk)
        with pytest.raises(StoreError, match=r"full|space"):
            await stored(disk / "data")
        assert names_in(disk / "data") <= {"gossipd.lock"}


async def test_a_disk_that_became_read_only_is_waited_for(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk") as disk:
        await stored(disk / "data")
        remount(disk, "ro")
        with pytest.raises(StoreError, match="Read-only file system"):
            await stored(disk / "data")
        remount(disk, "rw")
        assert (await stored(disk / "data")).streams == ()


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(("limit", "count"), [(100_000, 9_000), (1_500_000, 50_000)])
async def test_a_limit_on_the_size_of_files_is_waited_for(
    tmp_path: Path, limit: int, count: int
) -> None:
    """SQLite tells it, like a quota, as an I/O error; the directory is asked."""
    rows = tuple((f"counter {seq}", seq, seq) for seq in range(1, count))
    async with opened(tmp_path) as store:
        await store.commit(batch(1))
        with files_limited_to(limit), pytest.raises(NoSpaceError, match="File too large"):
            await store.commit(Batch(STREAM, count, rows, ()))
        await store.commit(batch(2, "after"))
    (found,) = (await stored(tmp_path)).streams
    assert (found.version, found.registers) == (2, (("after", 2, 2), ("default", 1, 1)))


async def test_a_log_that_is_near_the_limit_is_folded_and_begins_anew(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for seq in range(1, 400):
            await store.commit(batch(seq))
        size = (tmp_path / "gossipd.db-wal").stat().st_size
        assert size > 2_000_000
        with files_limited_to(size + 500_000):
            with pytest.raises(NoSpaceError, match="File too large"):
                await store.probe()
            await store.probe()
            await store.commit(batch(400))


@pytest.mark.parametrize("broken", [False, True])
async def test_a_log_that_cannot_be_folded_takes_back_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: bool
) -> None:
    many = tuple((f"c{seq:04}", seq, seq) for seq in range(1, 5001))
    async with opened(tmp_path) as store:
        await store.commit(Batch(STREAM, 5000, many, ()))
    monkeypatch.setattr("gossipd.store.recovery.LOG_PAGES", 4)
    if broken:
        monkeypatch.setattr("tempfile.TemporaryFile", refusing(errno.EIO))
    async with opened(tmp_path) as store:
        # Less than the file, whose end is written, and more than the log.
        with files_limited_to(100_000):
            await store.commit(batch(5001, "c5000"))
        with pytest.raises(BrokenError) if broken else nullcontext():
            await store.commit(batch(5002, "c5000"))
    (found,) = (await stored(tmp_path)).streams
    assert found.version == (5001 if broken else 5002)


async def test_a_directory_above_that_nobody_may_enter_is_waited_for(tmp_path: Path) -> None:
    above = tmp_path / "above"
    async with opened(above / "data") as store:
        await store.commit(batch(1))
        with nobody_enters(above):
            for seq in (2, 3):
                with pytest.raises(NoSpaceError, match="Permission denied"):
                    await store.commit(batch(seq))
            with pytest.raises(NoSpaceError, match="Permission denied"):
                await store.probe()
        await store.probe()
        await store.commit(batch(4))
    assert (await stored(above / "data")).streams[0].version == 4


@contextmanager
def nobody_enters(directory: Path) -> Iterator[None]:
    before = os.geteuid()
    directory.chmod(0)
    try:
        if before == 0:  # root may enter everywhere
            os.seteuid(65534)
        yield
    finally:
        os.seteuid(before)
        directory.chmod(0o700)


def made_a_file(directory: Path) -> None:
    directory.write_text("mine")


def made_a_loop(directory: Path) -> None:
    directory.symlink_to(directory)


@pytest.mark.parametrize(
    ("replace", "says"),
    [(made_a_file, "removed or replaced"), (made_a_loop, "Too many levels of symbolic links")],
)
async def test_a_directory_that_is_no_more_is_told_as_what_it_is(
    tmp_path: Path, replace: Callable[[Path], None], says: str
) -> None:
    async with opened(tmp_path / "data") as store:
        await store.commit(batch(1))
        (tmp_path / "data").rename(tmp_path / "elsewhere")
        replace(tmp_path / "data")
        for _ in range(2):
            with pytest.raises(BrokenError, match=says):
                await store.commit(batch(2))


def told(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("as SQLite says")
    error.sqlite_errorcode = code
    return error


def refusing(number: int) -> Callable[..., None]:
    def refuse(*_args: object, **_named: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize(
    "code",
    [
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_READONLY_DIRECTORY,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_NOMEM,
    ],
)
def test_what_may_end_by_itself_is_waited_for(tmp_path: Path, code: int) -> None:
    assert isinstance(classify(told(code), tmp_path), NoSpaceError)


@pytest.mark.parametrize(
    "code",
    [
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY_DBMOVED,
        sqlite3.SQLITE_ERROR,
    ],
)
def test_a_disk_that_can_be_written_otherwise_is_broken(tmp_path: Path, code: int) -> None:
    assert isinstance(classify(told(code), tmp_path), BrokenError)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_in_the_same_words_whoever_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr("gossipd.store.failures.ask", lambda _: refusal)
    found = {
        str(classify(told(code), tmp_path)) for code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    }
    assert found == {f"{tmp_path}: No space left on device"}


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, NoSpaceError),
        (errno.EDQUOT, NoSpaceError),
        (errno.EROFS, NoSpaceError),
        (errno.EIO, BrokenError),
        (errno.ENOENT, BrokenError),
    ],
)
def test_an_unclear_error_is_what_the_directory_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[OSError]
) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", refusing(number))
    assert isinstance(classify(told(sqlite3.SQLITE_IOERR_WRITE), tmp_path), kind)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_READ])
def test_a_failed_sync_or_read_is_for_good_even_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr("tempfile.TemporaryFile", refusing(errno.ENOSPC))
    assert isinstance(classify(told(code), tmp_path), BrokenError)
