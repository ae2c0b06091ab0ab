"""Counted things as plain numbers that can be added up.

The metrics library takes a lock and builds label tuples for every number; with a dozen
numbers an exchange that is dear. Here a number is a struct with two or three members,
found once and kept by whoever counts. The structs are also the form in which one worker
tells the others what it has counted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, TypeVar

import msgspec

MAX_LABEL_SETS = 2_000
"""Label sets a metric may have in one process; further ones are counted under "other"."""

MAX_MERGED_SETS = 10_000
"""Label sets a metric may have over all workers, the ended ones included."""

OTHER = "other"

Labels = tuple[str, ...]
"""Values of a metric's labels, in the order of its label names."""

_OPEN = frozenset({"route", "provider", "model"})
"""Labels whose values nobody limits; the others come from lists in the code."""

T = TypeVar("T")


class Metric(NamedTuple):
    """What a number means.

    Attributes:
        labels: the names of its labels.
        bounds: upper bounds of a histogram's buckets, without infinity.
        merge: how a gauge of several workers becomes one.
    """

    name: str
    help: str
    kind: Literal["counter", "histogram", "gauge"]
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    merge: Callable[[Iterable[float]], float] = sum


class Counter(msgspec.Struct, array_like=True):
    """A number that only grows."""

    value: float = 0


class Histogram(msgspec.Struct, array_like=True):
    """How often a value fell between two bounds.

    Attributes:
        counts: one a bucket, each for itself; the last is for what is over all bounds.
        sum: of all values seen.
    """

    bounds: tuple[float, ...]
    counts: list[int]
    sum: float = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Numbers(msgspec.Struct):
    """All that one or several workers have counted, by metric's name and labels."""

    counters: dict[str, dict[Labels, Counter]] = {}
    histograms: dict[str, dict[Labels, Histogram]] = {}
    gauges: dict[str, dict[Labels, list[float]]] = {}

    def counter(self, metric: Metric, labels: Labels = ()) -> Counter:
        """Find or make a counter; over the limit it is the one for "other"."""
        cells = self.counters.setdefault(metric.name, {})
        labels = fold(metric, labels, cells)
        return cells.get(labels) or cells.setdefault(labels, Counter())

    def histogram(self, metric: Metric, labels: Labels = ()) -> Histogram:
        """Find or make a histogram; over the limit it is the one for "other"."""
        cells = self.histograms.setdefault(metric.name, {})
        labels = fold(metric, labels, cells)
        if (cell := cells.get(labels)) is None:
            bounds = metric.bounds
            cell = cells[labels] = Histogram(bounds, [0] * (len(bounds) + 1))
        return cell

    def add(self, other: Numbers) -> None:
        """Add what another worker counted; its gauges are put beside ours."""
        for name, counters in other.counters.items():
            mine = self.counters.setdefault(name, {})
            for labels, counter in counters.items():
                mine.setdefault(_room(labels, mine), Counter()).value += counter.value
        for name, histograms in other.histograms.items():
            _add_histograms(self.histograms.setdefault(name, {}), histograms)
        for name, gauges in other.gauges.items():
            ours = self.gauges.setdefault(name, {})
            for labels, values in gauges.items():
                ours.setdefault(labels, []).extend(values)


def fold(metric: Metric, labels: Labels, known: dict[Labels, T]) -> Labels:
    """Return `labels`, or those of "other" once `metric` has as many sets as it may."""
    if labels in known or len(known) < MAX_LABEL_SETS:
        return labels
    pairs = zip(metric.labels, labels, strict=True)
    return tuple(OTHER if name in _OPEN else value for name, value in pairs)


def _room(labels: Labels, known: dict[Labels, T]) -> Labels:
    fits = labels in known or len(known) < MAX_MERGED_SETS
    return labels if fits else (OTHER,) * len(labels)


def _add_histograms(mine: dict[Labels, Histogram], other: dict[Labels, Histogram]) -> None:
    for wanted, theirs in other.items():
        labels = _room(wanted, mine)
        ours = mine.get(labels)
        if ours is None:
            mine[labels] = Histogram(theirs.bounds, theirs.counts[:], theirs.sum)
        elif ours.bounds == theirs.bounds:  # else an older release with other buckets wrote it
            ours.counts = [a + b for a, b in zip(ours.counts, theirs.counts, strict=True)]
            ours.sum += theirs.sum
