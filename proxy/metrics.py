"""What an operator's Prometheus reads: every number this gateway counts.

Counting happens once an exchange and costs about a microsecond, because everything it
touches was looked up before: a row for the exchange's labels holds the very numbers that
grow. Gauges are not kept at all but read when somebody asks.

The numbers are right over several workers (`proxy.siblings`): what a scrape has shown is
never taken back, and a worker that is killed loses what it counted in its last half second.

`prometheus_async.aio.web.server_stats` cannot serve this: it knows only the library's
global registry, which would mix all gateways of a process in one, and it renders on the
event loop. Its `aio.time` measures the scrapes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import msgspec
import structlog
from prometheus_async import aio

from proxy import exposition, tasks
from proxy.exchange import Exchange
from proxy.siblings import Siblings
from proxy.tally import (
    MAX_LABEL_SETS,
    OTHER,
    Counter,
    Histogram,
    Labels,
    Metric,
    Numbers,
    fold,
)

log = structlog.get_logger()

PUBLISH_S = 0.5
"""How often a worker tells the others what it counted, in seconds."""

LAG_S = 0.1
"""How often the event loop's lag is measured, in seconds."""

_LONGEST_LABEL = 200

_REQUEST_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
_WAIT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_OWN_S = (2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.5)

_MODEL = ("provider", "model")
_PROVIDER = ("provider",)

REQUESTS = Metric(
    "headgate_requests_total",
    "Client requests, by how they ended.",
    "counter",
    ("route", "provider", "model", "outcome", "code"),
)
ATTEMPTS = Metric(
    "headgate_attempts_total",
    "Calls of a provider; the result is ok or the error's code.",
    "counter",
    ("provider", "result"),
)
TOKENS = Metric(
    "headgate_tokens_total",
    "Tokens; cached is a part of input, reasoning a part of output.",
    "counter",
    (*_MODEL, "kind"),
)
REQUEST = Metric(
    "headgate_request_seconds",
    "Time from arrival to the last byte.",
    "histogram",
    ("route",),
    _REQUEST_S,
)
FIRST_TOKEN = Metric(
    "headgate_first_token_seconds",
    "Time from arrival to the first content.",
    "histogram",
    _MODEL,
    _REQUEST_S,
)
OVERHEAD = Metric("headgate_overhead_seconds", "The gateway's own time.", "histogram", (), _OWN_S)
QUEUE_WAIT = Metric(
    "headgate_queue_wait_seconds", "Waiting for a worker.", "histogram", _PROVIDER, _WAIT_S
)
# A histogram, because the lags of several workers can be added only as counts.
LAG = Metric("headgate_loop_lag_seconds", "How late a timer woke up.", "histogram", (), _WAIT_S)
SCRAPE = Metric("headgate_scrape_seconds", "Time a scrape took.", "histogram", (), _WAIT_S)
CPU = Metric("process_cpu_seconds_total", "CPU time of all workers.", "counter")
GAUGES = (
    Metric("headgate_queue_depth", "Calls that wait for a worker.", "gauge", _PROVIDER),
    Metric("headgate_workers_busy", "Calls in flight.", "gauge", _PROVIDER),
    Metric("headgate_config_version", "Workers that run this version.", "gauge", ("version",)),
    Metric("headgate_circuit_state", "0 closed, 1 half open, 2 open.", "gauge", _MODEL, merge=max),
    Metric(
        "headgate_drained", "1 where an operator wants no new calls.", "gauge", _MODEL, merge=max
    ),
    Metric(
        "headgate_quota_usage_ratio",
        "Share of a credential's known limit by the minute that is used.",
        "gauge",
        ("provider", "credential", "kind"),
        merge=max,
    ),
    Metric(
        "headgate_concurrency_limit",
        "Calls that may be in flight with a credential, where that moves.",
        "gauge",
        ("provider", "credential"),
    ),
    Metric(
        "headgate_shared_state_up",
        "Whether all workers reach the shared state.",
        "gauge",
        merge=min,
    ),
)
PROCESS = (
    Metric("process_resident_memory_bytes", "Resident memory of all workers.", "gauge"),
    Metric("process_virtual_memory_bytes", "Virtual memory of all workers.", "gauge"),
    Metric("process_open_fds", "Open file descriptors of all workers.", "gauge"),
    Metric("process_max_fds", "File descriptors all workers may open.", "gauge"),
    Metric("process_start_time_seconds", "Start of the oldest worker.", "gauge", merge=min),
)
TABLE = (
    *(REQUESTS, ATTEMPTS, TOKENS),
    *(REQUEST, FIRST_TOKEN, OVERHEAD, QUEUE_WAIT, LAG, SCRAPE),
    *GAUGES,
    CPU,
    *PROCESS,
)

