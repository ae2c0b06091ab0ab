"""Cohere: what is sent, checked by its SDK's types, and what recorded answers come to."""

from __future__ import annotations

import inspect
import json
from collections import Counter
from typing import Any

import pytest
from cohere.types import ChatMessageV2, CitationOptions, ResponseFormatV2, Thinking, ToolV2
from cohere.v2.client import V2Client
from openai.types import CreateEmbeddingResponse
from pydantic import TypeAdapter

from adapters import cohere
from proxy.adapter import Target, UpstreamRequest
from proxy.errors import ContextLengthExceeded, InvalidRequest, UpstreamRejected, UpstreamTruncated
from proxy.wire import Request, Usage
from tests.adapters.replay import (
    CORPUS,
    Exchange,
    Replayed,
    Said,
    exchanges,
    replayed,
    turn,
    whole,
)

CHAT = cohere.operations["chat"]
EMBEDDINGS = cohere.operations["embeddings"]
RERANK = cohere.operations["rerank"]
TARGET = Target("command-x", credential="secret")
USER = {"role": "user", "content": "Hi"}
CALL = {"id": "weather_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
EMPTY = {"type": "object", "properties": {}}
TYPES: dict[str, Any] = {
    "messages": list[ChatMessageV2],
    "tools": list[ToolV2],
    "response_format": ResponseFormatV2,
    "thinking": Thinking,
    "citation_options": CitationOptions,
}


def tool(name: str, **function: Any) -> dict[str, Any]:
    """Return a tool that is a function."""
    return {"type": "function", "function": {"name": name, "parameters": EMPTY, **function}}


def parameters(method: str) -> set[str]:
    """Return what a method of the SDK takes."""
    return {*inspect.signature(getattr(V2Client, method)).parameters, "stream"}


def made(target: Target = TARGET, **members: Any) -> UpstreamRequest:
    """Build the vendor's request for a chat."""
    body = {"model": "m", "messages": [USER], **members}
    return CHAT.request(Request(json.dumps(body).encode()), target)


def checked(request: UpstreamRequest) -> dict[str, Any]:
    """Return a chat's body that the SDK knows every member of."""
    body: dict[str, Any] = json.loads(request.body)
    assert body.keys() <= parameters("chat")
    for name, kind in TYPES.items():
        if name in body:
            TypeAdapter(kind).validate_python(body[name])
    return body


def sent(target: Target = TARGET, **members: Any) -> dict[str, Any]:
    """Return the body of a chat of which nothing was dropped, without the ever same."""
    request = made(target, **members)
    assert request.dropped == []
    body = checked(request)
    assert body.pop("model") == target.model
    del body["stream"]
    return body


def messages(*given: dict[str, Any], target: Target = TARGET) -> list[dict[str, Any]]:
    """Return messages as Cohere gets them."""
    found: list[dict[str, Any]] = sent(target, messages=list(given))["messages"]
    return found


def dropped(**members: Any) -> list[str]:
    """Return the names of what is not sent."""
    request = made(**members)
    checked(request)
    return [loss.name for loss in request.dropped]


# Requests


def test_the_request_goes_to_the_second_api_with_the_key() -> None:
    """Whether it streams is always said."""
    request = made(stream=True, stream_options={"include_usage": True}, user="u")

    assert (request.method, request.path) == ("POST", "/v2/chat")
    assert ("authorization", "Bearer secret") in request.headers
    assert checked(request) == {"model": "command-x", "messages": [USER], "stream": True}
    assert request.dropped == []


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"max_completion_tokens": 5}, {"max_tokens": 5}),
        ({"max_tokens": 9, "max_completion_tokens": 5}, {"max_tokens": 5}),
        ({"stop": "x"}, {"stop_sequences": ["x"]}),
        ({"stop": ["x", "y"]}, {"stop_sequences": ["x", "y"]}),
        ({"top_p": 0.5, "top_k": 3}, {"p": 0.5, "k": 3}),
        ({"seed": 7, "temperature": 0, "presence_penalty": 0.1}, None),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"reasoning_effort": "high"}, {"thinking": {"type": "enabled"}}),
        ({"thinking": {"type": "enabled", "token_budget": 9}, "reasoning_effort": "low"}, None),
        ({"safety_mode": "STRICT", "citation_options": {"mode": "FAST"}}, None),
        ({"documents": [{"id": "1", "data": {"text": "a"}}, "b"]}, None),
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": {"type": "json_object"}}, None),
        ({"response_format": {"type": "json_object", "json_schema": EMPTY}}, None),
        ({"tools": [], "tool_choice": "auto", "seed": None}, {}),
        ({"tools": [tool("a")], "tool_choice": "auto"}, {"tools": [tool("a")]}),
        (
            {"tools": [tool("a")], "tool_choice": "required"},
            {"tools": [tool("a")], "tool_choice": "REQUIRED"},
        ),
        (
            {"tools": [tool("a", strict=True)], "tool_choice": "none"},
            {"tools": [tool("a")], "tool_choice": "NONE", "strict_tools": True},
        ),
        (
            {
                "tools": [tool("a"), tool("b", description="d")],
                "tool_choice": {"type": "function", "function": {"name": "b"}},
                "parallel_tool_calls": True,
            },
            {"tools": [tool("b", description="d")], "tool_choice": "REQUIRED"},
        ),
    ],
)
def test_parameters_have_coheres_names(ours: dict[str, Any], theirs: Any) -> None:
    """And nothing is lost on the way."""
    body = sent(**ours)
    del body["messages"]
    expected = ours if theirs is None else theirs
    assert body == {key: value for key, value in expected.items() if key != "reasoning_effort"}


