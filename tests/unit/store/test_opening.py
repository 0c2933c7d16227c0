"""A directory is good, or it is refused in one line and nothing in it has changed."""

from __future__ import annotations

import errno
import logging
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import pytest

from gossipd.store import StoreError, holds_state, is_in_use, schema
from gossipd.store.backup import back_up
from gossipd.store.checking import check
from gossipd.store.export import export_lines
from gossipd.store.rows import put_meta
from tests.unit.store.keyed import ageless, record, told
from tests.unit.store.parts import (
    as_of,
    batch,
    contents,
    filled,
    mode_of,
    names_in,
    opened,
    set_mode,
    stored,
)


async def refused(directory: Path) -> str:
    """The one line with which opening is refused; nothing has changed."""
    before = contents(directory)
    with pytest.raises(StoreError) as caught:
        await stored(directory)
    assert contents(directory) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_what_is_made_is_private_whatever_the_mask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with opened(tmp_path / "parent" / "data") as store:
            await store.commit(batch(1))
            directory = tmp_path / "parent" / "data"
            files = {path.name: mode_of(path) for path in directory.iterdir()}
    finally:
        os.umask(before)
    assert mode_of(directory) == 0o700
    assert files == dict.fromkeys(
        ("gossipd.db", "gossipd.db-shm", "gossipd.db-wal", "gossipd.lock"), 0o600
    )


async def test_a_directory_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    set_mode(tmp_path, 0o755)
    await filled(tmp_path)
    assert mode_of(tmp_path) == 0o755


async def test_a_second_process_is_told_who_holds_the_directory(tmp_path: Path) -> None:
    async with opened(tmp_path):
        with pytest.raises(StoreError, match=f"^{re.escape(str(tmp_path))} is in use by process"):
            await stored(tmp_path)
    assert (await stored(tmp_path)).streams == ()


