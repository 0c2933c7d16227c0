"""What the cluster sends: packets and bytes, as they are on the wire.

Bytes are those of the UDP payload and the headers of IPv4 and UDP, whatever became of a datagram
on its way.
"""

from __future__ import annotations

from gossipd.simulator.engine import AnyWorld


class Traffic:
    """Counts from its beginning on."""

    def __init__(self, world: AnyWorld) -> None:
        self._world = world
        self._packets_before = sum(world.sent.values())
        self._bytes_before = sum(world.sent_bytes.values())
        self._read_at = world.now
        self.bytes = 0
        self.packets = 0
        self.node_seconds = 0.0
        """Seconds that every node ran, added up."""

    def read(self, running: int) -> None:
        """Take in what was sent since the last call, while `running` nodes ran."""
        world = self._world
        self.packets = sum(world.sent.values()) - self._packets_before
        self.bytes = sum(world.sent_bytes.values()) - self._bytes_before
        self.node_seconds += running * (world.now - self._read_at)
        self._read_at = world.now

    @property
    def packets_per_node_second(self) -> float:
        """Sent by one node in one second, on average."""
        return self.packets / self.node_seconds if self.node_seconds else 0.0

    @property
    def bytes_per_node_second(self) -> float:
        """Sent by one node in one second, on average, headers included."""
        return self.bytes / self.node_seconds if self.node_seconds else 0.0
