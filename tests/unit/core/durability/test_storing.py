"""When what was learned is stored, again after a failure, and what else the disk is asked for."""

from __future__ import annotations

from itertools import pairwise

import pytest

from gossipd.core import (
    AllSaved,
    Changes,
    DiskLost,
    DiskRefuses,
    DiskTakes,
    Effect,
    Expire,
    Failure,
    Probe,
    Save,
    SaveWanted,
)
from gossipd.core.durability.disk_health import CALM_MAX, CALM_MIN, RETRY_MAX, RETRY_MIN
from gossipd.core.durability.storing import EXPIRE_INTERVAL, EXPIRE_LATEST, SAVE_LATEST
from gossipd.core.durability.write_behind import WriteBehind
from gossipd.core.log.learning import Learning
from gossipd.core.wire.messages import Hold
from tests.unit.core.talk import Said, Talk, group

FULL = (Failure.FULL, "no space")


class Bench(Talk):
    """A node and its disk, which does what it is asked for, or fails."""

    def __init__(self, *, durable: bool = True, most: int = 100) -> None:
        super().__init__(peers=1, durable=durable)
        self.most = most
        self.parts: list[Changes] = []
        self.expiries = self.probes = 0
        self.rests = 0.0
        """Seconds for which the disk says that nothing expires."""
        self.failure: tuple[Failure, str] | None = None
        """How the disk fails."""
        self.seen: list[Effect] = []
        self.serve(self.beginning)
        self.step(2 * EXPIRE_INTERVAL)
        self.parts.clear()
        self.seen.clear()

    def serve(self, said: Said) -> None:
        """Let the disk do what it is asked for."""
        waiting = list(said.effects)
        while waiting:
            effect = waiting.pop(0)
            self.seen.append(effect)
            waiting += self._answer(effect)

    def _answer(self, effect: Effect) -> list[Effect]:
        node, now = self.node, self.now
        match effect:
            case SaveWanted():
                return node.save(now, self.most)
            case Save(changes):
                if self.failure:
                    return node.disk_failed(*self.failure, now)
                self.parts.append(changes)
                return node.saved(changes, now)
            case Expire():
                self.expiries += 1
                if self.failure:
                    return node.disk_failed(*self.failure, now)
                return node.expired(now, self.rests)
            case Probe():
                self.probes += 1
                return node.disk_failed(*self.failure, now) if self.failure else node.probed(now)
            case _:
                return []

    def step(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while self.now < until:
            self.serve(self.wait(min(0.1, until - self.now)))

    def learn(self, seq: int, count: int = 1) -> None:
        """Registers come from the peer."""
        registers = [(f"c{number}", seq + number, 1) for number in range(count)]
        self.serve(self.hear_news(group(1, registers, start=seq - 1)))

    def of(self, kind: type[Effect]) -> list[Effect]:
        return [effect for effect in self.seen if isinstance(effect, kind)]

    @property
    def versions(self) -> list[int]:
        return [version for part in self.parts for _, version in part.versions]


def mistaken(*_: object) -> None:
    raise RuntimeError("a bug")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_what_was_learned_is_stored_within_two_seconds_and_once(bench: Bench) -> None:
    bench.learn(1)
    assert not bench.parts
    bench.step(SAVE_LATEST + 0.1)
    assert bench.versions == [1]
    bench.step(10)
    assert bench.versions == [1]


def test_who_waits_does_not_wait_for_the_interval(bench: Bench) -> None:
    began = bench.now
    for seq in range(1, 21):
        hold = Hold(seq, (group(1, [("a", seq, 1)], start=seq - 1),))
        bench.serve(bench.hear(bench.peer("p0"), hold))
        assert bench.versions[-1] == seq
    assert bench.now == began


def test_who_waits_while_something_is_stored_is_next(bench: Bench) -> None:
    bench.learn(1)
    running = bench.take()
    hold = Hold(5, (group(1, [("b", 2, 1)], start=1),))
    assert not bench.hear(bench.peer("p0"), hold).of(SaveWanted), "one part at a time"
    assert bench.node.save(bench.now) == []
    bench.serve(Said([(bench.now, each) for each in bench.node.saved(running, bench.now)]))
    assert bench.versions == [2]


def test_much_is_stored_in_parts_with_the_version_in_the_last_one() -> None:
    bench = Bench(most=20)
    bench.learn(1, count=41)
    bench.step(SAVE_LATEST + 0.1)
    assert [len(part.registers) for part in bench.parts] == [20, 20, 1]
    assert [bool(part.versions) for part in bench.parts] == [False, False, True]


def test_what_could_not_be_stored_is_tried_again_later_and_later(bench: Bench) -> None:
    bench.failure = FULL
    bench.learn(1)
    tries: list[float] = []
    began = bench.now
    while bench.now < began + 60:
        before = len(bench.of(Save))
        bench.step(0.1)
        if len(bench.of(Save)) > before:
            tries.append(bench.now)
    pauses = [after - before for before, after in pairwise(tries)]
    expected = [min(RETRY_MIN * 2**n, RETRY_MAX) for n in range(len(pauses))]
    assert pauses == [pytest.approx(pause, abs=0.11) for pause in expected]
    assert len(pauses) > 12
    assert not bench.parts
    bench.failure = None
    bench.step(RETRY_MAX + 0.1)
    assert bench.versions == [1]


def test_a_disk_that_takes_nothing_is_told_and_tried_until_it_does(bench: Bench) -> None:
    """Though nobody has anything to store any more."""
    bench.failure = FULL
    bench.learn(1)
    bench.step(SAVE_LATEST + 0.1)
    assert DiskRefuses("no space") in bench.of(DiskRefuses)
    bench.failure = None
    bench.step(2 * SAVE_LATEST + 0.1)
    assert bench.versions == [1]
    assert bench.probes == 1, "one write says little"
    assert bench.of(DiskTakes) == [DiskTakes()]
    bench.step(20)
    assert bench.probes == 1, "a disk that takes what it is given is left alone"


def test_who_waits_does_not_have_a_disk_that_takes_nothing_tried_sooner(bench: Bench) -> None:
    bench.failure = FULL
    bench.learn(1)
    bench.step(60)
    assert not bench.parts
    tries, began = len(bench.of(Save)), bench.now
    for seq in range(2, 52):
        hold = Hold(seq, (group(1, [("a", seq, 1)], start=seq - 1),))
        bench.serve(bench.hear(bench.peer("p0"), hold))
        bench.step(0.1)
    assert bench.now - began == pytest.approx(RETRY_MAX)
    assert len(bench.of(Save)) - tries == 1
    bench.failure = None
    bench.step(RETRY_MAX + 0.1)
    assert bench.versions[-1] == 51


def test_a_mistake_with_what_was_stored_stops_no_saving(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.learn(1)
    stored = bench.take()
    bench.hear_news(group(1, [("b", 2, 1)], start=1))
    with monkeypatch.context() as patch:
        patch.setattr(Learning, "twins", mistaken)
        with pytest.raises(RuntimeError):
            bench.node.saved(stored, bench.now)
    assert bench.node.log.durable(stored.versions[0][0]) == 1
    bench.step(SAVE_LATEST + 0.1)
    assert bench.versions == [2]


@pytest.mark.parametrize("where", ["take", "stored"])
def test_a_mistake_on_the_way_to_the_disk_stops_no_saving(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    bench.hear_news(group(1, [("a", 1, 1)]))
    with monkeypatch.context() as patch:
        patch.setattr(WriteBehind, where, mistaken)
        with pytest.raises(RuntimeError):
            bench.step(SAVE_LATEST + 0.1)
    bench.step(SAVE_LATEST + 0.1)
    assert bench.versions[-1] == 1
    assert bench.parts[-1].registers, "they are on the disk before the version that covers them"


def test_a_probe_that_fails_is_tried_again(bench: Bench) -> None:
    bench.node.increment(1, "a", 1)
    bench.commit()
    bench.serve(Said([(bench.now, each) for each in bench.node.commit_failed(*FULL, bench.now)]))
    bench.failure = FULL
    bench.step(20)
    assert bench.probes
    assert not bench.of(DiskTakes)
    bench.failure = None
    bench.step(RETRY_MAX + 0.1)
    assert len(bench.of(DiskTakes)) == 1


def test_a_commit_shows_that_the_disk_takes_something_again(bench: Bench) -> None:
    bench.failure = FULL
    bench.learn(1)
    bench.step(SAVE_LATEST + 0.1)
    assert bench.increment().of(DiskTakes) == [DiskTakes()]


def test_a_disk_that_takes_one_write_and_not_the_next_is_held_to_take_none_for_a_while(
    bench: Bench,
) -> None:
    """Where little room is left: small writes pass, large ones do not."""
    seq = 0

    def fail_and_pass() -> None:
        nonlocal seq
        seq += 1
        bench.failure = FULL
        bench.learn(seq)
        bench.step(SAVE_LATEST + RETRY_MAX)
        bench.failure = None
        bench.serve(bench.increment())

    fail_and_pass()
    assert len(bench.of(DiskTakes)) == 1, "the first time it is believed at once"
    for times, calm in enumerate((CALM_MIN, 2 * CALM_MIN), 1):
        fail_and_pass()
        assert len(bench.of(DiskTakes)) == times
        bench.step(calm + 2 * SAVE_LATEST)
        assert len(bench.of(DiskTakes)) == times + 1, "it was tried without being asked"
    bench.step(CALM_MAX)
    fail_and_pass()
    assert len(bench.of(DiskTakes)) == 4, "the first time in a while"


def test_after_a_mistake_it_is_stored_all_the_same_and_the_disk_is_not_blamed(
    bench: Bench,
) -> None:
    bench.failure = (Failure.MISTAKE, "a bug")
    bench.learn(1)
    bench.step(SAVE_LATEST + 0.1)
    assert not bench.of(DiskRefuses)
    bench.failure = None
    bench.step(2 * SAVE_LATEST)
    assert bench.versions == [1]


def test_a_broken_disk_is_told_and_not_tried_again(bench: Bench) -> None:
    bench.failure = (Failure.BROKEN, "EIO")
    bench.learn(1)
    bench.step(60)
    assert bench.of(DiskLost) == [DiskLost("EIO")]
    assert len(bench.of(Save)) == 1
    assert bench.node.save(bench.now) == []
    assert bench.node.save_rest(bench.now) == [AllSaved()], "nothing can be done any more"


def test_what_has_expired_is_removed_again_and_again_though_nothing_changes(bench: Bench) -> None:
    before = bench.expiries
    bench.step(4 * EXPIRE_INTERVAL)
    assert 3 <= bench.expiries - before <= 4
    assert not bench.parts


@pytest.mark.parametrize(("rests", "at"), [(20.0, 20.0), (1e9, EXPIRE_LATEST)])
def test_a_disk_on_which_nothing_expires_is_left_asleep(
    bench: Bench, rests: float, at: float
) -> None:
    """For a minute at most: what comes from others may be old."""
    bench.rests = rests
    bench.step(EXPIRE_INTERVAL + SAVE_LATEST)
    before = bench.expiries
    bench.step(at - EXPIRE_INTERVAL - SAVE_LATEST)
    assert bench.expiries == before
    bench.step(EXPIRE_INTERVAL + 2 * SAVE_LATEST)
    assert bench.expiries == before + 1


def test_an_expiry_that_failed_takes_back_nothing_that_was_stored(bench: Bench) -> None:
    bench.learn(1)
    bench.step(SAVE_LATEST + 0.1)
    bench.failure = FULL
    bench.step(EXPIRE_INTERVAL)
    bench.failure = None
    bench.learn(2)
    bench.step(RETRY_MAX)
    assert bench.versions == [1, 2]


def test_at_the_end_everything_is_stored_once_more_and_nothing_after_that(bench: Bench) -> None:
    bench.learn(5)
    expiries = bench.expiries
    bench.serve(Said([(bench.now, each) for each in bench.node.save_rest(bench.now)]))
    assert bench.versions == []
    assert bench.parts[0].registers
    assert bench.seen[-1] == AllSaved()
    bench.learn(6)
    bench.step(60)
    assert len(bench.parts) == 1
    assert bench.expiries == expiries


def test_at_the_end_what_is_under_way_is_waited_for(bench: Bench) -> None:
    bench.learn(1)
    running = bench.take()
    bench.hear_news(group(1, [("b", 2, 1)], start=1))
    assert not bench.node.save_rest(bench.now)
    bench.serve(Said([(bench.now, each) for each in bench.node.saved(running, bench.now)]))
    assert bench.versions == [2]
    assert bench.of(AllSaved)


def test_at_the_end_what_came_while_a_long_cycle_was_stored_is_stored_too() -> None:
    bench = Bench(most=20)
    bench.hear_news(group(1, [(f"c{number}", 1 + number, 1) for number in range(41)]))
    running = bench.take(20)
    bench.hear_news(group(1, [("late", 42, 1)], start=41))
    assert not bench.node.save_rest(bench.now)
    bench.serve(Said([(bench.now, each) for each in bench.node.saved(running, bench.now)]))
    assert bench.versions == [41, 42]
    assert bench.seen[-1] == AllSaved()


def test_at_the_end_a_disk_that_took_nothing_is_tried_once_more(bench: Bench) -> None:
    bench.failure = FULL
    bench.learn(1)
    bench.step(20)
    bench.failure = None
    bench.serve(Said([(bench.now, each) for each in bench.node.save_rest(bench.now)]))
    assert bench.versions == [1]
    assert bench.seen[-1] == AllSaved()


def test_at_the_end_a_disk_that_takes_nothing_is_not_tried_again(bench: Bench) -> None:
    bench.failure = FULL
    bench.learn(1)
    bench.serve(Said([(bench.now, each) for each in bench.node.save_rest(bench.now)]))
    assert bench.of(AllSaved)
    bench.step(60)
    assert len(bench.of(Save)) == 1


def test_at_the_end_a_disk_that_breaks_is_waited_for_no_longer(bench: Bench) -> None:
    bench.failure = (Failure.BROKEN, "EIO")
    bench.learn(1)
    bench.serve(Said([(bench.now, each) for each in bench.node.save_rest(bench.now)]))
    assert bench.of(AllSaved)


def test_without_a_disk_nothing_is_asked_for() -> None:
    bench = Bench(durable=False)
    bench.learn(1)
    bench.step(60)
    assert not bench.of(SaveWanted)
    assert bench.node.save_rest(bench.now) == [AllSaved()]
