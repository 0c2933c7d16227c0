"""A file of secrets, and the variable that holds them: secrets, or where it is wrong.

Nothing of what stands there is ever told, nor shown by what was read. What was read is the same
once more when it is written as lines.
"""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable, Iterable

from gossipd.config.secrets import SECRET
from gossipd.sealing.keyring import Keyring, KeyringError, find, parse, read
from tests.fuzz.target import Broken, Target

_TOLD_MAX = 11
"""Letters in a row of what stands there that may be told, as words of the error are."""


def take(data: bytes) -> bool:
    """Read it as a file, and as the variable."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        taken = _take(data, lambda: read(file.name))
    text = data.decode(errors="replace").replace("\0", "")
    return _take(data, lambda: find(None, {SECRET: text})) or taken


def _take(data: bytes, reading: Callable[[], Keyring | None]) -> bool:
    try:
        keyring = reading()
    except KeyringError as error:
        check_hidden(data, str(error))
        return False
    if keyring is None:
        return False
    check_hidden(data, repr(keyring))
    written = [secret.text for secret in keyring.secrets]
    if parse(written, keyring.origin) != keyring:
        raise Broken(f"it is written as {written}")
    return True


def check_hidden(data: bytes, told: str) -> None:
    """Raises `Broken` where something of what is secret is told."""
    text = data.decode(errors="replace")
    for at in range(len(text) - _TOLD_MAX):
        part = text[at : at + _TOLD_MAX + 1]
        if part.isascii() and part.isalnum() and part in told:
            raise Broken(f"{part!r} is told: {told}")


_ONE, _TWO = (base64.b64encode(bytes(range(at, at + 32))) for at in (0, 7))


def seeds() -> Iterable[bytes]:
    """Good ones, and such as people write."""
    yield _ONE + b"\n"
    yield b"# new\n" + _TWO + b" # since May\n\n" + _ONE
    yield _ONE + b"," + _TWO
    yield _ONE + b"\n" + _ONE
    yield _ONE[:-1]
    yield base64.b64encode(bytes(32))
    yield b"secret: " + _ONE
    yield (_ONE + b"\n") * 17
    yield b""


KEYRING = Target(
    take=take,
    seeds=seeds,
    pieces=(_ONE, _TWO, b"\n", b"#", b" ", b",", b"=", b"\0", b"\xff", b"\r\n", b"A" * 44),
)
