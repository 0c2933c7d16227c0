"""Idempotency keys in a node: retries, both sides of a partition, repair before claims."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gossipd.core import (
    Accepted,
    CatchingUp,
    Commit,
    Double,
    Drop,
    Duplicate,
    Failure,
    FindKeys,
    Incremented,
    KeyedEvent,
    KeyExpired,
    KeyRecord,
    KeyReused,
    KeysFull,
    KeysWanted,
    Learned,
    Put,
    SaveWanted,
    Send,
    Settings,
    Snapshot,
    source_stream,
)
from gossipd.core.log.doubles import REACHED_AT_ONCE, Change, Doubles
from gossipd.core.log.learning import COMPANY_MAX
from gossipd.core.log.log import RUN_MAX, Log
from gossipd.core.wire.messages import (
    Digest,
    DigestAsk,
    Gossip,
    Held,
    Hold,
    Pages,
    PassAsk,
    Ping,
    Shown,
)
from gossipd.core.wire.records import BEGINNING, Group, Leaf, PassItem
from tests.commits import AT_ONCE, abandon, prepared
from tests.inside import snapshot_of
from tests.unit.core.talk import (
    WALL,
    Peer,
    Said,
    Talk,
    group,
    page,
    stream,
)

K, L = (bytes((n,)) * 6 + b"\x40" + bytes((n,)) * 9 for n in (1, 2))
"""Keys that do not tell their time."""


def timed(at: float) -> bytes:
    """A UUIDv7 made when the clock of `now` stood at `at`."""
    return int(1000 * (WALL + at)).to_bytes(6, "big") + b"\x70" + bytes(9)


def alone(settings: Settings | None = None, durable: bool = False) -> Talk:
    return Talk(settings=settings, durable=durable)


def results(talk: Talk, *increments: tuple[str, int, bytes | None]) -> Sequence[object]:
    """What becomes of increments that are committed together."""
    found: list[object] = []
    for begin in range(0, len(increments), AT_ONCE):
        batch = talk.prepare(*increments[begin : begin + AT_ONCE])
        talk.expose(batch)
        found += batch.results
    return tuple(found)


def own_event(talk: Talk, seq: int, by: int = 1, counter: str = "hits") -> KeyedEvent:
    assert talk.node.stream is not None
    return KeyedEvent(talk.node.stream, seq, counter, by)


# --- retries -------------------------------------------------------------------------------------


def test_a_retry_is_answered_with_the_id_of_the_first_and_changes_nothing() -> None:
    talk = alone()
    assert results(talk, ("hits", 5, K)) == (Accepted(1, "hits", 5),)
    before = talk.node.log.fingerprint
    assert results(talk, ("hits", 5, K)) == (Duplicate(own_event(talk, 1, 5)),)
    assert talk.node.log.fingerprint == before
    assert talk.node.log.value("hits") == 5
    assert talk.node.events(K) == {own_event(talk, 1, 5)}


def test_a_batch_that_repeats_a_key_counts_it_once() -> None:
    talk = alone(Settings(key_limit=1))
    assert results(
        talk, ("hits", 5, K), ("hits", 5, K), ("hits", 6, K), ("hits", 1, None), ("hits", 1, L)
    ) == (
        Accepted(1, "hits", 5),
        Duplicate(own_event(talk, 1, 5)),
        KeyReused(own_event(talk, 1, 5)),
        Accepted(2, "hits", 1),
        KeysFull(),
    )
    assert talk.node.log.value("hits") == 6


def test_a_key_that_was_used_for_something_else_is_refused() -> None:
    talk = alone()
    results(talk, ("hits", 5, K))
    assert (
        results(talk, ("hits", 6, K), ("misses", 5, K)) == (KeyReused(own_event(talk, 1, 5)),) * 2
    )
    assert talk.node.log.values == {"hits": 5}


def test_an_increment_that_is_out_of_range_leaves_its_key_free() -> None:
    talk = alone()
    results(talk, ("hits", 2**53, K))
    talk.node.log.merge(stream(1), [("hits", 1, 2**62 - 2**53)])
    results(talk, ("hits", 2**53, L))
    assert talk.node.events(L) == set()
    assert results(talk, ("hits", -1, L)) == (Accepted(2, "hits", -1),)


def test_keys_of_another_time_are_expired() -> None:
    talk = alone()
    for key, age in ((timed(talk.now - 601), 601.0), (timed(talk.now + 61), -61.0)):
        (result,) = results(talk, ("hits", 1, key))
        assert isinstance(result, KeyExpired)
        assert result.seconds == pytest.approx(age, abs=0.01)
    assert talk.node.log.values == {}


def test_a_key_not_above_the_horizon_of_an_earlier_life_is_expired() -> None:
    talk = alone()
    horizon = int(1000 * (WALL + talk.now - 560))
    talk.node.load(Snapshot((), (), horizon=horizon), talk.now)
    talk.node.load(Snapshot((), (), horizon=5), talk.now)
    assert isinstance(results(talk, ("hits", 1, timed(talk.now - 560)))[0], KeyExpired)
    assert isinstance(results(talk, ("hits", 1, timed(talk.now - 559)))[0], Accepted)


def test_a_node_that_is_not_ready_judges_no_key_and_counts_what_has_none() -> None:
    talk = Talk(alone=False)
    assert results(talk, ("hits", 1, K), ("hits", 1, None)) == (
        CatchingUp(),
        Accepted(1, "hits", 1),
    )


def test_in_memory_a_key_is_forgotten_after_the_window_and_its_time_expired() -> None:
    talk = alone()
    key = timed(talk.now)
    results(talk, ("hits", 1, key))
    talk.wait(590)
    assert isinstance(results(talk, ("hits", 1, key))[0], Duplicate)
    talk.wait(20)
    assert isinstance(results(talk, ("hits", 1, key))[0], KeyExpired)
    assert not talk.node.is_doubtful(key, WALL + talk.now), "there is no disk to ask"


def test_with_a_disk_an_older_key_is_doubtful_and_judged_by_what_is_stored() -> None:
    talk = alone(durable=True)
    key = timed(talk.now)
    results(talk, ("hits", 1, key))
    event = own_event(talk, 1)
    talk.store_all()
    assert not talk.node.is_doubtful(key, WALL + talk.now)
    talk.wait(610)
    assert talk.node.events(key) == set()
    assert talk.node.is_doubtful(key, WALL + talk.now)
    batch = talk.prepare(("hits", 1, key), stored={key: (event,)})
    assert batch.results == (Duplicate(event),)


def test_a_retry_after_an_abandoned_batch_counts_once_whatever_the_disk_has() -> None:
    """The rows of the batch may be on the disk all the same: the next life finds the double."""
    talk = alone()
    lost = talk.prepare(("hits", 5, K))
    abandon(talk.node, talk.now)
    results(talk, ("hits", 5, K))
    assert talk.node.log.value("hits") == 5
    snapshot = snapshot_of(talk.node, talk.now)
    (mine,) = snapshot.streams
    revealed = mine._replace(stream=lost.stream, registers=lost.rows, keys=lost.keys)
    again = alone()
    again.node.load(Snapshot((mine, revealed), ()), again.now)
    assert again.node.log.value("hits") == 5
    (result,) = results(again, ("hits", 5, K))
    assert isinstance(result, Duplicate)
    assert result.event.stream == min(mine.stream, lost.stream)


# --- both sides of a partition -------------------------------------------------------------------


def tail_sum(talk: Talk, counter: str = "hits") -> int:
    entries = (entry.advance for entry in talk.node.recent(1000))
    return sum(advance.by for advance in entries if advance.counter == counter)


def heard_of(talk: Talk, number: int, total: int, *keys: KeyRecord) -> Said:
    """News of a stream with one event."""
    return talk.hear_news(group(number, [("hits", 1, total)])._replace(keys=keys))


def test_when_the_records_of_both_sides_meet_the_value_falls_by_exactly_the_double() -> None:
    talk = Talk(1)
    results(talk, ("hits", 5, K))
    said = heard_of(talk, 0, 5, KeyRecord(K, 1, "hits", 5, 0))
    assert talk.node.log.value("hits") == tail_sum(talk) == 5
    told = [(a.by, a.value) for learned in said.of(Learned) for a in learned.advances]
    assert told == [(5, 10), (-5, 5)]
    assert talk.node.log.doubles.left_out == 1
    winner = KeyedEvent(stream(0), 1, "hits", 5)
    assert results(talk, ("hits", 5, K)) == (Duplicate(winner),)


def test_a_double_found_while_a_batch_is_committed_is_told_after_it() -> None:
    """Its record arrives between the batch's preparation and its exposure."""
    talk = Talk(1)
    batch = talk.prepare(("hits", 5, K), ("hits", 1, None))
    heard_of(talk, 0, 5, KeyRecord(K, 1, "hits", 5, 0))
    said = talk.expose(batch)
    (made,) = said.of(Incremented)
    assert [(a.seq, a.by, a.value) for a in made.advances] == [(1, 5, 10), (2, 1, 11)]
    (lost,) = said.of(Learned)
    assert [(a.stream, a.seq, a.by, a.value) for a in lost.advances] == [(batch.stream, 1, -5, 6)]
    assert talk.node.log.value("hits") == tail_sum(talk) == 6


