from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from gossipd.core.log.keys import Keys
from gossipd.core.log.registers import Registers
from gossipd.core.log.stream_log import PASSED_MAX
from gossipd.core.repair import answering
from gossipd.core.repair.answering import (
    LOOKS_MAX,
    Answering,
    Archive,
    Lack,
)
from gossipd.core.settings import Settings
from gossipd.core.state import State
from gossipd.core.wire.messages import (
    Digest,
    DigestAsk,
    MembersAsk,
    MembersPage,
    MemberView,
    Message,
    Pages,
    PassAsk,
    Status,
)
from gossipd.core.wire.records import (
    AGE_TICK,
    AGE_WANTED_MAX,
    BEGINNING,
    END,
    Double,
    KeyRecord,
    Leaf,
    Page,
    PassItem,
)
from tests.unit.core.parts import (
    ALIVE,
    LARGEST,
    OWN,
    state_of,
)

A, B = bytes(9) + b"\x01", bytes(9) + b"\x02"
LONG_OWN = OWN._replace(name="o" * 64, generation=2**52 - 1, incarnation=2**32 - 1)


def _size(state: State, message: Message) -> int:
    return len(state.packet_builder.pack(message, ("10.9.9.9", 1), None, (), 0.0))


def _of(state: State) -> Answering:
    return Answering(
        state.log, state.members, state.packet_builder, state.means.settings.key_window
    )


# --- the digest ----------------------------------------------------------------------------------


def test_few_streams_are_told_as_leaves() -> None:
    state = state_of()
    state.log.merge(A, [("x", 1, 1)])
    state.log.merge(B, [("x", 1, 1)])
    state.log.claim(B, 1)
    digest = _of(state).digest(DigestAsk(7, 0, 0, 1200))
    assert digest == Digest(
        7, 0, 0, (state.log.leaf_shown(A, 7), state.log.leaf_shown(B, 7)), None
    )
    assert _of(state).digest(DigestAsk(7, 1, 5, 1200)) == Digest(7, 1, 5, (), None)


@pytest.mark.parametrize("size", [640, 1200])
def test_many_streams_are_told_as_sums(size: int) -> None:
    state = state_of(datagram_size=size, own=LONG_OWN)
    streams = [(n << 40).to_bytes(10, "big") for n in range(100)]
    for stream in streams:
        state.log.merge(stream, [("x", 1, 1)])
    digest = _of(state).digest(DigestAsk(7, 0, 0, 1200))
    assert digest == Digest(7, 0, 0, None, state.log.sums_shown(0, 0, 7))
    for depth in (1, 11):
        prefix = 2 ** (6 * depth) - 1
        largest = Digest(2**64 - 1, depth, prefix, None, (2**64 - 1,) * 64)
        assert _size(state, largest) <= size
    found: list[Leaf] = []
    walk = [(0, 0)]
    while walk:
        depth, prefix = walk.pop()
        answer = _of(state).digest(DigestAsk(7, depth, prefix, 1200))
        assert _size(state, answer) <= size
        found += answer.leaves or ()
        children = enumerate(answer.sums or ())
        walk += [(depth + 1, (prefix << 6) + n) for n, value in children if value]
    assert sorted(leaf.stream for leaf in found) == streams


def test_many_streams_are_not_listed_to_be_told_as_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    state = state_of()
    for number in range(100):
        state.log.merge(number.to_bytes(10, "big"), [("x", 1, 1)])
    monkeypatch.delattr(Registers, "leaves_below")
    digest = _of(state).digest(DigestAsk(7, 0, 0, 1200))
    assert digest == Digest(7, 0, 0, None, state.log.sums_shown(0, 0, 7))


# --- passes --------------------------------------------------------------------------------------


def _large_state(count: int = 40, name: str = "{:0128}", datagram_size: int = 1200) -> State:
    state = state_of(datagram_size=datagram_size, own=LONG_OWN)
    state.log.merge(A, [(name.format(n), n, n) for n in range(1, count + 1)])
    state.log.claim(A, count)
    return state


def _answers(state: State, ask: PassAsk) -> list[Pages]:
    """What is answered where nothing is on a disk only."""
    answers = list(_of(state).passes(ask, None, 0.0))
    pages = [answer for answer in answers if isinstance(answer, Pages)]
    assert pages == answers
    return pages


