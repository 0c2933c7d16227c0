"""The file of a store and its write-ahead log, as a killed node leaves them, with bytes changed.

An input is a list of patches, of seven bytes each: where, and four bytes to put there; a place
behind the end cuts the file or the log. A node that is started on that either refuses it and
changes nothing, or begins its life with what is there: no more than was written, counted
as ever, and sound when it is closed.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from random import Random

from gossipd.core import Address, MemberView, Node, Settings, Snapshot, Status, TagFrame
from gossipd.store import StoreError
from gossipd.store.checking import check
from tests.fuzz.target import Broken, Target
from tests.property.books import Books
from tests.unit.store.parts import STREAM, batch, contents, opened

PATCH_SIZE = 7
_FAST = Path("/dev/shm")
_HERE: Address = ("127.0.0.1", 7946)


@cache
def _left() -> dict[str, bytes]:
    """The files of a node that was killed: some of it folded, some in the log."""
    with _directory() as place:
        return asyncio.run(_made(Path(place)))


async def _made(place: Path) -> dict[str, bytes]:
    async with opened(place) as store:
        await store.begin_life(time.time())
        for seq in range(1, 40):
            await store.commit(batch(seq, f"counter {seq % 9}"))
    async with opened(place) as store:
        for seq in range(40, 60):
            await store.commit(batch(seq, f"counter {seq % 9}"))
        return {name: data for name, data in contents(place).items() if name != "gossipd.lock"}


def _directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(dir=_FAST if _FAST.is_dir() else None)


def take(data: bytes) -> bool:
    """Start on the patched files."""
    with _directory() as place:
        directory = Path(place)
        for name, content in _patched(data):
            (directory / name).write_bytes(content)
        before = contents(directory)
        try:
            asyncio.run(_live(directory))
        except StoreError as error:
            if contents(directory) != before:
                raise Broken(f"refused, and changed: {error}") from error
            return False
        found = check(directory)
        if found.problems:
            raise Broken(f"taken, and then not sound: {found.problems}")
    return True


async def _live(directory: Path) -> None:
    """A life on what is there."""
    async with opened(directory) as store:
        snapshot = store.load()
        _look(snapshot)
        await store.begin_life(time.time())
        await store.commit(batch(61, "counter 1"))


def _look(snapshot: Snapshot) -> None:
    settings = Settings()
    own = MemberView("here", _HERE, 1_700_000_000_000, 0, Status.ALIVE)
    node = Node(own, settings, TagFrame("ours"), Random(1), 0.0)
    node.load(snapshot, 0.0)
    Books(settings).check(node, 0.0)
    for kept in snapshot.streams:
        if (
            kept.stream != STREAM
            or kept.version > 59
            or any(seq > 59 for _, seq, _ in kept.registers)
        ):
            raise Broken(f"nobody wrote {kept}")


def _patched(data: bytes) -> Iterator[tuple[str, bytes]]:
    files = {name: bytearray(content) for name, content in _left().items()}
    names = sorted(files)
    for at in range(0, len(data) - PATCH_SIZE + 1, PATCH_SIZE):
        place, new = int.from_bytes(data[at : at + 3], "big"), data[at + 3 : at + PATCH_SIZE]
        name = names[place % len(names)]
        content, where = files[name], place // len(names) % (2 * len(files[name]) or 1)
        if where < len(content):
            content[where : where + len(new)] = new
        else:
            del content[where - len(content) :]
    return ((name, bytes(content)) for name, content in files.items())


def seeds() -> Iterable[bytes]:
    """Nothing; all headers; the beginning of each page and of each frame of the log."""
    yield b""
    for place in (0, 16, 18, 24, 28, 36, 60, 68, 96, 4096, 4100, 8192, 8200, 32, 56, 4152):
        for name in range(2):
            yield (2 * place + name).to_bytes(3, "big") + b"\0\1\2\3"
    size = len(_left()["gossipd.db"])
    yield (2 * (size + size // 2)).to_bytes(3, "big") + bytes(4)
    yield (2 * (size + 10)).to_bytes(3, "big") + bytes(4)


DATABASE = Target(
    take=take,
    seeds=seeds,
    pieces=(b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\x01", b"\0\0\x10\0"),
    size_max=40 * PATCH_SIZE,
)
