"""Ollama: what is sent, checked by its SDK's types, and what recorded answers come to."""

from __future__ import annotations

import base64
import json
from collections import Counter
from typing import Any

import pytest
from ollama._types import ChatRequest, EmbedRequest, GenerateRequest
from openai.types import Completion, CreateEmbeddingResponse, Model

from adapters import ollama
from proxy.adapter import Media, Target, UpstreamRequest, UpstreamResponse
from proxy.errors import InvalidRequest, UpstreamRejected, UpstreamTruncated
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

CHAT = ollama.operations["chat"]
COMPLETIONS = ollama.operations["completions"]
EMBEDDINGS = ollama.operations["embeddings"]
MODELS = ollama.operations["models"]
TARGET = Target("qwen3:8b")
USER = {"role": "user", "content": "Hi"}
EMPTY = {"type": "object", "properties": {}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": EMPTY}}
SCOPE = {"/api/chat": "chat", "/api/embed": "embeddings", "/api/generate": "completions"}


def made(target: Target = TARGET, **members: Any) -> UpstreamRequest:
    """Build the vendor's request for a chat."""
    body = {"model": "m", "messages": [USER], **members}
    return CHAT.request(Request(json.dumps(body).encode()), target)


def checked(request: UpstreamRequest) -> dict[str, Any]:
    """Return a chat's body that the SDK knows every member of."""
    body: dict[str, Any] = json.loads(request.body)
    ChatRequest.model_validate(body)
    assert body.keys() <= ChatRequest.model_fields.keys() | {"truncate", "shift"}
    return body


def sent(target: Target = TARGET, **members: Any) -> dict[str, Any]:
    """Return the body of a chat of which nothing was dropped, without the ever same."""
    request = made(target, **members)
    assert request.dropped == []
    body = checked(request)
    assert (body.pop("model"), body.pop("stream")) == (target.model, False)
    return body


def messages(*given: dict[str, Any], target: Target = TARGET) -> list[dict[str, Any]]:
    """Return messages as Ollama gets them."""
    found: list[dict[str, Any]] = sent(target, messages=list(given))["messages"]
    return found


def dropped(**members: Any) -> list[str]:
    """Return the names of what is not sent."""
    request = made(**members)
    checked(request)
    return [loss.name for loss in request.dropped]


def calling(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    """Return a call as a client has it."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


# Requests


def test_the_request_goes_to_ollamas_own_api() -> None:
    """Whether it streams is always said: Ollama would, unasked. A key is for its cloud."""
    request = made(stream=True, stream_options={"include_usage": True}, user="u", store=True)

    assert (request.method, request.path) == ("POST", "/api/chat")
    assert "authorization" not in dict(request.headers)
    assert checked(request) == {"model": "qwen3:8b", "messages": [USER], "stream": True}
    assert request.dropped == []
    with_key = made(TARGET._replace(credential="secret"))
    assert ("authorization", "Bearer secret") in with_key.headers


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"max_tokens": 9, "max_completion_tokens": 5}, {"options": {"num_predict": 5}}),
        ({"stop": "x", "seed": 7}, {"options": {"stop": ["x"], "seed": 7}}),
        ({"stop": ["x", "y"], "top_k": None}, {"options": {"stop": ["x", "y"]}}),
        (
            {
                "temperature": 0,
                "presence_penalty": 0.5,
                "options": {"num_ctx": 9, "temperature": 1},
            },
            {"options": {"temperature": 1, "presence_penalty": 0.5, "num_ctx": 9}},
        ),
        ({"reasoning_effort": "none"}, {"think": False}),
        ({"reasoning_effort": "minimal"}, {"think": "low"}),
        ({"reasoning_effort": "low", "think": True}, {"think": True}),
        ({"keep_alive": "5m", "logprobs": True, "top_logprobs": 2}, None),
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": {"type": "json_object"}}, {"format": "json"}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
            {"format": "json"},
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": EMPTY, "strict": True},
                }
            },
            {"format": EMPTY},
        ),
        ({"format": "json"}, None),
        ({"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": True}, {"tools": [TOOL]}),
        ({"tools": [TOOL], "tool_choice": "none"}, {}),
        (
            {"tools": [{"type": "function", "function": {"name": "a", "strict": True}}]},
            {"tools": [{"type": "function", "function": {"name": "a", "parameters": EMPTY}}]},
        ),
    ],
)
def test_parameters_have_ollamas_names(ours: dict[str, Any], theirs: Any) -> None:
    """And nothing is lost on the way."""
    body = sent(**ours)
    del body["messages"]
    assert body == (ours if theirs is None else theirs)


def test_options_of_the_provider_are_defaults() -> None:
    """A request may say otherwise."""
    options = {"num_ctx": 32768, "temperature": 0.1, "think": False, "keep_alive": "10m"}
    body = sent(TARGET._replace(options=options), temperature=1)

    assert body["options"] == {"num_ctx": 32768, "temperature": 1}
    assert (body["think"], body["keep_alive"]) == (False, "10m")
    assert sent(TARGET._replace(options=options), reasoning_effort="high")["think"] == "high"


def test_what_ollama_does_not_take_is_told() -> None:
    """By its name; it cannot be made to call a tool."""
    assert dropped(n=2, logit_bias={"1": 2}, service_tier=None) == ["n", "logit_bias"]
    choice = {"type": "function", "function": {"name": "weather"}}
    assert dropped(tools=[TOOL], tool_choice=choice, parallel_tool_calls=False) == [
        "tool_choice",
        "parallel_tool_calls",
    ]
    assert dropped(tools=[{"type": "custom", "custom": {"name": "x"}}]) == ["tools[]"]
    assert dropped(messages=[{**USER, "name": "Ann"}]) == ["messages[].name"]


def test_parts_are_texts_and_images() -> None:
    """Images as base64, those by URL as they were fetched; files of text are text."""
    url = "https://a.b/c.png"
    parts = [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,w6Q=", "filename": "a.txt"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
    ]
    target = TARGET._replace(media={url: Media("image/png", b"png")})
    request = made(target, messages=[{"role": "user", "content": parts}])

    assert checked(request)["messages"] == [
        {
            "role": "user",
            "content": "a\na.txt:\nä",
            "images": [base64.b64encode(b"png").decode(), "AA=="],
        }
    ]
    assert [loss.name for loss in request.dropped] == [
        "messages[].content[].file",
        "messages[].content[].input_audio",
    ]
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": parts}]}).encode()
    assert CHAT.media is not None
    assert CHAT.media(Request(body)) == [url]
    with pytest.raises(InvalidRequest):
        CHAT.request(Request(body), TARGET)


def test_calls_have_objects_and_results_the_name_of_the_tool() -> None:
    """The model is shown names, not ids; ids go along for servers that know them."""
    found = messages(
        {"role": "developer", "content": "Be brief."},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                calling("call_1", "weather", '{"city": "Bern", "n": 1e3}'),
                calling("call_2", "now", ""),
                calling("call_3", "odd", "[1]"),
            ],
        },
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "12"}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "15", "name": "given"},
        {"role": "assistant", "refusal": "No."},
    )
    assert found[0] == {"role": "system", "content": "Be brief."}
    assert found[1]["tool_calls"] == [
        {
            "id": "call_1",
            "function": {"index": 0, "name": "weather", "arguments": {"city": "Bern", "n": 1000}},
        },
        {"id": "call_2", "function": {"index": 1, "name": "now", "arguments": {}}},
        {
            "id": "call_3",
            "function": {"index": 2, "name": "odd", "arguments": {"arguments": "[1]"}},
        },
    ]
    assert found[2:] == [
        {"role": "tool", "tool_call_id": "call_2", "tool_name": "now", "content": "12"},
        {"role": "tool", "tool_call_id": "call_1", "tool_name": "given", "content": "15"},
        {"role": "assistant", "content": "No."},
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"model": "m"},
        {"model": "m", "messages": [{"role": "tool", "content": "x"}]},
        {"model": "m", "messages": [{"role": "user", "content": [{"type": 1}]}]},
        {"model": "m", "messages": [USER], "options": 5},
    ],
)
def test_what_cannot_be_read_is_the_clients_mistake(body: dict[str, Any]) -> None:
    """It is told before anything is sent."""
    with pytest.raises(InvalidRequest):
        CHAT.request(Request(json.dumps(body).encode()), TARGET)


def test_thoughts_come_back_with_their_calls() -> None:
    """With the reasoning, or without by what was remembered."""
    answer, memory = turn(CHAT, "ollama/chat-whole-calls")
    kept = {key: answer[key] for key in ("role", "content", "tool_calls")}
    recalling = TARGET._replace(recall=memory.get)
    result = {"role": "tool", "tool_call_id": answer["tool_calls"][0]["id"], "content": "15"}

    assert messages(USER, answer, result)[1]["thinking"] == "Use it."
    assert messages(USER, kept, result, target=recalling)[1]["thinking"] == "Use it."
    assert "thinking" not in messages(USER, kept, result)[1]
    assert messages(USER, kept, result)[2]["tool_name"] == "weather"


def test_calls_without_ids_get_short_ones() -> None:
    """They differ by call and by turn, and are the same each time."""
    line = b'{"created_at":"%b","message":{"tool_calls":[%b]},"done":%b}\n'
    call = b'{"function":{"name":"roll","arguments":{}}}'
    found = []
    for moment in (b"2025-11-24T10:00:00.1Z", b"2025-11-24T10:00:00.2Z"):
        stream = line % (moment, call + b"," + call, b"false") + line % (moment, b"", b"true")
        found += [call_id for call_id, _, _ in replayed(CHAT, stream).said().calls]

    assert len(set(found)) == 4
    assert all(len(call_id) == 13 for call_id in found)


def embeddings(target: Target = TARGET, **members: Any) -> UpstreamRequest:
    """Build the vendor's request for embeddings."""
    return EMBEDDINGS.request(Request(json.dumps({"model": "m", **members}).encode()), target)


def test_embeddings_take_the_providers_options() -> None:
    """And the vendor's own members beside OpenAI's."""
    target = TARGET._replace(options={"num_ctx": 9, "keep_alive": "10m", "think": False})
    request = embeddings(target, input=["a"], dimensions=8, truncate=False, x=1)
    body = json.loads(request.body)
    EmbedRequest.model_validate(body)

    assert request.path == "/api/embed"
    assert [loss.name for loss in request.dropped] == ["x"]
    assert body == {
        "model": "qwen3:8b",
        "input": ["a"],
        "dimensions": 8,
        "truncate": False,
        "keep_alive": "10m",
        "options": {"num_ctx": 9},
    }
    with pytest.raises(InvalidRequest):
        embeddings()


def test_embeddings_as_base64_are_asked_of_the_same_api() -> None:
    """The gateway packs the numbers, so the model's options hold for OpenAI's SDK as well."""
    request = embeddings(input="a", encoding_format="base64", options={"num_ctx": 9})

    assert request.path == "/api/embed"
    assert json.loads(request.body) == {
        "model": "qwen3:8b",
        "input": "a",
        "options": {"num_ctx": 9},
    }
    assert request.dropped == []


def test_models_are_those_that_are_there() -> None:
    """In OpenAI's form; a time that cannot be read is unknown."""
    request = MODELS.request(Request(b'{"model":""}'), TARGET)
    assert (request.method, request.path, request.body) == ("GET", "/api/tags", b"")

    body = b'{"models":[{"name":"a","modified_at":"2025-01-01T00:00:00Z"},{"model":"b"}]}'
    response = MODELS.response(UpstreamResponse(200, (), body), 0)
    found = [Model.model_validate(model) for model in json.loads(response.body)["data"]]
    assert [(model.id, model.created) for model in found] == [("a", 1735689600), ("b", 0)]


# The corpus

corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")


def expected(lines: list[dict[str, Any]]) -> Said:
    """Put together what a whole answer or lines say."""
    spoken = [line["message"] for line in lines]
    calls = [call for message in spoken for call in message.get("tool_calls") or []]
    last = lines[-1]
    return Said(
        "".join(message["content"] for message in spoken),
        "".join(message.get("thinking", "") for message in spoken),
        [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in calls],
        "tool_calls" if calls else last["done_reason"],
        Usage(last["prompt_eval_count"], output_tokens=last["eval_count"]),
        [],
    )


def check_chat_request(asked: dict[str, Any]) -> None:
    """A client's request of the same meaning gives the recorded one."""
    body = {"stream": True, **asked}
    options = body.pop("options", {})
    if body.pop("format", None) == "json":
        body["response_format"] = {"type": "json_object"}
    request = CHAT.request(Request(json.dumps(body | options).encode()), Target(asked["model"]))
    theirs = {key: value for key, value in asked.items() if value != []}
    assert request.dropped == []
    assert checked(request) == {"stream": True, **theirs}


def check_embeddings(exchange: Exchange) -> None:
    """Request and vectors are the recorded ones."""
    asked = exchange.asked
    body = {"model": asked["model"], "input": asked["input"], **asked["options"]}
    request = EMBEDDINGS.request(Request(json.dumps(body).encode()), Target(asked["model"]))
    assert json.loads(request.body)["input"] == asked["input"]
    response = EMBEDDINGS.response(exchange.given, 0)
    found = CreateEmbeddingResponse.model_validate_json(response.body)
    assert [one.embedding for one in found.data] == exchange.answered["embeddings"]
    assert response.usage == Usage(exchange.answered["prompt_eval_count"])


def generated(**members: Any) -> tuple[dict[str, Any], list[str]]:
    """Return a body of a completion, checked by the SDK's type, and what is not in it."""
    target = members.pop("target", Target("qwen2.5-coder"))
    asked = Request(json.dumps({"model": "m", "prompt": "def f(", **members}).encode())
    request = COMPLETIONS.request(asked, target)
    assert request.path == "/api/generate"
    body: dict[str, Any] = json.loads(request.body)
    GenerateRequest.model_validate(body)
    assert body.keys() <= GenerateRequest.model_fields.keys() | {"truncate", "shift"}
    return body, [loss.name for loss in request.dropped]


def test_a_completion_is_generated() -> None:
    """Prompt and suffix as they are; the rest are options of the model."""
    body, lost = generated(
        suffix="return x", max_tokens=64, temperature=0.5, stop="\n\n", seed=7, n=1, echo=False
    )
    assert body == {
        "model": "qwen2.5-coder",
        "prompt": "def f(",
        "suffix": "return x",
        "stream": False,
        "options": {"num_predict": 64, "temperature": 0.5, "stop": ["\n\n"], "seed": 7},
    }
    assert not lost
    body, lost = generated(prompt=["a"], stream=True, stream_options={"include_usage": True})
    assert body == {"model": "qwen2.5-coder", "prompt": "a", "stream": True}
    assert not lost


def test_what_is_ollamas_own_goes_along() -> None:
    """From the request, or for all of them from the provider's options."""
    options = {"keep_alive": "5m", "num_ctx": 8192}
    body, lost = generated(raw=True, system="x", target=Target("m", options=options))
    assert body == {
        "model": "m",
        "prompt": "def f(",
        "stream": False,
        "keep_alive": "5m",
        "raw": True,
        "system": "x",
        "options": {"num_ctx": 8192},
    }
    assert not lost


def test_what_a_completion_lacks_is_named() -> None:
    """Likelihoods it has: OpenAI's number says how many others are told."""
    body, lost = generated(best_of=3, logit_bias={"1": 1}, logprobs=2)
    assert sorted(lost) == ["best_of", "logit_bias"]
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)
    assert generated(logprobs=0)[0]["top_logprobs"] == 0
    assert "logprobs" not in generated(logprobs=None)[0]
    own, _ = generated(logprobs=True, top_logprobs=3)
    assert (own["logprobs"], own["top_logprobs"]) == (True, 3)


def check_generated(exchange: Exchange) -> str:
    """A recorded completion gives the text, its end and its usage, however it is cut."""
    asked = exchange.asked
    made = COMPLETIONS.request(Request(json.dumps(asked).encode()), Target(asked["model"]))
    assert made.dropped == []
    assert json.loads(made.body) == asked
    stream = exchange.stream
    if stream is None:
        found = Completion.model_validate_json(COMPLETIONS.response(exchange.given, 0).body)
        [choice] = found.choices
        assert choice.text == exchange.answered["response"]
        assert choice.finish_reason == exchange.answered["done_reason"]
        return "whole"
    lines = [json.loads(line) for line in stream.decode().splitlines()]
    again = replayed(COMPLETIONS, stream)
    choices = [c for chunk in again.chunks for c in json.loads(chunk.data)["choices"]]
    assert "".join(c["text"] for c in choices) == "".join(line["response"] for line in lines)
    assert [c["finish_reason"] for c in choices][-1] == lines[-1]["done_reason"]
    counted = Usage(lines[-1]["prompt_eval_count"], output_tokens=lines[-1]["eval_count"])
    assert again.translator.usage == counted
    half = stream[: stream.rindex(b"{", 0, stream.rindex(b'"response"'))]
    assert isinstance(Replayed(COMPLETIONS, [half]).error, UpstreamTruncated)
    return "stream"


def check_answer(exchange: Exchange) -> str:
    """An answer says what the recording says, however it is cut."""
    if exchange.status >= 400:
        error = ollama.error(exchange.given)
        assert type(error) is UpstreamRejected
        assert (error.status, error.message) == (404, exchange.answered["error"])
        return "error"
    stream = exchange.stream
    if stream is None:
        assert whole(CHAT, exchange.given) == expected([exchange.answered])
        return "whole"
    lines = [json.loads(line) for line in stream.decode().splitlines()]
    assert replayed(CHAT, stream).said() == expected(lines)
    last = stream.rindex(b"{", 0, stream.rindex(b'"message"'))
    for cut in range(0, last, max(1, last // 20)):
        assert isinstance(Replayed(CHAT, [stream[:cut]]).error, UpstreamTruncated)
    return "stream"


@corpus
def test_every_recorded_exchange_is_handled_right(capsys: pytest.CaptureFixture[str]) -> None:
    """What has no face of ours is counted; `/v1` is tested as OpenAI's dialect."""
    right: Counter[str] = Counter()
    outside: Counter[str] = Counter()
    for exchange in exchanges("ollama"):
        if exchange.path not in SCOPE:
            dialect = exchange.path.startswith("/v1/")
            reason = "OpenAI's dialect, tested with it" if dialect else "no face of ours"
            outside[f"{exchange.path}: {reason}"] += 1
        elif exchange.path == "/api/embed":
            check_embeddings(exchange)
            right["embeddings"] += 1
        elif exchange.path == "/api/generate":
            right[f"generated {check_generated(exchange)}"] += 1
        else:
            check_chat_request(exchange.asked)
            right["request"] += 1
            right[check_answer(exchange)] += 1
    with capsys.disabled():
        print(f"\nollama: {dict(right)}; out of scope: {dict(outside)}")

    generated = {"generated whole": 1, "generated stream": 2}
    chats = {"request": 7, "whole": 3, "stream": 3, "error": 1}
    assert right == {**chats, **generated, "embeddings": 1}
    assert outside.total() == 10
