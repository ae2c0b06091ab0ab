"""Counting tokens by the real `openai` package, with every vendor that counts."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import openai
import pytest

from tests.e2e.stage import Stage, route
from tests.e2e.vendors import anthropic, azure, bedrock, gemini, vertex, vertex_claude
from tests.e2e.vendors.replay import Format, document
from tests.e2e.vendors.stand import Stand, standing

PNG64 = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"." * 64).decode()
TOKENS = 2095
INPUT: list[Any] = [
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "Rain?"},
            {"type": "input_image", "image_url": f"data:image/png;base64,{PNG64}"},
        ],
    },
    {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"c":1}'},
    {"type": "function_call_output", "call_id": "call_1", "output": "sun"},
]
TOOL: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"c": {"type": "integer"}}},
    "strict": False,
}
_BEDROCK = bedrock.MODEL.removeprefix("us.").replace(":", "%3A")


class Counter(NamedTuple):
    """A vendor that counts: where, what it answers, and where its chat's body stands in it."""

    vendor: Any
    path: str
    answer: Mapping[str, Any]
    inside: tuple[str, ...] = ()

    def body(self, stand: Stand) -> Any:
        """Return what was asked, as the vendor's chat would get it."""
        found = stand.replay.bodies[-1]
        for name in self.inside:
            found = found[name]
        return found


COUNTERS = {
    "anthropic": Counter(anthropic, "/v1/messages/count_tokens", {"input_tokens": TOKENS}),
    "bedrock": Counter(
        bedrock,
        f"/model/{_BEDROCK}/count-tokens",
        {"inputTokens": TOKENS},
        ("input", "converse"),
    ),
    "gemini": Counter(
        gemini,
        f"/v1beta/models/{gemini.MODEL}:countTokens",
        {"totalTokens": TOKENS},
        ("generateContentRequest",),
    ),
    "vertex": Counter(
        vertex,
        vertex.PATHS[0].replace("generateContent", "countTokens"),
        {"totalTokens": TOKENS},
    ),
    "vertex_claude": Counter(
        vertex_claude,
        vertex_claude.PATHS[0].replace(vertex_claude.MODEL, "count-tokens"),
        {"input_tokens": TOKENS},
    ),
}
EACH = pytest.mark.parametrize("counter", COUNTERS.values(), ids=COUNTERS.keys())


def stood(stage: Stage, counter: Counter, **provider: Any) -> Any:
    """Stand the vendor of a counter up."""
    return standing(stage, cast(Format, counter.vendor), **provider)


@EACH
async def test_a_count(stage: Stage, counter: Counter) -> None:
    """Texts, pictures, calls, results and tools reach the vendor as in a chat."""
    async with stood(stage, counter) as stand:
        stand.replay.answers.append(document(counter.answer))
        found = await stand.client.responses.input_tokens.count(
            model="any", input=INPUT, instructions="Be brief", tools=[TOOL]
        )
        body = counter.body(stand)
        asked = stand.replay.last
    assert (found.object, found.input_tokens) == ("response.input_tokens", TOKENS)
    assert asked.line == f"POST {counter.path} HTTP/1.1"
    name, value = counter.vendor.AUTHORIZED
    assert asked.headers[name] == value
    assert counter.vendor.results(body) == [("weather", {"c": 1}, "sun")]
    [image] = counter.vendor.images(body)
    assert image.rpartition(",")[2] == PNG64
    assert "Be brief" in json.dumps(body)


@EACH
async def test_what_cannot_be_counted_is_named(stage: Stage, counter: Counter) -> None:
    """By the client's name, and who wants all or nothing is refused before the vendor."""
    async with stood(stage, counter) as stand:
        count = stand.client.responses.input_tokens.with_raw_response.count
        asked: Any = {"model": "any", "input": "Hi", "previous_response_id": "resp_1"}
        stand.replay.answers.append(document(counter.answer))
        found = await count(**asked)
        assert found.headers["x-headgate-dropped"].startswith("previous_response_id;reason=")
        with pytest.raises(openai.BadRequestError) as raised:
            await count(**asked, extra_headers={"x-headgate-strict": "true"})
        assert raised.value.param == "previous_response_id"
        with pytest.raises(openai.BadRequestError) as raised:
            await count(model="any", input=cast(Any, [{"role": "poet", "content": "Hi"}]))
        assert (raised.value.param or "").startswith("input[0]")
        assert len(stand.replay.requests) == 1