def test_a_schema_loses_what_cohere_does_not_enforce() -> None:
    """It is told; members that are merely called like a keyword stay."""
    schema = {
        "type": "object",
        "properties": {
            "minimum": {"type": "integer", "minimum": 1},
            "many": {"type": "array", "items": {"type": "string", "maxLength": 3}, "minItems": 1},
        },
        "required": ["minimum"],
        "$defs": {"x": {"anyOf": [{"oneOf": []}, {"type": "null"}]}},
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    request = made(response_format=wanted)

    assert checked(request)["response_format"] == {
        "type": "json_object",
        "json_schema": {
            "type": "object",
            "properties": {
                "minimum": {"type": "integer"},
                "many": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["minimum"],
            "$defs": {"x": {"anyOf": [{}, {"type": "null"}]}},
        },
    }
    (loss,) = request.dropped
    assert loss.name == "response_format.json_schema"
    assert loss.reason == "Cohere does not enforce maxLength, minItems, minimum, oneOf"


@pytest.mark.parametrize("beside", [{"tools": [tool("a")]}, {"documents": ["a"]}])
def test_a_format_beside_tools_or_documents_is_told(beside: dict[str, Any]) -> None:
    """Cohere refuses the two together."""
    assert dropped(response_format={"type": "json_object"}, **beside) == ["response_format"]


def test_what_cohere_does_not_take_is_told() -> None:
    """By its name."""
    assert dropped(n=2, logprobs=True, logit_bias={"1": 2}, service_tier=None) == [
        "n",
        "logprobs",
        "logit_bias",
    ]
    tools = [tool("a"), {"type": "custom", "custom": {"name": "x"}}]
    assert dropped(tools=tools, parallel_tool_calls=False) == ["tools[]", "parallel_tool_calls"]
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}
    assert dropped(tools=[tool("a")], tool_choice=allowed) == ["tool_choice"]
    named = [{**USER, "name": "Ann"}, {**USER, "name": "Bob"}]
    assert dropped(messages=named) == ["messages[].name"]


def test_parts_are_texts_and_images() -> None:
    """Files of text are documents that can be cited; other files and audio are told."""
    parts = [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "https://a.b/c.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "x"}},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,w6Q=", "filename": "a.txt"}},
        {"type": "file", "file": {"file_data": "data:text/csv,a%3Bb"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ]
    request = made(messages=[{"role": "user", "content": parts}], documents=["own"])
    body = checked(request)

    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "https://a.b/c.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
    ]
    assert body["documents"] == [
        {"id": "file:0", "data": {"title": "a.txt", "text": "ä"}},
        {"id": "file:1", "data": {"title": "file 2", "text": "a;b"}},
        "own",
    ]
    assert [loss.name for loss in request.dropped] == [
        "messages[].content[].file",
        "messages[].content[].input_audio",
    ]


