"""The `openai` package against the simulator: what users' code will do."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Literal

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from tests.proxy.sim.raw import Running

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello echo=7;"}]


class Step(BaseModel):
    explanation: str
    output: float


class Solution(BaseModel):
    steps: list[Step]
    verdict: Literal["right", "wrong"]
    next: "Solution | None"


class Weather(BaseModel):
    city: str
    unit: Literal["C", "F"] = "C"


@pytest.fixture
async def client(sim: Running) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{sim.url}/v1", api_key="x", max_retries=0) as client:
        yield client


async def test_chat_in_a_thread(sim: Running) -> None:
    """The synchronous client chats and streams."""

    def ask() -> tuple[str, str]:
        with openai.OpenAI(base_url=f"{sim.url}/v1", api_key="x") as client:
            whole = client.chat.completions.create(model="sim", messages=HELLO)
            stream = client.chat.completions.create(model="sim", messages=HELLO, stream=True)
            pieces = [chunk.choices[0].delta.content or "" for chunk in stream]
        return whole.choices[0].message.content or "", "".join(pieces)

    whole, streamed = await asyncio.to_thread(ask)
    assert whole.startswith("You said: hello echo=7;")
    assert whole == streamed


async def test_a_stream_with_usage(client: openai.AsyncOpenAI) -> None:
    """Usage comes last, without choices."""
    stream = await client.chat.completions.create(
        model="sim:chunks=5,pace=1ms",
        messages=HELLO,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].usage is not None
    assert chunks[-1].choices == []


async def test_tools(client: openai.AsyncOpenAI) -> None:
    """A call, its result, the answer; and the same streamed."""
    tools: Any = [openai.pydantic_function_tool(Weather)]
    messages: list[Any] = [*HELLO]
    found = await client.chat.completions.parse(model="sim", messages=messages, tools=tools)
    call = (found.choices[0].message.tool_calls or [])[0]
    assert isinstance(call.function.parsed_arguments, Weather)
    messages += [
        found.choices[0].message,
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    final = await client.chat.completions.create(model="sim", messages=messages, tools=tools)
    assert final.choices[0].finish_reason == "stop"
    async with client.chat.completions.stream(
        model="sim:parallel=2", messages=HELLO, tools=tools
    ) as stream:
        collected = await stream.get_final_completion()
    calls = collected.choices[0].message.tool_calls or []
    assert [type(call.function.parsed_arguments) for call in calls] == [Weather, Weather]


async def test_structured_outputs(client: openai.AsyncOpenAI) -> None:
    """A nested, recursive schema is parsed by the package itself, whole and streamed."""
    found = await client.chat.completions.parse(
        model="sim", messages=HELLO, response_format=Solution
    )
    assert found.choices[0].message.parsed is not None
    assert found.choices[0].message.parsed.verdict == "right"
    async with client.chat.completions.stream(
        model="sim:bytes=7", messages=HELLO, response_format=Solution
    ) as stream:
        collected = await stream.get_final_completion()
    assert isinstance(collected.choices[0].message.parsed, Solution)


async def test_embeddings(client: openai.AsyncOpenAI) -> None:
    """The package asks for base64 by itself and gets the numbers of `float`."""
    packed = await client.embeddings.create(model="sim", input=["a", "b"], dimensions=16)
    plain = await client.embeddings.create(
        model="sim", input="a", dimensions=16, encoding_format="float"
    )
    assert len(packed.data) == 2
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding)


async def test_files(client: openai.AsyncOpenAI) -> None:
    """Up, listed, down again byte for byte, deleted."""
    content = bytes(range(256)) * 1000
    file = await client.files.create(file=("a.bin", content), purpose="user_data")
    assert (file.bytes, file.filename) == (len(content), "a.bin")
    assert [each.id async for each in client.files.list()] == [file.id]
    assert (await client.files.content(file.id)).content == content
    assert (await client.files.delete(file.id)).deleted
    with pytest.raises(openai.NotFoundError):
        await client.files.retrieve(file.id)


async def test_responses(client: openai.AsyncOpenAI) -> None:
    """Whole, stored, deleted, streamed, structured, with tools."""
    found = await client.responses.create(model="sim", input="hello")
    assert found.output_text.startswith("You said: hello")
    assert (await client.responses.retrieve(found.id)).output_text == found.output_text
    await client.responses.delete(found.id)
    parsed = await client.responses.parse(model="sim", input="x", text_format=Solution)
    assert isinstance(parsed.output_parsed, Solution)
    async with client.responses.stream(model="sim:chunks=3", input="hello") as stream:
        kinds = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert final.output_text == found.output_text
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool: Any = {"type": "function", "name": "w", "strict": True, "parameters": schema}
    async with client.responses.stream(model="sim", input="Rome", tools=[tool]) as stream:
        final = await stream.get_final_response()
    assert final.output[0].type == "function_call"
    assert final.output[0].arguments == '{"city":"Rome"}'


async def test_media(client: openai.AsyncOpenAI) -> None:
    """Pictures, speech, transcriptions, moderations."""
    pictures = await client.images.generate(model="sim-image", prompt="a cat")
    assert (pictures.data or [])[0].b64_json
    speech = await client.audio.speech.create(model="sim-audio", voice="alloy", input="hi")
    assert speech.content.startswith(b"RIFF")
    heard = await client.audio.transcriptions.create(model="sim", file=("a.wav", speech.content))
    assert "a.wav" in heard.text
    checked = await client.moderations.create(input="forbidden")
    assert checked.results[0].flagged


async def test_legacy_completions_and_models(client: openai.AsyncOpenAI) -> None:
    """What older code still uses."""
    stream = await client.completions.create(model="sim", prompt="Once", stream=True)
    assert "".join([c.choices[0].text async for c in stream]).startswith("You said: Once")
    assert "sim" in [model.id async for model in client.models.list()]
    assert (await client.models.retrieve("sim:tokens=3,chunks=2")).id == "sim:tokens=3,chunks=2"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("status-429", openai.RateLimitError),
        ("status-500", openai.InternalServerError),
        ("filter", openai.BadRequestError),
        ("reset", openai.APIConnectionError),
        ("wrong-length", openai.APIConnectionError),
    ],
)
async def test_faults_are_the_packages_errors(
    client: openai.AsyncOpenAI, fault: str, error: type[Exception]
) -> None:
    """Each fault is what the package calls it."""
    with pytest.raises(error):
        await client.chat.completions.create(model=f"sim:fault={fault}", messages=HELLO)


async def test_the_package_retries_as_it_is_told(client: openai.AsyncOpenAI) -> None:
    """After a 429 with a short wait the second attempt succeeds."""
    patient = client.with_options(max_retries=1)
    model = "sim:fault=status-429,times=1,retry_after=10ms"
    found = await patient.chat.completions.create(model=model, messages=HELLO)
    assert found.choices[0].finish_reason == "stop"
