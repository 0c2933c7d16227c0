"""Listeners that hold a client up: that drip, that never read, that never accept."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from gossipd.config.endpoint import Endpoint

EVERY = 0.05
"""Seconds between two drips."""


@contextmanager
def serving(
    serve: Callable[[socket.socket, threading.Event], None], host: str = "127.0.0.1"
) -> Iterator[Endpoint]:
    """Whoever connects is served in a thread, until the end of the test."""
    ended = threading.Event()
    threads: list[threading.Thread] = []

    def one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            serve(connection, ended)

    def accept() -> None:
        while not ended.is_set():
            with suppress(TimeoutError):
                connection, _ = listener.accept()
                threads.append(threading.Thread(target=one, args=(connection,)))
                threads[-1].start()

    with socket.create_server((host, 0)) as listener:
        listener.settimeout(0.05)
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield Endpoint(host, listener.getsockname()[1])
        finally:
            ended.set()
            accepting.join()
            for thread in threads:
                thread.join()


@contextmanager
def dripping(begin: bytes, drip: bytes, every: float = EVERY) -> Iterator[Endpoint]:
    """Answers with `begin`, then with one drip after the other for ever."""

    def serve(connection: socket.socket, ended: threading.Event) -> None:
        connection.settimeout(5)
        connection.recv(65536)
        connection.sendall(begin)
        while not ended.wait(every):
            connection.sendall(drip)

    with serving(serve) as api:
        yield api


@contextmanager
def deaf() -> Iterator[Endpoint]:
    """Takes connections and never reads."""

    def serve(_: socket.socket, ended: threading.Event) -> None:
        ended.wait(30)

    with serving(serve) as api:
        yield api


@contextmanager
def full() -> Iterator[Endpoint]:
    """Takes no connection: its queue is full, so that who connects hears nothing."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(3):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(address)
        yield Endpoint("127.0.0.1", address[1])
