"""What loads a server of counters for a while: `wrk` for HTTP, `redis-benchmark` for RESP, and a
loader of its own for lines of text.

Each keeps some connections open, sends `depth` requests on each at once, and goes on when all of
these are answered. A refusal, or a connection that ends, is an error.
"""

from __future__ import annotations

import csv
import select
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import NamedTuple

Address = tuple[str, int]

BATCH = 100
"""Increments in one `POST /increments`; in RESP as many commands sent at once."""

PATIENCE = 10
"""Seconds for an answer."""

FIRST_REQUESTS = 1_000
"""`redis-benchmark` runs for a number of requests: the first run finds out how many it takes."""

_SEED = Random()


class Load(NamedTuple):
    """What is asked, and by how many at a time."""

    dialect: str
    """`http`, `text` or `resp`."""
    operation: str
    """`increment`, `keyed`, `batch` or `count`."""
    connections: int
    depth: int = 1
    counters: int = 1

    @property
    def adds(self) -> bool:
        return self.operation != "count"

    @property
    def each(self) -> int:
        """Operations in one request."""
        return BATCH if self.operation == "batch" else 1

    @property
    def under_way(self) -> int:
        """Operations that may be counted and not answered when the time is over."""
        return self.connections * self.depth * self.each


class Loaded(NamedTuple):
    answered: int
    """Operations."""
    seconds: float
    p50: float
    """Milliseconds until `depth` requests were answered; 0 where the loader cannot tell."""
    p99: float

    @property
    def rate(self) -> float:
        return self.answered / self.seconds


def names(counters: int) -> list[str]:
    return ["default"] if counters == 1 else [f"counter{number:05}" for number in range(counters)]


def _key_prefix() -> str:
    """The first 24 characters of the keys of a run: UUIDs of version 7 that are made now."""
    made = f"{int(1000 * time.time()):012x}"
    return f"{made[:8]}-{made[8:]}-7{_SEED.getrandbits(12):03x}-8{_SEED.getrandbits(12):03x}-"


# --- HTTP ----------------------------------------------------------------------------------------

_SCRIPT = """
local method, body, depth = "%(method)s", %(body)s, %(depth)d
local keys, number, counters = "%(keys)s", 0, %(counters)d
local requests, next_one = {}, 0

local function path(counter)
   if counters == 1 then return "%(path)s" end
   return "%(path)s?counter=" .. string.format("counter%%05d", counter)
end

local function some()
   local all = {}
   for place = 1, depth do
      local target = path((number + place - 1) %% counters)
      if keys ~= "" then
         target = target .. (counters == 1 and "?" or "&") .. "key="
         target = target .. keys .. string.format("%%012x", number + place)
      end
      all[place] = wrk.format(method, target, nil, body)
   end
   number = number + depth
   return table.concat(all)
end

function init(args)
   if keys == "" then
      for place = 1, counters do requests[place] = some() end
   end
end

function request()
   if keys ~= "" then return some() end
   next_one = next_one %% counters + 1
   return requests[next_one]
end

function done(summary, latency)
   local wrong = summary.errors
   io.write(string.format("\\nDONE,%%d,%%d,%%d,%%d,%%d,%%d,%%d,%%d,%%d\\n",
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
      wrong.connect, wrong.read, wrong.write, wrong.status, wrong.timeout))
end
"""

_CALLS = {
    "increment": ("POST", "/increment"),
    "keyed": ("POST", "/increment"),
    "batch": ("POST", "/increments"),
    "count": ("GET", "/count"),
}


def http(address: Address, load: Load, seconds: float, directory: Path) -> Loaded:
    method, path = _CALLS[load.operation]
    body, counters = "nil", load.counters
    if load.operation == "batch":
        named = islice(cycle(names(counters)), BATCH)
        lines = "".join(f'{{"counter": "{name}"}}\n' for name in named)
        body, counters = f"[[{lines}]]", 1
    keys = _key_prefix() if load.operation == "keyed" else ""
    script = directory / "wrk.lua"
    script.write_text(
        _SCRIPT
        % {
            "method": method,
            "path": path,
            "body": body,
            "keys": keys,
            "depth": load.depth,
            "counters": counters,
        }
    )
    url = f"http://{address[0]}:{address[1]}{path}"
    connections = (f"-c{load.connections}", "-t1", f"--timeout={PATIENCE}s")
    command = ("wrk", *connections, f"-d{max(1, round(seconds))}s", f"-s{script}", url)
    said = _run(command, seconds)
    (line,) = (line for line in said.splitlines() if line.startswith("DONE,"))
    answered, took, p50, p99, *wrong = map(int, line.split(",")[1:])
    assert not any(wrong), f"wrk met errors (connect, read, write, status, timeout): {wrong}"
    if load.depth > 1:
        p50 = p99 = 0  # wrk fills in samples, by an interval that knows no pipelines
    return Loaded(answered * load.each, took / 1e6, p50 / 1e3, p99 / 1e3)


