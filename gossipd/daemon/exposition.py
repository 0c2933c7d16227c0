"""Numbers in the formats of Prometheus, a family at a time.

The library is imported when somebody asks for the first time: it takes some megabytes, and a tenth
of a second, which a thread spends.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from gossipd.core import Histogram
from gossipd.sideport.accepting import weights
from gossipd.sideport.streaming import Pieces

if TYPE_CHECKING:
    from prometheus_client.core import Metric

SAMPLES_AT_ONCE = 100
"""Of one piece of an answer, which is made in one go: a millisecond or so."""

_OPENMETRICS = "application/openmetrics-text"

_END = b"# EOF\n"
"""Of an answer in OpenMetrics."""

Value: TypeAlias = float | Mapping[Any, float] | Histogram
"""Of a family without labels; by its label, or a tuple of several; or what has none either."""


class Family(NamedTuple):
    """A metric, and what it is now."""

    name: str
    type: str
    """counter, gauge or histogram."""

    help: str
    labels: Sequence[str]
    value: Value


async def load() -> Any:
    """The library, without holding the loop. Raises `ImportError`."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, importlib.import_module, "prometheus_client")


def document(families: Iterable[Family], accept: str) -> Pieces:
    """All families, in the format that the client accepts: OpenMetrics if it names that, else
    Prometheus' own. `load` comes first.

    The library hears no word of the client's: it would fail at some, and say others after it."""
    from prometheus_client.exposition import choose_encoder

    ends = weights(accept).get(_OPENMETRICS, 0.0) > 0
    encode, content_type = choose_encoder(_OPENMETRICS if ends else "")

    def pieces() -> Iterator[bytes]:
        for metric in _process():
            yield encode(_One(metric)).removesuffix(_END)
        for family in families:
            head = b""
            for part in _parts(family):
                text = encode(_One(_metric(part))).removesuffix(_END)
                body = text[len(head) :] if head and text.startswith(head) else text
                head = head or text[: _head_size(text)]
                yield body
        if ends:
            yield _END

    return Pieces(content_type.encode(), pieces())


class _One:
    """A registry with one metric in it."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return (self._metric,)


def _process() -> Iterable[Metric]:
    """What the library itself tells of every process."""
    from prometheus_client import PROCESS_COLLECTOR

    return PROCESS_COLLECTOR.collect()


def _parts(family: Family) -> Iterator[Family]:
    """One with many samples in parts."""
    value = family.value
    if not isinstance(value, Mapping) or len(value) <= SAMPLES_AT_ONCE:
        yield family
        return
    samples = iter(value.items())
    while some := dict(islice(samples, SAMPLES_AT_ONCE)):
        yield family._replace(value=some)


def _head_size(text: bytes) -> int:
    """Of the lines in front of the samples."""
    return text.index(b"\n", text.rindex(b"\n# TYPE") + 1) + 1


def _metric(family: Family) -> Metric:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    value, about = family.value, (family.name, family.help)
    if isinstance(value, Histogram):
        sums = list(accumulate(value.counts))
        bounds = [*map(str, map(float, value.bounds)), "+Inf"]
        return HistogramMetricFamily(*about, list(zip(bounds, sums, strict=True)), value.sum)
    kind = CounterMetricFamily if family.type == "counter" else GaugeMetricFamily
    if not isinstance(value, Mapping):
        return kind(*about, value)
    metric = kind(*about, labels=family.labels)
    for labels, number in value.items():
        metric.add_metric([labels] if isinstance(labels, str) else labels, number)
    return metric