def test_results_of_tools_may_be_documents() -> None:
    """Cohere's own parts pass unchanged."""
    result = {"type": "document", "document": {"id": "1", "data": {"text": "a"}}}
    found = messages(
        {"role": "developer", "content": "Be brief."},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "weather_1", "content": [result]},
        {"role": "assistant", "content": None, "refusal": "No."},
    )
    assert found == [
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "weather_1", "content": [result]},
        {"role": "assistant", "content": "No."},
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"model": "m"},
        {"model": "m", "messages": [{"role": "tool", "content": "x"}]},
        {"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        {"model": "m", "messages": [USER], "tools": "many"},
        {
            "model": "m",
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "file", "file": {"file_data": "data:text/plain;base64,ä"}}
                    ],
                }
            ],
        },
    ],
)
def test_what_cannot_be_read_is_the_clients_mistake(body: dict[str, Any]) -> None:
    """It is told before anything is sent."""
    with pytest.raises(InvalidRequest):
        CHAT.request(Request(json.dumps(body).encode()), TARGET)


# Turns


def turn_after(answer: dict[str, Any], target: Target = TARGET) -> dict[str, Any]:
    """Return the assistant's message as it goes back when a client has run its tools."""
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "1"}
        for call in answer["tool_calls"]
    ]
    return messages(USER, answer, *results, target=target)[1]


def test_a_plan_comes_back_with_its_calls() -> None:
    """With the reasoning, or without by what was remembered."""
    answer, memory = turn(CHAT, "cohere/chat-whole-calls")
    kept = {key: answer[key] for key in ("role", "content", "tool_calls")}
    recalling = TARGET._replace(recall=memory.get)

    for found in (turn_after(answer), turn_after(answer, recalling), turn_after(kept, recalling)):
        assert found["tool_plan"] == "Roll."
        assert [call["id"] for call in found["tool_calls"]] == ["roll_1", "roll_2"]
        assert "content" not in found
    assert "tool_plan" not in turn_after(kept)
    odd = TARGET._replace(recall=lambda _: b"[]")
    assert turn_after(answer, odd)["tool_plan"] == "Roll."


def test_thoughts_come_back_as_thoughts() -> None:
    """Before the text; before calls where it is remembered that they were no plan."""
    said = {"role": "assistant", "content": "8.", "reasoning_content": "5 + 3"}
    thinking = {"type": "thinking", "thinking": "5 + 3"}

    found = messages(USER, said, USER)[1]
    assert found["content"] == [thinking, {"type": "text", "text": "8."}]
    target = TARGET._replace(recall=lambda _: b'{"thinking":"5 + 3"}')
    found = turn_after({"role": "assistant", "content": "", "tool_calls": [CALL]}, target)
    assert found["content"] == [thinking]
    parts = {**said, "content": [{"type": "text", "text": "8."}]}
    assert messages(parts)[0]["content"] == [thinking, {"type": "text", "text": "8."}]


# Embeddings and reranking


def embeddings(**members: Any) -> UpstreamRequest:
    """Build the vendor's request for embeddings."""
    request = EMBEDDINGS.request(Request(json.dumps({"model": "m", **members}).encode()), TARGET)
    assert request.path == "/v2/embed"
    assert json.loads(request.body).keys() <= parameters("embed")
    return request


def test_texts_are_embedded_for_documents_unless_said_otherwise() -> None:
    """OpenAI knows no purpose; Cohere demands one."""
    assert json.loads(embeddings(input="a").body) == {
        "model": "command-x",
        "input_type": "search_document",
        "texts": ["a"],
        "embedding_types": ["float"],
    }
    request = embeddings(
        input=["a"], input_type="search_query", dimensions=8, encoding_format="base64", user="u"
    )
    assert json.loads(request.body) == {
        "model": "command-x",
        "input_type": "search_query",
        "texts": ["a"],
        "output_dimension": 8,
        "embedding_types": ["base64"],
    }
    assert request.dropped == []


def test_an_answer_has_room_for_one_form() -> None:
    """Others are told; tokens instead of texts are the client's mistake."""
    request = embeddings(images=["data:image/png;base64,AA=="], embedding_types=["int8", "float"])

    assert json.loads(request.body)["embedding_types"] == ["int8"]
    assert [loss.name for loss in request.dropped] == ["embedding_types"]
    for tokens in ([1, 2], [[1, 2]], 5):
        with pytest.raises(InvalidRequest):
            embeddings(input=tokens)


