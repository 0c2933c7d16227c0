"""Commands as clients send them, and answers as they read them."""

from __future__ import annotations

from typing import TypeAlias

from ..fake import Client

Answer: TypeAlias = "int | str | bytes | list[Answer] | dict[str, Answer] | Failure | None"


class Failure(str):
    """An answer that is an error."""

    __slots__ = ()


def said(*words: str | bytes) -> bytes:
    encoded = [word.encode() if isinstance(word, str) else word for word in words]
    parts = [b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded]
    return b"*%d\r\n%b" % (len(parts), b"".join(parts))


async def ask(client: Client, *words: str | bytes) -> Answer:
    await client.send(said(*words))
    return await heard(client)


async def heard(client: Client) -> Answer:
    """The next answer; a string of bytes as text."""
    line = await client.line()
    assert line.endswith("\r")
    sign, value = line[0], line[1:-1]
    match sign:
        case "+":
            return value
        case "-":
            return Failure(value)
        case ":":
            return int(value)
        case "_":
            return None
        case "$":
            if value == "-1":
                return None
            string = await client.reader.readexactly(int(value) + 2)
            return string[:-2].decode()
        case "*":
            return [await heard(client) for _ in range(int(value))]
        case "%":
            pairs = [(await heard(client), await heard(client)) for _ in range(int(value))]
            return {str(name): inner for name, inner in pairs}
    raise AssertionError(line)
