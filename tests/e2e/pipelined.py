"""Many HTTP requests on one connection, the next ones sent before the answers are read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple, cast

from tests.e2e.node import Node

AT_ONCE = 100
"""Requests that are under way together."""


class Answer(NamedTuple):
    status: int
    data: Any


def ask_all(node: Node, requests: Sequence[str], at_once: int = AT_ONCE) -> Iterator[Answer]:
    """The answers in order; `requests` are like `GET /count`, without bodies.

    Raises `OSError` when the connection ends before the last one.
    """
    with node.connect(30.0) as connection, connection.makefile("rb") as stream:
        answers = cast(BinaryIO, stream)
        for at in range(0, len(requests), at_once):
            asked = requests[at : at + at_once]
            sent = (f"{one} HTTP/1.1\r\nHost: n\r\nContent-Length: 0\r\n\r\n" for one in asked)
            connection.sendall("".join(sent).encode())
            for _ in asked:
                yield _read(answers)


def _read(answers: BinaryIO) -> Answer:
    """The next answer."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = answers.readline()
        if not line:
            raise ConnectionResetError("the connection ended")
        head += line
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    assert length is not None, head
    body = answers.read(int(length[1]))
    if len(body) < int(length[1]):
        raise ConnectionResetError("the connection ended")
    return Answer(int(head.split()[1]), json.loads(body))
