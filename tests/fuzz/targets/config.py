"""A configuration file: it is a configuration, or all that is wrong with it is told.

What is told are lines that can be shown, whatever the file holds. A configuration that is good is
the same once more when it is written down as it was understood.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

from gossipd.config.config import Config
from gossipd.config.file import render
from gossipd.config.layers import Invalid, Layers
from gossipd.config.options import keys
from tests.fuzz.target import Broken, Target


def take(data: bytes) -> bool:
    """Read it as `gossipd config check` does."""
    with tempfile.TemporaryDirectory() as directory:
        return _take(data, Path(directory) / "gossipd.toml")


def _take(data: bytes, file: Path) -> bool:
    file.write_bytes(data)
    try:
        config = Layers(path=str(file)).load().config
    except Invalid as invalid:
        if not invalid.problems or not all(map(str.isprintable, invalid.problems)):
            raise Broken(f"it is told: {invalid.problems!r}") from invalid
        return False
    file.write_text(written(config))
    if Layers(path=str(file)).load().config != config:
        raise Broken(f"{config} is not what it is written as: {file.read_text()}")
    return True


def written(config: Config) -> str:
    """A configuration with all its keys."""
    pairs = ((key.name, key.of(config)) for key in keys())
    return "\n".join(f"{name} = {_toml(value)}" for name, value in pairs)


def _toml(value: object) -> str:
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    text = "" if value is None else str(value)
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def seeds() -> Iterable[bytes]:
    """The whole file with every key commented in, each key alone, and what people mistype."""
    lines = [line.removeprefix("#") for line in render().splitlines() if " = " in line[:40]]
    yield "\n".join(lines).encode()
    yield from (line.encode() for line in lines)
    yield b'name = "a"\nbind = "[::]:7946"\napi = ":0"\njoin = ["a:1", "[::1]:2"]\ntag = ["a=b"]\n'
    yield b'[tag]\nzone = "b"\nn = 1\n'
    yield b'profile = "wan"\nprobe_interval = 0\nprobe-timeout = 1\nnmae = "x"\n'
    yield b'name = """\na\n"""\n[a.b.c]\nd = 1979-05-27T07:32:00Z\n[[e]]\nf = 0x1F\ng = +inf\n'


_NAMES = tuple(f"\n{key.name} = ".encode() for key in keys())
CONFIG = Target(
    take=take,
    seeds=seeds,
    pieces=(
        *_NAMES, b"[", b"]", b'"', b"'''", b'"""', b"\n", b"=", b"{", b"}", b",", b"#", b"\\u0000",
        b"\\U0010ffff", b"\\x1b[31m", b"-1", b"0", b"1e308", b"nan", b"inf", b"9" * 30, b"true",
        b"0x", b"0o7", b"1_0", b"2026-01-01", b"[" * 300, b"\x1b[2J", b"\xff", b"\xe2\x80\xae",
        b'""', b'":"', b'"[::1%lo]:1"', b'"a:99999"', b"lan", b"wan", b"[tag]\n", b"\r\n",
    ),
)  # fmt: skip
