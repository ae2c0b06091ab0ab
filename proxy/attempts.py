"""What is tried for one exchange, in which order, and when it ends.

One budget covers all of it: attempts, time and money, over retries, credentials and
fallbacks. After a failure `proxy.remedies` says what may help. In this order: another
credential of the same deployment; every deployment of the route on a provider that had no
attempt yet; those of its fallbacks; and only then a provider again, after a jittered pause
and within what its own budget of repeats allows. Pure: a clock reading comes in, a choice
comes out.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from proxy.deployments import Deployment
from proxy.eligibility import DEAD, Wants, capable, hindrance, warmed
from proxy.errors import (
    GatewayError,
    NoDeployment,
    QueueFull,
    UpstreamAuth,
    UpstreamRateLimited,
)
from proxy.exchange import Exchange
from proxy.remedies import REMEDIES, Fallbacks
from proxy.routing.table import Route


class Choice(NamedTuple):
    """The next attempt.

    Attributes:
        pause_s: how long to wait before it, in seconds.
        reason: why it is this one, for the log: "first", "fallback cheap", "again", ...
    """

    deployment: Deployment
    pause_s: float = 0.0
    reason: str = "first"


class Attempts:
    """The course of one exchange's attempts."""

    __slots__ = (
        *("_exchange", "_first", "_groups", "_left", "_made", "_model", "_own", "_repeatable"),
        *("_rotate", "_route", "_spent", "_tried", "_wants"),
    )

    def __init__(self, route: Route, model: str, exchange: Exchange, limit: int) -> None:
        """Start before the first attempt, with at most `limit` of them.

        Args:
            route: for this `model`.
            model: what deployments of fallbacks send that have no model of their own.
            exchange: whose attempts they are.
            limit: how many.
        """
        self._exchange = exchange
        self._route = route
        self._model = model
        self._groups: tuple[Fallbacks, ...] = ("fallbacks",)
        self._own = True
        self._left = limit
        self._made = 0
        self._spent = 0.0
        self._tried: list[Deployment] = []
        self._repeatable: list[Deployment] = []
        self._rotate: Deployment | None = None
        self._first: GatewayError | None = None
        self._wants: Wants | None = None

    @property
    def wants(self) -> Wants:
        """What the exchange asks of who serves it; the common route does not need to know."""
        if self._wants is None:
            self._wants = Wants(self._exchange)
        return self._wants

    def next(self, now: float) -> Choice:
        """Return what to try at monotonic time `now`, in seconds.

        Raises:
            GatewayError: nothing is left; the first cause, which later ones only followed.
        """
        if self._left <= 0 or (self._spent and self._too_dear()):
            raise self._given_up()
        if not self._made and (choice := self._only()) is not None:
            return choice
        self.wants.now = now
        if self._rotate is not None and (choice := self._other_credential(now)):
            return choice
        if self._own and self._route.quota_fallbacks:
            self._relieve(now)
        choice = self._fresh(_has_room) or self._fresh(_any)
        if choice is not None:
            choice.deployment.unit.repeats.earn()
            self._tried.append(choice.deployment)
            return self._take(choice)
        return self._again(now)

    def hedge(self, now: float) -> Choice | None:
        """Return a second deployment to try beside the one under way, or None."""
        self.wants.now = now
        choice = self._fresh(_has_room) if self._left > 0 else None
        if choice is None:
            return None
        choice.deployment.unit.repeats.earn()
        self._tried.append(choice.deployment)
        return self._take(choice._replace(reason="hedge"))

    def failed(self, deployment: Deployment, error: GatewayError) -> None:
        """Take note of an attempt's failure.

        Raises:
            GatewayError: `error` itself, where no other attempt could end better.
        """
        if self._first is None or _says_more(error, self._first):
            self._first = error
        remedy = REMEDIES[error.failure]
        if error.failure == "unsent":
            self._left += 1  # nothing was sent: it used no attempt, and earned none
            deployment.unit.repeats.earn(-1)
            return
        self._pay(deployment)
        if remedy.hopeless:
            raise error
        if not remedy.deployment:
            self._turn(remedy.fallbacks, error)
            return
        if "quota_fallbacks" in remedy.fallbacks:
            self._groups = remedy.fallbacks
        if remedy.credential and len(deployment.credentials) > 1:
            self._rotate = deployment
        if remedy.again:
            self._repeatable.append(deployment)

    def _only(self) -> Choice | None:
        """Take the one deployment of the common route, where nothing is against it."""
        deployments, exchange = self._route.deployments, self._exchange
        if len(deployments) != 1 or exchange.tags or exchange.key.regions:
            return None
        only = deployments[0]
        unit = only.unit
        if unit.full or unit.limited or not only.well:
            return None
        if exchange.operation not in only.adapter.operations:
            return None
        unit.repeats.earn()
        self._tried.append(only)
        self._left -= 1
        self._made = 1
        return Choice(only)

    def _fresh(self, takes: Callable[[Deployment], bool]) -> Choice | None:
        """Choose among what has not been tried, on providers that had no attempt yet."""
        for position, route in enumerate(self._routes()):
            found = self._offered(route, takes)
            if not found:
                continue
            chosen = found[0]
            if len(found) > 1:
                found = warmed(capable(found, self.wants), self.wants.now)
                chosen = route.strategy.choose(found, self._exchange)
            return Choice(chosen, 0.0, self._why(position, route))
        return None

    def _relieve(self, now: float) -> None:
        """Open the routes for spent quotas, where all of the route's own have to rest."""
        fit = [d for d in self._route.deployments if not hindrance(d, self.wants)]
        if fit and all(d.wait_s(now, self._tokens(d)) > 0 for d in fit):
            self._groups = REMEDIES["quota"].fallbacks

    def _offered(self, route: Route, takes: Callable[[Deployment], bool]) -> Sequence[Deployment]:
        wants, tried = self.wants, self._tried
        now = wants.now
        if not tried:
            return [
                d
                for d in route.deployments
                if takes(d) and not hindrance(d, wants) and d.wait_s(now, self._tokens(d)) <= 0
            ]
        used = [d.unit for d in tried]
        return [
            d
            for d in route.deployments
            if takes(d)
            and d.unit not in used
            and not hindrance(d, wants)
            and d.wait_s(now, self._tokens(d)) <= 0
        ]

    def _routes(self) -> Iterator[Route]:
        """The route itself, then those it falls back to, as far as the failures opened them."""
        if self._own:
            yield self._route
        for group in self._groups:
            for other in getattr(self._route, group):
                yield other.under(self._model)

    def _all(self) -> Iterator[Deployment]:
        for route in self._routes():
            yield from route.deployments

    def _turn(self, groups: tuple[Fallbacks, ...], error: GatewayError) -> None:
        """Go on with these routes alone: the others would refuse it the same way.

        Raises:
            GatewayError: `error`, where there are none.
        """
        if not any(getattr(self._route, group) for group in groups):
            raise error
        self._groups, self._own, self._rotate = groups, False, None
        self._repeatable.clear()

    def _other_credential(self, now: float) -> Choice | None:
        """Try the same deployment with a credential that has not failed."""
        deployment, self._rotate = self._rotate, None
        assert deployment is not None
        avoid = refused(self._exchange, deployment.unit.name)
        ready = deployment.pick(now, self._tokens(deployment), avoid) is not None
        if not ready or deployment.unit.full or hindrance(deployment, self.wants):
            return None
        if not deployment.unit.repeats.take():
            return None
        if deployment in self._repeatable:
            self._repeatable.remove(deployment)
        return self._take(Choice(deployment, 0.0, "other credential"))

    def _again(self, now: float) -> Choice:
        """Choose a provider for another attempt, or one that has to rest a little first.

        Raises:
            GatewayError: nobody may be tried again.
        """
        wait_s, deployment = self._soonest(now)
        if deployment is not None:
            self._tried.append(deployment)
            return self._take(Choice(deployment, wait_s, "after a rest"))
        for deployment in (*self._siblings(), *self._repeatable):
            wait_s = deployment.wait_s(now, self._tokens(deployment))
            if not self._worth(deployment, wait_s) or not deployment.unit.repeats.take():
                continue
            if deployment not in self._tried:
                self._tried.append(deployment)
                return self._take(Choice(deployment, wait_s, "same provider"))
            self._repeatable.remove(deployment)
            retries = deployment.retries
            ceiling_s = min(retries.backoff_max, retries.backoff * 2**self._made)
            pause_s = max(wait_s, random.uniform(0, ceiling_s))
            return self._take(Choice(deployment, pause_s, "again"))
        raise self._given_up()

    def _soonest(self, now: float) -> tuple[float, Deployment | None]:
        """Of the providers without an attempt yet, find who has to rest least."""
        used = [d.unit for d in self._tried]
        resting = [
            (d.wait_s(now, self._tokens(d)), position, d)
            for position, d in enumerate(self._all())
            if d.unit not in used and not hindrance(d, self.wants)
        ]
        worth = [each for each in resting if self._worth(each[2], each[0])]
        if not worth:
            return 0.0, None
        wait_s, _, deployment = min(worth)
        deployment.unit.repeats.earn()
        return wait_s, deployment

    def _worth(self, deployment: Deployment, wait_s: float) -> bool:
        """Whether to wait so long for it: no longer than a backoff, and not past the deadline."""
        return (
            wait_s <= deployment.retries.backoff_max
            and self.wants.now + wait_s < self._exchange.deadline
            and not deployment.unit.full
            and not hindrance(deployment, self.wants)
        )

    def _siblings(self) -> list[Deployment]:
        """Untried deployments of providers that had their attempt."""
        return [d for d in self._all() if d not in self._tried]

    def _tokens(self, deployment: Deployment) -> int:
        return self.wants.tokens if deployment.unit.counts_tokens else 0

    def _take(self, choice: Choice) -> Choice:
        self._left -= 1
        self._made += 1
        return choice

    def _pay(self, deployment: Deployment) -> None:
        if self._route.cost_micros is not None and deployment.price is not None:
            self._spent += deployment.price.micros(self.wants.tokens, 0)

    def _too_dear(self) -> bool:
        limit = self._route.cost_micros
        return limit is not None and self._spent >= limit

    def _why(self, position: int, route: Route) -> str:
        if self._own and position == 0:
            return "other deployment" if self._made else "first"
        return f"fallback {route.name}"

    def _given_up(self) -> GatewayError:
        return self._first or self._nowhere()

    def _nowhere(self) -> GatewayError:
        """Say why nothing could even be tried, and when that may change."""
        wants, now = self.wants, self.wants.now
        reasons = {d.name: hindrance(d, wants) for d in self._all()}
        fit = [d for d in self._all() if not reasons[d.name]]
        full = [d.unit.retry_after_s for d in fit if d.unit.full]
        if full:
            message = "all providers of this route are busy"
            return QueueFull(message, retry_after_s=min(full))
        waits = [d.wait_s(now, self._tokens(d)) for d in fit]
        if waits:
            message = "the limits of all credentials of this route are reached"
            return UpstreamRateLimited(message, retry_after_s=min(waits))
        return _unavailable(self._route, list(self._all()), wants)


