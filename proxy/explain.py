"""Which deployments would serve a request, in which order, and why the others would not.

No call is made: the same functions decide here and for a real request.
"""

from __future__ import annotations

from collections.abc import Iterator

from proxy.deployments import Deployment
from proxy.errors import GatewayError
from proxy.exchange import ClientKey
from proxy.keys import may_use
from proxy.routing.table import Route
from proxy.snapshot import Snapshot
from proxy.wire import Request

_ORDER = {
    "priority": "lowest priority number first, equals by weight",
    "round_robin": "each in turn",
    "random": "any of them",
    "weighted": "any of them, by weight",
}


def explain(
    snapshot: Snapshot, model: str, operation: str = "chat", key: ClientKey | None = None
) -> str:
    """Return the explanation as text, a line a fact.

    Raises:
        ModelNotFound: no route takes this name.
    """
    route, upstream_model = snapshot.routes.find(model)
    lines = [f"model {model!r} is served by route {route.name!r} ({_how(route)})"]
    if key is not None:
        verdict = "may" if may_use(key, model) else "may NOT"
        lines.append(f"key {key.name!r} {verdict} use it")
    lines += _deployments(route, upstream_model, operation)
    for title, others in (
        ("then fallback", route.fallbacks),
        ("if the prompt does not fit:", route.context_fallbacks),
    ):
        for other in others:
            lines.append(f"{title} {other.name!r} ({_how(other)})")
            lines += _deployments(other, upstream_model, operation)
    lines.append(
        f"at most {route.attempts} attempts within {route.total_s:g} s, all of these together"
    )
    return "\n".join(lines)


def operation_of(request: Request) -> str:
    """Return which operation a body is meant for."""
    if "messages" in request:
        return "chat"
    if "prompt" in request:
        return "completions"
    return "embeddings" if "encoding_format" in request or "dimensions" in request else "responses"


def _how(route: Route) -> str:
    return f"{route.strategy_name}: {_ORDER.get(route.strategy_name, 'as the strategy decides')}"


def _deployments(route: Route, model: str, operation: str) -> Iterator[str]:
    ranked = sorted(route.deployments, key=lambda d: (d.priority, -d.weight))
    for position, deployment in enumerate(ranked, 1):
        name = f"{deployment.unit.name}/{deployment.model or model}"
        fact = f"priority {deployment.priority}, weight {deployment.weight:g}{_known(deployment)}"
        reason = _hindrance(deployment, model, operation)
        yield f"  {position}. {name} ({fact})" if not reason else f"  -  {name}: {reason}"


def _known(deployment: Deployment) -> str:
    """What the catalogue says of its model."""
    facts = deployment.facts
    if facts is None:
        return ""
    context = f"; {facts.context_tokens} tokens of context" if facts.context_tokens else ""
    abilities = ", ".join(sorted(facts.capabilities or ()))
    return context + (f"; {abilities}" if abilities else "")


def _hindrance(deployment: Deployment, model: str, operation: str) -> str:
    """Why a deployment would not be asked, or nothing."""
    if operation not in deployment.adapter.operations:
        return f"its adapter does not serve {operation}"
    try:
        if deployment.target(model) is None:
            return "none of its provider's credentials may be used for this model"
    except GatewayError as error:
        return error.message
    if deployment.unit.full:
        return "its provider's queue is full"
    return ""
