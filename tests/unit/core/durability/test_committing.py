"""Group commit: what is taken when, and what is said when the disk fails or the node leaves."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gossipd.core import (
    BY_MAX,
    TOTAL_MAX,
    Abandon,
    Advance,
    Answered,
    AnsweredPart,
    Commit,
    CommitSoon,
    DiskLost,
    Duplicate,
    Effect,
    Failure,
    Fate,
    FindKeys,
    GaveUpDisk,
    Incremented,
    Item,
    OutOfRange,
    Put,
    PutAnswer,
    PutTaken,
    Reply,
    Run,
    Settings,
    Several,
    ShareFull,
    Uncounted,
)
from gossipd.core.durability.batch_size import COST_MAX, COUNTER_COST, IN_A_ROW
from gossipd.core.durability.committing import BATCH_KEYS
from gossipd.core.durability.disk_health import RETRY_MAX, RETRY_MIN
from gossipd.core.durability.intake import PUTS_MAX
from gossipd.core.durability.read_barrier import Reads
from gossipd.core.log.dedup import Dedup
from tests.unit.core.talk import WALL, Said, Talk

PART = COST_MAX - COUNTER_COST
"""Increments of a batch on one counter that go together."""

SILENCE = "the disk has not answered for 5 s"


class Bench(Talk):
    """A node, and what its clients are told."""

    def __init__(self, key_limit: int = 1_000_000, *, durable: bool = True) -> None:
        super().__init__(settings=Settings(key_limit=key_limit), durable=durable)
        self.told: dict[object, Reply] = {}
        self.parts: list[list[Reply]] = []
        """What the batch was told, one part after the other."""
        self.soon = 0
        """How often it was said that something is to be committed."""

    def see(self, effects: Sequence[Effect]) -> Said:
        for effect in effects:
            match effect:
                case Answered(tokens, replies):
                    assert not set(tokens) & set(self.told), "once"
                    self.told |= dict(zip(tokens, replies, strict=True))
                case AnsweredPart(_, replies):
                    self.parts.append(list(replies))
                case CommitSoon():
                    self.soon += 1
                case _:
                    pass
        return Said([(self.now, effect) for effect in effects])

    def ask(self, token: int, counter: str = "a", by: int = 1, key: bytes | None = None) -> None:
        self.see(self.node.increment(token, counter, by, key))

    def ask_all(self, token: int, items: Sequence[Item]) -> None:
        self.see(self.node.increment_all(token, items))

    def begin(self) -> Said:
        return self.see(self.commit().effects)

    def begun(self) -> Commit:
        """The batch that begins; the disk knows no keys."""
        said = self.begin()
        for effect in said.of(FindKeys):
            said = self.see(self.node.keys_found(effect.question, {}, self.now, WALL))
        (commit,) = said.of(Commit)
        return commit

    def done(self, commit: Commit) -> Said:
        return self.see(self.node.committed(commit.batch, self.now))

    def fail_commit(self, failure: Failure = Failure.FULL, why: str = "no space") -> Said:
        return self.see(self.node.commit_failed(failure, why, self.now))

    def hang(self) -> Said:
        return self.see(self.node.disk_hangs(self.now))

    def pass_time(self, seconds: float) -> Said:
        return self.see(self.wait(seconds).effects)

    def fates(self, *tokens: int) -> list[Fate]:
        replies = [self.told.get(token) for token in tokens]
        return [reply.fate for reply in replies if isinstance(reply, Uncounted)]


def mistaken(*_: object) -> None:
    raise RuntimeError("a bug")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def key(number: int) -> bytes:
    """A key that tells no time."""
    return bytes((number, 0, 0, 0, 0, 0, 0x40, 0, 0x80)) + bytes(7)


def test_some_in_a_row_are_told_as_one(bench: Bench) -> None:
    increment = bench.node.increment
    bench.see(increment(1, "a", 2, None, 3))
    bench.ask(2, "a", 1)
    bench.ask(3, "b", 1, key(1))
    bench.see(increment(4, "b", BY_MAX, None, 2))
    commit = bench.begun()
    assert commit.tokens == [1, 2, 3, 4]
    said = bench.done(commit)
    (made,) = (effect.advances for effect in said.of(Incremented))
    assert [(each.seq, each.value) for each in made[:4]] == [(1, 2), (2, 4), (3, 6), (4, 7)]
    assert bench.told == {1: Run(made[2], 3), 2: made[3], 3: made[4], 4: Run(made[6], 2)}
    assert [each.advance for each in bench.node.recent()][::-1] == list(made)


def test_some_in_a_row_that_end_differently_are_told_each(bench: Bench) -> None:
    for _ in range(TOTAL_MAX // BY_MAX // 64 - 1):
        bench.see(bench.node.increment(0, "a", BY_MAX, None, 64))
        bench.done(bench.begun())
        bench.told.clear()
    bench.see(bench.node.increment(1, "a", BY_MAX, None, 66))
    bench.see(bench.node.increment(2, "a", BY_MAX, None, 3))
    said = bench.done(bench.begun())
    (made,) = (effect.advances for effect in said.of(Incremented))
    refused = OutOfRange("a", BY_MAX)
    assert bench.told == {1: Several((*made, refused, refused)), 2: refused}
    assert bench.node.log.value("a") == made[-1].value == TOTAL_MAX


def test_some_in_a_row_that_could_not_be_committed_are_refused_as_one(bench: Bench) -> None:
    bench.see(bench.node.increment(1, "a", 1, None, 3))
    bench.begun()
    bench.fail_commit()
    assert bench.fates(1) == [Fate.UNKNOWN]
    assert bench.node.log.value("a") == 0


def test_some_in_a_row_cost_less_than_each_alone_but_not_nothing(bench: Bench) -> None:
    for token in range(COST_MAX):
        bench.see(bench.node.increment(token, "a", 1, None, 10 * IN_A_ROW))
    asked = len(bench.begun().tokens)
    assert COST_MAX // 16 < asked < COST_MAX // 8


def test_some_in_a_row_that_are_too_many_for_a_part_are_one_by_themselves(bench: Bench) -> None:
    many = IN_A_ROW * (COST_MAX + 1)
    bench.ask(1)
    bench.see(bench.node.increment(2, "a", 1, None, many))
    bench.ask(3)
    for token in (1, 2, 3):
        commit = bench.begun()
        assert commit.tokens == [token]
        bench.done(commit)
    assert bench.node.log.value("a") == many + 2


def test_what_was_asked_for_in_one_turn_shares_a_commit_and_is_answered_with_it(
    bench: Bench,
) -> None:
    for token, (counter, by) in enumerate((("a", 1), ("b", 5), ("a", -3)), 1):
        bench.ask(token, counter, by)
    assert bench.soon == 1
    commit = bench.begun()
    assert commit.tokens == [1, 2, 3]
    assert not bench.told
    said = bench.done(commit)
    advances = [bench.told[token] for token in (1, 2, 3)]
    assert [list(effect.advances) for effect in said.of(Incremented)] == [advances]
    assert [a.value for a in advances if isinstance(a, Advance)] == [1, 5, -2]


def test_while_one_batch_is_under_way_the_next_one_collects(bench: Bench) -> None:
    bench.ask(1)
    commit = bench.begun()
    bench.ask(2)
    bench.ask(3)
    assert bench.soon == 1
    assert bench.begin().effects == []
    bench.done(commit)
    assert list(bench.told) == [1]
    assert bench.soon == 2
    assert bench.begun().tokens == [2, 3]


def test_without_anything_to_commit_nothing_begins(bench: Bench) -> None:
    assert bench.begin().effects == []


def test_a_retry_is_told_what_it_repeats(bench: Bench) -> None:
    for token in (1, 2):
        bench.ask(token, key=key(1))
        bench.done(bench.begun())
    event = bench.told[2]
    assert isinstance(event, Duplicate)
    assert (event.event.seq, bench.node.log.value("a")) == (1, 1)


def test_puts_are_answered_with_the_value_after_them_and_not_too_many_at_once(
    bench: Bench,
) -> None:
    for number in range(1, PUTS_MAX + 2):
        put = Put(bytes((255, number % 256, number // 256)) + bytes(7), "a", 1, 2)
        bench.see(bench.node.put(number, put))
    bench.done(bench.begun())
    assert len(bench.told) == PUTS_MAX
    first = Put(bytes((255, 1)) + bytes(8), "a", 1, 2)
    assert bench.told[1] == PutAnswer(first, PutTaken(1, 2), 2 * PUTS_MAX)
    bench.done(bench.begun())
    assert len(bench.told) == PUTS_MAX + 1


def test_no_more_is_taken_at_once_than_holds_the_loop_for_a_moment(bench: Bench) -> None:
    for token in range(1, 1000):
        bench.ask(token, f"c{token}")
    sizes: list[int] = []
    while bench.soon > len(sizes):
        commit = bench.begun()
        sizes.append(len(commit.tokens))
        bench.done(commit)
    assert sum(sizes) == 999
    assert max(sizes) < COST_MAX / 4


# --- batches -------------------------------------------------------------------------------------


def test_increments_find_their_place_within_a_large_batch(bench: Bench) -> None:
    bench.ask_all(1, [Item("a", 1)] * (PART + 10))
    commit = bench.begun()
    assert len(commit.tokens) == PART
    bench.ask(2)
    bench.done(commit)
    assert len(bench.parts) == 1
    commit = bench.begun()
    assert commit.tokens == [2, *[1] * 10]
    bench.done(commit)
    assert [len(part) for part in bench.parts] == [PART, 10]
    alone = bench.told[2]
    assert isinstance(alone, Advance)
    assert alone.value == PART + 1


def test_a_part_that_is_committed_in_two_goes_on_when_both_are(bench: Bench) -> None:
    for token in range(100, 350):
        bench.ask(token, f"c{token}")
    bench.ask_all(1, [Item("a", 1)] * (PART + 10))
    sizes: list[int] = []
    while bench.soon > len(sizes):
        commit = bench.begun()
        sizes.append(list(commit.tokens).count(1))
        bench.done(commit)
    assert len([size for size in sizes if size]) > 2
    assert sum(map(len, bench.parts)) == PART + 10
    assert bench.node.log.value("a") == PART + 10


def test_a_batch_of_nothing_asks_for_nothing(bench: Bench) -> None:
    bench.ask_all(1, [])
    assert not bench.soon


def test_what_is_left_of_a_batch_when_the_node_leaves_is_refused(bench: Bench) -> None:
    bench.ask_all(1, [Item("a", 1)] * (PART + 10))
    commit = bench.begun()
    bench.see(bench.node.leave(bench.now))
    bench.done(commit)
    (part,) = bench.parts
    assert part[PART:] == [Uncounted(Fate.LEAVING)] * 10
    assert all(isinstance(reply, Advance) for reply in part[:PART])
    assert bench.node.leaving
    bench.ask_all(2, [Item("a", 1)])
    assert bench.told[2] == Uncounted(Fate.LEAVING)


def test_batches_fill_their_share_of_the_keys_and_leave_the_rest_to_others() -> None:
    bench = Bench(key_limit=20)
    share = int(BATCH_KEYS * 20)
    bench.ask_all(1, [Item("a", 1, key(number)) for number in range(30)])
    bench.done(bench.begun())
    assert all(isinstance(reply, Advance) for reply in bench.parts[0][:share])
    assert bench.parts[0][share:] == [ShareFull()] * 14
    bench.ask(2, key=key(100))
    bench.ask_all(3, [Item("a", 1), Item("a", 1, key(3)), Item("a", 1, key(20))])
    bench.done(bench.begun())
    assert [type(reply) for reply in bench.parts[1]] == [Advance, Duplicate, ShareFull]
    assert isinstance(bench.told[2], Advance)


# --- commits that fail ---------------------------------------------------------------------------


def test_a_commit_that_fails_is_abandoned_and_may_have_been_counted(bench: Bench) -> None:
    bench.ask(1)
    bench.done(bench.begun())
    stream = bench.node.stream
    bench.ask(2)
    bench.see(bench.node.put(3, Put(b"\xff" + bytes(9), "b", 1, 1)))
    commit = bench.begun()
    said = bench.fail_commit()
    (abandoned,) = said.of(Abandon)
    assert abandoned.batch is commit.batch
    assert (abandoned.exposed.version, abandoned.exposed.registers) == (1, (("a", 1, 1),))
    assert bench.told[2] == bench.told[3] == Uncounted(Fate.UNKNOWN, "no space")
    assert not said.of(DiskLost)
    assert bench.node.log.value("a") == 1
    assert bench.node.stream is None
    bench.pass_time(RETRY_MIN)
    bench.ask(4)
    bench.done(bench.begun())
    assert bench.node.log.value("a") == 2
    assert bench.node.stream != stream


def test_a_disk_that_takes_nothing_is_left_alone_longer_and_longer(bench: Bench) -> None:
    pauses: list[float] = []
    token = 0
    for _ in range(8):
        bench.ask(token := token + 1)
        bench.begun()
        bench.fail_commit()
        began = bench.now
        while True:
            bench.ask(token := token + 1)
            if not bench.fates(token):
                break
            bench.pass_time(RETRY_MIN / 4)
        pauses.append(bench.now - began)
    assert pauses == [pytest.approx(min(RETRY_MIN * 2**n, RETRY_MAX), abs=0.03) for n in range(8)]
    bench.done(bench.begun())
    bench.ask(token := token + 1)
    bench.begun()
    bench.fail_commit()
    bench.pass_time(RETRY_MIN)
    bench.ask(token + 1)
    assert bench.begun().tokens == [token + 1], "it had taken something"


def test_a_disk_that_is_broken_ends_the_node(bench: Bench) -> None:
    bench.ask(1)
    bench.begun()
    assert bench.fail_commit(Failure.BROKEN, "EIO").of(DiskLost) == [DiskLost("EIO")]
    assert bench.told[1] == Uncounted(Fate.UNKNOWN, "EIO")


def test_who_came_while_a_commit_failed_is_tried_all_the_same(bench: Bench) -> None:
    bench.ask(1)
    bench.begun()
    bench.ask(2)
    bench.fail_commit()
    assert bench.soon == 2
    bench.done(bench.begun())
    assert isinstance(bench.told[2], Advance)


def test_after_a_mistake_everybody_is_answered_and_the_next_batch_counts(bench: Bench) -> None:
    bench.ask(1)
    commit = bench.begun()
    assert bench.fail_commit(Failure.MISTAKE).of(Abandon)[0].batch is commit.batch
    assert bench.fates(1) == [Fate.MISTAKE]
    bench.ask(2)
    bench.done(bench.begun())
    assert isinstance(bench.told[2], Advance)
    assert bench.fail_commit(Failure.MISTAKE).effects == [], "nothing was under way"


def test_a_mistake_after_the_answers_costs_none_of_them_nor_the_next_batch(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an input has caused before it raised comes with the next one."""
    bench.ask(1)
    commit = bench.begun()
    bench.ask(2)
    with monkeypatch.context() as patch:
        patch.setattr(Reads, "look", mistaken)
        with pytest.raises(RuntimeError):
            bench.node.committed(commit.batch, bench.now)
    bench.fail_commit(Failure.MISTAKE)
    assert isinstance(bench.told[1], Advance)
    bench.done(bench.begun())
    assert isinstance(bench.told[2], Advance)


