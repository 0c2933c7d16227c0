"""I11: increment ids and (stream, seq) are one thing."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipd.core.identity import SEQ_MAX, increment_id, parse_increment_id

from .strategies import streams

_SEQS = st.integers(1, SEQ_MAX)


@given(streams, _SEQS)
def test_a_stream_and_a_seq_make_a_uuid_that_gives_them_back(stream: bytes, seq: int) -> None:
    uuid = increment_id(stream, seq)
    assert uuid.version == 8
    assert uuid.variant == "specified in RFC 4122"
    assert int(str(uuid).rpartition("-")[2], 16) == seq
    assert parse_increment_id(uuid) == (stream, seq)


@given(st.integers(0, 2**128 - 1))
def test_every_uuid_of_version_8_is_the_id_of_one_increment(value: int) -> None:
    uuid = UUID(int=value & ~(0xF << 76 | 3 << 62) | 8 << 76 | 2 << 62 | 1)
    assert increment_id(*parse_increment_id(uuid)) == uuid


@given(st.uuids())
def test_other_uuids_are_refused(uuid: UUID) -> None:
    if uuid.version != 8 or uuid.variant != "specified in RFC 4122" or uuid.int & SEQ_MAX == 0:
        with pytest.raises(ValueError, match="not an increment id"):
            parse_increment_id(uuid)


@given(st.tuples(streams, _SEQS), st.tuples(streams, _SEQS))
def test_ids_sort_as_their_increments_do(a: tuple[bytes, int], b: tuple[bytes, int]) -> None:
    assert (increment_id(*a) < increment_id(*b)) is (a < b)
