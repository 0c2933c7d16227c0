"""The walk of one request through the source: which files it passes, how often it changes them.

    python -m tests.bench.walk [--request increment|ack|count|text] [--disk] [--calls]

A node in this very process answers a client on a socket; from the first byte of one request until
its answer is written, and the loop has nothing more to do, each call of a function of `gossipd` on
the node's loop is noted (`sys.setprofile`). A switch is a call from one file into another, or the
loop that goes on in another file than it was left in; returns are not counted.
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
from gossipd.config import Config
from gossipd.daemon import Daemon
from gossipd.endpoint import Endpoint
from gossipd.store import fork

PACKAGE = Path(gossipd.__file__).parent
ANY = Endpoint("127.0.0.1", 0)
WARM_UP = 20
QUIET = 0.05
"""Seconds after the answer in which its last callbacks are run."""

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
    host, port = daemon.addresses[0] if hasattr(daemon, "addresses") else daemon._port.addresses[0]
    reader, writer = await asyncio.open_connection(host, port)
    steps: list[Step] = []
    for _ in range(WARM_UP):
        writer.write(request)
        assert await reader.read(4096)
        await asyncio.sleep(0.01)
    with walking(steps):
        writer.write(request)
        assert await reader.read(4096)
        await asyncio.sleep(QUIET)
    writer.close()
    (daemon._begin_leave)()
    await serving
    return steps


def main() -> None:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--request", choices=REQUESTS, default="increment")
    parser.add_argument("--disk", action="store_true", help="with the default store")
    parser.add_argument("--calls", action="store_true", help="list every call")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        config = Config(
            bind=ANY, api=ANY, name="walk", in_memory=not wanted.disk,
            data_dir=directory if wanted.disk else None,
        )  # fmt: skip
        steps = asyncio.run(walk(REQUESTS[wanted.request], config))
    if wanted.calls:
        for file, function in steps:
            print(f"{file:<30} {function}")
    switches = sum(before[0] != after[0] for before, after in pairwise(steps))
    files = {file for file, _ in steps}
    print(f"{len(steps)} calls, {len(files)} files, {switches} switches")


if __name__ == "__main__":
    main()