# --- RESP ----------------------------------------------------------------------------------------

_RANDOM = "__rand_int__"
"""What `redis-benchmark` makes 12 random digits of, below the number after `-r`."""

_RANDOM_KEYS = 2**31 - 1


def resp(address: Address, load: Load, requests: int) -> Loaded:
    """`requests` of them, as `redis-benchmark` knows no time."""
    host, port = address
    depth = load.depth * load.each
    command = ["redis-benchmark", "-h", host, "-p", str(port), "-c", str(load.connections)]
    command += ["-P", str(depth), "-n", str(requests), "--csv"]
    counter = "default"
    if load.counters > 1:
        command += ["-r", str(load.counters)]
        counter = f"counter:{_RANDOM}"
    if load.operation == "keyed":
        command += ["-r", str(_RANDOM_KEYS), "GOSSIPD.INCRBY", counter, "1"]
        command += [_key_prefix() + _RANDOM]
    else:
        command += ["GET" if load.operation == "count" else "INCR", counter]
    rows = list(csv.reader(_run(command, 10 * PATIENCE).splitlines()))
    (found,) = (row for row in rows if len(row) == 8 and row[0] != "test")
    rate, p50, p99 = float(found[1]), float(found[4]), float(found[6])
    return Loaded(requests, requests / rate, p50, p99)


def speaks_resp(address: Address) -> bool:
    with socket.create_connection(address, PATIENCE) as client:
        client.sendall(b"*1\r\n$4\r\nPING\r\n")
        return client.recv(64) == b"+PONG\r\n"


# --- text ----------------------------------------------------------------------------------------

RECEIVE = 1 << 16


def text(address: Address, load: Load, seconds: float) -> Loaded:
    blocks = _blocks(load)
    took: list[float] = []
    with ExitStack() as opened:
        poll = opened.enter_context(select.epoll())
        clients: dict[int, socket.socket] = {}
        for _ in range(load.connections):
            client = opened.enter_context(socket.create_connection(address, PATIENCE))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            poll.register(client, select.EPOLLIN)
            clients[client.fileno()] = client
        missing = dict.fromkeys(clients, load.depth)
        began = time.perf_counter()
        until = began + seconds
        sent_at = dict.fromkeys(clients, began)
        for client in clients.values():
            client.sendall(next(blocks))
        while (now := time.perf_counter()) < until or not took:
            for number, _ in poll.poll(PATIENCE):
                data = clients[number].recv(RECEIVE)
                assert data, "the server has closed a connection"
                assert b"error" not in data, data
                missing[number] -= data.count(b"\n")
                if missing[number]:
                    continue
                now = time.perf_counter()
                took.append(now - sent_at[number])
                missing[number], sent_at[number] = load.depth, now
                clients[number].sendall(next(blocks))
    took.sort()
    p50, p99 = (1000 * took[len(took) * share // 100] for share in (50, 99))
    return Loaded(load.depth * len(took), now - began, p50, p99)


def _blocks(load: Load) -> Iterator[bytes]:
    """What is sent at once, for ever."""
    known = names(load.counters)
    verb = "count" if load.operation == "count" else "increment"
    if load.operation == "keyed":
        prefix, number = _key_prefix(), 0
        while True:
            lines = [f"increment key={prefix}{number + n:012x}\n" for n in range(load.depth)]
            yield "".join(lines).encode()
            number += load.depth
    lines = [f"{verb}\n"] if load.counters == 1 else [f"{verb} {name}\n" for name in known]
    endless = cycle(lines)
    blocks = ["".join(next(endless) for _ in range(load.depth)).encode() for _ in lines]
    yield from cycle(blocks)


def _run(command: Sequence[str], seconds: float) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds + 60, check=False
    )
    assert done.returncode == 0, f"{command[0]}: {done.stdout} {done.stderr}"
    return done.stdout


class Loader:
    """One load on one server, run after run."""

    def __init__(self, load: Load, address: Address, directory: Path) -> None:
        self.load = load
        self._address = address
        self._directory = directory
        self._rate = 0.0

    def run(self, seconds: float) -> Loaded:
        load, address = self.load, self._address
        if load.dialect == "http":
            return http(address, load, seconds, self._directory)
        if load.dialect == "text":
            return text(address, load, seconds)
        requests = int(self._rate * seconds) or FIRST_REQUESTS
        loaded = resp(address, load, max(requests, load.under_way))
        self._rate = loaded.rate
        return loaded
