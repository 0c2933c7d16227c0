"""Clients that count and cost little themselves: raw connections in one thread.

A request is a constant, and of the answers only one sign is looked for. That every increment was
counted is for the caller to check, by the count in the end.
"""

from __future__ import annotations

import select
import socket
import time
from contextlib import ExitStack
from typing import NamedTuple

from tests.e2e.node import Node

RECEIVE = 1 << 18
PATIENCE = 30.0
"""Seconds without any answer after which a node is given up."""


class Dialect(NamedTuple):
    """How to say `increment`."""

    request: bytes
    sign: bytes
    """One byte that stands in each answer once."""


HTTP = Dialect(b"POST /increment HTTP/1.1\r\nHost: a\r\n\r\n", b"}")
TEXT = Dialect(b"increment\n", b"\n")


class Pumped(NamedTuple):
    answered: int
    seconds: float
    busy: float
    """Share of the time for which the clients needed the CPU; near 1 they were the limit."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds


def increment(connection: socket.socket) -> float:
    """Seconds that one increment took on a connection that is kept."""
    began = time.perf_counter()
    connection.sendall(HTTP.request)
    answer = connection.recv(RECEIVE)
    while not answer.endswith(b"}\n"):
        answer += connection.recv(RECEIVE)
    took = time.perf_counter() - began
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    return took


def pump(
    node: Node, total: int, connections: int, depth: int = 1, dialect: Dialect = HTTP
) -> Pumped:
    """`total` increments, `depth` under way on each connection at any time."""
    request, sign = dialect
    with ExitStack() as opened:
        clients = [opened.enter_context(node.connect()) for _ in range(connections)]
        by_number = {client.fileno(): client for client in clients}
        poll = opened.enter_context(select.epoll())
        began, cpu = time.perf_counter(), time.process_time()
        for number, client in by_number.items():
            poll.register(number, select.EPOLLIN)
            client.sendall(request * depth)
        sent, answered = connections * depth, 0
        assert sent <= total
        while answered < total:
            ready = poll.poll(PATIENCE)
            assert ready, f"{node.name} is silent after {answered} answers"
            for number, _ in ready:
                client = by_number[number]
                data = client.recv(RECEIVE)
                assert data, f"{node.name} closed a connection after {answered} answers"
                came = data.count(sign)
                answered += came
                more = min(came, total - sent)
                sent += more
                client.sendall(request * more)
        seconds = time.perf_counter() - began
        return Pumped(answered, seconds, (time.process_time() - cpu) / seconds)
