"""What is tried for one exchange, in which order, and when it ends.

One budget covers all of it: retries, credentials and fallbacks. First every deployment of
the route that has not been tried, then those of its fallbacks; only then one again, after a
jittered pause and within what the provider's own budget of repeats allows. Pure: a clock
reading comes in, a choice comes out.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from proxy.deployments import Deployment
from proxy.errors import (
    ContextLengthExceeded,
    GatewayError,
    NoDeployment,
    QueueFull,
    UpstreamAuth,
    UpstreamRateLimited,
)
from proxy.exchange import Exchange
from proxy.routing import candidates, capable, rested
from proxy.routing.table import Route

_LONGEST_COOLING_S = 300.0


class Choice(NamedTuple):
    """The next attempt.

    Attributes:
        pause_s: how long to wait before it, in seconds.
    """

    deployment: Deployment
    pause_s: float = 0.0


class Attempts:
    """The course of one exchange's attempts."""

    __slots__ = ("_exchange", "_first", "_left", "_made", "_repeatable", "_routes", "_tried")

    def __init__(self, route: Route, exchange: Exchange, limit: int) -> None:
        """Start before the first attempt, with at most `limit` of them."""
        self._exchange = exchange
        self._routes: Sequence[Route] = (route, *route.fallbacks) if route.fallbacks else (route,)
        self._left = limit
        self._made = 0
        self._tried: list[Deployment] = []
        self._repeatable: list[Deployment] = []
        self._first: GatewayError | None = None

    def next(self, now: float) -> Choice:
        """Return what to try at monotonic time `now`, in seconds.

        Raises:
            GatewayError: nothing is left; the first cause, which later ones only followed.
        """
        if self._left <= 0:
            raise self._given_up()
        for offered in (rested, candidates):
            for route in self._routes:
                found = self._able(offered(route.deployments, self._tried, now))
                if found:
                    chosen = found[0]
                    if len(found) > 1:
                        found = capable(found, self._exchange.request)
                        chosen = route.strategy.choose(found, self._exchange)
                    chosen.unit.earn()
                    self._tried.append(chosen)
                    return self._take(chosen)
        return self._again(now)

    def failed(self, deployment: Deployment, error: GatewayError, now: float) -> None:
        """Take note of an attempt's failure at monotonic time `now`, in seconds.

        Raises:
            GatewayError: `error` itself, where no other attempt could end better.
        """
        self._first = self._first or error
        if isinstance(error, QueueFull | NoDeployment):
            self._left += 1  # nothing was sent: it used no attempt, and earned none
            deployment.unit.earn(-1)
            return
        if isinstance(error, ContextLengthExceeded) and self._longer():
            return
        if not error.retryable:
            raise error
        if isinstance(error, UpstreamRateLimited) and error.retry_after_s:
            deployment.cooling_until = now + min(error.retry_after_s, _LONGEST_COOLING_S)
        if not isinstance(error, UpstreamAuth):
            self._repeatable.append(deployment)

    def _able(self, found: Sequence[Deployment]) -> Sequence[Deployment]:
        """Leave out who does not serve the operation, and providers that had their attempt."""
        operation = self._exchange.operation
        if not self._tried and len(found) == 1 and operation in found[0].adapter.operations:
            return found
        used = [d.unit for d in self._tried]
        return [d for d in found if operation in d.adapter.operations and d.unit not in used]

    def _longer(self) -> bool:
        """Turn to the routes for longer prompts, if there are any."""
        longer = self._routes[0].context_fallbacks
        if longer:
            self._routes = longer
            self._repeatable.clear()
        return bool(longer)

    def _again(self, now: float) -> Choice:
        """Choose a provider for another attempt, as far as its budget of repeats goes.

        Deployments of it that have not been tried come before those that have.
        """
        for deployment in (*self._siblings(now), *self._repeatable):
            unit, rest_s = deployment.unit, deployment.cooling_until - now
            retries, untried = deployment.retries, deployment not in self._tried
            if unit.full or rest_s > retries.backoff_max or not unit.may_repeat():
                continue
            if untried:
                self._tried.append(deployment)
                return self._take(deployment, max(rest_s, 0.0))
            self._repeatable.remove(deployment)
            ceiling_s = min(retries.backoff_max, retries.backoff * 2**self._made)
            return self._take(deployment, max(rest_s, random.uniform(0, ceiling_s)))
        raise self._given_up()

    def _siblings(self, now: float) -> list[Deployment]:
        """Untried deployments of providers that had their attempt."""
        operation = self._exchange.operation
        return [
            d
            for route in self._routes
            for d in candidates(route.deployments, self._tried, now)
            if d not in self._tried and operation in d.adapter.operations
        ]

    def _take(self, deployment: Deployment, pause_s: float = 0.0) -> Choice:
        self._left -= 1
        self._made += 1
        return Choice(deployment, pause_s)

    def _given_up(self) -> GatewayError:
        return self._first or self._nowhere()

    def _nowhere(self) -> GatewayError:
        """Nothing could even be tried: every queue is full, or nobody knows the operation."""
        units = [d.unit for route in self._routes for d in route.deployments if d.unit.full]
        if units:
            retry_after_s = min(unit.retry_after_s for unit in units)
            return QueueFull("all providers of this route are busy", retry_after_s=retry_after_s)
        return NoDeployment(
            f"no deployment of route {self._routes[0].name!r} serves {self._exchange.operation}"
            if self._routes
            else "no route is left to try"
        )
