"""A file of tokens: what each gives, or the line that is wrong. No token is ever told."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable

from gossipd.config.tokens import read_tokens
from tests.fuzz.target import Target

from .keyring import check_hidden


def take(data: bytes) -> bool:
    """Read it."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        try:
            grants = read_tokens(file.name)
        except ValueError as error:
            check_hidden(data, str(error).removeprefix(file.name))
            return False
    check_hidden(data, repr([each._replace(prefix="") for each in grants.values()]))
    return True


_TOKEN = b"Zm9vYmFyYmF6cXV4"


def seeds() -> Iterable[bytes]:
    """Good ones, and such as people write."""
    yield b"# ours\n\nread %b\nwrite %b. prefix=jobs.\nadmin sha256:%b\n" % (
        _TOKEN, _TOKEN, b"0f" * 32,
    )  # fmt: skip
    yield _TOKEN
    yield b"write  %b\nread %b" % (_TOKEN, _TOKEN)
    yield b"admin %b prefix=a" % _TOKEN
    yield b""


TOKENS = Target(
    take=take,
    seeds=seeds,
    pieces=(
        b"read ", b"write ", b"admin ", b" prefix=", b"sha256:", _TOKEN, b"\n", b"\r", b"#", b"\0",
        b"\xff", b"\x0b", b"\xe2\x80\xa8", b"A" * 1100, b"=", b"0f" * 32, "é".encode() * 70,
    ),
)  # fmt: skip
