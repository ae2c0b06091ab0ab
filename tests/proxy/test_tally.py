"""Numbers that can be added up."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import tally
from proxy.tally import Metric, Numbers

COUNTED = Metric("counted_total", "Counted.", "counter", ("model", "code"))
TIMED = Metric("timed_seconds", "Timed.", "histogram", ("model",), (1.0, 2.0))


def test_a_value_on_a_bound_belongs_below_it() -> None:
    """Prometheus' buckets are "less than or equal"."""
    histogram = Numbers().histogram(TIMED, ("m",))
    for value in (0.5, 1.0, 1.5, 2.0, 2.5):
        histogram.observe(value)

    assert (histogram.counts, histogram.sum) == ([2, 2, 1], 7.5)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 3)), max_size=30), st.integers(0, 30)
)
def test_two_workers_numbers_add_up_to_those_of_one(
    seen: list[tuple[str, float]], cut: int
) -> None:
    """It makes no difference which worker served which request."""

    def count(part: list[tuple[str, float]]) -> Numbers:
        numbers = Numbers()
        for model, value in part:
            numbers.counter(COUNTED, (model, "")).value += 1
            numbers.histogram(TIMED, (model,)).observe(value)
        return numbers

    merged = count(seen[:cut])
    merged.add(count(seen[cut:]))
    one = count(seen)

    assert merged.counters == one.counters
    for labels, histogram in one.histograms.get("timed_seconds", {}).items():
        other = merged.histograms["timed_seconds"][labels]
        assert other.counts == histogram.counts
        assert other.sum == pytest.approx(histogram.sum)


def test_adding_leaves_the_other_alone() -> None:
    """Later counts of the sum do not run into the worker it came from."""
    other, merged = Numbers(), Numbers()
    other.histogram(TIMED, ("m",)).observe(0.5)
    merged.add(other)
    merged.add(other)

    assert other.histogram(TIMED, ("m",)).counts == [1, 0, 0]
    assert merged.histogram(TIMED, ("m",)).counts == [2, 0, 0]


def test_label_sets_over_the_limit_count_as_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that clients invent cannot fill the memory; how they ended is still told."""
    monkeypatch.setattr(tally, "MAX_LABEL_SETS", 2)
    numbers = Numbers()
    for model in ("a", "b", "c", "d", "a"):
        numbers.counter(COUNTED, (model, "not_found")).value += 1

    assert {k: c.value for k, c in numbers.counters["counted_total"].items()} == {
        ("a", "not_found"): 2,
        ("b", "not_found"): 1,
        ("other", "not_found"): 2,
    }


def test_a_sum_over_workers_is_limited_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that come and go cannot grow it for ever, and no count is lost."""
    monkeypatch.setattr(tally, "MAX_MERGED_SETS", 3)
    merged = Numbers()
    for worker in range(5):
        numbers = Numbers()
        numbers.counter(COUNTED, (f"m{worker}", "")).value += 1
        numbers.histogram(TIMED, (f"m{worker}",)).observe(1)
        merged.add(numbers)

    assert len(merged.counters["counted_total"]) == len(merged.histograms["timed_seconds"]) == 4
    assert sum(c.value for c in merged.counters["counted_total"].values()) == 5
    assert merged.histograms["timed_seconds"][("other",)].counts == [2, 0, 0]


def test_other_buckets_are_not_mixed_in() -> None:
    """A worker of an older release may have counted with other bounds."""
    new, old = Numbers(), Numbers()
    new.histogram(TIMED, ("m",)).observe(1)
    old.histogram(TIMED._replace(bounds=(5.0,)), ("m",)).observe(1)
    new.add(old)

    assert new.histogram(TIMED, ("m",)).counts == [1, 0, 0]


def test_numbers_survive_the_way_to_another_process() -> None:
    """What is decoded is what was encoded, labels as tuples included."""
    numbers = Numbers(gauges={"depth": {("openai",): [3.0]}})
    numbers.counter(COUNTED, ("m", "")).value += 1
    numbers.histogram(TIMED, ("m",)).observe(1)

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(numbers), type=Numbers) == numbers
