"""Any of them, as likely as its weight."""

from __future__ import annotations

import random
from collections.abc import Sequence

from proxy.deployments import Deployment
from proxy.exchange import Exchange


class Weighted:
    """A weight of 3 gets three times the calls of a weight of 1."""

    def choose(self, candidates: Sequence[Deployment], exchange: Exchange) -> Deployment:
        """Return one by weight."""
        return random.choices(candidates, [d.weight for d in candidates])[0]

    def score(self, deployment: Deployment, exchange: Exchange) -> str:
        """Return its weight."""
        return f"weight {deployment.weight:g}"
