"""What a ring holds: its size, or for a while what came in one go."""

from __future__ import annotations

import pytest

from gossipd.sideport.rings import AT_ONCE, Event, Ring

SIZE = 10


def events(count: int) -> list[Event]:
    return [Event("increment", "a", dict) for _ in range(count)]


@pytest.mark.parametrize(("came", "held"), [(4, 10), (12, 17), (30, 35), (100, AT_ONCE * SIZE)])
def test_what_comes_in_one_go_is_held_with_room_to_read_it(came: int, held: int) -> None:
    ring = Ring(SIZE)
    ring.add(events(5))
    ring.add(events(came))
    assert (ring.end, ring.start) == (5 + came, max(0, 5 + came - held))


def test_it_is_let_go_as_more_comes() -> None:
    ring = Ring(SIZE)
    ring.add(events(30))
    for _ in range(40):
        ring.add(events(1))
        assert len(ring.events) <= AT_ONCE * SIZE
    assert len(ring.events) == SIZE
    for _ in range(100):
        ring.add(events(3))
    assert len(ring.events) == SIZE
