"""How a route chooses among its deployments: one file per strategy.

A strategy never sees a deployment that is full or already tried for this exchange, nor a
cooling one while another is left: `candidates` sees to that, so no strategy has to.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from proxy.deployments import Deployment
from proxy.exchange import Exchange


class Strategy(Protocol):
    """Chooses; does no I/O and changes nothing but its own counters."""

    def choose(self, candidates: Sequence[Deployment], exchange: Exchange) -> Deployment:
        """Return one of `candidates`, which is never empty."""


def candidates(
    deployments: Sequence[Deployment], tried: Collection[Deployment], now: float
) -> Sequence[Deployment]:
    """Return the deployments that may be chosen at monotonic time `now`, in seconds."""
    if len(deployments) == 1 and not tried:
        return deployments  # the common route has one, and its queue speaks for itself
    open_ = [d for d in deployments if d not in tried and not d.unit.full]
    rested = [d for d in open_ if d.cooling_until <= now]
    return rested or open_
