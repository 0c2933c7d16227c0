from __future__ import annotations

from gossipd.core.log.passes import BUFFERED_MAX, RUN_MIN, Pass
from gossipd.core.wire.records import END, Page, PassItem

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


# --- what is held --------------------------------------------------------------------------------


def _holding(*runs: tuple[int, int], start: int = 3) -> Pass:
    def above(seq: int) -> list[tuple[int, int]]:
        return [(max(first, seq + 1), last) for first, last in runs if last > seq]

    return Pass(start, runs=above)


def _keys(after: int, upto: int, version: int = 900, start: int = 3) -> Page:
    return Page(S, start, (after, ""), (upto, ""), version, ())


def test_nothing_held_is_one_wish() -> None:
    assert [*Pass(3).wishes(S)] == [PassItem(S, 3, (0, ""))]
    assert [*Pass(3, True).wishes(S)] == [PassItem(S, 3, (0, ""), True)]


def test_what_is_held_is_not_asked_for() -> None:
    running = _holding((10, 19), (30, 45), (46, 60))
    first = PassItem(S, 3, (0, ""), until=9)
    rest = [PassItem(S, 3, (19, ""), until=29), PassItem(S, 3, (60, ""))]
    assert [*running.wishes(S)] == [first, *rest]
    running.after = (0, "m")
    assert [*running.wishes(S)] == [first._replace(after=(0, "m")), *rest]
    running.after = (15, "")
    assert [*running.wishes(S)] == rest, "the rest of a run is passed over"


def test_a_short_run_is_asked_for_with_what_is_around_it() -> None:
    assert len([*_holding((10, 8 + RUN_MIN)).wishes(S)]) == 1
    assert len([*_holding((10, 9 + RUN_MIN)).wishes(S)]) == 2
    assert len([*_holding((10, 12), (13, 9 + RUN_MIN)).wishes(S)]) == 2, "two parts of one run"


def test_what_is_held_is_passed_over_and_lowers_no_claim() -> None:
    running = _holding((10, 20), (21, 50))
    assert running.use(_page("", "m", 800)._replace(upto=(9, "")))
    assert running.after == (50, "")
    assert not running.use(_keys(70, 80))
    assert running.use(_keys(50, 70))
    assert running.use(_keys(80, END[0]))
    assert (running.complete, running.claim) == (True, 800)


def test_registers_are_never_passed_over() -> None:
    running = _holding((1, 50), start=0)
    running.use(_page("", "m", start=0))
    assert running.after == (0, "m")
