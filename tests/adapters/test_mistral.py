"""Mistral: what is sent, checked by its SDK's types, and what recorded answers come to."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest
from mistralai.client.models import (
    ChatCompletionRequest,
    ClassificationRequest,
    EmbeddingRequest,
    FIMCompletionRequest,
)
from openai.types import CreateEmbeddingResponse, ModerationCreateResponse

from adapters import mistral
from adapters._mistral_request import call_id
from proxy.adapter import Target, UpstreamRequest, UpstreamResponse
from proxy.errors import InvalidRequest, UpstreamAuth, UpstreamTruncated
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

CHAT = mistral.operations["chat"]
COMPLETIONS = mistral.operations["completions"]
EMBEDDINGS = mistral.operations["embeddings"]
MODERATIONS = mistral.operations["moderations"]
TARGET = Target("mistral-x", credential="secret")
USER = {"role": "user", "content": "Hi"}
WEATHER = {"name": "weather", "parameters": {"type": "object", "properties": {}}}
CALL = {"id": "aaaaaaaa1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
SCOPE = {"/v1/chat/completions": "chat", "/v1/embeddings": "embeddings"}


def made(target: Target = TARGET, **members: Any) -> UpstreamRequest:
    """Build the vendor's request for a chat."""
    body = {"model": "m", "messages": [USER], **members}
    return CHAT.request(Request(json.dumps(body).encode()), target)


def sent(target: Target = TARGET, **members: Any) -> dict[str, Any]:
    """Return the body of a chat, checked by the SDK's types, of which nothing was dropped."""
    request = made(target, **members)
    assert request.dropped == []
    return checked(request)


def checked(request: UpstreamRequest) -> dict[str, Any]:
    """Return a chat's body that the SDK knows every member of."""
    body: dict[str, Any] = json.loads(request.body)
    ChatCompletionRequest.model_validate(body)
    assert body.keys() <= ChatCompletionRequest.model_fields.keys()
    return body


def messages(*given: dict[str, Any], target: Target = TARGET) -> list[dict[str, Any]]:
    """Return messages as Mistral gets them."""
    found: list[dict[str, Any]] = sent(target, messages=list(given))["messages"]
    return found


def dropped(**members: Any) -> list[str]:
    """Return the names of what is not sent."""
    request = made(**members)
    checked(request)
    return [loss.name for loss in request.dropped]


# Requests


def test_the_request_goes_to_the_chat_with_the_key() -> None:
    """Path, headers, model; a stream is asked for without options."""
    request = made(stream=True, stream_options={"include_usage": True}, store=False, user="u")

    assert (request.method, request.path) == ("POST", "/chat/completions")
    assert ("authorization", "Bearer secret") in request.headers
    assert checked(request) == {"model": "mistral-x", "messages": [USER], "stream": True}
    assert request.dropped == []


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"max_completion_tokens": 5}, {"max_tokens": 5}),
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_tokens": 9, "max_completion_tokens": 5}, {"max_tokens": 5}),
        ({"seed": 7}, {"random_seed": 7}),
        ({"tool_choice": "required"}, {"tool_choice": "any"}),
        ({"tool_choice": "none"}, {"tool_choice": "none"}),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}),
        ({"reasoning_effort": "high"}, {"reasoning_effort": "high"}),
        ({"stop": "x", "n": 2, "top_p": 0.5}, {"stop": "x", "n": 2, "top_p": 0.5}),
        ({"temperature": None, "seed": None, "tools": []}, {}),
        ({"safe_prompt": True, "prompt_mode": "reasoning"}, None),
        ({"logprobs": True, "top_logprobs": 2, "metadata": {"a": "b"}}, None),
        ({"response_format": {"type": "json_object"}, "parallel_tool_calls": False}, None),
        (
            {"prediction": {"type": "content", "content": [{"type": "text", "text": "ab"}]}},
            {"prediction": {"type": "content", "content": "ab"}},
        ),
    ],
)
def test_parameters_have_mistrals_names(ours: dict[str, Any], theirs: Any) -> None:
    """And nothing is lost on the way."""
    body = sent(**ours)
    del body["model"], body["messages"]
    assert body == (ours if theirs is None else theirs)


