from __future__ import annotations

from random import Random
from time import process_time

import pytest

from gossipd.core.gossip.queues import LogQueue, MemberQueue, transmissions
from gossipd.core.log.log import Log
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.encoding import pack_body, pack_head
from gossipd.core.wire.messages import Envelope, Gossip
from gossipd.core.wire.records import Group, KeyRecord

A, B, C = (bytes(9) + bytes((n,)) for n in (1, 2, 3))
PLENTY = 10_000


def _pack(name: str) -> bytes | None:
    return None if name == "gone" else name.encode()


def _groups(packed: list[bytes]) -> list[Group]:
    envelope = decode(pack_body(pack_head("x", 0, 0, Gossip()), [], packed))
    assert isinstance(envelope, Envelope)
    return list(envelope.groups)


def _log(count: int, name: str = "c{:03}") -> Log:
    log = Log()
    log.merge(A, [(name.format(seq), seq, seq) for seq in range(1, count + 1)])
    log.claim(A, count)
    return log


@pytest.mark.parametrize(("live", "count"), [(1, 4), (9, 4), (10, 8), (99, 8), (100, 12)])
def test_transmissions_grow_with_the_logarithm(live: int, count: int) -> None:
    assert transmissions(4, live) == count


# --- members -------------------------------------------------------------------------------------


def test_news_of_members_leaves_when_it_was_sent_often_enough() -> None:
    queue = MemberQueue()
    queue.push("bob")
    assert queue.take(PLENTY, PLENTY, 2, _pack) == [b"bob"]
    assert len(queue) == 1
    assert queue.take(PLENTY, PLENTY, 2, _pack) == [b"bob"]
    assert len(queue) == 0
    assert queue.take(PLENTY, PLENTY, 2, _pack) == []


def test_a_lane_knows_how_often_its_news_was_sent_at_least() -> None:
    members, log = MemberQueue(), LogQueue(_log(1))
    assert not members.sent_less_than(9)
    assert not log.sent_less_than(9)
    members.push("bob")
    log.push(A, 0)
    assert [members.sent_less_than(1), log.sent_less_than(1)] == [True, True]
    members.take(PLENTY, PLENTY, 2, _pack)
    log.take(PLENTY, 2, 0.0)
    assert [members.sent_less_than(1), log.sent_less_than(1)] == [False, False]
    assert [members.sent_less_than(2), log.sent_less_than(2)] == [True, True]
    members.take(PLENTY, PLENTY, 2, _pack)
    log.take(PLENTY, 2, 0.0)
    assert [members.sent_less_than(2), log.sent_less_than(2)] == [False, False]


def test_the_members_sent_least_come_first() -> None:
    queue = MemberQueue()
    queue.push("a")
    queue.push("b")
    queue.take(1, 1, 9, _pack)
    queue.push("c")
    assert queue.take(PLENTY, PLENTY, 9, _pack) == [b"b", b"c", b"a"]
    queue.push("a")
    assert queue.take(PLENTY, PLENTY, 9, _pack)[0] == b"a"


def test_members_that_are_not_shared_leave_the_lane() -> None:
    queue = MemberQueue()
    queue.push("gone")
    assert queue.take(PLENTY, PLENTY, 9, _pack) == []
    assert len(queue) == 0


def test_members_take_their_share_only() -> None:
    queue = MemberQueue()
    for name in ("aaaa", "bbbb", "cc"):
        queue.push(name)
    assert queue.take(6, PLENTY, 9, _pack) == [b"aaaa", b"cc"]


def test_a_view_larger_than_the_share_is_sent_alone() -> None:
    queue = MemberQueue()
    queue.push("x" * 20)
    queue.push("y")
    assert queue.take(10, 20, 9, _pack) == [b"x" * 20]
    assert queue.take(10, 20, 9, _pack) == [b"y"]


def test_a_view_that_does_not_fit_does_not_hold_up_others() -> None:
    queue = MemberQueue()
    queue.push("x" * 20)
    queue.push("y")
    assert queue.take(10, 10, 9, _pack) == [b"y"]
    assert queue.sent_less_than(1)


def test_only_a_few_views_that_do_not_fit_are_tried() -> None:
    queue = MemberQueue()
    tried: list[str] = []

    def pack(name: str) -> bytes:
        tried.append(name)
        return b"x" * 20

    for number in range(100):
        queue.push(str(number))
    assert queue.take(10, 10, 9, pack) == []
    assert len(tried) == 8


# --- the log -------------------------------------------------------------------------------------


def test_a_group_holds_everything_above_its_start() -> None:
    log = _log(3)
    queue = LogQueue(log)
    queue.push(A, 1)
    assert len(queue) == 1
    (group,) = _groups(queue.take(PLENTY, 9, 0.0))
    assert group == Group(A, 1, 3, (("c003", 3, 3), ("c002", 2, 2)))
    assert not queue.sent_less_than(1)


