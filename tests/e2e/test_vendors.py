"""Every feature of chat on every vendor, by the real `openai` package.

The vendors are replayed in their own formats; what they are asked is read in those formats too.
"""

from __future__ import annotations

import base64
import json
import ssl
from functools import partial
from typing import Any

import openai
import pytest
import trustme
from pydantic import BaseModel

from proxy.media import Fetcher
from tests.e2e.stage import Stage
from tests.e2e.vendors.fleet import EACH, VENDORS
from tests.e2e.vendors.replay import CACHED, INPUT, OUTPUT, Answer, Format, Replay, Said
from tests.e2e.vendors.stand import (
    CLOCK,
    HELLO,
    PARIS,
    THOUGHT,
    TIME,
    WEATHER,
    standing,
)

BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
TEXT = "Grüße an die ganze Welt 👋 today."
PNG = b"\x89PNG\r\n\x1a\n" + b"." * 64
PNG64 = base64.b64encode(PNG).decode()


class City(BaseModel):
    """A city."""

    name: str
    people: int


def calls_of(message: Any) -> list[tuple[str, Any]]:
    """Return the calls of a message by name, with their arguments."""
    return [
        (call["function"]["name"], json.loads(call["function"]["arguments"]))
        for call in message["tool_calls"]
    ]


@EACH
async def test_a_whole_answer(stage: Stage, vendor: Format) -> None:
    """Text, finish reason and usage, asked for where and as the vendor has it."""
    async with standing(stage, vendor) as stand:
        found = await stand.ask(vendor.whole(Said(TEXT)))
        asked = stand.replay.last
    assert found.choices[0].message.content == TEXT
    assert found.choices[0].finish_reason == "stop"
    assert found.id
    assert found.model
    usage = found.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (INPUT, OUTPUT)
    assert usage.prompt_tokens_details.cached_tokens == CACHED
    assert asked.line == f"POST {vendor.PATHS[0]} HTTP/1.1"
    name, value = vendor.AUTHORIZED
    assert asked.headers[name] == value
    assert "client-key-of-the-tests" not in str(asked.headers)


@EACH
@pytest.mark.parametrize("minced", [False, True], ids=["events", "minced"])
async def test_a_stream_with_usage(stage: Stage, vendor: Format, minced: bool) -> None:
    """The text in order, one finish, and at the end one usage."""
    answer = vendor.stream(Said(TEXT))
    options = {"stream_options": {"include_usage": True}}
    async with standing(stage, vendor) as stand:
        found = await stand.ask(answer.minced if minced else answer, stream=True, **options)
        assert stand.replay.last.line == f"POST {vendor.PATHS[1]} HTTP/1.1"
    assert found.message["content"] == TEXT
    assert found.finish == ["stop"]
    [head] = found.heads
    assert all(head)
    [usage] = found.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (INPUT, OUTPUT)
    assert usage.prompt_tokens_details.cached_tokens == CACHED


@EACH
async def test_a_stream_without_usage(stage: Stage, vendor: Format) -> None:
    """Nobody gets a chunk without choices who has not asked for it."""
    async with standing(stage, vendor) as stand:
        found = await stand.ask(vendor.stream(Said(TEXT)), stream=True)
    assert (found.message["content"], found.finish, found.usage) == (TEXT, ["stop"], [])


@EACH
@BOTH
async def test_calls_and_their_results(stage: Stage, vendor: Format, stream: bool) -> None:
    """A call comes; its result goes to the vendor under that call; the answer comes."""
    async with standing(stage, vendor) as stand:
        message, finish = await stand.say(Said(calls=[PARIS]), stream=stream, tools=[WEATHER])
        assert calls_of(message) == [PARIS]
        assert finish == "tool_calls"
        result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "sun"}
        turn = [*HELLO, message, result]
        final, finish = await stand.say(Said("It shines."), turn, stream=stream, tools=[WEATHER])
        assert (final["content"], finish) == ("It shines.", "stop")
        assert vendor.results(stand.replay.bodies[1]) == [(*PARIS, "sun")]


@EACH
@BOTH
async def test_calls_side_by_side(stage: Stage, vendor: Format, stream: bool) -> None:
    """Deltas may alternate; name, arguments, id and result of each call stay together."""
    said, tools = Said("I look.", [PARIS, CLOCK]), [WEATHER, TIME]
    async with standing(stage, vendor) as stand:
        message, finish = await stand.say(said, stream=stream, tools=tools)
        assert calls_of(message) == [PARIS, CLOCK]
        assert (message["content"], finish) == ("I look.", "tool_calls")
        ids = [call["id"] for call in message["tool_calls"]]
        assert len(set(ids)) == 2
        results = [
            {"role": "tool", "tool_call_id": call_id, "content": text}
            for call_id, text in zip(reversed(ids), ("noon", "sun"), strict=True)
        ]
        await stand.say(Said("Well."), [*HELLO, message, *results], stream=stream, tools=tools)
        found = vendor.results(stand.replay.bodies[1])
    assert found == [(*PARIS, "sun"), (*CLOCK, "noon")]


@EACH
@BOTH
@pytest.mark.parametrize("drops", [False, True], ids=["kept", "dropped"])
async def test_thoughts_come_and_go_back(
    stage: Stage, vendor: Format, stream: bool, drops: bool
) -> None:
    """Before results of calls the vendor gets its thoughts back, also from who drops them."""
    said, tools = Said(calls=[PARIS], thought=THOUGHT), [WEATHER]
    more: dict[str, Any] = {"tools": tools, "reasoning_effort": "low"}
    async with standing(stage, vendor) as stand:
        message, _ = await stand.say(said, stream=stream, **more)
        assert (message.get("reasoning_content") or message.get("reasoning")) == THOUGHT
        if drops:
            message = {name: message[name] for name in ("role", "tool_calls")}
        call_id = message["tool_calls"][0]["id"]
        turn = [*HELLO, message, {"role": "tool", "tool_call_id": call_id, "content": "sun"}]
        await stand.say(Said("It shines."), turn, stream=stream, **more)
        found = vendor.thoughts(stand.replay.bodies[1])
    assert found == (vendor.THOUGHT if vendor.REMEMBERS or not drops else [])