_GAUGES = {metric.name: metric for metric in GAUGES}
_ENCODE = msgspec.msgpack.Encoder().encode
_NUMBERS = msgspec.msgpack.Decoder(Numbers)

Gauges = dict[str, dict[Labels, list[float]]]
Family = Callable[[], Iterable[tuple[Labels, float]]]


class _Row:
    """The numbers that grow with an exchange of these labels."""

    __slots__ = ("cached", "first_token", "input", "output", "reasoning", "request", "requests")

    def __init__(self, numbers: Numbers, labels: Labels) -> None:
        route, provider, model = labels[:3]
        self.requests = numbers.counter(REQUESTS, labels)
        self.request = numbers.histogram(REQUEST, (route,))
        self.first_token = numbers.histogram(FIRST_TOKEN, (provider, model))
        self.input, self.cached, self.output, self.reasoning = (
            numbers.counter(TOKENS, (provider, model, kind))
            for kind in ("input", "cached", "output", "reasoning")
        )


class _Try(NamedTuple):
    """The numbers that grow with an attempt of these labels."""

    attempts: Counter
    wait: Histogram


class Metrics:
    """Counts exchanges, and answers scrapes.

    Args:
        directory: shared by the workers of one gateway; None where there is one worker.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self._numbers = Numbers()
        self._rows: dict[Labels, _Row] = {}
        self._tries: dict[Labels, _Try] = {}
        self._overhead = self._numbers.histogram(OVERHEAD)
        self._lag = self._numbers.histogram(LAG)
        self._scrape = self._numbers.histogram(SCRAPE)
        self._gauges: dict[str, dict[Labels, Callable[[], float]]] = {}
        self._families: dict[str, Family] = {}
        self._siblings = None if directory is None else Siblings(directory)
        self._writing = threading.Lock()
        self._published = b""
        self._silent = False
        self._tasks: list[asyncio.Task[None]] = []

    def record(self, exchange: Exchange) -> None:
        """Count a finished exchange; called once, at its end."""
        error = exchange.error
        labels = (
            exchange.route,
            exchange.provider,
            exchange.model,
            exchange.outcome,
            "" if error is None else error.code,
        )
        row = self._rows.get(labels) or self._row(labels)
        row.requests.value += 1
        row.request.observe(exchange.finished_s)
        self._overhead.observe(exchange.overhead_s)
        if exchange.first_token_s:
            row.first_token.observe(exchange.first_token_s)
        if (usage := exchange.usage) is not None:
            row.input.value += usage.input_tokens
            row.cached.value += usage.cached_tokens
            row.output.value += usage.output_tokens
            row.reasoning.value += usage.reasoning_tokens
        for attempt in exchange.attempts:
            key = (attempt.provider, attempt.result)
            tried = self._tries.get(key) or self._try(key)
            tried.attempts.value += 1
            tried.wait.observe(attempt.queued_s)

    def gauge(
        self, name: str, labels: Mapping[str, str], read: Callable[[], float]
    ) -> Callable[[], None]:
        """Let `read` be called at every scrape, on the event loop.

        A later call with the same name and labels takes its place.

        Returns:
            What to call when there is nothing to read any more.

        Raises:
            ValueError: no such gauge, or it has other labels.
        """
        metric = _GAUGES.get(name)
        if metric is None or set(metric.labels) != set(labels):
            raise ValueError(f"no gauge {name} with the labels {sorted(labels)}")
        key = tuple(labels[label] for label in metric.labels)
        readers = self._gauges.setdefault(name, {})
        readers[key] = read

        def forget() -> None:
            if readers.get(key) is read:
                del readers[key]

        return forget

    def gauges(self, name: str, read: Family) -> None:
        """Let `read` return all label sets of a gauge and their numbers, at every scrape.

        A later call with the same name takes its place. What is over the limit of label sets
        is put together under "other".

        Raises:
            ValueError: no such gauge.
        """
        if name not in _GAUGES:
            raise ValueError(f"no gauge {name}")
        self._families[name] = read

    async def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return the text for an `accept` header, and its content type.

        Raises:
            OSError: the shared directory cannot be used; half the truth would look like
                counters that were reset.
        """
        gauges = self._read_gauges()
        answer: tuple[bytes, str] = await aio.time(
            self._scrape, asyncio.to_thread(self._render, gauges, accept)
        )
        return answer

    async def start(self) -> None:
        """Begin to measure the loop's lag, and to share numbers with the other workers.

        Raises:
            OSError: the shared directory cannot be used.
        """
        self._tasks.append(tasks.spawn(self._measure_lag(), name="loop lag"))
        if self._siblings is not None:
            await asyncio.to_thread(self._siblings.join)
            self._tasks.append(tasks.spawn(self._publish(self._siblings), name="publish metrics"))

    async def close(self) -> None:
        """Stop, and leave the last numbers for the other workers."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._siblings is not None:
            await asyncio.to_thread(self._write_if_changed, self._siblings, {})
            self._siblings.leave()

    def _row(self, labels: Labels) -> _Row:
        """Find an exchange's numbers anew; once there are many rows, each time."""
        clean = tuple(OTHER if _is_odd(label) else label for label in labels)
        row = _Row(self._numbers, clean)
        if clean == labels and len(self._rows) < MAX_LABEL_SETS:
            self._rows[labels] = row
        return row

    def _try(self, key: Labels) -> _Try:
        attempts = self._numbers.counter(ATTEMPTS, key)
        tried = _Try(attempts, self._numbers.histogram(QUEUE_WAIT, key[:1]))
        if len(self._tries) < MAX_LABEL_SETS:
            self._tries[key] = tried
        return tried

    def _read_gauges(self) -> Gauges:
        found: Gauges = {
            name: {labels: [read()] for labels, read in readers.items()}
            for name, readers in self._gauges.items()
        }
        for name, family in self._families.items():
            cells = found.setdefault(name, {})
            for labels, value in family():
                clean = tuple(OTHER if _is_odd(label) else label for label in labels)
                cells.setdefault(fold(_GAUGES[name], clean, cells), []).append(float(value))
        return found

    def _render(self, gauges: Gauges, accept: str) -> tuple[bytes, str]:
        if self._siblings is None:
            numbers = _NUMBERS.decode(self._snapshot(gauges))
        else:
            # First to the disk: were this worker killed now, what the scrape shows would
            # be missing from the next one, and a counter that falls looks like a restart.
            numbers = _NUMBERS.decode(self._write(self._siblings, gauges))
            numbers.add(self._siblings.read())
        return exposition.render(numbers, TABLE, accept)

    def _write(self, siblings: Siblings, gauges: Gauges) -> bytes:
        with self._writing:  # two scrapes at once must not end with the older numbers
            snapshot = self._snapshot(gauges)
            siblings.write(snapshot)
        return snapshot

    def _snapshot(self, gauges: Gauges) -> bytes:
        """Encode the numbers as they are; in a thread, and yet all of one moment.

        The encoder runs no Python, so the event loop cannot count in the middle of it.
        """
        process = exposition.process()
        counters = dict(self._numbers.counters)
        if CPU.name in process:
            counters[CPU.name] = {(): Counter(process[CPU.name])}
        for metric in PROCESS:
            if metric.name in process:
                gauges[metric.name] = {(): [process[metric.name]]}
        return _ENCODE(Numbers(counters, self._numbers.histograms, gauges))

    async def _publish(self, siblings: Siblings) -> None:
        while True:
            await asyncio.sleep(PUBLISH_S)
            await asyncio.to_thread(self._write_if_changed, siblings, self._read_gauges())

    def _write_if_changed(self, siblings: Siblings, gauges: Gauges) -> None:
        """Write the numbers, unless no request came and no gauge moved."""
        counted = _ENCODE((self._numbers.counters, gauges))
        if counted == self._published:
            return
        try:
            self._write(siblings, gauges)
        except OSError as error:
            if not self._silent:
                log.warning("cannot share metrics with the other workers", reason=str(error))
            self._silent = True
            return
        self._published, self._silent = counted, False

    async def _measure_lag(self) -> None:
        while True:
            before = perf_counter()
            await asyncio.sleep(LAG_S)
            self._lag.observe(max(0.0, perf_counter() - before - LAG_S))


def _is_odd(label: str) -> bool:
    """Whether a text of a client's making would bloat or break what is scraped."""
    return len(label) > _LONGEST_LABEL or not label.isprintable()