@EACH
async def test_the_request_for_an_answer_is_countable(stage: Stage, counter: Counter) -> None:
    """Whatever shapes the answer alone; chat's messages are an input as well."""
    answering = {"stream": True, "temperature": 1.5, "max_output_tokens": 9, "store": False}
    messages = [{"role": "user", "content": "Hi"}]
    chatting = {"messages": messages, "stream": True, "max_tokens": 9, "logit_bias": {"1": 1}}
    async with stood(stage, counter) as stand:
        count = stand.client.responses.input_tokens.with_raw_response.count
        stand.replay.answers += [document(counter.answer)] * 2
        first = await count(model="any", input="Hi", extra_body=answering)
        one = counter.body(stand)
        second = await count(model="any", extra_body=chatting)
        assert counter.body(stand) == one
    for found in (first, second):
        assert found.parse().input_tokens == TOKENS
        assert "x-headgate-dropped" not in found.headers


@EACH
@pytest.mark.parametrize("kind", ["too much", "overloaded", "credential"])
async def test_errors(stage: Stage, counter: Counter, kind: str) -> None:
    """As a chat's."""
    failure = counter.vendor.FAILURES[kind]
    async with stood(stage, counter) as stand:
        stand.replay.answers.append(failure.answer)
        with pytest.raises(failure.raised) as raised:
            await stand.client.responses.input_tokens.count(model="any", input="Hi")
        assert raised.value.code == failure.code
        stand.replay.answers.append(failure.answer._replace(status=200))
        with pytest.raises(openai.APIStatusError) as raised:
            await stand.client.responses.input_tokens.count(model="any", input="Hi")
        assert raised.value.code != "internal_error"


async def test_openais_own_count_is_byte_exact(stage: Stage) -> None:
    """But for the model; the answer is the vendor's."""
    async with standing(stage, cast(Format, azure)) as stand:
        answer = document({"object": "response.input_tokens", "input_tokens": TOKENS, "new": 1})
        stand.replay.answers.append(answer)
        found = await stand.client.responses.input_tokens.with_raw_response.count(
            model="any", input=INPUT, previous_response_id="resp_1", extra_body={"new": [1.0]}
        )
        asked = stand.replay.last
    assert json.loads(found.text) == {
        "object": "response.input_tokens",
        "input_tokens": TOKENS,
        "new": 1,
    }
    assert "/responses/input_tokens" in asked.line
    body = json.loads(asked.body)
    assert body.pop("model") == azure.MODEL
    assert body == {"input": INPUT, "previous_response_id": "resp_1", "new": [1.0]}


async def test_the_simulator_counts_what_it_reports(stage: Stage) -> None:
    """A count and the usage of the answer are one number."""
    gate = await stage.open()
    async with gate.client() as client:
        counted = await client.responses.input_tokens.count(model="sim", input="Hello there")
        found = await client.responses.create(model="sim", input="Hello there")
    assert found.usage is not None
    assert counted.input_tokens == found.usage.input_tokens


async def test_a_vendor_that_does_not_count_says_so(stage: Stage) -> None:
    """There is no guess."""
    gate = await stage.open(providers={"sim": {"adapter": "cohere"}}, routes={"*": route("sim")})
    async with gate.client() as client:
        with pytest.raises(openai.InternalServerError) as raised:
            await client.responses.input_tokens.count(model="x", input="Hi")
    assert raised.value.code == "no_deployment"
    assert "input_tokens" in raised.value.message
