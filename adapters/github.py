"""GitHub Models, and Copilot's endpoint: OpenAI's wire format with headers of their own.

An organisation's models are at the base URL "https://models.github.ai/orgs/<name>/inference".
Copilot is at "https://api.githubcopilot.com", with the option `copilot`; its credential is a
token that Copilot takes as it is.

Options of the provider:

    copilot  true, or `integration_id` and `editor_version` as registered with Copilot

Source: https://docs.github.com/rest/models/inference (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from adapters import azure, openai
from adapters.openai import JSON, PATHS
from proxy.adapter import Defaults, Headers, Operation, Target, UpstreamRequest
from proxy.framing import SSE
from proxy.wire import Request

__all__ = ["authorize", "defaults", "error", "operations"]

defaults = Defaults("https://models.github.ai/inference", "GITHUB_TOKEN")
authorize = openai.authorize
error = azure.error  # the same machines answer, content filter included

_VERSION = ("x-github-api-version", "2022-11-28")
_INTEGRATION, _EDITOR = "vscode-chat", "vscode/1.104.0"
_SEES = (b'"image_url"', b'"input_image"')


# OpenAI to vendor


def _request(operation: str, request: Request, target: Target) -> UpstreamRequest:
    body, dropped = openai.body(operation, request, target)
    copilot = target.options.get("copilot")
    own = _copilot(copilot, body) if copilot else (_VERSION,)
    headers = (*authorize(target), JSON, *own)
    return UpstreamRequest("POST", PATHS[operation], headers, body, dropped=dropped)


def _copilot(option: object, body: bytes) -> Headers:
    """Return the headers that name the client; one with images says so."""
    named = option if isinstance(option, Mapping) else {}
    sees = any(word in body for word in _SEES)
    return (
        ("copilot-integration-id", str(named.get("integration_id", _INTEGRATION))),
        ("editor-version", str(named.get("editor_version", _EDITOR))),
        *((("copilot-vision-request", "true"),) if sees else ()),
    )


def _operation(name: str) -> Operation:
    stream = openai.stream(name)
    return Operation(partial(_request, name), openai.response, stream, SSE, forwards=True)


operations = {name: _operation(name) for name in ("chat", "embeddings", "responses")}
