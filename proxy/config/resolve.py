"""The nearer setting wins: defaults, provider, route, deployment; a request's header comes after.

Whoever compiles the configuration asks here once, so that nobody looks a level up again while a
request is served.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import msgspec

from proxy.config.resilience import Adaptive, Breaker, Probe
from proxy.config.structs import Config, Deployment, Provider, Retries, Route, Timeouts

_Settings = TypeVar("_Settings", bound=msgspec.Struct)
_Value = TypeVar("_Value")


class ResolvedLimits(NamedTuple):
    """What holds for one provider.

    Attributes:
        workers: calls in flight at once.
        queue: calls that may wait.
        queue_timeout: seconds a call may wait.
        queue_bytes: of the requests in flight and waiting.
        timeouts: for calls that come by no route, and the start for those that do.
        retries: likewise.
        breaker: of each of its models.
        adaptive: of each of its credentials.
        probe: of what rests.
    """

    workers: int
    queue: int
    queue_timeout: float
    queue_bytes: int
    timeouts: Timeouts
    retries: Retries
    breaker: Breaker
    adaptive: Adaptive
    probe: Probe


def provider_limits(config: Config, provider: Provider) -> ResolvedLimits:
    """Return what holds for this provider."""
    far, near = config.defaults, provider
    return ResolvedLimits(
        workers=_nearer(near.workers, far.workers),
        queue=_nearer(near.queue, far.queue),
        queue_timeout=_nearer(near.queue_timeout, far.queue_timeout),
        queue_bytes=_nearer(near.queue_bytes, far.queue_bytes),
        timeouts=_nearest(far.timeouts, near.timeouts),
        retries=_nearest(far.retries, near.retries),
        breaker=_nearer(near.breaker, far.breaker),
        adaptive=_nearer(near.adaptive, far.adaptive),
        probe=_nearer(near.probe, far.probe),
    )


def deployment_timeouts(
    config: Config, provider: Provider, route: Route, deployment: Deployment
) -> Timeouts:
    """Return what holds for an attempt on this deployment, which is of `provider` and `route`."""
    far = config.defaults.timeouts
    return _nearest(far, provider.timeouts, route.timeouts, deployment.timeouts)


def deployment_retries(
    config: Config, provider: Provider, route: Route, deployment: Deployment
) -> Retries:
    """Return how this deployment, which is of `provider` and `route`, is tried again."""
    far = config.defaults.retries
    return _nearest(far, provider.retries, route.retries, deployment.retries)


def _nearer(near: _Value | None, far: _Value) -> _Value:
    return far if near is None else near


def _nearest(far: _Settings, *nearer: msgspec.Struct) -> _Settings:
    """Return `far` with what the nearer levels set, the last of them strongest."""
    for level in nearer:
        given = {k: v for k, v in msgspec.structs.asdict(level).items() if v is not None}
        if given:
            far = msgspec.structs.replace(far, **given)
    return far
