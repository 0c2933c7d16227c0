"""What of a directory would survive a power cut at this moment, kept in a folder beside it.

The process works on the directory itself, as ever. Writes are durable once their file is synced,
names once their directory is. Beside the directory are two folders of hard links to one durable
content per file: `now` with the names that the process sees, `synced` with the names that are
durable. All of it is in files at every moment, so that it outlives the SIGKILL that a power cut
begins with. A process may use the directory again after `cut`, but not after any other end: what
was never synced would count as synced by somebody else.

Later writes may survive as well, in part and in any order: disks write 512 bytes whole, and
nothing else (`torn`). What was written and then written over before the cut never comes back.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Literal, TypeAlias

SECTOR = 512
Failing: TypeAlias = Literal["write", "sync"]

_Write: TypeAlias = tuple[int, bytes | None]
"""An offset and what was written there; None: the file was cut there."""


def _nothing(_what: str) -> None:
    """Nobody wants to know."""


class Disk:
    """The disk under one directory, for the process that writes there and for who cuts it off."""

    def __init__(self, directory: Path, watch: Callable[[str], None] = _nothing) -> None:
        """`watch` is called before anything of a write, sync, deletion or rename is durable."""
        self.directory = directory
        self._watch = watch
        beside = directory.with_name(f"{directory.name}.disk")
        self._now, self._synced = beside / "now", beside / "synced"
        self._failing = beside / "failing"
        self._unsynced: defaultdict[str, list[_Write]] = defaultdict(list)
        self._lock = threading.RLock()
        for folder in (self._now, self._synced):
            folder.mkdir(parents=True, exist_ok=True)

    # --- what the process does ---------------------------------------------------------------

    def holds(self, path: Path) -> bool:
        """Whether a file is on this disk."""
        return path.parent == self.directory

    def open(self, name: str, made: bool) -> None:
        """A file is there: just made, or (if it is not known yet) from before, durable."""
        with self._lock:
            if made:
                self._unsynced.pop(name, None)
                (self._now / name).unlink(missing_ok=True)
                (self._now / name).touch()
            elif not (self._now / name).exists():
                adopted = self._now.with_name("adopted")
                shutil.copyfile(self.directory / name, adopted)
                adopted.rename(self._now / name)
                _link(self._now / name, self._synced / name)

    def write(self, name: str, offset: int, data: bytes | None, done: Callable[[], int]) -> int:
        """Write, or cut the file at `offset`; what `done`, which does it, says."""
        with self._lock:
            self._watch("write")
            self._unsynced[name].append((offset, data))
            return done()

    def sync(self, name: str, done: Callable[[], int]) -> int:
        """Once `done` has done it, what was written before is durable, and the file's name.

        If it says that it has failed, the same will never be synced again.
        """
        with self._lock:
            self._watch("sync")
            writes = self._unsynced.pop(name, [])
            code = done()
            if code == 0:
                self._apply(name, writes)
                # SQLite syncs the directory with the first sync of a file that it has made.
                if not (self._synced / name).exists():
                    self.sync_names()
            return code

    def _apply(self, name: str, writes: list[_Write]) -> None:
        with (self._now / name).open("r+b") as file:
            for offset, data in writes:
                if data is None:
                    file.truncate(offset)
                else:
                    file.seek(offset)
                    file.write(data)

    def delete(self, name: str, synced: bool) -> None:
        """A file has lost its name; durable with the next sync of names if it is not `synced`."""
        with self._lock:
            self._watch("delete")
            self._unsynced.pop(name, None)
            (self._now / name).unlink(missing_ok=True)
            if synced:
                self.sync_names()

    def rename(self, name: str, to: str) -> None:
        """A file has got another name, durable with the next sync of names."""
        with self._lock:
            self._watch("rename")
            (self._now / name).rename(self._now / to)
            self._unsynced[to] = self._unsynced.pop(name, [])

    def sync_names(self) -> None:
        """What was made, renamed and deleted is durable; new names first, as a journal would."""
        with self._lock:
            self._watch("names")
            for path in self._now.iterdir():
                _link(path, self._synced / path.name)
            for path in self._synced.iterdir():
                if not (self._now / path.name).exists():
                    path.unlink()

    def fails(self, what: Failing) -> bool:
        """Whether such calls of the process fail at present."""
        return self._failing.exists() and self._failing.read_text() == what

    # --- what the world does -----------------------------------------------------------------

    def fail(self, what: Failing) -> None:
        """From now on no write (or no sync) succeeds in the process that uses the directory."""
        made = self._failing.with_suffix(".new")
        made.write_text(what)
        made.rename(self._failing)

    def leave(self, to: Path, rng: Random | None = None) -> None:
        """Make a folder of what a power cut leaves now: with `rng` also some of the rest."""
        with self._lock:
            folder = self._now if rng is not None and rng.random() < 0.5 else self._synced
            to.mkdir()
            for path in folder.iterdir():
                data = path.read_bytes()
                later = self._real(path)
                if rng is not None and later is not None:
                    data = torn(data, later.read_bytes(), rng)
                (to / path.name).write_bytes(data)

    def cut(self, rng: Random | None = None) -> bool:
        """Leave in the directory what a power cut leaves; its process has ended.

        True if that is something else than what the process had written.
        """
        left = self._now.with_name("left")
        self.leave(left, rng)
        for folder in (self._now, self._synced):
            shutil.rmtree(folder)
            folder.mkdir()
        for path in self.directory.glob("*-shm"):
            path.unlink()
        written = _contents(self.directory, "*.db*")
        found = _contents(left, "*")
        for name in written:
            (self.directory / name).unlink()
        for name, data in found.items():
            (self.directory / name).write_bytes(data)
        shutil.rmtree(left)
        return written != found

    def _real(self, durable: Path) -> Path | None:
        """The file whose durable content that is, if it still has a name."""
        for path in self._now.iterdir():
            if path.samefile(durable) and (self.directory / path.name).exists():
                return self.directory / path.name
        return None


def torn(durable: bytes, later: bytes, rng: Random) -> bytes:
    """A file of which some of the later sectors have reached the disk."""
    size = rng.choice((len(durable), len(later)))
    share = rng.random()
    sectors = []
    for at in range(0, size, SECTOR):
        length = min(SECTOR, size - at)
        kept = later if rng.random() < share else durable
        sectors.append(kept[at : at + length].ljust(length, b"\0"))
    return b"".join(sectors)


def _contents(folder: Path, pattern: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob(pattern)}


def _link(path: Path, name: Path) -> None:
    """Give a file a second name, in place of what had it."""
    if name.exists() and name.samefile(path):
        return
    made = name.parent.with_name("linked")
    made.unlink(missing_ok=True)
    os.link(path, made)
    made.replace(name)
