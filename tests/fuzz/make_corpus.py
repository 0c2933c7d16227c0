"""Writes the corpus of datagrams, one file each, named for what it holds:

    python -m tests.fuzz.make_corpus

From the golden examples of the wire: each as it is, cut, damaged, and of a later version; beside
them bodies and frames that are traps. Files in `corpus` that this program does not write are
inputs that once failed: they stay.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import msgpack

from gossipd.core import TagFrame
from gossipd.core.settings import DATAGRAM_SIZE_MAX
from tests.property.later import with_later_fields, with_later_kind, with_later_records
from tests.unit.core.wire.wire_examples import EXAMPLES, encode

CORPUS = Path(__file__).parent / "corpus"
CLUSTER = "golden"
_FRAME = TagFrame(CLUSTER)
_HEAD = (5, "ann", 1_700_000_000_123, 5)
_PIECES: tuple[tuple[str, bytes], ...] = (
    ("array of 2^32", b"\xdd\xff\xff\xff\xff"),
    ("map of 2^32", b"\xdf\xff\xff\xff\xff"),
    ("text of 2^32", b"\xdb\xff\xff\xff\xff"),
    ("nested a thousand deep", b"\x91" * 1000 + b"\xc0"),
    ("surrogate in a text", b"\xa3\xed\xa0\x80"),
    ("nan", b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"),
    ("extension", b"\xc7\x03\x05abc"),
    ("empty extension", b"\xc7\x00\x05"),
    ("timestamp", b"\xd6\xff\x00\x00\x00\x01"),
    ("map with a list as key", b"\x81\x90\x00"),
    ("unused byte", b"\xc1"),
)


def examples() -> dict[str, bytes]:
    """Each kind of message as it is, and of a later version."""
    made: dict[str, bytes] = {}
    for name, envelope in EXAMPLES:
        body = encode(envelope)
        made[name] = _FRAME.close(body)
        made[f"{name} of a later version"] = _FRAME.close(
            with_later_fields(body, lambda n: [n, None, "later"])[0]
        )
    for name in ("gossip with news", "pages", "hold"):
        body = made[name][_FRAME.overhead :]
        made[f"{name} with later records"] = _FRAME.close(with_later_records(body)[0])
    ping = made["ping"][_FRAME.overhead :]
    made["later kind"] = _FRAME.close(with_later_kind(ping))
    return made


def damaged(made: dict[str, bytes]) -> dict[str, bytes]:
    """Each kind of message, cut in its frame's body and in its datagram; and frames gone wrong."""
    hurt: dict[str, bytes] = {}
    for name, _ in EXAMPLES:
        data = made[name]
        middle = (_FRAME.overhead + len(data)) // 2
        hurt[f"{name} cut"] = data[:middle]
        hurt[f"{name} with a cut body"] = _FRAME.close(data[_FRAME.overhead : middle])
    ping = made["ping"]
    hurt["bit flipped"] = ping[:-1] + bytes((ping[-1] ^ 1,))
    hurt["another cluster's"] = TagFrame("other").close(ping[_FRAME.overhead :])
    hurt["another version"] = ping[:2] + b"\x02" + ping[3:]
    hurt["a flag"] = ping[:3] + b"\x01" + ping[4:]
    hurt["another magic"] = b"GD" + ping[2:]
    hurt["too large"] = ping + b"\0" * (DATAGRAM_SIZE_MAX + 1 - len(ping))
    hurt["too short"] = ping[: _FRAME.overhead - 1]
    hurt["nothing"] = b""
    hurt["empty body"] = _FRAME.close(b"")
    return hurt


def traps() -> dict[str, bytes]:
    """Bodies with something in them that no message has; and plain pings."""
    made = {"plain ping": b"ping", "plain ping line": b"ping\n", "plain pong": b"pong\n"}
    parts = [msgpack.packb(part) for part in _HEAD]
    for name, piece in _PIECES:
        made[f"body is {name}"] = _FRAME.close(piece)
        made[f"field is {name}"] = _FRAME.close(
            b"\x97" + b"".join(parts) + b"\x91" + piece + b"\x90\x90"
        )
        made[f"view is {name}"] = _FRAME.close(
            b"\x97" + b"".join(parts) + b"\x90\x91" + piece + b"\x90"
        )
    return made


def made() -> dict[str, bytes]:
    """Every file of the corpus that is written here, by name."""
    kinds = examples()
    return {**kinds, **damaged(kinds), **traps()}


def path_of(name: str) -> Path:
    """Where a datagram of that name is kept."""
    return CORPUS / f"{name.replace(' ', '-').replace(chr(39), '').replace('^', '-')}.bin"


@cache
def corpus() -> dict[str, bytes]:
    """Everything that is kept, by the names of the files."""
    return {path.stem: path.read_bytes() for path in sorted(CORPUS.glob("*.bin"))}


def main() -> int:
    """The program."""
    for name, data in made().items():
        path_of(name).write_bytes(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
