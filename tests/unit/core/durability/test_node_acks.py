"""How a node finds out that enough others hold an increment durably."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest

from gossipd.core import (
    Copies,
    Drop,
    SaveWanted,
    Settings,
    Status,
    Stream,
)
from gossipd.core.durability import acks
from gossipd.core.durability.acks import ASKS_MAX, LOOKED_MAX, SPARE, CopiesWanted
from gossipd.core.durability.waiters import ENDS_MAX
from gossipd.core.log.log import Log
from gossipd.core.turn import Turn
from gossipd.core.wire.messages import (
    HOLD_GROUPS_MAX,
    Ack,
    Held,
    Hold,
    Ping,
)
from tests.inside import copies
from tests.unit.core.talk import (
    Peer,
    Said,
    Talk,
    group,
    stream,
)


class Asker(Talk):
    """A node that has made increments, and whose peers answer a Hold when the test says so."""

    def __init__(self, peers: int = 2, durable: bool = True, settings: Settings | None = None):
        super().__init__(peers=peers, durable=durable, settings=settings)
        self.settle()
        self.store_all()
        self.tokens = 0

    @property
    def stream(self) -> Stream:
        """The node's own."""
        made = self.node.stream
        assert made is not None
        return made

    def want(
        self,
        copies: int,
        seq: int | None = None,
        of: Stream | None = None,
        memory: bool = False,
        seconds: float = 2.0,
    ) -> Said:
        """Wait for copies of an event, by default the newest own one."""
        self.tokens += 1
        of = self.stream if of is None else of
        seq = self.node.log.version(of) if seq is None else seq
        until = self.now + seconds
        effects = self.node.await_copies(
            self.tokens, of, seq, copies, until, self.now, memory=memory
        )
        return self._done(effects)

    def counted(self, copies: int, memory: bool = False) -> tuple[Said, list[Copies]]:
        """Make an increment and wait for copies of it."""
        self.increment()
        said = self.want(copies, memory=memory)
        return said, said.of(Copies)

    def asked(self, said: Said) -> dict[str, list[Hold]]:
        """The questions to each peer that was asked."""
        found = {peer.name: said.sent(Hold, peer) for peer in self.peers.values()}
        return {name: holds for name, holds in found.items() if holds}

    def confirm(
        self,
        name: str,
        hold: Hold,
        version: int = 0,
        durable: bool = True,
        leaving: bool = False,
    ) -> Said:
        versions = tuple((g.stream, version) for g in hold.groups)
        return self.hear(self.peer(name), Held(hold.nonce, leaving, versions, durable))


def one_asked(talk: Asker, said: Said) -> tuple[str, Hold]:
    asked = talk.asked(said)
    assert asked, "nobody was asked"
    name = next(iter(asked))
    return name, asked[name][-1]


# --- what counts ---------------------------------------------------------------------------------


def test_one_copy_is_the_own_one_and_nobody_is_asked() -> None:
    talk = Asker()
    said, done = talk.counted(1)
    assert done == [Copies(1, 1, True)]
    assert not said.sent(Hold)


def test_two_copies_are_there_when_one_peer_has_confirmed() -> None:
    talk = Asker()
    said, done = talk.counted(2)
    assert not done
    name, hold = one_asked(talk, said)
    assert [(g.stream, g.start, g.to, g.registers) for g in hold.groups] == [
        (talk.stream, 0, 1, (("hits", 1, 1),))
    ]
    assert talk.confirm(name, hold).of(Copies) == [Copies(1, 2, True)]


def test_as_many_peers_are_asked_as_are_needed_and_a_spare_one() -> None:
    talk = Asker(peers=6)
    said, _ = talk.counted(3)
    assert len(talk.asked(said)) == 2 + SPARE


def test_one_peer_that_confirms_twice_is_one_copy() -> None:
    talk = Asker()
    said, _ = talk.counted(3)
    name, hold = one_asked(talk, said)
    again = talk.wait(0.15).sent(Hold, talk.peer(name))
    for question in (hold, *again):
        assert not talk.confirm(name, question).of(Copies)
    assert copies(talk.node, 1) == 2


