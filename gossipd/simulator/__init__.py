"""A fake world around the real core: virtual time, a faulty network, one seed.

Read in this order; each module knows only those above it.

| module | idea |
|---|---|
| `link.py` | one direction of a link: latency, loss, damage |
| `network.py` | all links, cuts and clogs: what becomes of a datagram |
| `disk.py` | what is left of a process after a crash; how a disk fails or takes its time |
| `host.py` | one place where a process may run, and what that process suffers |
| `engine.py` | virtual time: all events in one heap by time |
| `world.py` | hosts, nodes and what is done to them: the door to all of the above |
| `distribution.py` | many durations in little memory, percentiles |
| `spread.py` | how fast each increment is on every node |
| `verdicts.py` | detections of kills, and suspicions of members that ran |
| `traffic.py` | packets and bytes sent |
| `measures.py` | the three above, read from a running world |
| `theory.py` | what the literature expects |
| `wishes.py` | what a user asks of an experiment |
| `report.py` | what was found, as plain values |
| `experiment.py` | one run under a user's wishes: `gossipd simulate` |
"""
