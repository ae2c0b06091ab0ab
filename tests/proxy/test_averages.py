"""Averages that choose among deployments."""

from __future__ import annotations

import math
import random
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.averages import Ewma, PeakEwma, Quantile

TIMES = st.floats(0.001, 3600)


def test_a_peak_is_taken_over_at_once() -> None:
    """The next call already goes elsewhere."""
    average = PeakEwma()
    assert average.value(5.0) == 0
    average.observe(5.0, 0.2)
    average.observe(5.0, 3.0)
    assert average.value(5.0) == 3.0


def test_a_peak_is_forgotten_by_a_time_constant() -> None:
    """Towards what is seen since, and towards nothing where nothing is."""
    average = PeakEwma(10.0)
    average.observe(0.0, 3.0)
    assert average.value(10.0) == pytest.approx(3.0 / math.e)
    assert average.value(1000.0) == pytest.approx(0.0)
    average.observe(10.0, 1.0)
    assert average.value(10.0) == pytest.approx(1.0 + 2.0 / math.e)
    for now in range(11, 200):
        average.observe(float(now), 1.0)
    assert average.value(199.0) == pytest.approx(1.0)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1000)), min_size=1, max_size=50))
def test_an_average_of_peaks_is_never_below_the_last_value_nor_above_all(
    seen: list[tuple[float, float]],
) -> None:
    """And it falls while nothing is seen."""
    average, now = PeakEwma(), 0.0
    for pause_s, value in seen:
        now += pause_s
        average.observe(now, value)
        highest = max(value for _, value in seen)
        assert value * (1 - 1e-9) - 1e-9 <= average.value(now) <= highest * (1 + 1e-9) + 1e-9
        assert average.value(now + 1) <= average.value(now)


def test_what_was_last_known_of_a_peak_is_not_forgotten() -> None:
    """It is what a call is judged by that has not come back yet."""
    average = PeakEwma(10.0)
    assert average.last == 0
    average.observe(0.0, 3.0)
    assert average.value(1000.0) < 0.001
    assert average.last == 3.0


def test_a_plain_average_starts_with_the_first_value() -> None:
    """Each later one counts by its weight."""
    average = Ewma(0.25)
    seen = [average.value()]
    for value in (8.0, 0.0, 0.0, 8.0):
        average.observe(value)
        seen.append(average.value())
    assert seen == [0.0, 8.0, 6.0, 4.5, 5.375]


@settings(deadline=None)
@given(st.floats(0.01, 1), st.lists(st.floats(0, 1e6), min_size=1))
def test_a_plain_average_is_between_what_was_seen(weight: float, values: list[float]) -> None:
    """Never lower than the lowest, nor higher than the highest."""
    average = Ewma(weight)
    for value in values:
        average.observe(value)
    assert min(values) * (1 - 1e-9) - 1e-9 <= average.value() <= max(values) * (1 + 1e-9) + 1e-9


def exact(values: list[float], share: float) -> float:
    return sorted(values)[math.ceil(share * len(values)) - 1]


def test_a_quantile_of_few_values_is_unknown() -> None:
    """Twenty are the least."""
    quantile = Quantile()
    for _ in range(19):
        quantile.observe(1.0)
    assert quantile.value() is None
    quantile.observe(1.0)
    assert quantile.value() == pytest.approx(1.0, rel=0.05)


@settings(deadline=None)
@given(st.lists(TIMES, min_size=20, max_size=300), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_is_at_most_a_twentieth_wrong(values: list[float], share: float) -> None:
    """At every moment, whatever the order of the values."""
    quantile = Quantile(share)
    for number, value in enumerate(values, 1):
        quantile.observe(value)
        if number >= 20:
            assert quantile.value() == pytest.approx(exact(values[:number], share), rel=0.05)


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.5])
def test_a_quantile_is_that_of_the_last_calls(sigma: float) -> None:
    """Of 256 to 511 of them, whatever came before."""
    chance, quantile, values = random.Random(2), Quantile(), list[float]()
    for number in range(1, 3000):
        values.append(0.3 * math.exp(chance.gauss(0, sigma)) * (10 if number < 2500 else 1))
        quantile.observe(values[-1])
        kept = number if number < 512 else 256 + number % 256
        if number >= 20:
            assert quantile.value() == pytest.approx(exact(values[-kept:], 0.95), rel=0.05)


@pytest.mark.parametrize("value", [0.0, -1.0, 1e-9, 4096.0, 1e9, math.inf])
def test_values_beyond_all_bounds_count_as_the_nearest(value: float) -> None:
    """A millisecond or an hour."""
    quantile = Quantile()
    for _ in range(600):
        quantile.observe(value)
    known = quantile.value()
    assert known is not None
    assert known < 0.0011 if value < 1 else known > 3600


def test_a_quantile_is_small() -> None:
    """There is one for each deployment."""
    quantile = Quantile()
    for number in range(10_000):
        quantile.observe(number / 100)
    parts = [quantile, *(getattr(quantile, name) for name in Quantile.__slots__)]
    assert sum(sys.getsizeof(part) for part in parts) < 2500
