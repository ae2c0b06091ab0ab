"""Cohere's embeddings and reranking.

Reranking has no OpenAI face: clients speak Cohere's or Jina's, which are nearly one. The second
API does not give documents back, so where a client wants them the first is asked.

Source: https://docs.cohere.com/reference/embed, https://docs.cohere.com/reference/rerank and
https://docs.cohere.com/v1/reference/rerank (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from adapters._cohere_wire import Reported, read, said_in
from adapters._turns import Losses
from proxy.adapter import Target, UpstreamResponse
from proxy.chat import unsupported
from proxy.embeddings import embeddings as embeddings_of
from proxy.embeddings import split
from proxy.errors import InvalidRequest, UpstreamBadResponse, UpstreamFailed
from proxy.wire import Request, Response, Usage

_EMBEDDINGS: Mapping[str, str] = {
    "dimensions": "output_dimension",
    "output_dimension": "output_dimension",
    "input_type": "input_type",
    "truncate": "truncate",
    "max_tokens": "max_tokens",
    "priority": "priority",
    "images": "images",
    "inputs": "inputs",
}
_RERANKING = ("query", "top_n", "max_tokens_per_doc", "priority")
_FORMS = ("float", "base64", "int8", "uint8", "binary", "ubinary")
_PURPOSE = "search_document"
_MOST_TEXTS = 96


class _Vectors(msgspec.Struct):
    embeddings: dict[str, list[msgspec.Raw] | None] | None = None
    meta: Reported | None = None


class _Ranking(msgspec.Struct):
    results: msgspec.Raw = msgspec.Raw(b"")
    id: str = ""
    meta: msgspec.Raw = msgspec.Raw(b"{}")


_VECTORS = msgspec.json.Decoder(_Vectors)
_RANKING = msgspec.json.Decoder(_Ranking)
_META = msgspec.json.Decoder(Reported)


# OpenAI to vendor


def embeddings(request: Request, target: Target, losses: Losses) -> dict[str, Any]:
    """Return what is sent for embeddings; without `input_type` they are for documents.

    Raises:
        InvalidRequest: the input is no text.
    """
    known = {*_EMBEDDINGS, "input", "encoding_format", "embedding_types"}
    losses.found += unsupported(request, known, "not a parameter of Cohere's embeddings API")
    sent: dict[str, Any] = {"model": target.model, "input_type": _PURPOSE}
    texts = request.get("input", object)
    if texts is not None:
        sent["texts"] = [texts] if isinstance(texts, str) else texts
        if not isinstance(sent["texts"], list) or not all(
            isinstance(t, str) for t in sent["texts"]
        ):
            raise InvalidRequest("Cohere embeds texts, not tokens", param="input")
    sent |= _taken(request, _EMBEDDINGS)
    forms = request.get("embedding_types", list[str]) or []
    if len(forms) > 1:
        losses.add("embedding_types", "an answer has room for one of them")
    sent["embedding_types"] = forms[:1] or [request.get("encoding_format", str) or "float"]
    return sent


def pieces(request: Request, target: Target) -> Sequence[Request]:
    """Return requests of as many texts as Cohere takes.

    Raises:
        InvalidRequest: there are too many.
    """
    return split(request, _MOST_TEXTS)


def ranking(request: Request, target: Target, losses: Losses) -> tuple[str, dict[str, Any]]:
    """Return the path and what is sent for reranking.

    Raises:
        InvalidRequest: there are no documents.
    """
    known = {*_RERANKING, "documents", "return_documents"}
    losses.found += unsupported(request, known, "not a parameter of Cohere's rerank API")
    documents = request.get("documents", list[Any])
    if documents is None:
        raise InvalidRequest("`documents` is missing", param="documents")
    sent: dict[str, Any] = {"model": target.model}
    sent["documents"] = [_text(document) for document in documents]
    sent |= _taken(request, dict(zip(_RERANKING, _RERANKING, strict=True)))
    if not request.get("return_documents", bool):
        return "/v2/rerank", sent
    for name in ("max_tokens_per_doc", "priority"):
        if sent.pop(name, None) is not None:
            losses.add(name, "Cohere does not take it where it returns documents")
    return "/v1/rerank", {**sent, "return_documents": True}


def _taken(request: Request, names: Mapping[str, str]) -> dict[str, Any]:
    raw = ((theirs, request.raw(name)) for name, theirs in names.items())
    return {name: msgspec.Raw(value) for name, value in raw if value and value != b"null"}


def _text(document: Any) -> str:
    """Return a document as text; structured ones are read best as YAML, of which JSON is one."""
    if isinstance(document, dict) and isinstance(document.get("text"), str):
        return str(document["text"])
    return document if isinstance(document, str) else msgspec.json.encode(document).decode()


# Vendor to OpenAI


def vectors(response: UpstreamResponse, created: int) -> Response:
    """Translate embeddings; the vectors keep their bytes.

    Raises:
        UpstreamBadResponse: they cannot be read.
        UpstreamError: it is an error in a 200.
    """
    found = read(response.body, _VECTORS)
    if found.embeddings is None:
        raise _failure(response)
    given = next((found.embeddings[form] for form in _FORMS if found.embeddings.get(form)), None)
    if given is None:
        raise UpstreamBadResponse("the provider sent no embeddings")
    return embeddings_of(response, given, found.meta.normal() if found.meta else None)


def ranked(response: UpstreamResponse, created: int) -> Response:
    """Pass a ranking on, with usage where Jina's clients look for it.

    Raises:
        UpstreamBadResponse: it cannot be read.
        UpstreamError: it is an error in a 200.
    """
    found = read(response.body, _RANKING)
    if not bytes(found.results):
        raise _failure(response)
    usage = read(bytes(found.meta), _META).normal()
    document = {
        "id": found.id,
        "object": "list",
        "results": found.results,
        "meta": found.meta,
        "usage": _usage(usage),
    }
    return Response(msgspec.json.encode(document), usage)


def _usage(usage: Usage | None) -> dict[str, int]:
    tokens = usage.input_tokens if usage else 0
    return {"prompt_tokens": tokens, "total_tokens": tokens}


def _failure(response: UpstreamResponse) -> Exception:
    said = said_in(response.body)
    return UpstreamFailed(said.message if said else "the provider sent no result")
