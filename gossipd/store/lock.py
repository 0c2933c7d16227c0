"""One process a directory: a lock that the system lets go when the process ends, however it ends.

The file stays: removing it would let two processes lock two files of one name.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from .failures import StoreError
from .places import Identity

LOCK_NAME = "gossipd.lock"

ENDING_SECONDS = 1.0
"""For so long a holder is waited for: it may be about to end, as the disk of a node that was
killed is let go a moment after it."""

POLL_SECONDS = 0.02


HELD = Path("/proc/locks")
"""All locks that are held, proc_locks(5): to look there disturbs nobody who takes one."""


def is_in_use(directory: Path) -> bool:
    """Whether a process holds the lock of a directory. Raises `OSError`."""
    inode = (directory / LOCK_NAME).lstat().st_ino
    places = (line.split()[5:6] for line in HELD.read_text().splitlines())
    return any(place.split(":")[-1] == str(inode) for found in places for place in found)


class Lock:
    """Held from its making until `release`."""

    def __init__(self, directory: Path, pid: int | None = None) -> None:
        """`pid`: whom others are told to hold it, this process unless given. Raises `StoreError`
        naming who holds it already, `OSError` when the file cannot be opened."""
        self.path = directory / LOCK_NAME
        self._file = _open(self.path)
        try:
            _lock(self._file)
            _write_pid(self._file, pid or os.getpid())
        except BlockingIOError:
            holder = os.pread(self._file, 20, 0).decode("ascii", "replace").strip()
            os.close(self._file)
            raise StoreError(f"{directory} is in use by {_described(holder)}") from None
        except OSError:
            os.close(self._file)
            raise

    @property
    def identity(self) -> Identity:
        """Which file it is, wherever it lies by now."""
        found = os.fstat(self._file)
        return found.st_dev, found.st_ino

    def release(self) -> None:
        """Let others use the directory."""
        os.close(self._file)


def _open(path: Path) -> int:
    """A disk that hangs makes nobody wait for that, unless the file is to be made. A link is not
    followed: what is written to the lock would overwrite any file of this user's."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with suppress(FileNotFoundError):
            return os.open(path, flags)
        return os.open(path, flags | os.O_CREAT, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise StoreError(f"{path} is a link, which is not followed") from error
        raise


def _lock(file: int) -> None:
    """Raises `BlockingIOError` where somebody else goes on to hold it."""
    until = time.monotonic() + ENDING_SECONDS
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise
        time.sleep(POLL_SECONDS)


def _described(holder: str) -> str:
    if not holder.isdigit():
        return "another process"
    with suppress(PermissionError):
        try:
            os.kill(int(holder), 0)
        except ProcessLookupError:
            return f"what process {holder} has left behind: its disk has not answered yet"
    return f"process {holder}"


def _write_pid(file: int, pid: int) -> None:
    """For the error that a second process shows; a full disk must not keep a node from running."""
    try:
        os.ftruncate(file, 0)
        os.pwrite(file, f"{pid}\n".encode(), 0)
    except OSError:
        return
