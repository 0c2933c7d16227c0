"""A line as words: separated by blanks; a word in double quotes may hold blanks.

Within quotes, `\"` and `\\` stand for the character after the backslash. `quote` is the inverse:
what it writes, `split` reads as one word.
"""

from __future__ import annotations

import re

from gossipd.sideport.commands import refusal

_WORD = re.compile(r'[ \t]*(?:"((?:[^"\\]|\\["\\])*)"|([^ \t"][^ \t]*))(?=[ \t]|$)')
_ESCAPE = re.compile(r'\\(["\\])')
_MISQUOTED = 'a quoted name ends with " and a blank; within it write \\" for " and \\\\ for \\'
_PLAIN = re.compile(r'[^ \t"]\S*')


def split(line: str) -> list[str]:
    line = line.rstrip(" \t")
    words: list[str] = []
    at = 0
    while at < len(line):
        found = _WORD.match(line, at)
        if found is None:
            raise refusal(400, _MISQUOTED)
        quoted, plain = found.groups()
        words.append(plain if quoted is None else _ESCAPE.sub(r"\1", quoted))
        at = found.end()
    return words


def quote(word: str) -> str:
    if _PLAIN.fullmatch(word):
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
