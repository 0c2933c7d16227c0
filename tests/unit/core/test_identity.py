from __future__ import annotations

from random import Random
from uuid import UUID

import pytest

from gossipd.core import Counted
from gossipd.core.identity import (
    SEQ_MAX,
    increment_id,
    increment_text,
    is_host,
    is_text,
    new_stream,
    parse_increment_id,
)

STREAM = bytes.fromhex("01020304050607080910")


def test_an_increment_id_is_a_uuid_of_version_8_that_ends_in_its_seq() -> None:
    uuid = increment_id(STREAM, 0x1A2B)
    assert str(uuid) == "4080c101-4181-8c20-8910-000000001a2b"
    assert uuid.version == 8
    assert uuid.variant == "specified in RFC 4122"
    assert parse_increment_id(uuid) == (STREAM, 0x1A2B)


@pytest.mark.parametrize("seq", [0, 1, 0x1A2B, SEQ_MAX])
def test_the_text_of_an_id_is_that_of_the_uuid(seq: int) -> None:
    rng = Random(seq)
    for stream in (STREAM, *(new_stream(rng) for _ in range(100))):
        assert increment_text(stream, seq) == str(increment_id(stream, seq))
        assert Counted(stream, "a", seq, 1, 1).id == increment_id(stream, seq)


def test_the_largest_stream_and_seq_have_an_id() -> None:
    stream = (2**74 - 1).to_bytes(10, "big")
    assert parse_increment_id(increment_id(stream, SEQ_MAX)) == (stream, SEQ_MAX)


@pytest.mark.parametrize(
    "text",
    [
        "4080c101-4181-4820-8910-000000001a2b",
        "4080c101-4181-8820-c910-000000001a2b",
        "4080c101-4181-8820-0910-000000001a2b",
    ],
)
def test_a_uuid_of_another_version_or_variant_is_no_increment_id(text: str) -> None:
    with pytest.raises(ValueError, match="version 8"):
        parse_increment_id(UUID(text))


def test_an_increment_id_has_no_seq_0() -> None:
    with pytest.raises(ValueError, match="above 0"):
        parse_increment_id(UUID("4080c101-4181-8820-8910-000000000000"))


def test_a_new_stream_has_the_kind_bit_0() -> None:
    rng = Random(1)
    streams = [new_stream(rng) for _ in range(200)]
    assert all(len(stream) == 10 and stream[0] < 2 for stream in streams)
    assert len(set(streams)) == 200
    assert {stream[0] for stream in streams} == {0, 1}


@pytest.mark.parametrize(
    ("value", "legal"),
    [
        ("a b", True),
        ("ä" * 4, True),
        ("\u200b", True),
        ("x" * 8, True),
        ("x" * 9, False),
        ("ä" * 5, False),
        ("", False),
        ("a\n", False),
        ("\x7f", False),
        ("ä\x85", False),
        ("\ud800", False),
    ],
)
def test_a_text_has_a_length_in_bytes_and_no_control_characters(value: str, legal: bool) -> None:
    assert is_text(value, 8) is legal


@pytest.mark.parametrize(
    ("host", "legal"),
    [
        ("10.0.0.1", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("2001:db8::1", True),
        ("fe80::1", True),
        ("fe80::1%eth0", False),
        ("fe80::1%\n", False),
        ("fe80::1%" + "x" * 300, False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:a00:1", False),
        ("2001:DB8::1", False),
        ("0:0:0:0:0:0:0:1", False),
        ("010.0.0.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("224.0.0.1", False),
        ("ff02::1", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_a_host_is_the_one_literal_of_an_address(host: str, legal: bool) -> None:
    assert is_host(host) is legal
