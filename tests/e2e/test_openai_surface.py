"""Everything else the `openai` package can do with a vendor, it can do through the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from openai import AsyncOpenAI, NotFoundError, OpenAI
from pydantic import BaseModel

from tests.e2e.stage import KEY, Gate, Stage, route


class City(BaseModel):
    city: str


@pytest.fixture
async def gate(stage: Stage) -> Gate:
    return await stage.open(routes={"*": route("sim"), "fast": route("sim/sim-mini")})


@pytest.fixture
async def client(gate: Gate) -> AsyncIterator[AsyncOpenAI]:
    async with gate.client() as client:
        yield client


async def test_completions(client: AsyncOpenAI) -> None:
    """The older operation, whole and streamed."""
    whole = await client.completions.create(model="sim", prompt="Once")
    stream = await client.completions.create(model="sim", prompt="Once", stream=True)
    said = "".join([chunk.choices[0].text async for chunk in stream])
    assert said == whole.choices[0].text
    assert said.startswith("You said: Once")


async def test_embeddings(client: AsyncOpenAI) -> None:
    """Base64, which the package asks for by itself, is the same numbers as `float`."""
    packed = await client.embeddings.create(model="sim", input=["a", "b"], dimensions=16)
    plain = await client.embeddings.create(
        model="sim", input="a", dimensions=16, encoding_format="float", extra_body={"stream": True}
    )
    assert len(packed.data) == 2
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding)
    assert packed.usage.total_tokens > 0


async def test_files(client: AsyncOpenAI) -> None:
    """Up, listed, described, down byte for byte, deleted, and then no more."""
    content = bytes(range(256)) * 8192
    file = await client.files.create(file=("a.bin", content), purpose="user_data")
    assert (file.bytes, file.filename) == (len(content), "a.bin")
    assert [each.id async for each in client.files.list()] == [file.id]
    assert (await client.files.retrieve(file.id)).id == file.id
    assert (await client.files.content(file.id)).content == content
    assert (await client.files.delete(file.id)).deleted
    with pytest.raises(NotFoundError):
        await client.files.retrieve(file.id)


async def test_speech_as_a_whole_and_as_it_comes(client: AsyncOpenAI) -> None:
    """A binary answer."""
    asked: dict[str, Any] = {"model": "sim-audio", "voice": "alloy", "input": "hello " * 100}
    whole = await client.audio.speech.create(**asked)
    assert whole.content.startswith(b"RIFF")
    async with client.audio.speech.with_streaming_response.create(**asked) as streamed:
        assert b"".join([piece async for piece in streamed.iter_bytes()]) == whole.content


async def test_transcriptions(client: AsyncOpenAI) -> None:
    """A form with a file, whole, as text and streamed."""
    sound = ("a.wav", b"RIFF" + bytes(100_000))
    heard = await client.audio.transcriptions.create(model="sim", file=sound)
    assert heard.text == "You sent 100004 bytes as a.wav."
    text = await client.audio.transcriptions.create(model="sim", file=sound, response_format="text")
    assert str(text).strip() == heard.text
    stream = await client.audio.transcriptions.create(model="sim", file=sound, stream=True)
    events = [event async for event in stream]
    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == heard.text


async def test_moderations_and_images(client: AsyncOpenAI) -> None:
    """Small JSON operations the gateway does not read."""
    checked = await client.moderations.create(input=["fine", "forbidden"])
    assert [result.flagged for result in checked.results] == [False, True]
    made = await client.images.generate(model="sim-image", prompt="a cat", n=2)
    assert all(picture.b64_json for picture in made.data or [])
    edited = await client.images.edit(image=("a.png", b"\x89PNG"), prompt="a dog")
    assert (edited.data or [])[0].b64_json


async def test_responses(client: AsyncOpenAI) -> None:
    """Made, read again, its input listed, deleted, and then no more."""
    found = await client.responses.create(model="sim", input="hello")
    assert found.output_text.startswith("You said: hello")
    assert (await client.responses.retrieve(found.id)).output_text == found.output_text
    items = [item async for item in client.responses.input_items.list(found.id)]
    assert len(items) == 1
    await client.responses.delete(found.id)
    with pytest.raises(NotFoundError):
        await client.responses.retrieve(found.id)


async def test_responses_as_a_stream(client: AsyncOpenAI) -> None:
    """First event to last, text and calls of tools, parsed by the package."""
    async with client.responses.stream(model="sim:chunks=3", input="hello") as stream:
        kinds = [event.type async for event in stream]
        final = await stream.get_final_response()
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    assert kinds.count("response.output_text.delta") == 3
    assert final.output_text.startswith("You said: hello")
    assert final.usage is not None
    parsed = await client.responses.parse(model="sim", input="Rome", text_format=City)
    assert isinstance(parsed.output_parsed, City)
    tool: Any = {
        "type": "function",
        "name": "w",
        "strict": True,
        "parameters": City.model_json_schema(),
    }
    async with client.responses.stream(model="sim", input="Rome", tools=[tool]) as stream:
        final = await stream.get_final_response()
    assert final.output[0].type == "function_call"
    assert City.model_validate_json(final.output[0].arguments)


async def test_models(client: AsyncOpenAI) -> None:
    """The list has the routes; any name that would be served can be looked up."""
    assert "fast" in [model.id async for model in client.models.list()]
    assert (await client.models.retrieve("fast")).id == "fast"
    assert (await client.models.retrieve("sim:tokens=3,chunks=2")).id == "sim:tokens=3,chunks=2"
    assert (await client.models.retrieve("sim/anything")).owned_by == "sim"


async def test_a_name_no_route_takes_is_not_found_and_the_nearest_is_told(stage: Stage) -> None:
    """A slip of the pen is answered with what was meant."""
    gate = await stage.open(routes={"gpt-4o-mini": route("sim"), "claude": route("sim")})
    async with gate.client() as client:
        assert {model.id async for model in client.models.list()} == {"gpt-4o-mini", "claude"}
        for call in (
            client.models.retrieve("gpt-4o-mimi"),
            client.chat.completions.create(model="gpt-4o-mimi", messages=[]),
            client.embeddings.create(model="gpt-4o-mimi", input="x"),
        ):
            with pytest.raises(NotFoundError) as raised:
                await call
            assert raised.value.code == "model_not_found"
            assert raised.value.param == "model"
            assert "gpt-4o-mini" in str(raised.value)


async def test_a_realtime_conversation(client: AsyncOpenAI) -> None:
    """A websocket both ways, through the package's own client."""
    async with client.realtime.connect(model="sim:chunks=3") as connection:
        assert (await connection.recv()).type == "session.created"
        await connection.conversation.item.create(
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "hello"}],
            }
        )
        await connection.response.create()
        said, kinds = "", []
        async for event in connection:
            kinds.append(event.type)
            if event.type == "response.output_text.delta":
                said += event.delta
            if event.type == "response.done":
                break
    assert said.startswith("You said: hello")
    assert "response.created" in kinds


async def test_the_synchronous_client_on_other_paths(gate: Gate) -> None:
    """Files and speech from a thread."""

    def work() -> tuple[bytes, bytes]:
        with OpenAI(base_url=gate.url, api_key=KEY) as client:
            file = client.files.create(file=("a.txt", b"hello"), purpose="user_data")
            back = client.files.content(file.id).content
            speech = client.audio.speech.create(model="sim-audio", voice="alloy", input="hi")
            return back, speech.content

    back, speech = await asyncio.to_thread(work)
    assert back == b"hello"
    assert speech.startswith(b"RIFF")
