"""A real browser whose visitor may count: the page of the node can use that, no other site can."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.e2e.browser import PROGRAM, Browser, Tab
from tests.e2e.cluster import Cluster
from tests.e2e.node import Node, until

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs chromium")

VISITOR, APP = "token-of-the-visitor-1", "token-of-the-app-12"

ATTACKS = """
(async () => {
  const node = %r, evil = `${node}/increment?counter=evil`, ended = [];
  const said = 'increment evil\\n*2\\r\\n$4\\r\\nINCR\\r\\n$4\\r\\nevil\\r\\n';
  for (const credentials of ['include', 'omit'])
    for (const body of [undefined, '{}', said])
      for (const mode of ['no-cors', 'cors'])
        ended.push(fetch(evil, {method: 'POST', mode, body, credentials}));
  ended.push(fetch(`${node}/sources/a/evil`, {method: 'PUT', body: '{"seq": 1, "total": 1}'}));
  ended.push(fetch(`${node}/leave`, {method: 'POST', mode: 'no-cors', credentials: 'include'}));
  ended.push(fetch(`${node}/counters`, {credentials: 'include'}).then((answer) => answer.text()));
  navigator.sendBeacon(evil, said);
  ended.push(new Promise((resolve) => {
    const socket = new WebSocket(evil.replace('http', 'ws'));
    socket.onopen = () => socket.send(said);
    socket.onerror = socket.onclose = () => resolve('closed');
  }));
  for (const [name, encoding] of [['a', 'text/plain'], ['b', 'application/x-www-form-urlencoded']])
    ended.push(new Promise((resolve) => {
      const frame = document.createElement('iframe'), form = document.createElement('form');
      frame.name = form.target = name;
      form.method = 'POST';
      form.enctype = encoding;
      form.action = evil;
      const field = document.createElement('textarea');
      field.name = '\\nincrement evil\\n';
      field.value = said;
      form.append(field);
      document.body.append(frame, form);
      frame.onload = () => resolve('submitted');
      form.submit();
    }));
  ended.push(new Promise((resolve) => {
    const image = new Image();
    image.onload = image.onerror = () => resolve('shown');
    image.src = evil;
  }));
  const found = await Promise.allSettled(ended);
  return found.filter((one) => one.status === 'fulfilled' && `${one.value}`.startsWith('{'));
})()
"""

COUNTS = """
fetch(%r + '/increment?counter=app', {method: 'POST', credentials: %r, headers: %s})
  .then((answer) => answer.json()).then((told) => told.count ?? told.status, () => 'unreadable')
"""


class Empty(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>a</title><body></body>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def site(host: str) -> Iterator[str]:
    """The origin of a page of somebody's."""
    with ThreadingHTTPServer((host, 0), Empty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{host}:{server.server_address[1]}"
        finally:
            server.shutdown()


def opened(browser: Browser, node: Node) -> Tab:
    """The page of a node, whose visitor has shown a token that the browser shows again."""
    at = f"{node.api[0]}:{node.api[1]}"
    tab = browser.open(f"http://{at}/health")
    tab.call("Page.navigate", url=f"http://visitor:{VISITOR}@{at}/")
    tab.shows("document.getElementById('link')?.textContent === 'live'")
    return tab


def test_no_other_site_counts_with_what_the_browser_shows_by_itself(
    cluster: Cluster, tmp_path: Path
) -> None:
    (tokens := tmp_path / "tokens").touch(0o600)
    tokens.write_text(f"admin {VISITOR}\nwrite {APP} prefix=app\n")
    node = cluster.add()
    node.token = VISITOR
    other = cluster.add().host
    with site(node.host) as evil, site(other) as stranger, site(other) as app:
        node.start("--tokens", str(tokens), "--cors-origin", app)
        until(lambda: node.ready, 20, "it is ready")
        at = f"http://{node.api[0]}:{node.api[1]}"
        with Browser(tmp_path / "browser") as browser:
            own = opened(browser, node)
            own.run("fetch(location.origin + '/increment?counter=own', {method: 'POST'})")
            own.shows("document.getElementById('counters-rows').innerText.includes('own')")
            for attacker in (evil, stranger):
                assert browser.open(attacker + "/").run(ATTACKS % at) == []
            assert node.get("/counters") == {"own": 1}
            page = browser.open(app + "/")
            assert page.run(COUNTS % (at, "include", "{}")) == "unreadable"
            assert page.run(COUNTS % (at, "omit", "{}")) == 401
            shown = f"{{Authorization: 'Bearer {APP}'}}"
            assert page.run(COUNTS % (at, "omit", shown)) == 1
            assert browser.open(stranger + "/").run(COUNTS % (at, "omit", shown)) == "unreadable"
            assert node.get("/counters") == {"app": 1, "own": 1}
            assert node.running
