"""What is to be stored, in which parts, and what is durable once they are."""

from __future__ import annotations

import pytest

from gossipd.core import (
    Changes,
    Double,
    KeyRecord,
    MemberView,
    Settings,
    Snapshot,
    Status,
    StreamSnapshot,
)
from gossipd.core.durability.write_behind import Row
from gossipd.core.wire.records import Group
from tests.commits import abandon, prepared
from tests.inside import shared_members, snapshot_of
from tests.unit.core.parts import ALIVE
from tests.unit.core.talk import (
    WALL,
    Peer,
    Talk,
    group,
    stream,
)

REGISTERS = tuple((f"c{number}", number, 1) for number in range(1, 6))


def keeper() -> Talk:
    """A node with a disk that holds all the node does, and a peer."""
    talk = Talk(peers=1, durable=True)
    talk.settle()
    talk.store_all()
    return talk


def hear_five(talk: Talk) -> None:
    """Five registers of somebody else's stream, and the claim that these are all."""
    talk.hear_news(group(1, REGISTERS))


def test_without_a_disk_nothing_is_noted_and_what_is_held_counts_as_stored() -> None:
    talk = Talk(peers=1)
    talk.increment()
    hear_five(talk)
    log = talk.node.log
    assert talk.maybe_take(100) is None
    assert not log.changed.registers
    assert not log.changed.versions
    assert log.durable(stream(1)) == 5


def test_when_everything_is_stored_there_is_nothing_to_take() -> None:
    assert keeper().maybe_take(100) is None


def test_a_cycle_that_fits_is_one_part() -> None:
    talk = keeper()
    hear_five(talk)
    changes = talk.take(5)
    rows = {(stream(1), *register) for register in REGISTERS}
    assert set(changes.registers) == rows
    assert changes == Changes(changes.registers, ((stream(1), 5),), (), (), last=True)


def test_the_versions_follow_in_the_last_part_when_every_record_is_stored() -> None:
    talk = keeper()
    hear_five(talk)
    log = talk.node.log
    parts: list[Changes] = []
    while not parts or not parts[-1].last:
        assert log.durable(stream(1)) == 0
        parts.append(talk.take(2))
        talk.stored(parts[-1])
    assert [len(part.registers) for part in parts] == [2, 2, 1]
    assert [part.versions for part in parts] == [(), (), ((stream(1), 5),)]
    assert {row[1:] for part in parts for row in part.registers} == set(REGISTERS)
    assert log.durable(stream(1)) == 5


def test_of_very_many_streams_versions_come_in_parts_too() -> None:
    talk = keeper()
    for number in range(7):
        talk.hear_news(group(number, [("a", 1, 1)]))
    parts: list[Changes] = []
    while not parts or not parts[-1].last:
        parts.append(talk.take(3))
        talk.stored(parts[-1])
        durable = sum(talk.node.log.durable(stream(number)) for number in range(7))
        assert durable == sum(len(part.versions) for part in parts)
    told = [(len(part.registers), len(part.versions)) for part in parts]
    assert told == [(3, 0), (3, 0), (1, 3), (0, 3), (0, 1)]
    assert talk.maybe_take(3) is None


def test_a_version_is_stored_as_it_was_when_its_cycle_began() -> None:
    talk = keeper()
    hear_five(talk)
    talk.stored(talk.take(4))
    talk.hear_news(group(1, [("late", 6, 1)], start=5))
    last = talk.take(4)
    assert last.versions == ((stream(1), 5),)
    assert "late" not in {counter for _, counter, _, _ in last.registers}
    talk.stored(last)
    assert talk.node.log.durable(stream(1)) == 5
    following = talk.take(4)
    assert following == Changes(((stream(1), "late", 6, 1),), ((stream(1), 6),), (), (), last=True)
    talk.stored(following)
    assert talk.node.log.durable(stream(1)) == 6
    assert talk.maybe_take(4) is None


def test_a_register_is_stored_as_it_is_when_it_is_taken() -> None:
    talk = keeper()
    hear_five(talk)
    talk.stored(talk.take(4))
    talk.hear_news(group(1, [("c1", 6, 7)], start=5))
    assert talk.take(4).registers == ((stream(1), "c1", 6, 7),)


@pytest.mark.parametrize("limit", [2, 5])
def test_a_part_that_could_not_be_stored_comes_again(limit: int) -> None:
    talk = keeper()
    hear_five(talk)
    talk.take(limit)
    talk.not_stored()
    assert talk.node.log.durable(stream(1)) == 0
    rows: list[Row] = []
    while changes := talk.maybe_take(limit):
        talk.stored(changes)
        rows += changes.registers
    assert {row[1:] for row in rows} == set(REGISTERS)
    assert talk.node.log.durable(stream(1)) == 5


def test_a_last_part_without_registers_comes_again_too() -> None:
    talk = keeper()
    talk.hear_news(group(1, [("b", 2, 1)], start=1))
    talk.hear_news(group(1, [("a", 1, 1)], start=1, to=1))
    talk.store_all()
    talk.hear_news(group(1, [("a", 1, 1), ("b", 2, 1)]))
    changes = talk.take()
    assert (changes.registers, changes.versions) == ((), ((stream(1), 2),))
    talk.not_stored()
    assert talk.take() == changes


