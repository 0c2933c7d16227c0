"""What a node keeps from one life to the next: its log and its members, as values.

A snapshot may be of any age: everything in it only joins, so an old one, or that of a twin, does
no harm. What is this life's own (generation, stream) is not part of it.
"""

from __future__ import annotations

from typing import NamedTuple

from gossipd.core.wire.messages import MemberView
from gossipd.core.wire.records import Correction, Double, KeyRecord, Register

from .identity import Stream


class StreamSnapshot(NamedTuple):
    """One stream: all its registers, and up to where they are complete."""

    stream: Stream
    version: int
    registers: tuple[Register, ...]
    keys: tuple[KeyRecord, ...] = ()
    """Those that belong into memory."""
    doubles: tuple[Double, ...] = ()
    archived: int = 0
    """The newest seq of the key records that stay on the disk only."""
    corrections: tuple[Correction, ...] = ()


class Snapshot(NamedTuple):
    """The state of a node at one moment."""

    streams: tuple[StreamSnapshot, ...]
    members: tuple[MemberView, ...]
    """With the age of verdicts; the node's own entry is not among them."""
    horizon: int = 0
    """The largest time, ms since 1970, in a key whose record does not belong into memory."""