def test_what_does_not_fit_raises_the_start_of_a_group() -> None:
    log = _log(20)
    queue = LogQueue(log)
    queue.push(A, 0)
    packed = queue.take(100, 9, 0.0)
    assert sum(map(len, packed)) <= 100
    (group,) = _groups(packed)
    kept = len(group.registers)
    assert 0 < kept < 20
    assert [r[1] for r in group.registers] == list(range(20, 20 - kept, -1))
    assert (group.start, group.to) == (20 - kept, 20)


def test_registers_above_the_version_are_sent_but_not_claimed() -> None:
    log = Log()
    log.merge(A, [("a", 2, 1), ("b", 7, 1)])
    log.claim(A, 3)
    queue = LogQueue(log)
    queue.push(A, 6)
    assert _groups(queue.take(PLENTY, 9, 0.0)) == [Group(A, 2, 3, (("b", 7, 1),))]
    queue.push(A, 0)
    assert _groups(queue.take(PLENTY, 9, 0.0)) == [Group(A, 0, 3, (("b", 7, 1), ("a", 2, 1)))]


def test_a_group_cut_above_the_version_claims_nothing() -> None:
    log = Log()
    log.merge(A, [("a" * 128, 8, 1), ("b", 9, 1)])
    queue = LogQueue(log)
    queue.push(A, 0)
    assert _groups(queue.take(100, 9, 0.0)) == [Group(A, 8, 8, (("b", 9, 1),))]


def test_a_start_falls_to_the_next_register_below() -> None:
    log = Log()
    log.merge(A, [("a", 2, 1), ("b", 9, 1)])
    log.claim(A, 9)
    queue = LogQueue(log)
    queue.push(A, 8)
    assert _groups(queue.take(PLENTY, 9, 0.0)) == [Group(A, 2, 9, (("b", 9, 1),))]


def test_a_stream_leaves_when_its_news_was_sent_often_enough() -> None:
    queue = LogQueue(_log(3))
    queue.push(A, 2)
    for _ in range(3):
        assert len(queue.take(PLENTY, 3, 0.0)) == 1
    assert len(queue) == 0
    assert queue.take(PLENTY, 3, 0.0) == []


def test_old_news_of_a_busy_stream_leaves_while_newer_news_stays() -> None:
    log = _log(3)
    queue = LogQueue(log)
    queue.push(A, 1)
    queue.push(A, 0)
    assert _groups(queue.take(PLENTY, 2, 0.0))[0].start == 0
    log.merge(A, [("d", 4, 4)])
    log.claim(A, 4)
    queue.push(A, 3)
    assert _groups(queue.take(PLENTY, 2, 0.0))[0].start == 0
    assert _groups(queue.take(PLENTY, 2, 0.0))[0].start == 3
    assert len(queue) == 0


def test_a_busy_stream_keeps_a_few_spans_and_loses_no_news() -> None:
    log = Log()
    queue = LogQueue(log)
    for seq in range(1, 40):
        log.merge(A, [(f"c{seq}", seq, 1)])
        log.claim(A, seq)
        queue.push(A, seq - 1)
        (group,) = _groups(queue.take(PLENTY, 100, 0.0))
        assert group.start == 0
        assert len(group.registers) == seq


def test_streams_sent_least_come_first() -> None:
    log = _log(1)
    for stream in (B, C):
        log.merge(stream, [("x", 1, 1)])
    queue = LogQueue(log)
    queue.push(A, 0)
    queue.take(PLENTY, 9, 0.0)
    queue.push(B, 0)
    assert [group.stream for group in _groups(queue.take(PLENTY, 9, 0.0))] == [B, A]


def test_a_stream_with_nothing_above_its_span_does_not_hold_up_others() -> None:
    log = _log(3)
    log.merge(B, [("x", 1, 1)])
    queue = LogQueue(log)
    queue.push(A, 3)
    queue.push(C, 0)
    queue.push(B, 0)
    assert [group.stream for group in _groups(queue.take(PLENTY, 9, 0.0))] == [B]
    assert len(queue) == 1
    assert not queue.sent_less_than(1)


def test_a_stream_that_does_not_fit_waits_for_more_room_and_lets_others_pass() -> None:
    log = _log(1, "{:0128}")
    log.merge(B, [("x", 1, 1)])
    queue = LogQueue(log)
    queue.push(A, 0)
    queue.push(B, 0)
    assert [group.stream for group in _groups(queue.take(100, 9, 0.0))] == [B]
    assert queue.sent_less_than(1)
    assert [group.stream for group in _groups(queue.take(200, 9, 0.0))] == [A, B]


