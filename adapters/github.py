"""GitHub Models, and Copilot's endpoint: OpenAI's wire format with headers of their own.

An organisation's models are at the base URL "https://models.github.ai/orgs/<name>/inference".
With the option `copilot` it is Copilot's endpoint, at "https://api.githubcopilot.com" or where
the account's token says. Its credential is a GitHub token, which is exchanged for Copilot's own
and renewed in time; a token that is Copilot's already is sent as it is.

Options of the provider:

    copilot  true, or a mapping with any of `exchange: false` (send the credential as it is),
             `api_url` (GitHub's API, for enterprises), `integration_id`, `editor_version`,
             `plugin_version`, `user_agent` and `intent`, as registered with Copilot

Source: https://docs.github.com/rest/models/inference (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from adapters import _copilot as copilot
from adapters import azure, openai
from adapters.openai import JSON, PATHS
from proxy.adapter import (
    Authorizer,
    Defaults,
    Operation,
    Passing,
    Send,
    Target,
    UpstreamRequest,
)
from proxy.framing import SSE
from proxy.wire import Request

__all__ = ["authorize", "authorizer", "defaults", "error", "operations"]

defaults = Defaults(
    "https://models.github.ai/inference",
    "GITHUB_TOKEN",
    passing=Passing(beside=frozenset({"catalog", "orgs"})),
)
authorize = openai.authorize
error = azure.error  # the same machines answer, content filter included

_VERSION = ("x-github-api-version", "2022-11-28")


# OpenAI to vendor


def authorizer(options: Mapping[str, Any], credential: str, send: Send) -> Authorizer | None:
    """Return what exchanges a GitHub token for one of Copilot's, where that is wanted.

    Raises:
        ValueError: an option is wrong; the message is for the user.
    """
    return copilot.tokens(options.get("copilot"), credential, send)


def _request(operation: str, request: Request, target: Target) -> UpstreamRequest:
    body, dropped = openai.body(operation, request, target)
    chosen = copilot.settings(target.options.get("copilot"))
    own = copilot.headers(chosen, body) if chosen else (_VERSION,)
    headers = (*authorize(target), JSON, *own)
    return UpstreamRequest("POST", PATHS[operation], headers, body, dropped=dropped)


def _operation(name: str) -> Operation:
    stream = openai.stream(name)
    return Operation(partial(_request, name), openai.response, stream, SSE, forwards=True)


operations = {name: _operation(name) for name in ("chat", "embeddings", "responses")}
