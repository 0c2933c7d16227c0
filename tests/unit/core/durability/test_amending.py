"""When a node counts again what others have put something else in place of."""

from __future__ import annotations

import pytest

from gossipd.core import Answered, Commit, CommitSoon, Failure, Incremented, Learned, Left
from gossipd.core.durability.committing import AMEND_EVERY
from gossipd.core.log.amends import AMENDS_AT_ONCE, MINT_EVERY, MINTS_SAVED
from gossipd.core.wire.messages import Gossip
from gossipd.core.wire.records import Group
from tests.unit.core.talk import Said, Talk


def spoil(talk: Talk, seq: int, total: int) -> Said:
    """Somebody tells of a later event with that total in every stream of this node."""
    streams = (talk.node.log.streams[:1] or ()) + ((talk.node.stream,) if talk.node.stream else ())
    groups = [Group(stream, 0, 0, (("hits", seq, total),)) for stream in dict.fromkeys(streams)]
    return talk.hear(talk.peer("p0"), Gossip(), groups=groups)


def commit(talk: Talk) -> Said:
    """A batch, from its beginning to its end."""
    (begun,) = talk.commit().of(Commit)
    return talk.expose(begun.batch)


@pytest.fixture
def talk() -> Talk:
    talk = Talk(peers=2)
    talk.settle()
    talk.increment(times=10)
    return talk


def test_it_is_counted_again_at_once_though_nobody_counts(talk: Talk) -> None:
    spoil(talk, 99, 2)
    assert len(talk.timeout().of(CommitSoon)) == 1
    said = commit(talk)
    assert not said.of(Incremented)
    assert not [answered.tokens for answered in said.of(Answered) if answered.tokens]
    (learned,) = said.of(Learned)
    assert [(each.by, each.value) for each in learned.advances] == [(8, 10)]
    told = talk.wait(0.1).groups(talk.peer("p0"))
    assert {group.registers for group in told if group.stream == talk.node.stream} == {
        (("hits", 1, 8),)
    }


def test_beside_what_clients_count_it_is_told_behind_that(talk: Talk) -> None:
    spoil(talk, 99, 2)
    talk.node.increment(1, "hits", 1)
    said = commit(talk)
    assert said.of(Incremented)[0].advances[0].value == 3
    assert [advance.value for advance in said.of(Learned)[0].advances] == [11]


def test_who_lies_on_and_on_causes_a_batch_a_second(talk: Talk) -> None:
    began, batches = talk.now, 0
    for number in range(30):
        spoil(talk, 100 + number, -number)
        said = talk.timeout()
        if said.of(CommitSoon):
            commit(talk)
            batches += 1
        talk.now += 0.1
    assert batches <= 2 + (talk.now - began) / AMEND_EVERY
    said = talk.wait(2 * AMEND_EVERY)
    assert said.of(CommitSoon)
    commit(talk)
    assert talk.node.log.value("hits") == 10


def test_increments_wait_while_streams_begin_too_often(talk: Talk) -> None:
    for number in range(MINTS_SAVED):
        talk.increment()
        spoil(talk, 10**6 + number, 10**6 + number)
    talk.node.increment(1, "hits", 1)
    assert not talk.commit().of(Commit)
    said = talk.wait(MINT_EVERY)
    assert said.of(CommitSoon)
    assert commit(talk).of(Incremented)


def test_a_disk_that_takes_nothing_is_not_asked_and_then_it_is_counted_again() -> None:
    talk = Talk(peers=1, durable=True)
    talk.settle()
    talk.increment(times=10)
    spoil(talk, 99, 2)
    assert talk.timeout().of(CommitSoon)
    assert talk.commit().of(Commit)
    failed = talk.node.commit_failed(Failure.FULL, "no space", talk.now)
    assert not any(isinstance(effect, CommitSoon) for effect in failed)
    assert talk.node.log.value("hits") == 2
    assert talk.wait(2 * AMEND_EVERY).of(CommitSoon)
    commit(talk)
    assert talk.node.log.value("hits") == 10


def test_who_leaves_counts_it_again_first(talk: Talk) -> None:
    spoil(talk, 99, 2)
    talk.timeout()
    commit(talk)
    spoil(talk, 199, 1)
    said = talk.leave()
    assert said.of(CommitSoon), "though it did so a moment ago"
    assert not said.of(Left)
    commit(talk)
    assert talk.node.log.value("hits") == 10
    assert talk.wait(10).of(Left)


def test_who_leaves_with_a_full_log_tries_it_once(talk: Talk) -> None:
    talk.node.log.streams_max = 0
    spoil(talk, 99, 2)
    assert talk.leave().of(CommitSoon)
    said = commit(talk)
    assert not said.of(CommitSoon), "it would be refused again, on and on"
    assert talk.wait(10).of(Left)
    assert talk.node.log.value("hits") == 2


def test_who_leaves_makes_up_for_all_of_it(talk: Talk) -> None:
    names = [f"c{number}" for number in range(AMENDS_AT_ONCE + 1)]
    for name in names:
        talk.increment(name)
    stream = talk.node.stream
    assert stream is not None
    for first in range(0, len(names), 30):
        lies = tuple((name, 10**6, 0) for name in names[first : first + 30])
        talk.hear(talk.peer("p0"), Gossip(), groups=[Group(stream, 0, 0, lies)])
    talk.leave()
    assert commit(talk).of(CommitSoon), "one batch was not enough"
    assert not commit(talk).of(CommitSoon)
    assert all(talk.node.log.value(name) == 1 for name in names)