async def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match="is not a directory"):
        await stored(tmp_path / "file")
    with pytest.raises(StoreError, match="Not a directory"):
        await stored(tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "mine"


def other_program(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE bookmarks (url)")


def newer(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[63] += 1
    file.write_bytes(data)


def newer_in_the_log(file: Path) -> None:
    """Only the write-ahead log, which a crash left behind, says so."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 99")
        left = {path: path.read_bytes() for path in file.parent.glob("gossipd.db*")}
    for path, data in left.items():
        path.write_bytes(data)
    file.with_name("gossipd.db-shm").unlink()


def truncated(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 4096)


def halved(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2 + 100)


def emptied(file: Path) -> None:
    os.truncate(file, 0)


def text(file: Path) -> None:
    file.write_text("this is not a database " * 100)


def lost(file: Path) -> None:
    """Only its write-ahead log is still there."""
    file.rename(file.with_name("gossipd.db-wal"))


def directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def changed(file: Path) -> None:
    """Another total, written as SQLite writes."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("UPDATE registers SET total = total + 1 WHERE seq = 199")


def reshaped(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("ALTER TABLE streams ADD COLUMN more")


def triggered(file: Path) -> None:
    """As it was written, but not for long."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(
            "CREATE TRIGGER gone AFTER INSERT ON meta BEGIN DELETE FROM registers; END"
        )


def untriggered(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER registers_added")


def with_a_statement_that_is_no_text(file: Path) -> None:
    """In SQLite's own table, where it says how a trigger was made."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = CAST(sql AS BLOB) WHERE name = 'keys_added'"
        )


def with_a_view(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("CREATE VIEW mine AS SELECT counter FROM registers")


def of_another_cluster(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(*put_meta("cluster", "theirs"))


def without_a_cluster(file: Path) -> None:
    """As it was made before directories kept the name."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("DELETE FROM meta WHERE name = 'cluster'")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (other_program, "database of another program"),
        (newer, "newer gossipd"),
        (newer_in_the_log, "newer gossipd"),
        (truncated, "is damaged"),
        (halved, "is damaged"),
        (emptied, "is damaged"),
        (text, "not made by gossipd"),
        (lost, "is missing"),
        (directory, "Is a directory"),
        (changed, "is damaged: the register of"),
        (reshaped, "is damaged: its tables are not as they were made: table 'streams'"),
        (triggered, "is damaged: its tables are not as they were made: trigger 'gone'"),
        (untriggered, "its tables are not as they were made: trigger 'registers_added'"),
        (with_a_statement_that_is_no_text, "its tables are not as they were made: trigger"),
        (with_a_view, "its tables are not as they were made: view 'mine'"),
        (of_another_cluster, "belongs to cluster 'theirs', not 'ours'"),
    ],
)
async def test_what_is_not_sound_is_refused_and_left_as_it_was(
    tmp_path: Path, damage: Callable[[Path], None], says: str
) -> None:
    damage(await filled(tmp_path))
    assert says in await refused(tmp_path)
    assert (tmp_path / "gossipd.db").exists() is (damage is not lost)


async def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    """The number of the process would be written over whatever it leads to."""
    mine = tmp_path / "mine"
    mine.write_text("what I wrote")
    directory = tmp_path / "data"
    await filled(directory)
    lock = directory / "gossipd.lock"
    lock.unlink()
    lock.symlink_to(mine)
    with pytest.raises(StoreError, match=r"gossipd\.lock is a link"):
        await stored(directory)
    assert mine.read_text() == "what I wrote"
    assert not is_in_use(directory)


async def test_a_file_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """Its log would lie where the lock of the directory does not reach."""
    target = await filled(tmp_path / "big")
    before = contents(tmp_path / "big")
    file = tmp_path / "data" / "gossipd.db"
    file.parent.mkdir()
    file.symlink_to(target)
    assert f"gossipd.db is a link to {target}: only the directory" in await refused(file.parent)
    assert contents(tmp_path / "big") == before
    assert names_in(tmp_path / "data") == {"gossipd.db", "gossipd.lock"}


async def test_a_link_that_leads_nowhere_is_no_empty_state(tmp_path: Path) -> None:
    """As while a disk is not mounted."""
    file = tmp_path / "gossipd.db"
    for target in (tmp_path / "big" / "gossipd.db", file):
        file.symlink_to(target)
        assert f"is a link to {target}, which is not there" in await refused(tmp_path)
        assert file.readlink() == target
        assert holds_state(tmp_path)
        file.unlink()


async def test_a_directory_may_be_a_link(tmp_path: Path) -> None:
    await filled(tmp_path / "big")
    (tmp_path / "data").symlink_to(tmp_path / "big")
    assert await stored(tmp_path / "data") == await stored(tmp_path / "big")


async def test_what_sqlite_notes_for_itself_does_no_harm(tmp_path: Path) -> None:
    file = await filled(tmp_path)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("ANALYZE")
    assert (await stored(tmp_path)).streams


async def test_a_directory_that_knows_no_cluster_belongs_to_that_of_its_next_life(
    tmp_path: Path,
) -> None:
    without_a_cluster(await filled(tmp_path))
    for cluster in ("one", "another"):
        async with opened(tmp_path, cluster=cluster):
            pass  # only a life in it tells where it belongs
    async with opened(tmp_path, cluster="one") as store:
        await store.begin_life(1.0)
    with pytest.raises(StoreError, match="belongs to cluster 'one', not 'another'"):
        async with opened(tmp_path, cluster="another"):
            pass
    async with opened(tmp_path, cluster="one"):
        pass


async def test_a_flipped_bit_is_refused_or_does_no_harm(tmp_path: Path) -> None:
    file = await filled(tmp_path)
    snapshot, sound, rng = await stored(tmp_path), file.read_bytes(), Random(4)
    refusals = 0
    found_hard = (3504, 3788)  # texts that are none, in SQLite's own table
    for place in (*found_hard, *rng.choices(range(len(sound)), k=150)):
        data = bytearray(sound)
        data[place] ^= 0x80 if place in found_hard else 1 << rng.randrange(8)
        file.write_bytes(data)
        try:
            found = await stored(tmp_path)
        except StoreError:
            refusals += 1
            assert file.read_bytes() == data
        else:
            assert found.streams == snapshot.streams
    assert refusals > 30


async def test_no_connection_to_a_file_makes_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, in_memory = sqlite3.connect, 2
    found: list[tuple[str, int]] = []

    def noting(path: str | Path, **options: Any) -> sqlite3.Connection:
        class Noting(sqlite3.Connection):
            def close(self) -> None:
                found.append((str(path), *self.execute("PRAGMA temp_store").fetchone()))
                super().close()

        return connect(path, factory=Noting, **options)

    monkeypatch.setattr(sqlite3, "connect", noting)
    file = await filled(tmp_path / "data")
    assert check(file).problems == ()
    back_up(file, tmp_path / "copy.db")
    held = [kept for path, kept in found if path != ":memory:"]
    assert len(held) > 5
    assert set(held) == {in_memory}


async def test_a_file_that_was_never_finished_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "gossipd.db.new").write_text("half")
    await filled(tmp_path)
    assert not (tmp_path / "gossipd.db.new").exists()


async def test_an_older_file_is_migrated_and_then_too_new_for_those_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await filled(tmp_path)
    snapshot = await stored(tmp_path)
    known = schema.MIGRATIONS
    more = (("CREATE TABLE more (a)", "INSERT INTO more VALUES (7)"), ("DELETE FROM more",))
    monkeypatch.setattr(schema, "MIGRATIONS", (*known, more[0]))
    assert await stored(tmp_path) == snapshot
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT a FROM more").fetchall() == [(7,)]
    monkeypatch.setattr(schema, "MIGRATIONS", (*known, *more))
    assert await stored(tmp_path) == snapshot
    monkeypatch.setattr(schema, "MIGRATIONS", known)
    assert "newer gossipd (version 6" in await refused(tmp_path)


@pytest.mark.parametrize("version", [1, 2])
async def test_a_file_of_each_older_version_is_read_as_it_is_and_migrated(
    tmp_path: Path, version: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    file = await filled(tmp_path)
    async with opened(tmp_path) as store:
        if version >= schema.WITH_KEYS:
            await store.save(told(*map(record, range(1, 9)), version=8))
    snapshot = await stored(tmp_path)
    as_of(file, version)
    before = contents(tmp_path)
    finding, lines = check(file), list(export_lines(file))
    assert contents(tmp_path) == before
    assert not caplog.records
    assert ageless(await stored(tmp_path)) == ageless(snapshot)
    told_of = [each.getMessage() for each in caplog.records]
    assert [text.partition(":")[0] for text in told_of] == [
        f"{file} had version {version} of its tables, and has version 4 now"
    ]
    assert check(file) == finding
    assert finding.problems == ()
    assert list(export_lines(file))[1:] == lines[1:]
    async with opened(tmp_path) as store:
        await store.commit(batch(300))
    assert check(file).problems == ()


async def test_a_migration_that_fails_leaves_the_old_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(tmp_path)
    snapshot = await stored(tmp_path)
    known = schema.MIGRATIONS
    monkeypatch.setattr(schema, "MIGRATIONS", (*known, ("CREATE TABLE more (a)", "nonsense")))
    with pytest.raises(StoreError, match="syntax error"):
        await stored(tmp_path)
    monkeypatch.setattr(schema, "MIGRATIONS", known)
    assert await stored(tmp_path) == snapshot


async def test_the_first_life_of_a_copy_is_above_that_of_its_original(tmp_path: Path) -> None:
    await filled(tmp_path)
    async with opened(tmp_path, node="another name") as store:
        assert await store.begin_life(0.0) > 1000 * (time.time() - 3600)


@contextmanager
def as_user(directory: Path) -> Iterator[int]:
    """No longer as root, who may do everything; the directory is the user's. Its uid."""
    before = os.geteuid()
    try:
        if before == 0:
            for path in (directory, *directory.iterdir()):
                os.chown(path, 65534, 65534)
            os.seteuid(65534)
        yield os.geteuid()
    finally:
        os.seteuid(before)


@pytest.fixture
def anywhere() -> Iterator[Path]:
    """A directory that every user reaches, unlike `tmp_path`."""
    with TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.parametrize("name", ["", "gossipd.db", "gossipd.db-wal", "gossipd.db-shm"])
async def test_who_may_not_write_something_is_told_so_and_that_it_must_be_the_users(
    anywhere: Path, name: str
) -> None:
    """SQLite would call it a fault of the disk, or name another file."""
    async with opened(anywhere) as store:
        await store.commit(batch(1))
        left = contents(anywhere) | {"gossipd.db-shm": b""}
    for each, data in left.items():
        (anywhere / each).write_bytes(data)
    with as_user(anywhere) as uid:
        path = anywhere / name
        mode = mode_of(path)
        set_mode(path, 0o500 if path.is_dir() else 0o400)
        says = await refused(anywhere)
        assert says.startswith(f"{path}: Permission denied; ")
        assert f"must belong to the user of the node (uid {uid})" in says
        set_mode(path, mode)
        assert len((await stored(anywhere)).streams) == 1


async def test_a_disk_that_is_read_only_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody's rights would help there."""
    await filled(tmp_path)

    def read_only(**_: object) -> NoReturn:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("tempfile.TemporaryFile", read_only)
    assert (await stored(tmp_path)).streams, "it is left to who writes"


async def test_who_may_not_enter_is_told_whose_the_directory_must_be(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    await filled(directory)
    directory.chmod(0)
    before = os.geteuid()
    try:
        if before == 0:  # root may enter everywhere
            os.seteuid(65534)
        user = os.geteuid()
        with pytest.raises(StoreError, match=rf"must belong to the user .*\(uid {user}\)"):
            await stored(directory)
    finally:
        os.seteuid(before)
        directory.chmod(0o700)
