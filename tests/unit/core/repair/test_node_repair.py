"""Repair of the log, from both sides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from gossipd.core import (
    Correction,
    Double,
    Drop,
    KeyRecord,
    Learned,
    Save,
    SaveWanted,
    Send,
    Settings,
    source_stream,
)
from gossipd.core.hashing import MASK_64, answer_of
from gossipd.core.log.log import Log
from gossipd.core.repair.turns import LED_MAX, PEER_SECONDS
from gossipd.core.settings import DATAGRAM_SIZE_FLOOR
from gossipd.core.wire.messages import (
    Digest,
    DigestAsk,
    Gossip,
    Hold,
    Pages,
    PassAsk,
    Ping,
    Shown,
)
from gossipd.core.wire.records import BEGINNING, END, Group, Leaf, Page, PassItem, Register
from tests.simulation.tables import tables
from tests.unit.core.talk import (
    Peer,
    Said,
    Talk,
    envelope,
    group,
    page,
    stream,
)

DIFFERENT = 0x1234


def shows_other_log(talk: Talk, peer: Peer, log: int = DIFFERENT, ready: bool = True) -> Said:
    shown = Shown(log, talk.shown.members, ready)
    return talk.hear(peer, Ping(1, "me", shown))


def leaf_of(number: int, registers: Iterable[Register], version: int) -> Leaf:
    """A stream as it stands in the digest of a peer that holds this."""
    log = Log()
    log.merge(stream(number), registers)
    return Leaf(stream(number), version, log.leaf(stream(number)).digest)


def told(ask: DigestAsk, *leaves: Leaf) -> Digest:
    """How such a peer answers."""
    shown = tuple(leaf._replace(digest=answer_of(leaf.digest, ask.nonce)) for leaf in leaves)
    return Digest(ask.nonce, ask.depth, ask.prefix, shown, None)


def learn(talk: Talk, number: int, registers: list[Register]) -> None:
    talk.hear(talk.peer("p0"), Gossip(), groups=[group(number, registers)])


def quiet(peers: int = 3, settings: Settings | None = None) -> Talk:
    talk = Talk(peers=peers, settings=settings)
    talk.settle()
    return talk


def begin(talk: Talk, leaves: tuple[Leaf, ...]) -> PassAsk:
    """A repair from p0 up to the question for passes."""
    asked = shows_other_log(talk, talk.peer("p0")).sent(DigestAsk)[0]
    return talk.hear(talk.peer("p0"), told(asked, *leaves)).sent(PassAsk)[0]


def test_questions_are_counted_while_they_may_be_answered() -> None:
    talk = quiet()
    assert talk.node.question_count == 0
    asked = shows_other_log(talk, talk.peer("p0")).sent(DigestAsk)
    assert talk.node.question_count == len(asked) == 1


# --- asking --------------------------------------------------------------------------------------


def test_equal_fingerprints_start_no_repair() -> None:
    talk = quiet()
    assert not talk.hear(talk.peer("p0"), Ping(1, "me", talk.shown)).sent(DigestAsk)


def test_unequal_fingerprints_start_one_at_most_once_a_second() -> None:
    talk = quiet()
    asked = shows_other_log(talk, talk.peer("p0")).sent(DigestAsk, talk.peer("p0"))
    assert [(ask.depth, ask.prefix) for ask in asked] == [(0, 0)]
    assert not shows_other_log(talk, talk.peer("p1")).sent(DigestAsk), "one runs"
    talk.hear(talk.peer("p0"), Digest(asked[0].nonce, 0, 0, (), None))
    assert not shows_other_log(talk, talk.peer("p1")).sent(DigestAsk), "one just ran"
    talk.wait(1.0)
    assert shows_other_log(talk, talk.peer("p1")).sent(DigestAsk)


def test_a_stream_of_which_the_peer_holds_more_is_passed_over_from_the_own_version() -> None:
    talk = quiet()
    learn(talk, 1, [("a", 2, 2)])
    ask = begin(talk, (leaf_of(1, [("a", 9, 9)], 9), leaf_of(2, [("b", 1, 1)], 1)))
    assert ask.items == (PassItem(stream(1), 2, BEGINNING), PassItem(stream(2), 0, BEGINNING))


def test_a_stream_of_which_the_peer_holds_less_is_left_alone() -> None:
    talk = quiet()
    learn(talk, 1, [("a", 2, 2)])
    asked = shows_other_log(talk, talk.peer("p0")).sent(DigestAsk)[0]
    digest = told(asked, leaf_of(1, [("a", 1, 1)], 1))
    assert not talk.hear(talk.peer("p0"), digest).effects


def test_pages_bring_registers_and_the_smallest_version_stated() -> None:
    talk = quiet()
    ask = begin(talk, (leaf_of(1, [("b", 9, 9)], 9),))
    pages = (
        page(1, (("a", 3, 1),), 8, upto="a"),
        page(1, (("b", 9, 2),), 9, after="a"),
    )
    talk.hear(talk.peer("p0"), Pages(ask.nonce, pages, True))
    assert talk.node.log.version(stream(1)) == 8
    assert talk.node.log.register(stream(1), "b") == (9, 2)


def test_a_pass_whose_version_no_register_reaches_claims_nothing() -> None:
    talk = quiet()
    ask = begin(talk, (leaf_of(1, [("a", 1, 1)], 9),))
    said = talk.hear(talk.peer("p0"), Pages(ask.nonce, (page(1, (("a", 1, 1),), 9),), True))
    assert said.drops == [Drop.FALSE_CLAIM]
    assert talk.node.log.value("a") == 1
    assert talk.node.log.version(stream(1)) == 0


def test_what_a_pass_brought_is_news_for_others() -> None:
    talk = quiet()
    ask = begin(talk, (leaf_of(1, [("a", 1, 1)], 1),))
    talk.hear(talk.peer("p0"), Pages(ask.nonce, (page(1, (("a", 1, 1),), 1),), True))
    assert stream(1) in {g.stream for g in talk.wait(0.1).groups()}


def test_a_great_pass_is_left_to_the_repair_of_others() -> None:
    talk = quiet()
    registers = tuple((f"c{number:03}", number + 1, 1) for number in range(100))
    ask = begin(talk, (leaf_of(1, registers, 100),))
    halves = (
        page(1, registers[:50], 100, upto="c049"),
        page(1, registers[50:], 100, after="c049"),
    )
    for number, half in enumerate(halves):
        talk.hear(talk.peer("p0"), Pages(ask.nonce, (half,), number == 1))
    assert talk.node.log.version(stream(1)) == 100
    assert not talk.wait(0.1).groups()


def test_a_lost_page_is_asked_for_alone() -> None:
    talk = quiet()
    ask = begin(talk, (leaf_of(1, [("z", 9, 9)], 9),))
    first = page(1, (("a", 1, 1),), 9, upto="a")
    third = page(1, (("z", 9, 9),), 9, after="m")
    talk.hear(talk.peer("p0"), Pages(ask.nonce, (first,), False))
    again = talk.hear(talk.peer("p0"), Pages(ask.nonce, (third,), True)).sent(PassAsk)[0]
    assert again.items == (PassItem(stream(1), 0, (0, "a")),)
    second = page(1, (("m", 2, 2),), 9, after="a", upto="m")
    talk.hear(talk.peer("p0"), Pages(again.nonce, (second,), True))
    assert talk.node.log.version(stream(1)) == 9


def test_a_lost_last_page_is_asked_for_after_the_timeout() -> None:
    talk = quiet()
    ask = begin(talk, (leaf_of(1, [("z", 9, 9)], 9),))
    talk.hear(talk.peer("p0"), Pages(ask.nonce, (page(1, (("a", 1, 1),), 9, upto="a"),), False))
    assert talk.wait(0.41).sent(PassAsk)[0].items == (PassItem(stream(1), 0, (0, "a")),)


def test_the_third_time_smaller_pages_are_asked_for_then_another_peer() -> None:
    talk = quiet()
    ask = begin(talk, (leaf_of(1, [("z", 9, 9)], 9),))
    assert ask.size == 1200
    p0 = talk.peer("p0")
    sizes = [ask.size for ask in talk.wait(0.9).sent(PassAsk, p0)]
    assert sizes == [1200, DATAGRAM_SIZE_FLOOR]
    said = talk.wait(0.4)
    assert not said.sent(DigestAsk), "what the walk has found is not looked for again"
    assert said.sent(PassAsk)
    assert not said.sent(PassAsk, p0)


def test_a_repair_gives_up_after_three_peers() -> None:
    talk = quiet()
    shows_other_log(talk, talk.peer("p0"))
    assert len(talk.wait(10).sent(DigestAsk)) == 2 + 3 + 3
    assert shows_other_log(talk, talk.peer("p0")).sent(DigestAsk), "and the next may begin"


def test_a_repair_with_nobody_else_to_ask_gives_up_after_one_peer() -> None:
    talk = quiet(peers=1)
    shows_other_log(talk, talk.peer("p0"))
    assert len(talk.wait(10).sent(DigestAsk)) == 2


def test_a_peer_that_is_held_failed_is_not_asked_again() -> None:
    talk = quiet()
    shows_other_log(talk, talk.peer("p0"))
    talk.fail("p0")
    said = talk.wait(0.41)
    assert said.sent(DigestAsk)
    assert not said.sent(DigestAsk, talk.peer("p0"))


def test_the_answer_to_an_earlier_asking_of_the_same_question_is_good() -> None:
    talk = quiet()
    asked = shows_other_log(talk, talk.peer("p0")).sent(DigestAsk)[0]
    talk.wait(0.5)
    late = told(asked, leaf_of(1, [("a", 1, 1)], 1))
    ask = talk.hear(talk.peer("p0"), late).sent(PassAsk)[0]
    talk.wait(0.5)
    talk.hear(talk.peer("p0"), Pages(ask.nonce, (page(1, (("a", 1, 1),), 1),), True))
    assert talk.node.log.version(stream(1)) == 1


def test_answers_that_nobody_waits_for_are_dropped() -> None:
    talk = quiet()
    p0 = talk.peer("p0")
    assert talk.hear(p0, Digest(1, 0, 0, (), None)).drops == [Drop.UNASKED]
    assert talk.hear(p0, Pages(1, (page(1, (("a", 1, 1),), 1),), True)).drops == [Drop.UNASKED]
    asked = shows_other_log(talk, p0).sent(DigestAsk)[0]
    elsewhere = Digest(asked.nonce, 1, 5, (), None)
    assert talk.hear(p0, elsewhere).drops == [Drop.UNASKED]
    assert talk.node.log.stream_count == 0


def test_pages_of_other_streams_merge_but_claim_nothing() -> None:
    talk = quiet()
    ask = begin(talk, (leaf_of(1, [("a", 1, 1)], 1),))
    said = talk.hear(talk.peer("p0"), Pages(ask.nonce, (page(2, (("b", 1, 1),), 1),), False))
    assert not said.drops
    assert talk.node.log.value("b") == 1
    assert talk.node.log.version(stream(2)) == 0


def test_pages_of_an_earlier_question_that_complete_everything_end_the_repair() -> None:
    talk = quiet()
    begin(talk, (leaf_of(1, [("a", 1, 1)], 1),))
    talk.hear(talk.peer("p0"), Pages(99, (page(1, (("a", 1, 1),), 1),), True))
    assert not talk.wait(0.5).sent(PassAsk)
    talk.wait(0.6)
    assert shows_other_log(talk, talk.peer("p0")).sent(DigestAsk)


def test_a_full_log_never_completes_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipd.core.state.Log", lambda *_: Log(registers_max=0))
    talk = quiet()
    ask = begin(talk, (leaf_of(1, [("a", 1, 1)], 1),))
    said = talk.hear(talk.peer("p0"), Pages(ask.nonce, (page(1, (("a", 1, 1),), 1),), False))
    assert said.drops == [Drop.STREAMS_FULL]
    assert talk.node.log.version(stream(1)) == 0


def test_more_streams_than_one_question_holds_take_several() -> None:
    talk = quiet()
    leaves = tuple(leaf_of(number, [("a", 1, 1)], 1) for number in range(35))
    ask = begin(talk, leaves)
    assert len(ask.items) == 32
    pages = tuple(page(number, (("a", 1, 1),), 1) for number in range(32))
    again = talk.hear(talk.peer("p0"), Pages(ask.nonce, pages, True)).sent(PassAsk)[0]
    assert [item.stream for item in again.items] == [stream(number) for number in (32, 33, 34)]


# --- what gossip has brought meanwhile -----------------------------------------------------------


def keyed(*seqs: int) -> tuple[KeyRecord, ...]:
    return tuple(KeyRecord(bytes(8) + seq.to_bytes(8, "big"), seq, "a", 1, 0) for seq in seqs)


def told_of(talk: Talk, *seqs: int) -> None:
    """Hear of some events of stream 1 alone, which are far above any other."""
    news = group(1, [("a", 99, 99)], start=98)._replace(keys=keyed(*seqs))
    talk.hear(talk.peer("p0"), Gossip(), groups=[news])


def test_a_pass_asks_for_what_lies_between_the_key_records_that_are_held() -> None:
    talk = quiet()
    told_of(talk, *range(5, 20), *range(30, 50))
    ask = begin(talk, (leaf_of(1, [("a", 99, 99)], 99),))
    gaps = [(item.after, item.until) for item in ask.items]
    assert gaps == [(BEGINNING, 4), ((19, ""), 29), ((49, ""), 0)]
    assert {item.start for item in ask.items} == {0}
    first = page(1, (), 99)._replace(upto=(4, ""), keys=keyed(*range(1, 5)))
    last = page(1, (), 99)._replace(after=(49, ""), keys=keyed(*range(50, 100)))
    talk.hear(talk.peer("p0"), Pages(ask.nonce, (first,), False))
    again = talk.hear(talk.peer("p0"), Pages(ask.nonce, (last,), True)).sent(PassAsk)[0]
    assert [(item.after, item.until) for item in again.items] == [((19, ""), 29), ((99, ""), 0)]
    second = page(1, (), 99)._replace(after=(19, ""), upto=(29, ""), keys=keyed(*range(20, 30)))
    talk.hear(talk.peer("p0"), Pages(again.nonce, (second,), True))
    assert talk.node.log.version(stream(1)) == 99


def test_a_pass_that_skips_is_followed_by_one_with_all_doubles_only_if_it_was_in_vain() -> None:
    talk = quiet()
    told_of(talk, *range(5, 20))
    other = (leaf_of(1, [("a", 99, 99), ("b", 4, 4)], 0),)
    asked = []
    for brings in (True, False, False):
        ask = begin(talk, other)
        asked.append([(item.doubles, item.until) for item in ask.items])
        keys = keyed(3) if brings else ()
        whole = page(1, (), 0)._replace(keys=keys)
        talk.hear(talk.peer("p0"), Pages(ask.nonce, (whole._replace(upto=(4, "")),), False))
        talk.hear(talk.peer("p0"), Pages(ask.nonce, (whole._replace(after=(19, "")),), True))
        talk.wait(1.1)
    assert asked == [[(False, 4), (False, 0)], [(False, 4), (False, 0)], [(True, 0)]]


def test_who_is_told_something_waits_for_the_rest_and_then_not_for_long() -> None:
    talk = quiet()
    ask = begin(talk, (leaf_of(1, [("z", 9, 9)], 9),))
    for number, name in enumerate("abcdefgh"):
        assert not talk.wait(0.09).sent(PassAsk), "the rest is on its way"
        brought = page(1, ((name, number + 1, 1),), 9, after=chr(ord(name) - 1) if number else "")
        talk.hear(talk.peer("p0"), Pages(ask.nonce, (brought._replace(upto=(0, name)),), False))
    assert talk.wait(0.11).sent(PassAsk)[0].items[0].after == (0, "h")


def test_news_on_a_page_that_is_ahead_leads_on() -> None:
    """The first page is lost: what the others brought is not asked for again."""
    talk = quiet()
    ask = begin(talk, (leaf_of(1, [("a", 99, 99)], 99),))
    ahead = page(1, (), 99)._replace(after=(20, ""), upto=(40, ""), keys=keyed(*range(21, 41)))
    again = talk.hear(talk.peer("p0"), Pages(ask.nonce, (ahead,), True)).sent(PassAsk)[0]
    assert [(item.after, item.until) for item in again.items] == [(BEGINNING, 20), ((40, ""), 0)]


# --- doubles and corrections ---------------------------------------------------------------------


def test_doubles_merge_at_once_and_corrections_when_all_registers_are_here() -> None:
    """So whoever counts without a loser has its winner by then."""
    talk = quiet()
    ask = begin(talk, tuple(leaf_of(n, [("a", 5, 5)], 5) for n in (1, 2)))
    folded = Correction("a", 3, 1, 2, 7)
    double = Double("a", 4, 1, stream(1), 4, 0)
    first = page(2, (("a", 5, 5),), 5)._replace(doubles=(double,), corrections=(folded,))
    talk.hear(talk.peer("p0"), Pages(ask.nonce, (first,), False))
    assert (talk.node.log.value("a"), len(talk.node.log.doubles)) == (5, 1)
    said = talk.hear(talk.peer("p0"), Pages(ask.nonce, (page(1, (("a", 5, 5),), 5),), True))
    assert talk.node.log.value("a") == 9
    later = talk.wait(0.1)
    assert talk.node.log.value("a") == 7
    heard = (*said.of(Learned), *later.of(Learned))
    told = (advance.by for learned in heard for advance in learned.advances)
    assert sum(told) == 2


def test_corrections_of_a_repair_that_does_not_end_are_not_used() -> None:
    talk = quiet()
    ask = begin(talk, tuple(leaf_of(n, [("a", 5, 5)], 5) for n in (1, 2)))
    first = page(2, (("a", 5, 5),), 5)._replace(corrections=(Correction("a", 3, 1, 2, 7),))
    talk.hear(talk.peer("p0"), Pages(ask.nonce, (first,), False))
    talk.wait(10.0)
    assert talk.node.log.value("a") == 5


def test_a_peer_that_makes_a_correction_up_hides_nothing_that_another_one_holds() -> None:
    """p0 tells of a digest that makes up for an increment which only p1 holds."""
    talk = quiet()
    whole = Log()
    for register in ((2, "a"), (1, "lacked")):
        whole.merge(stream(register[0]), [(register[1], 5, 5)])
    learn(talk, 2, [("a", 5, 5)])
    missing = sum(whole.sums_below(0, 0)) - sum(talk.node.log.sums_below(0, 0))
    made_up = Correction("a", 5, 0, 0, missing & MASK_64)
    ask = begin(talk, (leaf_of(2, [("a", 5, 6)], 5),))
    told = page(2, (("a", 5, 5),), 0, start=0)._replace(corrections=(made_up,))
    talk.hear(talk.peer("p0"), Pages(ask.nonce, (told,), True))
    talk.wait(1.1)
    assert talk.node.log.doubles.correction(stream(2), "a") == made_up
    shown = Shown(whole.fingerprint, talk.shown.members, True)
    assert talk.hear(talk.peer("p1"), Ping(1, "me", shown)).sent(DigestAsk)


def test_corrections_of_what_is_not_held_are_not_kept() -> None:
    """Or whoever leads a repair on could fill the memory with them."""
    talk = quiet()
    ask = begin(talk, tuple(leaf_of(n, [("a", 5, 5)], 5) for n in (1, 2)))
    first = page(2, (("a", 2, 2),), 5)._replace(corrections=(Correction("a", 3, 1, 1, 7),))
    talk.hear(talk.peer("p0"), Pages(ask.nonce, (first,), False))
    pages = (page(2, (("a", 5, 5),), 5), page(1, (("a", 5, 5),), 5))
    talk.hear(talk.peer("p0"), Pages(ask.nonce, pages, True))
    talk.wait(0.1)
    assert talk.node.log.value("a") == 10


def test_a_page_with_more_keys_than_there_is_room_for_makes_room() -> None:
    talk = Talk(3, settings=Settings(key_limit=1), durable=True)
    talk.settle()
    (save,) = talk.node.save(talk.now)
    assert isinstance(save, Save)
    talk.node.saved(save.changes, talk.now)
    talk.node.expired(talk.now)
    ask = begin(talk, (leaf_of(1, [("a", 9, 9)], 9),))
    keys = tuple(KeyRecord(bytes((n,)) * 16, n, "a", 1, 0) for n in range(1, 6))
    full = page(1, (("a", 9, 9),), 9)._replace(keys=keys)
    said = talk.hear(talk.peer("p0"), Pages(ask.nonce, (full,), False))
    assert said.drops == [Drop.KEYS_FULL]
    assert said.of(SaveWanted)


# --- equal versions, unequal content -------------------------------------------------------------


def test_unequal_hashes_are_passed_over_from_the_version_then_with_doubles_then_from_zero() -> (
    None
):
    talk = quiet()
    learn(talk, 1, [("a", 5, 5)])
    other = (leaf_of(1, [("a", 5, 5), ("b", 4, 4)], 5),)
    asked = []
    for _ in range(5):
        ask = begin(talk, other)
        start, doubles = ask.items[0].start, ask.items[0].doubles
        asked.append((start, doubles))
        empty = page(1, (), 5, start=start)
        talk.hear(talk.peer("p0"), Pages(ask.nonce, (empty,), True))
        talk.wait(1.1)
    assert asked == [(5, False), (5, True), (0, True), (5, True), (5, True)]
    talk.wait(60)
    assert begin(talk, other).items[0].start == 0


def test_a_stream_that_goes_on_and_is_always_unequal_is_asked_for_its_doubles_now_and_then() -> (
    None
):
    """Each pass brings something, so none is in vain; what it skips may be missing still."""
    talk = quiet()
    learn(talk, 1, [("a", 5, 5)])
    asked = []
    for number in range(6, 86):
        ask = begin(talk, (leaf_of(1, [("a", number, number)], number),))
        asked.append(ask.items[0].doubles)
        brought = page(1, (("a", number, number),), number, start=number - 1)
        talk.hear(talk.peer("p0"), Pages(ask.nonce, (brought,), True))
        talk.wait(1.1)
    assert [at for at, doubles in enumerate(asked) if doubles] == [10, 65]
    talk.wait(10)  # in which it was equal
    ask = begin(talk, (leaf_of(1, [("a", 99, 99)], 99),))
    assert not ask.items[0].doubles


def test_a_source_that_is_unequal_for_long_is_asked_from_the_beginning_too() -> None:
    talk = quiet()
    till = source_stream("till-7", "a")
    talk.hear(talk.peer("p0"), Gossip(), groups=[Group(till, 0, 5, (("a", 5, 100),))])
    for _ in range(13):
        ask = begin(talk, (Leaf(till, 5, 77),))
        assert ask.items == (PassItem(till, 0, BEGINNING, True),)
        talk.hear(talk.peer("p0"), Pages(ask.nonce, (Page(till, 0, BEGINNING, END, 5, ()),), True))
        talk.wait(1.1)


def test_one_whose_keys_find_no_room_is_asked_for_behind_the_others() -> None:
    talk = quiet()
    ask = begin(talk, tuple(leaf_of(number, [("a", 9, 9)], 9) for number in (1, 2)))
    first, second = (item.stream for item in ask.items)
    talk.node.log.keys_max = 0
    refused = page(1 if first == stream(1) else 2, (), 9)._replace(keys=keyed(3))
    said = talk.hear(talk.peer("p0"), Pages(ask.nonce, (refused,), False))
    assert Drop.KEYS_FULL in said.drops
    again = talk.wait(0.5).sent(PassAsk)[0]
    assert [item.stream for item in again.items] == [second, first]


def test_a_late_answer_of_a_peer_that_was_left_is_used() -> None:
    talk = quiet()
    asked = shows_other_log(talk, talk.peer("p0")).sent(DigestAsk)[0]
    others = talk.wait(1.3).sent(DigestAsk)
    assert {ask.nonce for ask in others} > {asked.nonce}, "another peer is asked by now"
    late = talk.hear(talk.peer("p0"), told(asked, leaf_of(1, [("a", 5, 5)], 5)))
    assert not late.drops
    assert late.sent(PassAsk)


def test_streams_that_are_equal_again_are_forgotten() -> None:
    talk = quiet()
    for number in 1, 2:
        learn(talk, number, [("a", 5, 5)])
        ask = begin(talk, (leaf_of(number, [("a", 6, 6)], 6),))
        brought = page(number, (("a", 6, 6),), 6, start=5)
        talk.hear(talk.peer("p0"), Pages(ask.nonce, (brought,), True))
        assert tables(talk.node)["parts.repair.differing.unequal"] == 1
        talk.wait(6)
    begin(talk, tuple(leaf_of(number, [("a", 7, 7)], 7) for number in (1, 2)))
    assert tables(talk.node)["parts.repair.differing.unequal"] == 2


def test_a_source_whose_register_differs_is_passed_over_from_the_beginning() -> None:
    talk = quiet()
    till = source_stream("till-7", "a")
    told = Group(till, 0, 5, (("a", 5, 100),))
    talk.hear(talk.peer("p0"), Gossip(), groups=[told])
    assert talk.node.log.version(till) == 5
    ask = begin(talk, (Leaf(till, 5, 77),))
    assert ask.items == (PassItem(till, 0, BEGINNING, True),)


def test_equal_versions_and_equal_hashes_need_no_pass() -> None:
    talk = quiet()
    learn(talk, 1, [("a", 5, 5)])
    asked = shows_other_log(talk, talk.peer("p0")).sent(DigestAsk)[0]
    digest = told(asked, leaf_of(1, [("a", 5, 5)], 5))
    assert not talk.hear(talk.peer("p0"), digest).sent(PassAsk)


# --- the walk ------------------------------------------------------------------------------------


def spread(number: int) -> bytes:
    """Streams whose first bits differ."""
    return (number << 66 | 1).to_bytes(10, "big")


def test_the_walk_goes_only_where_sums_differ() -> None:
    talk = quiet()
    asked = shows_other_log(talk, talk.peer("p0")).sent(DigestAsk)[0]
    sums = tuple(7 if child in (3, 40) else 0 for child in range(64))
    down = talk.hear(talk.peer("p0"), Digest(asked.nonce, 0, 0, None, sums)).sent(DigestAsk)
    assert [(ask.depth, ask.prefix) for ask in down] == [(1, 40), (1, 3)]
    deeper = tuple(9 if child == 0 else 0 for child in range(64))
    said = talk.hear(talk.peer("p0"), Digest(asked.nonce, 1, 40, None, deeper))
    assert not said.sent(DigestAsk), "the step is not over"
    said = talk.hear(talk.peer("p0"), Digest(asked.nonce, 1, 3, (), None))
    assert [(ask.depth, ask.prefix) for ask in said.sent(DigestAsk)] == [(2, 40 << 6)]


def test_a_step_asks_again_only_for_what_is_missing_and_passes_begin_while_it_walks() -> None:
    talk = quiet()
    p0 = talk.peer("p0")
    asked = shows_other_log(talk, p0).sent(DigestAsk)[0]
    sums = tuple(7 if child in (3, 40) else 0 for child in range(64))
    talk.hear(p0, Digest(asked.nonce, 0, 0, None, sums))
    talk.hear(p0, replace(told(asked, leaf_of(1, [("a", 1, 1)], 1)), depth=1, prefix=3))
    said = talk.wait(0.41)
    assert [(ask.depth, ask.prefix) for ask in said.sent(DigestAsk, p0)] == [(1, 40)]
    assert [item.stream for item in said.sent(PassAsk, p0)[0].items] == [stream(1)]


def test_pages_that_bring_nothing_do_not_lead_on_for_ever() -> None:
    talk = quiet(peers=1)
    ask = begin(talk, (leaf_of(1, [("a", 1, 1)], 1),))
    for useless in ((), (page(1, (("a", 1, 1),), 1, start=5),)):
        assert not talk.hear(talk.peer("p0"), Pages(ask.nonce, useless, True)).sent(PassAsk)
    assert len(talk.wait(10).sent(PassAsk)) == 2, "as often as if nothing came, then no more"


def test_a_stream_without_a_version_is_passed_over_from_the_beginning() -> None:
    talk = quiet()
    talk.hear(talk.peer("p0"), Gossip(), groups=[group(1, [("b", 9, 9)], start=5)])
    assert talk.node.log.version(stream(1)) == 0
    ask = begin(talk, (leaf_of(1, [("a", 3, 3)], 0),))
    assert ask.items == (PassItem(stream(1), 0, BEGINNING),)


def test_a_walk_that_two_peers_answered_does_not_make_ready() -> None:
    talk = Talk(peers=2, alone=False)
    talk.settle()
    p0, p1 = talk.peer("p0"), talk.peer("p1")
    shows_other_log(talk, p1)
    shows_other_log(talk, p0)
    asked = talk.wait(1.3).sent(DigestAsk)
    assert len({ask.nonce for ask in asked}) == 2, "one peer was silent, another is asked"
    assert not talk.hear(p0, Digest(asked[-1].nonce, 0, 0, (), None)).drops
    assert not talk.node.ready


def test_no_peer_can_lead_a_walk_on_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipd.core.repair.log_repair.DIGESTS_MAX", 40)
    talk = quiet(peers=1)
    p0 = talk.peer("p0")
    open_ = shows_other_log(talk, p0).sent(DigestAsk)
    answered = 0
    while open_ and answered < 100:
        ask = open_.pop()
        sums = (7,) * 64
        said = talk.hear(p0, Digest(ask.nonce, ask.depth, ask.prefix, None, sums))
        open_ += said.sent(DigestAsk)
        answered += not said.drops
    assert answered == 40
    assert not talk.wait(5).sent(DigestAsk)


def test_no_prefixes_are_asked_for_while_there_is_much_to_pass_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gossipd.core.repair.log_repair.PASSES_MAX", 1)
    talk = quiet()
    p0 = talk.peer("p0")
    asked = shows_other_log(talk, p0).sent(DigestAsk)[0]
    sums = tuple(7 if child in (3, 40) else 0 for child in range(64))
    talk.hear(p0, Digest(asked.nonce, 0, 0, None, sums))
    talk.hear(p0, replace(told(asked, leaf_of(1, [("a", 1, 1)], 1)), depth=1, prefix=3))
    said = talk.wait(0.41)
    assert not said.sent(DigestAsk)
    done = Pages(asked.nonce, (page(1, (("a", 1, 1),), 1),), True)
    (ask,) = talk.hear(p0, done).sent(DigestAsk)
    assert (ask.depth, ask.prefix) == (1, 40)


def test_a_node_that_is_not_ready_makes_no_news_of_what_it_pulls() -> None:
    talk = Talk(peers=1, alone=False)
    talk.settle()
    ask = begin(talk, (leaf_of(1, [("a", 1, 1)], 1),))
    talk.hear(talk.peer("p0"), Pages(ask.nonce, (page(1, (("a", 1, 1),), 1),), True))
    assert talk.node.log.version(stream(1)) == 1
    assert not [g for said in talk.wait(1).envelopes() for g in said.groups]


def test_who_is_equal_does_not_keep_a_stream_from_being_passed_over_deeply() -> None:
    """Three nodes hold three logs, two of them the same of this stream, and are asked by turns."""
    talk = quiet()
    learn(talk, 1, [("a", 5, 5)])
    other = (leaf_of(1, [("a", 5, 5), ("b", 4, 4)], 5),)
    same = (leaf_of(1, [("a", 5, 5)], 5),)
    starts = []
    for leaves in (other, same, other, same, other, same, other):
        asked = shows_other_log(talk, talk.peer("p0")).sent(DigestAsk)[0]
        said = talk.hear(talk.peer("p0"), told(asked, *leaves))
        for ask in said.sent(PassAsk):
            starts.append(ask.items[0].start)
            empty = page(1, (), 5, start=ask.items[0].start)
            talk.hear(talk.peer("p0"), Pages(ask.nonce, (empty,), True))
        talk.wait(1.1)
    assert starts == [5, 5, 0, 5]


def test_what_has_changed_is_passed_over_from_its_version_again() -> None:
    talk = quiet()
    learn(talk, 1, [("a", 5, 5)])
    asked = []
    for total in (5, 6, 7):
        learn(talk, 1, [("a", 5, total)])
        other = (leaf_of(1, [("a", 5, total), ("b", 4, 4)], 5),)
        ask = begin(talk, other)
        asked.append((ask.items[0].start, ask.items[0].doubles))
        talk.hear(talk.peer("p0"), Pages(ask.nonce, (page(1, (), 5, start=5),), True))
        talk.wait(1.1)
    assert asked == [(5, False)] * 3


def test_nothing_is_remembered_of_streams_that_a_peer_makes_up() -> None:
    talk = quiet()
    learn(talk, 1, [("a", 5, 5)])
    for number in range(2, 30):
        ask = begin(talk, (Leaf(stream(number), 0, 77),))
        assert ask.items == (PassItem(stream(number), 0, BEGINNING, True),)
        talk.hear(talk.peer("p0"), Pages(ask.nonce, (page(number, (), 0),), True))
        talk.wait(1.1)
    found = {
        path: size for path, size in tables(talk.node).items() if path.startswith("parts.repair")
    }
    assert not any(found.values()), found


def test_only_prefixes_that_were_asked_for_are_answered() -> None:
    """A peer that tells of more, unasked, would make a list grow that has no end."""
    talk = quiet(peers=1)
    asked = shows_other_log(talk, talk.peer("p0")).sent(DigestAsk)[0]
    said = talk.hear(talk.peer("p0"), Digest(asked.nonce, 0, 0, None, (7,) * 64))
    wanted = {ask.prefix for ask in said.sent(DigestAsk)}
    others = sorted(set(range(64)) - wanted)
    for prefix in others:
        unasked = talk.hear(talk.peer("p0"), Digest(asked.nonce, 1, prefix, None, (7,) * 64))
        assert unasked.drops == [Drop.UNASKED]
    assert tables(talk.node)["parts.repair.prefixes"] == 64


def test_a_peer_that_always_differs_does_not_keep_others_from_being_repaired_with() -> None:
    """p0 is the one that shows itself as soon as the next repair may begin."""
    talk = quiet(peers=2, settings=Settings(pull_interval=0.001))
    asked = []
    for _ in range(6):
        said = shows_other_log(talk, talk.peer("p0"))
        shows_other_log(talk, talk.peer("p1"), log=77)
        peer = "p0" if said.sent(DigestAsk, talk.peer("p0")) else "p1"
        asked.append(peer)
        nonce = said.sent(DigestAsk)[0].nonce
        talk.hear(talk.peer(peer), Digest(nonce, 0, 0, (), None))
        talk.wait(0.002)
    assert asked == ["p0", "p1"] * 3


def led(talk: Talk, said: Said) -> str:
    """With whom a repair begins; it finds nothing."""
    (asked,) = (
        sent for sent in said.of(Send) if isinstance(envelope(sent.data).message, DigestAsk)
    )
    ask = envelope(asked.data).message
    assert isinstance(ask, DigestAsk)
    (peer,) = (peer for peer in talk.peers.values() if peer.address == asked.to)
    talk.hear(peer, Digest(ask.nonce, 0, 0, (), None))
    return peer.name


def test_who_speaks_up_under_several_names_is_not_the_only_one_to_be_asked() -> None:
    """p2 speaks once, when a repair runs."""
    talk = quiet(peers=3, settings=Settings(pull_interval=0.001))
    asked: list[str] = []
    for number in range(5 * (LED_MAX + 1)):
        said = shows_other_log(talk, talk.peer(f"p{number % 2}"))
        shows_other_log(talk, talk.peer("p2"), log=77)
        asked.append(led(talk, said))
        talk.wait(0.002)
    assert "p2" in asked
    assert asked.count("p2") <= 5


def test_who_always_is_in_a_hurry_is_not_the_only_one_to_be_asked() -> None:
    talk = quiet(peers=2)
    talk.peer("p1").shown = Shown(77, 1, True)
    led(talk, shows_other_log(talk, talk.peer("p1")))
    hold = Hold(5, (group(1, [("a", 9, 1)], start=8, to=8),))
    asked = [led(talk, talk.hear(talk.peer("p0"), hold)) for _ in range(6)]
    assert asked == 3 * ["p0", "p1"]


def test_who_answers_on_and_on_is_left_for_another_peer() -> None:
    talk = quiet(peers=2)
    ask = begin(talk, (leaf_of(1, [("a", 9, 9)], 9), leaf_of(2, [("a", 9, 9)], 9)))
    began = talk.now
    for number in range(400):
        after, upto = ((0, f"c{each:03}") for each in (number, number + 1))
        between = page(1, ((upto[1], 9, 9),), 9)._replace(upto=upto)
        between = between._replace(after=after if number else BEGINNING)
        said = talk.hear(talk.peer("p0"), Pages(ask.nonce, (between,), False))
        if said.sent(PassAsk, talk.peer("p1")):
            break
        talk.wait(0.1)
    assert PEER_SECONDS < talk.now - began < PEER_SECONDS + 1
    (asked,) = said.sent(PassAsk, talk.peer("p1"))
    assert asked.items[0].after == upto, "the other one goes on from there"


def test_nobody_is_left_where_there_is_no_other_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipd.core.repair.log_repair.PEER_SECONDS", 0.0)
    talk = quiet(peers=1)
    ask = begin(talk, (leaf_of(1, [("a", 9, 9)], 9),))
    first = page(1, (("a", 9, 9),), 9)._replace(upto=(0, "a"))
    again = talk.hear(talk.peer("p0"), Pages(ask.nonce, (first,), True)).sent(PassAsk)[0]
    assert again.items[0].after == (0, "a")
    rest = page(1, (), 9)._replace(after=(0, "a"))
    talk.hear(talk.peer("p0"), Pages(again.nonce, (rest,), True))
    assert talk.node.log.version(stream(1)) == 9


def test_a_walk_that_takes_long_goes_on_with_another_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipd.core.repair.log_repair.PEER_SECONDS", 0.0)
    talk = quiet(peers=2)
    asked = shows_other_log(talk, talk.peer("p0")).sent(DigestAsk)[0]
    said = talk.hear(talk.peer("p0"), Digest(asked.nonce, 0, 0, None, (7,) * 64))
    assert said.sent(DigestAsk, talk.peer("p1"))
    assert not said.sent(DigestAsk, talk.peer("p0"))


def test_a_step_asks_for_a_bounded_number_of_prefixes() -> None:
    talk = quiet()
    asked = shows_other_log(talk, talk.peer("p0")).sent(DigestAsk)[0]
    said = talk.hear(talk.peer("p0"), Digest(asked.nonce, 0, 0, None, (7,) * 64))
    assert len(said.sent(DigestAsk)) == 16


def test_sums_below_the_deepest_level_are_no_answer_to_walk_on() -> None:
    talk = quiet(peers=1)
    p0 = talk.peer("p0")
    ask = shows_other_log(talk, p0).sent(DigestAsk)[0]
    for _ in range(12):
        sums = tuple(7 if child == 0 else 0 for child in range(64))
        ask = talk.hear(p0, Digest(ask.nonce, ask.depth, ask.prefix, None, sums)).sent(DigestAsk)[
            0
        ]
    last = Digest(ask.nonce, ask.depth, ask.prefix, None, (7,) * 64)
    assert not talk.hear(p0, last).sent(DigestAsk)


def hold_many(talk: Talk, count: int) -> None:
    for number in range(count):
        news = group(1, [("a", 1, 1)])._replace(stream=spread(number))
        talk.hear(talk.peer("p0"), Gossip(), groups=[news])


def test_few_streams_are_told_as_leaves_and_many_as_sums() -> None:
    talk = quiet()
    hold_many(talk, 20)
    p0 = talk.peer("p0")
    (few,) = talk.hear(p0, DigestAsk(5, 0, 0, 1200)).sent(Digest, p0)
    assert few.leaves is not None
    assert [leaf.stream for leaf in few.leaves] == [spread(number) for number in range(20)]
    hold_many(talk, 200)
    (many,) = talk.hear(p0, DigestAsk(5, 0, 0, 1200)).sent(Digest, p0)
    assert many.sums is not None
    assert many.sums == talk.node.log.sums_shown(0, 0, 5)
    (below,) = talk.hear(p0, DigestAsk(6, 1, 1, 1200)).sent(Digest, p0)
    assert below.leaves is not None
    assert len(below.leaves) == 4


# --- answering passes ----------------------------------------------------------------------------


def holding_200_counters() -> tuple[Talk, list[Register]]:
    talk = quiet()
    registers: list[Register] = [(f"counter-{n:03}", n + 1, n) for n in range(200)]
    for first in range(0, 200, 20):
        part = group(1, registers[first : first + 20], start=first)
        talk.hear(talk.peer("p0"), Gossip(), groups=[part])
    return talk, registers


def test_a_pass_is_answered_with_pages_by_name() -> None:
    talk, registers = holding_200_counters()
    ask = PassAsk(5, (PassItem(stream(1), 0, BEGINNING),), 32, 1200)
    said = [*talk.hear(talk.peer("p0"), ask).timed, *talk.wait(0.01).timed]
    answers = Said(said).sent(Pages, talk.peer("p0"))
    pages = [page for answer in answers for page in answer.pages]
    assert len(pages) > 3
    assert [a.last for a in answers] == [False] * (len(answers) - 1) + [True]
    assert [r for p in pages for r in p.registers] == registers
    assert [p.after for p in pages[1:]] == [p.upto for p in pages[:-1]]


def test_only_as_many_pages_as_asked_are_sent_and_of_the_size_asked() -> None:
    talk, _ = holding_200_counters()
    talk.wait(2)
    ask = PassAsk(5, (PassItem(stream(1), 0, (0, "counter-004")),), 2, DATAGRAM_SIZE_FLOOR)
    said = talk.hear(talk.peer("p0"), ask)
    answers = said.sent(Pages)
    assert len(answers) == 2
    assert answers[0].pages[0].registers[0][0] == "counter-005"
    assert said.bytes_to(talk.peer("p0").address) <= 2 * DATAGRAM_SIZE_FLOOR
