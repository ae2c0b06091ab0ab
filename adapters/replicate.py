"""Replicate: images, made by predictions that are asked for until they are done.

The model is "owner/name", or "owner/name:version". Members of the request that OpenAI does not
know go to the model as they are: what a model takes is its own affair.

Source: https://replicate.com/docs/reference/http (2026-11-21)
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from adapters import openai
from adapters._openai_wire import UNREADABLE
from adapters.openai import JSON
from proxy.adapter import (
    Defaults,
    Dropped,
    Follow,
    Operation,
    Passing,
    Target,
    UpstreamRequest,
    UpstreamResponse,
)
from proxy.errors import ContentFiltered, InvalidRequest, UpstreamBadResponse, UpstreamFailed
from proxy.framing import SSE
from proxy.wire import Request, Response, Usage

__all__ = ["authorize", "defaults", "error", "operations"]

defaults = Defaults(
    "https://api.replicate.com/v1",
    "REPLICATE_API_TOKEN",
    passing=Passing(links=frozenset({"cancel", "get", "next", "previous"})),
)
authorize = openai.authorize
error = openai.error

POLL_S = 1.0

_RENAMED = {"n": "num_outputs"}
_UNKNOWN = ("quality", "style", "background", "moderation", "response_format", "output_compression")
_OURS = frozenset({"model", "size", "user", "stream", *_UNKNOWN})
_WORKING = frozenset({"starting", "processing", "queued"})


# OpenAI to vendor


def _images(request: Request, target: Target) -> UpstreamRequest:
    given: dict[str, Any] = msgspec.json.decode(request.encode())
    taken = {_RENAMED.get(name, name): value for name, value in given.items() if name not in _OURS}
    sent: dict[str, Any] = {"input": {**taken, **_size(given.get("size") or "auto")}}
    name, _, version = target.model.partition(":")
    path = f"/models/{quote(name)}/predictions"
    if version:
        sent, path = {"version": version, **sent}, "/predictions"
    lost = [Dropped(name, "no model here takes it") for name in _UNKNOWN if given.get(name)]
    headers = (*authorize(target), JSON)
    body = msgspec.json.encode(sent)
    return UpstreamRequest("POST", path, headers, body, safe=False, dropped=lost)


def _size(size: object) -> dict[str, int]:
    if size == "auto":
        return {}
    width, _, height = str(size).partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise InvalidRequest("`size` must be like 1024x1024", param="size")
    return {"width": int(width), "height": int(height)}


# Vendor to OpenAI


class _Prediction(msgspec.Struct):
    id: str
    status: str
    output: str | list[str] | None = None
    error: str | None = None


_PREDICTION = msgspec.json.Decoder(_Prediction)


def _follow(response: UpstreamResponse, target: Target) -> Follow | None:
    """Return the next question while the prediction is being made."""
    found = _read(response)
    if found.status not in _WORKING:
        return None
    path = f"/predictions/{quote(found.id, safe='')}"
    return Follow(UpstreamRequest("GET", path, authorize(target)), POLL_S)


def _response(response: UpstreamResponse, created: int) -> Response:
    """Return the images by URL; they are kept for an hour.

    Raises:
        ContentFiltered: the model's own filter refused to show them.
        UpstreamFailed: the prediction failed or was cancelled.
        UpstreamBadResponse: it is none.
    """
    found = _read(response)
    if found.status != "succeeded":
        message = found.error or f"the prediction is {found.status}"
        refused = "NSFW" in message or "flagged" in message
        raise (ContentFiltered if refused else UpstreamFailed)(message)
    urls = [found.output] if isinstance(found.output, str) else found.output or []
    document = {"created": created, "data": [{"url": url} for url in urls]}
    return Response(msgspec.json.encode(document), Usage(images=len(urls)))


def _read(response: UpstreamResponse) -> _Prediction:
    try:
        return _PREDICTION.decode(response.body)
    except UNREADABLE:
        raise UpstreamBadResponse("the provider sent no prediction") from None


operations = {"images": Operation(_images, _response, None, SSE, follow=_follow)}
