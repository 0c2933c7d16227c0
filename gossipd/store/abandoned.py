"""Taking back a batch whose commit failed although it is on the disk.

Nothing of it was exposed, and its stream ends with it. So whoever repeats an increment of it has
it counted anew; if the batch stayed, its keys would be those of increments that nobody sees, and
the next life would count them beside the repetitions. A crash before it is taken back reveals it,
which is why it is said that it may have been counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gossipd.core import Batch, StreamSnapshot

from .rows import Write, checksum, version_checksum

_RESET_REGISTER = """UPDATE registers SET seq = ?, total = ?, sum = ?
    WHERE (stream, counter, seq, total) = (?, ?, ?, ?)"""
_REMOVE_REGISTER = "DELETE FROM registers WHERE (stream, counter, seq, total) = (?, ?, ?, ?)"
_RESET_VERSION = "UPDATE streams SET version = ?, sum = ? WHERE (stream, version) = (?, ?)"
_REMOVE_KEY = "DELETE FROM keys WHERE (stream, seq, key) = (?, ?, ?)"


class Abandoned(NamedTuple):
    """A batch that may be on the disk, and what is exposed of its stream."""

    batch: Batch
    exposed: StreamSnapshot


def taking_back(abandoned: Abandoned) -> Iterator[Write]:
    """What leaves of the stream what is exposed, for one transaction; no more than the batch has
    written is touched, and nothing if it has written nothing. Sources stay: a total that is put
    again is the same."""
    batch, exposed = abandoned
    stream = batch.stream
    held = {counter: (seq, total) for counter, seq, total in exposed.registers}
    for record in batch.keys:
        if record.seq > held.get(record.counter, (0, 0))[0]:
            yield _REMOVE_KEY, (stream, record.seq, record.key)
    for register in batch.rows:
        counter = register[0]
        if counter in held:
            before = held[counter]
            kept = checksum(stream, counter, *before)
            yield _RESET_REGISTER, (*before, kept, stream, *register)
        else:
            yield _REMOVE_REGISTER, (stream, *register)
    kept = version_checksum(stream, exposed.version)
    yield _RESET_VERSION, (exposed.version, kept, stream, batch.version)
