"""The nearer setting wins: defaults, provider, route, deployment; a request's header comes after.

Whoever compiles the configuration asks here once, so that nobody looks a level up again while a
request is served.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import msgspec

from proxy.config.structs import Config, Deployment, Provider, Retries, Route, Timeouts

_Settings = TypeVar("_Settings", bound=msgspec.Struct)


class ResolvedLimits(NamedTuple):
    """What holds for one provider.

    Attributes:
        workers: calls in flight at once.
        queue: calls that may wait.
        queue_timeout: seconds a call may wait.
        timeouts: for calls that come by no route, and the start for those that do.
        retries: likewise.
    """

    workers: int
    queue: int
    queue_timeout: float
    timeouts: Timeouts
    retries: Retries


def provider_limits(config: Config, provider: Provider) -> ResolvedLimits:
    """Return what holds for this provider."""
    far, near = config.defaults, provider
    return ResolvedLimits(
        workers=far.workers if near.workers is None else near.workers,
        queue=far.queue if near.queue is None else near.queue,
        queue_timeout=far.queue_timeout if near.queue_timeout is None else near.queue_timeout,
        timeouts=_nearest(far.timeouts, near.timeouts),
        retries=_nearest(far.retries, near.retries),
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


def _nearest(far: _Settings, *nearer: msgspec.Struct) -> _Settings:
    """Return `far` with what the nearer levels set, the last of them strongest."""
    for level in nearer:
        given = {k: v for k, v in msgspec.structs.asdict(level).items() if v is not None}
        if given:
            far = msgspec.structs.replace(far, **given)
    return far
