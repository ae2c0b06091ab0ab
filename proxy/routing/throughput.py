"""The one of two drawn at random that writes faster, in tokens per second."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from proxy.config.units import parse_share
from proxy.deployments import Deployment
from proxy.exchange import Exchange
from proxy.routing._pairs import less_busy, load, pair

_NEAR = 0.9  # who is so much as fast as the other is as fast


class Throughput:
    """Of two about as fast the less busy one, so that the fastest is not run over.

    One of which nothing is known gets one call to find out. A share of the calls goes to either,
    for what has once been slow would else never be seen to be fast again.
    """

    def __init__(self, explore: str | float = 0.05) -> None:
        """Take the share of calls that go to either of the two, as `5%` or `0.05`."""
        self._explore = parse_share(explore)

    def choose(self, candidates: Sequence[Deployment], exchange: Exchange) -> Deployment:
        """Return the faster of two."""
        one, other = pair(candidates)
        here, there = _speed(one), _speed(other)
        alike = here >= _NEAR * there and there >= _NEAR * here
        if alike or random.random() < self._explore:
            return less_busy(one, other)
        return one if here > there else other

    def score(self, deployment: Deployment, exchange: Exchange) -> str:
        """Return how fast it writes."""
        speed = deployment.health.speed.value()
        if not speed:
            return "not measured yet: gets one call to find out"
        return f"{speed:.3g} tokens per second, {load(deployment)} in flight"


def _speed(deployment: Deployment) -> float:
    """Return its tokens per second: infinite for a newcomer, 0 while its first call runs."""
    return deployment.health.speed.value() or (0.0 if load(deployment) else math.inf)
