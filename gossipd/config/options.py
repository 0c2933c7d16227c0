"""The options of `gossipd run` as data: read from the fields of `Config` and `Settings`.

A field's name, type, default and docstring are all there is to an option, so that flag, variable,
key of the file and documentation cannot differ.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import cache
from types import NoneType
from typing import Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

from gossipd.config.config import Config
from gossipd.config.endpoint import Endpoint
from gossipd.config.unix import ApiAddress, parse_api
from gossipd.core.settings import Settings

VARIABLE_PREFIX = "GOSSIPD_RUN_"

Reloads = Literal["no", "yes", "upwards"]
"""Whether a running node takes another value from its file on SIGHUP, or only a larger one."""

RELOADS: dict[str, Reloads] = {
    "join": "yes",
    "allow": "yes",
    "tag": "yes",
    "keyring": "yes",
    "sealing": "yes",
    "log_level": "yes",
    "log_format": "yes",
    "key_limit": "upwards",
    "doubles_max": "upwards",
    "streams_max": "upwards",
    "registers_max": "upwards",
}
"""All others need a new start."""

INTEGER_MAX = 2**53

_Kind: TypeAlias = tuple[str, str, tuple[type, ...], Callable[[str], object]]
"""Metavar, what is expected, types of the file, and how a text is parsed: as in `Key`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    name: str
    """As in the file and in `Config` or `Settings`."""

    metavar: str
    """What stands for the value in the help; empty for a switch."""

    expected: str
    """What a value is, for messages."""

    toml_types: tuple[type, ...]
    """What the file may hold."""

    parse: Callable[[str], object]
    """The value from its text (of one element for a list); raises ValueError."""

    default: object
    """For a setting of the protocol that of the profile `lan`."""

    doc: str
    """Effect and unit, one paragraph."""

    is_setting: bool
    """Whether it is a setting of the protocol, its default depending on the profile."""

    def of(self, config: Config) -> object:
        """The value that holds in a configuration."""
        return getattr(config.settings if self.is_setting else config, self.name)

    @property
    def reloads(self) -> Reloads:
        """Whether a running node takes another value."""
        return RELOADS.get(self.name, "no")

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return VARIABLE_PREFIX + self.name.upper()

    @property
    def is_list(self) -> bool:
        return list in self.toml_types

    @property
    def is_switch(self) -> bool:
        return bool in self.toml_types

    def from_texts(self, texts: Iterable[str]) -> tuple[object, ...]:
        """The value of a list from the texts of its elements, of which an empty one may stand for
        none. Raises ValueError."""
        return tuple(value for value in map(self.parse, texts) if value is not None)

    def from_toml(self, value: object) -> object:
        """The value of the option for a value of the file. Raises ValueError."""
        if type(value) not in self.toml_types:
            raise ValueError(f"expected {self.expected}, not {_shown(value)}")
        if isinstance(value, dict):
            value = [
                f"{key}={item}" if isinstance(item, str) else item for key, item in value.items()
            ]
        if self.is_list and isinstance(value, str):
            value = [value]
        if isinstance(value, list):
            for item in value:
                if not isinstance(item, str):
                    raise ValueError(f"expected {self.expected}, not one with {_shown(item)}")
            return self.from_texts(value)
        if isinstance(value, bool):
            return value
        return self.parse(value if isinstance(value, str) else str(value))


@cache
def keys() -> tuple[Key, ...]:
    """Every option but `--config`, in the order of the documentation."""
    plain = _keys_of(Config, skip="settings", is_setting=False)
    return plain + _keys_of(Settings, skip=None, is_setting=True)


def field_docs(cls: type) -> dict[str, str]:
    """The docstring under each field of a class, as one paragraph each."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)
    docs = {}
    for statement, following in zip(body.body, body.body[1:], strict=False):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                value=ast.Constant(value=str(doc))
            ):
                docs[name] = " ".join(doc.split())
    return docs


def _keys_of(cls: type[Config | Settings], skip: str | None, is_setting: bool) -> tuple[Key, ...]:
    docs, hints = field_docs(cls), get_type_hints(cls)
    return tuple(
        Key(
            name=field.name,
            **_kind(field.name, hints[field.name]),
            default=field.default,
            doc=docs[field.name],
            is_setting=is_setting,
        )
        for field in fields(cls)
        if field.name != skip
    )


def _kind(name: str, hint: Any) -> dict[str, Any]:
    """The part of a `Key` that the type decides: how its values are written."""
    optional = NoneType in get_args(hint)
    if optional:
        (hint,) = (member for member in get_args(hint) if member is not NoneType)
    is_choice = get_origin(hint) is Literal
    metavar, expected, toml_types, parse = _choice(get_args(hint)) if is_choice else _KINDS[hint]
    return {
        "metavar": _METAVARS.get(name, metavar),
        "expected": expected,
        "toml_types": toml_types,
        "parse": _or_default(parse) if optional else parse,
    }


def _choice(choices: tuple[str, ...]) -> _Kind:
    expected = f"one of {', '.join(choices)}"

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"expected {expected}, not {text!r}")
        return text

    return f"[{'|'.join(choices)}]", expected, (str,), parse


def _or_default(parse: Callable[[str], object]) -> Callable[[str], object]:
    """An empty text means the default, as an empty variable does."""
    return lambda text: parse(text) if text else None


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text) or abs(int(text)) > INTEGER_MAX:
        raise ValueError(f"expected a whole number, not {text!r}")
    return int(text)


def number(text: str) -> float:
    """A finite number. Raises `ValueError`."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"expected a number, not {text!r}")
    return value


def _shown(value: object) -> str:
    match value:
        case dict():
            return "a table"
        case list():
            return "a list"
        case bool():
            return str(value).lower()
        case _:
            return repr(value)


_METAVARS = {
    "name": "NAME",
    "cluster": "NAME",
    "keyring": "FILE",
    "api_cert": "FILE",
    "api_key": "FILE",
    "api_client_ca": "FILE",
    "join": "HOST:PORT",
    "advertise": "HOST:PORT",
    "allow": "NETWORK",
    "tag": "K=V",
    "tokens": "FILE",
    "cors_origin": "ORIGIN",
}

_KINDS: dict[Any, _Kind] = {
    bool: ("", "true or false", (bool,), str),
    int: ("INTEGER", "a whole number", (int,), _integer),
    float: ("FLOAT", "a number", (float, int), number),
    str: ("TEXT", "a string", (str,), str),
    Endpoint: ("[HOST]:PORT", 'a string like ":7946"', (str,), Endpoint.parse),
    tuple[ApiAddress, ...]: (
        "ADDRESS", 'a string like ":7947", or a list of such', (str, list), _or_default(parse_api),
    ),
    tuple[str, ...]: ("TEXT", "a list of strings", (list, dict), str),
}  # fmt: skip
