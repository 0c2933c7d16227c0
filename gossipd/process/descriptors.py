"""How many files this process may open: its descriptors."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path


def allow(count: int) -> None:
    """As many as these, or as there may be: the usual 1,024 are few for who has many
    connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def limit() -> int:
    """-1 where there is none."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def open_count() -> int:
    return len([*Path("/proc/self/fd").iterdir()])