def ranking(**members: Any) -> UpstreamRequest:
    """Build the vendor's request for reranking."""
    body = {"model": "m", "query": "q", **members}
    return RERANK.request(Request(json.dumps(body).encode()), TARGET)


def test_documents_are_ranked_as_texts() -> None:
    """The first API is asked only for documents back."""
    documents = ["a", {"text": "b"}, {"title": "c"}]
    texts = ["a", "b", '{"title":"c"}']
    request = ranking(documents=documents, top_n=2, max_tokens_per_doc=9)

    assert request.path == "/v2/rerank"
    body = json.loads(request.body)
    assert body.keys() <= parameters("rerank")
    assert body == {
        "model": "command-x",
        "query": "q",
        "documents": texts,
        "top_n": 2,
        "max_tokens_per_doc": 9,
    }
    request = ranking(documents=documents, return_documents=True, max_tokens_per_doc=9, x=1)
    assert request.path == "/v1/rerank"
    assert json.loads(request.body)["return_documents"] is True
    assert [loss.name for loss in request.dropped] == ["x", "max_tokens_per_doc"]
    with pytest.raises(InvalidRequest):
        ranking()


# The corpus

corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")
SCOPE = {
    "/v2/chat": "chat",
    "/v2/embed": "embeddings",
    "/v2/rerank": "rerank",
    "/v1/rerank": "rerank",
}
OUTSIDE = {
    "v1": "the first API",
    "v2": "passes through",
    "compatibility": "OpenAI's dialect, tested with it",
}
FINISH = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
}


def tokens(usage: dict[str, Any]) -> Usage:
    """Read usage as Cohere documents it: images stand beside the text of the prompt."""
    counts = usage["tokens"]
    return Usage(
        input_tokens=counts["input_tokens"] + counts.get("image_tokens", 0),
        cached_tokens=usage.get("cached_tokens", 0),
        output_tokens=counts["output_tokens"],
        reasoning_tokens=counts.get("reasoning_tokens", 0),
    )


