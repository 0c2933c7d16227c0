"""A fake world around the real core: virtual time, a network that loses, one seed.

Read in this order; each module knows only those above it. The tests build on the first two, see
`tests/simulation/faulty`.

| module | idea |
|---|---|
| `network.py` | latency, loss and cuts: what becomes of a datagram |
| `engine.py` | virtual time: all events in one heap by time |
| `world.py` | nodes that keep everything in memory, and their clients |
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
