"""The log is a join (I5), its fingerprint and values are functions of its state (I7, I9)."""

from __future__ import annotations

from collections import defaultdict
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gossipd.core.hashing import MASK, fingerprint_of, wide_hash
from gossipd.core.identity import Stream
from gossipd.core.log.log import Log
from gossipd.core.snapshot import StreamSnapshot
from gossipd.core.wire.records import Double, KeyRecord, Register
from tests.effort import examples

_STREAMS = [(n << 60).to_bytes(10, "big") for n in (0, 1, 2**13)]
_REGISTERS = st.tuples(st.sampled_from("abcd"), st.integers(1, 12), st.integers(-5, 5))
_BATCHES = st.lists(
    st.tuples(st.sampled_from(_STREAMS), st.lists(_REGISTERS, max_size=5), st.integers(0, 12)),
    max_size=12,
)
_State = dict[bytes, tuple[int, dict[str, tuple[int, int]]]]


def _merged(batches: list[tuple[bytes, list[Register], int]]) -> Log:
    log = Log()
    for stream, registers, _ in batches:
        log.merge(stream, registers)
    for stream, _, version in batches:
        log.claim(stream, version)
    return log


def _state(log: Log) -> _State:
    return {
        stream: (
            log.version(stream),
            {name: (seq, total) for name, seq, total in log.by_name(stream, 0, "")},
        )
        for stream in log.streams
    }


def _check(log: Log) -> None:
    """Whatever is kept incrementally equals what follows from registers and versions."""
    fingerprint = 0
    values: dict[str, int] = defaultdict(int)
    for stream, (version, registers) in _state(log).items():
        digest = sum(wide_hash("r", stream, name, *held) for name, held in registers.items())
        fingerprint += digest + (wide_hash("v", stream, version) if version else 0)
        assert log.leaf(stream) == (stream, version, digest & MASK)
        for name, (_, total) in registers.items():
            values[name] += total
        newest = sorted(((seq, name) for name, (seq, _) in registers.items()), reverse=True)
        for above in (0, 5):
            listed = [(seq, name) for name, seq, _ in log.newest_first(stream, above)]
            assert listed == [entry for entry in newest if entry[0] > above]
        for seq in range(14):
            below = [held for held, _ in newest if held <= seq]
            assert log.newest_at_or_below(stream, seq) == max(below, default=0)
    assert log.fingerprint == fingerprint_of(fingerprint & MASK)
    assert log.values == values
    assert log.register_count == sum(len(held) for _, held in _state(log).values())


@examples(150)
@given(_BATCHES, st.randoms(use_true_random=False))
def test_order_duplication_and_grouping_do_not_matter(
    batches: list[tuple[bytes, list[Register], int]],
    rng: Random,
) -> None:
    log = _merged(batches)
    again = batches + [batch for batch in batches if rng.random() < 0.5]
    rng.shuffle(again)
    singles = [(s, [r], v) for s, registers, v in again for r in registers]
    rng.shuffle(singles)
    for other in (_merged(again), _merged(singles + [b for b in again if not b[1]])):
        assert _state(other) == _state(log)
        assert other.fingerprint == log.fingerprint
        assert other.values == log.values
        _check(other)


_EVENTS = st.lists(
    st.tuples(
        st.sampled_from(_STREAMS),
        st.integers(1, 6),
        st.sampled_from("ab"),
        st.sampled_from((1, 2)),
        st.sampled_from((b"k" * 16, b"l" * 16)),
    ),
    max_size=10,
    unique_by=lambda event: event[:2],
)
"""Events with keys: of each stream one content under each seq."""


def _parts(
    events: list[tuple[bytes, int, str, int, bytes]], rng: Random
) -> list[tuple[Stream, Register | KeyRecord | Double | int]]:
    """Registers, records and versions of these events, in any order, some twice."""
    totals: dict[tuple[bytes, str], int] = defaultdict(int)
    parts: list[tuple[Stream, Register | KeyRecord | Double | int]] = []
    for stream, seq, counter, by, key in sorted(events):
        totals[stream, counter] += by
        parts += (
            (stream, (counter, seq, totals[stream, counter])),
            (stream, KeyRecord(key, seq, counter, by, 0)),
            (stream, seq),
        )
    parts += [part for part in parts if rng.random() < 0.3]
    rng.shuffle(parts)
    return parts


