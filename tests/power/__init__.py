"""Power cuts below SQLite: what was not synced when the process was killed is gone, or torn.

| file | idea |
|---|---|
| `disk.py` | what of a directory is durable, kept beside it; what a power cut leaves |
| `vfs.py` | SQLite's own calls to the system, on their way to that disk |
| `__main__.py` | `python -m tests.power DIRECTORY ...`: `gossipd ...` on such a disk |
"""
