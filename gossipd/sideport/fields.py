"""The fields of a call, from the query and from the JSON body, each given once.

Values keep their type (`object`): whether they are good is for `sideport.validation` to say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from gossipd.core import Refused
from gossipd.sideport.validation import Argument, shown, wrong

MARKED = re.compile(rb"\xef\xbb\xbf|\xff\xfe|\xfe\xff|\x00|.\x00", re.DOTALL)
"""How a text begins that is UTF-16, or has a byte order mark in front."""

NOT_UTF_8 = "send UTF-8 without a byte order mark; this is marked, or UTF-16"

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def unescape(raw: bytes, what: str) -> str:
    """Percent-decode a part of the target, strictly."""
    if b"%" in raw:
        if _BROKEN_ESCAPE.search(raw):
            raise wrong(f"{what} has a % without two hexadecimal digits")
        raw = unquote_to_bytes(raw)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise wrong(f"{what} is not UTF-8") from None


def from_query(raw: bytes, allowed: Mapping[str, Argument]) -> dict[str, object]:
    fields: dict[str, Any] = {}
    for pair in raw.split(b"&"):
        if not pair:
            continue
        key_raw, _, value_raw = pair.replace(b"+", b" ").partition(b"=")
        key, value = unescape(key_raw, "the query"), unescape(value_raw, "the query")
        if key not in allowed:
            raise _unknown(key, allowed)
        argument = allowed[key]
        if argument.many:
            fields.setdefault(key, []).append(argument.read(value))
            continue
        if key in fields:
            raise wrong(f"{key} is given twice")
        fields[key] = argument.read(value)
    return fields


def from_body(raw: bytes, allowed: Collection[str]) -> dict[str, object]:
    """The fields of a JSON object, whatever the content type says: curl -d says "form"."""
    return {} if not raw or raw.isspace() else from_object(raw, allowed, "the body")


def from_object(raw: bytes, allowed: Collection[str], what: str) -> dict[str, object]:
    """The fields of a JSON object; `what` is where it stands, for messages."""
    if MARKED.match(raw):
        raise wrong(NOT_UTF_8)
    try:
        value: object = _DECODER.decode(raw.decode())
    except Refused:
        raise
    except (ValueError, RecursionError):
        raise wrong(f'{what} is not JSON: send an object like {{"field": "value"}}') from None
    if not isinstance(value, dict):
        raise wrong(f"{what} must be a JSON object, not {shown(value)}")
    for key in value:
        if key not in allowed:
            raise _unknown(key, allowed)
    return value


def merge(query: dict[str, object], body: dict[str, object]) -> dict[str, object]:
    for key in query.keys() & body.keys():
        raise wrong(f"{key} is given in the query and in the body")
    return query | body


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise wrong("a field is given twice in one JSON object")
    return fields


def _not_a_constant(text: str) -> object:
    raise ValueError(text)


def _unknown(key: str, allowed: Collection[str]) -> Refused:
    known = ", ".join(sorted(allowed)) or "none"
    return wrong(f"unknown field {shown(key)}; known here: {known}")


_DECODER = json.JSONDecoder(object_pairs_hook=_each_once, parse_constant=_not_a_constant)