def known_beyond_the_window(talk: Talk, number: int, *keys: bytes) -> list[bool]:
    """News of events under these keys comes, is stored and becomes old: which memory has then."""
    for offset, key in enumerate(keys):
        heard_of(talk, number + offset, 5, KeyRecord(key, 1, "hits", 5, 0))
    talk.store_all()
    talk.wait(talk.settings.key_window + 1)
    return [bool(talk.node.events(key)) for key in keys]


def test_a_double_is_found_however_long_the_commit_took() -> None:
    """The record of its twin came, was stored and would have left memory meanwhile."""
    talk = Talk(1, settings=Settings(key_window=4.0), durable=True)
    batch = talk.prepare(("hits", 5, K))
    assert known_beyond_the_window(talk, 0, K, L) == [True, False]
    said = talk.expose(batch)
    (lost,) = said.of(Learned)
    assert [(a.stream, a.by, a.value) for a in lost.advances] == [(batch.stream, -5, 10)]
    assert talk.node.log.value("hits") == tail_sum(talk) == 10
    talk.wait(talk.settings.key_window + 1)
    assert not talk.node.events(K), "then it goes like any other"


def test_what_comes_of_a_key_while_the_disk_is_asked_for_it_is_known_when_it_has_answered() -> (
    None
):
    talk = Talk(1, settings=Settings(key_window=4.0), durable=True)
    talk.node.increment(1, "hits", 5, K)
    (question,) = talk.commit().of(FindKeys)
    assert known_beyond_the_window(talk, 0, K, L) == [True, False]
    said = talk.node.keys_found(question.question, {}, talk.now, WALL + talk.now)
    (commit,) = (effect for effect in said if isinstance(effect, Commit))
    assert commit.batch.results == (Duplicate(KeyedEvent(stream(0), 1, "hits", 5)),)


