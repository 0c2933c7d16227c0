"""Copies of a file: a backup while a node runs, and moving a damaged one out of the way.

Any copy may be used again, as old as it is and beside its original: everything in it only joins,
and a stream in it is never resumed.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from .failures import StoreError
from .lock import Lock
from .names import FILE_NAME
from .recovery import (
    clear_errors,
    database_path,
    open_file,
    own_file,
    reading,
    stamp,
    sync_directory,
)


def back_up(path: Path, to: Path) -> None:
    """Copy the state of one moment to a new file, also while a node runs. Raises `StoreError`.

    The copy is one read: the node goes on writing, and only its write-ahead log is kept meanwhile.
    """
    with clear_errors(to):
        if to.is_symlink() or to.exists():
            raise StoreError(f"{to} is already there")
        file, name = tempfile.mkstemp(prefix=f"{to.name}.", dir=to.parent)
        os.close(file)
        made = Path(name)
        try:
            with reading(database_path(path)) as source, _blaming(to):
                _copy(source, made)
            made.rename(to)
        finally:
            for part in made, Path(f"{made}-journal"):  # which a copy that fails leaves
                part.unlink(missing_ok=True)
        sync_directory(to.parent)


def _copy(source: sqlite3.Connection, made: Path) -> None:
    with closing(open_file(made, "mode=rw")) as target:
        source.backup(target)
        # A file that may lie alone, in a folder that is not to be written.
        target.execute("PRAGMA journal_mode = DELETE")


@contextmanager
def _blaming(to: Path) -> Iterator[None]:
    """Tell what goes wrong while a copy is written of the copy, not of what is read; what is
    damaged can only be that."""
    try:
        yield
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        raise StoreError(f"{to}: {error}") from error


def move_aside(directory: Path) -> Path:
    """Rename the file and its log so that a node starts anew; the new name.

    Raises `StoreError`, also when a node is using the directory.
    """
    path = own_file(directory)
    with clear_errors(path):
        lock = Lock(directory)
        try:
            aside = path.with_name(f"{FILE_NAME}.{stamp()}")
            parts = [suffix for suffix in ("", "-wal") if Path(f"{path}{suffix}").exists()]
            if not parts or aside.exists():
                raise StoreError(f"{aside} is already there" if parts else f"no {path} to move")
            # The file first: a log alone stops a node from starting, a file alone does not.
            for suffix in parts:
                Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
            Path(f"{path}-shm").unlink(missing_ok=True)
            sync_directory(directory)
        finally:
            lock.release()
    return aside
