"""What the process says about itself: alive, ready, measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from proxy.metrics import Metrics
from proxy.openapi import document
from proxy.pipeline import Reply
from proxy.service import Service

_ALONE = "the shared state is away: each process decides alone"
_JSON = [("content-type", "application/json"), ("cache-control", "no-store")]


class Status:
    """Answers `/healthz`, `/readyz`, `/metrics` and `/openapi.json`, without plugins.

    Attributes:
        draining: the process takes no new work; readiness says so first.
    """

    def __init__(
        self, current: Callable[[], Service], metrics: Metrics, away: Callable[[], str | None]
    ) -> None:
        """Take where things are.

        Args:
            current: the service under the newest configuration.
            metrics: of this process.
            away: why the shared state cannot be had; empty: it can; None: there is none.
        """
        self._current = current
        self._metrics = metrics
        self._away = away
        self.draining = False

    async def reply(self, request: web.BaseRequest, path: str) -> Reply | None:
        """Return the answer for `path`, or None if it is none of these."""
        if path == "/healthz":
            return Reply(200, _JSON, b'{"status":"ok"}')
        if path == "/readyz":
            return self._ready()
        if path == "/openapi.json":
            return Reply(200, _JSON, msgspec.json.encode(document()))
        if path == "/metrics" and self._current().pipeline.snapshot.config.server.metrics:
            body, kind = await self._metrics.exposition(request.headers.get("Accept", ""))
            return Reply(200, [("content-type", kind)], body)
        return None

    def _ready(self) -> Reply:
        snapshot = self._current().pipeline.snapshot
        units = {name: unit.unit for name, unit in snapshot.units.items()}
        reasons = ["draining: the process is shutting down"] if self.draining else []
        if units and all(unit.full for unit in units.values()):
            reasons.append("every provider's queue is full")
        state: dict[str, Any] = {
            "ready": not reasons,
            "reasons": reasons,
            "degraded": [_ALONE] if self._away() else [],
            "config": snapshot.version,
            "providers": {
                name: {"busy": unit.busy, "workers": unit.workers, "queued": unit.depth}
                for name, unit in units.items()
            },
        }
        return Reply(503 if reasons else 200, _JSON, msgspec.json.encode(state))
