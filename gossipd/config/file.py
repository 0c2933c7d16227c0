"""The configuration file: flat TOML whose keys are the options of `gossipd run`.

`read` turns a file into values and tells all that the schema does not know, with file and line.
`render` is the other way round: the whole schema as a file with every key commented at its
default. `python -m gossipd.config.file` prints it; it is `configs/gossipd.toml`.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from gossipd.config.options import Key, Reloads, keys

_WIDTH = 88

SIZE_MAX = 1024 * 1024
"""Bytes of a configuration file."""

CLOSE = 0.75
"""How similar a mistyped name must be to the one suggested, 0 to 1."""

_BEGINS = re.compile(r"""\s*\[*\s*["']?([\w-]+)["']?\s*[=.\]]""")
"""How the line of a key or of a table begins."""

_HEAD = """\
# Configuration of a gossipd node: gossipd run --config gossipd.toml

# Every key is here, commented at its default. Every key is also a flag (--probe-interval) and a
# variable (GOSSIPD_RUN_PROBE_INTERVAL). A flag wins over a variable, a variable over this file;
# lists replace each other, they are not joined. An empty string stands for a default that
# depends on something else.
"""

_RELOADS: dict[Reloads, str] = {
    "no": "",
    "yes": "SIGHUP can change it.",
    "upwards": "SIGHUP can raise it.",
}

_SETTINGS_HEAD = """\
# Settings of the protocol. The defaults below are those of the profile lan; a key that is set
# here wins over any profile. All nodes should use the same.
"""


@dataclass(slots=True)
class File:
    """A configuration file that was read."""

    path: str = ""

    values: dict[str, object] = field(default_factory=dict)
    """Parsed, by key."""

    problems: list[str] = field(default_factory=list)
    """What is wrong with it, one line each."""

    lines: dict[str, int] = field(default_factory=dict)
    """Where each key stands, as far as that is seen."""

    def place(self, name: str) -> str:
        """File, line and key."""
        return f"{self._at(name)}: {name}"

    def line_of(self, problem: str) -> int:
        """Where a problem stands; 0 for one that is nowhere in the file."""
        found = re.match(rf"{re.escape(self.path)}:(\d+): ", problem)
        return int(found[1]) if found else 0

    def take(self, name: str, value: object) -> None:
        """A pair of the file."""
        by_name = {key.name: key for key in keys()}
        if name not in by_name:
            close = get_close_matches(name, by_name, 1, CLOSE)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            self.problems.append(f"{self._at(name)}: unknown key {name!r}{hint}")
            return
        try:
            self.values[name] = by_name[name].from_toml(value)
        except ValueError as error:
            self.problems.append(f"{self.place(name)}: {error}")

    def _at(self, name: str) -> str:
        return f"{self.path}:{self.lines[name]}" if name in self.lines else self.path


def read(path: str) -> File:
    """A configuration file, with all that is wrong with it."""
    file = File(path)
    try:
        text = _content(path).decode()
        table = tomllib.loads(text)
    except OSError as error:
        file.problems.append(f"cannot read {path}: {error.strerror or error}")
    except UnicodeDecodeError as error:
        file.problems.append(f"{path}: not UTF-8 at byte {error.start}")
    except RecursionError:
        file.problems.append(f"{path}: not valid TOML: nested too deeply")
    except tomllib.TOMLDecodeError as error:
        file.problems.append(f"{path}: not valid TOML: {error}")
    else:
        file.lines = _lines(text)
        for name, value in table.items():
            file.take(name, value)
    return file


def _content(path: str) -> bytes:
    with Path(path).open("rb") as file:
        content = file.read(SIZE_MAX + 1)
    if len(content) > SIZE_MAX:
        raise OSError(f"it is larger than {SIZE_MAX} bytes, so no configuration")
    return content


def _lines(text: str) -> dict[str, int]:
    """Where the keys of the file begin, and tables. In a string of several lines something may
    look like a key: the first place counts, and it is but a hint."""
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if found := _BEGINS.match(line):
            lines.setdefault(found[1], number)
    return lines


def render() -> str:
    """The schema as a file."""
    settings = [key for key in keys() if key.is_setting]
    plain = [key for key in keys() if not key.is_setting]
    return "\n".join([_HEAD, *map(_entry, plain), _SETTINGS_HEAD, *map(_entry, settings)])


def _entry(key: Key) -> str:
    return "\n".join([*_comment(key), f"#{key.name} = {_toml(key.default)}", ""])


def _comment(key: Key) -> Iterator[str]:
    doc = f"{key.doc} {_RELOADS[key.reloads]}".rstrip()
    return (f"# {line}" for line in textwrap.wrap(doc, _WIDTH))


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