def test_a_schema_goes_along_as_it_is() -> None:
    """Mistral takes OpenAI's form, strictness included."""
    schema = {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    assert sent(response_format=wanted)["response_format"] == wanted


def test_what_mistral_does_not_take_is_told() -> None:
    """By its name; null is nothing."""
    assert dropped(logit_bias={"1": 2}, verbosity="low", audio=None) == ["logit_bias", "verbosity"]
    assert dropped(service_tier="flex") == ["service_tier"]
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}
    assert dropped(tool_choice=allowed) == ["tool_choice"]


def test_tools_are_functions_with_parameters() -> None:
    """Mistral demands parameters; tools of its own pass, OpenAI's custom ones are told."""
    tools = [
        {"type": "function", "function": {"name": "now"}, "cache_control": {"type": "ephemeral"}},
        {"type": "function", "function": {**WEATHER, "strict": True, "description": "d"}},
        {"type": "image_generation"},
        {"type": "custom", "custom": {"name": "x"}},
    ]
    request = made(tools=tools)

    assert [loss.name for loss in request.dropped] == ["tools[].custom"]
    assert checked(request)["tools"] == [
        {"type": "function", "function": {"name": "now", "parameters": WEATHER["parameters"]}},
        {"type": "function", "function": {**WEATHER, "strict": True, "description": "d"}},
        {"type": "image_generation"},
    ]


def test_a_named_tool_is_insisted_on() -> None:
    """In OpenAI's own form."""
    choice = {"type": "function", "function": {"name": "weather"}}
    tools = [{"type": "function", "function": WEATHER}]
    assert sent(tools=tools, tool_choice=choice)["tool_choice"] == choice


def test_developers_speak_as_the_system_and_nobody_has_a_name() -> None:
    """An unknown role or member would be a 422."""
    request = made(
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Hi"}], "name": "Ann"},
        ]
    )

    assert [loss.name for loss in request.dropped] == ["messages[].name"]
    assert checked(request)["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
    ]


