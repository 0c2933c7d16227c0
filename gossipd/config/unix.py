"""A socket of this host as people write it: `unix:/run/gossipd/api.sock`, and with another mode of
its file than the usual one `unix:/run/gossipd/api.sock?mode=0666`.

Who may connect to it is whom the file's mode lets write there. The path is checked for its form
only.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TypeAlias

from gossipd.config.endpoint import Endpoint

SCHEME = "unix:"

MODE = 0o660
"""Of a file unless another one is given: its owner and its group."""

PATH_SIZE_MAX = 107
"""Bytes that the kernel takes for a path (108 with the 0 behind it)."""

_MODE = re.compile(r"mode=(0?[0-7]{3})")


@dataclass(frozen=True, slots=True)
class UnixSocket:
    path: str
    """Absolute."""

    mode: int = MODE

    def __str__(self) -> str:
        return SCHEME + self.path + (f"?mode={self.mode:04o}" if self.mode != MODE else "")

    @classmethod
    def parse(cls, text: str) -> UnixSocket:
        """`unix:/PATH[?mode=OCTAL]`; `unix:///PATH` is the same. Raises ValueError."""
        path, question, query = text.removeprefix(SCHEME).partition("?")
        if path.startswith("///"):
            path = path[2:]
        mode = _MODE.fullmatch(query)
        if question and mode is None:
            raise ValueError(f"{text!r}: behind the ? expected mode=0660 or another octal number")
        if not re.fullmatch(r"/[^/].*[^/]|/[^/]", path) or not path.isprintable():
            raise ValueError(f"{text!r}: expected the whole path of a socket, as in unix:/run/x/y")
        if (size := len(os.fsencode(path))) > PATH_SIZE_MAX:
            raise ValueError(
                f"{text!r}: its path has {size} bytes, and that of a socket has at most "
                f"{PATH_SIZE_MAX}"
            )
        return cls(path, int(mode[1], 8) if mode else MODE)


ApiAddress: TypeAlias = Endpoint | UnixSocket
"""Where the API listens."""


def parse_api(text: str) -> ApiAddress:
    """`[HOST]:PORT` or `unix:/PATH[?mode=OCTAL]`. Raises ValueError."""
    return UnixSocket.parse(text) if text.startswith(SCHEME) else Endpoint.parse(text)