def _ask(*items: PassItem, pages: int = 32, size: int = 1200) -> PassAsk:
    return PassAsk(2**64 - 1, items, pages, size)


@pytest.mark.parametrize(("size", "own_size"), [(640, 1200), (1200, 640), (1400, 1200)])
def test_a_pass_is_cut_into_pages_that_fit_the_smaller_limit(size: int, own_size: int) -> None:
    state = _large_state(20, datagram_size=own_size)
    answers = _answers(state, _ask(PassItem(A, 0, BEGINNING), size=size))
    assert all(_size(state, answer) <= min(size, own_size) for answer in answers)
    assert [answer.last for answer in answers] == [False] * (len(answers) - 1) + [True]
    pages = [page for answer in answers for page in answer.pages]
    assert [page.after for page in pages] == [BEGINNING, *[page.upto for page in pages[:-1]]]
    assert pages[-1].upto == END
    names = [name for page in pages for name, _, _ in page.registers]
    assert names == [f"{n:0128}" for n in range(1, 21)]
    assert {(page.start, page.version) for page in pages} == {(0, 20)}


def test_no_more_datagrams_are_sent_than_asked_for() -> None:
    answers = _answers(_large_state(), _ask(PassItem(A, 0, BEGINNING), pages=2))
    assert [answer.last for answer in answers] == [False, True]
    assert answers[-1].pages[-1].upto != END


def test_a_pass_over_many_counters_of_which_few_are_new_ends_early_and_goes_on_from_there() -> (
    None
):
    count = 2 * LOOKS_MAX * PASSED_MAX
    state = state_of(own=LONG_OWN)
    state.log.merge(A, [(f"{n:06}", count + 1 - n, 1) for n in range(1, count + 1)])
    state.log.claim(A, count)
    start, after, found, asked = count - 1200, BEGINNING, list[str](), 0
    while after != END:
        answers = _answers(state, _ask(PassItem(A, start, after)))
        asked += 1
        pages = [page for answer in answers for page in answer.pages]
        assert answers[-1].last
        assert pages[0].after == after
        assert all(one.upto == other.after for one, other in pairwise(pages))
        found += [name for page in pages for name, _, _ in page.registers]
        after = pages[-1].upto
    assert found == [f"{n:06}" for n in range(1, 1201)]
    assert asked > 1


