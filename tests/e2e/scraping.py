"""What a node tells Prometheus, as a test reads it."""

from __future__ import annotations

import shutil
import subprocess
from typing import NamedTuple

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.node import Node

PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")


class Shape(NamedTuple):
    """What is said of a family."""

    type: str
    help: str
    labels: frozenset[str]


class Scrape:
    """One answer."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {_name(each): each for each in text_string_to_metric_families(text)}

    def value(self, name: str, **labels: str) -> float:
        """Of all samples of a family that have these labels, added up; of a histogram those that
        it has seen."""
        family = self.families[name]
        wanted = labels.items()
        suffix = "_count" if family.type == "histogram" else ""
        return sum(
            sample.value
            for sample in family.samples
            if sample.name == name + suffix and wanted <= sample.labels.items()
        )

    def shape(self, name: str) -> Shape:
        family = self.families[name]
        labels = frozenset[str]().union(*(sample.labels for sample in family.samples))
        return Shape(family.type, family.documentation, labels - {"le"})


def scrape(node: Node, query: str = "") -> Scrape:
    return Scrape(node.get(f"/metrics{query}"))


def lint(text: str) -> str:
    """What promtool has to say."""
    assert PROMTOOL is not None
    checked = subprocess.run(
        (PROMTOOL, "check", "metrics"), input=text, capture_output=True, text=True
    )
    return checked.stdout + checked.stderr


def _name(family: Metric) -> str:
    """As it is written: the library takes the end of a counter's name off."""
    return family.name + "_total" * (family.type == "counter")
