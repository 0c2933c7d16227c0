"""Files that hold secrets: read whole, if nobody else may read or change them.

Errors name the file and what is wrong with it, and show nothing of what it holds.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

SECRET_FILE_SIZE_MAX = 256 * 1024
"""Bytes of the largest file."""

SECRET = "GOSSIPD_SECRET"
"""The variable that holds the secrets of a node themselves, for containers: as the lines of a
keyring, or separated by blanks or commas."""

KEYRING = "keyring"
"""The name of the credential of systemd that is a keyring."""

_READS = stat.S_IRGRP | stat.S_IROTH
_OF_OWNER = stat.S_IRUSR | stat.S_IWUSR | stat.S_IXUSR


def read_secret(path: str | Path, is_secret: Callable[[bytes], bool] = lambda _: True) -> bytes:
    """What a file holds. Raises `ValueError`, whose text begins with the path.

    Only its owner may have any right on it. Where that is root, a group may read it, too: so
    service managers hand secrets to processes that are not root's, and nobody else can have made
    it so. Everybody may read what holds no secret, as `is_secret` says.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - lighter than a Path for short commands
            found = os.fstat(file.fileno())
            allowed = _OF_OWNER | (0 if found.st_uid else stat.S_IRGRP)
            mode = stat.S_IMODE(found.st_mode)
            secret = file.read(SECRET_FILE_SIZE_MAX + 1)
            if mode & ~allowed & ~_READS or (mode & ~allowed and is_secret(secret)):
                todo = f"run: chmod 600 {path}"
                raise ValueError(f"{path}: others may use it (mode {mode:04o}); {todo}")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(secret) > SECRET_FILE_SIZE_MAX:
        raise ValueError(f"{path}: has more than {SECRET_FILE_SIZE_MAX // 1024} KiB")
    return secret


def credential(name: str) -> str | None:
    """The file in which systemd hands over a secret of this name (`LoadCredential=`); None where
    it does not."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    path = os.path.join(directory, name) if directory else ""  # noqa: PTH118 - as above
    return path if path and os.path.exists(path) else None  # noqa: PTH110 - as above