@pytest.mark.parametrize("ends", ["looked up in vain", "let go", "abandoned"])
def test_keys_that_are_not_committed_after_all_keep_nothing_in_memory(ends: str) -> None:
    talk = Talk(1, settings=Settings(key_window=4.0), durable=True)
    if ends == "abandoned":
        talk.prepare(("hits", 5, K))
        abandon(talk.node, talk.now)
    else:
        talk.node.increment(1, "hits", 5, K)
        (question,) = talk.commit().of(FindKeys)
        if ends == "let go":
            talk.node.disk_hangs(talk.now)
        else:
            talk.node.keys_not_found(question.question, Failure.FULL, "full", talk.now)
    assert known_beyond_the_window(talk, 0, K) == [False]


def test_a_double_that_only_the_disk_knows_is_found_when_its_twin_is_stored() -> None:
    talk = Talk(1, durable=True)
    heard_of(talk, 1, 5)
    heard_of(talk, 2, 5, KeyRecord(K, 1, "hits", 5, 0))
    assert talk.node.log.value("hits") == 10
    twins = {K: tuple(KeyedEvent(stream(n), 1, "hits", 5) for n in (1, 2))}
    said = talk.stored(talk.take(), twins)
    (lost,) = said.of(Learned)
    assert [(a.by, a.value) for a in lost.advances] == [(-5, 5)]
    assert talk.node.log.value("hits") == tail_sum(talk) == 5
    lost_to = Double("hits", 1, 5, stream(1), 1, 0)
    changes = talk.take()
    assert changes.doubles == ((stream(2), lost_to),)
    again = talk.stored(changes, twins)
    assert not again.of(Learned)