def test_a_later_register_of_the_counter_holds_the_earlier_event() -> None:
    talk = Asker()
    talk.increment(times=3)
    talk.increment("other")
    name, hold = one_asked(talk, talk.want(2, seq=2))
    assert [(g.start, g.to, g.registers) for g in hold.groups] == [
        (1, 4, (("other", 4, 1), ("hits", 3, 3)))
    ]
    assert talk.confirm(name, hold).of(Copies) == [Copies(1, 2, True)]


def test_what_a_confirmed_question_did_not_contain_is_not_held() -> None:
    talk = Asker(peers=1)
    said, _ = talk.counted(2)
    name, hold = one_asked(talk, said)
    talk.counted(2)
    said = talk.confirm(name, hold)
    assert said.of(Copies) == [Copies(1, 2, True)]
    again = talk.wait(0.01)
    name, hold = one_asked(talk, again)
    assert [(g.start, g.to) for g in hold.groups] == [(1, 2)]
    assert talk.confirm(name, hold).of(Copies) == [Copies(2, 2, True)]


def test_a_durable_version_holds_everything_below_it() -> None:
    talk = Asker(peers=1)
    said, _ = talk.counted(2)
    name, hold = one_asked(talk, said)
    talk.counted(2)
    talk.counted(2)
    said = talk.confirm(name, hold, version=2)
    assert said.of(Copies) == [Copies(1, 2, True), Copies(2, 2, True)]


def test_an_older_event_than_was_asked_for_is_asked_for_too() -> None:
    talk = Asker(peers=1)
    talk.increment(times=9)
    name, hold = one_asked(talk, talk.want(3, seq=8))
    talk.confirm(name, hold)
    assert copies(talk.node, 1) == 2
    talk.wait(0.01)
    said = talk.want(2, seq=3)
    assert not said.of(Copies), "only what is newer is held there"
    name, hold = one_asked(talk, said)
    assert [(g.start, g.to) for g in hold.groups] == [(2, 9)]
    assert talk.confirm(name, hold).of(Copies) == [Copies(2, 2, True)]


def test_a_copy_in_memory_counts_where_that_is_wanted_only() -> None:
    talk = Asker(peers=1)
    talk.increment()
    talk.want(2)
    said = talk.want(2, memory=True)
    name, hold = one_asked(talk, Said([*said.timed, *talk.wait(0.2).timed]))
    assert talk.confirm(name, hold, durable=False).of(Copies) == [Copies(2, 2, True)]
    assert copies(talk.node, 1) == 1


def test_peers_that_keep_things_in_memory_are_passed_over_for_others() -> None:
    talk = Asker(peers=4)
    said, _ = talk.counted(2)
    asked = talk.asked(said)
    for name, holds in asked.items():
        said = talk.confirm(name, holds[-1], durable=False)
    others = set(talk.asked(said)) - set(asked)
    assert others
    name, hold = one_asked(talk, said)
    assert talk.confirm(name, hold).of(Copies) == [Copies(1, 2, True)]


def test_a_node_without_a_disk_is_no_durable_copy_itself() -> None:
    talk = Asker(durable=False)
    said, done = talk.counted(1)
    assert not done
    asked = talk.asked(said)
    assert len(asked) == 1 + SPARE
    name, hold = one_asked(talk, said)
    assert talk.confirm(name, hold).of(Copies) == [Copies(1, 1, True)]
    said, done = talk.counted(1, memory=True)
    assert done == [Copies(2, 1, True)]


def test_who_is_leaving_is_no_copy_and_is_not_asked_again() -> None:
    talk = Asker(peers=2)
    said, _ = talk.counted(3)
    asked = talk.asked(said)
    gone, stays = asked
    assert not talk.confirm(gone, asked[gone][0], leaving=True).of(Copies)
    assert not talk.confirm(stays, asked[stays][0]).of(Copies)
    assert gone not in talk.asked(talk.wait(1))
    assert talk.wait(2).of(Copies) == [Copies(1, 2, False)]


@pytest.mark.parametrize("status", [Status.FAILED, Status.LEFT])
def test_who_is_gone_is_no_copy_any_more(status: Status) -> None:
    talk = Asker(peers=2)
    said, _ = talk.counted(3)
    name, hold = one_asked(talk, said)
    talk.confirm(name, hold)
    assert copies(talk.node, 1) == 2
    talk.peer(name).answers = False
    talk.condemn(name, status)
    assert copies(talk.node, 1) == 1


