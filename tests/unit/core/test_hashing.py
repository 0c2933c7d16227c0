from __future__ import annotations

from gossipd.core.hashing import MASK, hash64


def test_the_hash_of_a_fact_never_changes() -> None:
    assert hash64("v", b"stream", 3) == 0xE1D0A10AB0B27E5


def test_hashes_are_of_64_bits_and_tell_fields_apart() -> None:
    facts = [("a", "b"), ("ab",), ("a", b"b"), ("a", ["b"]), ("a", "b", 0), ("a", "b", "")]
    hashes = {hash64(*fact) for fact in facts}
    assert len(hashes) == len(facts)
    assert all(0 <= value <= MASK for value in hashes)