class Both:
    """Two nodes that can hear each other, or not."""

    def __init__(self, durable: bool = False) -> None:
        first = Talk(name="a", seed=1, durable=durable)
        second = Talk(name="b", seed=2, durable=durable, host="10.0.0.2")
        self.nodes = (first, second)
        first.admit(Peer("b", second.me.address, answers=False))
        second.admit(Peer("a", first.me.address, answers=False))
        self.archives: dict[str, tuple[KeyRecord, ...]] = {}
        self.read: list[KeysWanted] = []
        self.fails = 0
        """Reads that are to fail."""

    def exchange(self, seconds: float) -> None:
        """Let time pass while all that one says reaches the other."""
        first, second = self.nodes
        for _ in range(round(seconds / 0.01)):
            waiting = [(first, first.wait(0.01)), (second, second.wait(0.01))]
            while waiting:
                talk, said = waiting.pop(0)
                other = second if talk is first else first
                waiting += (
                    (other, other.deliver(send.data, talk.me.address))
                    for send in said.of(Send)
                    if send.to == other.me.address
                )
                for wanted in said.of(KeysWanted):
                    if self.fails:
                        self.fails -= 1
                        talk.node.keys_not_read()
                        continue
                    self.read.append(wanted)
                    waiting.append((talk, talk.read(wanted, self._records(talk, wanted))))

    def _records(self, talk: Talk, wanted: KeysWanted) -> list[KeyRecord]:
        stored = self.archives[talk.me.name]
        return [r for r in stored if wanted.above < r.seq <= wanted.upto][: wanted.limit]

    @property
    def agree(self) -> bool:
        first, second = (talk.node.log for talk in self.nodes)
        return first.fingerprint == second.fingerprint


def test_a_retry_on_both_sides_of_a_partition_counts_once_when_it_heals() -> None:
    both = Both()
    for talk in both.nodes:
        assert isinstance(results(talk, ("hits", 5, K))[0], Accepted)
        results(talk, ("hits", 1, None))
    both.exchange(3.0)
    assert both.agree
    events = sorted(both.nodes[0].node.events(K))
    assert len(events) == 2
    for talk in both.nodes:
        assert talk.node.log.value("hits") == tail_sum(talk) == 7
        assert talk.node.log.doubles.left_out == 1
        assert results(talk, ("hits", 5, K)) == (Duplicate(events[0]),)


def test_old_key_records_come_from_the_disk_of_a_peer() -> None:
    """One node was alone for longer than the window; the other one gets all its keys."""
    both = Both(durable=True)
    first, second = both.nodes
    keys = [n.to_bytes(6, "big") + b"\x40" + bytes(9) for n in range(1, 1501)]
    results(first, *(("hits", 1, key) for key in keys))
    while changes := first.maybe_take(10_000):
        first.stored(changes)
    first.wait(700)
    second.wait(700)
    assert len(first.node.log.keys) == 0
    stored = tuple(KeyRecord(key, n, "hits", 1, 7000) for n, key in enumerate(keys, 1))
    both.archives["a"] = stored
    both.fails = 1  # the peer asks again
    results(first, ("hits", 1, L))
    both.exchange(6.0)
    assert both.read
    assert both.agree
    assert second.node.log.value("hits") == 1501
    assert {key for key in keys if not second.node.events(key)} == set()
    assert isinstance(results(second, ("hits", 1, keys[700]))[0], Duplicate)


# --- claims --------------------------------------------------------------------------------------


def test_a_key_in_a_lost_datagram_is_repaired_before_anything_claims_it() -> None:
    """The first event came in a datagram that was lost; a later one of its stream arrives."""
    talk = Talk(1)
    talk.settle()
    first, second = KeyRecord(K, 1, "hits", 1, 0), KeyRecord(L, 2, "hits", 1, 0)
    talk.hear_news(Group(stream(1), 1, 2, (("hits", 2, 2),), (second,)))
    log = talk.node.log
    assert log.value("hits") == 2
    assert log.version(stream(1)) == 0, "for a key record is missing below it"
    assert talk.node.events(L)
    assert not talk.node.events(K)
    told = [g for g in talk.wait(1.0).groups() if g.stream == stream(1)]
    assert told
    assert all(g.to == g.start == 0 for g in told), "nor does it make anybody else claim it"

    p0 = talk.peer("p0")
    asked = talk.hear(p0, Ping(1, "me", Shown(7, talk.shown.members, True))).sent(DigestAsk)[0]
    leaf = Leaf(stream(1), 2, 99)
    ask = talk.hear(p0, Digest(asked.nonce, 0, 0, (leaf,), None)).sent(PassAsk)[0]
    assert ask.items == (PassItem(stream(1), 0, BEGINNING),)
    whole = page(1, (("hits", 2, 2),), 2)._replace(keys=(first, second))
    talk.hear(p0, Pages(ask.nonce, (whole,), True))
    assert log.version(stream(1)) == 2
    assert results(talk, ("hits", 1, K)) == (Duplicate(KeyedEvent(stream(1), 1, "hits", 1)),)
    assert log.value("hits") == 2