def test_a_pass_over_many_key_records_that_are_too_old_for_the_asker_ends_early_and_goes_on() -> (
    None
):
    passed_max = answering.PASSED_MAX
    count = 3 * LOOKS_MAX * passed_max
    state = state_of(own=LONG_OWN)
    state.log.merge(A, [("x", count, 1)])
    young = (5, count // 2, count)
    keys = [
        KeyRecord(n.to_bytes(16, "big"), n, "x", 1, 1 if n in young else 50)
        for n in range(1, count + 1)
    ]
    state.log.merge_keys(A, keys, 0.0)
    state.log.claim(A, count)
    after, found, asked = BEGINNING, list[int](), 0
    while after != END:
        answers = _answers(state, replace(_ask(PassItem(A, 0, after)), age=10))
        asked += 1
        pages = [page for answer in answers for page in answer.pages]
        assert pages[0].after == after
        assert pages[-1].upto[0] - after[0] <= (LOOKS_MAX + 1) * passed_max or len(found) == 2
        found += [record.seq for page in pages for record in page.keys]
        after = pages[-1].upto
    assert found == list(young)
    assert asked >= 3


def test_nothing_is_looked_at_behind_the_end_of_a_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    state = state_of()
    state.log.merge(A, [("x", 500, 1)])
    keys = [KeyRecord(n.to_bytes(16, "big"), n, "x", 1, 50) for n in range(1, 501)]
    state.log.merge_keys(A, keys, 0.0)
    state.log.claim(A, 500)
    looked: list[int] = []
    sound = Keys.oldest_first

    def oldest_first(self: Keys, stream: bytes, above: int, now: float) -> Iterator[KeyRecord]:
        for record in sound(self, stream, above, now):
            looked.append(record.seq)
            yield record

    monkeypatch.setattr(Keys, "oldest_first", oldest_first)
    (answer,) = _answers(state, replace(_ask(PassItem(A, 0, (5, ""), False, 7)), age=10))
    (page,) = answer.pages
    assert (page.upto, page.keys) == ((7, ""), ())
    assert looked == [6, 7, 8]


def test_a_pass_goes_on_behind_the_counter_asked_for() -> None:
    state = _large_state(9, "c{}")
    (answer,) = _answers(state, _ask(PassItem(A, 4, (0, "c6"))))
    assert [register[0] for register in answer.pages[0].registers] == ["c7", "c8", "c9"]
    assert (answer.pages[0].start, answer.pages[0].after) == (4, (0, "c6"))


def test_pages_of_several_streams_share_datagrams() -> None:
    state = _large_state(3, "c{}")
    state.log.merge(B, [("x", 4, 1)])
    (answer,) = _answers(state, _ask(PassItem(A, 0, BEGINNING), PassItem(B, 0, BEGINNING)))
    assert [(page.stream, page.version) for page in answer.pages] == [(A, 3), (B, 0)]


def test_pages_without_registers_are_split_between_datagrams_too() -> None:
    state = _large_state(1, "c{}")
    wishes = [PassItem(bytes((0, number)) + bytes(8), 0, BEGINNING) for number in range(32)]
    answers = _answers(state, _ask(*wishes))
    assert len(answers) > 1
    assert [page.stream for answer in answers for page in answer.pages] == [w[0] for w in wishes]
    assert all(_size(state, answer) <= 1200 for answer in answers)


def test_the_rest_of_many_wishes_goes_into_further_datagrams() -> None:
    state = _large_state(3, "c{}")
    answers = _answers(state, _ask(*[PassItem(A, 0, BEGINNING)] * 32))
    assert len(answers) > 1
    assert sum(page.upto == END for answer in answers for page in answer.pages) == 32
    assert max(len(answer.pages) for answer in answers) > 8, "small streams share a datagram"
    assert all(_size(state, answer) <= 1200 for answer in answers)
    assert answers[-1].last


def test_a_wish_for_an_unknown_stream_is_answered_with_its_end() -> None:
    (answer,) = _answers(state_of(), _ask(PassItem(A, 0, BEGINNING)))
    assert isinstance(answer, Pages)
    assert [(page.upto, page.version, page.registers) for page in answer.pages] == [(END, 0, ())]


# --- the member table ----------------------------------------------------------------------------


def _pages(state: State, size: int = 1200, pages: int = 32, after: str = "") -> list[MembersPage]:
    answers = list(_of(state).members(MembersAsk(1, after, pages, size), 0.0))
    assert all(
        _size(state, answer) <= min(size, state.means.settings.datagram_size) for answer in answers
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
    state.members.expire(state.means.settings.remember / 2)
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


# --- key records and doubles ---------------------------------------------------------------------

WINDOW = Settings().key_window


def _record(seq: int, age: int = 0) -> KeyRecord:
    return KeyRecord(seq.to_bytes(16, "big"), seq, "x", 1, age)


def _double(seq: int) -> Double:
    return Double("x", seq, 1, bytes(10), seq, 0)


def _keyed_state(count: int, archived: int = 0, datagram_size: int = 1200) -> State:
    """Key records from 1 to `count`; those up to `archived` are on the disk only."""
    state = state_of(datagram_size=datagram_size, durable=True)
    log = state.log
    log.merge(A, [("x", count, count)])
    log.claim(A, count)
    records = [_record(seq) for seq in range(1, count + 1)]
    log.merge_keys(A, records, 0.0)
    if archived:
        log.drop_keys(A, records[:archived], 1e6)
    return state


def _walk(state: State, ask: PassAsk, archive: Archive | None) -> tuple[list[Page], Lack | None]:
    """The pages of an answer, and what it lacks in the end."""
    answers = list(_of(state).passes(ask, archive, 0.0))
    lack = answers.pop() if answers and isinstance(answers[-1], Lack) else None
    pages = [page for answer in answers if isinstance(answer, Pages) for page in answer.pages]
    assert lack is None or isinstance(lack, Lack)
    return pages, lack


def test_key_records_and_doubles_follow_the_registers_by_seq() -> None:
    state = _keyed_state(3)
    state.log.enter(A, [_double(2), _double(9)], 0.0)
    (page,), _ = _walk(state, _ask(PassItem(A, 0, BEGINNING)), None)
    assert (page.after, page.upto, page.version) == (BEGINNING, END, 3)
    assert page.registers == (("x", 3, 3),)
    assert [record.seq for record in page.keys] == [1, 2, 3]
    assert page.doubles == (_double(2), _double(9))


def test_a_pass_brings_what_is_above_its_start_and_all_doubles_if_asked() -> None:
    state = _keyed_state(3)
    for seq in (1, 3):
        state.log.enter(A, [_double(seq)], 0.0)
    (page,), _ = _walk(state, _ask(PassItem(A, 2, BEGINNING)), None)
    assert ([r.seq for r in page.keys], page.doubles) == ([3], (_double(3),))
    (page,), _ = _walk(state, _ask(PassItem(A, 2, BEGINNING, True)), None)
    assert ([r.seq for r in page.keys], page.doubles) == ([3], (_double(1), _double(3)))
    (page,), _ = _walk(state, _ask(PassItem(A, 2, (1, ""), True)), None)
    assert ([r.seq for r in page.keys], page.doubles) == ([3], (_double(3),))
    assert page.registers == (), "registers come before all seqs"


def test_a_pass_is_answered_up_to_where_it_is_wanted() -> None:
    state = _keyed_state(200, datagram_size=640)
    gaps = PassItem(A, 5, BEGINNING, until=9), PassItem(A, 5, (20, ""), until=60)
    pages, lack = _walk(state, _ask(*gaps, PassItem(A, 5, (198, ""))), None)
    assert lack is None
    assert pages[0].registers == (("x", 200, 200),)
    assert [record.seq for page in pages for record in page.keys] == [
        *range(6, 10),
        *range(21, 61),
        *range(199, 201),
    ]
    assert [page.upto for page in pages][-1] == END
    assert {(9, ""), (60, "")} <= {page.upto for page in pages}


def test_the_disk_is_read_up_to_where_a_pass_is_wanted() -> None:
    state = _keyed_state(200, archived=150)
    items = PassItem(A, 5, (20, ""), until=30), PassItem(A, 5, (160, ""), until=170)
    pages, lack = _walk(state, _ask(*items), None)
    assert (pages, lack) == ([], Lack(A, 20, 30, _ask(*items)))
    archive = Archive(A, 20, 30, tuple(map(_record, range(21, 31))))
    pages, lack = _walk(state, _ask(*items), archive)
    assert lack is None
    assert [page.upto for page in pages] == [(30, ""), (170, "")]
    assert len([record for page in pages for record in page.keys]) == 20


def test_a_double_that_the_asker_finds_by_itself_comes_only_where_all_are_wanted() -> None:
    state = _keyed_state(3)
    winner = bytes(10)
    state.log.merge_keys(winner, [_record(2)], 0.0)
    state.log.enter(A, [_double(2), _double(3)], 0.0)
    (page,), _ = _walk(state, _ask(PassItem(A, 0, BEGINNING)), None)
    assert page.doubles == (_double(3),), "the record of its winner is not in memory"
    assert len(page.keys) == 3
    (page,), _ = _walk(state, _ask(PassItem(A, 0, BEGINNING, True)), None)
    assert page.doubles == (_double(2), _double(3))


def test_where_neither_record_nor_double_is_to_be_told_a_pass_goes_on() -> None:
    state = state_of(durable=True)
    state.log.merge(A, [("x", 3, 3)])
    state.log.claim(A, 3)
    state.log.merge_keys(A, [_record(2, age=50), _record(3)], 0.0)
    state.log.merge_keys(bytes(10), [_record(2)], 0.0)
    state.log.enter(A, [_double(2)], 0.0)
    (page,), _ = _walk(state, replace(_ask(PassItem(A, 0, BEGINNING)), age=10), None)
    assert ([record.seq for record in page.keys], page.doubles, page.upto) == ([3], (), END)


def test_a_correction_goes_with_the_register_of_its_counter() -> None:
    state = state_of(datagram_size=640)
    log = state.log
    log.merge(bytes(10), [("x", 9, 9)])
    names = [f"counter {n:02} {'.' * 60}" for n in range(20)]
    log.merge(A, [(name, n + 1, 9) for n, name in enumerate(names)])
    for n, name in enumerate(names[:15]):
        log.merge(bytes(10), [(name, n + 1, 9)])
        log.enter(A, [Double(name, n + 1, 1, bytes(10), n + 1, 0)], 0.0)
    log.fold(A, 15, 0.0)
    for wish in (PassItem(A, 0, BEGINNING), PassItem(A, 0, BEGINNING, True)):
        pages, _ = _walk(state, _ask(wish), None)
        assert len(pages) > 3
        for page in pages:
            corrected = [correction.counter for correction in page.corrections]
            assert corrected == [name for name, *_ in page.registers if name in names[:15]]
        assert [name for page in pages for name, *_ in page.registers] == names
    pages, _ = _walk(state, _ask(PassItem(A, 13, (0, names[12]))), None)
    assert [correction.seq for page in pages for correction in page.corrections] == [14, 15]
    pages, _ = _walk(state, _ask(PassItem(A, 13, (0, names[8]), True)), None)
    assert [correction.seq for page in pages for correction in page.corrections] == [
        *range(10, 16)
    ]
    assert [seq for page in pages for _, seq, _ in page.registers] == [*range(14, 21)]


def test_many_key_records_are_cut_into_pages_by_seq() -> None:
    state = _keyed_state(200, datagram_size=640)
    pages, lack = _walk(state, _ask(PassItem(A, 5, BEGINNING)), None)
    assert lack is None
    assert len(pages) > 5
    assert [page.after for page in pages] == [BEGINNING, *[page.upto for page in pages[:-1]]]
    assert [r.seq for page in pages for r in page.keys] == [*range(6, 201)]
    following, _ = _walk(state, _ask(PassItem(A, 5, pages[2].upto)), None)
    assert following == pages[3:]


def test_what_is_under_one_seq_is_never_on_two_pages() -> None:
    state = _keyed_state(60, datagram_size=640)
    for seq in range(1, 61):
        state.log.enter(A, [_double(seq)], 0.0)
    pages, _ = _walk(state, _ask(PassItem(A, 0, BEGINNING)), None)
    assert len(pages) > 3
    for page in pages:
        assert {r.seq for r in page.keys} == {d.seq for d in page.doubles}


def test_key_records_older_than_wanted_are_left_out_and_covered() -> None:
    state = state_of()
    state.log.merge_keys(A, [_record(1, 900), _record(2, 800), _record(3, 5)], 0.0)
    state.log.claim(A, 3)
    ask = replace(_ask(PassItem(A, 0, BEGINNING)), age=800)
    (page,), _ = _walk(state, ask, None)
    assert [record.seq for record in page.keys] == [2, 3]
    assert page.upto == END


def test_without_the_disk_an_answer_goes_as_far_as_memory_does_and_tells_what_it_lacks() -> None:
    state = _keyed_state(5, archived=3)
    ask = _ask(PassItem(A, 0, BEGINNING), PassItem(B, 0, BEGINNING))
    (page,), lack = _walk(state, ask, None)
    assert (page.registers, page.keys, page.upto) == ((("x", 5, 5),), (), (0, "x"))
    rest = replace(ask, items=(PassItem(A, 0, (0, "x")), PassItem(B, 0, BEGINNING)), pages=31)
    assert lack == Lack(A, 0, 3, rest)


def test_with_what_was_read_the_answer_goes_on_to_the_end() -> None:
    state = _keyed_state(5, archived=3)
    _, lack = _walk(state, _ask(PassItem(A, 0, BEGINNING), PassItem(B, 0, BEGINNING)), None)
    assert lack is not None
    read = Archive(A, 0, 3, tuple(_record(seq, 7000) for seq in (1, 2, 3)))
    (page, other), rest = _walk(state, lack.ask, read)
    assert rest is None
    assert [(r.seq, r.age) for r in page.keys] == [(1, 7000), (2, 7000), (3, 7000), (4, 0), (5, 0)]
    assert (page.after, page.upto, other.stream, other.upto) == ((0, "x"), END, B, END)


def test_a_part_of_what_lacks_brings_an_answer_that_far() -> None:
    state = _keyed_state(9, archived=7)
    read = Archive(A, 2, 4, (_record(3), _record(4)))
    (page,), lack = _walk(state, _ask(PassItem(A, 2, (0, "x"))), read)
    assert ([r.seq for r in page.keys], page.upto) == ([3, 4], (4, ""))
    assert lack is not None
    assert (lack.above, lack.upto, lack.ask.items) == (4, 7, (PassItem(A, 2, (4, "")),))


@pytest.mark.parametrize("read", [Archive(A, 4, 7, ()), Archive(B, 0, 7, ())])
def test_what_was_read_of_elsewhere_proves_nothing(read: Archive) -> None:
    pages, lack = _walk(_keyed_state(9, archived=7), _ask(PassItem(A, 2, (2, ""))), read)
    assert pages == []
    assert lack is not None
    assert (lack.above, lack.upto) == (2, 7)


def test_what_left_memory_while_the_disk_was_read_is_read_next() -> None:
    state = _keyed_state(9, archived=3)
    read = Archive(A, 0, 3, tuple(map(_record, (1, 2, 3))))
    state.log.drop_keys(A, [_record(4), _record(5)], 1e6)
    (page,), lack = _walk(state, _ask(PassItem(A, 0, (0, "x"))), read)
    assert ([r.seq for r in page.keys], page.upto) == ([1, 2, 3], (3, ""))
    assert lack is not None
    assert (lack.above, lack.upto) == (3, 5)


def test_what_is_both_in_memory_and_read_comes_once() -> None:
    state = _keyed_state(5, archived=3)
    state.log.merge_keys(A, [_record(2)], 0.0)
    read = Archive(A, 0, 3, tuple(map(_record, (1, 2, 3))))
    (page,), _ = _walk(state, _ask(PassItem(A, 0, (0, "x"))), read)
    assert [r.seq for r in page.keys] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("item", "age"),
    [
        (PassItem(A, 3, BEGINNING), AGE_WANTED_MAX),
        (PassItem(A, 0, (3, "")), AGE_WANTED_MAX),
        (PassItem(A, 0, BEGINNING), int(WINDOW / AGE_TICK)),
    ],
    ids=["above them", "behind them", "only younger ones"],
)
def test_the_disk_is_not_read_where_nothing_on_it_is_asked_for(item: PassItem, age: int) -> None:
    (page,), lack = _walk(_keyed_state(5, archived=3), replace(_ask(item), age=age), None)
    assert lack is None
    assert page.upto == END
    assert [record.seq for record in page.keys] == [4, 5]


def test_an_answer_that_has_sent_all_pages_lacks_nothing() -> None:
    pages, lack = _walk(
        _keyed_state(5, archived=3), _ask(PassItem(A, 0, BEGINNING), pages=1), None
    )
    assert len(pages) == 1
    assert lack is None


def test_however_the_disk_is_read_an_answer_comes_to_its_end_with_everything() -> None:
    """A few records at a time, while more leave memory."""
    state = _keyed_state(200, archived=90, datagram_size=640)
    found: list[int] = []
    ask: PassAsk | None = _ask(PassItem(A, 0, BEGINNING), pages=32)
    archive: Archive | None = None
    for left in range(32):
        if ask is None:
            break
        pages, lack = _walk(state, ask, archive)
        found += [record.seq for page in pages for record in page.keys]
        ask = lack.ask if lack else None
        if lack is not None:
            upto = min(lack.upto, lack.above + 7)
            seqs = range(lack.above + 1, upto + 1)
            archive = Archive(A, lack.above, upto, tuple(map(_record, seqs)))
            state.log.drop_keys(A, [_record(91 + left)], 1e6)
    asked_again = _walk(state, _ask(PassItem(A, 0, (found[-1], ""))), None)[1]
    assert found == [*range(1, found[-1] + 1)]
    assert found[-1] > 90 or asked_again is not None
