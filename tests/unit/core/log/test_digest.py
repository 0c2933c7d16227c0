from __future__ import annotations

from gossipd.core.hashing import MASK
from gossipd.core.identity import STREAM_BITS
from gossipd.core.log.digest import Trie
from gossipd.core.wire.messages import DIGEST_BITS, DIGEST_DEPTH_MAX

ZERO, ONE, LAST = (n.to_bytes(10, "big") for n in (0, 1, 2**74 - 1))


def _trie(sums: dict[bytes, int]) -> Trie:
    trie = Trie(sums.__getitem__)
    for stream, value in sums.items():
        trie.insert(stream)
        trie.add(stream, value)
    return trie


def test_an_empty_trie_sums_to_0() -> None:
    trie = _trie({})
    assert trie.root == 0
    assert list(trie.below(0, 0)) == []
    assert trie.sums(0, 0) == trie.sums(5, 0) == (0,) * 64


def test_the_root_is_the_sum_of_everything_modulo_2_to_the_64() -> None:
    trie = _trie({ZERO: MASK, LAST: 2})
    assert trie.root == 1
    trie.add(LAST, -2)
    assert trie.root == MASK


def test_streams_are_found_below_their_prefixes() -> None:
    trie = _trie({LAST: 3, ONE: 2, ZERO: 1})
    assert list(trie.below(0, 0)) == [ZERO, ONE, LAST]
    assert [trie.has_few_below(0, 0, few) for few in (2, 3)] == [False, True]
    assert [trie.has_few_below(1, place, 0) for place in (0, 1)] == [False, True]
    for depth in range(1, DIGEST_DEPTH_MAX + 1):
        assert list(trie.below(depth, 0)) == [ZERO, ONE]
        assert list(trie.below(depth, 2 ** (DIGEST_BITS * depth) - 1)) == [LAST]
    assert STREAM_BITS - DIGEST_BITS * DIGEST_DEPTH_MAX == 2, "at most 4 streams at the bottom"


def test_sums_stand_at_their_child_at_every_depth() -> None:
    trie = _trie({LAST: 3, ONE: 2, ZERO: 1})
    assert trie.sums(0, 0) == (3, *(0,) * 62, 3)
    for depth in range(1, DIGEST_DEPTH_MAX):
        assert trie.sums(depth, 0) == (3, *(0,) * 63)
        assert trie.sums(depth, 2 ** (DIGEST_BITS * depth) - 1) == (*(0,) * 63, 3)


def test_streams_that_share_their_first_bits_are_not_summed_on_demand() -> None:
    """Whoever mints ids can make them so; the sums of few are computed when they are asked for."""
    asked: list[bytes] = []
    values: dict[bytes, int] = {}

    def value(stream: bytes) -> int:
        asked.append(stream)
        return values.get(stream, 0)

    trie = Trie(value)
    streams = [number.to_bytes(10, "big") for number in range(300)]
    for stream in streams:
        trie.insert(stream)
        values[stream] = stream[-1] + 1
        trie.add(stream, values[stream])
    asked.clear()
    total = sum(values.values())
    for depth in range(3, DIGEST_DEPTH_MAX - 1):
        assert sum(trie.sums(depth, 0)) == total
    assert trie.sums(DIGEST_DEPTH_MAX - 1, 0)[0] == sum(map(values.__getitem__, streams[:4]))
    assert asked == []
    assert sum(trie.sums(DIGEST_DEPTH_MAX - 1, 1)) == sum(map(values.__getitem__, streams[256:]))
    assert len(asked) == 44


def test_each_stream_moves_by_its_own_though_nobody_asks_in_between() -> None:
    trie = _trie({ZERO: 1, LAST: 2})
    for stream, delta in (ZERO, 10), (ZERO, 20), (LAST, 100), (ZERO, 1000):
        trie.add(stream, delta)
    assert trie.sums(0, 0) == (1031, *(0,) * 62, 102)
