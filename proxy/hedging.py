"""Two calls for one answer: when the second may be made, and how often.

Source: J. Dean, L. A. Barroso, "The Tail at Scale", CACM 56(2), 2013: "Hedged requests"
"""

from __future__ import annotations

from proxy.config.resilience import Hedge
from proxy.deployments import Deployment

_SOONEST_S = 0.001
_RESERVE = 1.0
_CEILING = 10.0
_CEILING_MICROS = 1_000_000.0


class Hedging:
    """When a route's exchanges may make a second call, and how many may.

    Attributes:
        settings: as configured.
    """

    def __init__(self, settings: Hedge) -> None:
        self.settings = settings
        self._calls = _RESERVE
        self._micros = 0.0

    def after_s(self, deployment: Deployment, *, stream: bool) -> float | None:
        """Return how long the first call is alone, in seconds; None while nobody can say."""
        after_s = self.settings.after
        if after_s is None:
            after_s = deployment.health.usual_s(stream=stream)
        return None if after_s is None else max(_SOONEST_S, after_s)

    def earn(self, cost_micros: float) -> None:
        """Count a call, and what it costs by estimate."""
        self._calls = min(_CEILING, self._calls + self.settings.share)
        earned = self._micros + cost_micros * self.settings.cost
        self._micros = min(_CEILING_MICROS, earned)

    def take(self, cost_micros: float) -> bool:
        """Take a second call out of the budget, if it holds one."""
        if self._calls < 1 or cost_micros > self._micros:
            return False
        self._calls -= 1
        self._micros -= cost_micros
        return True
