"""I10: what a node keeps is bounded by what was made and who took part.

Only what queries show: registers, streams, members and the tail. What waits to be told has no
query; that it goes away again shows in the traffic at rest (Q7).
"""

from __future__ import annotations

from gossipd.core import Node
from tests.simulation.faulty.world import World

from .ghosts import Ghosts


def check_bounds(world: World, ghosts: Ghosts, name: str, node: Node) -> None:
    """Look at the sizes of one node."""
    log = node.log
    sizes = {
        "streams": (log.stream_count, ghosts.stream_count),
        "registers": (log.register_count, ghosts.register_count),
        "members": (len(node.members), len(world.hosts)),
        "live members": (node.live_count, len(world.hosts)),
        "events": (len(node.recent(world.settings.tail_size + 1)), world.settings.tail_size),
    }
    for what, (size, most) in sizes.items():
        assert size <= most, f"I10: {name} keeps {size} {what}, there can be {most}"
