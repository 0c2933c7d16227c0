"""The store in a process of its own: what a store does, and what is left when either end goes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gossipd.core import Changes, KeyRecord, StreamSnapshot
from gossipd.process.signals import LEFT_ALONE
from gossipd.store import (
    BrokenError,
    StoreError,
    fork,
)
from gossipd.store.remote import RemoteStore
from gossipd.store.worker import Frames, Keeper, frame

from .parts import (
    RETENTION,
    ROOT,
    STREAM,
    WINDOW,
    batch,
    stored,
)

KEY = bytes(6) + b"\x40\x00\x80" + bytes(7)

Scene = Callable[[Keeper, Path], Awaitable[None]]


async def opened(keeper: Keeper, directory: Path) -> RemoteStore:
    return await RemoteStore.open(
        keeper,
        directory,
        durability="normal",
        node="here",
        cluster="ours",
        key_window=WINDOW,
        key_retention=RETENTION,
    )


async def everything(keeper: Keeper, directory: Path) -> None:
    """All that a store is asked for."""
    store = await opened(keeper, directory)
    assert store.load().streams == ()
    assert await store.begin_life(5.0) == 5000
    keyed = batch(1)
    keys = (KeyRecord(KEY, 1, "default", 1, 0),)
    await store.commit(type(keyed)(STREAM, 1, keyed.rows, (), keys))
    found = await store.find_keys([KEY, bytes(16)])
    assert [(event.seq, event.by) for event in found[KEY]] == [(1, 1)]
    assert [record.key for record in await store.read_keys(STREAM, 0, 9, 9)] == [KEY]
    assert await store.save(Changes(((STREAM, "b", 2, 7),), ((STREAM, 2),), (), ())) == {}
    await store.commit(batch(3))
    store.abandon(batch(3), StreamSnapshot(STREAM, 2, (("default", 1, 1),)))
    await store.expire()
    await store.probe()
    await store.close()
    (left,) = (await stored(directory)).streams
    assert (left.version, sorted(left.registers)) == (2, [("b", 2, 7), ("default", 1, 1)])


async def many_at_once(keeper: Keeper, directory: Path) -> None:
    """A commit waits for one slice of what is being saved, not for all of it."""
    store = await opened(keeper, directory)
    rows = tuple((STREAM, f"counter {number}", number + 1, 1) for number in range(100_000))
    write_behind = asyncio.ensure_future(store.save(Changes(rows, (), (), ())))
    await asyncio.sleep(0)
    await store.commit(batch(100_001, "own"))
    assert not write_behind.done()
    await write_behind
    await store.close()


async def in_use(keeper: Keeper, directory: Path) -> None:
    """The node is named as the holder; what fails there fails here."""
    store = await opened(keeper, directory)
    with pytest.raises(StoreError, match=f"is in use by process {os.getpid()}$"):
        await stored(directory)
    with pytest.raises(AttributeError):
        await store._call("no such thing")
    await store.close()


async def killed(keeper: Keeper, directory: Path) -> None:
    """Nobody waits for a child that is gone."""
    store = await opened(keeper, directory)
    os.kill(keeper.pid, signal.SIGSTOP)
    waiting = asyncio.ensure_future(store.commit(batch(1)))
    await asyncio.sleep(0.01)
    os.kill(keeper.pid, signal.SIGKILL)
    for call in (waiting, store.commit(batch(2))):
        with pytest.raises(BrokenError, match="the storage process has ended"):
            await call
    store.abandon(batch(1), StreamSnapshot(STREAM, 0, ()))
    await store.close()


async def failed(keeper: Keeper, directory: Path) -> None:
    """A child that fails says why."""
    store = await opened(keeper, directory)
    assert store._transport is not None
    # It gets both at once, so that nothing is written to it when it has ended.
    os.kill(keeper.pid, signal.SIGSTOP)
    waiting = asyncio.ensure_future(store.commit(batch(1)))
    await asyncio.sleep(0)
    store._transport.write(frame("no call at all"))
    os.kill(keeper.pid, signal.SIGCONT)
    with pytest.raises(BrokenError, match=r"has ended: ValueError\("):
        await waiting


async def failed_unread(keeper: Keeper, directory: Path) -> None:
    """Also to somebody who writes to it before its last words are read."""
    store = await opened(keeper, directory)
    assert store._transport is not None
    store._transport.write(frame("no call at all"))
    os.waitpid(keeper.pid, 0)  # noqa: ASYNC222  the loop must not read meanwhile
    for number in (1, 2):
        with pytest.raises(BrokenError, match=r"has ended: ValueError\("):
            await store.commit(batch(number))
    await store.close()


async def left(keeper: Keeper, directory: Path) -> None:
    """Signals that are meant for the node do not end it; the end of the node does."""
    store = await opened(keeper, directory)
    for number in signal.valid_signals() - {*LEFT_ALONE}:
        os.kill(keeper.pid, number)
    await store.commit(batch(1))
    os.kill(keeper.pid, signal.SIGSTOP)
    closing = asyncio.ensure_future(store.close())
    await asyncio.wait([closing], timeout=0.01)
    closing.cancel()
    await asyncio.wait([closing])
    os.kill(keeper.pid, signal.SIGCONT)
    assert await asyncio.to_thread(os.waitpid, keeper.pid, 0) == (keeper.pid, 0)
    (kept,) = (await stored(directory)).streams
    assert kept.version == 1


SCENES: dict[str, Scene] = {
    scene.__name__: scene
    for scene in (everything, many_at_once, in_use, killed, failed, failed_unread, left)
}


@pytest.mark.parametrize("scene", SCENES)
def test_in_a_process_of_its_own(scene: str, tmp_path: Path) -> None:
    """Who forks must have one thread, which a test does not know of its own process."""
    command = (sys.executable, "-m", __name__, scene, str(tmp_path / "data"))
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_node_that_is_killed_takes_the_child_along(tmp_path: Path) -> None:
    program = f"""
