"""A fleet of deployments on a clock of its own: what a strategy does to a day's calls in a second.

Each vendor answers so many calls at once and lets the others wait, first come, first served.
Calls arrive at random (Poisson) and take a random time (exponential). A vendor's whole answer
is its first token.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest

from proxy.deployments import Deployment
from proxy.exchange import Exchange
from proxy.routing import Strategy
from tests.fakes import deployment, exchange, unit

PLACES = 4  # calls that a vendor answers at once


class Clock:
    """Monotonic time as the test says, in seconds, for strategies that ask for it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        for name in ("latency", "usage", "sticky"):
            patch.setattr(f"proxy.routing.{name}.monotonic", lambda: self.now)


class Report(NamedTuple):
    """What came of it.

    Attributes:
        times_s: how long each call took, in the order of their arrival.
        where: the member that served each.
    """

    times_s: list[float]
    where: list[Deployment]

    @property
    def mean_s(self) -> float:
        """How long a call takes."""
        return sum(self.times_s) / len(self.times_s)

    @property
    def p99_s(self) -> float:
        """How long all but one of a hundred take at most."""
        return sorted(self.times_s)[len(self.times_s) * 99 // 100]

    def share(self, member: Deployment) -> float:
        """Return which part of the calls a member served."""
        return Counter(self.where)[member] / len(self.where)


def members(count: int, **settings: object) -> list[Deployment]:
    """Return so many deployments, each on a provider of its own with many workers."""
    names = [f"vendor{number}" for number in range(count)]
    return [deployment(name, unit=unit(name, workers=10_000), **settings) for name in names]


class Fleet:
    """Members and how long a call to each takes on average, in seconds; may change on the way."""

    def __init__(self, clock: Clock, fleet: Sequence[Deployment], call_s: Sequence[float]) -> None:
        self.clock = clock
        self.members = fleet
        self.call_s = dict(zip(fleet, call_s, strict=True))
        self._free_at = {member: [clock.now] * PLACES for member in fleet}
        self._ends: list[tuple[float, int, Deployment, float]] = []

    def run(
        self,
        strategy: Strategy,
        rate: float,
        calls: int,
        make: Callable[[int], Exchange] = lambda _: exchange(),
    ) -> Report:
        """Let calls arrive, so many a second on average."""
        report = Report([], [])
        at = self.clock.now
        for number in range(calls):
            at += random.expovariate(rate)
            self._until(at)
            chosen = strategy.choose(self.members, make(number))
            begins = max(at, heapq.heappop(self._free_at[chosen]))
            ends = begins + random.expovariate(1 / self.call_s[chosen])
            heapq.heappush(self._free_at[chosen], ends)
            heapq.heappush(self._ends, (ends, len(report.where), chosen, at))
            chosen.health.busy += 1
            report.times_s.append(ends - at)
            report.where.append(chosen)
        return report

    def _until(self, at: float) -> None:
        """Let all calls end that do so before a time."""
        while self._ends and self._ends[0][0] <= at:
            self.clock.now, _, member, begun = heapq.heappop(self._ends)
            member.health.busy -= 1
            member.health.observe(self.clock.now, self.clock.now - begun, stream=False)
        self.clock.now = at
