"""From a directory to a file that is known to be good, or one clear error and nothing touched.

A new file is made under another name and renamed, so it is there complete or not at all. A file
that is there is read before anything is written: whose it is (its first 100 bytes), SQLite's own
check, the checksum of every row and the sum of every stream. Only then may a migration write.

A new directory is private (0700). One that was there keeps its mode, which is its owner's affair
(it may be shared); the files in it are private (0600) either way.
"""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from gossipd.core import Snapshot

from . import schema
from .aging import FOREVER, Lifetimes, add_keys
from .clock import FileClock
from .contents import check_contents
from .double_rows import doubles_of, put_double
from .failures import NoSpaceError, StoreError, is_damage
from .key_rows import are_kept
from .names import FILE_NAME, index_path, log_path
from .rows import DamagedError, meta_of, put_meta, snapshot_of

log = logging.getLogger(__name__)

_MIGRATED = (
    "%s had version %d of its tables, and has version %d now: an earlier gossipd that knows only "
    "those from before does not open it any more"
)

_MAGIC = b"SQLite format 3\0"
BUSY_SECONDS = 5.0
"""A backup, or somebody with another program, is waited for so long."""

LOG_PAGES = 4000
_PAGE_BYTES = 4096
"""The write-ahead log is folded into the file at about so many pages at the latest, and kept no
longer."""

INDEX_BYTES = 4 * 32 * 1024
"""Of the index of that log: SQLite extends it by 32 KiB for each 4096 pages (its WAL format, 2.3);
a large transaction may take the log beyond where it is folded."""


def database_path(path: Path) -> Path:
    """The file in a data directory; of a file, itself."""
    return path / FILE_NAME if path.is_dir() else path


def own_file(directory: Path) -> Path:
    """The file in a directory that is to be written, be it there or not. Raises `StoreError` where
    it is a link: SQLite keeps the log beside the file itself, and two directories, each with a
    lock of its own, could have one file."""
    path = directory / FILE_NAME
    with clear_errors(path):
        if path.is_symlink():
            target = _followed(path)
            if not target.exists():
                raise StoreError(f"{path} is a link to {target}, which is not there")
            raise StoreError(f"{path} is a link to {target}: only the directory may be a link")
    return path


def holds_state(directory: Path) -> bool:
    """Whether a node has kept anything in a directory. Raises `OSError`."""
    path = directory / FILE_NAME
    return path.is_symlink() or path.exists()


def named_by_host(directory: Path) -> tuple[str, int]:
    """The name of the node that has state in a directory, and its port if that name was made from
    the host's, else 0. Raises `StoreError`."""
    with reading(directory / FILE_NAME) as connection:
        facts = meta_of(connection)
    return str(facts.get("node", "")), int(facts.get("port", 0))


def open_file(path: Path, mode: str) -> sqlite3.Connection:
    """A connection as a URI's `mode` says. Every statement is its own transaction unless one is
    begun.

    What does not fit into a statement's memory goes into more memory: the place that SQLite has
    for it, which is none of the data directory's, may be full or read-only.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
    )
    try:
        connection.execute("PRAGMA temp_store = MEMORY")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def connect(path: Path, durability: str = "full") -> sqlite3.Connection:
    """A connection that writes."""
    connection = open_file(path, "mode=rw")
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {durability}")
        connection.execute(f"PRAGMA journal_size_limit = {LOG_PAGES * _PAGE_BYTES}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def reserve(file: int) -> None:
    """Have room for the index of the write-ahead log in a file. Raises `NoSpaceError`.

    SQLite maps that index into memory and has room for one byte of each of its pages, which is not
    enough where blocks are smaller than pages: who writes there while the disk is full is killed
    by the system (SIGBUS).
    """
    try:
        os.posix_fallocate(file, 0, INDEX_BYTES)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpaceError(error.errno, error.strerror) from error
        # What else it says, as that this disk cannot, says nothing of how much room there is.


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that changes nothing; a node may be writing meanwhile. One snapshot. Of a link,
    what it leads to.

    Raises `StoreError`, also for what goes wrong while it is used.
    """
    with clear_errors(path):
        path = _followed(path)
    with clear_errors(path):
        _check_header(path)
        writable = os.access(path.parent, os.W_OK)
        # Without a log to be shared with a writer none needs to be made beside the file.
        alone = not writable and not (log_path(path).exists() and log_path(path).stat().st_size)
        with closing(open_file(path, "immutable=1" if alone else "mode=ro")) as connection:
            connection.execute("BEGIN")
            _check_owner(connection, path)
            yield connection