import asyncio, pathlib
from gossipd.store import fork
from {__name__} import opened
async def wait(keeper):
    await opened(keeper, pathlib.Path({str(tmp_path / "data")!r}))
    print(keeper.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(wait(fork()))
"""
    command = (sys.executable, "-c", program)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = Path(f"/proc/{int(process.stdout.readline())}")
        assert child.exists()
        process.kill()
        until = time.monotonic() + 10
        while child.exists() and "\nState:\tZ" not in (child / "status").read_text():
            assert time.monotonic() < until
            time.sleep(0.01)
    assert asyncio.run(stored(tmp_path / "data")).streams == ()


def test_what_the_child_logs_is_logged_by_the_node(tmp_path: Path) -> None:
    program = f"""
import asyncio, logging, pathlib, sys
from gossipd.store import DiskStore, fork
from {__name__} import opened
async def probe(store):
    logging.getLogger("any").info("heard %s", "too")
    logging.getLogger("any").debug("not heard")
DiskStore.probe = probe
async def run(keeper):
    logging.basicConfig(level="INFO", format="%(levelname)s %(message)s")
    store = await opened(keeper, pathlib.Path({str(tmp_path / "data")!r}))
    await store.probe()
    await store.close()
asyncio.run(run(fork()))
"""
    done = subprocess.run(
        (sys.executable, "-c", program),
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "INFO heard too\n")


def test_messages_come_in_pieces_of_any_size() -> None:
    messages = [("a", 1), b"x" * 1000, None]
    data = b"".join(map(frame, messages))
    for size in (1, 7, 1008, len(data)):
        frames = Frames()
        pieces = (data[at : at + size] for at in range(0, len(data), size))
        assert [message for piece in pieces for message in frames.feed(piece)] == messages


if __name__ == "__main__":
    keeper = fork()
    asyncio.run(SCENES[sys.argv[1]](keeper, Path(sys.argv[2])))  # type: ignore[arg-type]