def keyed_run(first: int, last: int) -> tuple[KeyRecord, ...]:
    return tuple(
        KeyRecord(bytes(8) + seq.to_bytes(8, "big"), seq, "a", 1, 0)
        for seq in range(first, last + 1)
    )


def test_key_records_without_a_gap_raise_the_version_up_to_what_is_present() -> None:
    """Each seq is one event: nobody has to say that nothing is missing."""
    talk = Talk(peers=1)
    s1 = stream(1)
    talk.hear_news(group(1, [("a", 20, 20)], start=20)._replace(keys=keyed_run(2, 9)))
    assert talk.node.log.version(s1) == 0, "the first one is missing"
    talk.hear_news(group(1, [], start=20)._replace(keys=keyed_run(12, 30)))
    talk.hear_news(group(1, [], start=20)._replace(keys=keyed_run(1, 1)))
    assert talk.node.log.version(s1) == 9
    talk.hear_news(group(1, [], start=20)._replace(keys=keyed_run(10, 11)))
    assert talk.node.log.version(s1) == 20, "events above the register may have others below"
    assert talk.node.log.fingerprint == _anew(talk)


def _anew(talk: Talk) -> int:
    """The fingerprint of a log that was told the same."""
    log, s1 = Log(), stream(1)
    log.merge(s1, [("a", 20, 20)])
    log.merge_keys(s1, keyed_run(1, 30), 0.0)
    log.claim(s1, 20)
    return log.fingerprint


def test_a_long_run_raises_the_version_with_what_follows() -> None:
    talk = Talk(peers=1)
    count = 2 * RUN_MAX
    for first in range(2, count, 20):
        news = group(1, [("a", count, count)], start=count)
        talk.hear_news(news._replace(keys=keyed_run(first, min(first + 19, count))))
    talk.hear_news(group(1, [], start=count)._replace(keys=keyed_run(1, 1)))
    assert talk.node.log.version(stream(1)) == RUN_MAX, "no input costs more"
    talk.hear_news(group(1, [], start=count)._replace(keys=keyed_run(1, 1)))
    assert talk.node.log.version(stream(1)) == RUN_MAX
    more = group(1, [("a", count + 1, count + 1)], start=count)
    talk.hear_news(more._replace(keys=keyed_run(count + 1, count + 1)))
    assert talk.node.log.version(stream(1)) == 2 * RUN_MAX


def test_a_sender_does_not_claim_from_below_a_key_that_it_does_not_send() -> None:
    """Its register is superseded, so that only the key record stands for the first event."""
    talk = Talk(1)
    talk.settle()
    talk.increment(key=K)
    talk.settle()
    talk.increment(key=L)
    own = talk.node.stream
    newer = [g for g in talk.wait(1.0).groups() if g.stream == own]
    assert {(g.start, g.to) for g in newer} == {(1, 2)}


def test_registers_count_although_the_table_of_keys_is_full_and_nothing_is_claimed() -> None:
    talk = Talk(2, settings=Settings(key_limit=1))
    keys = [KeyRecord(bytes((n,)) * 16, n, "hits", 1, 0) for n in range(1, 6)]
    talk.hear_news(Group(stream(1), 0, 4, (("hits", 4, 4),), tuple(keys[:4])))
    said = talk.hear_news(Group(stream(1), 4, 5, (("hits", 5, 5),), (keys[4],)))
    assert said.drops == [Drop.KEYS_FULL]
    assert talk.node.log.value("hits") == 5
    assert (talk.node.log.version(stream(1)), len(talk.node.log.keys)) == (4, 4)
    news = [group for group in talk.wait(1.0).groups() if group.registers]
    assert {(g.stream, g.registers[0], max(g.start, g.to)) for g in news} >= {
        (stream(1), ("hits", 5, 5), 4)
    }, "others are told of the register all the same"


