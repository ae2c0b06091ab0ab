"""Hugging Face: the router to many vendors, and endpoints of one's own.

Chat and responses are OpenAI's wire format; which vendor serves a model may stand behind its
name, "meta-llama/Llama-3.3-70B-Instruct:groq". Embeddings and images are tasks with a format
of their own.

Options of the provider:

    own  true where the base URL is a TGI or TEI server of one's own, without "/v1": then
         embeddings are OpenAI's format too, and images are asked for at "/"

Source: https://huggingface.co/docs/inference-providers/index and .../tasks/feature-extraction,
.../tasks/text-to-image (2026-11-21)
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from urllib.parse import quote

import msgspec

from adapters import openai
from adapters._openai_wire import UNREADABLE, refused
from adapters.openai import JSON, PATHS, Quirks
from proxy.adapter import (
    Defaults,
    Dropped,
    Operation,
    Target,
    UpstreamRequest,
    UpstreamResponse,
    header,
)
from proxy.embeddings import embeddings
from proxy.errors import InvalidRequest, UpstreamBadResponse, UpstreamError
from proxy.framing import SSE
from proxy.wire import Request, Response, Usage

__all__ = ["authorize", "defaults", "error", "operations"]

defaults = Defaults(
    "https://router.huggingface.co",
    "HF_TOKEN",
    also=("HUGGINGFACEHUB_API_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
)
authorize = openai.authorize

_QUIRKS = Quirks(developer=False, renames={"max_completion_tokens": "max_tokens"})
_TASKS = "/hf-inference/models"
_EMBEDDED = frozenset({"model", "input", "encoding_format", "user"})
_DRAWN = frozenset({"model", "prompt", "size", "seed", "negative_prompt", "user"})
_NO_TASK_OF_IT = "the task has no such parameter"


# OpenAI to vendor


def _chat(operation: str, request: Request, target: Target) -> UpstreamRequest:
    body, dropped = openai.body(operation, request, target, _QUIRKS)
    headers = (*authorize(target), JSON)
    return UpstreamRequest("POST", f"/v1{PATHS[operation]}", headers, body, dropped=dropped)


def _embeddings(request: Request, target: Target) -> UpstreamRequest:
    if target.options.get("own"):
        return _chat("embeddings", request, target)
    try:
        texts = msgspec.json.decode(request.raw("input") or b"null", type=str | list[str])
    except msgspec.ValidationError:
        raise InvalidRequest("`input` must be text or a list of texts", param="input") from None
    sent = {"inputs": [texts] if isinstance(texts, str) else texts}
    path = f"{_TASKS}/{quote(target.model)}/pipeline/feature-extraction"
    return _task(path, sent, target, _rest(request, _EMBEDDED))


def _images(request: Request, target: Target) -> UpstreamRequest:
    asked = {
        "seed": request.get("seed", int),
        "negative_prompt": request.get("negative_prompt", str),
    }
    parameters = {name: value for name, value in asked.items() if value is not None}
    size = request.get("size", str) or "auto"
    if size != "auto":
        width, _, height = size.partition("x")
        if not (width.isdecimal() and height.isdecimal()):
            raise InvalidRequest("`size` must be like 1024x1024", param="size")
        parameters |= {"width": int(width), "height": int(height)}
    sent = {"inputs": request.get("prompt", str) or "", "parameters": parameters}
    path = "/" if target.options.get("own") else f"{_TASKS}/{quote(target.model)}"
    return _task(path, sent, target, _rest(request, _DRAWN))


def _task(
    path: str, sent: Mapping[str, object], target: Target, dropped: list[Dropped]
) -> UpstreamRequest:
    headers = (*authorize(target), JSON)
    return UpstreamRequest("POST", path, headers, msgspec.json.encode(sent), dropped=dropped)


def _rest(request: Request, known: frozenset[str]) -> list[Dropped]:
    return [Dropped(name, _NO_TASK_OF_IT) for name in request.names() if name not in known]


# Vendor to OpenAI


_LIST = msgspec.json.Decoder(list[msgspec.Raw])


def _vectors(response: UpstreamResponse, created: int) -> Response:
    """Return embeddings; an endpoint of one's own gives them in OpenAI's form already.

    Raises:
        UpstreamBadResponse: it is neither.
    """
    if response.body.lstrip().startswith(b"{"):
        return openai.response(response, created)
    try:
        vectors = _LIST.decode(response.body)
    except UNREADABLE:
        raise UpstreamBadResponse("the provider sent no list of embeddings") from None
    if vectors and not bytes(vectors[0]).startswith(b"["):
        vectors = [msgspec.Raw(response.body)]
    return embeddings(response, vectors, None)


def _picture(response: UpstreamResponse, created: int) -> Response:
    """Return the image that came as bytes.

    Raises:
        UpstreamBadResponse: it is no image.
    """
    kind = header(response.headers, "content-type") or ""
    if not kind.startswith("image/"):
        raise UpstreamBadResponse(f"the provider sent {kind or 'something'} in place of an image")
    image = {"b64_json": base64.b64encode(response.body).decode()}
    document = {
        "created": created,
        "output_format": kind.removeprefix("image/"),
        "data": [image],
    }
    return Response(msgspec.json.encode(document), Usage(images=1))


class _Loading(msgspec.Struct):
    estimated_time: float | None = None


_LOADING = msgspec.json.Decoder(_Loading)


def error(response: UpstreamResponse) -> UpstreamError:
    """Read the words; a model that is still being loaded says for how long, in seconds."""
    failure = refused(response)
    if response.status == 503 and failure.retry_after_s is None:
        with suppress(*UNREADABLE):  # it did not say
            failure.retry_after_s = _LOADING.decode(response.body).estimated_time
    return failure


def _spoken(name: str) -> Operation:
    stream = openai.stream(name, _QUIRKS)
    return Operation(partial(_chat, name), openai.response, stream, SSE, forwards=True)


operations = {
    "chat": _spoken("chat"),
    "responses": _spoken("responses"),
    "embeddings": Operation(_embeddings, _vectors, None, SSE),
    "images": Operation(_images, _picture, None, SSE),
}
