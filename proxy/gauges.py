"""What a scrape reads from the providers and the state of the process: numbers nobody counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from time import monotonic

from proxy.metrics import Metrics
from proxy.queues import ProviderUnit
from proxy.snapshot import Snapshot
from proxy.tally import Labels

Reading = Iterator[tuple[Labels, float]]

_CIRCUITS = {"closed": 0, "half_open": 1, "open": 2}


def register(
    metrics: Metrics, current: Callable[[], Snapshot], away: Callable[[], str | None]
) -> None:
    """Let the metrics read the newest configuration's providers.

    Args:
        metrics: of this process.
        current: the newest configuration.
        away: why the shared state cannot be had; empty: it can; None: there is none.
    """
    for name, read in _READS.items():
        metrics.gauges(f"headgate_{name}", partial(_of_all, current, read))
    metrics.gauges("headgate_config_version", lambda: [((current().version,), 1.0)])
    metrics.gauges("headgate_shared_state_up", lambda: _shared(away()))


def _of_all(current: Callable[[], Snapshot], read: Callable[[ProviderUnit], Reading]) -> Reading:
    for unit in current().units.values():
        yield from read(unit.unit)


def _shared(away: str | None) -> Reading:
    if away is not None:
        yield (), 0.0 if away else 1.0


def _depth(unit: ProviderUnit) -> Reading:
    yield (unit.name,), unit.depth


def _busy(unit: ProviderUnit) -> Reading:
    yield (unit.name,), unit.busy


def _circuits(unit: ProviderUnit) -> Reading:
    for model, health in unit.healths.items():
        if model:
            yield (unit.name, model), _CIRCUITS[health.breaker.state]


def _drained(unit: ProviderUnit) -> Reading:
    yield (unit.name, "*"), unit.drained
    for model, health in unit.healths.items():
        if model:
            yield (unit.name, model), unit.drained or health.drained


def _quotas(unit: ProviderUnit) -> Reading:
    now = monotonic()
    for credential in unit.credentials:
        for kind, ceiling in (("requests", credential.requests), ("tokens", credential.tokens)):
            if ceiling is not None:
                yield (unit.name, credential.name, kind), 1.0 - ceiling.left(now)


def _limits(unit: ProviderUnit) -> Reading:
    for credential in unit.credentials:
        if credential.adaptive is not None:
            yield (unit.name, credential.name), credential.adaptive.limit


_READS: dict[str, Callable[[ProviderUnit], Reading]] = {
    "queue_depth": _depth,
    "workers_busy": _busy,
    "circuit_state": _circuits,
    "drained": _drained,
    "quota_usage_ratio": _quotas,
    "concurrency_limit": _limits,
}
