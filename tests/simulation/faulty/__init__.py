"""A simulated cluster with all that can befall one.

Read in this order; each module knows only those above it and `gossipd.simulator`.

| module | idea |
|---|---|
| `link.py` | one direction of a link: latency, loss, damage |
| `network.py` | all links, cuts and clogs: what becomes of a datagram |
| `rows.py` | what a disk holds of a stream |
| `disk.py` | what is left of a process after a crash; how a disk fails or takes its time |
| `host.py` | one place where a process may run, and what that process suffers |
| `processes.py` | processes that join, stand still, are slow or end |
| `engine.py` | the effects of these, those on disks too |
| `told.py` | what clients were told, for checkers to compare with |
| `clients.py` | clients, and what becomes of what they ask for |
| `world.py` | what an operator or bad luck does to hosts: the door to all of the above |
"""
