"""Azure: OpenAI's wire format at a resource's own address.

The base URL is the resource, "https://<resource>.openai.azure.com". There are three ways in:

    v1      /openai/v1/…, the model's name is the deployment's
    dated   /openai/deployments/<deployment>/…?api-version=…, with the option `api_version`
    models  /models/…?api-version=…, with the option `endpoint: models`, for other makers' models

Options of the provider:

    api_version  such as "2024-10-21"
    endpoint     "openai", or "models"
    entra        true, or `tenant_id`, `client_id` and `client_secret`: tokens of Entra ID in
                 place of a key, by the package azure-identity; `scope` names another audience

Source: https://learn.microsoft.com/azure/ai-foundry/openai/reference and
.../openai/api-version-lifecycle (2026-11-21)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from typing import Any
from urllib.parse import quote

import msgspec

from adapters import openai
from adapters._openai_wire import UNREADABLE, words
from adapters.openai import OURS, PATHS, Quirks
from proxy import failures
from proxy.adapter import (
    Authorizer,
    Defaults,
    Headers,
    Operation,
    Passing,
    Send,
    Target,
    UpstreamRequest,
    UpstreamResponse,
)
from proxy.errors import UpstreamAuth, UpstreamError
from proxy.framing import SSE
from proxy.wire import Request

defaults = Defaults(
    credential_variable="AZURE_OPENAI_API_KEY",
    base_url_variable="AZURE_OPENAI_ENDPOINT",
    passing=Passing(openai_path="/openai/v1"),
)

_OF_THE_PATHS = re.compile(r"/openai(?:/.*)?$")


def base_url(given: str, options: Mapping[str, Any]) -> str:
    """Return the resource of an endpoint as the portal shows it: `…/openai/v1`, a deployment's."""
    return _OF_THE_PATHS.sub("", given.rstrip("/"))


OPERATIONS = (
    *("chat", "completions", "embeddings", "responses", "input_tokens", "images", "image_edits"),
    *("speech", "transcriptions", "translations"),
)
SCOPE = "https://cognitiveservices.azure.com/.default"

_MODELS = "models"
_MODELS_VERSION = "2024-05-01-preview"
_WITHOUT_DEPLOYMENT = frozenset({"responses", "input_tokens"})
_FIRST_WITH_STREAM_OPTIONS = "2024-09"
_OLD = Quirks(stream_options=False)
_PASS_ON = ("extra-parameters", "pass-through")  # else what the service does not know is a 400
_FILTERED = frozenset({"ResponsibleAIPolicyViolation", "content_filter"})


# OpenAI to vendor


def authorize(target: Target) -> Headers:
    """Return the key's header, and what the configuration adds."""
    if not target.credential:
        return target.headers
    return (("api-key", target.credential), *target.headers)


def _request(operation: str, request: Request, target: Target) -> UpstreamRequest:
    version = target.options.get("api_version")
    models = target.options.get("endpoint") == _MODELS
    dated = isinstance(version, str) and not models
    quirks = _OLD if dated and str(version) < _FIRST_WITH_STREAM_OPTIONS else OURS
    body, dropped = openai.body(operation, request, target, quirks)
    kind = ("content-type", request.content_type)
    headers = (*authorize(target), kind, *((_PASS_ON,) if models else ()))
    path = _path(operation, target.model, str(version or ""), models)
    return UpstreamRequest("POST", path, headers, body, dropped=dropped)


def _path(operation: str, deployment: str, version: str, models: bool) -> str:
    if models:
        return f"/models{PATHS[operation]}?api-version={quote(version or _MODELS_VERSION)}"
    if not version:
        return f"/openai/v1{PATHS[operation]}"
    if operation in _WITHOUT_DEPLOYMENT:
        return f"/openai{PATHS[operation]}?api-version={quote(version)}"
    place = f"/openai/deployments/{quote(deployment, safe='')}"
    return f"{place}{PATHS[operation]}?api-version={quote(version)}"


class Entra:
    """Tokens of Entra ID; azure-identity keeps one until it is about to expire."""

    signs_body = False
    base_url = ""

    def __init__(self, identity: Any, failure: type[Exception], scope: str) -> None:
        """Use `identity`, whose refusals are `failure`s."""
        self._identity = identity
        self._failure = failure
        self._scope = scope

    async def headers(self, request: UpstreamRequest, url: str) -> Headers:
        """Return the bearer header.

        Raises:
            UpstreamAuth: Entra ID gives no token.
        """
        try:
            token = await self._identity.get_token(self._scope)
        except self._failure:
            raise UpstreamAuth("no token could be had from Entra ID") from None
        return (("authorization", f"Bearer {token.token}"),)


def authorizer(options: Mapping[str, Any], credential: str, send: Send) -> Authorizer | None:
    """Return what asks Entra ID for tokens, if the options say so and there is no key.

    Raises:
        ValueError: azure-identity is not installed.
    """
    wanted = options.get("entra")
    if credential or not wanted:
        return None
    try:
        identity = import_module("azure.identity.aio")
        failure = import_module("azure.core.exceptions").AzureError
    except ImportError:
        raise ValueError("`entra` needs the package azure-identity") from None
    secret = dict(wanted) if isinstance(wanted, Mapping) else {}
    scope = secret.pop("scope", SCOPE)
    kind = identity.ClientSecretCredential if secret else identity.DefaultAzureCredential
    return Entra(kind(**secret), failure, scope)


# Vendor to OpenAI


class _Inner(msgspec.Struct):
    code: str | None = None


class _Error(msgspec.Struct):
    innererror: _Inner | None = None
    inner_error: _Inner | None = None


class _Refusal(msgspec.Struct):
    error: _Error | None = None


_REFUSAL = msgspec.json.Decoder(_Refusal)


def error(response: UpstreamResponse) -> UpstreamError:
    """Read OpenAI's error object, and inside it whether the content filter spoke.

    Source: https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter
    (2026-11-21)
    """
    said = words(response)
    if _filtered(response.body):
        said = said._replace(code="content_filter")
    return failures.upstream_error(response.status, said, response.headers)


def _filtered(body: bytes) -> bool:
    try:
        found = _REFUSAL.decode(body).error
    except UNREADABLE:
        return False
    inner = (found.innererror or found.inner_error) if found else None
    return inner is not None and inner.code in _FILTERED


def _operation(name: str) -> Operation:
    response = openai.RESPONSES.get(name, openai.response)
    return Operation(
        partial(_request, name),
        response,
        openai.stream(name),
        SSE,
        forwards=True,
        by_type=name in openai.SOUNDS,
    )


operations = {name: _operation(name) for name in OPERATIONS}
