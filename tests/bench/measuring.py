"""Does a workload to servers and says what it cost, in plain numbers for `bench.json`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from . import load, meter, wrk
from .load import Load, Measured
from .process import ServerFailed
from .servers import Bench, Factory, Server
from .workloads import Workload

Result = dict[str, Any]
"""Numbers by name; or one `failed` with the reason, or one `skipped`."""

LATENCY_ROUNDS = 4
"""So often the servers take turns within one measurement of latency."""

SETTLE_S = 0.3
"""A server's rest after its first answer, before its idle memory is read."""

FAILURES = (OSError, RuntimeError, ServerFailed)


class Effort(NamedTuple):
    """How long and how much."""

    seconds: float
    warmup_s: float
    streams: int
    """How many are opened at once."""
    hold_s: float
    """How long they stay open before memory is read."""
    starts: int
    """The best of so many starts counts."""


FULL = Effort(5, 1.5, 5000, 12, 3)
QUICK = Effort(1, 0.5, 500, 2, 1)


def cost(server: Server, workload: Workload, effort: Effort) -> Result:
    """CPU per request and per event, rate and latency under load."""
    return _failing(lambda: _numbers(_loaded(server, workload, effort), server))


def latency(servers: Sequence[Server], workload: Workload, effort: Effort) -> dict[str, Result]:
    """Quantiles through each server, and what is added to those of the direct way.

    Of streams the time until the first chunk counts.
    """
    taken: dict[str, list[Measured]] = {server.name: [] for server in servers}
    results: dict[str, Result] = {}
    seconds = effort.seconds / LATENCY_ROUNDS
    for _ in range(LATENCY_ROUNDS):
        for server in servers:
            if server.name in results:
                continue
            try:
                taken[server.name].append(_own_load(server, workload, seconds, 0.2))
            except FAILURES as error:
                results[server.name] = {"failed": str(error)}
    for name, rounds in taken.items():
        results.setdefault(name, _quantiles(rounds, workload.stream))
    _subtract_direct(results)
    return results


def fresh(bench: Bench, factory: Factory, workload: Workload, effort: Effort) -> Result:
    """Start, idle memory and memory per open stream of processes of their own."""

    def take() -> Result:
        starts_s = []
        for _ in range(effort.starts - 1):
            with factory(bench) as server:
                starts_s.append(server.start_s)
        with factory(bench) as server:
            starts_s.append(server.start_s)
            time.sleep(SETTLE_S)
            memory = _memory(server, workload, effort)
        return {"start_s": min(starts_s), "starts_s": starts_s, **memory}

    return _failing(take)


def grown(bench: Bench, factory: Factory, workload: Workload, effort: Effort) -> Result:
    """`cost` of a server started for it alone."""

    def take() -> Result:
        with factory(bench) as server:
            return cost(server, workload, effort)

    return _failing(take)


def _memory(server: Server, workload: Workload, effort: Effort) -> Result:
    idle_bytes, pss_bytes = meter.rss_bytes(server.pid), meter.pss_bytes(server.pid)
    result: Result = {
        "idle_mib": idle_bytes / 2**20,
        "idle_pss_mib": None if pss_bytes is None else pss_bytes / 2**20,
        "streams": effort.streams,
        "errors": {},
    }
    streams = Load(server.port_for(workload), server.request_for(workload), effort.streams)
    try:
        open_bytes = load.hold(streams, effort.hold_s, lambda: meter.rss_bytes(server.pid))
    except FAILURES as error:
        result["errors"] = {str(error) or "some stream brought no event": 1}
    else:
        result["open_mib"] = open_bytes / 2**20
        result["kib_per_stream"] = (open_bytes - idle_bytes) / effort.streams / 1024
    return result


def _loaded(server: Server, workload: Workload, effort: Effort) -> Measured:
    if workload.stream or wrk.WRK is None:
        return _own_load(server, workload, effort.seconds, effort.warmup_s)
    return wrk.drive(
        f"http://127.0.0.1:{server.port_for(workload)}{server.path}",
        server.headers,
        server.body_for(workload),
        workload.connections,
        seconds=effort.seconds,
        warmup_s=effort.warmup_s,
        probe=lambda: meter.cpu_s(server.pid),
    )


def _own_load(server: Server, workload: Workload, seconds: float, warmup_s: float) -> Measured:
    what = Load(
        server.port_for(workload),
        server.request_for(workload),
        workload.connections,
        workload.events,
    )
    return load.drive(what, seconds, warmup_s, lambda: meter.cpu_s(server.pid))


def _numbers(measured: Measured, server: Server) -> Result:
    requests, events = measured.requests, measured.events
    if not requests and not events:
        raise RuntimeError(f"no answer: {measured.errors or 'none came in time'}")
    return {
        "requests": requests,
        "events": events,
        "errors": measured.errors,
        "seconds": measured.seconds,
        "requests_per_s": requests / measured.seconds,
        "events_per_s": events / measured.seconds,
        "cpu_s": measured.cost,
        "cpu_us_per_request": measured.cost / requests * 1e6 if requests else None,
        "cpu_us_per_event": measured.cost / events * 1e6 if events else None,
        "core_share": measured.cost / measured.seconds,
        "p50_ms": load.quantile(measured.latencies_s, 0.50) * 1e3,
        "p99_ms": load.quantile(measured.latencies_s, 0.99) * 1e3,
        "first_p50_ms": load.quantile(measured.firsts_s, 0.50) * 1e3,
        "first_p99_ms": load.quantile(measured.firsts_s, 0.99) * 1e3,
        "rss_mib": meter.rss_bytes(server.pid) / 2**20,
        "tool": measured.tool,
    }


def _quantiles(rounds: Sequence[Measured], stream: bool) -> Result:
    """Of all rounds' samples together."""
    errors: Counter[str] = Counter()
    samples_s: list[float] = []
    for measured in rounds:
        errors.update(measured.errors)
        samples_s += measured.firsts_s if stream else measured.latencies_s
    if not samples_s:
        return {"failed": f"no answer: {dict(errors) or 'none came in time'}"}
    return {
        "samples": len(samples_s),
        "errors": dict(errors),
        "p50_ms": load.quantile(samples_s, 0.50) * 1e3,
        "p99_ms": load.quantile(samples_s, 0.99) * 1e3,
    }


def _subtract_direct(results: dict[str, Result]) -> None:
    base = results.get("direct", {})
    for result in results.values():
        if "p50_ms" in result and "p50_ms" in base:
            result["added_p50_ms"] = result["p50_ms"] - base["p50_ms"]
            result["added_p99_ms"] = result["p99_ms"] - base["p99_ms"]


def _failing(take: Callable[[], Result]) -> Result:
    """What it measured, or why it could not."""
    try:
        return take()
    except FAILURES as error:
        return {"failed": str(error) or type(error).__name__}