def test_media_are_chunks() -> None:
    """Images and documents by URL or inside, audio as base64, files by id."""
    found = messages(
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "https://a.b/c.png", "detail": "low"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                {"type": "file", "file": {"file_data": "JVBE", "filename": "a.pdf"}},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE"}},
                {"type": "file", "file": {"file_data": "https://a.b/c.pdf"}},
                {"type": "file", "file": {"file_id": "f-1"}},
                {"type": "document_url", "document_url": "https://a.b/d.pdf"},
                {"type": "image_url", "image_url": "https://a.b/e.png"},
            ],
        }
    )
    pdf = "data:application/pdf;base64,JVBE"
    assert found[0]["content"] == [
        {"type": "image_url", "image_url": {"url": "https://a.b/c.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {"type": "input_audio", "input_audio": "AAAA"},
        {"type": "document_url", "document_url": pdf, "document_name": "a.pdf"},
        {"type": "document_url", "document_url": pdf},
        {"type": "document_url", "document_url": "https://a.b/c.pdf"},
        {"type": "file", "file_id": "f-1"},
        {"type": "document_url", "document_url": "https://a.b/d.pdf"},
        {"type": "image_url", "image_url": "https://a.b/e.png"},
    ]


def test_ids_of_other_vendors_become_nine_letters() -> None:
    """Deterministically, the same for a call and its result; Mistral's own stay."""
    foreign = {**CALL, "id": "toolu_01A09q90qw90lq917835lq9"}
    found = messages(
        USER,
        {"role": "assistant", "content": None, "refusal": None, "tool_calls": [CALL, foreign]},
        {"role": "tool", "tool_call_id": "aaaaaaaa1", "content": "15 °C", "name": "weather"},
        {"role": "tool", "tool_call_id": foreign["id"], "content": [{"type": "text", "text": "1"}]},
    )
    ids = [call["id"] for call in found[1]["tool_calls"]]

    assert ids[0] == "aaaaaaaa1"
    assert re.fullmatch("[a-zA-Z0-9]{9}", ids[1])
    assert [found[2]["tool_call_id"], found[3]["tool_call_id"]] == ids
    assert call_id(foreign["id"]) == ids[1] != call_id("call_1")
    assert found[2]["name"] == "weather"


def test_an_answer_may_begin_with_the_last_message() -> None:
    """Mistral's `prefix` is let through; a refusal is what was said."""
    found = messages(
        {"role": "assistant", "refusal": "No."},
        USER,
        {"role": "assistant", "content": "Dear", "prefix": True},
    )
    assert found[0] == {"role": "assistant", "content": "No."}
    assert found[2] == {"role": "assistant", "content": "Dear", "prefix": True}


@pytest.mark.parametrize(
    "body",
    [
        {"model": "m"},
        {"model": "m", "messages": "Hi"},
        {"model": "m", "messages": [{"role": "tool", "content": "x"}]},
        {"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        {"model": "m", "messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]},
        {"model": "m", "messages": [USER], "max_tokens": "many"},
    ],
)
def test_what_cannot_be_read_is_the_clients_mistake(body: dict[str, Any]) -> None:
    """It is told before anything is sent."""
    with pytest.raises(InvalidRequest):
        CHAT.request(Request(json.dumps(body).encode()), TARGET)


def test_embeddings_have_dimensions() -> None:
    """Under Mistral's name; what else is OpenAI's goes along."""
    given = {"model": "m", "input": ["a"], "dimensions": 8, "encoding_format": "base64"}
    request = EMBEDDINGS.request(Request(json.dumps({**given, "x": 1}).encode()), TARGET)
    body = json.loads(request.body)
    EmbeddingRequest.model_validate(body)

    assert request.path == "/embeddings"
    assert [loss.name for loss in request.dropped] == ["x"]
    assert body == {
        "model": "mistral-x",
        "input": ["a"],
        "output_dimension": 8,
        "encoding_format": "base64",
    }


@pytest.mark.parametrize(
    ("given", "theirs", "lost"),
    [
        ("a", "a", []),
        (["a", "b"], ["a", "b"], []),
        (
            [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "x"}}],
            "a",
            ["input[].image_url"],
        ),
    ],
)
def test_texts_are_moderated(given: Any, theirs: Any, lost: list[str]) -> None:
    """A list of parts is one text; images are told as lost."""
    body = json.dumps({"model": "m", "input": given}).encode()
    request = MODERATIONS.request(Request(body), TARGET)
    document = json.loads(request.body)
    ClassificationRequest.model_validate(document)

    assert document == {"model": "mistral-x", "input": theirs}
    assert [loss.name for loss in request.dropped] == lost


def test_moderation_has_openais_shape() -> None:
    """Also where Mistral found nothing."""
    body = b'{"id":"1","model":"m","results":[{"categories":{},"category_scores":{}}]}'
    response = MODERATIONS.response(UpstreamResponse(200, (), body), 0)
    found = ModerationCreateResponse.model_validate_json(response.body)

    assert found.results[0].flagged is False


# Turns


ANSWER, MEMORY = turn(CHAT, "mistral/chat-whole-thinking-and-calls")
THOUGHT = {
    "type": "thinking",
    "thinking": [{"type": "text", "text": "Look it up."}],
    "signature": "c2ln",
}


def turn_after(answer: dict[str, Any], target: Target = TARGET) -> dict[str, Any]:
    """Return the assistant's message as it goes back when a client has run its tool."""
    result = {"role": "tool", "tool_call_id": answer["tool_calls"][0]["id"], "content": "15"}
    found = messages(USER, answer, result, target=target)
    assert found[2]["tool_call_id"] == found[1]["tool_calls"][0]["id"]
    return found[1]


def test_thoughts_come_back_with_their_signature() -> None:
    """A client that keeps the message as it got it loses nothing."""
    found = turn_after(ANSWER)

    assert found["content"] == [THOUGHT]
    assert found["tool_calls"][0]["function"] == {"name": "find", "arguments": '{"q":"x"}'}


def test_thoughts_are_remembered_for_clients_that_drop_them() -> None:
    """By the id of the first call, with their signature."""
    kept = {key: ANSWER[key] for key in ("role", "content", "tool_calls")}

    assert turn_after(kept, TARGET._replace(recall=MEMORY.get))["content"] == [THOUGHT]
    assert turn_after(kept)["content"] == ""


