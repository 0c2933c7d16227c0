"""A daemon that tells each who follows it what a test has written down, then hangs up."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
)


WAITS = b"until the client closes"


def told(kind: str, data: object, number: int | None = None) -> bytes:
    place = "" if number is None else f"id: x-{number}\n"
    text = f"event: {kind}\n{place}data: {json.dumps(data)}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(text), text)


def row(name: str, state: str, **more: object) -> dict[str, object]:
    address = {"address": "127.0.0.1:1", "generation": 1, "tags": {}, "since": 0, "rtt_ms": None}
    return {"name": name, "state": state, **address, **more}


def refusal(status: int, detail: str) -> bytes:
    body = json.dumps({"title": "T", "status": status, "detail": detail}).encode()
    head = f"HTTP/1.1 {status} T\r\nContent-Type: application/problem+json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Teller:
    def __init__(self, listener: socket.socket, replies: list[list[bytes]]) -> None:
        self.address = f"127.0.0.1:{listener.getsockname()[1]}"
        self.port = listener.getsockname()[1]
        self.heads: list[str] = []
        """What it was asked."""
        self._listener = listener
        self._replies = replies

    def serve(self) -> None:
        """One connection for each list of parts, which are sent one by one."""
        for parts in self._replies:
            connection, _ = self._listener.accept()
            with connection:
                connection.settimeout(20)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.heads.append(connection.recv(65536).decode())
                for part in parts:
                    if part is WAITS:
                        connection.recv(1)
                    else:
                        connection.sendall(part)


@contextmanager
def teller(*replies: list[bytes]) -> Iterator[Teller]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        made = Teller(listener, list(replies))
        thread = threading.Thread(target=made.serve)
        thread.start()
        try:
            yield made
        finally:
            thread.join(30)
