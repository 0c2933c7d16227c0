"""What the doctor makes of a node that answers, and not as this version would."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from gossipd.config.endpoint import Endpoint
from gossipd.doctor.examining import Asked, examine
from gossipd.doctor.findings import Result

STATUS = {"name": "a", "address": "127.0.0.1:9", "cluster": "c", "version": "0.0.9"}

PROBLEM = {
    "title": "Bad Request",
    "status": 400,
    "detail": "unknown field 'limit'; known here: none",
}


class Earlier(BaseHTTPRequestHandler):
    """A node of a version in which lists had no `limit`."""

    def do_GET(self) -> None:  # http.server's name
        known = self.path == "/status"
        body = json.dumps(STATUS if known else PROBLEM).encode()
        self.send_response(200 if known else 400)
        self.send_header("Content-Type", f"application/{'json' if known else 'problem+json'}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def earlier() -> Iterator[Endpoint]:
    with HTTPServer(("127.0.0.1", 0), Earlier) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Endpoint("127.0.0.1", server.server_port)
        server.shutdown()
        thread.join()


def test_a_node_that_knows_less_is_said_to_be_another_version_and_not_to_be_unready(
    earlier: Endpoint,
) -> None:
    found = examine(Asked(earlier, (), "c", "a", (), "", 5.0))
    (told,) = [each for each in found if each.check in ("node", "version")]
    assert (told.check, told.result) == ("version", Result.FAILED)
    assert "0.0.9" in told.text
    assert "unknown field 'limit'" in told.text
    assert not [each for each in found if each.check == "members"], "nobody has told of any"
