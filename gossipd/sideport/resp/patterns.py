"""Redis' patterns for names, as in `KEYS page:*`.

`*` is anything, `?` any character, `[ab0-9]` one of these, `[^ab]` none of these, and a character
behind a backslash is itself. A star takes as little as it can and is never asked again, which
finds the same as trying all: no pattern takes more time than its length times that of the name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from gossipd.sideport.validation import wrong

LENGTH_MAX = 256
"""Characters of a pattern."""

_STAR = re.compile(r"\*+")
_ONE = re.compile(r"\[(\^?)((?:\\.|[^\]\\])*)(?:\]|\\?\Z)|\\?(.)", re.DOTALL)
"""What stands for one character: a set, which may lack its end, or a character."""

_MEMBERS = re.compile(r"(?:\\(.)|(.))(?:-(?:\\(.)|([^\]])))?", re.DOTALL)
"""Of a set: a character, or a range of them."""

_PLAIN = re.compile(r"[^*?\[\\]*")


class Pattern(NamedTuple):
    beginning: str
    """With which all names begin that fit."""

    fits: Callable[[str], object]


@lru_cache(64)
def pattern(text: str) -> Pattern:
    """Raises `Refused`."""
    if len(text) > LENGTH_MAX:
        raise wrong(f"a pattern has at most {LENGTH_MAX} characters")
    first, *chunks = [_fixed(chunk) for chunk in _chunks(text)]
    if chunks:
        middle = "".join(f"(?>.*?{chunk})" for chunk in chunks[:-1] if chunk)
        expression = f"{first}{middle}.*{chunks[-1]}"
    else:
        expression = first
    plain = _PLAIN.match(text)
    assert plain is not None
    return Pattern(plain[0], re.compile(expression, re.DOTALL).fullmatch)


def _chunks(text: str) -> list[str]:
    """What stands between stars."""
    chunks, at = [""], 0
    while at < len(text):
        if star := _STAR.match(text, at):
            chunks.append("")
            at = star.end()
        else:
            one = _ONE.match(text, at)
            assert one is not None
            chunks[-1] += one[0]
            at = one.end()
    return chunks


def _fixed(chunk: str) -> str:
    """A part of a pattern without stars, as a regular expression."""
    return "".join([_one(found) for found in _ONE.finditer(chunk)])


def _one(found: re.Match[str]) -> str:
    if found[2] is None:
        return "." if found[0] == "?" else re.escape(found[3])
    members = "".join([_member(*member.groups()) for member in _MEMBERS.finditer(found[2])])
    if not members:
        return "." if found[1] else "(?!)"
    return f"[{found[1]}{members}]"


def _member(escaped: str | None, plain: str | None, *last: str | None) -> str:
    start = escaped or plain or ""
    end = last[0] or last[1] or start
    start, end = min(start, end), max(start, end)
    return f"{re.escape(start)}-{re.escape(end)}"
