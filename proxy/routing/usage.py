"""The one of two drawn at random whose quota has more room left: the vendor's limits by the minute.

They are known where the configuration says so, or a vendor's answers do.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

from proxy.deployments import Deployment
from proxy.exchange import Exchange
from proxy.routing._pairs import less_busy, pair


class Usage:
    """Compares the credential of each that has most room; where neither has a limit, the load."""

    def choose(self, candidates: Sequence[Deployment], exchange: Exchange) -> Deployment:
        """Return the one of two with more room; of equals, the less busy."""
        one, other = pair(candidates)
        now = monotonic()
        here, there = _room(one, now), _room(other, now)
        if here == there:
            return less_busy(one, other)
        return one if here > there else other

    def score(self, deployment: Deployment, exchange: Exchange) -> str:
        """Return how much of its quota is left."""
        if not any(c.requests or c.tokens for c in deployment.credentials):
            return f"no known limit, {deployment.health.busy} in flight"
        left = _room(deployment, monotonic())
        return f"{left:.0%} of its quota left, {deployment.health.busy} in flight"


def _room(deployment: Deployment, now: float) -> float:
    """Return the share of its limits that is free with the best credential it may use now."""
    credentials = deployment.credentials
    if len(credentials) == 1:
        return credentials[0].left(now)  # it may be used, else this were no candidate
    health = deployment.health
    return max(
        (c.left(now) for c in credentials if c.rests_until <= now and health.wait_s(c, now) <= 0),
        default=0.0,
    )
