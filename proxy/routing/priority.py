"""The lowest number first; the others are for when it cannot serve."""

from __future__ import annotations

import random
from collections.abc import Sequence

from proxy.deployments import Deployment
from proxy.exchange import Exchange


class Priority:
    """Among equals the weights decide."""

    def choose(self, candidates: Sequence[Deployment], exchange: Exchange) -> Deployment:
        """Return one of those with the lowest priority number."""
        lowest = min(d.priority for d in candidates)
        equals = [d for d in candidates if d.priority == lowest]
        if len(equals) == 1:
            return equals[0]
        return random.choices(equals, [d.weight for d in equals])[0]

    def score(self, deployment: Deployment, exchange: Exchange) -> str:
        """Return its priority, and its weight among equals."""
        return f"priority {deployment.priority}, weight {deployment.weight:g}"
