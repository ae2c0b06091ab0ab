"""Embeddings of Google's models: in batches at one host, as predictions at the other.

Sources: https://ai.google.dev/api/embeddings and
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api
(2026-11-21)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from adapters._gemini_answer import Metadata
from adapters._gemini_errors import raise_enclosed
from proxy import embeddings
from proxy.adapter import Dropped, Headers, Target, UpstreamRequest, UpstreamResponse
from proxy.chat import unsupported
from proxy.errors import InvalidRequest, UpstreamBadResponse
from proxy.wire import Request, Response, Usage

_KNOWN = frozenset(
    {"input", "dimensions", "encoding_format", "task_type", "taskType", "title", "auto_truncate"}
)
_TASKS = {"query": "RETRIEVAL_QUERY", "document": "RETRIEVAL_DOCUMENT"}
_MOST_IN_A_BATCH = 100
_MOST_PREDICTIONS = 250
_ONE_BY_ONE = "gemini-embedding-"
_JSON = ("content-type", "application/json")


class _Statistics(msgspec.Struct, gc=False):
    token_count: float | None = None


class _Embedding(msgspec.Struct):
    values: msgspec.Raw = msgspec.Raw(b"[]")
    statistics: _Statistics | None = None


class _Prediction(msgspec.Struct):
    embeddings: _Embedding | None = None


class _Answer(msgspec.Struct, rename="camel"):
    embeddings: list[_Embedding] | None = None
    predictions: list[_Prediction] | None = None
    usage_metadata: Metadata | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


def request(
    path: Callable[[Target, str], str],
    authorize: Callable[[Target], Headers],
    request: Request,
    target: Target,
) -> UpstreamRequest:
    """Build `batchEmbedContents`.

    Raises:
        InvalidRequest: the input is not text.
    """
    name = target.model if "/" in target.model else f"models/{target.model}"
    options = {
        "taskType": _task(request),
        "title": request.get("title", str),
        "outputDimensionality": request.get("dimensions", int),
    }
    chosen = {key: value for key, value in options.items() if value is not None}
    document = {
        "requests": [
            {"model": name, "content": {"parts": [{"text": text}]}, **chosen}
            for text in texts(request)
        ]
    }
    return UpstreamRequest(
        "POST",
        path(target, "batchEmbedContents"),
        (*authorize(target), _JSON),
        msgspec.json.encode(document),
        dropped=_dropped(request, "auto_truncate"),
    )


def predict(
    path: Callable[[Target, str], str],
    authorize: Callable[[Target], Headers],
    request: Request,
    target: Target,
) -> UpstreamRequest:
    """Build `predict`.

    Raises:
        InvalidRequest: the input is not text.
    """
    beside = {"task_type": _task(request), "title": request.get("title", str)}
    chosen = {key: value for key, value in beside.items() if value is not None}
    parameters = {
        "outputDimensionality": request.get("dimensions", int),
        "autoTruncate": request.get("auto_truncate", bool),
    }
    document: dict[str, Any] = {
        "instances": [{"content": text, **chosen} for text in texts(request)]
    }
    if set_ones := {key: value for key, value in parameters.items() if value is not None}:
        document["parameters"] = set_ones
    return UpstreamRequest(
        "POST",
        path(target, "predict"),
        (*authorize(target), _JSON),
        msgspec.json.encode(document),
        dropped=_dropped(request),
    )


def texts(request: Request) -> list[str]:
    """Return the texts to embed.

    Raises:
        InvalidRequest: there is none, or it comes as numbers of tokens.
    """
    found = request.get("input", object)
    texts = [found] if isinstance(found, str) else found
    if not isinstance(texts, list) or not texts:
        raise InvalidRequest("`input` is missing", param="input")
    if not all(isinstance(text, str) for text in texts):
        raise InvalidRequest("this provider takes text, not tokens", param="input")
    return texts


def split(request: Request, target: Target) -> Sequence[Request]:
    """Return requests of as many texts as `batchEmbedContents` takes.

    Raises:
        InvalidRequest: there are too many.
    """
    return embeddings.split(request, _MOST_IN_A_BATCH)


def split_predictions(request: Request, target: Target) -> Sequence[Request]:
    """Return requests of as many texts as `predict` takes: of Gemini's own models, one.

    Raises:
        InvalidRequest: there are too many.
    """
    alone = target.model.rpartition("/")[2].startswith(_ONE_BY_ONE)
    return embeddings.split(request, 1 if alone else _MOST_PREDICTIONS)


def _task(request: Request) -> str | None:
    task = request.get("task_type", str) or request.get("taskType", str)
    return _TASKS.get(task, task) if task else None


def _dropped(request: Request, *others: str) -> list[Dropped]:
    return unsupported(request, _KNOWN.difference(others), "the vendor has nothing like it")


def response(response: UpstreamResponse, created: int) -> Response:
    """Translate an answer of either form; its tokens are known where the host counts them.

    Raises:
        UpstreamBadResponse: it cannot be read.
        UpstreamError: it is an error in a 200.
    """
    try:
        answer = _ANSWER.decode(response.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise UpstreamBadResponse("the provider sent something that is no embedding") from None
    found = answer.embeddings or [
        one.embeddings for one in answer.predictions or () if one.embeddings is not None
    ]
    if not found:
        raise_enclosed(response.body)
        raise UpstreamBadResponse("the provider's answer holds no embedding")
    return embeddings.embeddings(response, [one.values for one in found], _usage(answer, found))


def _usage(answer: _Answer, found: list[_Embedding]) -> Usage | None:
    if answer.usage_metadata is not None:
        return answer.usage_metadata.usage()
    counts = [one.statistics.token_count or 0 for one in found if one.statistics is not None]
    return Usage(input_tokens=int(sum(counts))) if counts else None
