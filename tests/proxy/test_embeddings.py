"""Embeddings in OpenAI's form."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import msgspec
import pytest
from openai.types import CreateEmbeddingResponse

from proxy import embeddings
from proxy.adapter import UpstreamResponse
from proxy.errors import InvalidRequest, UpstreamBadResponse
from proxy.wire import Request, Response, Usage

VECTORS = [msgspec.Raw(b"[0.5, -1, 3.14159]"), msgspec.Raw(b"[1e-7,2,1e39]")]


def request(**members: Any) -> Request:
    """Return a client's request."""
    return Request(json.dumps({"model": "m", **members}).encode())


def answered(vectors: Any, usage: Usage | None = None, **members: Any) -> Any:
    """Return what a client gets that asked in this way."""
    answer = UpstreamResponse(200, (), b"", "vendors-m", request=request(**members))
    return json.loads(embeddings.embeddings(answer, vectors, usage).body)


@pytest.mark.parametrize("asked", [{}, {"encoding_format": "float"}, {"encoding_format": None}])
def test_numbers_stay_the_text_they_came_as(asked: dict[str, Any]) -> None:
    """No digit is lost on the way."""
    found = answered(VECTORS, Usage(7), **asked)
    assert found == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, -1, 3.14159]},
            {"object": "embedding", "index": 1, "embedding": [1e-7, 2, 1e39]},
        ],
        "model": "vendors-m",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }
    CreateEmbeddingResponse.model_validate(found)


def test_base64_is_little_endian_floats_of_32_bits() -> None:
    """As OpenAI's SDKs unpack them; what is too large for one is infinite."""
    found = answered(VECTORS, encoding_format="base64")["data"]
    unpacked = [struct.unpack("<3f", base64.b64decode(each["embedding"])) for each in found]
    assert unpacked[0] == struct.unpack("<3f", struct.pack("<3f", 0.5, -1, 3.14159))
    assert unpacked[1][2] == float("inf")


def test_the_order_of_bytes_is_not_this_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A big-endian machine turns them round; here that shows as the wrong way round."""
    monkeypatch.setattr(embeddings.sys, "byteorder", "big")
    [found] = answered([msgspec.Raw(b"[0.5]")], encoding_format="base64")["data"]
    assert struct.unpack(">f", base64.b64decode(found["embedding"])) == (0.5,)


def test_what_the_vendor_packed_itself_goes_as_it_is() -> None:
    """Twice would be once too often."""
    [found] = answered([msgspec.Raw(b'"AACAPw=="')], encoding_format="base64")["data"]
    assert found["embedding"] == "AACAPw=="


@pytest.mark.parametrize("vector", [b"{}", b"null", b'["a"]', b"[[1]]"])
def test_what_is_no_vector_is_the_vendors_fault(vector: bytes) -> None:
    """It cannot be packed."""
    with pytest.raises(UpstreamBadResponse):
        answered([msgspec.Raw(vector)], encoding_format="base64")


def test_a_list_of_texts_is_cut_into_pieces() -> None:
    """In order, with everything else of the request; commas inside of texts cut nothing."""
    given = request(input=["a, b", "ü", "c"], dimensions=4, user="u")
    found = [json.loads(piece.encode()) for piece in embeddings.split(given, 2)]
    assert found == [
        {"model": "m", "input": ["a, b", "ü"], "dimensions": 4, "user": "u"},
        {"model": "m", "input": ["c"], "dimensions": 4, "user": "u"},
    ]


@pytest.mark.parametrize("given", ["a", ["a"], ["a", "b"], [], [1, 2, 3], [[1], [2], [3]], None])
def test_what_fits_or_is_no_list_of_texts_stays_whole(given: Any) -> None:
    """Tokens are not texts: a list of them is one."""
    whole = request(input=given)
    assert embeddings.split(whole, 2) == (whole,)


def test_there_is_an_end_to_what_one_request_may_ask() -> None:
    """The same as at OpenAI."""
    most = embeddings.MOST_TEXTS
    assert len(embeddings.split(request(input=["a"] * most), 1)) == most
    with pytest.raises(InvalidRequest, match="more than 2048"):
        embeddings.split(request(input=["a"] * (most + 1)), 1)


def test_answers_are_put_together_in_order() -> None:
    """The indexes go on, the tokens add up."""
    answer = UpstreamResponse(200, (), b"", "m")
    parts = [
        embeddings.embeddings(answer, VECTORS, Usage(3)),
        embeddings.embeddings(answer, VECTORS[:1], Usage(4)),
    ]
    whole = embeddings.join(parts)
    found = CreateEmbeddingResponse.model_validate_json(whole.body)
    assert [each.index for each in found.data] == [0, 1, 2]
    assert found.data[2].embedding == found.data[0].embedding
    assert (found.usage.prompt_tokens, whole.usage) == (7, Usage(7))


def test_usage_that_nobody_said_is_not_made_up() -> None:
    """Nor is one that only some said lost."""
    answer = UpstreamResponse(200, (), b"", "m")
    silent, said = (embeddings.embeddings(answer, VECTORS, usage) for usage in (None, Usage(2)))
    assert embeddings.join([silent, silent]).usage is None
    assert embeddings.join([silent, said]).usage == Usage(2)
    assert isinstance(embeddings.join([said]), Response)