def test_a_batch_that_was_given_up_by_mistake_is_not_counted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the disk says that it has it: it was asked to take it back."""
    bench.ask(1)
    with monkeypatch.context() as patch:
        patch.setattr(Reads, "look", mistaken)
        with pytest.raises(RuntimeError):
            bench.begin()
    said = bench.fail_commit(Failure.MISTAKE)
    (commit,), (abandoned,) = said.of(Commit), said.of(Abandon)
    assert said.effects.index(commit) < said.effects.index(abandoned)
    assert bench.fates(1) == [Fate.MISTAKE]
    assert not bench.node.committed(commit.batch, bench.now)
    assert bench.node.log.value("a") == 0
    bench.ask(2)
    bench.done(bench.begun())
    assert bench.node.log.value("a") == 1


# --- keys that only the disk knows ---------------------------------------------------------------


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """All keys are on the disk only."""
    monkeypatch.setattr(Dedup, "is_doubtful", lambda *_: True)
    return Bench()


def asked(said: Said) -> FindKeys:
    (question,) = said.of(FindKeys)
    return question


def test_the_disk_is_asked_for_the_keys_that_only_it_may_know(forgetful: Bench) -> None:
    bench = forgetful
    bench.ask(1, key=key(1))
    bench.ask(2)
    question = asked(bench.begin())
    assert question.keys == [key(1)]
    assert bench.begin().effects == [], "one thing at a time"
    found = bench.see(bench.node.keys_found(question.question, {}, bench.now, WALL))
    bench.done(found.of(Commit)[0])
    assert list(bench.told) == [1, 2]


def test_a_node_without_a_disk_asks_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Dedup, "is_doubtful", lambda *_: True)
    bench = Bench(durable=False)
    bench.ask(1, key=key(1))
    assert bench.begun().tokens == [1]


def test_who_waits_for_keys_that_cannot_be_looked_up_was_not_counted(forgetful: Bench) -> None:
    bench = forgetful
    bench.ask(1, key=key(1))
    question = asked(bench.begin()).question
    for asked_before in (question - 1, question, question):
        bench.see(bench.node.keys_not_found(asked_before, Failure.FULL, "no space", bench.now))
    assert bench.told[1] == Uncounted(Fate.NOT_COUNTED, "no space")
    bench.ask(2)
    assert bench.fates(2) == [Fate.CLOSED]


def test_a_mistake_with_keys_is_told_without_its_details(forgetful: Bench) -> None:
    bench = forgetful
    bench.ask(1, key=key(1))
    question = asked(bench.begin()).question
    bench.see(bench.node.keys_not_found(question, Failure.MISTAKE, "a bug", bench.now))
    assert bench.told[1] == Uncounted(Fate.NOT_COUNTED, "internal error")
    bench.ask(2)
    bench.done(bench.begun())
    assert isinstance(bench.told[2], Advance)


# --- a disk that hangs ---------------------------------------------------------------------------


def test_who_waits_for_a_disk_that_hangs_is_answered_and_who_comes_then_at_once(
    bench: Bench,
) -> None:
    bench.ask(1)
    commit = bench.begun()
    bench.ask(2)
    bench.see(bench.node.put(3, Put(b"\xff" + bytes(9), "b", 1, 1)))
    bench.hang()
    assert bench.told[1] == Uncounted(Fate.UNKNOWN, SILENCE)
    assert bench.told[2] == bench.told[3] == Uncounted(Fate.NOT_COUNTED, SILENCE)
    bench.ask(4)
    bench.see(bench.node.put(5, Put(b"\xff" + bytes(9), "b", 1, 1)))
    assert bench.fates(4, 5) == [Fate.NOT_COUNTED] * 2
    bench.see(bench.node.disk_answers(bench.now))
    bench.done(commit)
    assert bench.node.log.value("a") == 1, "it was committed after all"
    bench.ask(6)
    assert bench.begun().batch.version == 2, "one history"


def test_what_a_disk_that_hung_has_refused_is_abandoned(bench: Bench) -> None:
    bench.ask(1)
    commit = bench.begun()
    bench.hang()
    assert bench.fail_commit().of(Abandon)[0].batch is commit.batch
    assert bench.node.log.value("a") == 0
    assert bench.node.stream is None


def test_keys_that_come_too_late_are_not_used(forgetful: Bench) -> None:
    bench = forgetful
    bench.ask(1, key=key(1))
    question = asked(bench.begin()).question
    bench.hang()
    assert bench.told[1] == Uncounted(Fate.NOT_COUNTED, SILENCE)
    bench.see(bench.node.disk_answers(bench.now))
    assert bench.see(bench.node.keys_found(question, {}, bench.now, WALL)).effects == []
    bench.ask(2)
    assert bench.begun().tokens == [2]


def test_a_batch_of_a_disk_that_hangs_is_answered_as_a_whole(bench: Bench) -> None:
    bench.ask_all(1, [Item("a", 1)] * (PART + 10))
    bench.begun()
    bench.hang()
    (part,) = bench.parts
    fates = [reply.fate for reply in part if isinstance(reply, Uncounted)]
    assert fates == [Fate.UNKNOWN] * PART + [Fate.NOT_COUNTED] * 10


# --- leaving -------------------------------------------------------------------------------------


def test_a_leave_begins_when_all_that_was_taken_is_answered(bench: Bench) -> None:
    bench.ask(1)
    bench.see(bench.node.leave(bench.now))
    bench.see(bench.node.leave(bench.now))
    assert not bench.node.leaving
    bench.ask(2)
    assert bench.fates(2) == [Fate.LEAVING]
    bench.done(bench.begun())
    assert isinstance(bench.told[1], Advance)
    assert bench.node.leaving


def test_a_leave_waits_for_the_disk_no_longer_than_leaves_time_for_itself(bench: Bench) -> None:
    bench.ask(1)
    commit = bench.begun()
    bench.ask(2)
    bench.see(bench.node.leave(bench.now))
    said = bench.pass_time(bench.settings.leave_timeout / 2)
    assert said.of(GaveUpDisk)
    assert bench.fates(1, 2) == [Fate.UNKNOWN, Fate.NOT_COUNTED]
    assert bench.node.leaving
    bench.done(commit)
    assert bench.node.log.value("a") == 1


def test_a_leave_after_a_disk_that_hangs_begins_when_it_answers(bench: Bench) -> None:
    bench.ask(1)
    commit = bench.begun()
    bench.hang()
    bench.see(bench.node.leave(bench.now))
    assert not bench.node.leaving
    bench.see(bench.node.disk_answers(bench.now))
    bench.done(commit)
    assert bench.node.leaving
