"""What a connection held is freed when it has ended, without Python's collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from gossipd.core import Refused
from gossipd.sideport.connection import Connection
from gossipd.sideport.detection import OpeningDialect
from gossipd.sideport.http import HttpDialect
from gossipd.sideport.pipeline import Pipeline

from .conftest import Connect
from .fake import FakeBackend, until

HELD = (Connection, Pipeline, HttpDialect, OpeningDialect, Refused)

SAID = {
    "nothing": b"",
    "a line": b"increment\nnonsense\n",
    "another protocol": b"*2\r\n",
    "requests": b"POST /increment HTTP/1.1\r\nHost: a\r\n\r\n" * 20,
    "a part of one": b"POST /increment HTTP/1.1\r\nHost",
    "what is not here": b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n",
    "no field": b"GET /count?x=1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "no key": b"GET /increments?key=a HTTP/1.1\r\nHost: a\r\n\r\n",
    "no HTTP": b"GET / XX\r\n\r\n",
    "a batch": b"POST /increments HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n{}\n",
}


@pytest.fixture
def uncollected() -> Iterator[None]:
    """The collector stands still; what other tests have left behind is none of its objects."""
    gc.disable()
    gc.freeze()
    yield
    gc.unfreeze()
    gc.enable()


def held() -> int:
    return sum(isinstance(each, HELD) for each in gc.get_objects())


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
async def test_nothing_is_left_of_a_connection_that_has_ended(
    connect: Connect, backend: FakeBackend, uncollected: None, said: bytes, waits: bool
) -> None:
    backend.paused = waits
    before = held()
    client = await connect()
    await client.send(said)
    await until(lambda: held() > before)
    if waits:
        client.reset()
    else:
        client.half_close()
        await client.rest()
        await client.close()

    def freed() -> bool:
        backend.waiting.clear()  # what never ends
        return held() == before

    await until(freed)
