"""Any of them, each as likely as the other."""

from __future__ import annotations

import random
from collections.abc import Sequence

from proxy.deployments import Deployment
from proxy.exchange import Exchange


class Random:
    """Needs no state, so several processes need not agree on one."""

    def choose(self, candidates: Sequence[Deployment], exchange: Exchange) -> Deployment:
        """Return any one."""
        return random.choice(candidates)

    def score(self, deployment: Deployment, exchange: Exchange) -> str:
        """Return that nothing speaks for any."""
        return "as likely as the others"