def test_increments_are_durable_when_they_are_exposed() -> None:
    talk = keeper()
    talk.increment(times=3)
    own = talk.node.stream
    assert own is not None
    assert talk.node.log.durable(own) == 3
    assert talk.maybe_take(100) is None, "they are on the disk already"


def test_what_a_twin_tells_of_the_own_stream_during_a_commit_is_stored() -> None:
    talk = keeper()
    talk.increment(times=3)
    batch = prepared(talk.node, [("hits", 1), ("more", 1)], talk.now, WALL + talk.now)
    told = Group(batch.stream, 3, 7, (("hits", 7, 9),))
    talk.hear_news(told)
    talk.node.committed(batch, talk.now)
    changes = talk.take()
    assert changes.registers == ((batch.stream, "hits", 7, 9),)
    assert changes.versions == ((batch.stream, 7),)


def test_a_batch_that_was_abandoned_is_not_durable() -> None:
    talk = keeper()
    batch = prepared(talk.node, [("hits", 1)], talk.now, WALL + talk.now)
    abandon(talk.node, talk.now)
    assert talk.node.log.durable(batch.stream) == 0


def test_members_that_changed_are_stored_with_the_age_of_verdicts() -> None:
    talk = keeper()
    p0 = talk.peer("p0")
    talk.hear_views(ALIVE)
    talk.let_prove(Peer("bob", ALIVE.address, ALIVE.generation, ALIVE.incarnation))
    talk.hear_views(p0.seen(Status.SUSPECT, accusers=("bob",)))
    changes = talk.take()
    assert {view.name: view.status for view in changes.members} == {
        "bob": Status.ALIVE,
        "p0": Status.SUSPECT,
    }
    talk.stored(changes)
    talk.peer("bob").answers = False
    talk.hear_views(ALIVE._replace(status=Status.FAILED, age=7))
    talk.wait(30)
    ages = {view.name: view.age for view in talk.take().members}
    assert ages["bob"] == 8


def test_of_the_own_entry_only_the_generation_is_stored() -> None:
    talk = keeper()
    later = talk.me.seen(Status.SUSPECT)._replace(generation=9000)
    talk.hear_views(later)
    assert talk.own.generation == 9001
    assert talk.take() == Changes((), (), (), (), last=True, generation=9001)


def test_a_member_that_is_not_remembered_any_more_goes_from_the_disk() -> None:
    talk = Talk(settings=Settings(remember=3600.0), durable=True)
    gone = MemberView("gone", ("10.9.9.9", 1), 5, 0, Status.LEFT)
    talk.node.load(Snapshot((), (gone,)), talk.now)
    assert talk.maybe_take(100) is None
    talk.wait(talk.settings.remember + 60)
    assert talk.take().gone == ("gone",)


def test_a_verdict_that_is_too_old_to_be_shared_stays_on_the_disk() -> None:
    talk = Talk(settings=Settings(remember=3600.0), durable=True)
    half = int(talk.settings.remember / 120)
    old = MemberView("old", ("10.9.9.9", 1), 5, 0, Status.LEFT, age=half)
    talk.node.load(Snapshot((), (old,)), talk.now)
    assert talk.maybe_take(100) is None
    assert snapshot_of(talk.node, talk.now).members == (old,)
    assert shared_members(talk.node, talk.now) == [talk.own]
    talk.wait(60 * half + 60)
    assert talk.take().gone == ("old",)


def test_a_verdict_that_grew_old_before_it_could_be_stored_is_stored() -> None:
    talk = Talk(peers=1, settings=Settings(remember=3600.0), durable=True)
    talk.settle()
    talk.store_all()
    talk.peer("p0").answers = False
    talk.wait(10)
    failed = talk.take()
    assert [view.status for view in failed.members] == [Status.FAILED]
    talk.not_stored()
    talk.wait(talk.settings.remember / 2 + 60)
    again = talk.take()
    assert [view.name for view in again.members] == ["p0"]
    assert again.gone == ()


def test_a_verdict_that_is_too_old_to_be_loaded_goes_from_the_disk() -> None:
    talk = Talk(durable=True)
    old = MemberView("old", ("10.9.9.9", 1), 5, 0, Status.LEFT, age=2**32 - 1)
    talk.node.load(Snapshot((), (old,)), talk.now)
    assert talk.take() == Changes((), (), (), ("old",), last=True)
    without = Talk()
    without.node.load(Snapshot((), (old,)), without.now)
    assert without.maybe_take(100) is None


def test_what_was_loaded_is_durable_and_nothing_of_it_is_stored_again() -> None:
    talk = Talk(durable=True)
    snapshot = Snapshot((StreamSnapshot(stream(1), 5, REGISTERS),), (ALIVE,))
    talk.node.load(snapshot, talk.now)
    assert talk.node.log.durable(stream(1)) == 5
    assert talk.maybe_take(100) is None


