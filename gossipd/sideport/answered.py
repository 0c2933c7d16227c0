"""How many requests were answered, by dialect, call and status.

The status is that of HTTP whatever the dialect, so that one question finds the refusals of all. A
batch is one request, and so is what nobody can make sense of.
"""

from __future__ import annotations

from collections.abc import Iterator

UNKNOWN = "unknown"
"""Stands for the call where what was sent names none."""

OK = 200


class Answers:
    """Of one call in one dialect."""

    __slots__ = ("ok", "others")

    def __init__(self) -> None:
        self.ok = 0
        """With 200. Each increment adds to it, so it stands by itself."""
        self.others: dict[int, int] = {}
        """With any other status."""

    def add(self, status: int) -> None:
        if status == OK:
            self.ok += 1
        else:
            self.others[status] = self.others.get(status, 0) + 1


class Answered:
    """Of one port."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], Answers] = {}

    def of(self, dialect: str, call: str) -> Answers:
        """Where the answers to a call are counted."""
        return self._answers.setdefault((dialect, call), Answers())

    def __iter__(self) -> Iterator[tuple[tuple[str, str, str], int]]:
        """(dialect, call, status), and how many."""
        for (dialect, call), answers in self._answers.items():
            yield (dialect, call, str(OK)), answers.ok
            for status, count in answers.others.items():
                yield (dialect, call, str(status)), count
