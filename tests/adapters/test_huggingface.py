"""Hugging Face: the router's dialect, and tasks of another."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from openai.types import CreateEmbeddingResponse, ImagesResponse

from adapters import huggingface
from proxy.adapter import Target, UpstreamRequest, UpstreamResponse
from proxy.errors import InvalidRequest, UpstreamBadResponse
from proxy.wire import Request, Usage


def sent(operation: str, body: dict[str, Any], **options: Any) -> UpstreamRequest:
    """Return what is sent for `body`."""
    request = Request(json.dumps({"model": "m", **body}).encode())
    return huggingface.operations[operation].request(
        request, Target("org/name", "t", options=options)
    )


def test_chat_goes_to_the_router() -> None:
    """In OpenAI's dialect."""
    made = sent("chat", {"messages": [{"role": "developer", "content": "x"}]})

    assert made.path == "/v1/chat/completions"
    assert json.loads(made.body)["messages"] == [{"role": "system", "content": "x"}]


@pytest.mark.parametrize("given", ["a", ["a"]])
def test_embeddings_are_a_task(given: Any) -> None:
    """Whose input is a list of texts."""
    made = sent("embeddings", {"input": given, "encoding_format": "base64", "dimensions": 3})

    assert made.path == "/hf-inference/models/org/name/pipeline/feature-extraction"
    assert json.loads(made.body) == {"inputs": ["a"]}
    assert [each.name for each in made.dropped] == ["dimensions"]


def test_an_endpoint_of_ones_own_embeds_as_openai_does() -> None:
    """Both ways."""
    made = sent("embeddings", {"input": "a"}, own=True)
    body = b' {"data":[],"usage":{"prompt_tokens":2,"total_tokens":2}}'
    answer = huggingface.operations["embeddings"].response(UpstreamResponse(200, (), body), 0)

    assert made.path == "/v1/embeddings"
    assert (answer.body, answer.usage) == (body, Usage(2))


@pytest.mark.parametrize("given", [None, 3, [[1, 2]]])
def test_only_text_can_be_embedded(given: Any) -> None:
    """Tokens are another vendor's."""
    with pytest.raises(InvalidRequest, match="input"):
        sent("embeddings", {"input": given})


@pytest.mark.parametrize("body", [b"[0.5, 1]", b"[[0.5, 1]]"])
def test_vectors_become_embeddings(body: bytes) -> None:
    """One or many; OpenAI's types take them."""
    answer = huggingface.operations["embeddings"].response(UpstreamResponse(200, (), body), 0)
    found = CreateEmbeddingResponse.model_validate_json(answer.body, strict=True)

    assert [each.embedding for each in found.data] == [[0.5, 1.0]]
    with pytest.raises(UpstreamBadResponse):
        huggingface.operations["embeddings"].response(UpstreamResponse(200, (), b"x"), 0)


def test_an_image_is_a_task() -> None:
    """Its size in two numbers, and what the task does not know dropped."""
    body = {"prompt": "a cat", "size": "512x256", "seed": 4, "quality": "high"}
    made = sent("images", body)

    assert made.path == "/hf-inference/models/org/name"
    assert json.loads(made.body) == {
        "inputs": "a cat",
        "parameters": {"seed": 4, "width": 512, "height": 256},
    }
    assert [each.name for each in made.dropped] == ["quality"]
    assert sent("images", {"prompt": "a", "size": "auto"}, own=True).path == "/"
    with pytest.raises(InvalidRequest, match="size"):
        sent("images", {"prompt": "a", "size": "big"})


def test_an_image_comes_as_bytes() -> None:
    """And goes on as base64."""
    draw = huggingface.operations["images"].response
    answer = draw(UpstreamResponse(200, (("content-type", "image/jpeg"),), b"\xff\xd8"), 7)
    found = ImagesResponse.model_validate_json(answer.body, strict=False)

    assert found.data is not None
    assert base64.b64decode(found.data[0].b64_json or "") == b"\xff\xd8"
    assert answer.usage == Usage(images=1)
    with pytest.raises(UpstreamBadResponse, match="in place of an image"):
        draw(UpstreamResponse(200, (), b"{}"), 7)


def test_a_model_that_loads_says_how_long() -> None:
    """Unless it does not."""
    for body, wait in ((b'{"error":"x","estimated_time":9.5}', 9.5), (b"busy", None)):
        assert huggingface.error(UpstreamResponse(503, (), body)).retry_after_s == wait