def open_image(
    directory: Path, wall: float, lifetimes: Lifetimes = FOREVER, cluster: str | None = None
) -> tuple[Snapshot, FileClock]:
    """What a locked directory holds, its file made or migrated if need be, and the file's clock;
    doubles that only show when all is read are entered there. `wall`: seconds since 1970.

    Raises `StoreError`, also where not all in it may be read and written, which SQLite would tell
    as a fault of the disk, and when its last life was in another cluster than `cluster`: counts of
    two clusters once joined cannot be told apart again.
    """
    path = own_file(directory)
    _check_permissions(directory)
    with clear_errors(path):
        if not path.exists():
            _create(path, wall)
    with reading(path) as connection:
        check_pages(connection)
        if cluster is not None:
            _check_cluster(connection, directory, cluster)
        version = schema.version_of(connection)
        old = version < len(schema.MIGRATIONS)
        if old:
            snapshot_of(connection, wall)
            if are_kept(connection):
                for _ in doubles_of(connection, 0.0):
                    pass
    if old:
        with clear_errors(path), closing(connect(path)) as writer:
            schema.migrate(writer)
        log.info(_MIGRATED, path, version, len(schema.MIGRATIONS))
    with reading(path) as connection:
        clock = clock_of(connection, wall)
        snapshot, found = add_keys(
            connection, snapshot_of(connection, wall), clock.now(), lifetimes
        )
    if found:
        with clear_errors(path), closing(connect(path)) as writer, writer:
            writer.execute("BEGIN IMMEDIATE")
            for double in found:
                writer.execute(*put_double(*double, clock.now()))
    return snapshot, clock


def _check_permissions(directory: Path) -> None:
    """Whether this process may do with a directory, and with the files that are there, what SQLite
    has to do. Raises `StoreError` where it may not; whatever else fails is SQLite's to tell."""
    from tempfile import TemporaryFile  # which a node does not need

    with _permitted(directory), TemporaryFile(dir=directory):
        pass
    file = directory / FILE_NAME
    for path in (file, log_path(file), index_path(file)):
        with _permitted(path):
            os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))


@contextmanager
def _permitted(path: Path) -> Iterator[None]:
    with clear_errors(path):
        try:
            yield
        except PermissionError:
            raise
        except OSError:
            return


def clock_of(connection: sqlite3.Connection, wall: float) -> FileClock:
    """A file's clock. Raises `DamagedError`."""
    mark = meta_of(connection).get("clock")
    return FileClock(None if mark is None else str(mark), wall)


def make_directory(directory: Path) -> None:
    """Make it, private, unless it is there. Raises `StoreError`."""
    with clear_errors(directory):
        if directory.is_dir():
            return
        with suppress(FileExistsError):
            directory.parent.mkdir(parents=True)
        with suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        if not directory.is_dir():
            raise StoreError(f"{directory} is not a directory")


def check_pages(connection: sqlite3.Connection) -> None:
    """SQLite's own check of the whole file, the tables, and whether what they hold belongs
    together. Raises `DamagedError`. A key record costs a microsecond: its place in the index may
    be of another moment, and a retry would not find it."""
    (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise DamagedError(" ".join(found.split()))
    if problem := schema.check(connection):
        raise DamagedError(problem)
    check_contents(connection)


@contextmanager
def clear_errors(path: Path) -> Iterator[None]:
    """Turn what the system and SQLite say into one line about `path`."""
    try:
        yield
    except PermissionError as error:
        owner = "; the directory and what lies in it must belong to the user of the node "
        owner += f"(uid {os.geteuid()}), and let it read and write"
        raise StoreError(f"{path}: {error.strerror}{owner}") from error
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}") from error
    except (sqlite3.Error, DamagedError, UnicodeError) as error:
        damaged = " is damaged" if is_damage(error) else ""
        raise StoreError(f"{path}{damaged}: {error}") from error


def _followed(path: Path) -> Path:
    """Of a link the file itself, beside which SQLite keeps its log; it may not be there."""
    if not path.is_symlink():
        return path
    return Path(os.path.realpath(path))  # `resolve` has an error of its own for a loop


def _check_header(path: Path) -> None:
    with path.open("rb") as file:
        header = file.read(100)
    if len(header) < 100 or not header.startswith(_MAGIC):
        raise StoreError(f"{path} is damaged or was not made by gossipd: no SQLite header")
    if int.from_bytes(header[68:72], "big") != schema.APPLICATION_ID:
        raise StoreError(f"{path} is a database of another program")
    _check_version(path, int.from_bytes(header[60:64], "big"))


def _check_owner(connection: sqlite3.Connection, path: Path) -> None:
    """Once more by what SQLite reads: the log may hold a newer first page than the file."""
    if schema.application_of(connection) != schema.APPLICATION_ID:
        raise StoreError(f"{path} is a database of another program")
    _check_version(path, schema.version_of(connection))


def _check_version(path: Path, version: int) -> None:
    known = len(schema.MIGRATIONS)
    if not 0 < version <= known:
        raise StoreError(
            f"{path} was written by a newer gossipd (version {version} of its tables; this one "
            f"knows up to {known})"
        )


def _check_cluster(connection: sqlite3.Connection, directory: Path, cluster: str) -> None:
    held = meta_of(connection).get("cluster", cluster)
    if held != cluster:
        raise StoreError(f"{directory} belongs to cluster {held!r}, not {cluster!r}")


def _create(path: Path, wall: float) -> None:
    if log_path(path).exists():
        raise StoreError(f"{path} is missing, though {log_path(path).name} is there")
    made = path.with_name(f"{path.name}.new")
    made.unlink(missing_ok=True)
    try:
        os.close(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(open_file(made, "mode=rw")) as connection:
            connection.execute("PRAGMA synchronous = EXTRA")
            schema.migrate(connection)
            connection.execute(*put_meta("created", int(1000 * wall)))
            connection.execute("PRAGMA journal_mode = WAL")
        made.rename(path)
    except (OSError, sqlite3.Error):
        made.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make a rename in it durable."""
    folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def stamp() -> str:
    """This moment (UTC) as a part of a file's name."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