def test_what_did_not_fit_when_it_was_loaded_is_not_durable() -> None:
    talk = Talk(durable=True)
    talk.node.load(Snapshot((StreamSnapshot(stream(1), 5, ()),), ()), talk.now)
    assert talk.node.log.durable(stream(1)) == 0


# --- keys and doubles ----------------------------------------------------------------------------

KEYS = tuple(KeyRecord(bytes((n,)) * 16, n, f"c{n}", 1, 0) for n in range(1, 6))


def hear_keys(talk: Talk) -> None:
    """The five registers with a key record each."""
    talk.hear_news(group(1, REGISTERS)._replace(keys=KEYS))


def test_key_records_follow_the_registers_and_come_before_the_versions() -> None:
    talk = keeper()
    hear_keys(talk)
    parts: list[Changes] = []
    while not parts or not parts[-1].last:
        parts.append(talk.take(4))
        talk.stored(parts[-1])
    assert [(len(part.registers), len(part.keys)) for part in parts] == [(4, 0), (1, 3), (0, 2)]
    assert [each for part in parts for each in part.keys] == [(stream(1), key) for key in KEYS]
    assert [part.versions for part in parts] == [(), (), ((stream(1), 5),)]
    assert talk.maybe_take(4) is None


def test_key_records_are_stored_with_their_age() -> None:
    talk = keeper()
    hear_keys(talk)
    talk.wait(7.0)
    assert {record.age for _, record in talk.take().keys} == {70}


def test_own_key_records_are_on_the_disk_with_their_batch() -> None:
    talk = keeper()
    talk.increment(key=b"k" * 16)
    assert talk.maybe_take(100) is None


def test_key_records_that_could_not_be_stored_come_again() -> None:
    talk = keeper()
    hear_keys(talk)
    changes = talk.take()
    talk.not_stored()
    assert talk.take() == changes


def doubles_of(talk: Talk, *seqs: int) -> tuple[Double, ...]:
    """Enter doubles of the five registers."""
    doubles = tuple(Double(f"c{n}", n, 1, stream(0), n, 0) for n in seqs)
    talk.node.log.enter(stream(1), doubles, talk.now)
    return doubles


def test_doubles_are_stored_in_parts_and_come_again_until_they_are() -> None:
    talk = keeper()
    talk.hear_news(group(1, REGISTERS))
    doubles = doubles_of(talk, 1, 2, 3, 4, 5)
    talk.stored(talk.take(5))
    first = talk.take(3)
    assert (len(first.doubles), first.last) == (3, False)
    talk.not_stored()
    assert talk.take(3) == first
    talk.stored(first)
    second = talk.take(3)
    assert second.last
    assert [each for _, each in (*first.doubles, *second.doubles)] == list(doubles)
    assert second.versions == ((stream(1), 5),)


def test_a_double_that_is_folded_before_it_was_stored_is_stored_in_the_correction() -> None:
    talk = keeper()
    hear_five(talk)
    talk.hear_news(group(0, REGISTERS))
    _, _, *kept = doubles_of(talk, 1, 2, 3)
    talk.node.log.fold(stream(1), 2, talk.now)
    talk.stored(talk.take(10))
    changes = talk.take(2)
    assert changes.doubles == ()
    assert [each.counter for _, each in changes.corrections] == ["c2", "c1"]
    assert not changes.last
    talk.not_stored()
    changes = talk.take(3)
    assert changes.doubles == tuple((stream(1), double) for double in kept)
    assert changes.last
    talk.stored(changes)
    talk.node.log.fold(stream(1), 1, talk.now)
    (again,) = talk.take(10).corrections
    assert again[1].counter == "c3"


def test_the_horizon_is_stored_with_every_part() -> None:
    talk = keeper()
    old = KeyRecord((5).to_bytes(6, "big") + b"\x70" + bytes(9), 1, "c1", 1, 2**31 - 1)
    talk.hear_news(group(1, REGISTERS)._replace(keys=(old,)))
    changes = talk.take(4)
    assert changes.horizon == 5
    talk.stored(changes)
    hear_five(talk)
    again = Talk(peers=1, durable=True)
    again.node.load(Snapshot((), (), horizon=7), again.now)
    hear_five(again)
    assert again.take().horizon == 7


def test_what_was_loaded_is_not_stored_again_but_for_doubles_that_showed_by_it() -> None:
    talk = Talk(durable=True)
    key = KeyRecord(b"k" * 16, 1, "c1", 1, 0)
    snapshots = [StreamSnapshot(stream(n), 1, (("c1", 1, 1),), (key,)) for n in (1, 2)]
    talk.node.load(Snapshot(tuple(snapshots), ()), talk.now)
    assert talk.node.log.value("c1") == 1
    double = Double("c1", 1, 1, stream(1), 1, 0)
    changes = talk.take()
    assert changes == Changes((), (), (), (), doubles=((stream(2), double),))
    talk.stored(changes)
    again = Talk(durable=True)
    again.node.load(snapshot_of(talk.node, talk.now), again.now)
    assert again.node.log.value("c1") == 1
    assert again.maybe_take(100) is None
