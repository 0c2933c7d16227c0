"""The alert rules and the dashboard, as files; what they find in a real Prometheus:
tests/e2e/test_prometheus.py."""

from __future__ import annotations

import json
import re
import subprocess
from itertools import combinations
from typing import Any

import pytest

from gossipd.daemon.metrics import ROWS, VALUES, VALUES_CUT
from tests.e2e.node import ROOT
from tests.e2e.scraping import PROMTOOL

RULES = ROOT / "configs/prometheus/gossipd.rules.yml"
TESTS = ROOT / "configs/prometheus/gossipd.rules.test.yml"
DASHBOARD = ROOT / "configs/grafana/gossipd.json"
TABLE = ROOT / "gossipd/sideport/METRICS.md"


def panels() -> list[dict[str, Any]]:
    return list(json.loads(DASHBOARD.read_text())["panels"])


def queries() -> list[str]:
    """All of the dashboard's."""
    return [target["expr"] for panel in panels() for target in panel.get("targets", ())]


def documented() -> set[str]:
    return set(re.findall(r"\| `(gossipd_\w+)` \|", TABLE.read_text()))


def test_the_table_is_that_of_the_metrics() -> None:
    rows = re.findall(r"\| `(gossipd_\w+)` \| (\w+) \| (.*?) \| (.+) \|", TABLE.read_text())
    table = {
        name: (kind, what, tuple(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels, what in rows
    }
    told = (*(row[:4] for row in ROWS), VALUES, VALUES_CUT)
    assert table == {name: (kind, what, labels) for name, kind, what, labels in told}
    assert len(rows) == len(told)


def named(queries: str) -> set[str]:
    """The metrics in them: a histogram by its parts."""
    return set(re.findall(r"\b(gossipd_\w+?)(?:_bucket|_sum|_count)?\b", queries))


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool")
def test_each_alert_begins_and_ends_when_it_should() -> None:
    done = subprocess.run(
        (str(PROMTOOL), "test", "rules", TESTS), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tried_while_it_fires_and_while_all_is_well() -> None:
    alerts = set(re.findall(r"alert: (\w+)", RULES.read_text()))
    tried = TESTS.read_text()
    fires = set(re.findall(r"alertname: (\w+)\n\s+exp_alerts:", tried))
    silent = set(re.findall(r"alertname: (\w+)}", tried))
    assert len(alerts) > 10
    assert fires == silent == alerts


def test_alerts_and_panels_ask_for_metrics_that_there_are() -> None:
    asked = named(" ".join((RULES.read_text(), TESTS.read_text(), *queries())))
    assert len(asked) > 20
    assert asked <= documented()
    assert documented() - named(" ".join(queries())) == {
        "gossipd_counters_value", "gossipd_counters_value_cut",
    }, "all the others are on the dashboard"  # fmt: skip


def test_panels_have_numbers_of_their_own_and_do_not_lie_on_each_other() -> None:
    found = panels()
    assert len({panel["id"] for panel in found}) == len(found)
    places = [panel["gridPos"] for panel in found]
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)
    assert all(place["x"] + place["w"] <= 24 for place in places)


def test_legends_are_shown() -> None:
    """Which Grafana takes for granted in files of older schemas alone."""
    legends = [panel["options"]["legend"] for panel in panels() if panel["type"] == "timeseries"]
    assert legends
    assert all(legend["showLegend"] is True for legend in legends)
