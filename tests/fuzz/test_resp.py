"""Splits of a conversation in RESP, and what a hostile client would rather have held."""

from __future__ import annotations

import tracemalloc

import pytest

from gossipd.sideport.limits import Limits
from gossipd.sideport.resp.reading import Reader

from .conversation import converse, host
from .respoken import command, commands_in


async def answers_to(pieces: list[bytes]) -> tuple[bytes, list[tuple[str, int]]]:
    """What a connection says to these, and what it added."""
    backend, port = host()
    return await converse(port, pieces), backend.started


async def test_every_split_of_a_conversation_answers_the_same() -> None:
    said = command((b"INCR", b"a")) + command((b"ECHO", b"\r\n\r")) + command((b"GET", b"a"))
    for garbage in (
        b"",
        b"INCR a\r\n",
        b"*2\r\n$4\r\nINCR\r\n$1\r\nabc\r\n" + command((b"INCR", b"a")),
    ):
        data = said + garbage
        whole = await answers_to([data])
        assert whole[1] == [("a", 1)]
        assert whole[0].startswith(b":1\r\n$3\r\n\r\n\r\r\n$1\r\n1\r\n")
        assert (b"-ERR Protocol error" in whole[0]) is bool(garbage)
        for at in range(1, len(data)):
            assert await answers_to([data[:at], data[at:]]) == whole


@pytest.mark.parametrize(
    "claim",
    [
        b"*1073741824\r\n",
        b"*1025\r\n",
        b"*1\r\n$536870912\r\n",
        b"*1\r\n$65536\r\n",
        b"*2\r\n*9\r\n",
    ],
)
def test_what_is_only_claimed_takes_no_room(claim: bytes) -> None:
    limits = Limits()
    tracemalloc.start()
    try:
        reader = Reader(limits.request_size_max, limits.words_max)
        assert reader.take(claim) == []
        assert reader.fault is not None
        assert tracemalloc.get_traced_memory()[1] < 20_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("word", [b"", b"ab", b"x" * 57, b"x" * 60_000])
def test_what_has_come_of_a_command_takes_little_room(word: bytes) -> None:
    limits = Limits()
    data = command((word,) * limits.words_max)[: limits.request_size_max - 10][:-10]
    tracemalloc.start()
    try:
        reader = Reader(limits.request_size_max, limits.words_max)
        for at in range(0, len(data), 1024):
            assert reader.take(data[at : at + 1024]) == []
        assert tracemalloc.get_traced_memory()[1] < 5 * limits.request_size_max
    finally:
        tracemalloc.stop()


def test_commands_up_to_the_limits_are_taken() -> None:
    limits = Limits()
    words = (b"MGET", *[b"%061d" % number for number in range(limits.words_max - 70)])
    data = command(words)
    assert limits.request_size_max - 1000 < len(data) <= limits.request_size_max
    reader = Reader(limits.request_size_max, limits.words_max)
    found = [reader.take(data[at : at + 1024]) for at in range(0, len(data), 1024)]
    assert (found[-1], reader.fault) == ([words], None)
    assert not any(found[:-1])


def test_the_reader_that_is_compared_with_reads() -> None:
    commands = (b"A", b"\r\n"), (b"B",)
    said = command(commands[0]) + b"*0\r\n\r\n" + command(commands[1]) + b"*1\r\n$1"
    assert commands_in(said) == list(commands)