def test_what_an_earlier_life_of_a_peer_told_is_gone_with_it() -> None:
    talk = Asker(peers=2)
    said, _ = talk.counted(3)
    asked = talk.asked(said)
    (one, [first]), (two, [second]) = asked.items()
    talk.confirm(one, first)
    for name in (one, two):
        peer = talk.peer(name)
        peer.generation += 1
        talk.admit(peer)
    assert copies(talk.node, 1) == 1
    late = talk.confirm(two, second)
    assert Drop.UNASKED in late.drops
    assert not late.of(Copies)
    again = talk.asked(talk.wait(0.2))
    talk.confirm(one, again[one][-1])
    assert talk.confirm(two, again[two][-1]).of(Copies) == [Copies(1, 3, True)]


def test_a_confirmation_that_nobody_asked_for_is_dropped() -> None:
    talk = Asker()
    talk.counted(2)
    assert talk.hear(talk.peer("p0"), Held(1, False, (), True)).drops == [Drop.UNASKED]


def test_a_confirmation_of_other_streams_is_of_no_use() -> None:
    talk = Asker()
    said, _ = talk.counted(3)
    name, hold = one_asked(talk, said)
    said = talk.hear(talk.peer(name), Held(hold.nonce, False, ((stream(9), 9),), True))
    assert copies(talk.node, 1) == 2
    assert not said.of(Copies)


# --- time ----------------------------------------------------------------------------------------


def test_when_the_time_is_over_it_is_told_how_many_there_are() -> None:
    talk = Asker(peers=2)
    said, _ = talk.counted(3)
    name, hold = one_asked(talk, said)
    talk.confirm(name, hold)
    assert not talk.wait(1.99).of(Copies)
    assert talk.wait(0.02).of(Copies) == [Copies(1, 2, False)]
    assert not talk.wait(5).sent(Hold), "nobody waits any more"


def test_what_is_there_when_the_time_is_over_is_enough() -> None:
    talk = Asker()
    talk.want(1, of=stream(1), seq=1, memory=True, seconds=0.05)
    talk.hear_news(group(1, [("a", 1, 1)]))
    assert talk.wait(0.06).of(Copies) == [Copies(1, 1, True)]


def test_a_wish_that_is_given_up_is_never_told_of() -> None:
    talk = Asker(peers=1)
    talk.increment()
    talk.want(2, seconds=60)
    talk.want(2, seconds=1)
    talk.node.give_up(2)
    assert not talk.wait(2).of(Copies)
    assert copies(talk.node, 1) == 1


def test_nobody_is_asked_once_the_last_wish_is_given_up() -> None:
    talk = Asker(peers=1)
    talk.increment()
    assert talk.want(2, seconds=60).sent(Hold)
    talk.node.give_up(1)
    assert not talk.wait(5).sent(Hold)


def test_a_wish_whose_copies_came_unnoticed_ends_in_time_with_enough() -> None:
    talk = Asker()
    talk.want(1, of=stream(1), seq=1, memory=True, seconds=0.01)
    talk.want(1, of=stream(1), seq=2, memory=True, seconds=0.01)
    talk.hear_news(group(1, [("a", 1, 1)]))
    assert talk.wait(0.02).of(Copies) == [Copies(1, 1, True), Copies(2, 0, False)]


def test_a_silent_peer_is_asked_again_and_others_before_it() -> None:
    talk = Asker(peers=4)
    said, _ = talk.counted(2)
    silent = set(talk.asked(said))
    assert len(silent) == 1 + SPARE
    others = talk.asked(talk.wait(0.11))
    assert set(others) == set(talk.peers) - silent
    later = talk.asked(talk.wait(0.11))
    assert set(later) == silent


def test_who_stays_silent_is_asked_less_and_less_often() -> None:
    talk = Asker(peers=1)
    talk.increment()
    times = talk.want(2, seconds=60).times(Hold) + talk.wait(20).times(Hold)
    pauses = [after - before for before, after in pairwise(times)]
    assert pauses[:4] == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert pauses[4:] == pytest.approx([1.0] * len(pauses[4:]))
    assert len(pauses) > 10