def test_only_a_few_streams_that_do_not_fit_are_tried() -> None:
    log = Log()
    queue = LogQueue(log)
    for number in range(20):
        stream = bytes(8) + bytes((2, number))
        log.merge(stream, [("x" * (128 if number < 10 else 1), 1, 1)])
        queue.push(stream, 0)
    assert queue.take(100, 9, 0.0) == []
    assert len(queue) == 20


def test_more_registers_under_one_seq_than_fit_do_not_hold_up_a_stream() -> None:
    log = Log()
    log.merge(A, [(f"{n:0128}", 5, 1) for n in range(20)])
    log.claim(A, 5)
    queue = LogQueue(log)
    queue.push(A, 0)
    (group,) = _groups(queue.take(500, 1, 0.0))
    assert (group.start, group.to) == (5, 5)
    assert len(group.registers) == 3
    assert queue.take(500, 1, 0.0) == []
    assert len(queue) == 0


# --- keys ----------------------------------------------------------------------------------------


def _keyed_log(count: int) -> Log:
    """Events of one counter each, all with keys."""
    log = _log(count)
    log.merge_keys(A, [KeyRecord(bytes((n,)) * 16, n, "c", 1, 0) for n in range(1, count + 1)], 0)
    return log


def _seqs(group: Group) -> tuple[list[int], list[int]]:
    return [seq for _, seq, _ in group.registers], [record.seq for record in group.keys]


def test_a_group_holds_registers_and_key_records_with_their_ages() -> None:
    log = _keyed_log(3)
    queue = LogQueue(log)
    queue.push(A, 1)
    (group,) = _groups(queue.take(PLENTY, 9, 60.0))
    assert (group.start, group.to) == (1, 3)
    assert _seqs(group) == ([3, 2], [3, 2])
    assert [record.age for record in group.keys] == [600, 600]


@pytest.mark.parametrize("budget", range(40, 400, 9))
def test_a_register_and_the_key_record_of_its_event_are_never_split(budget: int) -> None:
    queue = LogQueue(_keyed_log(9))
    queue.push(A, 0)
    told: list[int] = []
    for _ in range(20):
        for group in _groups(queue.take(budget, 1, 0.0)):
            registers, keys = _seqs(group)
            assert registers == keys
            assert group.start == min(keys) - 1
            told += keys
    assert told in ([*range(9, 0, -1)], []), "or nothing where not even one fits"
    assert told or budget < 90


def test_a_key_record_that_fits_beside_nothing_waits_for_a_larger_datagram() -> None:
    queue = LogQueue(_keyed_log(1))
    queue.push(A, 0)
    assert queue.take(60, 1, 0.0) == []
    (group,) = _groups(queue.take(PLENTY, 1, 0.0))
    assert _seqs(group) == ([1], [1])


def test_a_key_record_under_a_superseded_seq_bounds_the_start() -> None:
    log = Log()
    for seq in (1, 2, 3):
        log.merge(A, [("x", seq, seq)])
    log.claim(A, 3)
    log.merge_keys(A, [KeyRecord(b"k" * 16, 2, "x", 1, 0)], 0.0)
    queue = LogQueue(log)
    queue.push(A, 2)
    (group,) = _groups(queue.take(PLENTY, 9, 0.0))
    assert (group.start, group.to, group.keys) == (2, 3, ())


@pytest.mark.parametrize(("now", "start"), [(49.0, 2), (50.0, 0)])
def test_key_records_that_are_on_the_disk_only_raise_the_start(now: float, start: int) -> None:
    log = _keyed_log(3)
    dropped = list(log.keys.oldest_first(A, 0, 0.0))[:2]
    log.drop_keys(A, dropped, 50.0)
    queue = LogQueue(log)
    queue.push(A, 0)
    (group,) = _groups(queue.take(PLENTY, 9, now))
    assert (group.start, group.to) == (start, 3)
    assert _seqs(group) == ([3, 2, 1], [3])


def test_a_stream_with_key_records_alone_is_news() -> None:
    log = Log()
    log.merge_keys(A, [KeyRecord(b"k" * 16, 2, "x", 1, 0)], 0.0)
    queue = LogQueue(log)
    queue.push(A, 0)
    (group,) = _groups(queue.take(PLENTY, 1, 0.0))
    assert group == Group(A, 0, 0, (), (KeyRecord(b"k" * 16, 2, "x", 1, 0),))


# --- more than fits ------------------------------------------------------------------------------


def _drained(queue: LogQueue, budget: int, sends_max: int) -> list[Group]:
    groups: list[Group] = []
    while queue:
        groups += _groups(queue.take(budget, sends_max, 0.0))
        assert len(groups) < 1000
    return groups


