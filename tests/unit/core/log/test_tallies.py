"""What the fingerprint says of doubles."""

from __future__ import annotations

from gossipd.core.hashing import MASK_64, wide_hash
from gossipd.core.log.tallies import Tallies
from tests.simulation.tables import walk

A, B = (bytes(9) + bytes((n,)) for n in (1, 2))


def _hash(digest: int, lost: int, out: int) -> int:
    return wide_hash("d", A, "x", digest, lost, out.to_bytes(16, "big", signed=True))


def test_a_tally_is_hashed_as_a_whole() -> None:
    tallies = Tallies()
    tallies.move(A, "x", digest=7, lost=1, out=5)
    assert [*tallies.moves()] == [(A, _hash(7, 1, 5))]
    tallies.move(A, "x", digest=-8)
    tallies.move(A, "x", out=1)
    assert [*tallies.moves()] == [(A, _hash(MASK_64, 1, 6) - _hash(7, 1, 5))]
    assert [*tallies.moves()] == []


def test_what_moves_back_has_not_moved() -> None:
    tallies = Tallies()
    for digest in (7, -7):
        tallies.move(A, "x", digest=digest, lost=digest)
    assert [*tallies.moves()] == []


def test_nothing_is_kept_of_a_tally_of_nothing() -> None:
    tallies = Tallies()
    for stream, counter in ((A, "x"), (A, "y"), (B, "x")):
        tallies.move(stream, counter, out=3)
    told = dict[bytes, int]()
    for stream, delta in tallies.moves():
        told[stream] = told.get(stream, 0) + delta
    for stream, counter in ((A, "x"), (B, "x"), (A, "y")):
        tallies.move(stream, counter, out=-3)
    for stream, delta in tallies.moves():
        told[stream] += delta
    assert told == {A: 0, B: 0}
    assert not any(size for _, size in walk(tallies, "", set()))
