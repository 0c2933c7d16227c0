"""A bad link between two nodes: every datagram passes here, and some of them do not.

Each node advertises one of the relay's addresses, so the other sends there; what comes in at one
address goes out from the other, as if there were no relay.
"""

from __future__ import annotations

import heapq
import random
import select
import socket
import threading
import time
from typing import Self

from tests.e2e.node import Node
from tests.e2e.ports import free_port

DELAY_MAX = 0.05
"""Seconds a datagram is held at most; the next one may be held shorter, so they overtake."""

TURN = 0.01
KEPT_MAX = 20_000


class Relay:
    """The link of two nodes, `loss` and `doubled` being shares of the datagrams."""

    def __init__(self, hosts: tuple[str, str], loss: float, doubled: float, seed: int) -> None:
        self.loss = loss
        self.doubled = doubled
        self.passed = 0
        self.lost = 0
        self._rng = random.Random(seed)
        self._sockets = [_bound(host) for host in hosts]
        self._targets: list[tuple[str, int]] = []
        self._held: list[tuple[float, int, bytes, int]] = []
        self._captured: list[tuple[bytes, int]] = []
        self._numbers = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def front(self, side: int) -> str:
        """What the node of this side has to advertise."""
        host, port = self._sockets[side].getsockname()
        return f"{host}:{port}"

    def between(self, one: Node, other: Node) -> None:
        """Begin."""
        self._targets = [(node.host, node.port) for node in (one, other)]
        self._thread.start()

    def captured(self, side: int) -> list[bytes]:
        """What the node of this side was sent so far."""
        with self._lock:
            return [data for data, to in self._captured if to == side]

    def replay(self) -> int:
        """Deliver everything that ever came by again: shuffled, twice; how many that is."""
        with self._lock:
            again = self._captured * 2
        self._rng.shuffle(again)
        for data, side in again:
            self._send(data, side)
            if not self._rng.randrange(50):
                time.sleep(0.001)  # the nodes' receive buffers are finite
        return len(again)

    def _run(self) -> None:
        while not self._stop.is_set():
            readable, _, _ = select.select(self._sockets, [], [], TURN)
            for sock in readable:
                self._take(sock.recv(65536), self._sockets.index(sock))
            while self._held and self._held[0][0] <= time.monotonic():
                _, _, data, side = heapq.heappop(self._held)
                self._send(data, side)

    def _take(self, data: bytes, side: int) -> None:
        with self._lock:
            if len(self._captured) < KEPT_MAX:
                self._captured.append((data, side))
        if self._rng.random() < self.loss:
            self.lost += 1
            return
        for _ in range(1 + (self._rng.random() < self.doubled)):
            self._numbers += 1
            due = time.monotonic() + self._rng.random() * DELAY_MAX
            heapq.heappush(self._held, (due, self._numbers, data, side))

    def _send(self, data: bytes, side: int) -> None:
        try:
            self._sockets[1 - side].sendto(data, self._targets[side])
        except OSError:
            return  # the node is not there (any more)
        self.passed += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        for sock in self._sockets:
            sock.close()


def _bound(host: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
    sock.bind((host, free_port()))
    return sock
