"""What the file of a node, its log and the index of that are called."""

from __future__ import annotations

from pathlib import Path

FILE_NAME = "gossipd.db"


def log_path(path: Path) -> Path:
    """The write-ahead log beside a file."""
    return path.with_name(f"{path.name}-wal")


def index_path(path: Path) -> Path:
    """The index of that log."""
    return path.with_name(f"{path.name}-shm")