def test_a_far_peer_is_given_three_round_trips() -> None:
    talk = Asker(peers=1, settings=Settings(probe_timeout=0.5))
    far = talk.peer("p0")
    far.answers = False
    under_way: list[tuple[float, int]] = []
    for _ in range(2000):
        under_way += [(talk.now + 0.2, ping.nonce) for ping in talk.wait(0.01).sent(Ping, far)]
        if under_way and under_way[0][0] <= talk.now:
            talk.hear(far, Ack(under_way.pop(0)[1], talk.shown))
    trip = talk.node.round_trip("p0")
    assert trip is not None
    assert trip > 0.1
    talk.increment()
    asked = talk.want(2, seconds=60).times(Hold) + talk.wait(3 * trip + 0.05).times(Hold)
    assert [at - asked[0] for at in asked] == pytest.approx([0.0, 3 * trip])


def test_a_slow_disk_may_answer_late_but_not_for_ever() -> None:
    talk = Asker(peers=1)
    talk.increment()
    holds = talk.want(2, seconds=60).sent(Hold) + talk.wait(12).sent(Hold)
    assert len(holds) > ASKS_MAX
    assert Drop.UNASKED in talk.confirm("p0", holds[0]).drops
    assert talk.confirm("p0", holds[-ASKS_MAX]).of(Copies) == [Copies(1, 2, True)]


def test_the_late_answer_of_a_spare_peer_is_no_mistake() -> None:
    talk = Asker(peers=2)
    said, _ = talk.counted(2)
    (one, [first]), (two, [second]) = talk.asked(said).items()
    assert talk.confirm(one, first).of(Copies)
    late = talk.confirm(two, second)
    assert not late.drops
    assert not late.of(Copies)


def test_who_joins_meanwhile_is_asked() -> None:
    talk = Asker(peers=1)
    said, _ = talk.counted(3)
    talk.confirm("p0", talk.asked(said)["p0"][0])
    talk.admit(Peer("p1", ("10.0.1.9", 7946)))
    asked = talk.asked(talk.wait(0.11))
    assert set(asked) == {"p1"}
    assert talk.confirm("p1", asked["p1"][0]).of(Copies) == [Copies(1, 3, True)]


def test_what_the_own_disk_does_not_have_yet_is_waited_for() -> None:
    talk = Asker()
    news = group(1, [("a", 1, 1)])
    talk.hear_news(news)
    said = talk.want(2, of=stream(1))
    assert said.of(SaveWanted)
    name, hold = one_asked(talk, said)
    assert not talk.confirm(name, hold).of(Copies)
    assert talk.store_all().of(Copies) == [Copies(1, 2, True)]


def test_what_is_not_held_here_is_not_asked_for_until_it_is() -> None:
    talk = Asker()
    said = talk.want(2, of=stream(1), seq=1)
    assert not said.of(SaveWanted)
    assert not Said([*said.timed, *talk.wait(0.5).timed]).sent(Hold)
    talk.hear_news(group(1, [("a", 1, 1)]))
    assert talk.wait(0.11).sent(Hold)


# --- many at once --------------------------------------------------------------------------------


def test_a_thousand_wishes_take_one_question_a_peer() -> None:
    talk = Asker(peers=1)
    talk.increment(times=1000)
    asked = [hold for seq in range(1, 1001) for hold in talk.want(2, seq=seq).sent(Hold)]
    assert len(asked) == 1
    said = talk.confirm("p0", asked[0])
    assert len(said.of(Copies)) == ENDS_MAX, "the others a moment later"
    told = said.of(Copies) + talk.wait(0.02).of(Copies)
    assert told == [Copies(token, 2, True) for token in range(1, 1001)]


def waiting_for(count: int) -> Asker:
    """For copies of as many streams."""
    talk = Asker(peers=1)
    for begin in range(0, count, 20):
        talk.hear_news(*(group(begin + number, [("a", 1, 1)]) for number in range(20)))
    talk.store_all()
    for number in range(count):
        talk.want(2, of=stream(number), seconds=60)
    return talk


