"""The benchmark's own parts: whether what it counts is what happened; never how fast."""

from __future__ import annotations

import http.client
import json
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bench import load, meter, servers, table
from tests.bench.load import Load
from tests.bench.process import Cores
from tests.bench.servers import AUTHORIZATION, PATH, Vendor
from tests.bench.workloads import FORMATS, ROUTES, WORKLOADS, Row, body

SHORT_S = 0.1


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendor]:
    with servers.vendor(tmp_path_factory.mktemp("bench"), Cores(None, None)) as running:
        yield running


def ask(vendor: Vendor, model: str, stream: bool, events: int | None = None) -> load.Measured:
    asked = json.dumps({"model": model, "stream": stream, "messages": []}).encode()
    request = load.request(PATH, AUTHORIZATION, asked)
    return load.drive(Load(vendor.port, request, 2, events), SHORT_S, 0.0, lambda: 0.0)


def test_whole_answers_are_counted_without_errors(vendor: Vendor) -> None:
    """Every answer in the window has its latency, and nothing failed."""
    measured = ask(vendor, "m-n3", stream=False)
    assert measured.requests > 0
    assert len(measured.latencies_s) == measured.requests
    assert measured.errors == {}


def test_a_paced_stream_brings_every_chunk_and_the_three_other_events(vendor: Vendor) -> None:
    """A stream of n chunks has n + 3 events: role, finish reason and [DONE]."""
    measured = ask(vendor, "m-n5-d1", stream=True, events=8)
    assert measured.requests > 0
    assert measured.errors == {}
    assert measured.firsts_s  # of those whose first chunk came before the measuring there is none


def test_a_stream_with_too_few_events_is_an_error(vendor: Vendor) -> None:
    """A short stream is no answer, however fast it came."""
    measured = ask(vendor, "m-n5", stream=True, events=9)
    assert measured.requests == 0
    assert set(measured.errors) == {"8 events, not 9"}


def test_streams_are_held_open_while_the_probe_looks(vendor: Vendor) -> None:
    """The first chunk comes at once, and the stream waits for its next."""
    asked = body(WORKLOADS[0], ROUTES["bench-open"])
    held = Load(vendor.port, load.request(PATH, AUTHORIZATION, asked), 5)
    assert load.hold(held, 0.0, lambda: "looked") == "looked"


def test_the_vendor_answers_over_tls_with_a_certificate_of_its_authority(vendor: Vendor) -> None:
    """What the gateway is given as `ca` verifies the vendor."""
    context = ssl.create_default_context(cafile=str(vendor.ca))
    client = http.client.HTTPSConnection("localhost", vendor.tls_port, context=context, timeout=5)
    client.request("POST", PATH, b'{"model":"m-n1-b5"}')
    answer = json.loads(client.getresponse().read())
    client.close()
    assert answer["choices"][0]["message"]["content"] == "token"


def test_the_configuration_of_the_gateway_knows_every_route(tmp_path: Path) -> None:
    """A workload asks for a route that exists."""
    config = servers.headgate_config(Vendor(1, 2, 3, tmp_path), FORMATS)
    assert config["routes"].keys() >= {workload.route for workload in WORKLOADS}


def test_a_grown_configuration_has_more_routes_and_keys_and_still_ours(tmp_path: Path) -> None:
    """The key that is asked with comes last, where a search would find it latest."""
    small = servers.headgate_config(Vendor(1, 2, 3, tmp_path), ())
    grown = servers.headgate_config(Vendor(1, 2, 3, tmp_path), (), more=7)
    assert len(grown["routes"]) == len(small["routes"]) + 7
    assert len(grown["keys"]) == 8
    assert grown["keys"][-1] == small["keys"][-1]


def test_this_process_is_seen_by_the_meter() -> None:
    """CPU and memory of a living process are more than nothing."""
    assert meter.cpu_s(os.getpid()) > 0
    assert meter.rss_bytes(os.getpid()) > 2**20


@pytest.mark.parametrize(
    ("clock", "seconds"), [("0:01.50", 1.5), ("1:02:03", 3723.0), ("2-00:00:01", 172801.0)]
)
def test_the_clock_of_ps_is_read(clock: str, seconds: float) -> None:
    """Minutes, hours and days of `ps` become seconds."""
    assert meter.clock_s(clock) == seconds


@pytest.mark.parametrize(("part", "value"), [(0.0, 1), (0.5, 2), (0.75, 3), (0.99, 4), (1.0, 4)])
def test_a_quantile_is_a_value_that_occurred(part: float, value: float) -> None:
    """The smallest that at least so many do not exceed."""
    assert load.quantile([4, 2, 1, 3], part) == value


@pytest.mark.parametrize(
    ("value", "verdict"), [(9.0, "aim"), (14.0, "must"), (16.0, "MISSED"), (None, "FAILED")]
)
def test_a_verdict_compares_with_both_limits(value: float | None, verdict: str) -> None:
    """The better limit that holds is named."""
    row = Row("stream", "cpu_us_per_event", "µs", 15, 10)
    assert table.verdict(row, {"cpu_us_per_event": value}) == verdict


def test_a_problem_is_told_once_with_all_workloads_it_met() -> None:
    """A server that does not start fills one line, not one for every workload."""
    down: dict[str, dict[str, Any]] = {"headgate": {"failed": "no"}, "nginx": {"errors": {}}}
    assert table.problems([{"chat": down, "stream-1": down}]) == [
        "headgate: failed: no [chat, stream-1]"
    ]
