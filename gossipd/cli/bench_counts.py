"""Whether nodes have counted just what was answered: the counts before and after, on each of them.

Only the nodes know who else counts. Counters that change before anything is sent cannot be judged;
what is too much in the end may be somebody else's, and is told as that.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from gossipd.cli.daemons import Daemons
from gossipd.cli.pages import counter_names, pages
from gossipd.client import Answer, AskingError, Credentials
from gossipd.config.unix import ApiAddress

WITHIN = 10.0
"""Seconds for nodes to agree: before the load, and after it."""

PAUSE = 0.1
"""Seconds between two looks."""


class Verdict(NamedTuple):
    exact: bool | None
    """None: that cannot be told."""

    text: str


class Counts:
    """The counts of some counters on some nodes."""

    def __init__(
        self,
        addresses: Sequence[ApiAddress],
        timeout: float,
        counter: str,
        names: Sequence[str],
        credentials: Credentials | None = None,
    ) -> None:
        """`names`: one, `counter`, or several that begin with it and a colon."""
        self._nodes = {address: Daemons([address], timeout, credentials) for address in addresses}
        self._counter = counter
        self._names = names
        self._before: list[int] = []
        """Those of all nodes; none where they do not agree, or change."""

    def begin(self) -> int:
        """Remember what the nodes agree on; how many of the counters have counted nothing yet.
        Raises `AskingError`."""
        until = time.monotonic() + WITHIN
        before = self._read()
        fresh = sum(not any(counts) for counts in zip(*before, strict=True))
        while not self._before:
            time.sleep(PAUSE)
            now = self._read()
            if now == before and all(counts == now[0] for counts in now):
                self._before = now[0]
            elif time.monotonic() >= until:
                break
            before = now
        return fresh

    def end(self, added: Sequence[tuple[int, int]], by: int) -> Verdict:
        """`added`: for each counter how many increments by `by` it should have got, at least and
        at most."""
        if not self._before:
            return Verdict(None, "unknown: the counts changed, or nodes differed, before it began")
        until = time.monotonic() + WITHIN
        while True:
            try:
                now = self._read()
            except AskingError as error:
                return Verdict(None, f"unknown: {error}")
            wrong = "; ".join(
                f"{address} {off}"
                for address, counts in zip(self._nodes, now, strict=True)
                if (off := _off(counts, self._before, added, by))
            )
            same = all(counts == now[0] for counts in now)
            if same and not wrong:
                return self._right(now[0], added, by)
            if time.monotonic() > until:
                return Verdict(False, wrong or "the nodes count differently")
            time.sleep(PAUSE)

    def _right(self, now: list[int], added: Sequence[tuple[int, int]], by: int) -> Verdict:
        least, most = (sum(column) for column in zip(*added, strict=True))
        where = f"{len(self._nodes)} node{'s' if len(self._nodes) > 1 else ''}"
        if least == most:
            return Verdict(True, f"yes, on {where}")
        counted = (sum(now) - sum(self._before)) // by - least
        doubt = f"of {most - least:,} in doubt {counted:,} were counted"
        return Verdict(None, f"as far as was answered, on {where}; {doubt}")

    def _read(self) -> list[list[int]]:
        """The counts on each node, in the order of the names."""
        return [self._of(daemons) for daemons in self._nodes.values()]

    def _of(self, daemons: Daemons) -> list[int]:
        if len(self._names) == 1:
            answer = daemons.get(_count, "/count", counter=self._counter)
            return [answer.data["count"]]
        found: dict[str, int] = {}
        for page in pages(daemons, "/counters", counter_names, f"{self._counter}:", None, None):
            found |= page.items(int)
        return [found.get(name, 0) for name in self._names]


def _off(
    counts: Sequence[int], before: Sequence[int], added: Sequence[tuple[int, int]], by: int
) -> str:
    """How far a node is from what it should count; nothing where it is not."""
    lacking = beyond = 0
    for now, then, (least, most) in zip(counts, before, added, strict=True):
        got = (now - then) * (1 if by > 0 else -1)
        lacking += max(0, least * abs(by) - got)
        beyond += max(0, got - most * abs(by))
    lacks = f"lacks {lacking:,} of what was answered" if lacking else ""
    more = f"has {beyond:,} more than was sent, its own or somebody else's" if beyond else ""
    return " and ".join(filter(None, (lacks, more)))


def _count(answer: Answer) -> object:
    return answer.fields(count=int)
