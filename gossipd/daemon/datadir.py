"""Where a node's state is when nobody says otherwise: one directory per name.

Under systemd `$STATE_DIRECTORY` (systemd.exec(5)), else `$XDG_STATE_HOME` or `~/.local/state` (XDG
Base Directory Specification). A name may hold any sign, a directory's may not: it is quoted as in
a URL.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from gossipd.store import StoreError, holds_state, is_in_use, named_by_host


def data_directory(given: str | None, name: str) -> Path:
    """The directory of the node `name`; `given` wins. Raises `StoreError` where there is none."""
    if given is not None:
        try:
            return Path(given).expanduser()
        except RuntimeError:
            raise StoreError(f"no home directory is known any more for {given!r}") from None
    own = quote(name, safe="") if name not in (".", "..") else name.replace(".", "%2E")
    service = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if service:
        return Path(service) / own
    state = os.environ.get("XDG_STATE_HOME", "")
    if state and Path(state).is_absolute():
        return Path(state) / "gossipd" / own
    try:
        return Path.home() / ".local" / "state" / "gossipd" / own
    except RuntimeError:
        raise StoreError("there is no home directory: give --data-dir or --in-memory") from None


def left_behind(directory: Path, port: int) -> list[str]:
    """Nodes with this port that were named after their host and have state beside a directory
    that holds none, as that of a node whose host was given another name; not those that run."""
    if holds_state(directory) or not directory.parent.is_dir():
        return []
    found: list[str] = []
    for other in sorted(directory.parent.iterdir()):
        with suppress(OSError, StoreError):  # what cannot be read is not this node's
            if holds_state(other) and not is_in_use(other):
                name, named_with = named_by_host(other)
                found += [name] if named_with == port else []
    return found
