"""Embeddings in OpenAI's form, for adapters whose vendors answer in another.

OpenAI's SDKs ask for base64 unless they are told otherwise, which few vendors know: numbers
become the little-endian 32-bit floats that the SDKs unpack. Vendors take fewer texts in a call
than OpenAI does: a request is cut into pieces, and their answers are put together again.

Source: https://platform.openai.com/docs/api-reference/embeddings/create (2026-11-21)
"""

from __future__ import annotations

import sys
from array import array
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import msgspec

from proxy.adapter import UpstreamResponse
from proxy.errors import InvalidRequest, UpstreamBadResponse
from proxy.wire import Request, Response, Usage

MOST_TEXTS = 2048
"""Texts that one request may hold, as at OpenAI."""

_FLOATS = msgspec.json.Decoder(list[float])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


class _Numbers(msgspec.Struct, frozen=True):
    prompt_tokens: int = 0
    total_tokens: int = 0


class _Answer(msgspec.Struct):
    data: list[dict[str, msgspec.Raw]]
    object: str = "list"
    model: str = ""
    usage: _Numbers = _Numbers()


_ANSWER = msgspec.json.Decoder(_Answer)


def embeddings(
    answer: UpstreamResponse, vectors: Sequence[msgspec.Raw], usage: Usage | None
) -> Response:
    """Return vectors as the client asked for them: as they came, or as base64.

    Args:
        answer: the vendor's, with the client's request.
        vectors: JSON text of a list of numbers each; one that is text goes as it is.
        usage: None where the vendor did not say.

    Raises:
        UpstreamBadResponse: a vector is none.
    """
    asked = answer.request.get("encoding_format", str) if answer.request else None
    shown = [_packed(vector) for vector in vectors] if asked == "base64" else vectors
    tokens = usage.input_tokens if usage else 0
    document = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(shown)
        ],
        "model": answer.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return Response(msgspec.json.encode(document), usage)


def split(request: Request, most: int) -> Sequence[Request]:
    """Return requests of at most `most` texts each; what is no list of texts stays whole.

    Raises:
        InvalidRequest: there are more than `MOST_TEXTS`.
    """
    given = request.raw("input") or b""
    texts = _LIST.decode(given) if given.startswith(b"[") else []
    if len(texts) <= most or not all(bytes(text).startswith(b'"') for text in texts):
        return (request,)
    if len(texts) > MOST_TEXTS:
        raise InvalidRequest(f"`input` has more than {MOST_TEXTS} texts", param="input")
    pieces = [texts[start : start + most] for start in range(0, len(texts), most)]
    return [Request(request.encode({"input": msgspec.json.encode(piece)})) for piece in pieces]


def join(answers: Sequence[Response]) -> Response:
    """Return one answer with the vectors of all, numbered anew, and the sum of their usage."""
    found = [_ANSWER.decode(answer.body) for answer in answers]
    whole = found[0]
    whole.data = [entry for each in found for entry in each.data]
    for index, entry in enumerate(whole.data):
        entry["index"] = msgspec.Raw(b"%d" % index)
    tokens = sum(each.usage.prompt_tokens for each in found)
    whole.usage = _Numbers(tokens, tokens)
    known = [answer.usage.input_tokens for answer in answers if answer.usage is not None]
    return Response(msgspec.json.encode(whole), Usage(sum(known)) if known else None)


def _packed(vector: msgspec.Raw) -> Any:
    if bytes(vector).startswith(b'"'):
        return vector
    try:
        floats = array("f", _FLOATS.decode(vector))
    except msgspec.MsgspecError:
        raise UpstreamBadResponse("the provider sent an embedding that is no vector") from None
    if sys.byteorder == "big":
        floats.byteswap()
    return b64encode(floats.tobytes()).decode()