@EACH
@BOTH
async def test_thoughts_before_a_text(stage: Stage, vendor: Format, stream: bool) -> None:
    """They stand beside the text, not in it."""
    async with standing(stage, vendor) as stand:
        message, _ = await stand.say(Said(TEXT, thought=THOUGHT), stream=stream)
    assert message["content"] == TEXT
    assert (message.get("reasoning_content") or message.get("reasoning")) == THOUGHT


def seeing(*urls: str) -> Any:
    """Return a message with images."""
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, *parts]}]


@EACH
async def test_images_within_the_request(stage: Stage, vendor: Format) -> None:
    """A data: URL reaches the vendor as its own kind of image."""
    async with standing(stage, vendor) as stand:
        await stand.ask(vendor.whole(Said(TEXT)), seeing(f"data:image/png;base64,{PNG64}"))
        [found] = vendor.images(stand.replay.bodies[0])
    assert found.rpartition(",")[2] == PNG64


@EACH
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_images_by_url(
    stage: Stage, vendor: Format, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A URL goes to the vendor that takes it; for others the image is fetched."""
    authority = trustme.CA()
    ours, theirs = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(ours)
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    monkeypatch.setattr("proxy.gateway.Fetcher", partial(Fetcher, allow_private=True, tls=ours))
    async with standing(stage, vendor) as stand:
        async with Replay(tls=theirs if scheme == "https" else None) as site:
            site.files["/cat.png"] = Answer([PNG], "image/png")
            url = f"{site.url}/cat.png"
            await stand.ask(vendor.whole(Said(TEXT)), seeing(url))
            fetched = [asked.line for asked in site.requests]
        [found] = vendor.images(stand.replay.bodies[0])
    if scheme in vendor.FETCHES:
        assert (fetched, found) == (["GET /cat.png HTTP/1.1"], PNG64)
    else:
        assert (fetched, found) == ([], url)


@EACH
async def test_images_of_ones_own_network_are_not_fetched(stage: Stage, vendor: Format) -> None:
    """A client must not read through us what only we can reach."""
    if not vendor.FETCHES:
        pytest.skip("the vendor fetches by itself")
    async with standing(stage, vendor) as stand:
        with pytest.raises(openai.BadRequestError) as raised:
            await stand.ask(vendor.whole(Said(TEXT)), seeing(f"{stand.replay.url}/cat.png"))
        assert stand.replay.requests == []
    error = raised.value
    assert (error.code, error.param) == ("invalid_request", "messages")
    assert "127.0.0.1" in error.message
    assert "public" in error.message


@EACH
@BOTH
async def test_structured_output(stage: Stage, vendor: Format, stream: bool) -> None:
    """The schema binds the answer by the vendor's own means, and the package parses it."""
    said = Said('{"name": "Paris", "people": 2100000}')
    async with standing(stage, vendor) as stand:
        stand.replay.answers.append(vendor.stream(said) if stream else vendor.whole(said))
        form: Any = {"model": "any", "messages": HELLO, "response_format": City}
        if stream:
            async with stand.client.chat.completions.stream(**form) as events:
                found = await events.get_final_completion()
        else:
            found = await stand.client.chat.completions.parse(**form)
        schema = vendor.schema(stand.replay.bodies[0])
    assert found.choices[0].message.parsed == City(name="Paris", people=2_100_000)
    assert schema["required"] == ["name", "people"]
    assert {name: each["type"] for name, each in schema["properties"].items()} == {
        "name": "string",
        "people": "integer",
    }


@EACH
async def test_what_the_vendor_cannot_take_is_named(stage: Stage, vendor: Format) -> None:
    """In a header of the answer, and who wants all or nothing is refused before the vendor."""
    if not vendor.UNTAKEN:
        pytest.skip("the vendor gets everything")
    [name] = vendor.UNTAKEN
    strict = {"x-headgate-strict": "true"}
    async with standing(stage, vendor) as stand:
        create = stand.client.chat.completions.with_raw_response.create
        stand.replay.answers.append(vendor.whole(Said(TEXT)))
        found = await create(model="any", messages=HELLO, extra_body=vendor.UNTAKEN)
        assert found.headers["x-headgate-dropped"].startswith(f"{name};reason=")
        assert name not in stand.replay.bodies[0]
        with pytest.raises(openai.BadRequestError) as raised:
            await create(
                model="any", messages=HELLO, extra_body=vendor.UNTAKEN, extra_headers=strict
            )
        assert raised.value.param == name
        assert len(stand.replay.requests) == 1
        stand.replay.answers.append(vendor.whole(Said(TEXT)))
        assert (await create(model="any", messages=HELLO, extra_headers=strict)).parse()


async def test_answers_without_an_id_get_one_each(stage: Stage) -> None:
    """Two streams of one second are two answers; all chunks of one have its id."""
    vendor: Any = VENDORS["bedrock"]
    ids: list[str] = []
    async with standing(stage, vendor) as stand:
        for _ in range(3):
            found = await stand.ask(vendor.stream(Said(TEXT)), stream=True)
            ids += [head[0] for head in found.heads]
    assert len(set(ids)) == len(ids) == 3
    assert all(each.startswith("chatcmpl-") for each in ids)
