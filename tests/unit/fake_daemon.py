"""A side port that answers what a test tells it to and keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class FakeDaemon:
    address: str = ""
    status: int = 200
    body: bytes = b"{}"
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    retry_after: str = ""
    hanging_up: int = 0
    """How many further requests get no answer at all."""

    refusing: int = 0
    """How many further requests get 503."""

    def answers(self, data: object, status: int = 200) -> None:
        self.status, self.body = status, json.dumps(data).encode()

    def refuses(self, status: int, **problem: object) -> None:
        self.answers({"status": status, **problem}, status)


@contextmanager
def fake_daemon() -> Iterator[FakeDaemon]:
    fake = FakeDaemon()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            lines = [json.loads(line) for line in body.splitlines()]
            asked = lines if self.path == "/increments" else lines[0] if lines else None
            fake.requests.append((self.command, self.path, asked))
            if fake.hanging_up:
                fake.hanging_up -= 1
            elif fake.refusing:
                fake.refusing -= 1
                self._answer(503, b'{"status": 503, "detail": "catching up"}')
            else:
                self._answer(fake.status, fake.body)

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if fake.retry_after:
                self.send_header("Retry-After", fake.retry_after)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.address = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
