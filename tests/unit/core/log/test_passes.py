from __future__ import annotations

from gossipd.core.log.passes import BUFFERED_MAX, Pass
from gossipd.core.wire.messages import END, Page

S = b"s" * 10


def _page(after: str, upto: str, version: int = 9, start: int = 3) -> Page:
    return Page(S, start, (0, after), (0, upto) if upto else END, version, ())


def test_pages_in_order_complete_a_pass() -> None:
    running = Pass(3)
    assert running.use(_page("", "m"))
    assert running.after == (0, "m")
    assert running.claim == 9
    assert running.use(_page("m", ""))
    assert running.complete
    assert running.claim == 9


def test_the_smallest_version_stated_is_claimed() -> None:
    running = Pass(3)
    for page in (_page("", "c", 7), _page("c", "m", 5), _page("m", "", 9)):
        running.use(page)
    assert running.claim == 5


def test_pages_may_come_in_any_order_and_overlap() -> None:
    running = Pass(3)
    assert not running.use(_page("m", "t", 8))
    assert not running.use(_page("k", "", 7))
    assert not running.use(_page("e", "l", 6))
    assert running.use(_page("", "f", 9))
    assert running.complete
    assert running.claim == 6


def test_a_page_that_is_not_needed_does_not_lower_the_claim() -> None:
    running = Pass(3)
    running.use(_page("", "m", 9))
    assert not running.use(_page("", "m", 1))
    assert not running.use(_page("a", "b", 1))
    running.use(_page("m", "", 9))
    assert running.claim == 9
    assert not running.use(_page("", "", 1))
    assert running.claim == 9


def test_a_page_from_above_the_start_proves_nothing() -> None:
    running = Pass(3)
    assert not running.use(_page("", "", start=4))
    assert running.use(_page("", "", start=0))


def test_a_page_that_covers_nothing_is_not_used() -> None:
    running = Pass(3)
    assert not running.use(_page("\U0010ffff", "\U0010ffff"))
    assert running.claim is None


def test_pages_that_are_covered_already_do_not_push_out_others() -> None:
    running = Pass(3)
    running.use(_page("", "m"))
    running.use(_page("n", ""))
    for _ in range(BUFFERED_MAX):
        running.use(_page("", "m"))
    assert running.use(_page("m", "o"))
    assert running.complete


def test_pages_kept_ahead_are_bounded() -> None:
    running = Pass(3)
    running.use(_page("b", ""))
    for _ in range(BUFFERED_MAX):
        running.use(_page("x", "y"))
    running.use(_page("", "b"))
    assert not running.complete
    assert running.after == (0, "b")
