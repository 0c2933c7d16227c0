"""The log is a join (I5), its fingerprint and values are functions of its state (I7, I9)."""

from __future__ import annotations

from collections import defaultdict
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from gossipd.core.hashing import MASK, hash64
from gossipd.core.log import Log
from gossipd.core.messages import Register

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
        digest = sum(hash64("r", stream, name, *held) for name, held in registers.items())
        fingerprint += digest + (hash64("v", stream, version) if version else 0)
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
    assert log.fingerprint == fingerprint & MASK
    assert log.values == values
    assert log.register_count == sum(len(held) for _, held in _state(log).values())


@settings(deadline=None, max_examples=150)
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


@settings(deadline=None, max_examples=150)
@given(_BATCHES, _BATCHES)
def test_fingerprints_are_equal_exactly_where_states_are(
    a: list[tuple[bytes, list[Register], int]], b: list[tuple[bytes, list[Register], int]]
) -> None:
    first, second = _merged(a), _merged(b)
    assert (first.fingerprint == second.fingerprint) is (_state(first) == _state(second))


@settings(deadline=None, max_examples=100)
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


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=120))
def test_a_register_that_moves_all_the_time_keeps_the_books_right(steps: list[int]) -> None:
    log = Log()
    for seq, counter in enumerate(steps, 1):
        log.merge(_STREAMS[0], [("abc"[counter - 1], seq, seq)])
    _check(log)


@settings(deadline=None, max_examples=100)
@given(_BATCHES, _BATCHES)
def test_a_log_that_was_loaded_goes_on_as_the_one_that_was_stored(
    stored: list[tuple[bytes, list[Register], int]],
    later: list[tuple[bytes, list[Register], int]],
) -> None:
    log, loaded = _merged(stored), Log()
    for stream, (version, held) in _state(log).items():
        loaded.load(stream, version, [(name, *register) for name, register in held.items()])
    assert (_state(loaded), loaded.fingerprint) == (_state(log), log.fingerprint)
    for stream, registers, version in later:
        assert loaded.merge(stream, registers) == log.merge(stream, registers)
        assert loaded.claim(stream, version) == log.claim(stream, version)
    assert _state(loaded) == _state(log)
    _check(loaded)