def looks(count: int, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often a node looks at the log while somebody waits for so many streams that are held,
    and as many that are not."""
    looked: Counter[str] = Counter()
    talk = waiting_for(count)
    (hold,) = talk.wait(0.15).sent(Hold)[-1:]
    for number in range(count, 2 * count):
        talk.want(2, of=stream(number), seq=1, seconds=60)
    for number in range(count):
        talk.node.give_up(number + 1)
        talk.want(2, of=stream(number), seconds=60)
    with monkeypatch.context() as patch:
        for name in ("version", "durable"):
            patch.setattr(Log, name, counted(getattr(Log, name), name, looked))
        talk.want(2, of=stream(0), seconds=60)
        talk.confirm("p0", hold)
        talk.wait(0.2)
    return looked


def counted(
    sound: Callable[[Log, Stream], int], name: str, looked: Counter[str]
) -> Callable[[Log, Stream], int]:
    def look(log: Log, of: Stream) -> int:
        looked[name] += 1
        return sound(log, of)

    return look


@pytest.mark.untraced
def test_an_input_looks_at_what_it_changes_however_many_streams_are_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked = looks(40 * LOOKED_MAX, monkeypatch)
    assert looked.keys() == {"version", "durable"}
    assert max(looked.values()) < 40 * LOOKED_MAX, "in several inputs"


def test_of_many_streams_that_are_stored_at_once_some_are_looked_at_in_each_input(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    talk = Asker(peers=1)
    count = 3 * LOOKED_MAX
    for number in range(count):
        talk.want(1, of=stream(number), seq=1, seconds=60)
    talk.wait(0.5)
    for begin in range(0, count, 20):
        talk.hear_news(*(group(begin + number, [("a", 1, 1)]) for number in range(20)))
    looked: list[float] = []
    sound = CopiesWanted._grant

    def grant(self: CopiesWanted, of: Stream, most: int, turn: Turn) -> int:
        looked.append(turn.now)
        return sound(self, of, most, turn)

    monkeypatch.setattr(CopiesWanted, "_grant", grant)
    monkeypatch.setattr(acks, "ENDS_MAX", 10 * count)
    told = talk.stored(talk.take(count)).of(Copies)
    assert len(told) == len(looked) == LOOKED_MAX
    told += talk.wait(0.01).of(Copies)
    assert {copies.token for copies in told} == set(range(1, count + 1))
    assert max(Counter(looked).values()) == LOOKED_MAX


def test_what_may_have_changed_unnoticed_has_its_turn_once_all_that_has_changed_was_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else there would always be more to look at, a millisecond later."""
    talk = Asker(peers=1)
    count = 3 * LOOKED_MAX
    for number in range(count):
        talk.want(2, of=stream(number), seq=1, seconds=60)
    for begin in range(0, count, 20):
        talk.hear_news(*(group(begin + number, [("a", 1, 1)]) for number in range(20)))
    looked: list[Stream] = []
    sound = CopiesWanted._grant

    def grant(self: CopiesWanted, of: Stream, most: int, turn: Turn) -> int:
        looked.append(of)
        return sound(self, of, most, turn)

    monkeypatch.setattr(CopiesWanted, "_grant", grant)
    talk.stored(talk.take(count))
    assert not talk.wait(1.0).of(Copies)
    assert set(Counter(looked)) == set(map(stream, range(count)))
    assert len(looked) < 50 * LOOKED_MAX


def test_however_many_streams_are_waited_for_each_has_its_turn() -> None:
    talk = waiting_for(3 * LOOKED_MAX)
    told: list[Copies] = []
    for _ in range(300):
        said = talk.wait(0.02)
        told += said.of(Copies)
        for hold in said.sent(Hold):
            told += talk.confirm("p0", hold).of(Copies)
    assert {copies.token for copies in told} == set(range(1, 3 * LOOKED_MAX + 1))


def test_many_that_are_not_held_here_do_not_hold_up_one_that_is() -> None:
    talk = Asker(peers=1)
    for number in range(3 * LOOKED_MAX):
        talk.want(2, of=stream(number + 1), seq=1, seconds=60)
    talk.increment()
    said = talk.want(2)
    name, hold = one_asked(talk, Said([*said.timed, *talk.wait(0.2).timed]))
    assert talk.confirm(name, hold).of(Copies) == [Copies(talk.tokens, 2, True)]


def test_what_has_come_to_be_held_here_is_noticed_for_all_of_many_streams() -> None:
    talk = Asker(peers=1)
    count = 3 * LOOKED_MAX
    for number in range(count):
        talk.want(1, of=stream(number), seq=1, memory=True, seconds=60)
    for begin in range(0, count, 20):
        talk.hear_news(*(group(begin + number, [("a", 1, 1)]) for number in range(20)))
    assert len(talk.wait(1).of(Copies)) == count


def test_questions_to_a_peer_that_answers_keep_their_pace() -> None:
    talk = Asker(peers=1)
    asked = 0
    for _ in range(100):
        said, _ = talk.counted(2)
        later = talk.wait(0.001)
        for hold in said.sent(Hold) + later.sent(Hold):
            asked += 1
            talk.confirm("p0", hold)
    assert 25 <= asked <= 60


def test_what_a_question_has_no_room_for_is_held_by_the_version() -> None:
    talk = Asker(peers=1)
    for number in range(200):
        talk.increment(f"a counter with a long name, {number:03}")
    said = talk.want(2, seq=1)
    talk.want(2, seq=200)
    name, hold = one_asked(talk, said)
    [cut] = hold.groups
    assert 0 < cut.start < 199
    assert cut.to == 200
    said = talk.confirm(name, hold)
    assert said.of(Copies) == [Copies(2, 2, True)]
    assert not talk.wait(0.01).sent(Hold), "the rest comes by gossip"
    name, hold = one_asked(talk, talk.wait(0.02))
    assert talk.confirm(name, hold, version=200).of(Copies) == [Copies(1, 2, True)]


def test_a_peer_is_not_asked_to_hold_what_proves_nothing() -> None:
    talk = Asker(peers=1)
    talk.hear_news(group(1, [("a", 1, 1)]))
    for seq in range(10, 20):  # of which the first ones fill a question, above a gap
        talk.hear_news(group(1, [(f"{seq}" * 60, seq, 1)], start=9))
    assert not talk.want(2, of=stream(1), seq=1).sent(Hold)


def test_several_streams_share_a_question() -> None:
    talk = Asker(peers=1)
    talk.hear_news(*(group(number, [("a", 1, 1)]) for number in range(30)))
    talk.store_all()
    talk.increment()
    said = talk.want(2)
    name, hold = one_asked(talk, said)
    for number in range(30):
        talk.want(2, of=stream(number))
    said = talk.confirm(name, hold)
    name, hold = one_asked(talk, talk.wait(0.005))
    assert len(hold.groups) == HOLD_GROUPS_MAX
    said = talk.confirm(name, hold)
    assert len(said.of(Copies)) == HOLD_GROUPS_MAX
    name, hold = one_asked(talk, Said([*said.timed, *talk.wait(0.01).timed]))
    assert len(talk.confirm(name, hold).of(Copies)) == 30 - HOLD_GROUPS_MAX


@pytest.mark.parametrize("length", [60, 90, 120])
def test_a_stream_for_which_there_is_no_room_left_comes_next(length: int) -> None:
    talk = Asker(peers=1, settings=Settings(datagram_size=640))
    talk.hear_news(*(group(number, [("x" * length, 1, 1)]) for number in range(9)))
    talk.store_all()
    held: list[Copies] = []
    said = [talk.want(2, of=stream(number)) for number in range(9)]
    holds = [hold for each in said for hold in each.sent(Hold)]
    for _ in range(9):
        done = [talk.confirm("p0", hold) for hold in holds]
        held += [copies for each in done for copies in each.of(Copies)]
        holds = [hold for each in (*done, talk.wait(0.03)) for hold in each.sent(Hold)]
    assert len(held) == 9


def test_a_peer_is_asked_for_its_version_where_all_keys_are_on_the_disk_only() -> None:
    """A retry of an old key asks for copies of what no packet can bring any more."""
    window = 5.0
    asker = Asker(settings=Settings(key_window=window))
    asker.increment(key=bytes(16))
    asker.store_all()
    while asker.node.log.keys:
        asker.wait(window)
    said = asker.want(2)
    ((name, holds),) = list(asker.asked(said).items())[:1]
    assert [(g.start, g.to) for g in holds[0].groups] == [(1, 1)]
    assert asker.confirm(name, holds[0], version=1).of(Copies) == [Copies(1, 2, enough=True)]
