"""`gossipd`, but a node asks the kernel for next to no room for its datagrams."""

from __future__ import annotations

from gossipd.daemon import udp
from gossipd.process.entry import main

if __name__ == "__main__":
    udp.RECEIVE_BUFFER = 4096
    main()
