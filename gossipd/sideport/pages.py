"""Parts of long answers: names that begin with `prefix`, come behind `after`, at most `limit`.

Names are in sorted order, events newest first; `after` itself is left out.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from gossipd.sideport import values
from gossipd.sideport.values import refusal

FIELDS = frozenset({"prefix", "limit", "after"})
"""What a question for a part may say."""

LIMIT_MAX = 1_000_000

Entry = TypeVar("Entry")


def of_names(
    entries: Sequence[Entry], name: Callable[[Entry], str], fields: Mapping[str, object]
) -> Sequence[Entry]:
    """The part of entries, which are in the order of their names. Raises `Refused` (400)."""
    prefix, after = _text(fields, "prefix"), _text(fields, "after")
    begin = bisect_left(entries, prefix, key=name)
    if "after" in fields:
        begin = max(begin, bisect_right(entries, after, key=name))
    found = entries[begin : begin + values.page_limit(fields.get("limit", LIMIT_MAX), LIMIT_MAX)]
    end = next((at for at, each in enumerate(found) if not name(each).startswith(prefix)), None)
    return found[:end]


def of_events(
    events: Sequence[dict[str, object]], fields: Mapping[str, object], limit: int
) -> list[dict[str, object]]:
    """The part of events that are newest first: of counters with the prefix, older than `after`.
    Raises `Refused`: 400, and 404 where that one is not among them."""
    prefix, after = _text(fields, "prefix"), _text(fields, "after")
    if after:
        places = [place for place, event in enumerate(events) if event["id"] == after]
        if not places:
            raise refusal(404, f"no recent increment has the id {values.shown(after)}")
        events = events[places[0] + 1 :]
    return [event for event in events if str(event["counter"]).startswith(prefix)][:limit]


def _text(fields: Mapping[str, object], key: str) -> str:
    value = fields.get(key, "")
    if not isinstance(value, str):
        raise refusal(400, f"{key} must be text, not {values.shown(value)}")
    return value