def test_thoughts_as_text_become_a_chunk() -> None:
    """As the recordings show; other vendors' blocks and memories are no obstacle."""
    said = {"role": "assistant", "content": "8.", "reasoning_content": "5 + 3"}
    chunk = {"type": "thinking", "thinking": [{"type": "text", "text": "5 + 3"}]}
    foreign = [
        {"type": "redacted_thinking", "data": "x"},
        {"type": "thinking", "thinking": "5 + 3"},
    ]

    for turned in (
        said,
        {**said, "thinking_blocks": foreign},
        {**said, "thinking_blocks": [chunk]},
    ):
        found = messages(USER, turned, USER)
        assert found[1]["content"] == [chunk, {"type": "text", "text": "8."}]
    odd = TARGET._replace(recall=lambda _: b"\x00")
    assert messages({"role": "assistant", "tool_calls": [CALL]}, target=odd)[0]["content"] == ""


def test_thoughts_may_be_kept_back() -> None:
    """For models that refuse them."""
    target = TARGET._replace(options={"send_reasoning": False}, recall=MEMORY.get)
    assert turn_after(ANSWER, target)["content"] == ""


# The corpus


corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")


def tokens(usage: dict[str, Any]) -> Usage:
    """Read usage as Mistral documents it: audio stands beside the text of the prompt."""
    details = usage.get("prompt_tokens_details") or {}
    return Usage(
        input_tokens=usage["total_tokens"] - usage["completion_tokens"],
        cached_tokens=details.get("cached_tokens") or usage.get("num_cached_tokens") or 0,
        output_tokens=usage["completion_tokens"],
        audio_input_tokens=details.get("audio_tokens") or 0,
    )


def expected(found: list[dict[str, Any]]) -> Said:
    """Put together what whole answers or events say."""
    said: dict[str, str] = {"text": "", "thinking": ""}
    calls: list[tuple[str, str, Any]] = []
    finish: str | None = None
    usage: Usage | None = None
    for document in found:
        (choice,) = document["choices"]
        message = choice.get("message") or choice.get("delta")
        content = message.get("content") or []
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            inner = part["thinking"] if part["type"] == "thinking" else [part]
            said[part["type"]] += "".join(one["text"] for one in inner)
        for call in message.get("tool_calls") or []:
            function = call["function"]
            calls.append((call["id"], function["name"], json.loads(function["arguments"])))
        finish = choice["finish_reason"] or finish
        usage = tokens(document["usage"]) if document.get("usage") else usage
    return Said(said["text"], said["thinking"], calls, finish, usage, [])


def events(stream: bytes) -> list[dict[str, Any]]:
    """Return the events of a stream."""
    lines = stream.decode().splitlines()
    found = [line.removeprefix("data: ") for line in lines if line.startswith("data: {")]
    return [json.loads(line) for line in found]


def normal(message: dict[str, Any]) -> dict[str, Any]:
    """Return a recorded message without what its SDK adds and means nothing."""
    found = {key: value for key, value in message.items() if (key, value) != ("prefix", False)}
    found["content"] = "" if found.get("content") is None else found["content"]
    for part in found["content"] if isinstance(found["content"], list) else []:
        if part["type"] == "input_audio":
            part["input_audio"] = part["input_audio"]["data"]
    for call in found.get("tool_calls") or []:
        call.pop("index", None)
    return found


def check_request(exchange: Exchange) -> str:
    """A recorded request is what we send for the same request of a client."""
    if "model" not in exchange.asked:
        return "request without a model"
    body = json.dumps(exchange.asked).encode()
    if SCOPE[exchange.path] == "embeddings":
        request = EMBEDDINGS.request(Request(body), Target(exchange.asked["model"]))
        assert json.loads(request.body) == exchange.asked
        return "request"
    request = CHAT.request(Request(body), Target(exchange.asked["model"]))
    theirs = {**exchange.asked, "messages": [normal(m) for m in exchange.asked["messages"]]}
    for tool in theirs.get("tools") or []:
        if not tool["function"]["description"]:
            del tool["function"]["description"]
        tool.setdefault("type", "function")
    ours = checked(request)
    ours.setdefault("stream", False)
    assert request.dropped == []
    assert ours == {"stream": False, **theirs}
    return "request"


