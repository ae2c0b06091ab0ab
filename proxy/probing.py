"""Asking models whose circuits are open, in the place of the first client that would.

Only for providers whose `probe` has an interval: clients are then kept away until a probe has
found the model well. A probe is the smallest call there is, goes the way of any call, and is
counted like one.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator

import msgspec
import structlog

from proxy import tasks
from proxy.deployments import Deployment
from proxy.errors import GatewayError
from proxy.exchange import Exchange
from proxy.hooks import Chain
from proxy.metrics import Metrics
from proxy.mirrors import Nobody
from proxy.pipeline import Found
from proxy.queues import ProviderUnit
from proxy.routing.priority import Priority
from proxy.routing.table import Route
from proxy.service import Service
from proxy.snapshot import Snapshot
from proxy.wire import Request

log = structlog.get_logger()

TICK_S = 0.05
"""How often it is looked whether a probe is due, in seconds."""

IDLE_S = 1.0
"""The same where no provider wants any."""

_EMBEDDING = re.compile(r"embed|minilm|(^|[/-])(bge|e5|gte|voyage)-", re.IGNORECASE)
_ONCE = {"x-stainless-retry-count": "9"}
_CHAT = {"messages": [{"role": "user", "content": "ping"}], "max_tokens": 1}


class Prober:
    """Probes what rests, until its task is cancelled."""

    def __init__(self, current: Callable[[], Service], metrics: Metrics) -> None:
        self._current = current
        self._metrics = metrics
        self._clock = time.monotonic
        self._due: dict[str, float] = {}

    async def run(self) -> None:
        """Look again and again."""
        while True:
            service = self._current()
            units = service.pipeline.snapshot.units
            probed = [name for name, unit in units.items() if unit.limits.probe.interval]
            for name in probed:
                self._look(service, name, self._clock())
            await asyncio.sleep(TICK_S if probed else IDLE_S)

    def _look(self, service: Service, name: str, now: float) -> None:
        """Begin what probes of a provider are due."""
        snapshot = service.pipeline.snapshot
        unit = snapshot.units[name]
        probe = unit.limits.probe
        if now < self._due.get(name, 0.0):
            return
        self._due[name] = now + probe.interval
        for deployment in resting(snapshot, unit.unit, now):
            tasks.spawn(self._probe(service, deployment, probe.timeout), name="probe")

    async def _probe(self, service: Service, deployment: Deployment, limit_s: float) -> None:
        route = Route("probe", Priority(), "priority", [deployment], Chain(()))
        route.total_s = limit_s
        exchange = self._exchange(deployment, limit_s)
        found = Found(route, deployment.model or "", route.chain)
        try:
            async with asyncio.timeout(limit_s):
                await service.calls.operate(exchange, Nobody(), found)
        except (GatewayError, TimeoutError) as error:
            exchange.outcome = "error"
            exchange.error = error if isinstance(error, GatewayError) else None
        finally:
            exchange.finished_s = self._clock() - exchange.started
            self._metrics.record(exchange)
        log.info("probed", name=deployment.health.name, outcome=exchange.outcome)

    def _exchange(self, deployment: Deployment, limit_s: float) -> Exchange:
        model, started = deployment.model or "", self._clock()
        embeds = "chat" not in deployment.adapter.operations or _EMBEDDING.search(model)
        body = {"model": model, **({"input": "ping"} if embeds else _CHAT)}
        return Exchange(
            id=f"req_probe_{time.time_ns():x}",
            operation="embeddings" if embeds else "chat",
            method="POST",
            path="",
            headers=dict(_ONCE),
            received_at=time.time(),
            started=started,
            deadline=started + limit_s,
            request=Request(msgspec.json.encode(body)),
            route="probe",
            probe=True,
        )


def resting(snapshot: Snapshot, unit: ProviderUnit, now: float) -> Iterator[Deployment]:
    """Yield a deployment for each model of a provider whose rest is over."""
    seen = set()
    for route in snapshot.routes.every():
        for deployment in route.deployments:
            health = deployment.health
            if deployment.unit is not unit or not deployment.model or health in seen:
                continue
            seen.add(health)
            if health.breaker.state != "closed" and health.breaker.allows(now):
                yield deployment
