"""A real Prometheus scrapes real nodes: an alert begins and ends, and the dashboard has data."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.deadline import DEADLINE
from tests.e2e.cluster import Cluster, agree
from tests.e2e.node import Node, until
from tests.e2e.ports import free_port
from tests.e2e.scraping import PROMETHEUS
from tests.unit.test_monitoring import RULES, queries

CONFIG = """
global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}}
rule_files: ["{rules}"]
scrape_configs:
  - job_name: gossipd
    authorization: {{credentials_file: "{token}"}}
    static_configs: [{{targets: {targets}}}]
"""

READ, WRITE = "only-for-metrics-1", "for-counting-too-2"

SILENT = {
    "gossipd_kernel_refusals_total",
    "gossipd_drops_total",
    "_overflows_total",
    'status=~"5..',
    "gossipd_tls_certificate_expires_seconds",
}
"""What there is nothing of where all is well."""


class Prometheus:
    """One that runs."""

    def __init__(self, host: str, port: int) -> None:
        self._api = host, port

    def get(self, path: str, **query: str) -> Any:
        connection = http.client.HTTPConnection(*self._api, timeout=DEADLINE)
        try:
            connection.request("GET", f"/api/v1/{path}?{urlencode(query)}")
            response = connection.getresponse()
            if response.status == http.HTTPStatus.SERVICE_UNAVAILABLE:
                raise OSError("it starts")
            answer = json.loads(response.read())
        finally:
            connection.close()
        assert answer["status"] == "success", (query, answer)
        return answer["data"]

    def query(self, query: str) -> list[Any]:
        return list(self.get("query", query=query)["result"])

    def firing(self) -> set[str]:
        alerts = self.get("alerts")["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}


@contextmanager
def prometheus(nodes: list[Node], folder: Path) -> Iterator[Prometheus]:
    """It scrapes these nodes."""
    assert PROMETHEUS is not None
    host, port = nodes[0].host, free_port()
    config, log = folder / "prometheus.yml", folder / "prometheus.log"
    targets = json.dumps([f"{node.api[0]}:{node.api[1]}" for node in nodes])
    config.write_text(CONFIG.format(rules=RULES, targets=targets, token=folder / "token"))
    arguments = (
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={host}:{port}",
    )
    with log.open("wb") as out:
        process = subprocess.Popen((PROMETHEUS, *arguments), stdout=out, stderr=out)
    try:
        found = Prometheus(host, port)
        until(lambda: len(found.query("gossipd_ready == 1")) == len(nodes), 30, "all are scraped")
        yield found
    finally:
        process.terminate()
        process.wait(10)
        print(log.read_text()[-2000:])


@pytest.mark.skipif(PROMETHEUS is None, reason="no prometheus")
def test_an_alert_begins_as_a_member_fails_and_ends_as_it_is_back(
    cluster: Cluster, tmp_path: Path
) -> None:
    (tokens := tmp_path / "tokens").touch(0o600)
    tokens.write_text(f"read {READ}\nwrite {WRITE}\n")
    (tmp_path / "token").write_text(f"{READ}\n")
    nodes = [cluster.add() for _ in range(3)]
    for node in nodes:
        node.token = WRITE
    first, _, third = cluster.form(nodes, "--tokens", str(tokens))
    with prometheus(nodes, tmp_path) as found:
        assert found.firing() == set()
        for number in range(10):
            first.increment(f"c{number % 3}")
        until(lambda: has_data(found), 20, "the dashboard has data")
        third.kill()
        until(lambda: "GossipdMemberFailed" in found.firing(), 30, "the alert fires")
        assert found.query('gossipd_members{state="failed"}')
        third.start("--tokens", str(tokens), join=[first])
        agree(nodes, within=20)
        until(lambda: not found.firing(), 30, "the alert ends")


def has_data(found: Prometheus) -> bool:
    """Whether each query of the dashboard has an answer; all are valid."""
    variables = {"$job": "gossipd", "$instance": ".*", "$__rate_interval": "10s"}
    for query in queries():
        for name, value in variables.items():
            query = query.replace(name, value)
        assert "$" not in query
        if not found.query(query) and not any(silent in query for silent in SILENT):
            print(f"no data: {query}")
            return False
    return True