def check_answer(exchange: Exchange) -> str:
    """An answer says what the recording says, however it is cut."""
    if exchange.status >= 400:
        error = mistral.error(exchange.given)
        assert isinstance(error, UpstreamAuth)
        assert error.upstream_status == exchange.status
        return "error"
    if SCOPE[exchange.path] == "embeddings":
        response = EMBEDDINGS.response(exchange.given, 0)
        found = CreateEmbeddingResponse.model_validate_json(response.body)
        assert [one.embedding for one in found.data] == [
            one["embedding"] for one in exchange.answered["data"]
        ]
        assert response.usage == tokens(exchange.answered["usage"])
        return "embeddings"
    stream = exchange.stream
    if stream is None:
        assert whole(CHAT, exchange.given) == expected([exchange.answered])
        return "whole"
    assert replayed(CHAT, stream).said() == expected(events(stream))
    for cut in range(0, len(stream) - len(b"data: [DONE]\n\n"), 97):
        assert isinstance(Replayed(CHAT, [stream[:cut]]).error, UpstreamTruncated)
    return "stream"


@corpus
def test_every_recorded_exchange_is_handled_right(capsys: pytest.CaptureFixture[str]) -> None:
    """What has no face of ours is counted: it passes through unread."""
    right: Counter[str] = Counter()
    outside: Counter[str] = Counter()
    for exchange in exchanges("mistral"):
        if exchange.path not in SCOPE:
            outside[f"{exchange.path} passes through"] += 1
            continue
        right[check_request(exchange)] += 1
        right[check_answer(exchange)] += 1
    with capsys.disabled():
        print(f"\nmistral: {dict(right)}; out of scope: {dict(outside)}")

    assert right == {
        "request": 17,
        "request without a model": 1,
        "whole": 11,
        "stream": 5,
        "embeddings": 1,
        "error": 1,
    }
    assert outside.total() == 3


def filled(**members: Any) -> tuple[dict[str, Any], list[str]]:
    """Return a body of fill-in-the-middle, checked by the SDK's type, and what is not in it."""
    asked = Request(json.dumps({"model": "m", "prompt": "def f(", **members}).encode())
    request = COMPLETIONS.request(asked, Target("codestral-latest", "secret"))
    assert request.path == "/fim/completions"
    assert ("authorization", "Bearer secret") in request.headers
    body: dict[str, Any] = json.loads(request.body)
    FIMCompletionRequest.model_validate(body)
    assert body.keys() <= FIMCompletionRequest.model_fields.keys()
    return body, [loss.name for loss in request.dropped]


def test_a_completion_is_fill_in_the_middle() -> None:
    """Prompt and suffix as they are, the seed by the vendor's name."""
    body, lost = filled(
        suffix="return x", max_tokens=64, temperature=0.5, top_p=0.9, stop=["\n\n"], seed=7, n=1
    )
    assert body == {
        "model": "codestral-latest",
        "prompt": "def f(",
        "suffix": "return x",
        "stream": False,
        "max_tokens": 64,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["\n\n"],
        "random_seed": 7,
    }
    assert not lost
    options = {"include_usage": True}
    body, lost = filled(prompt=["a"], suffix=None, stream=True, stream_options=options)
    assert body == {"model": "codestral-latest", "prompt": "a", "stream": True}
    assert not lost
    body, _ = filled(min_tokens=2, prompt_cache_key="k", metadata={"a": 1})
    assert (body["min_tokens"], body["prompt_cache_key"]) == (2, "k")


def test_what_fill_in_the_middle_lacks_is_named() -> None:
    """It is one completion, without likelihoods."""
    _, lost = filled(n=2, best_of=3, echo=True, logprobs=1, logit_bias={"1": 1}, presence_penalty=1)
    assert sorted(lost) == [
        *("best_of", "echo", "logit_bias", "logprobs", "n", "presence_penalty"),
    ]
