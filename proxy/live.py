"""`headgate check --live`: every configured deployment, called as a client would call it.

A gateway of its own is started on a free port of this machine, with the same providers and a
key that nobody else knows. Each deployment gets a route to itself, so that what is found is
its own: nothing is retried, and no other deployment answers in its place.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, NamedTuple

import aiohttp
import msgspec

from proxy import registry
from proxy.config.nearer import NearerRetries
from proxy.config.structs import (
    Config,
    Deployment,
    Key,
    PluginEntry,
    Route,
    State,
    Store,
)
from proxy.config.types import Secret
from proxy.gateway import Gateway
from proxy.liveclient import Client, Failed
from proxy.sink import Sink

_AT_ONCE = 8
_REASON = 300
_EMBEDDING = re.compile(r"embed|minilm|(^|[/-])(bge|e5|gte|voyage)-", re.IGNORECASE)
_ONCE = NearerRetries(attempts=1)

UNTRIED = "\u2013"
"""What stands in the table where nothing was tried."""


class Finding(NamedTuple):
    """What came of one feature at one deployment.

    Attributes:
        tried: False where the deployment is not for this: a chat model has no embeddings.
        fault: why it does not work; empty where it does.
        reason: the same at length.
    """

    tried: bool = True
    fault: str = ""
    reason: str = ""

    def __str__(self) -> str:
        if not self.tried:
            return UNTRIED
        return f"no: {self.fault}" if self.fault else "ok"


class Row(NamedTuple):
    """One deployment and what was found.

    Attributes:
        name: `provider/model`.
        findings: by feature, in the order of `FEATURES`.
    """

    name: str
    findings: Mapping[str, Finding]


async def _chat(client: Client) -> None:
    answer = await client.chat({"messages": [_said("Reply with the single word: ready")]})
    message, reason = answer
    if not message.get("content"):
        raise Failed("no_text", f"an answer without text (finish_reason {reason})")
    if reason not in ("stop", "length"):
        raise Failed("finish_reason", f"the answer ended with {reason!r}")


async def _stream(client: Client) -> None:
    text, reason = await client.stream({"messages": [_said("Count from 1 to 10.")]})
    if not text:
        raise Failed("no_text", "a stream without text")
    if reason not in ("stop", "length"):
        raise Failed("finish_reason", f"the stream ended with {reason!r}")


async def _tools(client: Client) -> None:
    asked = "What is the weather in Paris now? Use the tool get_weather."
    message, _ = await client.chat({"messages": [_said(asked)], "tools": [_TOOL]}, needs="tools")
    calls = message.get("tool_calls")
    if not calls:
        raise Failed("no_call", "the tool was not called")
    function = calls[0]["function"]
    if function["name"] != "get_weather":
        raise Failed("wrong_call", f"another tool was called: {str(function['name'])[:60]!r}")
    if not isinstance(_json(function["arguments"]).get("city"), str):
        raise Failed("wrong_arguments", "the arguments do not fit the tool")


async def _schema(client: Client) -> None:
    asked = "Name the largest city of Japan and its population, as JSON."
    document = {"messages": [_said(asked)], "response_format": _FORMAT}
    message, _ = await client.chat(document, needs="response_format")
    found = _json(message.get("content"))
    city, population = found.get("city"), found.get("population")
    if len(found) != 2 or not isinstance(city, str) or not isinstance(population, int):
        raise Failed("wrong_schema", "the answer does not fit the schema")


async def _embeddings(client: Client) -> None:
    answer = await client.post("/embeddings", {"input": ["one", "two"]})
    vectors = [entry["embedding"] for entry in answer["data"]]
    if len(vectors) != 2 or not all(vectors):
        raise Failed("no_vectors", "not one vector for each text")


_OBJECT = {"type": "object", "additionalProperties": False}
_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Return the current weather of a city.",
        "parameters": {
            **_OBJECT,
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
_FORMAT = {
    "type": "json_schema",
    "json_schema": {
        "name": "city",
        "strict": True,
        "schema": {
            **_OBJECT,
            "properties": {"city": {"type": "string"}, "population": {"type": "integer"}},
            "required": ["city", "population"],
        },
    },
}
FEATURES: Mapping[str, tuple[str, Callable[[Client], Awaitable[None]]]] = {
    "chat": ("chat", _chat),
    "stream": ("chat", _stream),
    "tools": ("chat", _tools),
    "json_schema": ("chat", _schema),
    "embeddings": ("embeddings", _embeddings),
}
"""What is tried, by name: the operation it belongs to, and how."""

_HOPELESS = frozenset({"upstream_auth", "upstream_unreachable", "model_not_found", "no_deployment"})
"""Faults after which nothing else need be tried."""


async def check(config: Config, sink: Sink) -> list[Row]:
    """Call every deployment of `config` that names a model, and say what works.

    Args:
        config: checked.
        sink: where the gateway's log lines go.

    Raises:
        ConfigError: a plugin refused its options.
    """
    deployments = _deployments(config)
    key = secrets.token_urlsafe(24)
    async with AsyncExitStack() as stack:
        listening = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        ours = _config(config, deployments, key)
        gateway = Gateway(ours, lambda: ours, sink=sink)
        await gateway.start([listening])
        stack.push_async_callback(gateway.stop)
        headers = {"authorization": f"Bearer {key}"}
        timeout = aiohttp.ClientTimeout(total=None)  # the configured timeouts hold
        # A stream that fails ends its connection, so none is used a second time.
        connector = aiohttp.TCPConnector(force_close=True)
        session = aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout)
        await stack.enter_async_context(session)
        places = asyncio.Semaphore(_AT_ONCE)
        rows = [
            _row(config, deployment, Client(session, url, name), places)
            for name, (deployment, _) in deployments.items()
        ]
        return list(await asyncio.gather(*rows))


def unnamed(config: Config) -> list[str]:
    """Return the routes with a deployment that cannot be called, since nobody names a model."""
    return [
        name
        for name, route in config.routes.items()
        if any(not _model(name, deployment) for deployment in route.deployments)
    ]


def table(rows: Sequence[Row]) -> str:
    """Return deployments by features as text, and below it what does not work, at length."""
    lines = [("deployment", *FEATURES)]
    lines += [(row.name, *map(str, row.findings.values())) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    reasons = [
        f"{row.name} {feature}: {finding.reason}"
        for row in rows
        for feature, finding in row.findings.items()
        if finding.fault
    ]
    return "\n".join([*shown, *([""] if reasons else []), *reasons])


def failed(rows: Sequence[Row]) -> bool:
    """Whether anything that was tried does not work."""
    return any(finding.fault for row in rows for finding in row.findings.values())


def _deployments(config: Config) -> dict[str, tuple[Deployment, Route]]:
    """Return each deployment once, under the name of a route to it alone."""
    found: list[tuple[Deployment, Route]] = []
    for name, route in config.routes.items():
        for deployment in route.deployments:
            model = _model(name, deployment)
            alone = msgspec.structs.replace(
                deployment, model=model, priority=1, weight=1, tags={}, retries=_ONCE
            )
            own = Route(deployments=[alone], timeouts=route.timeouts, retries=_ONCE)
            if model and (alone, own) not in found:
                found.append((alone, own))
    return {f"check-{number}": each for number, each in enumerate(found)}


def _model(route: str, deployment: Deployment) -> str:
    """Return what the vendor is asked for; empty where only a client's request could say."""
    is_pattern = any(character in route for character in "*?[")
    return deployment.model or ("" if is_pattern else route)


