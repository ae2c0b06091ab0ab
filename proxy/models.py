"""`/v1/models`: the names a client may send, and what stands behind them.

Source: https://platform.openai.com/docs/api-reference/models (2026-11-21)
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import msgspec
from aiohttp import web

from proxy.catalogue import Model, lookup
from proxy.errors import MethodNotAllowed, ModelNotFound
from proxy.exchange import Exchange
from proxy.keys import may_use
from proxy.pipeline import Client, Found
from proxy.routing.table import Route
from proxy.snapshot import Snapshot
from proxy.wire import Response

_PREFIX = "/v1/models/"


async def listing(
    snapshot: Snapshot, request: web.BaseRequest, exchange: Exchange, client: Client, found: Found
) -> Response:
    """Answer the list, or one of it, as far as the client's key may use them.

    Raises:
        ModelNotFound: nobody of this name.
        MethodNotAllowed: something else than reading was asked for.
    """
    if request.method not in ("GET", "HEAD"):
        error = MethodNotAllowed(f"{exchange.path} takes GET")
        error.headers["allow"] = "GET"
        raise error
    models = {
        model["id"]: model
        for model in _all(snapshot)
        if not exchange.key.routes or may_use(exchange.key, model["id"])
    }
    if not exchange.path.startswith(_PREFIX):
        document: dict[str, Any] = {"object": "list", "data": list(models.values())}
        return Response(msgspec.json.encode(document))
    name = unquote(exchange.path.removeprefix(_PREFIX))
    if name in models:
        return Response(msgspec.json.encode(models[name]))
    route, model = snapshot.routes.find(name)  # a pattern, `*` or provider/model may take it
    if exchange.key.routes and not may_use(exchange.key, name):
        raise ModelNotFound(f"the model {name[:100]!r} does not exist", param="model")
    return Response(msgspec.json.encode(_model(name, route, model)))


def _all(snapshot: Snapshot) -> list[dict[str, Any]]:
    routes = snapshot.routes
    models = [_model(name, routes.routes[name], name) for name in routes.names()]
    known = {model["id"] for model in models}
    for route in routes.routes.values():
        for deployment in route.deployments:
            name = deployment.name
            if deployment.model and name not in known:
                known.add(name)
                models.append(_entry(name, deployment.unit.name, [name]) | _facts(deployment.facts))
    return models


def _model(name: str, route: Route, model: str) -> dict[str, Any]:
    deployments = [d.name for d in route.under(model).deployments]
    first = route.deployments[0] if route.deployments else None
    owner = first.unit.name if first else "headgate"
    facts = (first.facts if first else None) or lookup(model)
    return _entry(name, owner, deployments) | _facts(facts)


def _facts(facts: Model | None) -> dict[str, Any]:
    """What the catalogue knows, beside OpenAI's members."""
    if facts is None:
        return {}
    known = {
        "context_window": facts.context_tokens,
        "max_output_tokens": facts.output_tokens,
        "capabilities": sorted(facts.capabilities) if facts.capabilities is not None else None,
    }
    return {name: value for name, value in known.items() if value is not None}


def _entry(name: str, owner: str, deployments: list[str]) -> dict[str, Any]:
    """OpenAI's model object; `created` is the epoch, since a route has no date."""
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": owner,
        "deployments": deployments,
    }
