"""What is counted, and what a scrape of one or several workers shows."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy import metrics as module
from proxy import tally
from proxy.errors import UpstreamTimeout
from proxy.exchange import Attempt, Exchange
from proxy.metrics import Metrics
from proxy.wire import Usage

ROOT = Path(__file__).parents[2]

WORKER = """
import asyncio, json, sys
from pathlib import Path
from proxy.exchange import Exchange
from proxy.metrics import Metrics

async def scrape(metrics):
    text, _ = await metrics.exposition("")
    print(json.dumps(text.decode()), flush=True)

async def main():
    metrics = Metrics(Path(sys.argv[1]))
    await metrics.start()
    metrics.gauge("headgate_queue_depth", {"provider": "openai"}, lambda: 1)
    while line := await asyncio.to_thread(sys.stdin.readline):
        for _ in range(int(line)):
            metrics.record(Exchange("", "chat", "POST", "/", {}, 0, 0, route="fast"))
        await scrape(metrics)
    await metrics.close()

asyncio.run(main())
"""


def exchange(**changes: Any) -> Exchange:
    made = Exchange(
        "id",
        "chat",
        "POST",
        "/v1/chat/completions",
        {},
        0.0,
        0.0,
        route="fast",
        provider="openai",
        model="gpt-4o-mini",
        usage=Usage(100, 20, 30, 4),
        pre_s=0.00002,
        translate_s=0.00001,
        receive_s=0.0002,
        first_token_s=0.3,
        finished_s=0.8,
        attempts=[
            Attempt("openai", "gpt-4o-mini", result="ok", queued_s=0.002, upstream_s=0.79778)
        ],
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def samples(text: str, name: str) -> dict[tuple[str, ...], float]:
    """Return one metric's samples by the values of their labels, in the table's order."""
    [labels] = [metric.labels for metric in module.TABLE if name.startswith(metric.name)]
    return {
        tuple(s.labels[label] for label in labels): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
        if s.name == name
    }


async def scrape(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    text, _ = await metrics.exposition("")
    return samples(text.decode(), name)


async def until(happened: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await happened():
            await asyncio.sleep(0.005)


async def test_an_exchange_is_counted_in_every_metric() -> None:
    """One call at its end fills the whole table of the contract."""
    metrics = Metrics()
    metrics.record(exchange())
    text = (await metrics.exposition(""))[0].decode()

    assert samples(text, "headgate_requests_total") == {
        ("fast", "openai", "gpt-4o-mini", "ok", ""): 1
    }
    assert samples(text, "headgate_attempts_total") == {("openai", "ok"): 1}
    assert samples(text, "headgate_tokens_total") == {
        ("openai", "gpt-4o-mini", "input"): 100,
        ("openai", "gpt-4o-mini", "cached"): 20,
        ("openai", "gpt-4o-mini", "output"): 30,
        ("openai", "gpt-4o-mini", "reasoning"): 4,
    }
    assert samples(text, "headgate_request_seconds_sum") == {("fast",): 0.8}
    assert samples(text, "headgate_first_token_seconds_sum") == {("openai", "gpt-4o-mini"): 0.3}
    assert samples(text, "headgate_overhead_seconds_sum") == {
        (): pytest.approx(0.00003)
    }  # 0.8 less body, queue and vendor
    assert samples(text, "headgate_queue_wait_seconds_sum") == {("openai",): 0.002}


async def test_a_failure_is_counted_under_its_code() -> None:
    """Each attempt counts for its provider, the exchange once; no token came, none is timed."""
    metrics = Metrics()
    attempts = [
        Attempt("openai", "gpt-4o-mini", result="upstream_error"),
        Attempt("claude", "haiku", result="upstream_timeout"),
    ]
    metrics.record(
        exchange(
            provider="claude",
            model="haiku",
            outcome="error",
            error=UpstreamTimeout("idle", 1),
            attempts=attempts,
            usage=None,
            first_token_s=0.0,
        )
    )
    text = (await metrics.exposition(""))[0].decode()

    assert samples(text, "headgate_requests_total") == {
        ("fast", "claude", "haiku", "error", "upstream_timeout"): 1
    }
    assert samples(text, "headgate_attempts_total") == {
        ("openai", "upstream_error"): 1,
        ("claude", "upstream_timeout"): 1,
    }
    assert samples(text, "headgate_first_token_seconds_count") == {}
    assert samples(text, "headgate_tokens_total") == {}


async def test_a_request_that_reached_no_route_has_empty_labels() -> None:
    """It is counted all the same."""
    metrics = Metrics()
    metrics.record(Exchange("", "chat", "POST", "/", {}, 0, 0, outcome="error"))

    assert await scrape(metrics, "headgate_requests_total") == {("", "", "", "error", ""): 1}


async def test_models_that_clients_invent_fold_into_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The number of series is limited, and every exchange is counted."""
    monkeypatch.setattr(module, "MAX_LABEL_SETS", 3)
    monkeypatch.setattr(tally, "MAX_LABEL_SETS", 3)
    metrics = Metrics()
    for number in range(10):
        metrics.record(exchange(model=f"m{number}"))
    found = await scrape(metrics, "headgate_requests_total")

    assert found["other", "other", "other", "ok", ""] == 7
    assert sum(found.values()) == 10
    assert len(metrics._rows) == 3


