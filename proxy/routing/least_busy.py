"""The less busy of two drawn at random, by calls in flight for its weight."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.deployments import Deployment
from proxy.exchange import Exchange
from proxy.routing._pairs import less_busy, pair


class LeastBusy:
    """Counts what is in flight and what waits in the provider's queue; idle ones go by weight."""

    def choose(self, candidates: Sequence[Deployment], exchange: Exchange) -> Deployment:
        """Return the less busy of two."""
        return less_busy(*pair(candidates))

    def score(self, deployment: Deployment, exchange: Exchange) -> str:
        """Return its load and its weight."""
        health, unit = deployment.health, deployment.unit
        waiting = f", {unit.depth} waiting" if unit.depth else ""
        return f"{health.busy} in flight{waiting}, weight {deployment.weight:g}"
