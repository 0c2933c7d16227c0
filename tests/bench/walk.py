"""The walk of one request through the source: which files it passes, how often it changes them.

    python -m tests.bench.walk [--request increment|ack|count|text] [--disk] [--calls]

A node in this very process answers a client on a socket; from the first byte of one request until
the client has its answer each call of a function of `gossipd` on the node's loop is noted
(`sys.setprofile`). A switch is a call in another file than the call before it.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import FrameType

import gossipd
from gossipd.config.config import Config
from gossipd.config.endpoint import Endpoint
from gossipd.core import Settings
from gossipd.daemon.daemon import Daemon
from gossipd.store import fork
from tests.e2e.ports import found_port

PACKAGE = Path(gossipd.__file__).parent
ANY = Endpoint("127.0.0.1", 0)
WARM_UP = 20
PAUSE = 0.01
"""Seconds between two requests, in which the timers of the node are done with the first one."""

REQUESTS = {
    "increment": b'POST /increment HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n{"by":1}',
    "plain": b"POST /increment HTTP/1.1\r\nHost: a\r\n\r\n",
    "ack": b"POST /increment?ack=1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "count": b"GET /count HTTP/1.1\r\nHost: a\r\n\r\n",
    "text": b"increment a\n",
}

Step = tuple[str, str]
"""A file of the package, and a function in it."""


@contextmanager
def walking(steps: list[Step]) -> Iterator[None]:
    """Note every call of a function of the package."""

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(PACKAGE)):
            file = Path(code.co_filename).relative_to(PACKAGE)
            steps.append((str(file), code.co_qualname))

    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)


async def walk(request: bytes, config: Config) -> list[Step]:
    """The steps of a request on a connection that has made the same one before."""
    daemon = await Daemon.open(config, None if config.in_memory else fork())
    serving = asyncio.create_task(daemon.serve())
    (api,) = config.api
    assert isinstance(api, Endpoint)
    reader, writer = await _connected(api.host, api.port)
    steps: list[Step] = []
    for _ in range(WARM_UP):
        writer.write(request)
        assert await reader.read(4096)
        await asyncio.sleep(PAUSE)
    with walking(steps):
        writer.write(request)
        assert await reader.read(4096)
    writer.close()
    daemon.service.leave()
    await serving
    return steps


async def _connected(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """As soon as somebody listens."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await asyncio.open_connection(host, port)
            except ConnectionRefusedError:
                await asyncio.sleep(PAUSE)


def main() -> None:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--request", choices=REQUESTS, default="increment")
    parser.add_argument("--disk", action="store_true", help="with the default store")
    parser.add_argument("--calls", action="store_true", help="list every call")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        config = Config(
            bind=ANY,
            api=(Endpoint(ANY.host, found_port() + 1),),
            name="walk",
            settings=Settings(leave_timeout=0.1),
            in_memory=not wanted.disk,
            data_dir=directory if wanted.disk else None,
        )
        steps = asyncio.run(walk(REQUESTS[wanted.request], config))
    if wanted.calls:
        for file, function in steps:
            print(f"{file:<30} {function}")
    front = [step for step in steps if step[0].startswith("sideport/")]
    print(f"whole: {measured(steps)}; of it in the side port: {measured(front)}")


def measured(steps: list[Step]) -> str:
    switches = sum(before[0] != after[0] for before, after in pairwise(steps))
    return f"{len(steps)} calls, {len({file for file, _ in steps})} files, {switches} switches"


if __name__ == "__main__":
    main()
