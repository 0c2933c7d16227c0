"""One process a directory: a lock that the system lets go when the process ends, however it ends.

The file stays: removing it would let two processes lock two files of one name.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from .failures import StoreError

LOCK_NAME = "gossipd.lock"


HELD = Path("/proc/locks")
"""All locks that are held, proc_locks(5): to look there disturbs nobody who takes one."""


def is_in_use(directory: Path) -> bool:
    """Whether a process holds the lock of a directory. Raises `OSError`."""
    inode = (directory / LOCK_NAME).stat().st_ino
    places = (line.split()[5:6] for line in HELD.read_text().splitlines())
    return any(place.split(":")[-1] == str(inode) for found in places for place in found)


class Lock:
    """Held from its making until `release`."""

    def __init__(self, directory: Path) -> None:
        """Raises `StoreError` naming the holder, `OSError` when the file cannot be opened."""
        self._file = os.open(directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_pid(self._file)
        except BlockingIOError:
            holder = os.pread(self._file, 20, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            by = f"process {holder}" if holder.isdigit() else "another process"
            raise StoreError(f"{directory} is in use by {by}") from None
        except OSError:
            os.close(self._file)
            raise

    def release(self) -> None:
        """Let others use the directory."""
        os.close(self._file)


def _write_pid(file: int) -> None:
    """For the error that a second process shows; a full disk must not keep a node from running."""
    try:
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
    except OSError:
        return
