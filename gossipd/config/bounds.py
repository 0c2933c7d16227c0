"""How much clients may ask for at a time: what the daemon keeps to and its own clients know.

Without imports, for the commands start in a blink. What may be counted at all are bounds of the
core (`core.identity`).
"""

BY_MAX = 2**53
"""What an increment adds at most, either way; the core's, whom the commands do not import."""

CONNECTIONS_MAX = 4096
WATCHERS_MAX = 512
"""What a node has of both unless it is told otherwise."""

KEY_LENGTH_MAX = 255
"""Characters of an idempotency key."""

COPIES_MAX = 64
"""Nodes that an increment may wait for (`ack`)."""

TIMEOUT_MAX = 60.0
"""Seconds for which a call may ask to wait for other nodes."""

ITEMS_MAX = 10_000
"""Increments in a batch; beyond, the whole of it is refused."""

ITEM_SIZE_MAX = 4096
"""Bytes of a line of a batch: reading one must fit into a slice of time."""

BATCH_SIZE_MAX = 4 * 1024 * 1024
"""Bytes of a batch: beyond, 413."""
