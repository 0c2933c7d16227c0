"""The configuration file: flat TOML whose keys are the options of `gossipd run`.

`read` turns a file into values and refuses what the schema does not know, with file and key.
`render` is the other way round: the whole schema as a file with every key commented at its
default. `python -m gossipd.config.file` prints it; it is `configs/gossipd.toml`.
"""

from __future__ import annotations

import json
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from gossipd.config.options import Key, keys

_WIDTH = 88

SIZE_MAX = 1024 * 1024
"""Bytes of a configuration file."""

CLOSE = 0.75
"""How similar a mistyped name must be to the one suggested, 0 to 1."""

_HEAD = """\
# Configuration of a gossipd node: gossipd run --config gossipd.toml

# Every key is here, commented at its default. Every key is also a flag (--probe-interval) and a
# variable (GOSSIPD_RUN_PROBE_INTERVAL). A flag wins over a variable, a variable over this file;
# lists replace each other, they are not joined. An empty string stands for a default that
# depends on something else.
"""

_SETTINGS_HEAD = """\
# Settings of the protocol. The defaults below are those of the profile lan; a key that is set
# here wins over any profile. All nodes should use the same.
"""


class FileError(ValueError):
    """The file cannot be used; the text names file and key or line."""


def read(path: str) -> dict[str, object]:
    """The values in a configuration file, parsed. Raises `FileError`."""
    try:
        table = tomllib.loads(_content(path).decode())
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise FileError(f"{path}: not valid TOML: nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        raise FileError(f"{path}: not valid TOML: {error}") from None
    known = {key.name: key for key in keys()}
    return {name: _value(path, known, name, value) for name, value in table.items()}


def _content(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            content = file.read(SIZE_MAX + 1)
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}") from None
    if len(content) > SIZE_MAX:
        raise FileError(f"{path}: larger than {SIZE_MAX} bytes, so no configuration")
    return content


def render() -> str:
    """The schema as a file."""
    settings = [key for key in keys() if key.is_setting]
    plain = [key for key in keys() if not key.is_setting]
    return "\n".join([_HEAD, *map(_entry, plain), _SETTINGS_HEAD, *map(_entry, settings)])


def _value(path: str, known: dict[str, Key], name: str, value: object) -> object:
    if name not in known:
        close = get_close_matches(name, known, 1, CLOSE)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise FileError(f"{path}: unknown key {name!r}{hint}")
    try:
        return known[name].from_toml(value)
    except ValueError as error:
        raise FileError(f"{path}: {name}: {error}") from None


def _entry(key: Key) -> str:
    return "\n".join([*_comment(key), f"#{key.name} = {_toml(key.default)}", ""])


def _comment(key: Key) -> Iterator[str]:
    return (f"# {line}" for line in textwrap.wrap(key.doc, _WIDTH))


def _toml(value: object) -> str:
    match value:
        case None:
            return '""'
        case tuple():
            return json.dumps(list(value))
        case bool() | int() | float():
            return json.dumps(value)
        case _:
            return json.dumps(str(value))


if __name__ == "__main__":
    sys.stdout.write(render())
