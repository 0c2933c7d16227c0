"""SQLite's calls to the system, on their way through a `Disk`.

The library that Python's `sqlite3` uses is given a VFS that is a copy of its own, and the default.
Opening goes through here; a file of the disk then gets a copy of its table of methods in which
writing, cutting and syncing go through here first. Everything else is SQLite's own code. Writes
past these methods there are none: the copy ends before the methods that map a file into memory.

What the store does by itself, through `os`, are renames, removals and syncs of the directory.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from functools import cache, partial
from pathlib import Path
from unittest.mock import patch

from tests.power.disk import Disk

_OK = 0
_IOERR_WRITE, _IOERR_FSYNC = 10 | 3 << 8, 10 | 4 << 8
_DATABASE, _JOURNAL, _LOG = 0x100, 0x800, 0x80000

_Open = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_Delete = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
_WriteTo = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_Truncate = CFUNCTYPE(c_int, c_void_p, c_int64)
_Sync = CFUNCTYPE(c_int, c_void_p, c_int)


class _Vfs(Structure):
    """`sqlite3_vfs`, version 3."""

    _fields_ = (
        ("version", c_int),
        ("file_size", c_int),
        ("path_max", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", c_void_p),
        ("delete", c_void_p),
        ("others", c_void_p * 14),
    )


class _Methods(Structure):
    """`sqlite3_io_methods`, version 2: with shared memory, without mapped files."""

    _fields_ = (
        ("version", c_int),
        ("close", c_void_p),
        ("read", c_void_p),
        ("write", c_void_p),
        ("truncate", c_void_p),
        ("sync", c_void_p),
        ("others", c_void_p * 11),
    )


@cache
def _library() -> ctypes.CDLL:
    """What `_sqlite3` is linked to: its symbols are found through it."""
    library = ctypes.CDLL(_sqlite3.__file__)
    library.sqlite3_vfs_find.restype = POINTER(_Vfs)
    return library


@cache
def why_none() -> str:
    """Why power cannot be cut here; empty if it can."""
    if getattr(_sqlite3, "__file__", None) is None:
        return "SQLite is a part of this Python"
    try:
        found = _library().sqlite3_vfs_find(None)
    except (OSError, AttributeError) as error:
        return f"SQLite's library does not show: {error}"
    name = found.contents.name if found else None
    return "" if name == b"unix" else f"SQLite's own VFS is {name!r}"


class _Shim:
    """The VFS; must not be collected while it is registered."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._names: dict[int, str] = {}
        """Of the files that are open, by their address; an address may be used again."""
        self._tables: dict[int, _Methods] = {}
        """Ours, by the address of SQLite's own."""
        self._kept: list[object] = []
        own = _library().sqlite3_vfs_find(None).contents
        self._open, self._delete = _Open(own.open), _Delete(own.delete)
        self.vfs = _Vfs.from_buffer_copy(own)
        self.vfs.name = b"power"
        self.vfs.open = self._callback(_Open, self._on_open)
        self.vfs.delete = self._callback(_Delete, self._on_delete)

    def _callback(
        self, kind: Callable[[Callable[..., int]], object], call: Callable[..., int]
    ) -> int | None:
        made = kind(call)
        self._kept.append(made)
        return ctypes.cast(made, c_void_p).value  # type: ignore[arg-type]

    def _on_open(self, vfs: int, name: int, file: int, flags: int, out: int) -> int:
        ours = name and flags & (_DATABASE | _JOURNAL | _LOG)
        path = Path(os.fsdecode(ctypes.string_at(name))) if ours else None
        if path is None or not self._disk.holds(path):
            return int(self._open(vfs, name, file, flags, out))
        made = not path.exists()
        code = int(self._open(vfs, name, file, flags, out))
        if code == _OK:
            self._disk.open(path.name, made)
            self._names[file] = path.name
            methods = c_void_p.from_address(file)
            methods.value = ctypes.addressof(self._table(methods.value or 0))
        return code

    def _table(self, own: int) -> _Methods:
        if own not in self._tables:
            real = _Methods.from_address(own)
            table = self._tables[own] = _Methods.from_buffer_copy(real)
            table.version = min(real.version, 2)
            table.write = self._callback(_WriteTo, partial(self._on_write, _WriteTo(real.write)))
            table.truncate = self._callback(
                _Truncate, partial(self._on_truncate, _Truncate(real.truncate))
            )
            table.sync = self._callback(_Sync, partial(self._on_sync, _Sync(real.sync)))
        return self._tables[own]

    def _on_write(
        self, own: Callable[..., int], file: int, data: int, size: int, offset: int
    ) -> int:
        if self._disk.fails("write"):
            return _IOERR_WRITE
        done = partial(own, file, data, size, offset)
        return self._disk.write(self._names[file], offset, ctypes.string_at(data, size), done)

    def _on_truncate(self, own: Callable[..., int], file: int, size: int) -> int:
        return self._disk.write(self._names[file], size, None, partial(own, file, size))

    def _on_sync(self, own: Callable[..., int], file: int, flags: int) -> int:
        failing = self._disk.fails("sync")
        done = (lambda: _IOERR_FSYNC) if failing else partial(own, file, flags)
        return self._disk.sync(self._names[file], done)

    def _on_delete(self, vfs: int, name: bytes, synced: int) -> int:
        code = int(self._delete(vfs, name, synced))
        path = Path(os.fsdecode(name))
        if code == _OK and self._disk.holds(path):
            self._disk.delete(path.name, bool(synced))
        return code


@contextmanager
def running_on(disk: Disk) -> Iterator[None]:
    """What this process keeps in the disk's directory by SQLite meanwhile is on that disk."""
    assert not why_none(), why_none()
    shim = _Shim(disk)
    rename, unlink, fsync = os.rename, os.unlink, os.fsync

    def renamed(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
        rename(source, target)
        if disk.holds(Path(source)) and disk.holds(Path(target)):
            disk.rename(Path(source).name, Path(target).name)

    def unlinked(path: str | os.PathLike[str]) -> None:
        unlink(path)
        if disk.holds(Path(path)):
            disk.delete(Path(path).name, synced=False)

    def synced(file: int) -> None:
        fsync(file)
        found = os.fstat(file)
        if stat.S_ISDIR(found.st_mode) and os.path.samestat(found, disk.directory.stat()):
            disk.sync_names()

    _library().sqlite3_vfs_register(ctypes.byref(shim.vfs), 1)
    try:
        with patch.multiple("os", rename=renamed, unlink=unlinked, fsync=synced):
            yield
    finally:
        _library().sqlite3_vfs_unregister(ctypes.byref(shim.vfs))
