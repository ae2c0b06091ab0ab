"""What many tests need: exchanges, deployments and routes without a configuration."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

from proxy.adapter import Adapter, UpstreamRequest, UpstreamResponse
from proxy.config.structs import Retries, Timeouts
from proxy.credentials import Credential
from proxy.deployments import Deployment
from proxy.exchange import Exchange
from proxy.hooks import Chain
from proxy.queues import Bounds, ProviderUnit
from proxy.routing import Strategy
from proxy.routing.table import Route
from proxy.upstream import Upstream
from proxy.wire import Request

CHAT = cast(Adapter, SimpleNamespace(operations={"chat": None, "embeddings": None}))
"""An adapter that nobody calls, only asks what it serves."""


def exchange(body: bytes = b'{"model":"m"}', operation: str = "chat") -> Exchange:
    """Return an exchange that has just begun."""
    return Exchange(
        id="req_1",
        operation=operation,
        method="POST",
        path="/v1/chat/completions",
        headers={},
        received_at=1_700_000_000.0,
        started=0.0,
        request=Request(body),
    )


def unit(
    name: str = "p",
    workers: int = 1,
    queue: int = 0,
    timeout_s: float = 10,
    credentials: Sequence[Credential] = (),
) -> ProviderUnit:
    """Return a provider whose connections nobody opens."""
    bounds = Bounds(workers, queue, timeout_s)
    return ProviderUnit(name, cast(Upstream, None), bounds, credentials)


def deployment(name: str = "p", **settings: Any) -> Deployment:
    """Return a deployment, on a provider of its own unless `unit` says another."""
    given = {
        "unit": unit(name),
        "adapter": CHAT,
        "timeouts": Timeouts(),
        "retries": Retries(),
        "model": f"model-of-{name}",
        **settings,
    }
    given.setdefault("health", given["unit"].health(given["model"] or ""))
    return Deployment(**given)


class First:
    """The strategy that keeps the order."""

    def choose(self, candidates: Sequence[Deployment], exchange: Exchange) -> Deployment:
        """Return the first."""
        return candidates[0]

    def score(self, deployment: Deployment, exchange: Exchange) -> str:
        """Return nothing: the order is the configuration's."""
        return ""


def route(
    *deployments: Deployment,
    name: str = "r",
    strategy: Strategy | None = None,
    fallbacks: Sequence[Route] = (),
    context_fallbacks: Sequence[Route] = (),
    **settings: Any,
) -> Route:
    """Return a route over these deployments, without plugins."""
    return Route(
        name=name,
        strategy=strategy or First(),
        strategy_name="first",
        deployments=deployments,
        chain=Chain(()),
        fallbacks=fallbacks,
        context_fallbacks=context_fallbacks,
        **settings,
    )


async def unsent(request: UpstreamRequest) -> UpstreamResponse:
    """Stand for what sends an authorizer's requests, where it must send none."""
    raise AssertionError(request)
