"""Clients that increment: each sends some requests at once and, when all are answered, the next.

What became of every increment is known in the end: answered, refused, or in doubt, because its
answer was lost or told of doubt. A client whose connection ends is missing from then on.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle, islice
from typing import TYPE_CHECKING, NamedTuple, cast

from gossipd.bench.dialects import Dialect
from gossipd.bench.latencies import Latencies
from gossipd.config.endpoint import Https
from gossipd.config.unix import ApiAddress, UnixSocket

if TYPE_CHECKING:
    import ssl

TICK = 0.5
"""Seconds between two looks at the progress and at nodes that are silent."""

CONNECTING_MAX = 64
"""Connections that are begun at once. One after the other would take a round trip each, with TLS
three, and a node keeps none for long that says nothing."""

REASONS_MAX = 100
"""Reasons that are told apart: some name numbers."""

OTHER_REASONS = "other reasons"

UNUSED = "connection closed before it was used; a node may not have room for so many"


class Plan(NamedTuple):
    dialect: Dialect
    addresses: Sequence[ApiAddress]
    """The clients are spread over these."""
    clients: int
    pipeline: int
    """Requests that each sends at once."""
    counters: Sequence[str]
    by: int
    requests: int | None
    """How many in all; None: until it is stopped."""
    seconds: float | None
    """For how long; None: until all are sent."""
    patience: float
    """Seconds without any answer after which nodes are given up."""
    token: str = ""
    """What each client shows; empty: nothing."""
    tls: ssl.SSLContext | None = None
    """For addresses of https."""


class Block(NamedTuple):
    """Requests that are sent at once: from which counter on, and how many; each next one is for
    the next counter, and after the last one for the first."""

    first: int
    size: int


class Load:
    """All clients of a plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.latencies = Latencies()
        self.answered = 0
        """Increments that were answered as done."""
        self.reasons: Counter[str] = Counter()
        """Of refusals and of connections that ended, how often each."""
        self.seconds = 0.0
        """Until the last answer came."""
        self.busy = 0.0
        """The share of one CPU that this process used meanwhile."""
        self.stopped = False
        """Nothing is sent any more."""
        self.deserted = False
        """All connections have ended, before all was sent or the time was over."""

        count = len(plan.counters)
        say = partial(plan.dialect.increment, by=plan.by, token=plan.token)
        requests = [say(name) for name in plan.counters]
        self._ring = requests * (1 + -(-plan.pipeline // count))
        self._next = 0
        self._sent = 0
        self._blocks: Counter[Block] = Counter()
        """All that were sent."""
        self._lacking: Counter[int] = Counter()
        """By counter: increments that were not answered as done."""
        self._doubtful: Counter[int] = Counter()
        """By counter: those of them that may have been counted."""
        self._began = self._last = 0.0
        self._clients: list[_Client] = []
        self._done: asyncio.Future[None] | None = None

    async def run(self, tell: Callable[[Load], None]) -> None:
        """Do all of it; `tell` is called now and then. Raises `OSError` where a client cannot
        connect."""
        try:
            await self._connect()
            self._began = self._last = time.perf_counter()
            cpu = time.process_time()
            for client in self._clients:
                client.send(self._began)
            self._done = asyncio.get_running_loop().create_future()
            self._end_if_idle()
            await self._ended(tell)
            self.deserted = not any(client.connected for client in self._clients)
            self.seconds = self._last - self._began
            self.busy = (time.process_time() - cpu) / self.elapsed
        finally:
            for client in self._clients:
                client.give_up("")

    async def _connect(self) -> None:
        wanted = islice(cycle(self.plan.addresses), self.plan.clients)

        async def some() -> None:
            for address in wanted:
                if self.stopped:
                    return
                async with asyncio.timeout(self.plan.patience):
                    self._clients.append(await self._connected(address))

        tasks = [asyncio.ensure_future(some()) for _ in range(CONNECTING_MAX)]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _connected(self, address: ApiAddress) -> _Client:
        loop, made = asyncio.get_running_loop(), partial(_Client, self)
        if isinstance(address, UnixSocket):
            return (await loop.create_unix_connection(made, address.path))[1]
        tls = self.plan.tls if isinstance(address, Https) else None
        return (await loop.create_connection(made, address.host, address.port, ssl=tls))[1]

    def stop(self) -> None:
        """Send nothing more; the second time: wait for no answer either."""
        if self.stopped:
            self._end()
        self.stopped = True

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self._began

    @property
    def refused(self) -> int:
        """Increments that were not counted, by the word of a node."""
        return sum(self._lacking.values()) - self.in_doubt

    @property
    def in_doubt(self) -> int:
        """Increments that may have been counted."""
        return sum(self._doubtful.values())

    def counted(self) -> list[tuple[int, int]]:
        """For each counter how many of its increments have been counted: at least, and at most."""
        counters = len(self.plan.counters)
        sent = [0] * counters
        for block, times in self._blocks.items():
            for place in range(block.size):
                sent[(block.first + place) % counters] += times
        least = [many - self._lacking[number] for number, many in enumerate(sent)]
        return [(low, low + self._doubtful[number]) for number, low in enumerate(least)]

    async def _ended(self, tell: Callable[[Load], None]) -> None:
        """Wait for the end, and bring it about when the time is over or the nodes are silent."""
        assert self._done is not None
        seconds = self.plan.seconds
        while not self._done.done():
            left = TICK if seconds is None or self.stopped else min(TICK, seconds - self.elapsed)
            await asyncio.wait([self._done], timeout=max(0.0, left))
            if seconds is not None and self.elapsed >= seconds:
                self.stopped = True
                self._end_if_idle()
            if time.perf_counter() - self._last > self.plan.patience:
                for client in self._clients:
                    if client.block:
                        client.give_up(f"no answer within {self.plan.patience:g} s")
                self._end()
            tell(self)

    def _end(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _end_if_idle(self) -> None:
        if not any(client.block for client in self._clients):
            self._end()

    # --- what clients call -------------------------------------------------------------------

    def take(self) -> tuple[Block, bytes] | None:
        """What is to be sent next; nothing at the end."""
        count, total = self.plan.pipeline, self.plan.requests
        if total is not None:
            count = min(count, total - self._sent)
        if self.stopped or not count:
            return None
        first = self._next
        self._next = (first + count) % len(self.plan.counters)
        self._sent += count
        block = Block(first, count)
        self._blocks[block] += 1
        return block, b"".join(self._ring[first : first + count])

    def took(self, block: Block, answers: bytes, sent_at: float, now: float) -> None:
        """A block is answered."""
        self._last = now
        done = block.size
        for refusal in self.plan.dialect.refusals(answers, block.size):
            done -= 1
            self.note(refusal.detail)
            counter = (block.first + refusal.place) % len(self.plan.counters)
            self._lacking[counter] += 1
            self._doubtful[counter] += refusal.doubtful
        self.answered += done
        self.latencies.add(now - sent_at, block.size)

    def idle(self) -> None:
        """A client has nothing more to do."""
        self._end_if_idle()

    def lost(self, block: Block, answers: bytes) -> None:
        """A block is not answered, or only in part."""
        whole = answers.count(self.plan.dialect.end)
        refused = {refusal.place for refusal in self.plan.dialect.refusals(answers, whole)}
        for place in range(block.size):
            if place < whole and place not in refused:
                self.answered += 1
                continue
            counter = (block.first + place) % len(self.plan.counters)
            self._lacking[counter] += 1
            self._doubtful[counter] += 1

    def note(self, reason: str) -> None:
        """One more that came to nothing for this reason."""
        known = reason in self.reasons or len(self.reasons) < REASONS_MAX
        self.reasons[reason if known else OTHER_REASONS] += 1


class _Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._end = load.plan.dialect.end
        self._login = load.plan.dialect.login(load.plan.token) if load.plan.token else b""
        """What is said first, and answered by a line of its own."""
        self._received = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.block: Block | None = None
        """What is under way."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        if self._login:
            self._transport.write(self._login)

    @property
    def connected(self) -> bool:
        return self._transport is not None

    def data_received(self, data: bytes) -> None:
        if self._received:
            data = self._received + data
        if self._login:
            login, end, data = data.partition(b"\n")
            if not end:
                self._received = login
                return
            self._login = self._received = b""
        block = self.block
        if block is None or data.count(self._end) < block.size:
            self._received = data
            return
        self._received = b""
        self.block = None
        now = time.perf_counter()
        self._load.took(block, data, self._sent_at, now)
        self.send(now)

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is not None:
            strerror = error.strerror if isinstance(error, OSError) else ""
            reason = (strerror or "connection closed").lower()
            self.give_up(reason if self._sent_at else UNUSED)

    def send(self, now: float) -> None:
        """Send the next block; nothing where the connection was lost before."""
        if self._transport is None:
            return
        if taken := self._load.take():
            self.block, data = taken
            self._sent_at = now
            self._transport.write(data)
        else:
            self._load.idle()

    def give_up(self, reason: str) -> None:
        """Use the connection no more; why, if that is no matter of course."""
        if reason:
            self._load.note(reason)
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        block, self.block = self.block, None
        if block is not None:
            self._load.lost(block, self._received)
        self._load.idle()
