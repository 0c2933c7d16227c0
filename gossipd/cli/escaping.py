"""Names and words of others, as a terminal or a program can take them.

Names are of any signs but control characters, and so a pipe gets each of them as it is. What else
an answer may hold all the same is escaped, so that it breaks no row. A terminal gets no sign that
moves its cursor, turns its direction or cannot be seen, and no two names look the same.
"""

from __future__ import annotations

import unicodedata


def printable(text: str) -> str:
    """A sentence, with what would move a terminal's cursor, turn its direction, break a line or a
    field, or not be seen, as escapes: `\\x1b`, `\\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    safe = "".join(sign if sign.isprintable() else _escaped(sign) for sign in text)
    if unicodedata.category(safe[0]).startswith("M"):
        safe = _escaped(safe[0]) + safe[1:]  # it would be put on what stands before the text
    return safe


def on_terminal(text: str) -> str:
    """The same of a name: backslashes are doubled, so that the escapes are told from it."""
    return printable(text.replace("\\", "\\\\"))


def in_pipe(text: str) -> str:
    """A name as it is. Where it holds what no name can, control characters or halves of surrogate
    pairs, these are escapes and its backslashes are doubled."""
    if text.isprintable() or not any(map(_breaks, text)):
        return text
    return "".join(_escaped(sign) if sign == "\\" or _breaks(sign) else sign for sign in text)


def _breaks(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cs")


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode()
