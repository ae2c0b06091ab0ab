"""The real `openai` package chats through the gateway as it does with the vendor itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Literal

import pytest
from openai import AsyncOpenAI, OpenAI, pydantic_function_tool
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from tests.e2e.stage import KEY, Gate, Stage, route

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello"}]
PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACw="


class Weather(BaseModel):
    city: str
    unit: Literal["C", "F"] = "C"


class Step(BaseModel):
    explanation: str
    output: float


class Solution(BaseModel):
    steps: list[Step]
    verdict: Literal["right", "wrong"]


@pytest.fixture
async def gate(stage: Stage) -> Gate:
    return await stage.open()


@pytest.fixture
async def client(gate: Gate) -> AsyncIterator[AsyncOpenAI]:
    async with gate.client() as client:
        yield client


async def test_a_whole_answer(client: AsyncOpenAI) -> None:
    """Text, finish reason, usage and model of the vendor."""
    found = await client.chat.completions.create(model="sim", messages=HELLO)
    assert (found.choices[0].message.content or "").startswith("You said: hello")
    assert (found.model, found.choices[0].finish_reason) == ("sim", "stop")
    assert found.usage is not None
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens


async def test_the_synchronous_client(gate: Gate) -> None:
    """Whole and streamed, from a thread as users have it."""

    def ask() -> tuple[str | None, str]:
        with OpenAI(base_url=gate.url, api_key=KEY) as client:
            whole = client.chat.completions.create(model="sim", messages=HELLO)
            stream = client.chat.completions.create(model="sim", messages=HELLO, stream=True)
            pieces = [chunk.choices[0].delta.content or "" for chunk in stream]
        return whole.choices[0].message.content, "".join(pieces)

    whole, streamed = await asyncio.to_thread(ask)
    assert whole
    assert whole == streamed


async def test_a_stream_says_what_the_whole_answer_says(client: AsyncOpenAI) -> None:
    """Piece by piece, with one finish reason; and no chunk without a choice unasked."""
    whole = await client.chat.completions.create(model="sim:chunks=7", messages=HELLO)
    stream = await client.chat.completions.create(model="sim:chunks=7", messages=HELLO, stream=True)
    chunks = [chunk async for chunk in stream]
    assert all(len(chunk.choices) == 1 for chunk in chunks)
    assert not any(chunk.usage for chunk in chunks)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert said == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == ["stop"]


async def test_a_stream_with_usage_asked_for(client: AsyncOpenAI) -> None:
    """The usage comes once, in a last chunk without choices."""
    stream = await client.chat.completions.create(
        model="sim", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert [chunk.choices == [] for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert [chunk.usage is not None for chunk in chunks].count(True) == 1
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


async def test_several_choices(client: AsyncOpenAI) -> None:
    """`n=2`, whole and streamed, each with its own text."""
    whole = await client.chat.completions.create(model="sim", messages=HELLO, n=2)
    texts = [choice.message.content for choice in whole.choices]
    stream = await client.chat.completions.create(model="sim", messages=HELLO, n=2, stream=True)
    said = ["", ""]
    async for chunk in stream:
        for choice in chunk.choices:
            said[choice.index] += choice.delta.content or ""
    assert said == texts


async def test_a_call_of_a_tool_and_the_turn_after_it(client: AsyncOpenAI) -> None:
    """The call is parsed, its result goes back, the answer comes."""
    tools: Any = [pydantic_function_tool(Weather)]
    messages: list[Any] = [*HELLO]
    found = await client.chat.completions.parse(model="sim", messages=messages, tools=tools)
    assert found.choices[0].finish_reason == "tool_calls"
    call = (found.choices[0].message.tool_calls or [])[0]
    assert isinstance(call.function.parsed_arguments, Weather)
    messages += [
        found.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    final = await client.chat.completions.create(model="sim", messages=messages, tools=tools)
    assert final.choices[0].finish_reason == "stop"


async def test_three_calls_at_once_in_a_stream(client: AsyncOpenAI) -> None:
    """Index, id, name and arguments of each stay together."""
    tools: Any = [pydantic_function_tool(Weather)]
    async with client.chat.completions.stream(
        model="sim:parallel=3,bytes=2", messages=HELLO, tools=tools
    ) as stream:
        collected = await stream.get_final_completion()
    calls = collected.choices[0].message.tool_calls or []
    assert [type(call.function.parsed_arguments) for call in calls] == [Weather] * 3
    assert len({call.id for call in calls}) == 3


async def test_structured_outputs(client: AsyncOpenAI) -> None:
    """A schema is kept, whole and streamed, and parsed by the package itself."""
    found = await client.chat.completions.parse(
        model="sim", messages=HELLO, response_format=Solution
    )
    assert isinstance(found.choices[0].message.parsed, Solution)
    async with client.chat.completions.stream(
        model="sim:bytes=7", messages=HELLO, response_format=Solution
    ) as stream:
        collected = await stream.get_final_completion()
    assert isinstance(collected.choices[0].message.parsed, Solution)


async def test_pictures_in_the_content(client: AsyncOpenAI) -> None:
    """Parts of a message arrive, a large picture among them."""
    parts: Any = [
        {"type": "text", "text": "what is it?"},
        {"type": "image_url", "image_url": {"url": PIXEL}},
        {"type": "image_url", "image_url": {"url": PIXEL + "A" * 4_000_000}},
    ]
    found = await client.chat.completions.create(
        model="sim", messages=[{"role": "user", "content": parts}]
    )
    assert (found.choices[0].message.content or "").startswith("You sent 2 images.")


async def test_parameters_nobody_knows_pass(client: AsyncOpenAI) -> None:
    """What a vendor adds tomorrow works today."""
    found = await client.chat.completions.create(
        model="sim", messages=HELLO, extra_body={"of_tomorrow": {"a": [1, None]}}
    )
    assert found.choices[0].finish_reason == "stop"


async def test_a_name_the_route_gives_the_vendors_model(stage: Stage) -> None:
    """The client asks for the route; the vendor hears its own model's name."""
    gate = await stage.open(routes={"fast": route("sim/sim:text=echo")})
    async with gate.client() as client:
        found = await client.chat.completions.with_raw_response.create(model="fast", messages=HELLO)
        assert found.parse().choices[0].message.content == "hello"
        assert found.headers["x-headgate-model"] == "sim:text=echo"


async def test_a_provider_may_be_named_with_its_model(client: AsyncOpenAI) -> None:
    """`provider/model` needs no route."""
    found = await client.chat.completions.create(model="sim/sim:text=echo", messages=HELLO)
    assert found.choices[0].message.content == "hello"


async def test_what_the_gateway_says_in_headers(client: AsyncOpenAI) -> None:
    """Who answered, how often it was tried, how long it took, under which configuration."""
    create = client.chat.completions.with_raw_response.create
    for stream in (False, True):
        found = await create(model="sim", messages=HELLO, stream=stream)
        headers = found.headers
        assert headers["x-request-id"].startswith("req_")
        assert headers["x-headgate-provider"] == "sim"
        assert headers["x-headgate-model"] == "sim"
        assert headers["x-headgate-attempts"] == "1"
        assert headers["x-headgate-config"]
        parts = dict(part.strip().split(";dur=") for part in headers["server-timing"].split(","))
        assert parts.keys() == {"queue", "hooks", "translate", "upstream", "total"}
        assert all(float(value) >= 0 for value in parts.values())
        assert "openai-organization" not in headers
        assert "set-cookie" not in headers
        if stream:
            async for _ in found.parse():
                pass
