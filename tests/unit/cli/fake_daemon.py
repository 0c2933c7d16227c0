"""A side port that answers what a test tells it to and keeps what it was asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class FakeDaemon:
    address: str = ""
    status: int = 200
    body: bytes = b"{}"
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    retry_after: str = ""
    content_type: str = "application/json"
    ahead: float = 0.0
    """Seconds by which its clock is ahead of this host's."""

    echoing: bool = True
    """Whether it says of a count for what it was asked, as daemons do."""

    judging: bool = False
    """Whether it refuses keys (UUIDv7) that its clock does not take for new."""

    joining: bool = False
    """Whether it takes every join, whatever it answers else."""

    undated: bool = False
    pages: dict[str, int] | None = None
    """Counters, of which it answers as many as are asked for."""

    hanging_up: int = 0
    """How many further requests get no answer at all."""

    hanging: bool = False
    """Whether requests wait for an answer until the end of the test."""

    refusing: int = 0
    """How many further requests get 503."""

    def answers(self, data: object, status: int = 200) -> None:
        self.status, self.body = status, json.dumps(data).encode()
        self.content_type = "application/json"

    def refuses(self, status: int, **problem: object) -> None:
        self.answers({"title": "T", "status": status, "detail": "no", **problem}, status)
        self.content_type = "application/problem+json"

    def echoed(self, path: str, asked: Any) -> bytes:
        """The body, as the answer to what was asked for where it is that of a count."""
        query = parse_qs(urlsplit(path).query)
        if self.pages is not None:
            prefix, after = (query.get(name, [""])[0] for name in ("prefix", "after"))
            names = [name for name in self.pages if name.startswith(prefix) and name > after]
            wanted = names[: int(query["limit"][0])]
            return json.dumps({name: self.pages[name] for name in wanted}).encode()
        fields = asked if isinstance(asked, dict) else {name: query[name][0] for name in query}
        data = json.loads(self.body) if self.echoing and self.status < 300 else None
        if not isinstance(data, dict) or not isinstance(data.get("count"), int):
            return self.body
        named = {name: fields[name] for name in ("counter", "by") if name in fields}
        return json.dumps({"id": "i", **data, **named}).encode()

    def takes(self, fields: Any) -> bool:
        """Whether a key is of this time."""
        milliseconds = int(fields["key"].replace("-", "")[:12], 16)
        return abs(milliseconds / 1000 - time.time() - self.ahead) < 60


@contextmanager
def fake_daemon() -> Iterator[FakeDaemon]:
    fake, ended = FakeDaemon(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            lines = [json.loads(line) for line in body.splitlines()]
            asked = lines if self.path == "/increments" else lines[0] if lines else None
            fake.requests.append((self.command, self.path, asked))
            if fake.hanging:
                ended.wait(60)
            elif fake.hanging_up:
                fake.hanging_up -= 1
            elif fake.refusing:
                fake.refusing -= 1
                self._refuse(503, "catching up")
            elif fake.joining and self.command == "POST":
                self._answer(202, b'{"joining": []}', "application/json")
            elif fake.judging and not fake.takes(asked):
                self._refuse(422, "expired: the key is old; this call did nothing")
            else:
                self._answer(fake.status, fake.echoed(self.path, asked), fake.content_type)

        def _refuse(self, status: int, detail: str) -> None:
            problem = {"title": "T", "status": status, "detail": detail}
            self._answer(status, json.dumps(problem).encode(), "application/problem+json")

        def _answer(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response_only(status)
            if not fake.undated:
                self.send_header("Date", formatdate(time.time() + fake.ahead, usegmt=True))
            self.send_header("Content-Type", content_type)
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
            ended.set()
            server.shutdown()
            thread.join()
