"""What has changed beside the own increments, to be stored in bulk."""

from __future__ import annotations

from typing import NamedTuple

from gossipd.core import MemberView, Stream


class Changes(NamedTuple):
    """Registers, and versions that cover no more than these and what was stored before."""

    registers: tuple[tuple[Stream, str, int, int], ...]
    """(stream, counter, seq, total)"""
    versions: tuple[tuple[Stream, int], ...]
    members: tuple[MemberView, ...]
    """With the age of verdicts."""
    gone: tuple[str, ...]
    """Names that are members no more."""
