"""A fake node behind the port, and a client in front of it. Every wait has a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from gossipd.core import (
    Advance,
    Counted,
    Following,
    Item,
    MemberView,
    RecentEvent,
    Refused,
    Status,
    Why,
)
from gossipd.core.log.recent import RecentEvents
from gossipd.core.swim.members import MemberTable
from gossipd.daemon.counting import Answer
from gossipd.daemon.service import Service
from gossipd.sideport.connection import Connection
from gossipd.sideport.limits import Limits
from gossipd.sideport.places import Place
from gossipd.sideport.port import SidePort
from gossipd.sideport.streaming import Pieces
from tests.deadline import DEADLINE

KEY = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
"""A UUIDv7, the only key whose event the fake daemon knows."""


OWN = MemberView("n1", ("127.0.0.1", 7946), 1, 0, Status.ALIVE)
MEMBERS: tuple[dict[str, object], ...] = (
    {"name": "n1", "address": "127.0.0.1:7946", "state": "alive", "self": True},
    {
        "name": "node-2",
        "address": "127.0.0.1:7956",
        "state": "failed",
        "self": False,
        "rtt_ms": 0.3,
        "tags": {"rack": "a"},
        "why": "n1 says so",
    },
)


class FakeBackend(Service):
    """Counts in a dictionary. While `paused`, increments wait for `commit`; what waits for other
    nodes ends when a test says so (`waits`), or at once with what it would find (`copies`)."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.reason: str | None = None
        self.trouble: str | None = None
        self.paused = False
        self.waiting: list[tuple[Answer, str, int]] = []
        self.started: list[tuple[str, int]] = []
        self.starting: Callable[[], None] = lambda: None
        """Called with each increment."""
        self.refusal: Refused | None = None
        self.unstartable: Exception | None = None
        self.joined: list[str] = []
        self.left = False
        self.reloads = 0
        self.forgotten: list[str] = []
        self.listed = 0
        """Entries of the log that were asked for."""
        self.log_refusal: Refused | None = None
        self.breaks_at: str | None = None
        """The counter that cannot be told."""
        self.broken = False
        self.keys: list[UUID | None] = []
        self.batches: list[asyncio.Future[list[Counted | Refused]]] = []
        self.items: list[Item] = []
        self.slow = False
        """Waits and batches do not end by themselves."""
        self.copies = 1
        self.included_at_once = True
        self.asked: list[tuple[object, ...]] = []
        self.waits: list[asyncio.Future[int] | asyncio.Future[bool]] = []
        self.sources: dict[tuple[str, str], tuple[int, int]] = {}
        self.rows = {str(row["name"]): row for row in MEMBERS}
        self.recent = RecentEvents(50)
        self.table = MemberTable(OWN, 60.0, 0.0)
        self.changes = Following(self.recent, self.table)

    # --- following ---------------------------------------------------------------------------

    @property
    def following(self) -> Following:
        return self.changes

    def recent_events(self) -> list[RecentEvent]:
        return self.recent.newest()[::-1]

    def member_row(self, name: str) -> dict[str, object]:
        return self.rows.get(name, {"name": name, "state": "forgotten"})

    def add(self, counter: str, by: int = 1, times: int = 1) -> None:
        """So many increments count now."""
        made: list[Advance] = []
        for _ in range(times):
            value = self.values[counter] = self.values.get(counter, 0) + by
            made.append(Advance(STREAM, counter, self.recent.count + len(made) + 1, by, value))
        self.recent.append(made, time.monotonic())

    def change(self, name: str, state: str | None) -> None:
        """Something else is held of a member, or nothing more."""
        if state is None:
            self.rows.pop(name, None)
        else:
            self.rows[name] = {"name": name, "address": "127.0.0.1:1", "state": state}
        if self.table.followed is not None:
            self.table.followed[name] = None

    # --- the rest ----------------------------------------------------------------------------

    def increment(
        self, counter: str, by: int, answer: Answer, key: bytes | None = None, count: int = 1
    ) -> None:
        if self.unstartable is not None:
            raise self.unstartable
        self.starting()
        self.started += [(counter, by)] * count
        self.keys += [None if key is None else UUID(bytes=key)] * count
        self.waiting += [(answer if count == 1 else _all(answer, count), counter, by)] * count
        if not self.paused:
            self.commit()

    def commit(self, count: int | None = None) -> None:
        ready, self.waiting = self.waiting[:count], self.waiting[len(self.waiting[:count]) :]
        for answer, counter, by in ready:
            if self.refusal is not None:
                answer(self.refusal)
                continue
            value = self.values[counter] = self.values.get(counter, 0) + by
            answer(Counted(STREAM, counter, value % 2**48, by, value))

    def increment_all(self, items: Sequence[Item]) -> asyncio.Future[list[Counted | Refused]]:
        if self.unstartable is not None:
            raise self.unstartable
        future: asyncio.Future[list[Counted | Refused]]
        future = asyncio.get_running_loop().create_future()
        self.items = list(items)
        self.batches.append(future)
        if not self.slow:
            future.set_result(self.count_all())
        return future

    def count_all(self) -> list[Counted | Refused]:
        """Count the items of the last batch; those on `full` are out of range."""
        answers: list[Counted | Refused] = []
        for counter, by, _ in self.items:
            if counter == "full":
                answers.append(Refused(Why.CONFLICT, "out of range"))
                continue
            value = self.values[counter] = self.values.get(counter, 0) + by
            answers.append(Counted(STREAM, counter, value % 2**48, by, value))
        return answers

    def included(
        self, increment: UUID, counter: str | None, timeout: float
    ) -> asyncio.Future[bool]:
        if increment.version != 8:
            raise Refused(Why.WRONG, "not an increment id")
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.asked.append((increment, counter, timeout))
        self.waits.append(future)
        if not self.slow:
            future.set_result(self.included_at_once)
        return future

    def held(
        self, increment: UUID, copies: int, memory: bool, timeout: float
    ) -> asyncio.Future[int]:
        if self.broken:
            raise ZeroDivisionError
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.asked.append((increment, copies, memory, timeout))
        self.waits.append(future)
        if not self.slow:
            future.set_result(self.copies)
        return future

    async def event_of(self, key: bytes) -> dict[str, object]:
        if key != KEY.bytes:
            raise Refused(Why.UNKNOWN, "no record of that key is held")
        return {"id": increment_id(7), "counter": "hits", "by": 3, "counted": True}

    async def put_source(
        self, client: str, counter: str, seq: int, total: int
    ) -> dict[str, object]:
        held_seq, held_total = self.sources.get((client, counter), (0, 0))
        if held_seq == seq and held_total != total:
            raise Refused(Why.CONFLICT, "another total is known at that seq")
        self.sources[client, counter] = (seq, total)
        source = {"client": client, "counter": counter, "seq": seq}
        return {**source, "total": total, "count": total + 100}

    def count(self, counter: str) -> int:
        if self.broken:
            raise ZeroDivisionError
        return self.values.get(counter, 0)

    def find(self, counter: str) -> int | None:
        if self.broken:
            raise ZeroDivisionError
        return self.values.get(counter)

    @property
    def counter_count(self) -> int:
        return len(self.values)

    def counters_behind(self, count: int, limit: int) -> list[str]:
        return sorted(self.values)[count : count + limit]

    def counters(self, prefix: str, after: str) -> Iterator[tuple[str, int]]:
        for counter in sorted(self.values):
            if counter > after and counter.startswith(prefix):
                if counter == self.breaks_at:
                    raise ZeroDivisionError
                yield counter, self.values[counter]

    def counted(self, increment: UUID, counter: str | None) -> bool:
        if increment.version != 8:
            raise Refused(Why.WRONG, "not an increment id")
        return counter in (None, "a")

    def log(self, prefix: str, after: UUID | int | None) -> Iterator[dict[str, object]]:
        self.asked.append((prefix, after))
        if self.log_refusal is not None:
            raise self.log_refusal
        return self._events()

    def _events(self) -> Iterator[dict[str, object]]:
        while True:
            self.listed += 1
            yield {
                "id": str(increment_id(1)),
                "counter": "two words",
                "by": 2,
                "count": 7,
                "origin": "0a",
                "at": "2026-01-01T00:00:00Z",
                "number": 17,
            }

    def incomplete(self) -> str | None:
        return self.reason

    def not_ready(self) -> str | None:
        return self.reason or self.trouble

    def peers(self) -> Iterator[str]:
        return iter(["127.0.0.1:7956", "[::1]:7966"])

    def members(self, prefix: str, after: str) -> Iterator[dict[str, object]]:
        for name, member in sorted(self.rows.items()):
            if name > after and name.startswith(prefix):
                yield member

    def explain(self, name: str) -> dict[str, object]:
        if name == "nobody":
            raise Refused(Why.UNKNOWN, "no member is called 'nobody'")
        return {
            "name": name,
            "state": "failed",
            "text": f"{name} is silent",
            "probes": [{"ms": 1}],
        }

    def status(self) -> dict[str, object]:
        return {"name": "n1", "ready": True, "members": {"alive": 1}, "fingerprint": None}

    def seeds(self) -> list[dict[str, object]]:
        return [{"seed": peer, "joined": True, "error": None, "addresses": []} for peer in "ab"]

    async def metrics(self, counters: str | None, accept: str) -> Pieces:
        return Pieces(b"text/plain", iter([f"{counters} {accept}\n".encode(errors="replace")]))

    def join(self, peers: list[str]) -> None:
        if "nonsense" in peers:
            raise Refused(Why.WRONG, "nonsense is not host:port")
        self.joined += peers

    def reload(self) -> None:
        self.reloads += 1

    def leave(self) -> None:
        self.left = True

    def forget(self, name: str) -> None:
        if name == "n1":
            raise Refused(Why.CONFLICT, "n1 is alive")
        if name != "gone":
            raise Refused(Why.UNKNOWN, f"no member {name}")
        self.forgotten.append(name)


