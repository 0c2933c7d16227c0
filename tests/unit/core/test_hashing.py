from __future__ import annotations

from collections.abc import Callable

import pytest

from gossipd.core.hashing import MASK, MASK_64, answer_of, fingerprint_of, hash64, wide_hash


def test_the_hash_of_a_fact_never_changes() -> None:
    assert hash64("v", b"stream", 3) == 0xE1D0A10AB0B27E5
    assert wide_hash("v", b"stream", 3) & MASK_64 == 0xD688F2799BED62
    assert fingerprint_of(5) == 0x8133DEA228294B7646972B244691E18
    assert answer_of(5, 7) == 0xD1E416A7F2416FFE


@pytest.mark.parametrize(("hash_of", "largest"), [(hash64, MASK_64), (wide_hash, MASK)])
def test_hashes_have_their_width_and_tell_fields_apart(
    hash_of: Callable[..., int], largest: int
) -> None:
    facts = [("a", "b"), ("ab",), ("a", b"b"), ("a", ["b"]), ("a", "b", 0), ("a", "b", "")]
    hashes = {hash_of(*fact) for fact in facts}
    assert len(hashes) == len(facts)
    assert largest >> 8 < max(hashes) <= largest


def test_a_sum_of_nothing_is_shown_as_0_and_others_by_128_bits_or_64_that_depend_on_a_nonce() -> (
    None
):
    assert fingerprint_of(0) == answer_of(0, 9) == 0
    assert fingerprint_of(MASK) != fingerprint_of(MASK - 1)
    assert MASK_64 < fingerprint_of(MASK) <= 2**128 - 1
    assert len({answer_of(MASK, nonce) for nonce in (0, 1, MASK_64)} | {answer_of(1, 0)}) == 4
    assert 0 < answer_of(MASK, 0) <= MASK_64