def _unavailable(route: Route, deployments: Sequence[Deployment], wants: Wants) -> GatewayError:
    """Return the error for a route none of whose deployments may serve the exchange now."""
    if all(hindrance(d, wants) == DEAD for d in deployments) and deployments:
        lives = [use.life.open_until for d in deployments for use in d.health.uses.values()]
        error: GatewayError = UpstreamAuth("the provider refused the gateway's credential")
        error.retry_after_s = max(0.0, min(lives) - wants.now)
        return error
    said = "; ".join(f"{d.name}: {hindrance(d, wants)}" for d in deployments[:5])
    error = NoDeployment(
        f"no deployment of route {route.name!r} may serve {wants.exchange.operation} now"
        + (f" ({said})" if said else "")
    )
    opened = [d.health.breaker for d in deployments if d.health.breaker.state != "closed"]
    if opened:
        until = min(breaker.open_until for breaker in opened)
        error.retry_after_s = max(1.0, until - wants.now)
        error.should_retry = True
    return error


def refused(exchange: Exchange, provider: str) -> list[str]:
    """Return the names of the provider's credentials that failed for this exchange."""
    return [
        attempt.credential
        for attempt in exchange.attempts
        if attempt.provider == provider and attempt.failure and REMEDIES[attempt.failure].credential
    ]


def _says_more(error: GatewayError, first: GatewayError) -> bool:
    """Whether an error is rather told than the first: that was only a place in a queue."""
    if first.failure != "unsent" or error.failure != "unsent":
        return first.failure == "unsent"
    return (error.retry_after_s or math.inf) < (first.retry_after_s or math.inf)


def _has_room(deployment: Deployment) -> bool:
    return not deployment.unit.full


def _any(deployment: Deployment) -> bool:
    """A full queue decides itself whom it takes: it may make room for a tenant with less."""
    return True
