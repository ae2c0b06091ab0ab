"""How a route chooses among its deployments: one file per strategy.

A strategy never sees a deployment that may not serve the exchange (`proxy.eligibility`), is
full, resting or already tried, so no strategy has to check it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from proxy.deployments import Deployment
from proxy.exchange import Exchange


class Strategy(Protocol):
    """Chooses; does no I/O and changes nothing but its own counters.

    Its options are the constructor's keyword arguments; a wrong one raises TypeError or
    ValueError there, with a sentence for the user.
    """

    def choose(self, candidates: Sequence[Deployment], exchange: Exchange) -> Deployment:
        """Return one of `candidates`, which is never empty."""

    def score(self, deployment: Deployment, exchange: Exchange) -> str:
        """Say in a few words what speaks for this one, for who asks why; no choice is made."""
