"""What has changed in a log and is to be stored: names, whose values are looked up when it is; and
versions, as they are.
"""

from __future__ import annotations

from gossipd.core.identity import Stream


class Marks:
    """What has changed in a log and is to be stored."""

    __slots__ = ("corrections", "doubles", "keys", "registers", "versions")

    def __init__(self) -> None:
        self.registers: dict[tuple[Stream, str], None] = {}
        self.versions: dict[Stream, int] = {}
        """Those that have risen; what they speak for had changed by then."""
        self.keys: dict[tuple[Stream, int], None] = {}
        """(stream, seq) of new key records."""
        self.doubles: dict[tuple[Stream, int], None] = {}
        """(stream, seq) of new doubles."""
        self.corrections: dict[tuple[Stream, str], None] = {}

    def __bool__(self) -> bool:
        beside = self.keys or self.doubles or self.corrections
        return bool(self.registers or self.versions or beside)
