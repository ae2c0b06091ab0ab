"""LangChain, pointed at the gateway, does what it does with OpenAI."""

from __future__ import annotations

from collections.abc import AsyncIterator

import openai
import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr

from tests.e2e.stage import KEY, Gate, Stage


class City(BaseModel):
    """A city."""

    city: str


@tool
def weather(city: str) -> str:
    """Say how the weather is."""
    return f"sunny in {city}"


@pytest.fixture
async def gate(stage: Stage) -> Gate:
    return await stage.open()


@pytest.fixture
async def client(gate: Gate) -> AsyncIterator[openai.AsyncOpenAI]:
    """LangChain keeps its own client for ever; this one is closed with the test."""
    async with gate.client() as client:
        yield client


def model(client: openai.AsyncOpenAI, name: str = "sim") -> ChatOpenAI:
    return ChatOpenAI(
        model=name,
        async_client=client.chat.completions,
        root_async_client=client,
        client=object(),
        root_client=object(),
        api_key=SecretStr(KEY),
        stream_usage=True,
        max_retries=0,
    )


async def test_invoke(client: openai.AsyncOpenAI) -> None:
    """Text and usage."""
    found = await model(client).ainvoke("hello")
    assert str(found.content).startswith("You said: hello")
    assert found.usage_metadata is not None
    assert found.usage_metadata["output_tokens"] > 0


async def test_stream(client: openai.AsyncOpenAI) -> None:
    """Piece by piece, with the usage at the end."""
    collected: AIMessageChunk | None = None
    pieces = 0
    async for chunk in model(client, "sim:chunks=7").astream("hello"):
        assert isinstance(chunk, AIMessageChunk)
        pieces += 1
        collected = chunk if collected is None else collected + chunk
    assert collected is not None
    assert pieces >= 7
    assert str(collected.content).startswith("You said: hello")
    assert collected.usage_metadata is not None


async def test_tools(client: openai.AsyncOpenAI) -> None:
    """Bound, called, answered; and called in a stream, several at once."""
    bound = model(client, "sim:parallel=2").bind_tools([weather])
    messages: list[object] = [HumanMessage("Rome")]
    called = await bound.ainvoke(messages)  # type: ignore[arg-type]
    assert [call["name"] for call in called.tool_calls] == ["weather", "weather"]
    results = [
        ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"])
        for call in called.tool_calls
    ]
    final = await bound.ainvoke([*messages, called, *results])  # type: ignore[list-item]
    assert final.content
    assert not final.tool_calls
    collected: AIMessageChunk | None = None
    async for chunk in bound.astream(messages):  # type: ignore[arg-type]
        assert isinstance(chunk, AIMessageChunk)
        collected = chunk if collected is None else collected + chunk
    assert collected is not None
    assert [call["args"] for call in collected.tool_calls] == [
        call["args"] for call in called.tool_calls
    ]


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
async def test_structured_output(client: openai.AsyncOpenAI, method: str) -> None:
    """A class comes back, by either way of asking for it."""
    found = await model(client).with_structured_output(City, method=method).ainvoke("Rome")  # type: ignore[arg-type]
    assert isinstance(found, City)


async def test_embeddings(client: openai.AsyncOpenAI) -> None:
    """Of several texts and of one."""
    embeddings = OpenAIEmbeddings(
        model="sim-embedding",
        check_embedding_ctx_length=False,
        async_client=client.embeddings,
        client=object(),
        api_key=SecretStr(KEY),
    )
    many = await embeddings.aembed_documents(["a", "b"])
    assert len(many) == 2
    assert many[0] == pytest.approx(await embeddings.aembed_query("a"))


async def test_errors(client: openai.AsyncOpenAI) -> None:
    """What LangChain's users catch, also when a stream breaks off half-way."""
    with pytest.raises(openai.RateLimitError):
        await model(client, "sim:fault=status-429,retry_after=0").ainvoke("hello")
    with pytest.raises(openai.APIError):
        async for _ in model(client, "sim:chunks=40,cut=5000").astream("hello"):
            pass
