"""Whether the files in use are still those that lie at their paths.

What is written to a file that was removed, or that another one has replaced, is lost with the
process: no next life finds it. That goes for the write-ahead log and its index as for the file
itself. Without its lock a second process may begin to write beside this one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from .failures import TEMPORARY, BrokenError, NoSpaceError

Identity: TypeAlias = tuple[int, int]
"""Device and inode: a file keeps them for as long as somebody has it open."""


def identity(path: Path) -> Identity:
    """Raises `OSError`."""
    found = path.stat()
    return found.st_dev, found.st_ino


def check_place(path: Path, known: Identity) -> None:
    """Raises `BrokenError` where another file lies at `path`, or none, `NoSpaceError` where nobody
    may look there for now."""
    try:
        moved = identity(path) != known
    except (FileNotFoundError, NotADirectoryError):
        moved = True
    except OSError as error:
        problem = NoSpaceError if error.errno in TEMPORARY else BrokenError
        raise problem(f"{path}: {error.strerror}") from error
    if moved:
        raise BrokenError(f"{path} was removed or replaced while in use")
