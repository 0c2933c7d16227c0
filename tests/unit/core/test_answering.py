from __future__ import annotations

import pytest

from gossipd.core.answering import answer_digest, answer_members, answer_passes
from gossipd.core.log import Log
from gossipd.core.messages import (
    Digest,
    DigestAsk,
    Leaf,
    MembersAsk,
    MembersPage,
    MemberView,
    Message,
    Pages,
    PassAsk,
    PassItem,
    Status,
)
from gossipd.core.state import State, Turn

from .parts import ALIVE, LARGEST, OWN, state_of

A, B = bytes(9) + b"\x01", bytes(9) + b"\x02"
LONG_OWN = OWN._replace(name="o" * 64, generation=2**52 - 1, incarnation=2**32 - 1)


def _size(state: State, message: Message) -> int:
    return len(state.courier.pack(message, ("10.9.9.9", 1), None, (), 0.0))


# --- the digest ----------------------------------------------------------------------------------


def test_few_streams_are_told_as_leaves() -> None:
    state = state_of()
    state.log.merge(A, [("x", 1, 1)])
    state.log.merge(B, [("x", 1, 1)])
    state.log.claim(B, 1)
    digest = answer_digest(state, DigestAsk(7, 0, 0, 1200))
    assert digest == Digest(7, 0, 0, (state.log.leaf(A), state.log.leaf(B)), None)
    assert answer_digest(state, DigestAsk(7, 1, 5, 1200)) == Digest(7, 1, 5, (), None)


@pytest.mark.parametrize("size", [640, 1200])
def test_many_streams_are_told_as_sums(size: int) -> None:
    state = state_of(datagram_size=size, own=LONG_OWN)
    streams = [(n << 40).to_bytes(10, "big") for n in range(100)]
    for stream in streams:
        state.log.merge(stream, [("x", 1, 1)])
    digest = answer_digest(state, DigestAsk(7, 0, 0, 1200))
    assert digest == Digest(7, 0, 0, None, state.log.sums_below(0, 0))
    for depth in (1, 11):
        prefix = 2 ** (6 * depth) - 1
        largest = Digest(2**64 - 1, depth, prefix, None, (2**64 - 1,) * 64)
        assert _size(state, largest) <= size
    found: list[Leaf] = []
    walk = [(0, 0)]
    while walk:
        depth, prefix = walk.pop()
        answer = answer_digest(state, DigestAsk(7, depth, prefix, 1200))
        assert _size(state, answer) <= size
        found += answer.leaves or ()
        children = enumerate(answer.sums or ())
        walk += [(depth + 1, (prefix << 6) + n) for n, value in children if value]
    assert sorted(leaf.stream for leaf in found) == streams


def test_many_streams_are_not_listed_to_be_told_as_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    state = state_of()
    for number in range(100):
        state.log.merge(number.to_bytes(10, "big"), [("x", 1, 1)])
    monkeypatch.delattr(Log, "leaves_below")
    digest = answer_digest(state, DigestAsk(7, 0, 0, 1200))
    assert digest == Digest(7, 0, 0, None, state.log.sums_below(0, 0))


# --- passes --------------------------------------------------------------------------------------


def _large_state(count: int = 40, name: str = "{:0128}", datagram_size: int = 1200) -> State:
    state = state_of(datagram_size=datagram_size, own=LONG_OWN)
    state.log.merge(A, [(name.format(n), n, n) for n in range(1, count + 1)])
    state.log.claim(A, count)
    return state


def _ask(*items: PassItem, pages: int = 32, size: int = 1200) -> PassAsk:
    return PassAsk(2**64 - 1, items, pages, size)


@pytest.mark.parametrize(("size", "own_size"), [(640, 1200), (1200, 640), (1400, 1200)])
def test_a_pass_is_cut_into_pages_that_fit_the_smaller_limit(size: int, own_size: int) -> None:
    state = _large_state(20, datagram_size=own_size)
    answers = list(answer_passes(state, _ask(PassItem(A, 0, ""), size=size)))
    assert all(_size(state, answer) <= min(size, own_size) for answer in answers)
    assert [answer.last for answer in answers] == [False] * (len(answers) - 1) + [True]
    pages = [page for answer in answers for page in answer.pages]
    assert [page.after for page in pages] == ["", *[page.upto for page in pages[:-1]]]
    assert pages[-1].upto == ""
    names = [name for page in pages for name, _, _ in page.registers]
    assert names == [f"{n:0128}" for n in range(1, 21)]
    assert {(page.start, page.version) for page in pages} == {(0, 20)}