def _config(
    config: Config, deployments: Mapping[str, tuple[Deployment, Route]], key: str
) -> Config:
    server = msgspec.structs.replace(config.server, tls=None, workers=1, metrics=False, grace=0)
    return msgspec.structs.replace(
        config,
        server=server,
        state=State(),
        store=Store(),
        routes={name: route for name, (_, route) in deployments.items()},
        plugins=[PluginEntry(name="auth")],
        keys=[Key(name="check", value=Secret(key))],
    )


async def _row(
    config: Config, deployment: Deployment, client: Client, places: asyncio.Semaphore
) -> Row:
    provider = config.providers[deployment.provider]
    served = registry.adapter(provider.adapter or deployment.provider).operations.keys()
    meant = "embeddings" if _EMBEDDING.search(deployment.model) else "chat"
    findings: dict[str, Finding] = {}
    hopeless: Finding | None = None
    async with places:
        for feature, (operation, probe) in FEATURES.items():
            if operation != meant or operation not in served:
                findings[feature] = Finding(tried=False)
                continue
            findings[feature] = hopeless or await _finding(client, probe)
            if findings[feature].fault in _HOPELESS:
                hopeless = findings[feature]
    return Row(f"{deployment.provider}/{deployment.model}", findings)


async def _finding(client: Client, probe: Callable[[Client], Awaitable[None]]) -> Finding:
    try:
        await probe(client)
    except Failed as error:
        return Finding(fault=error.fault, reason=" ".join(error.reason.split())[:_REASON])
    except (LookupError, TypeError, AttributeError):
        return Finding(fault="malformed", reason="the answer has not the form of this operation")
    return Finding()


def _said(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _json(text: str | None) -> dict[str, Any]:
    with suppress(msgspec.MsgspecError):
        found = msgspec.json.decode(text or "")
        if isinstance(found, dict):
            return found
    raise Failed("no_json", "the answer is no JSON object")
