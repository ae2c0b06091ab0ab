"""One attempt: a worker taken, a call made, everything given back, and what its end teaches."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import NamedTuple

from proxy import estimate
from proxy.adapter import Target
from proxy.attempts import Choice, refused
from proxy.deployments import Deployment
from proxy.eligibility import UNREAD
from proxy.errors import GatewayError, UpstreamTimeout
from proxy.exchange import Attempt, Exchange
from proxy.pipeline import Client, Found
from proxy.queues import Caller
from proxy.racing import Race
from proxy.use import Use
from proxy.wire import Response
from proxy.wishes import tenant

_DROPPED = "x-headgate-dropped"


class Errand(NamedTuple):
    """What is to be served: an exchange, for its client, on its route."""

    exchange: Exchange
    client: Client
    found: Found


class Leg(NamedTuple):
    """One attempt: where it goes and for whom.

    Attributes:
        begun: monotonic time at which it had its worker, in seconds.
        race: which of several attempts answers; None where there is but one.
    """

    exchange: Exchange
    client: Client
    found: Found
    deployment: Deployment
    target: Target
    attempt: Attempt
    begun: float
    use: Use
    race: Race[Response | None] | None

    def claim(self) -> None:
        """Take it on to answer the exchange, just before anything of it shows.

        Raises:
            asyncio.CancelledError: another attempt has done so.
        """
        if self.race is not None:
            if not self.race.claim():
                raise asyncio.CancelledError
            self.exchange.provider, self.exchange.model = self.attempt.provider, self.target.model
        if self.attempt.dropped:
            headers = self.exchange.response_headers
            headers[:] = [pair for pair in headers if pair[0] != _DROPPED]
            headers.append((_DROPPED, self.attempt.dropped))


Call = Callable[[Leg], Awaitable[Response | None]]
"""One call to a vendor, made while a worker of its provider is taken."""


async def attempt(
    errand: Errand, choice: Choice, call: Call, race: Race[Response | None] | None = None
) -> Response | None:
    """Take a worker of the deployment's provider, make `call`, and give the worker back."""
    exchange, deployment = errand.exchange, choice.deployment
    unit = deployment.unit
    attempt = Attempt(unit.name, deployment.model or errand.found.model, reason=choice.reason)
    exchange.attempts.append(attempt)
    if race is None:
        exchange.provider, exchange.model = unit.name, attempt.model
    size_bytes = len(exchange.request.body) if exchange.request is not None else 0
    begun = monotonic()
    use: Use | None = None
    entered, failure = False, None
    try:
        if not unit.try_enter(size_bytes):
            await unit.enter(_caller(exchange, begun, size_bytes))
        entered = True
        now = monotonic()
        attempt.queued_s = now - begun
        use = _begin(exchange, deployment, now)
        attempt.credential = use.credential.name
        target = deployment.target(use.credential)
        response = await call(Leg(*errand, deployment, target, attempt, now, use, race))
        attempt.result = "ok"
        return response
    except GatewayError as error:
        failure = error
        error.provider = unit.name
        attempt.result, attempt.failure = error.code, error.failure
        attempt.status = error.upstream_status or attempt.status
        raise
    except asyncio.CancelledError:
        attempt.result = _cancelled(exchange, race)
        failure = _too_late(errand, attempt, monotonic())
        raise
    finally:
        now = monotonic()
        attempt.upstream_s = now - begun - attempt.queued_s
        if use is not None:
            learnt = None if exchange.operation in UNREAD else failure
            use.end(now, attempt, learnt, stream=exchange.stream)
        if entered:
            unit.leave(now, held_s=attempt.upstream_s, size_bytes=size_bytes)


def _begin(exchange: Exchange, deployment: Deployment, now: float) -> Use:
    tokens = estimate.of_prompt(exchange.request) if deployment.unit.counts_tokens else 0
    avoid = refused(exchange, deployment.unit.name) if len(exchange.attempts) > 1 else ()
    return Use(deployment, now, tokens, avoid)


def _caller(exchange: Exchange, now: float, size_bytes: int) -> Caller:
    patience_s = exchange.deadline - now
    key = exchange.key
    return Caller(tenant(exchange), exchange.priority, key.weight, patience_s, size_bytes)


def _cancelled(exchange: Exchange, race: Race[Response | None] | None) -> str:
    """Say what the cancellation of an attempt means."""
    if race is not None and race.lost:
        return "lost"
    return "ok" if exchange.delivered else "cancelled"


def _too_late(errand: Errand, attempt: Attempt, now: float) -> UpstreamTimeout | None:
    """Blame the vendor for a cancellation where the route's own time is over.

    A client's shorter patience says nothing of the vendor.
    """
    total_s = errand.found.route.total_s
    if attempt.result != "cancelled" or now - errand.exchange.started < total_s:
        return None
    return UpstreamTimeout("total", total_s)
