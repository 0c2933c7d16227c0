"""How many files this process may open, and how many connections follow from that."""

from __future__ import annotations

import logging
import resource
from contextlib import suppress
from pathlib import Path

log = logging.getLogger("gossipd")

FILES_BESIDE = 400
"""Descriptors that a node needs beside those of its connections: for refusals, sockets, files."""


def raise_file_limit(connections_max: int) -> None:
    """The usual 1,024 descriptors are fewer than the connections that the side port takes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections_max + FILES_BESIDE
    wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def connections_within(connections_max: int) -> int:
    """How many connections are taken: no more than there are descriptors for, as one that cannot
    be accepted would wait for ever."""
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)[0], connections_max
    if files != resource.RLIM_INFINITY and files < most + FILES_BESIDE:
        most = max(1, files - FILES_BESIDE)
        text = "connections_max is %d, as this process may open %d files only"
        text += " (ulimit -n, LimitNOFILE)"
        log.warning(text, most, files)
    return most


def open_files() -> dict[str, int]:
    """How many descriptors this process has, and may have."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return {"open": len([*Path("/proc/self/fd").iterdir()]), "limit": limit}
