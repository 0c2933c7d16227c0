"""Where the log and the members are kept from one life to the next: memory, or one SQLite file.

| file | idea |
|---|---|
| `memory.py` | what a store is; the one that keeps nothing |
| `sqlite.py` | one writer: batches first, what others told in slices |
| `connection.py` | its connection to the file: transactions, what an error means for it, folding |
| `places.py` | whether the files in use still lie where they were |
| `worker.py` | the process that has the disk, so that the node's can end whatever that does |
| `remote.py` | the node's end of it: a store like any other |
| `recovery.py` | from a directory to a file that is known to be good, or one clear error |
| `names.py` | what the file and its log are called |
| `lock.py` | one process a directory |
| `clock.py` | how old things are in a file, whatever the wall clock says |
| `schema.py` | tables, versions, migrations |
| `rows.py` | values to rows and back; every write is a join; every row has a checksum |
| `contents.py` | pages of two moments are no file |
| `key_rows.py` | the rows of idempotency keys |
| `double_rows.py` | the rows of doubles and corrections |
| `aging.py` | which key records go into memory, stay on the disk, or are removed |
| `failures.py` | full, or broken |
| `checking.py`, `export.py`, `backup.py` | what `gossipd data` does |
"""

from .connection import Durability
from .failures import BrokenError, NoSpaceError, StoreError
from .lock import is_in_use
from .memory import MemoryStore, Store
from .recovery import holds_state, named_by_host
from .sqlite import DiskStore
from .worker import Keeper, fork

__all__ = [
    "BrokenError",
    "DiskStore",
    "Durability",
    "Keeper",
    "MemoryStore",
    "NoSpaceError",
    "Store",
    "StoreError",
    "fork",
    "holds_state",
    "is_in_use",
    "named_by_host",
]