@pytest.mark.parametrize("model", ["x" * 100_000, "a\nb", "\udcff", "\x00"])
async def test_a_name_that_would_break_the_scrape_is_other(model: str) -> None:
    """One client's odd model name must not hide all numbers from the operator."""
    metrics = Metrics()
    metrics.record(exchange(model=model))
    metrics.record(exchange(model=model))

    assert await scrape(metrics, "headgate_requests_total") == {
        ("fast", "openai", "other", "ok", ""): 2
    }


async def test_a_gauge_is_read_when_somebody_asks() -> None:
    """Its value is that of the moment; a new reader takes an old one's place."""
    metrics = Metrics()
    depth = [3]
    forget = metrics.gauge("headgate_queue_depth", {"provider": "openai"}, lambda: depth[0])
    assert await scrape(metrics, "headgate_queue_depth") == {("openai",): 3}
    depth[0] = 4
    assert await scrape(metrics, "headgate_queue_depth") == {("openai",): 4}

    metrics.gauge("headgate_queue_depth", {"provider": "openai"}, lambda: 9)
    forget()

    assert await scrape(metrics, "headgate_queue_depth") == {("openai",): 9}


async def test_a_gauge_that_is_gone_is_not_shown() -> None:
    """A provider taken out of the configuration leaves no line behind."""
    metrics = Metrics()
    metrics.gauge("headgate_config_version", {"version": "abc"}, lambda: 1)()

    assert await scrape(metrics, "headgate_config_version") == {}


@pytest.mark.parametrize(
    ("name", "labels"), [("headgate_nothing", {}), ("headgate_queue_depth", {"queue": "x"})]
)
def test_an_unknown_gauge_is_refused(name: str, labels: dict[str, str]) -> None:
    """A misspelt name is found at the start."""
    with pytest.raises(ValueError, match=name):
        Metrics().gauge(name, labels, lambda: 0)


async def test_the_loops_lag_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """From `start` to `close`, and no task is left behind."""
    monkeypatch.setattr(module, "LAG_S", 0.001)
    metrics = Metrics()
    await metrics.start()

    async def measured() -> bool:
        return bool(await scrape(metrics, "headgate_loop_lag_seconds_count"))

    await until(measured)
    await metrics.close()

    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_full_disk_costs_a_warning_and_no_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others see old numbers until there is room again; it is said once."""
    monkeypatch.setattr(module, "PUBLISH_S", 0.001)
    warnings: list[str] = []
    monkeypatch.setattr(module.log, "warning", lambda event, **_: warnings.append(event), False)
    metrics, other = Metrics(tmp_path), Metrics(tmp_path)
    failures, write = [0], module.Siblings.write

    def fail(place: module.Siblings, numbers: bytes) -> None:
        if place is metrics._siblings and failures[0] < 3:
            failures[0] += 1
            raise OSError(28, "No space left on device")
        write(place, numbers)

    async def seen_by_the_other() -> bool:
        return bool(await scrape(other, "headgate_requests_total"))

    monkeypatch.setattr(module.Siblings, "write", fail)
    await metrics.start()
    await other.start()
    metrics.record(exchange())
    await until(seen_by_the_other)
    await metrics.close()
    await other.close()

    assert failures == [3]
    assert warnings == ["cannot share metrics with the other workers"]


@contextmanager
def worker(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a worker process that counts as many requests as a line says, then scrapes."""
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def ask(process: subprocess.Popen[str], count: int) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{count}\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def requests(text: str) -> float:
    return sum(samples(text, "headgate_requests_total").values())


