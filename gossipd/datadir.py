"""Where a node's state is when nobody says otherwise: one directory per name.

Under systemd `$STATE_DIRECTORY` (systemd.exec(5)), else `$XDG_STATE_HOME` or `~/.local/state` (XDG
Base Directory Specification). A name may hold any sign, a directory's may not: it is quoted as in
a URL.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from gossipd.store import StoreError


def data_directory(given: str | None, name: str) -> Path:
    """The directory of the node `name`; `given` wins. Raises `StoreError` where there is none."""
    if given is not None:
        return Path(given).expanduser()
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
