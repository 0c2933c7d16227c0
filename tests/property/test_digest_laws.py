"""The digest's sums equal those computed anew, at any depth."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gossipd.core.hashing import MASK
from gossipd.core.identity import STREAM_BITS
from gossipd.core.log.digest import Trie
from gossipd.core.wire.messages import DIGEST_DEPTH_MAX
from tests.effort import examples

_NEAR = st.tuples(st.sampled_from([0, 2**73, 2**74 - 2**12]), st.integers(0, 2**12 - 1)).map(sum)
_FAR = st.integers(0, 2**STREAM_BITS - 1)
_STREAMS = st.lists(_NEAR | _FAR, max_size=12, unique=True)
_U64 = st.integers(0, MASK)


@examples(120)
@given(_STREAMS, st.lists(_U64, min_size=24, max_size=24), _FAR)
def test_sums_equal_those_computed_anew(streams: list[int], values: list[int], at: int) -> None:
    sums: dict[bytes, int] = {}
    trie = Trie(sums.__getitem__)
    for bits in streams:
        trie.insert(bits.to_bytes(10, "big"))
        sums[bits.to_bytes(10, "big")] = 0
    for bits, value in zip(streams * 2, values, strict=False):
        stream = bits.to_bytes(10, "big")
        trie.add(stream, value - sums[stream])
        sums[stream] = value
    assert trie.root == sum(sums.values()) & MASK
    for bits in [*streams, at]:
        for depth in range(DIGEST_DEPTH_MAX + 1):
            prefix = bits >> (STREAM_BITS - 6 * depth)
            below = [s for s in sorted(streams) if s >> (STREAM_BITS - 6 * depth) == prefix]
            assert list(trie.below(depth, prefix)) == [s.to_bytes(10, "big") for s in below]
            if depth == DIGEST_DEPTH_MAX:
                continue
            expected = [0] * 64
            for s in below:
                child = s >> (STREAM_BITS - 6 * (depth + 1)) & 63
                expected[child] = (expected[child] + sums[s.to_bytes(10, "big")]) & MASK
            assert trie.sums(depth, prefix) == tuple(expected)
