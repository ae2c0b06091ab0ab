"""Embeddings as OpenAI's SDK asks for them by itself, at vendors that know numbers only.

It asks for base64, says so, and unpacks what it gets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import aiohttp
import openai
import pytest

from proxy.config.structs import Deployment
from tests.e2e.stage import KEY, Stage, route
from tests.e2e.vendors.replay import Answer, Replay, document

ONE, TWO = [0.25, -1.5, 2.0], [1.0, 0.5, -0.125]  # exact as 32-bit floats
STRICT = {"x-headgate-strict": "true"}


class Case(NamedTuple):
    """A vendor and its answers to a request with two texts."""

    adapter: str
    model: str
    answers: list[Any]
    path: str
    options: Mapping[str, Any] = {}


CASES = [
    Case(
        "bedrock",
        "amazon.titan-embed-text-v2:0",
        [
            {"embedding": ONE, "inputTextTokenCount": 3},
            {"embedding": TWO, "inputTextTokenCount": 4},
        ],
        "/model/amazon.titan-embed-text-v2%3A0/invoke",
    ),
    Case(
        "bedrock",
        "amazon.nova-2-multimodal-embeddings-v1:0",
        [
            {"embeddings": [{"embeddingType": "TEXT", "embedding": ONE}]},
            {"embeddings": [{"embeddingType": "TEXT", "embedding": TWO}]},
        ],
        "/model/amazon.nova-2-multimodal-embeddings-v1%3A0/invoke",
    ),
    Case(
        "bedrock",
        "cohere.embed-english-v3",
        [{"embeddings": {"float": [ONE, TWO]}}],
        "/model/cohere.embed-english-v3/invoke",
    ),
    Case(
        "gemini",
        "gemini-embedding-001",
        [{"embeddings": [{"values": ONE}, {"values": TWO}]}],
        "/v1beta/models/gemini-embedding-001:batchEmbedContents",
    ),
    Case(
        "vertex",
        "gemini-embedding-001",
        [
            {"predictions": [{"embeddings": {"values": ONE, "statistics": {"token_count": 3}}}]},
            {"predictions": [{"embeddings": {"values": TWO, "statistics": {"token_count": 4}}}]},
        ],
        "/v1beta1/projects/p/locations/global/publishers/google/models/gemini-embedding-001:predict",
        {"project": "p"},
    ),
    Case(
        "vertex",
        "text-embedding-005",
        [{"predictions": [{"embeddings": {"values": ONE}}, {"embeddings": {"values": TWO}}]}],
        "/v1beta1/projects/p/locations/global/publishers/google/models/text-embedding-005:predict",
        {"project": "p"},
    ),
    Case(
        "ollama",
        "nomic-embed-text",
        [{"model": "nomic-embed-text", "embeddings": [ONE, TWO], "prompt_eval_count": 7}],
        "/api/embed",
    ),
    Case(
        "huggingface",
        "intfloat/e5",
        [[ONE, TWO]],
        "/hf-inference/models/intfloat/e5/pipeline/feature-extraction",
    ),
]
EACH = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.adapter}-{case.model}")


async def _open(stage: Stage, case: Case, replay: Replay, **provider: Any) -> Any:
    settings = {"adapter": case.adapter, "base_url": replay.url, "options": case.options}
    serving = Deployment(provider="replayed", model=case.model)
    return await stage.open(
        vendors=(),
        providers={"replayed": {**settings, **provider}},
        routes={"*": route(serving)},
    )


@EACH
async def test_the_sdks_own_request_is_answered_as_asked(stage: Stage, case: Case) -> None:
    """Nothing is dropped, so the strictest client is served; the vendor is asked for numbers."""
    async with Replay() as replay:
        replay.answers = [document(answer) for answer in case.answers]
        gate = await _open(stage, case, replay, workers=1)
        async with gate.client(default_headers=STRICT) as client:
            found = await client.embeddings.create(model="any", input=["one", "two"])
        assert [each.embedding for each in found.data] == [ONE, TWO]
        assert [each.index for each in found.data] == [0, 1]
        asked = [request.line.split(" ")[1] for request in replay.requests]
        assert asked == [case.path] * len(case.answers)
        assert "base64" not in str(replay.bodies)


@EACH
async def test_who_asks_for_numbers_gets_the_vendors_digits(stage: Stage, case: Case) -> None:
    """And each text in the answer of its own call."""
    async with Replay() as replay:
        replay.answers = [document(answer) for answer in case.answers]
        gate = await _open(stage, case, replay, workers=1)
        body = {"model": "any", "input": ["one", "two"], "encoding_format": "float"}
        async with (
            aiohttp.ClientSession(headers={"authorization": f"Bearer {KEY}"}) as session,
            session.post(f"{gate.url}/embeddings", json=body) as reply,
        ):
            text = await reply.text()
            assert "x-headgate-dropped" not in reply.headers
    found = json.loads(text)
    assert [each["embedding"] for each in found["data"]] == [ONE, TWO]
    assert all(
        json.dumps(vector).replace(" ", "") in text.replace(" ", "") for vector in (ONE, TWO)
    )


async def test_a_call_for_each_text_is_one_exchange(stage: Stage) -> None:
    """One answer, one usage, one worker left; side by side where workers are free."""
    case = CASES[0]
    count = 40
    async with Replay() as replay:
        replay.answers = [document({"embedding": ONE, "inputTextTokenCount": 2})] * count
        gate = await _open(stage, case, replay, workers=4)
        async with gate.client() as client:
            found = await client.embeddings.create(model="any", input=["text"] * count)
        assert len(found.data) == count
        assert found.usage.prompt_tokens == 2 * count
        assert len(replay.requests) == count
        assert 1 < len(replay.lines) <= 4


async def test_a_text_that_fails_fails_the_request(stage: Stage) -> None:
    """With the vendor's words; a part of the vectors would be taken for all."""
    case = CASES[0]
    refusal = document({"message": "Too many tokens."}, 400)
    async with Replay() as replay:
        replay.answers = [document(case.answers[0]), refusal, *[document(case.answers[1])] * 8]
        gate = await _open(stage, case, replay, workers=1)
        async with gate.client() as client:
            with pytest.raises(openai.BadRequestError, match="Too many tokens"):
                await client.embeddings.create(model="any", input=["text"] * 10)
        assert len(replay.requests) == 2


async def test_the_client_that_leaves_ends_all_its_calls(stage: Stage) -> None:
    """None is answered to nobody."""
    async with Replay() as replay:
        replay.answers = [Answer([b"{"], hangs=True)] * 8
        gate = await _open(stage, CASES[0], replay, workers=4)
        async with gate.client(timeout=0.5) as client:
            with pytest.raises(openai.APITimeoutError):
                await client.embeddings.create(model="any", input=["text"] * 8)