def annotations(citations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what cites one text, source by source; in the corpus it is one block."""
    found = []
    for citation in citations:
        for source in citation["sources"]:
            facts = source.get("document") or source.get("tool_output")
            place = {"start_index": citation["start"], "end_index": citation["end"]}
            names = {"url": facts.get("url") or source["id"], "title": facts["title"]}
            found.append(
                {
                    "type": "url_citation",
                    "url_citation": {**place, **names, "source_id": source["id"]},
                }
            )
    return found


def expected_whole(document: dict[str, Any]) -> Said:
    """Put together what a whole answer says."""
    message = document["message"]
    blocks = message.get("content") or []
    calls = [(call["id"], call["function"]) for call in message.get("tool_calls") or []]
    return Said(
        "".join(block.get("text", "") for block in blocks),
        "".join(block.get("thinking", "") for block in blocks) + message.get("tool_plan", ""),
        [(call_id, f["name"], json.loads(f["arguments"])) for call_id, f in calls],
        FINISH[document["finish_reason"]],
        tokens(document["usage"]),
        annotations(message.get("citations") or []),
    )


def expected_stream(stream: bytes) -> Said:
    """Put together what events say."""
    lines = [line.removeprefix("data: ") for line in stream.decode().splitlines()]
    events = [json.loads(line) for line in lines if line.startswith("{")]
    said = {"text": "", "thinking": "", "tool_plan": ""}
    calls: dict[int, list[str]] = {}
    citations: list[Any] = []
    for event in events:
        message = event.get("delta", {}).get("message", {})
        sort = event["type"]
        if sort in ("content-start", "content-delta", "tool-plan-delta"):
            for name, piece in (message.get("content") or message).items():
                if name in said:
                    said[name] += piece
        elif sort == "tool-call-start":
            call = message["tool_calls"]
            calls[event["index"]] = [call["id"], call["function"]["name"], ""]
        elif sort == "tool-call-delta":
            calls[event["index"]][2] += message["tool_calls"]["function"]["arguments"]
        elif sort == "citation-start":
            citations.append(message["citations"])
    end = events[-1]["delta"]
    return Said(
        said["text"],
        said["thinking"] + said["tool_plan"],
        [(call_id, name, json.loads(given or "{}")) for call_id, name, given in calls.values()],
        FINISH[end["finish_reason"]],
        tokens(end["usage"]),
        annotations(citations),
    )


def openais(asked: dict[str, Any]) -> dict[str, Any]:
    """Return what a client of OpenAI would have asked to the same end."""
    body = dict(asked)
    if "stop_sequences" in body:
        body["stop"] = body.pop("stop_sequences")
    if "tool_choice" in body:
        body["tool_choice"] = body["tool_choice"].lower()
    wanted = body.get("response_format", {})
    if "json_schema" in wanted:
        schema = {"name": "x", "schema": wanted["json_schema"]}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def check_chat_request(asked: dict[str, Any]) -> None:
    """A client's request of the same meaning gives the recorded one."""
    request = CHAT.request(Request(json.dumps(openais(asked)).encode()), Target(asked["model"]))
    assert request.dropped == []
    assert checked(request) == asked


def check_list_request(exchange: Exchange, operation: str) -> None:
    """So it is with embeddings and reranking."""
    asked = {key: value for key, value in exchange.asked.items() if value is not None}
    body = {"model": "m", **asked}
    if operation == "embeddings":
        body["input"] = body.pop("texts")
        body["dimensions"] = body.pop("output_dimension", None)
        body["encoding_format"] = body.pop("embedding_types")[0]
    made = cohere.operations[operation].request(Request(json.dumps(body).encode()), Target("m"))
    assert made.path == exchange.path
    texts = [d["text"] if isinstance(d, dict) else d for d in asked.get("documents", [])]
    theirs = {**asked, "model": "m", **({"documents": texts} if texts else {})}
    assert json.loads(made.body) == theirs


def check_list_answer(exchange: Exchange, operation: str) -> str:
    """The vectors and ranks are the recorded ones."""
    if exchange.status >= 400:
        error = cohere.error(exchange.given)
        assert type(error) is UpstreamRejected
        assert (error.status, error.message) == (exchange.status, exchange.answered["message"])
        return "error"
    response = cohere.operations[operation].response(exchange.given, 0)
    answered = exchange.answered
    if operation == "embeddings":
        found = CreateEmbeddingResponse.model_validate_json(response.body)
        assert [one.embedding for one in found.data] == answered["embeddings"]["float"]
        assert response.usage == Usage(answered["meta"]["billed_units"]["input_tokens"])
    else:
        assert json.loads(response.body)["results"] == answered["results"]
        assert response.usage is None  # it is told in searches
    return operation


def check(exchange: Exchange) -> list[str]:
    """Check one exchange and return what it was."""
    operation = SCOPE[exchange.path]
    if operation != "chat":
        check_list_request(exchange, operation)
        return ["request", check_list_answer(exchange, operation)]
    found = []
    if exchange.asked is not None:
        check_chat_request(exchange.asked)
        found.append("request")
    stream = exchange.stream
    if exchange.status >= 400:
        assert type(cohere.error(exchange.given)) is ContextLengthExceeded
        return [*found, "error"]
    if stream is None:
        assert whole(CHAT, exchange.given) == expected_whole(exchange.answered)
        return [*found, "whole"]
    assert replayed(CHAT, stream).said() == expected_stream(stream)
    for cut in range(0, stream.index(b"event: message-end"), 97):
        assert isinstance(Replayed(CHAT, [stream[:cut]]).error, UpstreamTruncated)
    return [*found, "stream"]


@corpus
def test_every_recorded_exchange_is_handled_right(capsys: pytest.CaptureFixture[str]) -> None:
    """The first API, but for documents back, and transcription are out of scope."""
    right: Counter[str] = Counter()
    outside: Counter[str] = Counter()
    for exchange in exchanges("cohere"):
        if exchange.path not in SCOPE:
            outside[f"{exchange.path}: {OUTSIDE[exchange.path.split('/')[1]]}"] += 1
            continue
        right.update(check(exchange))
    with capsys.disabled():
        print(f"\ncohere: {dict(right)}; out of scope: {dict(outside)}")

    assert right == {
        "request": 16,
        "whole": 9,
        "stream": 4,
        "error": 2,
        "embeddings": 1,
        "rerank": 2,
    }
    assert outside.total() == 7