def _joined(
    parts: list[tuple[Stream, Register | KeyRecord | Double | int]],
) -> tuple[Log, dict[str, int]]:
    """The log of these, with versions last, and what was told of its values."""
    log = Log()
    told: dict[str, int] = defaultdict(int)
    for stream, part in parts:
        if isinstance(part, KeyRecord):
            advances = log.merge_keys(stream, [part], 0.0)[1]
        elif isinstance(part, Double):
            advances = log.enter(stream, (part,), 0.0)[1]
        elif isinstance(part, int):
            continue
        else:
            advances = log.merge(stream, [part]) or []
        for advance in advances:
            told[advance.counter] += advance.by
            assert advance.value == told[advance.counter]
    for stream, part in parts:
        if isinstance(part, int):
            log.claim(stream, part)
    return log, told


@examples(150)
@given(_EVENTS, st.randoms(use_true_random=False))
def test_keys_and_doubles_join_in_any_order(
    events: list[tuple[bytes, int, str, int, bytes]], rng: Random
) -> None:
    (log, told), (other, _) = _joined(_parts(events, rng)), _joined(_parts(events, rng))
    assert other.fingerprint == log.fingerprint
    assert other.values == log.values == told
    groups: dict[tuple[bytes, str, int], int] = defaultdict(int)
    for _, _, counter, by, key in events:
        groups[key, counter, by] += 1
    for counter, value in log.values.items():
        once = sum(by for _, name, by in groups if name == counter)
        assert value == once, "each key counts once for what it says"
    assert len(log.doubles) == log.doubles.left_out == sum(groups.values()) - len(groups)


@examples(150)
@given(_EVENTS, st.randoms(use_true_random=False))
def test_what_is_missing_of_keys_and_doubles_comes_from_another_log(
    events: list[tuple[bytes, int, str, int, bytes]], rng: Random
) -> None:
    """Each log has a part of everything; what each has is joined into the other."""
    parts = _parts(events, rng)
    some = [part for part in parts if rng.random() < 0.6]
    first, _ = _joined([part for part in some if not isinstance(part[1], int)])
    rest = [part for part in parts if part not in some or rng.random() < 0.3]
    second, _ = _joined([part for part in rest if not isinstance(part[1], int)])
    logs = []
    for one, other in ((first, second), (second, first)):
        held: list[tuple[Stream, Register | KeyRecord | Double | int]] = []
        for log in (one, other):
            for stream in log.streams:
                held += ((stream, register) for register in log.by_name(stream, 0, ""))
                held += ((stream, key) for key in log.keys.oldest_first(stream, 0, 0.0))
                held += ((stream, double) for double in log.doubles.of(stream, 0, 0.0))
        logs.append(_joined(held)[0])
    assert logs[0].fingerprint == logs[1].fingerprint
    assert logs[0].values == logs[1].values == _joined(parts)[0].values


@examples(150)
@given(_BATCHES, _BATCHES)
def test_fingerprints_are_equal_exactly_where_states_are(
    a: list[tuple[bytes, list[Register], int]], b: list[tuple[bytes, list[Register], int]]
) -> None:
    first, second = _merged(a), _merged(b)
    assert (first.fingerprint == second.fingerprint) is (_state(first) == _state(second))


@examples(100)
@given(_BATCHES)
def test_what_is_told_as_advances_is_the_change_of_the_values(
    batches: list[tuple[bytes, list[Register], int]],
) -> None:
    log = Log()
    told: dict[str, int] = defaultdict(int)
    for stream, registers, version in batches:
        before = _state(log).get(stream, (0, {}))
        for advance in log.merge(stream, registers) or ():
            told[advance.counter] += advance.by
            assert advance.value == told[advance.counter]
            assert advance.seq >= before[1].get(advance.counter, (0, 0))[0], "I6"
        log.claim(stream, version)
        assert log.version(stream) >= before[0], "I6"
        _check(log)
    assert log.values == told


@examples(60)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=120))
def test_a_register_that_moves_all_the_time_keeps_the_books_right(steps: list[int]) -> None:
    log = Log()
    for seq, counter in enumerate(steps, 1):
        log.merge(_STREAMS[0], [("abc"[counter - 1], seq, seq)])
    _check(log)


@examples(100)
@given(_BATCHES, _BATCHES)
def test_a_log_that_was_loaded_goes_on_as_the_one_that_was_stored(
    stored: list[tuple[bytes, list[Register], int]],
    later: list[tuple[bytes, list[Register], int]],
) -> None:
    log, loaded = _merged(stored), Log()
    for stream, (version, held) in _state(log).items():
        rows = tuple((name, *register) for name, register in held.items())
        loaded.load([StreamSnapshot(stream, version, rows)], 0.0, 0.0)
    assert (_state(loaded), loaded.fingerprint) == (_state(log), log.fingerprint)
    for stream, registers, version in later:
        assert loaded.merge(stream, registers) == log.merge(stream, registers)
        assert loaded.claim(stream, version) == log.claim(stream, version)
    assert _state(loaded) == _state(log)
    _check(loaded)
