"""Numbers as the text that Prometheus reads.

Only the library's public collector interface is used; which text it is (classic or
OpenMetrics) is the reader's choice.

Source: https://prometheus.github.io/client_python/collector/custom/ (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from proxy.tally import Histogram, Metric, Numbers

_OPEN_METRICS = "application/openmetrics-text"

_PROCESS = ProcessCollector(registry=None)


def render(numbers: Numbers, table: Iterable[Metric], accept: str) -> tuple[bytes, str]:
    """Return the text and its content type for an `accept` header; takes milliseconds."""
    registry = CollectorRegistry()
    registry.register(_Numbers(numbers, table))
    # The header itself is not passed on: the library breaks on a version that is no number.
    encode, content_type = choose_encoder(_OPEN_METRICS if _OPEN_METRICS in accept else "")
    return encode(registry), content_type


def process() -> dict[str, float]:
    """Return this process's memory, CPU time and descriptors; empty without `/proc`."""
    return {s.name: s.value for family in _PROCESS.collect() for s in family.samples}


class _Numbers(Collector):
    def __init__(self, numbers: Numbers, table: Iterable[Metric]) -> None:
        self._numbers = numbers
        self._table = table

    def collect(self) -> Iterator[Family]:
        """Return one family a metric, those that nobody counted yet included."""
        for metric in self._table:
            yield _FAMILIES[metric.kind](metric, self._numbers)

    def describe(self) -> Iterator[Family]:
        """Return nothing: the registry holds no other collector to collide with."""
        return iter(())


def _counter(metric: Metric, numbers: Numbers) -> Family:
    family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, counter in numbers.counters.get(metric.name, {}).items():
        if counter.value:
            family.add_metric(labels, counter.value)
    return family


def _histogram(metric: Metric, numbers: Numbers) -> Family:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, histogram in numbers.histograms.get(metric.name, {}).items():
        if any(histogram.counts):
            family.add_metric(labels, list(_buckets(histogram)), histogram.sum)
    return family


def _gauge(metric: Metric, numbers: Numbers) -> Family:
    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, values in numbers.gauges.get(metric.name, {}).items():
        family.add_metric(labels, metric.merge(values))
    return family


def _buckets(histogram: Histogram) -> Iterator[tuple[str, float]]:
    """Turn counts of each bucket into counts of "at most this much"."""
    total = 0
    names = (*map(str, map(float, histogram.bounds)), "+Inf")
    for name, count in zip(names, histogram.counts, strict=True):
        total += count
        yield name, total


_FAMILIES = {"counter": _counter, "histogram": _histogram, "gauge": _gauge}