STREAM = bytes(10)


def increment_id(number: int) -> UUID:
    return UUID(f"00000000-0000-8000-8000-{number % 16**12:012x}")


@dataclass(frozen=True)
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> object:
        assert self.headers["content-type"] in ("application/json", "application/problem+json")
        assert self.body.endswith(b"\n")
        return json.loads(self.body)

    @property
    def detail(self) -> str:
        """The detail of a well-formed problem."""
        assert self.headers["content-type"] == "application/problem+json"
        problem = json.loads(self.body)
        assert problem["status"] == self.status
        assert problem["title"]
        return str(problem["detail"])


class Client:
    """One connection to the port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(DEADLINE):
            self.writer.write(data)
            await self.writer.drain()

    async def request(
        self, method: str, target: str, body: bytes | None = None, *headers: str
    ) -> Response:
        lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        await self.send("\r\n".join([*lines, "", ""]).encode() + (body or b""))
        return await self.response(head_only=method == "HEAD")

    async def response(self, *, head_only: bool = False) -> Response:
        async with asyncio.timeout(DEADLINE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            status_line, *fields = head.split("\r\n")[:-2]
            headers = {}
            for field in fields:
                name, _, value = field.partition(": ")
                headers[name.lower()] = value
            status = int(status_line.split()[1])
            if head_only or status in (100, 204):
                return Response(status, headers, b"")
            if headers.get("transfer-encoding") == "chunked":
                return Response(status, headers, await self._chunks())
            size = int(headers["content-length"])
            return Response(status, headers, await self.reader.readexactly(size))

    async def _chunks(self) -> bytes:
        chunks = []
        while size := int(await self.reader.readline(), 16):
            chunks.append(await self.reader.readexactly(size))
            assert await self.reader.readexactly(2) == b"\r\n"
        assert await self.reader.readexactly(2) == b"\r\n"
        return b"".join(chunks)

    async def line(self) -> str:
        async with asyncio.timeout(DEADLINE):
            line = (await self.reader.readline()).decode()
        assert line.endswith("\n")
        return line.removesuffix("\n")

    async def lines(self) -> list[str]:
        """A list, up to the empty line that ends it."""
        found = []
        while line := await self.line():
            found.append(line)
        return found

    async def rest(self) -> bytes:
        """Everything until the port closes; fails when the connection is reset."""
        async with asyncio.timeout(DEADLINE):
            return await self.reader.read()

    def half_close(self) -> None:
        self.writer.write_eof()

    def reset(self) -> None:
        """Be gone at once."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):  # it may have been reset
            await self.writer.wait_closed()


def _all(answer: Answer, count: int) -> Answer:
    """Answers once there are so many."""
    told: list[Counted | Refused] = []

    def one(result: Counted | Refused) -> None:
        told.append(result)
        if len(told) == count:
            answer(_together(told))

    return one


def _together(told: list[Counted | Refused]) -> Counted | Refused | list[Counted | Refused]:
    """As the core tells them."""
    last = told[-1]
    if isinstance(last, Counted) and all(isinstance(each, Counted) for each in told):
        return last._replace(times=len(told))
    return last if all(each is last for each in told) else told


class FakeHost(SidePort):
    """Lets everybody stay."""

    def __init__(self, node: Service, limits: Limits) -> None:
        super().__init__(node, limits)
        self.left: list[Connection] = []

    def admit(self, _: Connection, __: str | int | None) -> Place:
        return Place.KEPT

    def gone(self, connection: Connection) -> None:
        self.left.append(connection)


class FakeTransport(asyncio.Transport):
    """A transport without a network, whose buffer is as full as a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = False
        self.reading = True
        self.written = b""
        self.buffered = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closing
        self.written += data

    def write_eof(self) -> None: ...

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...


async def until(condition: Callable[[], bool]) -> None:
    """Poll until `condition` holds."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.002)
