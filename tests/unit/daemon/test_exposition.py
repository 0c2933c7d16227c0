"""Numbers in both formats of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics

from gossipd.core import Histogram
from gossipd.daemon.exposition import SAMPLES_AT_ONCE, Family, document
from tests.e2e.scraping import PROMTOOL, Scrape, lint

OPEN = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
"""As a Prometheus asks."""

MANY = 2 * SAMPLES_AT_ONCE + 50
ODD = 'a "b" \\ c\nd é'


def families() -> list[Family]:
    histogram = Histogram((0.5, 1))
    for value in (0.1, 0.7, 0.7, 3):
        histogram.add(value)
    return [
        Family("x_events_total", "counter", "Events.", (), 7),
        Family("x_state", "gauge", "By state.", ("state",), {ODD: 1, "b": 0.5}),
        Family("x_asked_total", "counter", "By two.", ("a", "b"), {("1", "2"): 3}),
        Family("x_wait_seconds", "histogram", "Waits.", (), histogram),
        Family(
            "x_many", "gauge", "Many.", ("n",), {str(number): number for number in range(MANY)}
        ),
        Family("x_none_total", "counter", "None yet.", ("a",), {}),
    ]


@pytest.mark.parametrize(
    "accept",
    [
        *("", "*/*", "text/html", "text/plain;version=0.0.4", ";,=", "\xff"),
        *("text/plain;version=9;escaping=dots", "application/openmetrics-text;q=0"),
    ],
)
def test_who_asks_for_nothing_else_gets_the_text_of_prometheus(accept: str) -> None:
    told = document(families(), accept)
    assert told.content_type == b"text/plain; version=0.0.4; charset=utf-8"
    text = b"".join(told.pieces).decode()
    found = Scrape(text)
    assert found.value("x_events_total") == 7
    assert found.value("x_state", state=ODD) == 1
    assert found.value("x_wait_seconds") == 4
    assert "EOF" not in text
    if PROMTOOL is not None:
        assert lint(text) == ""


@pytest.mark.parametrize(
    "parameters", ["", ";version=x", ";version=9", ";version=\xb2;escaping=dots", ";q=0.5;=;"]
)
def test_who_asks_for_openmetrics_gets_it(parameters: str) -> None:
    told = document(families(), OPEN.replace(";version=1.0.0", parameters))
    assert told.content_type == b"application/openmetrics-text; version=1.0.0; charset=utf-8"
    text = b"".join(told.pieces).decode()
    assert text.endswith("\n# EOF\n")
    assert text.count("# EOF") == 1
    parse: Callable[[str], Iterable[Metric]] = openmetrics.text_string_to_metric_families
    found = {each.name: each for each in parse(text)}
    assert found["x_asked"].samples[0].labels == {"a": "1", "b": "2"}
    assert len(found["x_many"].samples) == MANY
    waits = found["x_wait_seconds"].samples
    assert [sample.value for sample in waits] == [1, 3, 4, 4, 4.5]


@pytest.mark.parametrize("accept", ["", OPEN])
def test_a_family_with_many_samples_comes_in_pieces_under_one_head(accept: str) -> None:
    pieces = [piece.decode() for piece in document(families(), accept).pieces]
    many = [piece for piece in pieces if "x_many{" in piece]
    assert len(many) == 3
    assert [piece.count("# TYPE") for piece in many] == [1, 0, 0]