def test_no_more_datagrams_are_sent_than_asked_for() -> None:
    answers = list(answer_passes(_large_state(), _ask(PassItem(A, 0, ""), pages=2)))
    assert [answer.last for answer in answers] == [False, True]
    assert answers[-1].pages[-1].upto != ""


def test_a_pass_goes_on_behind_the_counter_asked_for() -> None:
    state = _large_state(9, "c{}")
    (answer,) = answer_passes(state, _ask(PassItem(A, 4, "c6")))
    assert [register[0] for register in answer.pages[0].registers] == ["c7", "c8", "c9"]
    assert (answer.pages[0].start, answer.pages[0].after) == (4, "c6")


def test_pages_of_several_streams_share_datagrams() -> None:
    state = _large_state(3, "c{}")
    state.log.merge(B, [("x", 4, 1)])
    (answer,) = answer_passes(state, _ask(PassItem(A, 0, ""), PassItem(B, 0, "")))
    assert [(page.stream, page.version) for page in answer.pages] == [(A, 3), (B, 0)]


def test_pages_without_registers_are_split_between_datagrams_too() -> None:
    state = _large_state(1, "c{}")
    wishes = [PassItem(bytes((0, number)) + bytes(8), 0, "") for number in range(32)]
    answers = list(answer_passes(state, _ask(*wishes)))
    assert len(answers) > 1
    assert [page.stream for answer in answers for page in answer.pages] == [w[0] for w in wishes]
    assert all(_size(state, answer) <= 1200 for answer in answers)


def test_the_rest_of_many_wishes_goes_into_further_datagrams() -> None:
    state = _large_state(3, "c{}")
    answers = list(answer_passes(state, _ask(*[PassItem(A, 0, "")] * 32)))
    assert len(answers) > 1
    assert sum(not page.upto for answer in answers for page in answer.pages) == 32
    assert max(len(answer.pages) for answer in answers) > 8, "small streams share a datagram"
    assert all(_size(state, answer) <= 1200 for answer in answers)
    assert answers[-1].last


def test_a_wish_for_an_unknown_stream_is_answered_with_its_end() -> None:
    (answer,) = answer_passes(state_of(), _ask(PassItem(A, 0, "")))
    assert isinstance(answer, Pages)
    assert [(page.upto, page.version, page.registers) for page in answer.pages] == [("", 0, ())]


# --- the member table ----------------------------------------------------------------------------


def _pages(state: State, size: int = 1200, pages: int = 32, after: str = "") -> list[MembersPage]:
    answers = list(answer_members(state, MembersAsk(1, after, pages, size), Turn(state, 0.0)))
    assert all(
        _size(state, answer) <= min(size, state.settings.datagram_size) for answer in answers
    )
    return answers


def _names(answers: list[MembersPage]) -> list[str]:
    return [view.name for answer in answers for view in answer.views]


def test_a_small_table_is_one_page() -> None:
    (answer,) = _pages(state_of(ALIVE))
    assert answer == MembersPage(1, "", "", (ALIVE, OWN))


@pytest.mark.parametrize(("size", "own_size"), [(640, 1200), (1200, 640), (1400, 1200)])
def test_a_large_table_is_cut_into_pages_by_name(size: int, own_size: int) -> None:
    others = [ALIVE._replace(name=f"{n:064}") for n in range(40)]
    state = state_of(*others, datagram_size=own_size)
    answers = _pages(state, size)
    assert _names(answers) == state.members.names_after("")
    assert [a.after for a in answers] == ["", *[a.upto for a in answers[:-1]]]
    assert answers[-1].upto == ""
    first = _pages(state, size, pages=1)
    assert first == answers[:1]
    assert _pages(state, size, after=first[0].upto) == answers[1:]


def test_members_that_are_not_shared_are_on_no_page() -> None:
    state = state_of(ALIVE._replace(status=Status.LEFT))
    state.members.expire(state.settings.remember / 2)
    assert _names(_pages(state)) == ["own"]


def test_accusers_are_on_no_page() -> None:
    suspect = ALIVE._replace(status=Status.SUSPECT, accusers=("eve",))
    (answer,) = _pages(state_of(suspect))
    assert answer.views == (suspect._replace(accusers=()), OWN)


@pytest.mark.parametrize("name", ["a" * 64, "z" * 64])
def test_a_view_larger_than_a_page_is_passed_over(name: str) -> None:
    large: MemberView = LARGEST._replace(name=name)
    state = state_of(ALIVE, large, own=LONG_OWN)
    answers = _pages(state, 640)
    assert _names(answers) == ["bob", LONG_OWN.name]
    assert answers[-1].upto == ""
    assert set(_names(_pages(state, 1200))) == {"bob", LONG_OWN.name, name}
