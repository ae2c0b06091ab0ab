"""The power of two choices: of two drawn at random, the better one.

Who always takes the best of all sends everybody there until it is the worst, for what is known
of it comes late and other processes know as much. The better of two is nearly as good, and no
herd runs.

Source: M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (2001),
https://www.eecs.harvard.edu/~michaelm/postscripts/tpds2001.pdf
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from proxy.deployments import Deployment


def pair(candidates: Sequence[Deployment]) -> tuple[Deployment, Deployment]:
    """Draw two different ones, the first by weight; of one alone it is both.

    Where a lot by weight decides between the two, each is chosen exactly by its weight.
    """
    count = len(candidates)
    if count < 3:
        return candidates[0], candidates[-1]
    first = _by_weight(candidates)
    second = int(random.random() * (count - 1))
    return candidates[first], candidates[second if second < first else second + 1]


def load(deployment: Deployment) -> int:
    """Return the calls that one more would be beside: in flight there, and waiting before it."""
    return deployment.health.busy + deployment.unit.depth


def first_s(deployment: Deployment, busy: int, stream: bool, now: float) -> float:
    """Return what the first token takes, in seconds; 0: not known, or forgiven.

    What was slow is forgiven with time, so that somebody finds out whether it still is. That is
    one call: while any is under way, the last that was known counts.
    """
    health = deployment.health
    return health.known_s(stream=stream) if busy else health.latency_s(now, stream=stream)


def less_busy(one: Deployment, other: Deployment) -> Deployment:
    """Return the one with less load for its weight; between equals it is a lot by weight.

    Half a call is added to both, as in the fairest ways to share out seats by votes (Sainte-Laguë):
    with none or one call in flight the small are neither always nor never chosen.
    """
    here, there = load(one), load(other)
    if here or there:
        here_each, there_each = (here + 0.5) / one.weight, (there + 0.5) / other.weight
        if here_each != there_each:
            return one if here_each < there_each else other
    return lot(one, other)


def lot(one: Deployment, other: Deployment) -> Deployment:
    """Return one of the two, as likely as its weight."""
    return one if random.random() * (one.weight + other.weight) < one.weight else other


def _by_weight(candidates: Sequence[Deployment]) -> int:
    """Return the place of one, as likely as its weight."""
    total = 0.0
    for deployment in candidates:
        total += deployment.weight
    left = random.random() * total
    for place, deployment in enumerate(candidates):
        left -= deployment.weight
        if left < 0:
            return place
    return len(candidates) - 1  # a rounding
