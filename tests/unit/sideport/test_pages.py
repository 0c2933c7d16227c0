"""Parts of long answers: by prefix, behind a name, no more than so many."""

from __future__ import annotations

import pytest

from gossipd.sideport import pages
from gossipd.sideport.backend import Refused

COUNTERS = [("a", 1), ("b1", 2), ("b2", 3), ("b3", 4), ("c", 5)]
EVENTS: list[dict[str, object]] = [
    {"id": str(number), "counter": "xy"[number % 2]} for number in range(6)
]


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, "a b1 b2 b3 c"),
        ({"prefix": "b"}, "b1 b2 b3"),
        ({"prefix": "b", "limit": 2}, "b1 b2"),
        ({"prefix": "b", "after": "b1"}, "b2 b3"),
        ({"prefix": "b", "after": "a"}, "b1 b2 b3"),
        ({"after": "b2", "limit": 1}, "b3"),
        ({"after": ""}, "a b1 b2 b3 c"),
        ({"after": "b25"}, "b3 c"),
        ({"prefix": "z"}, ""),
    ],
)
def test_names_come_in_parts(fields: dict[str, object], names: str) -> None:
    found = pages.of_names(COUNTERS, lambda each: each[0], fields)
    assert [name for name, _ in found] == names.split()


@pytest.mark.parametrize("fields", [{"limit": 0}, {"limit": "x"}, {"prefix": 3}, {"after": None}])
def test_what_makes_no_part_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(Refused) as caught:
        pages.of_names(COUNTERS, lambda each: each[0], fields)
    assert caught.value.status == 400


def test_events_come_in_parts() -> None:
    def ids(limit: int = 9, **fields: object) -> list[object]:
        return [event["id"] for event in pages.of_events(EVENTS, fields, limit)]

    assert ids(after="1") == ["2", "3", "4", "5"]
    assert ids(prefix="x") == ["0", "2", "4"]
    assert ids(1, prefix="x", after="2") == ["4"]
    with pytest.raises(Refused, match="no recent increment"):
        ids(after="9")
