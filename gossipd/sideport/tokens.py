"""A line as words: separated by blanks; a word in double quotes may hold blanks.

Within quotes, `\"` and `\\` stand for the character after the backslash. `quote` is the inverse:
what it writes, `split` reads as one word. A word like `ack=2` or `key="a b"` is an option of its
command; a name that looks so is written in quotes.
"""

from __future__ import annotations

import re

from gossipd.sideport.validation import OPTIONS, wrong

_OPTIONS = f"(?:{'|'.join(OPTIONS)})="
_QUOTED = r'"((?:[^"\\]|\\["\\])*)"'
_WORD = re.compile(rf'[ \t]*(?:({_OPTIONS})?{_QUOTED}|([^ \t"][^ \t]*))(?=[ \t]|$)')
_ESCAPE = re.compile(r'\\(["\\])')
_MISQUOTED = 'a quoted name ends with " and a blank; within it write \\" for " and \\\\ for \\'
_PLAIN = re.compile(r'[^ \t"]\S*')
_OPTION = re.compile(rf"({_OPTIONS})(.*)", re.DOTALL)


class Quoted(str):
    """A word that stood in quotes: a name or a value, whatever it looks like."""

    __slots__ = ()


def split(line: str) -> list[str]:
    line = line.rstrip(" \t")
    words: list[str] = []
    at = 0
    while at < len(line):
        found = _WORD.match(line, at)
        if found is None:
            raise wrong(_MISQUOTED)
        option, quoted, plain = found.groups()
        if quoted is not None:
            quoted = _ESCAPE.sub(r"\1", quoted)
            words.append(Quoted(quoted) if option is None else option + quoted)
        else:
            words.append(plain)
        at = found.end()
    return words


def options(words: list[str]) -> tuple[list[str], dict[str, str]]:
    """The words that are no options, and the options."""
    plain: list[str] = []
    found: dict[str, str] = {}
    for word in words:
        option = None if isinstance(word, Quoted) else _OPTION.fullmatch(word)
        if option is None:
            plain.append(word)
            continue
        name, value = option.groups()
        if name[:-1] in found:
            raise wrong(f"{name} is given twice")
        found[name[:-1]] = value
    return plain, found


def quote(word: str) -> str:
    if _PLAIN.fullmatch(word) and not _OPTION.fullmatch(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
