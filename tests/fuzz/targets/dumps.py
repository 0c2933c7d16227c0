"""Lines for `gossipd data import`, taken in by a directory that has counts already.

All lines are taken in, or none and the first one that is wrong is named. What was taken in is
sound, comes out as lines that another directory takes in for the same, and a node can live on it.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from random import Random

from gossipd.core import Address, MemberView, Node, Settings, Status, TagFrame
from gossipd.store import StoreError
from gossipd.store.checking import Finding, check
from gossipd.store.export import LineError, export_lines, import_lines
from tests.fuzz.target import Broken, Target
from tests.property.books import Books
from tests.unit.store.parts import opened

_FAST = Path("/dev/shm")
_HERE: Address = ("127.0.0.1", 7946)
_A, _B = "00" * 9 + "07", "00" * 9 + "09"


def take(data: bytes) -> bool:
    """Take it in, out, and in again."""
    with tempfile.TemporaryDirectory(dir=_FAST if _FAST.is_dir() else None) as place:
        return _take(data.splitlines(keepends=True), Path(place))


def _take(lines: list[bytes], place: Path) -> bool:
    held, copy = place / "held", place / "copy"
    import_lines(held, _lines(_GOOD))
    before = _facts(held)
    try:
        import_lines(held, lines)
    except (LineError, StoreError) as error:
        if _facts(held) != before:
            raise Broken(f"refused, and changed: {error}") from error
        return False
    found = check(held)
    if found.problems:
        raise Broken(f"taken, and then not sound: {found.problems}")
    import_lines(copy, [f"{line}\n".encode() for line in export_lines(held)])
    if _without_age(check(copy)) != _without_age(found):
        raise Broken(f"{check(copy)} comes out of {found}")
    asyncio.run(_live(held))
    return True


async def _live(directory: Path) -> None:
    async with opened(directory) as store:
        snapshot = store.load()
        await store.begin_life(time.time())
    settings = Settings()
    own = MemberView("here", _HERE, 1_700_000_000_000, 0, Status.ALIVE)
    node = Node(own, settings, TagFrame("ours"), Random(1), 0.0)
    node.load(snapshot, 0.0)
    Books(settings).check(node, 0.0)


def _facts(directory: Path) -> tuple[Finding, list[str]]:
    return check(directory), [line for line in export_lines(directory) if '"format"' not in line]


def _without_age(found: Finding) -> tuple[object, ...]:
    return found.streams, found.registers, found.counters, found.keys, found.fingerprint


_HEAD = {"format": "gossipd log 2", "generation": 5, "horizon": 0, "now": 1_700_000_000_000}
_GOOD: list[dict[str, object]] = [
    _HEAD,
    {"stream": _A, "counter": "a", "seq": 2, "total": 5},
    {"stream": _A, "version": 2},
]
_KEY = {"key": "01890a5d-ac96-774b-bcce-b302099a8057", "stream": _A, "seq": 2, "counter": "a"}
_DOUBLE = {"stream": _B, "seq": 1, "counter": "a", "by": 2, "winner": _A, "winner_seq": 1}
_CORRECTION = {"stream": _B, "counter": "a", "seq": 3, "lost": 1, "out": 2, "digest": 7}
_MORE: list[dict[str, object]] = [
    {"stream": _B, "counter": "a b", "seq": 2**48 - 1, "total": -(2**62)},
    {"stream": _B, "counter": "a", "seq": 3, "total": 9},
    {"stream": _B, "version": 3},
    {**_KEY, "by": 3, "at": 1_699_999_999_000},
    {**_DOUBLE, "at": 1_699_999_990_000},
    dict(_CORRECTION),
]


def _lines(rows: list[dict[str, object]]) -> list[bytes]:
    return [f"{json.dumps(row)}\n".encode() for row in [*rows, {"lines": len(rows)}]]


def seeds() -> Iterable[bytes]:
    """Good ones of all kinds of lines, each alone and all; ones that lack something."""
    yield b"".join(_lines([_HEAD]))
    yield from (b"".join(_lines([_HEAD, row])) for row in _MORE)
    yield b"".join(_lines([*_GOOD, *_MORE]))
    yield b"".join(_lines([*_GOOD, *_MORE])[:-1])
    old: dict[str, object] = {"format": "gossipd log 1"}
    event: dict[str, object] = {
        "stream": _A,
        "seq": 1,
        "counter": "a",
        "by": 1,
        "double": _KEY["key"],
    }
    yield b"".join(_lines([old, event, {**event, "stream": _B}]))
    yield b""


DUMPS = Target(
    take=take,
    seeds=seeds,
    pieces=(
        b'{"lines": 1}\n', b'{"lines": 2}\n', b"\n", b'"seq": ', b'"total": ', b'"version": ',
        b'"stream": "', b'"counter": "', b'"at": -1', b"-1", b"0", b"281474976710655", b"1e999",
        b"4611686018427387904", b"NaN", b'"\\ud800"', b"\\u0000", b"\xff", b"[" * 2000, b"true",
        b"null", b"9" * 5000, b'"', b"{", b"}", b", ", b'"by": 9007199254740993', b"\r", b"\x0b",
    ),
    size_max=8000,
)  # fmt: skip
