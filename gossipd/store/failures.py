"""What goes wrong with a disk, in three kinds: at the start, for now, for good.

SQLite tells ENOSPC of a `write` (and a short write) as SQLITE_FULL, a file system that was
read-only from the beginning as SQLITE_READONLY. Everything else that the system refuses is
SQLITE_IOERR or SQLITE_CANTOPEN without its errno, EDQUOT, EFBIG and EROFS included. So the
directory is asked again: a nameless file of 1 MiB is written and synced there, and the files that
are there have to be that far from what a file of this process may have (`ulimit -f`). If that
fails with one of `TEMPORARY`, so did the commit; if it succeeds or fails otherwise, it was the
disk.

Two codes are never asked about. A failed `fsync` is for good, whatever the reason (some file
systems find out there that they are full): the kernel may have dropped the pages, and a second
`fsync` would tell nothing of it. A failed read is for good since it needs no space.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from .names import FILE_NAME, log_path

_PROBE_BYTES = 2**20
"""More than one transaction usually writes, so that what was too large for it is for the probe."""

TEMPORARY = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
        errno.EMFILE,
        errno.ENFILE,
    }
)
"""What ends when somebody frees space, raises a limit or makes the disk writable again."""

_WAIT = {  # in the words that the system has for it, which tells it by itself elsewhere
    sqlite3.SQLITE_FULL: os.strerror(errno.ENOSPC),
    sqlite3.SQLITE_READONLY: os.strerror(errno.EROFS),
    sqlite3.SQLITE_BUSY: "another program holds its lock",
    sqlite3.SQLITE_LOCKED: "another program holds its lock",
    sqlite3.SQLITE_PROTOCOL: "another program holds its lock",
    sqlite3.SQLITE_NOMEM: "no memory left",
}
_ASK = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
_FOR_GOOD = {
    sqlite3.SQLITE_IOERR_FSYNC,
    sqlite3.SQLITE_IOERR_DIR_FSYNC,
    sqlite3.SQLITE_IOERR_READ,
    sqlite3.SQLITE_IOERR_SHORT_READ,
    sqlite3.SQLITE_READONLY_DBMOVED,
}


class StoreError(Exception):
    """The directory cannot be used; the text is the one line that says why."""


class NoSpaceError(OSError):
    """It cannot be written now (full, quota, read-only, locked): worth trying again."""


class BrokenError(OSError):
    """The disk fails or the file is damaged: nothing more can be committed."""


def classify(error: Exception, directory: Path) -> NoSpaceError | BrokenError:
    """Which kind of failure `error` of SQLite is. May write to `directory` to find out."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    kind = code & 0xFF
    if code in _FOR_GOOD:
        return BrokenError(f"{directory}: {error}")
    if kind in _WAIT:
        return NoSpaceError(f"{directory}: {_WAIT[kind]}")
    if kind in _ASK:
        refusal = ask(directory)
        if refusal is not None and refusal.errno in TEMPORARY:
            return NoSpaceError(f"{directory}: {refusal.strerror}")
    if is_damage(error):
        way_out = f"gossipd data move-aside {directory} lets a node start without it"
        return BrokenError(f"{directory / FILE_NAME} is damaged: {error} ({way_out})")
    return BrokenError(f"{directory}: {error}")


def is_damage(error: Exception) -> bool:
    """Whether the file is not what was written. That for which SQLite has no code was found by
    who read it, unless it is a mistake of ours."""
    if isinstance(error, sqlite3.ProgrammingError):
        return False
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def ask(directory: Path) -> OSError | None:
    """Why nothing can be written there; None if something can."""
    import tempfile  # which a node does not need

    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
        _check_limit(directory)
    except OSError as error:
        return error
    return None


def _check_limit(directory: Path) -> None:
    """A small file tells nothing of the limit that a large one meets. Raises `OSError`."""
    import resource  # which a node does not need

    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    file = directory / FILE_NAME
    for path in file, log_path(file):
        with suppress(FileNotFoundError):
            if path.stat().st_size + _PROBE_BYTES > limit != resource.RLIM_INFINITY:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
