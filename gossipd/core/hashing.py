"""The 64-bit hash under fingerprints: a sum of hashes, so that one change costs one change.

blake2b with `digest_size=8` over the msgpack array of kind and fields; sums are modulo 2^64.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

import msgpack

MASK = 2**64 - 1

_pack: Callable[[object], bytes] = msgpack.Packer(use_bin_type=True, autoreset=True).pack


def hash64(*fields: object) -> int:
    """The hash of one fact; its first field is the kind."""
    return int.from_bytes(blake2b(_pack(fields), digest_size=8).digest(), "big")
