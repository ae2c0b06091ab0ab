"""Stability: images from text, and models of three dimensions from an image.

The model is "core", "ultra", or one of those that "sd3" serves, such as "sd3.5-large"; for
`3d`, which is no operation of OpenAI's, "stable-fast-3d" or "stable-point-aware-3d".
Everything is sent as a form.

Source: https://platform.stability.ai/docs/api-reference (2026-11-21)
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from adapters import openai
from adapters._openai_wire import UNREADABLE
from proxy import failures
from proxy.adapter import (
    Defaults,
    Dropped,
    Headers,
    Operation,
    Target,
    UpstreamRequest,
    UpstreamResponse,
)
from proxy.errors import ContentFiltered, InvalidRequest, UpstreamBadResponse, UpstreamError
from proxy.failures import VendorError
from proxy.framing import SSE
from proxy.wire import Request, Response, Usage

__all__ = ["authorize", "defaults", "error", "operations"]

defaults = Defaults("https://api.stability.ai", "STABILITY_API_KEY")
authorize = openai.authorize

_RATIOS = ("16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21")
_OWN_PATH = frozenset({"core", "ultra"})
_DRAWN = frozenset({"negative_prompt", "aspect_ratio", "seed", "style_preset", "output_format"})
_SHAPED = frozenset({"texture_resolution", "foreground_ratio", "remesh", "vertex_count", "seed"})
_FILTERED = "CONTENT_FILTERED"
_UNKNOWN = "the service has no such parameter"


# OpenAI to vendor


def _images(request: Request, target: Target) -> UpstreamRequest:
    given: dict[str, Any] = msgspec.json.decode(request.encode())
    fields = {"prompt": given.pop("prompt", ""), **_picked(given, _DRAWN)}
    dropped = _dropped(given, {*_DRAWN, "model", "user"})
    size = given.get("size") or "auto"
    if size != "auto":
        fields.setdefault("aspect_ratio", _ratio(size))
        dropped = [d for d in dropped if d.name != "size"]
        dropped.append(Dropped("size", "only its aspect ratio is taken"))
    kind = target.model if target.model in _OWN_PATH else "sd3"
    if kind == "sd3":
        fields["model"] = target.model
    path = f"/v2beta/stable-image/generate/{kind}"
    return _form(path, fields, None, target, dropped)


def _shape(request: Request, target: Target) -> UpstreamRequest:
    given: dict[str, Any] = msgspec.json.decode(request.encode())
    image = _image(str(given.pop("image", "")), target)
    fields = _picked(given, _SHAPED)
    path = f"/v2beta/3d/{quote(target.model, safe='')}"
    return _form(path, fields, image, target, _dropped(given, {*_SHAPED, "model", "user"}))


def _image(url: str, target: Target) -> bytes:
    if url in target.media:
        return target.media[url].body
    _, comma, data = url.partition(",")
    try:
        return base64.b64decode(data if comma else url, validate=True)
    except ValueError:
        raise InvalidRequest("`image` must be a URL or base64", param="image") from None


def _links(request: Request) -> Sequence[str]:
    url = request.get("image", str) or ""
    return (url,) if url.startswith(("http:", "https:")) else ()


def _ratio(size: object) -> str:
    """Return the ratio nearest to that of "<width>x<height>"."""
    width, _, height = str(size).partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise InvalidRequest("`size` must be like 1024x1024", param="size")
    wanted = math.log(int(width) / int(height))
    return min(_RATIOS, key=lambda ratio: abs(_log(ratio) - wanted))


def _log(ratio: str) -> float:
    width, _, height = ratio.partition(":")
    return math.log(int(width) / int(height))


def _picked(given: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: given[name] for name in sorted(names) if given.get(name) is not None}


def _dropped(given: Mapping[str, Any], known: set[str]) -> list[Dropped]:
    return [
        Dropped(name, _UNKNOWN)
        for name, value in given.items()
        if name not in known and value is not None and not (name == "n" and value == 1)
    ]


def _form(
    path: str,
    fields: Mapping[str, Any],
    image: bytes | None,
    target: Target,
    dropped: list[Dropped],
) -> UpstreamRequest:
    """Return a form; its boundary comes from the content, so that it cannot be in there."""
    parts = [(f'name="{name}"', str(value).encode()) for name, value in fields.items()]
    if image is not None:
        parts.append(('name="image"; filename="image"', image))
    content = b"".join(value for _, value in parts)
    boundary = hashlib.blake2b(content, digest_size=16).hexdigest()
    pieces = [
        b"--%b\r\ncontent-disposition: form-data; %b\r\n\r\n%b\r\n"
        % (boundary.encode(), name.encode(), value)
        for name, value in parts
    ]
    body = b"".join((*pieces, b"--%b--\r\n" % boundary.encode()))
    headers: Headers = (
        *authorize(target),
        ("content-type", f"multipart/form-data; boundary={boundary}"),
        ("accept", "application/json" if image is None else "*/*"),
    )
    return UpstreamRequest("POST", path, headers, body, safe=False, dropped=dropped)


# Vendor to OpenAI


class _Image(msgspec.Struct):
    image: str | None = None
    finish_reason: str = ""


_IMAGE = msgspec.json.Decoder(_Image)


def _response(response: UpstreamResponse, created: int) -> Response:
    """Return the one image.

    Raises:
        ContentFiltered: the filter blurred it.
        UpstreamBadResponse: there is none.
    """
    try:
        found = _IMAGE.decode(response.body)
    except UNREADABLE:
        raise UpstreamBadResponse("the provider sent something that is not JSON") from None
    if found.finish_reason == _FILTERED:
        raise ContentFiltered("the provider's content filter refused the image")
    if not found.image:
        raise UpstreamBadResponse("the provider sent no image")
    document = {"created": created, "data": [{"b64_json": found.image}]}
    return Response(msgspec.json.encode(document), Usage(images=1))


class _Refusal(msgspec.Struct):
    name: str = ""
    errors: list[str] = []


_REFUSAL = msgspec.json.Decoder(_Refusal)


def error(response: UpstreamResponse) -> UpstreamError:
    """Read `{"name": ..., "errors": [...]}`; moderation comes as a 403 of that name."""
    try:
        found = _REFUSAL.decode(response.body)
    except UNREADABLE:
        found = _Refusal()
    words = "; ".join(found.errors) or f"the provider answered with status {response.status}"
    status, code = response.status, found.name or None
    if found.name == "content_moderation":
        status, code = 400, "content_filter"
    return failures.upstream_error(status, VendorError(words, None, code), response.headers)


operations = {
    "images": Operation(_images, _response, None, SSE),
    "3d": Operation(_shape, openai.media, None, SSE, media=_links),
}
