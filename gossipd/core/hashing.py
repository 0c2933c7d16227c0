"""Hashes under fingerprints: sums of hashes, so that one change costs one change.

Who is taken in chooses what it tells, so it must not find different facts with one sum. Sums of 64
bits are found in seconds by a generalised birthday search (Wagner, CRYPTO 2002, on AdHash of
Bellare and Micciancio, EUROCRYPT 1997): with 2^k facts that may be told it takes about
2^(bits / (k + 1) + k) steps. With 1,024 bits and a million facts that is 2^69.

What is shown of a sum is a hash of it: of 128 bits in what anybody compares at any time; of 64
bits under the nonce of a question in its answer, which nobody can search for beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b, shake_128

import msgpack

MASK_64 = 2**64 - 1

_BYTES = 128
"""Of a fact's hash and of sums, which are modulo 256^128."""

MASK: int = 256**_BYTES - 1

_pack: Callable[[object], bytes] = msgpack.Packer(use_bin_type=True, autoreset=True).pack


def hash64(*fields: object) -> int:
    """A hash of one fact for sums that others hold as well; its first field is the kind."""
    return int.from_bytes(blake2b(_pack(fields), digest_size=8).digest(), "big")


def wide_hash(*fields: object) -> int:
    """A hash of one fact, as wide as sums; its first field is the kind."""
    return int.from_bytes(shake_128(_pack(fields)).digest(_BYTES), "big")


def fingerprint_of(total: int) -> int:
    """128 bits that stand for a sum; 0 for that of nothing."""
    return _short(total, 16, b"")


def answer_of(total: int, nonce: int) -> int:
    """64 bits that stand for a sum in the answer to a question; 0 for that of nothing."""
    return _short(total, 8, nonce.to_bytes(8, "big"))


def _short(total: int, size: int, key: bytes) -> int:
    if not total:
        return 0
    digest = blake2b(total.to_bytes(_BYTES, "big"), digest_size=size, key=key).digest()
    return int.from_bytes(digest, "big") or 1