SIDES, KEYS = 9, 12
"""Streams in which all of some keys were used."""


def side(number: int) -> Group:
    """All keys once, in a stream that is the smaller the smaller its number."""
    keys = tuple(KeyRecord(bytes((n,)) * 16, n, "hits", 1, 0) for n in range(1, KEYS + 1))
    return Group(stream(number), 0, KEYS, (("hits", KEYS, KEYS),), keys)


def crowded(monkeypatch: pytest.MonkeyPatch) -> tuple[Talk, list[Double]]:
    """Keys of which many events are known, the smallest ones not yet; doubles are counted."""
    added: list[Double] = []
    sound = Doubles.add

    def add(self: Doubles, of: bytes, double: Double, now: float) -> Change | None:
        added.append(double)
        return sound(self, of, double, now)

    talk = Talk(2)
    for number in range(SIDES, 0, -1):
        for _ in range(SIDES):
            talk.hear_news(side(number))
    monkeypatch.setattr(Doubles, "add", add)
    return talk, added


def settled(talk: Talk) -> bool:
    """Whether all is held, and each event but the smallest of its key is left out."""
    log = talk.node.log
    return len(log.keys) == len(log.doubles) + KEYS and log.value("hits") == KEYS


def test_a_datagram_makes_so_many_doubles_at_most_and_the_rest_comes_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    talk, added = crowded(monkeypatch)
    assert settled(talk)
    said = talk.hear_news(side(0))
    assert said.drops == [Drop.CROWDED]
    assert 0 < len(added) <= COMPANY_MAX
    held = [*talk.node.log.keys.oldest_first(stream(0), 0, 0.0)]
    assert talk.node.log.version(stream(0)) == len(held) < KEYS, "not all of it is held"
    for _ in range(KEYS * SIDES // COMPANY_MAX):
        added.clear()
        talk.hear_news(side(0))
        assert len(added) <= COMPANY_MAX
    assert talk.node.log.version(stream(0)) == KEYS
    assert settled(talk)


def test_what_groups_of_one_datagram_make_counts_together(monkeypatch: pytest.MonkeyPatch) -> None:
    talk, added = crowded(monkeypatch)
    whole = side(0)
    parts = [whole._replace(to=0, registers=(), keys=(record,)) for record in whole.keys]
    assert Drop.CROWDED in talk.hear_news(*parts).drops
    assert 0 < len(added) <= COMPANY_MAX


def test_a_pass_over_crowded_keys_asks_again_at_once_and_comes_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    talk, added = crowded(monkeypatch)
    p0, whole = talk.peers["p0"], side(0)
    talk.settle()
    said = talk.hear(p0, Ping(1, "me", Shown(7, talk.shown.members, True)))
    said = talk.hear(
        p0, Digest(said.sent(DigestAsk)[0].nonce, 0, 0, (Leaf(stream(0), KEYS, 1),), None)
    )
    asked = 0
    while asks := said.sent(PassAsk):
        asked += 1
        added.clear()
        full = page(0, whole.registers, KEYS)._replace(keys=whole.keys)
        said = talk.hear(p0, Pages(asks[0].nonce, (full,), True))
        assert len(added) <= COMPANY_MAX
    assert asked == KEYS * SIDES // COMPANY_MAX + 1
    assert talk.node.log.version(stream(0)) == KEYS
    assert settled(talk)


def test_where_many_doubles_wait_for_one_register_they_are_left_out_in_parts() -> None:
    talk = Talk(1)
    log, count = talk.node.log, 3 * REACHED_AT_ONCE
    for number, counter in ((1, "hits"), (2, "other")):
        for first in range(1, count + 1, 32):
            keys = tuple(
                KeyRecord(n.to_bytes(16, "big"), n, "hits", 1, 0) for n in range(first, first + 32)
            )
            talk.hear_news(Group(stream(number), 0, 0, ((counter, count, count),), keys))
            talk.wait(0.1)
    assert (len(log.doubles), log.doubles.left_out) == (count, 0)
    said = talk.hear_news(Group(stream(2), 0, 0, (("hits", count, count),)))
    left_out = sum(-advance.by for each in said.of(Learned) for advance in each.advances)
    assert left_out == REACHED_AT_ONCE - count, "what it brought, less a part of the doubles"
    assert log.doubles.left_out == REACHED_AT_ONCE
    said = talk.wait(0.1)
    assert log.doubles.left_out == count
    assert log.value("hits") == count
    assert max(len(each.advances) for each in said.of(Learned)) == REACHED_AT_ONCE


def test_an_expired_record_is_not_accepted_and_what_came_with_it_is() -> None:
    talk = Talk(1)
    heard_of(talk, 1, 5, KeyRecord(K, 1, "hits", 5, 6000))
    assert talk.node.log.value("hits") == 5
    assert talk.node.log.version(stream(1)) == 1
    assert talk.node.events(K) == set()


def test_a_stream_ends_when_somebody_knows_another_key_in_it() -> None:
    """A clone has counted the same, under another key."""
    talk = Talk(1)
    results(talk, ("hits", 1, L))
    own = talk.node.stream
    assert own is not None
    register = (("hits", 1, 1),)
    talk.hear_news(Group(own, 0, 1, register, (KeyRecord(L, 1, "hits", 1, 0),)))
    assert talk.node.stream == own
    talk.hear_news(Group(own, 0, 1, register, (KeyRecord(K, 1, "hits", 1, 0),)))
    assert talk.node.stream is None


# --- leaving -------------------------------------------------------------------------------------


def test_who_leaves_hands_over_key_records_above_versions() -> None:
    talk = Talk(1)
    heard_of(talk, 1, 5)
    above = KeyRecord(K, 4, "hits", 1, 0)
    talk.hear_news(Group(stream(1), 3, 3, (("hits", 4, 9),), (above,)))
    (hold,) = talk.leave().sent(Hold)
    (handed,) = hold.groups
    assert handed == Group(stream(1), 1, 1, (("hits", 4, 9),), (above,))


def test_held_is_told_when_the_records_in_a_hold_are_on_the_disk() -> None:
    talk = Talk(1, durable=True)
    talk.settle()
    talk.store_all()
    p0 = talk.peer("p0")
    above = KeyRecord(K, 4, "hits", 1, 0)
    said = talk.hear(p0, Hold(7, (Group(stream(1), 0, 0, (), (above,)),)))
    assert said.of(SaveWanted)
    assert not said.sent(Held)
    assert talk.store_all().sent(Held, p0)


def test_gossip_of_a_key_alone_goes_on_to_others() -> None:
    talk = Talk(2)
    talk.settle()
    news = Group(stream(1), 0, 0, (), (KeyRecord(K, 4, "hits", 1, 0),))
    talk.hear(talk.peer("p0"), Gossip(), (), [news])
    told = [g for g in talk.wait(1.0).groups(talk.peer("p1")) if g.stream == stream(1)]
    assert [record.key for g in told for record in g.keys][:1] == [K]


def test_a_source_is_told_at_once_and_is_on_the_disk_with_its_batch() -> None:
    talk = Talk(peers=1, durable=True)
    talk.settle()
    talk.store_all()
    put = Put(source_stream("till", "sales"), "sales", 3, 70)
    batch = prepared(talk.node, [], talk.now, WALL + talk.now, puts=[put])
    said = talk.expose(batch)
    assert [effect.advances[0].value for effect in said.of(Learned)] == [70]
    (told,) = talk.wait(0.1).groups(talk.peer("p0"))[:1]
    assert (told.stream, told.to, told.registers) == (put.stream, 3, (("sales", 3, 70),))
    assert talk.maybe_take(100) is None
    assert talk.node.log.durable(put.stream) == 3


def test_own_key_records_that_have_left_memory_are_no_clone_s() -> None:
    """Peers hold them a moment longer, as ages are told in whole ticks."""
    talk = Talk(settings=Settings(key_window=60.0), peers=1, durable=True)
    talk.increment(key=K)
    own = talk.node.stream
    assert own is not None
    talk.store_all()
    talk.wait(90.0)
    assert talk.node.log.keys.at(own, 1, talk.now) is None
    told = Group(own, 0, 1, (("hits", 1, 1),), (KeyRecord(K, 1, "hits", 1, 590),))
    said = talk.hear(talk.peer("p0"), Gossip(), groups=[told])
    assert said.drops == []
    assert talk.node.stream == own
