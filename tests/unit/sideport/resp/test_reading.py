"""Requests from bytes, however they are split."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipd.sideport.resp.reading import Reader, Words

from .talk import said

SIZE_MAX, WORDS_MAX = 5000, 20
WORD = st.binary(max_size=30) | st.sampled_from([b"\r\n", b"\r", b"\n", b"x" * 1500, b""])
COMMANDS = st.lists(st.lists(WORD, min_size=1, max_size=WORDS_MAX - 1).map(tuple), max_size=5)


def reader() -> Reader:
    return Reader(SIZE_MAX, WORDS_MAX)


def read(data: bytes, *sizes: int) -> tuple[list[Words], str | None]:
    """What is read in pieces of these sizes, which are used in turn, and what is wrong then."""
    found: list[Words] = []
    used, at, turn = reader(), 0, 0
    while at < len(data) and used.fault is None:
        size = sizes[turn % len(sizes)] if sizes else len(data)
        found += used.take(data[at : at + size])
        at, turn = at + size, turn + 1
    used.finish()
    return found, None if used.fault is None else used.fault.detail


@given(COMMANDS, st.lists(st.integers(1, 2000), min_size=1, max_size=10))
def test_commands_are_read_as_they_were_sent(commands: list[Words], sizes: list[int]) -> None:
    data = b"".join([said(*words) for words in commands])
    if all(len(said(*words)) <= SIZE_MAX for words in commands):
        assert read(data, *sizes) == read(data) == (commands, None)


@given(st.binary(max_size=60).map(lambda rest: b"*" + rest), st.integers(1, 9))
def test_nonsense_is_read_the_same_in_pieces(data: bytes, size: int) -> None:
    assert read(data, size) == read(data)


@pytest.mark.parametrize("said_nothing", [b"\r\n", b"*0\r\n", b"*-1\r\n", b"*-5\r\n", b"\r\n\r\n"])
@pytest.mark.parametrize("size", [1, 2, 100])
def test_what_says_nothing_is_passed_over(said_nothing: bytes, size: int) -> None:
    data = said_nothing + said("PING") + said_nothing
    assert read(data, size) == ([(b"PING",)], None)


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (b"PING\r\n", "expected '*', got 'P'"),
        (b"*1\r\nPING\r\n", "expected '$', got 'P'"),
        (b"*1\r\n\r\n", "expected '$', got ''"),
        (b"*1\r\n*1\r\n$1\r\na\r\n", "expected '$', got '*'"),
        (b"*1\r\n:1\r\n", "expected '$', got ':'"),
        (b"*x\r\n", "invalid multibulk length"),
        (b"*\r\n", "invalid multibulk length"),
        (b"*01\r\n", "invalid multibulk length"),
        (b"*+1\r\n", "invalid multibulk length"),
        (b"* 1\r\n", "invalid multibulk length"),
        (b"*1_0\r\n", "invalid multibulk length"),
        (b"*1\n$4\r\nPING\r\n", "invalid multibulk length"),
        (b"*99999999999999999999\r\n", "invalid multibulk length"),
        (b"*21\r\n", "invalid multibulk length: a command has at most 20 words"),
        (b"*1\r\n$\r\n", "invalid bulk length"),
        (b"*1\r\n$04\r\nPING\r\n", "invalid bulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length: a command has at most 5000 bytes"),
        (b"*1\r\n$536870912\r\n", "invalid bulk length: a command has at most 5000 bytes"),
        (b"*1\r\n$3\r\nPING\r\n", "a string does not end where it should"),
        (b"*1\r\n$5\r\nPING\r\nX", "a string does not end where it should"),
        (b"*1\r\n$4\r\nPING\rX", "a string does not end where it should"),
        (b"*" + b"1" * 40, "invalid multibulk length"),
        (b"*1\r\n$" + b"1" * 40, "invalid bulk length"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_what_breaks_the_protocol_is_told_and_nothing_behind_it_is_read(
    data: bytes, wrong: str, size: int
) -> None:
    read_so = read(said("A") + data + b"\r\n" + said("B"), size)
    assert read_so == ([(b"A",)], f"Protocol error: {wrong}")


@pytest.mark.parametrize("size", [1, 100, 1024, 100_000])
def test_a_command_may_be_as_large_as_the_limit_and_no_larger(size: int) -> None:
    for words in (b"", b"x" * 900) * 2, (b"a",) * 9:
        rest = SIZE_MAX - len(said(*words, b"x" * 2000)) + 2000
        longest, longer = (*words, b"x" * rest), (*words, b"x" * (rest + 1))
        assert len(said(*longest)) == SIZE_MAX
        assert read(said(*longest) * 2, size) == ([longest] * 2, None)
        assert read(said(*longer), size)[0] == []
        assert "at most 5000 bytes" in str(read(said(*longer), size)[1])
    many = (b"x" * 990,) * 5
    assert SIZE_MAX - len(b"$0\r\n\r\n") <= len(said(*many)) <= SIZE_MAX
    assert read(said(*many, b"x"), size)[0] == []


@pytest.mark.parametrize("nothing", [b"*0\r\n", b"*-1\r\n", b"\r\n"])
def test_nothing_is_no_command_in_a_long_read_either(nothing: bytes) -> None:
    data = (said("PING") + nothing) * SIZE_MAX
    assert read(data) == ([(b"PING",)] * SIZE_MAX, None)


def test_as_many_words_as_the_limit_are_taken() -> None:
    words = (b"a",) * WORDS_MAX
    assert read(said(*words)) == ([words], None)


@pytest.mark.parametrize("cut", range(1, 20))
def test_what_is_cut_off_is_no_command(cut: int) -> None:
    data = said("INCR", "a")
    assert read(data + data[:-cut]) == ([(b"INCR", b"a")], None)
