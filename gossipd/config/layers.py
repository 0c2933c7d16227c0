"""What a node was given, in layers: a flag wins over a variable, a variable over the file, each of
these over a default. Flags and variables stay as they were at the start; the file is read again.

All mistakes are told at once, each as its writer wrote it: flag, variable, or file, line and key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Any

from gossipd.config.config import Config, ConfigError
from gossipd.config.file import File, read
from gossipd.config.options import Key, keys
from gossipd.core.settings import SettingsError


class Invalid(ValueError):  # noqa: N818  not an error of ours
    """It is no configuration; `problems` says why, one line each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, and where it came from."""

    config: Config

    origins: Mapping[str, str]
    """Flag, variable, or file and line of each key that was given; the others are defaults."""

    def origin(self, key: Key) -> str:
        """Where the value of a key came from, for people."""
        of_profile = self.config.profile != "lan" and key.is_setting
        default = f"profile {self.config.profile}" if of_profile else "default"
        return self.origins.get(key.name, default)


@dataclass(frozen=True, slots=True)
class Layers:
    """What was given."""

    flags: Mapping[str, object] = field(default_factory=dict)
    """Parsed values by key; None, or an empty list, stands for the default."""

    variables: Mapping[str, object] = field(default_factory=dict)
    """The same."""

    path: str | None = None
    """The file."""

    flag_of: Callable[[Key], str] = attrgetter("flag")
    """How a flag is written."""

    def load(self) -> Loaded:
        """Read the file and put all together. Raises `Invalid`."""
        file = File() if self.path is None else read(self.path)
        by_name = {key.name: key for key in keys()}
        spelled = {name: file.place(name) for name in file.values}
        spelled |= {name: by_name[name].variable for name in self.variables}
        spelled |= {name: self.flag_of(by_name[name]) for name in self.flags}
        values = {**file.values, **self.variables, **self.flags}
        given = {name: value for name, value in values.items() if value not in (None, ())}

        def word_of(name: str, beside: str) -> str:
            """As it was given; else as who has given another one would write it."""
            if name in given:
                return spelled[name]
            if beside not in given or beside in self.flags:
                return self.flag_of(by_name[name])
            return by_name[name].variable if beside in self.variables else name

        config, problems = _build(given, word_of)
        problems = tuple(sorted((*file.problems, *problems), key=file.line_of))
        if config is None or problems:
            raise Invalid(problems)
        return Loaded(config, {name: spelled[name] for name in given})


def _build(
    given: dict[str, Any], word_of: Callable[..., str]
) -> tuple[Config | None, tuple[str, ...]]:
    """The configuration, or all that is wrong with it: whatever is blamed is left out for the next
    look, and what follows from that is nobody's mistake."""
    problems: list[str] = []
    values, blamed = dict(given), set[str]()
    while True:
        try:
            config = Config.of(**values)
        except ConfigError as error:
            names = [error.key]
            text = f"`{error.key}`: {error.problem}"
        except SettingsError as error:
            names = list(_named(str(error)))
            text = re.sub(rf"\b({'|'.join(names)})\b", r"`\1`", str(error))
        else:
            return (None if problems else config), tuple(problems)
        if not blamed.intersection(names):
            beside = next((name for name in names if name in given), "")
            problems.append(_spelled(text, partial(word_of, beside=beside)))
        left = [name for name in names if name in values]
        if not left:
            return None, tuple(problems)
        blamed.update(names)
        for name in left:
            del values[name]


def _spelled(text: str, word_of: Callable[[str], str]) -> str:
    """With each option, which stands in backquotes, in the words of its writer."""
    return re.sub(r"`(\w+)`", lambda found: word_of(found[1]), text)


def _named(text: str) -> Iterator[str]:
    names = {key.name for key in keys() if key.is_setting}
    return (word for word in re.findall(r"\w+", text) if word in names)
