"""`python -m tests.power DIRECTORY ...` is `gossipd ...` with its data directory on a `Disk`."""

from __future__ import annotations

import sys
from pathlib import Path

from gossipd.process.entry import main
from tests.power.disk import Disk
from tests.power.vfs import running_on

with running_on(Disk(Path(sys.argv.pop(1)))):
    main()
