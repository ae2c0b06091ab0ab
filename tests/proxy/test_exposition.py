"""Numbers as Prometheus' text."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy import exposition
from proxy.tally import Metric, Numbers

COUNTED = Metric("counted_total", "Counted.", "counter", ("model",))
TIMED = Metric("timed_seconds", "Timed.", "histogram", ("model",), (0.5, 1))
DEPTH = Metric("depth", "Depth.", "gauge")
STARTED = Metric("started", "Started.", "gauge", merge=min)
TABLE = (COUNTED, TIMED, DEPTH, STARTED)


def numbers() -> Numbers:
    made = Numbers(gauges={"depth": {(): [1.0, 2.0]}, "started": {(): [7.0, 5.0]}})
    made.counter(COUNTED, ('a "quoted"\nname',)).value += 2
    for value in (0.1, 0.7, 3):
        made.histogram(TIMED, ("m",)).observe(value)
    return made


def test_a_scraper_reads_what_was_counted() -> None:
    """Counters, cumulative buckets, merged gauges, and labels with anything in them."""
    text, _ = exposition.render(numbers(), TABLE, "")
    read = {
        (s.name, *sorted(s.labels.values())): s.value
        for family in text_string_to_metric_families(text.decode())
        for s in family.samples
    }

    assert read == {
        ("counted_total", 'a "quoted"\nname'): 2,
        ("timed_seconds_bucket", "0.5", "m"): 1,
        ("timed_seconds_bucket", "1.0", "m"): 2,
        ("timed_seconds_bucket", "+Inf", "m"): 3,
        ("timed_seconds_count", "m"): 3,
        ("timed_seconds_sum", "m"): pytest.approx(3.8),
        ("depth",): 3,
        ("started",): 5,
    }


def test_what_nobody_counted_is_named_but_has_no_samples() -> None:
    """A dashboard finds the metric; a series at zero for each label would be noise."""
    made = Numbers()
    made.counter(COUNTED, ("m",))
    made.histogram(TIMED, ("m",))
    text, _ = exposition.render(made, TABLE, "")

    assert b"# TYPE counted_total counter" in text
    assert b'model="m"' not in text


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4"),
        ("*/*", "text/plain; version=0.0.4"),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics"),
        ("application/openmetrics-text; version=nonsense", "application/openmetrics"),
        ("text/plain; version=1.0.0; escaping=nonsense", "text/plain; version=0.0.4"),
        ("\x00;;;=,", "text/plain; version=0.0.4"),
    ],
)
def test_the_reader_chooses_the_text(accept: str, content_type: str) -> None:
    """What Prometheus asks for it gets; nonsense breaks nothing."""
    text, given = exposition.render(numbers(), TABLE, accept)

    assert given.startswith(content_type)
    assert text.endswith(b"# EOF\n") == given.startswith("application/openmetrics")


def test_a_process_knows_its_memory() -> None:
    """Where the system tells it (`/proc`), the numbers are this process's."""
    found = exposition.process()

    assert not found or found["process_resident_memory_bytes"] > 1_000_000