@pytest.mark.parametrize("sends_max", [1, 2, 4])
def test_what_did_not_fit_follows_until_everything_was_sent_equally_often(sends_max: int) -> None:
    queue = LogQueue(_log(50))
    queue.push(A, 0)
    sent = [r[1] for group in _drained(queue, 120, sends_max) for r in group.registers]
    assert sent[:50] == list(range(50, 0, -1))
    assert sorted(sent) == sorted(list(range(1, 51)) * sends_max)


def test_only_a_group_with_the_newest_registers_claims() -> None:
    queue = LogQueue(_log(50))
    queue.push(A, 0)
    for group in _drained(queue, 120, 1):
        newest = group.registers[0][1] == 50
        assert group.to == (50 if newest else group.start)
        assert group.start == group.registers[-1][1] - 1


def test_when_room_comes_a_stream_sent_in_parts_is_claimed_whole() -> None:
    queue = LogQueue(_log(50))
    queue.push(A, 0)
    while queue.sent_less_than(1):
        queue.take(120, 9, 0.0)
    (group,) = _groups(queue.take(PLENTY, 9, 0.0))
    assert (group.start, group.to, len(group.registers)) == (0, 50, 50)


def test_newer_news_goes_before_the_rest_of_what_did_not_fit() -> None:
    log = _log(50)
    queue = LogQueue(log)
    queue.push(A, 0)
    (first,) = _groups(queue.take(120, 1, 0.0))
    log.merge(A, [("c051", 51, 51)])
    queue.push(A, 50)
    (second,) = _groups(queue.take(43, 1, 0.0))
    assert [r[1] for r in second.registers] == [51]
    sent = [r[1] for group in _drained(queue, 120, 1) for r in group.registers]
    assert sent[-first.start :] == list(range(first.start, 0, -1))


@pytest.mark.parametrize("sends_max", [1, 2, 3])
def test_news_is_told_wherever_it_comes_between_the_parts_of_what_did_not_fit(
    sends_max: int,
) -> None:
    for pushed_after in range(1, 12):
        log = _log(30)
        queue = LogQueue(log)
        queue.push(A, 0)
        told: set[int] = set()
        for takes in range(200):
            if takes == pushed_after:
                log.merge(A, [("newest", 31, 31)])
                log.claim(A, 31)
                queue.push(A, 30)
            told |= {
                seq
                for group in _groups(queue.take(100, sends_max, 0.0))
                for _, seq, _ in group.registers
            }
        assert told == set(range(1, 32)), pushed_after


def test_a_stream_with_more_than_fits_takes_turns_with_others() -> None:
    log = _log(50)
    log.merge(B, [("x", 1, 1)])
    queue = LogQueue(log)
    queue.push(A, 0)
    queue.push(B, 0)
    assert [group.stream for group in _groups(queue.take(120, 9, 0.0))] == [A]
    assert [group.stream for group in _groups(queue.take(120, 9, 0.0))] == [B, A]


def test_what_was_superseded_before_it_followed_is_not_waited_for() -> None:
    log = _log(2, "{:064}")
    queue = LogQueue(log)
    queue.push(A, 0)
    queue.take(120, 1, 0.0)
    log.merge(A, [(f"{1:064}", 3, 9)])
    assert queue.take(120, 1, 0.0) == []
    assert len(queue) == 0


@pytest.mark.untraced
@pytest.mark.parametrize("seed", range(20))
def test_a_busy_stream_with_more_than_fits_comes_to_an_end(seed: int) -> None:
    rng = Random(seed)
    log = Log()
    queue = LogQueue(log)
    sent: set[int] = set()
    for seq in range(1, 300):
        log.merge(A, [(f"c{seq:04}", seq, 1)])
        log.claim(A, seq)
        queue.push(A, rng.choice([seq - 1, seq - 1, rng.randrange(seq)]))
        groups = _groups(queue.take(rng.randrange(300), 4, 0.0)) if rng.random() < 0.7 else []
        sent |= {r[1] for group in groups for r in group.registers}
    sent |= {r[1] for group in _drained(queue, 120, 4) for r in group.registers}
    assert sent == set(range(1, 300))


@pytest.mark.untraced
def test_a_datagram_does_not_cost_more_where_many_streams_and_members_wait() -> None:
    log = Log()
    queue, members = LogQueue(log), MemberQueue()
    for number in range(20_000):
        stream = number.to_bytes(10, "big")
        log.merge(stream, [("x", 1, 1)])
        queue.push(stream, 0)
        members.push(str(number))
    began_at = process_time()
    for _ in range(500):
        assert len(queue.take(70, 9, 0.0)) == 2
        assert len(members.take(2, 2, 9, lambda name: b"x")) == 2
        assert not queue.take(20, 9, 0.0)
        assert not members.take(0, 0, 9, _pack)
        assert queue.sent_less_than(1)
        assert members.sent_less_than(1)
    assert process_time() - began_at < 1.0