def test_any_worker_answers_for_all(tmp_path: Path) -> None:
    """Counters add up over processes, and so do the gauges of those that live."""
    with worker(tmp_path) as first, worker(tmp_path) as second:
        assert requests(ask(first, 3)) == 3
        text = ask(second, 4)

        assert requests(text) == 7
        assert sum(samples(text, "headgate_request_seconds_count").values()) == 7
        assert samples(text, "headgate_queue_depth") == {("openai",): 2}
        assert requests(ask(first, 0)) == 7


def test_a_killed_worker_keeps_what_a_scrape_has_shown(tmp_path: Path) -> None:
    """A counter that falls would look like a restart; its gauges end with it."""
    with worker(tmp_path) as first, worker(tmp_path) as second:
        ask(first, 3)
        assert requests(ask(second, 4)) == 7
        os.kill(second.pid, signal.SIGKILL)
        second.wait()
        text = ask(first, 1)

        assert requests(text) == 8
        assert samples(text, "headgate_queue_depth") == {("openai",): 1}

        with worker(tmp_path) as third:
            assert requests(ask(third, 2)) == 10


def test_a_worker_that_ends_leaves_its_numbers(tmp_path: Path) -> None:
    """What was counted in the last moment is written on the way out."""
    with worker(tmp_path) as first, worker(tmp_path) as second:
        ask(first, 0)
        ask(second, 5)
        assert second.stdin is not None
        second.stdin.close()
        second.wait()

        assert requests(ask(first, 0)) == 5


async def test_a_family_of_gauges_is_read_when_somebody_asks() -> None:
    """Models appear at run time; the last reading is the whole truth."""
    metrics = Metrics()
    states = {("openai", "a"): 2.0}
    metrics.gauges("headgate_circuit_state", lambda: list(states.items()))
    assert await scrape(metrics, "headgate_circuit_state") == {("openai", "a"): 2.0}
    states.clear()
    states["openai", "b"] = 1.0
    assert await scrape(metrics, "headgate_circuit_state") == {("openai", "b"): 1.0}


async def test_a_family_of_gauges_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What clients invent folds into other, and shows the worst of it."""
    monkeypatch.setattr(tally, "MAX_LABEL_SETS", 2)
    metrics = Metrics()
    states = [(("openai", f"m{n}"), float(n % 3)) for n in range(9)]
    metrics.gauges("headgate_circuit_state", lambda: states)
    found = await scrape(metrics, "headgate_circuit_state")
    assert found == {("openai", "m0"): 0.0, ("openai", "m1"): 1.0, ("other", "other"): 2.0}


def test_an_unknown_family_is_refused() -> None:
    """A slip would otherwise be a metric that never comes."""
    with pytest.raises(ValueError, match="no gauge"):
        Metrics().gauges("headgate_circuits", list)


async def test_states_of_several_workers_merge_by_the_worst(tmp_path: Path) -> None:
    """A sum of states would be none."""
    one, two = Metrics(tmp_path), Metrics(tmp_path)
    labels = ("openai", "a")
    for metrics, state, limit in ((one, 2.0, 3.0), (two, 0.0, 4.0)):
        metrics.gauges("headgate_circuit_state", lambda s=state: [(labels, s)])
        metrics.gauges("headgate_concurrency_limit", lambda it=limit: [(labels, it)])
        await metrics.start()
    await two.exposition("")
    assert await scrape(one, "headgate_circuit_state") == {("openai", "a"): 2.0}
    assert await scrape(one, "headgate_concurrency_limit") == {("openai", "a"): 7.0}
    for metrics in (one, two):
        await metrics.close()
