"""Real proxies in front of a node, and what goes wrong behind them.

A proxy answers for a node that does not: 502 where the connection broke, 504 where nothing came
in time, in HTML. Whether the node counted before that, it cannot know.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Self

from tests.e2e.node import Node, gossipd, until
from tests.e2e.ports import free_port

PATIENCE = 1
"""Seconds after which a proxy gives an answer up."""

NGINX = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen {address};
        location / {{
            proxy_pass http://{target};
            proxy_http_version 1.0;
            proxy_set_header Connection close;
            proxy_read_timeout {patience}s;
        }}
    }}
}}
"""

HAPROXY = """
defaults
    mode http
    option httpclose
    retries 0
    timeout connect {patience}s
    timeout client 30s
    timeout server {patience}s
frontend here
    bind {address}
    default_backend there
backend there
    server node {target}
"""

PROGRAMS = {
    "nginx": (NGINX, ("-e", "stderr", "-c")),
    "haproxy": (HAPROXY, ("-db", "-f")),
}
"""What each is told, and how it is started with that. Neither keeps connections to the node, as
newer ones of nginx would: `Between` reads an answer to its end."""


def why_none(program: str) -> str:
    """Why it cannot be started here; empty if it can."""
    package = {"nginx": "nginx-light"}.get(program, program)
    return "" if shutil.which(program) else f"needs {package}"


class Proxy:
    """In front of an address, while it is open."""

    def __init__(self, program: str, host: str, target: tuple[str, int], directory: Path) -> None:
        self.address = f"{host}:{free_port()}"
        text, options = PROGRAMS[program]
        config = directory / f"{program}.conf"
        config.write_text(
            text.format(
                directory=directory,
                address=self.address,
                target=f"{target[0]}:{target[1]}",
                patience=PATIENCE,
            )
        )
        self._command = (program, *options, str(config))
        self._log = directory / f"{program}.log"

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A client command that asks through it."""
        return gossipd(*arguments, GOSSIPD_API=self.address)

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            until(self._is_up, 20, f"{self._command[0]} listens at {self.address}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _is_up(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        host, _, port = self.address.rpartition(":")
        socket.create_connection((host, int(port)), 5).close()
        return True

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(10)


class Fate(Enum):
    """What becomes of a request and its answer."""

    COUNTED_AND_BROKEN = "counted, then the connection breaks"
    COUNTED_AND_SILENT = "counted, then nothing comes"
    BROKEN = "the connection breaks before it is counted"
    SILENT = "nothing comes, and nothing is counted"


class Between:
    """The way from a proxy to a node: each request there has the next fate; when there is none
    any more, all goes well."""

    def __init__(self, host: str, node: Node) -> None:
        self.fates: list[Fate] = []
        self._node = node
        self._listener = socket.create_server((host, 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._begin(self._run)

    def _begin(self, run: Callable[[], None]) -> None:
        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()

    def _run(self) -> None:
        with suppress(OSError):  # the listener is shut down
            while True:
                connection, _ = self._listener.accept()
                connection.settimeout(30)
                self._connections.append(connection)
                self._begin(partial(self._serve, connection))

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the proxy has closed it
            request = _request(connection)
            fate = self.fates.pop(0) if self.fates and request else None
            if fate in (Fate.COUNTED_AND_BROKEN, Fate.COUNTED_AND_SILENT, None):
                answer = self._answer(request)
                if fate is None:
                    connection.sendall(answer)
            if fate in (Fate.COUNTED_AND_SILENT, Fate.SILENT):
                connection.recv(1)  # until the proxy gives it up

    def _answer(self, request: bytes) -> bytes:
        """That of the node, which closes after it."""
        with self._node.connect(30) as connection:
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()


def _request(connection: socket.socket) -> bytes:
    """One request, whose body has a length."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    missing = sum(lengths) - len(body)
    while missing > 0:
        part = connection.recv(missing)
        data += part
        missing -= len(part) or missing
    return data
