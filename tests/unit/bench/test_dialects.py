"""What is sent in each dialect, and which answers are taken for refusals."""

from __future__ import annotations

import pytest

from gossipd.bench.dialects import DIALECTS, Refusal

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
GOOD = {"http": HEAD + b'{"id": 1}\n', "text": b"-12\n", "resp": b":-12\r\n"}


def problem(status: int, detail: str) -> bytes:
    body = b'{"title": "T", "status": %d, "detail": "%b"}\n' % (status, detail.encode())
    return b"HTTP/1.1 %d T\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


@pytest.mark.parametrize(
    ("dialect", "counter", "by", "wanted"),
    [
        ("http", "bench", 1, b"POST /increment?counter=bench HTTP/1.1\r\n"),
        ("http", "ä &b", -5, b"POST /increment?counter=%C3%A4%20%26b&by=-5 HTTP/1.1\r\n"),
        ("text", "bench:7", 1, b"increment bench:7\n"),
        ("text", "bench", -5, b"increment bench -5\n"),
        ("text", 'a "b" \\', 1, b'increment "a \\"b\\" \\\\"\n'),
        ("text", "key=x", 1, b'increment "key=x"\n'),
        ("resp", "bench", 1, b"*2\r\n$4\r\nINCR\r\n$5\r\nbench\r\n"),
        ("resp", "ä", -5, b"*3\r\n$6\r\nINCRBY\r\n$2\r\n\xc3\xa4\r\n$2\r\n-5\r\n"),
    ],
)
def test_an_increment_is_said_as_the_dialect_has_it(
    dialect: str, counter: str, by: int, wanted: bytes
) -> None:
    assert DIALECTS[dialect].increment(counter, by).startswith(wanted)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_answers_that_count_are_no_refusals_and_are_told_apart(dialect: str) -> None:
    answers = 3 * GOOD[dialect]
    assert answers.count(DIALECTS[dialect].end) == 3
    assert list(DIALECTS[dialect].refusals(answers, 3)) == []


@pytest.mark.parametrize(
    ("dialect", "refused", "detail", "doubtful"),
    [
        ("http", problem(503, "not counted: full"), "not counted: full", False),
        ("http", problem(503, "it may have been counted"), "it may have been counted", True),
        ("http", problem(409, "out of range"), "out of range", False),
        ("http", b"HTTP/1.1 502 Bad\r\nContent-Length: 3\r\n\r\n{}\n", "HTTP 502", True),
        ("http", b"HTTP/1.1 502 Bad\r\nContent-Length: 3\r\n\r\nx}\n", "HTTP 502", True),
        ("text", b"error: not counted: full\n", "not counted: full", False),
        ("text", b"error: it may have been counted\n", "it may have been counted", True),
        ("resp", b"-ERR not counted: full\r\n", "not counted: full", False),
        ("resp", b"-MISCONF it may have been counted\r\n", "it may have been counted", True),
    ],
)
def test_a_refusal_says_what_it_says_and_whether_it_may_have_been_counted(
    dialect: str, refused: bytes, detail: str, doubtful: bool
) -> None:
    answers = GOOD[dialect] + refused + GOOD[dialect]
    assert answers.count(DIALECTS[dialect].end) == 3
    found = list(DIALECTS[dialect].refusals(answers, 3))
    assert found == [Refusal(1, detail, doubtful)]
