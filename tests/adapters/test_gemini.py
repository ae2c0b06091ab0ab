"""What is sent to Gemini models, and a conversation over several turns.

Bodies are checked against the types of the vendor's own SDK, which forbid what they do not
know. Answers are in the recordings.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from google.genai import types

from adapters import gemini
from adapters._gemini_parts import MEMORY, NO_SIGNATURE
from adapters._gemini_request import BUDGETS, LEVELS
from adapters._gemini_schema import plain
from proxy.adapter import Media, Target, UpstreamRequest, UpstreamResponse
from proxy.errors import InvalidRequest
from proxy.wire import Request
from tests.adapters.test_recordings import Translated

USER = {"role": "user", "content": "hi"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tell the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
PNG = base64.b64encode(b"\x89PNG").decode()


def sent(model: str = "gemini-2.5-flash", target: Target | None = None, **members: Any) -> Any:
    """Return the body for a request, checked by the SDK's types, and what is not in it."""
    request = built(model, target, **members)
    body = json.loads(request.body)
    validate(body)
    return body, {one.name: one.reason for one in request.dropped}


def built(model: str, target: Target | None = None, **members: Any) -> UpstreamRequest:
    """Return the request as it goes out."""
    document = {"model": "route", "messages": [USER], **members}
    where = (target or Target("", "key"))._replace(model=model)
    return gemini.operations["chat"].request(Request(json.dumps(document).encode()), where)


def validate(body: dict[str, Any]) -> None:
    """Check each member of a body with the SDK's type for it."""
    rest = dict(body)
    for content in (*rest.pop("contents"), rest.pop("systemInstruction", {})):
        types.Content.model_validate(content)
    for tool in rest.pop("tools", ()):
        types.Tool.model_validate(tool)
    types.ToolConfig.model_validate(rest.pop("toolConfig", {}))
    config = dict(rest.pop("generationConfig", {}))
    types.ImageConfig.model_validate(config.pop("imageConfig", {}))
    types.GenerationConfig.model_validate(config)
    types.GenerateContentConfig.model_validate(rest)


def test_the_key_goes_into_its_header_and_the_model_into_the_path() -> None:
    """The key is in no URL, where logs would show it."""
    whole = built("gemini-2.5-flash", Target("", "key", (("x-extra", "1"),)))
    assert whole.path == "/models/gemini-2.5-flash:generateContent"
    assert dict(whole.headers)["x-goog-api-key"] == "key"
    assert dict(whole.headers)["x-extra"] == "1"
    stream = built("tunedModels/mine", stream=True)
    assert stream.path == "/tunedModels/mine:streamGenerateContent?alt=sse"


def test_the_systems_words_stand_apart() -> None:
    """System and developer messages are one instruction; a request of nothing else is asked."""
    messages = [{"role": "system", "content": "a"}, USER, {"role": "developer", "content": "b"}]
    body, dropped = sent(messages=messages)
    assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": "hi"}]}]
    assert not dropped
    body, _ = sent(messages=messages[:1])
    assert body == {"contents": [{"role": "user", "parts": [{"text": "a"}]}]}


def test_sampling_has_the_vendors_names() -> None:
    """What both know goes through, what one lacks is named."""
    body, dropped = sent(
        max_tokens=5,
        temperature=0.5,
        top_p=0.9,
        top_k=3,
        n=2,
        stop="END",
        seed=7,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        logprobs=True,
        top_logprobs=4,
        logit_bias={"1": 2},
        user="u",
        metadata={"a": "b"},
        parallel_tool_calls=False,
    )
    assert body["generationConfig"] == {
        "maxOutputTokens": 5,
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 3,
        "candidateCount": 2,
        "stopSequences": ["END"],
        "seed": 7,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "responseLogprobs": True,
        "logprobs": 4,
    }
    assert dropped.keys() == {"logit_bias", "metadata", "parallel_tool_calls"}


def part(**members: Any) -> tuple[Any, Any]:
    """Return what one part of a user's message becomes, and what is lost of it."""
    target = Target("", media={"https://x.example/cat": Media("image/webp", b"cat")})
    body, dropped = sent(target=target, messages=[{"role": "user", "content": [members]}])
    parts = body["contents"][0]["parts"]
    return parts[0], dropped


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            {"inlineData": {"mimeType": "image/png", "data": PNG}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:text/plain,a%20b"}},
            {"inlineData": {"mimeType": "text/plain", "data": "YSBi"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://x.example/cat"}},
            {"inlineData": {"mimeType": "image/webp", "data": "Y2F0"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "gs://bucket/dog.jpg"}},
            {"fileData": {"fileUri": "gs://bucket/dog.jpg", "mimeType": "image/jpeg"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://youtu.be/abc"}},
            {"fileData": {"fileUri": "https://youtu.be/abc"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "UklG", "format": "mp3"}},
            {"inlineData": {"mimeType": "audio/mp3", "data": "UklG"}},
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}},
        ),
        (
            {"type": "file", "file": {"file_data": "YSxi", "filename": "t.csv"}},
            {"inlineData": {"mimeType": "text/csv", "data": "YSxi"}},
        ),
        (
            {"type": "file", "file": {"file_id": "files/abc", "filename": "a.pdf"}},
            {
                "fileData": {
                    "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc",
                    "mimeType": "application/pdf",
                }
            },
        ),
        (
            {"type": "file", "file": {"file_data": "https://x.example/cat"}},
            {"inlineData": {"mimeType": "image/webp", "data": "Y2F0"}},
        ),
    ],
)
def test_files_go_as_bytes_or_by_a_uri_the_vendor_reads(given: Any, expected: Any) -> None:
    """Bytes where we have them, the URI where it is one of the vendor's own."""
    assert part(**given) == (expected, {})


def test_what_a_part_cannot_be_is_told() -> None:
    """A kind nobody knows is lost and named; a part without its content is a mistake."""
    found, dropped = part(type="video_url", video_url={"url": "x"})
    assert found == {"text": ""}
    assert dropped.keys() == {"messages.content.video_url"}
    _, dropped = part(type="image_url", image_url={"url": "gs://a/b.png", "detail": "low"})
    assert dropped.keys() == {"messages.content.image_url.detail"}
    with pytest.raises(InvalidRequest):
        part(type="input_audio")
    with pytest.raises(InvalidRequest):
        part(type="image_url", image_url={"url": "data:image/png"})
    with pytest.raises(InvalidRequest, match="unknown role"):
        sent(messages=[{"role": "judge", "content": "x"}])


def test_only_files_of_others_are_fetched_for_the_vendor() -> None:
    """Links to its own places, and bytes that are there already, are not."""
    urls = ["https://x.example/a.png", "gs://b/c.png", "https://youtu.be/abc", "data:,x"]
    content: list[Any] = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    content.append({"type": "file", "file": {"file_data": "https://x.example/d.pdf"}})
    content.append({"type": "text", "text": "https://x.example/e"})
    request = Request(
        json.dumps({"model": "m", "messages": [{"role": "user", "content": content}]}).encode()
    )
    media = gemini.operations["chat"].media
    assert media is not None
    assert media(request) == ["https://x.example/a.png", "https://x.example/d.pdf"]
    assert media(Request(json.dumps({"model": "m", "messages": [USER]}).encode())) == []


def test_functions_are_declared_with_json_schema() -> None:
    """Without parameters there is no schema; the vendor's own tools have their own names."""
    bare = {"type": "function", "function": {"name": "now"}}
    search = {"type": "google_search", "google_search": {"exclude_domains": ["x.example"]}}
    tools = [WEATHER, bare, search, {"type": "code_execution"}, {"type": "mcp"}]
    body, dropped = sent(tools=tools)
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {
                    "name": "weather",
                    "description": "Tell the weather.",
                    "parametersJsonSchema": WEATHER["function"]["parameters"],  # type: ignore[index]
                },
                {"name": "now"},
            ]
        },
        {"googleSearch": {"exclude_domains": ["x.example"]}},
        {"codeExecution": {}},
    ]
    assert dropped.keys() == {"tools.mcp"}
    body, dropped = sent(web_search_options={"search_context_size": "low"})
    assert body["tools"] == [{"googleSearch": {}}]
    assert dropped.keys() == {"web_search_options"}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        (
            {"type": "function", "function": {"name": "weather"}},
            {"mode": "ANY", "allowedFunctionNames": ["weather"]},
        ),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "weather"}}],
                },
            },
            {"mode": "VALIDATED", "allowedFunctionNames": ["weather"]},
        ),
    ],
)
def test_a_tool_choice_is_a_mode(choice: Any, expected: Any) -> None:
    """One function insisted on is the only one allowed."""
    body, _ = sent(tools=[WEATHER], tool_choice=choice)
    assert body["toolConfig"] == {"functionCallingConfig": expected}


def test_strict_functions_are_validated() -> None:
    """Arguments are held to their schema, as OpenAI promises for `strict`."""
    strict = {"type": "function", "function": {"name": "f", "strict": True}}
    body, _ = sent(tools=[strict])
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}
    assert "toolConfig" not in sent(tools=[WEATHER])[0]
    with pytest.raises(InvalidRequest):
        sent(tools=[strict], tool_choice="sometimes")


def test_an_answer_is_held_to_a_schema() -> None:
    """By the vendor's own means; what it cannot hold is named."""
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A"}, "mail": {"type": "string", "pattern": "@"}},
        "$defs": {"A": {"type": "string", "const": "x"}},
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    body, dropped = sent(response_format=wanted)
    assert body["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {
            "type": "object",
            "properties": {"a": {"type": "string", "enum": ["x"]}, "mail": {"type": "string"}},
        },
    }
    assert dropped == {"response_format.json_schema.schema": "schemas cannot say: pattern"}
    body, _ = sent(response_format={"type": "json_object"})
    assert body["generationConfig"] == {"responseMimeType": "application/json"}
    assert "generationConfig" not in sent(response_format={"type": "text"})[0]


def test_schemas_are_resolved_as_far_as_they_can_be() -> None:
    """What refers to itself stays a definition, and nothing grows without end."""
    tree = {
        "$ref": "#/definitions/Node",
        "definitions": {
            "Node": {
                "type": "object",
                "properties": {
                    "next": {"anyOf": [{"$ref": "#/definitions/Node"}, {"type": "null"}]},
                    "when": {"type": "string", "format": "date-time", "default": ""},
                    "mail": {"type": "string", "format": "email", "nullable": True},
                    "pair": {"type": "array", "items": [{"type": "string"}, True]},
                    "all": {
                        "allOf": [
                            {"properties": {"a": {}}, "required": ["a"]},
                            {"properties": {"b": {}}, "required": ["b"]},
                        ]
                    },
                    "lost": {"$ref": "https://x.example/schema"},
                    "map": {"type": "object", "additionalProperties": {"type": "number"}},
                },
            }
        },
    }
    schema, missing = plain(tree)
    inner = {"$ref": "#/$defs/Node"}
    assert schema["properties"]["next"]["anyOf"][0] == inner
    assert schema["$defs"]["Node"]["properties"]["next"]["anyOf"][0] == inner
    found = schema["properties"]
    assert found["when"] == {"type": "string", "format": "date-time"}
    assert found["mail"] == {"type": ["string", "null"]}
    assert found["pair"] == {"type": "array", "prefixItems": [{"type": "string"}, {}]}
    assert found["all"] == {"properties": {"a": {}, "b": {}}, "required": ["a", "b"]}
    assert found["map"]["additionalProperties"] == {"type": "number"}
    assert missing == ["$ref", "format email"]
    steps: dict[str, Any] = {"d40": {"type": "string"}}
    for n in range(40):
        both = [{"$ref": f"#/$defs/d{n + 1}"}] * 2
        steps[f"d{n}"] = {"anyOf": both}
    grown, _ = plain({"$ref": "#/$defs/d0", "$defs": steps})
    assert len(json.dumps(grown)) < 1_000_000
    deep: dict[str, Any] = {}
    for _ in range(2_000):
        deep = {"items": deep}
    with pytest.raises(InvalidRequest):
        plain(deep)


@pytest.mark.parametrize(
    ("model", "effort", "expected", "lost"),
    [
        ("gemini-2.5-flash", "none", {"includeThoughts": False, "thinkingBudget": 0}, False),
        ("gemini-2.5-flash", "low", {"includeThoughts": True, "thinkingBudget": 1024}, False),
        ("gemini-2.5-pro", "none", {"includeThoughts": False, "thinkingBudget": 128}, True),
        ("gemini-3-flash-preview", "low", {"includeThoughts": True, "thinkingLevel": "LOW"}, False),
        ("gemini-3.1-pro", "minimal", {"includeThoughts": True, "thinkingLevel": "LOW"}, False),
        ("gemini-3-flash", "none", {"includeThoughts": False, "thinkingLevel": "MINIMAL"}, True),
        ("gemini-2.0-flash", "high", None, True),
        ("gemini-2.5-flash", "enormous", None, True),
    ],
)
def test_effort_is_said_in_the_terms_of_the_models_generation(
    model: str, effort: str, expected: Any, lost: bool
) -> None:
    """Older models count tokens, newer have levels, some cannot stop thinking."""
    body, dropped = sent(model, reasoning_effort=effort)
    assert body.get("generationConfig", {}).get("thinkingConfig") == expected
    assert ("reasoning_effort" in dropped) is lost
    assert BUDGETS.keys() == LEVELS.keys()


def test_the_vendors_own_members_come_from_options_or_the_request() -> None:
    """In either spelling, the request's before the options'."""
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    options = {"safety_settings": safety, "cached_content": "cachedContents/a"}
    body, dropped = sent(
        target=Target("", options=options),
        cachedContent="cachedContents/b",
        reasoning_effort="high",
        extra_body={"google": {"thinking_config": {"thinkingBudget": 5}}},
        service_tier="flex",
    )
    assert body["safetySettings"] == safety
    assert body["cachedContent"] == "cachedContents/b"
    assert body["generationConfig"] == {"thinkingConfig": {"thinkingBudget": 5}}
    assert body["serviceTier"] == "flex"
    assert not dropped
    assert "service_tier" in sent(service_tier="scale")[1]


def test_sound_and_pictures_can_be_asked_for() -> None:
    """Sound comes alone and as pcm16; pictures come beside text."""
    body, dropped = sent(modalities=["text", "audio"], audio={"voice": "Kore", "format": "wav"})
    assert body["generationConfig"]["responseModalities"] == ["AUDIO"]
    voice = body["generationConfig"]["speechConfig"]["voiceConfig"]["prebuiltVoiceConfig"]
    assert voice == {"voiceName": "Kore"}
    assert dropped.keys() == {"audio.format"}
    body, _ = sent(modalities=["text", "image"], image_config={"aspectRatio": "1:1"})
    assert body["generationConfig"]["responseModalities"] == ["TEXT", "IMAGE"]


# Several turns

ANSWER = {
    "candidates": [
        {
            "content": {
                "parts": [
                    {"text": "Looking.", "thoughtSignature": "dGV4dA=="},
                    {"functionCall": {"name": "weather", "args": {"city": "Wien"}}},
                    {"functionCall": {"name": "weather", "args": {"city": "Graz"}}},
                ]
            },
            "finishReason": "STOP",
        }
    ],
    "responseId": "r",
}
ANSWER["candidates"][0]["content"]["parts"][1]["thoughtSignature"] = "Y2FsbA=="  # type: ignore[index]


def whole() -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the message of an answer and what is remembered of it."""
    body = json.dumps(ANSWER).encode()
    response = gemini.operations["chat"].response(UpstreamResponse(200, (), body), 1)
    return json.loads(response.body)["choices"][0]["message"], response.memory


def next_turns(message: dict[str, Any], target: Target, model: str) -> list[dict[str, Any]]:
    """Return the turns after both results came, the second call's first."""
    first, second = (call["id"] for call in message["tool_calls"])
    results = [
        {"role": "tool", "tool_call_id": second, "content": "rain"},
        {"role": "tool", "tool_call_id": first, "content": '{"sun": true}'},
    ]
    messages = [USER, message, *results, {"role": "user", "content": "So?"}]
    body, _ = sent(model, target, messages=messages, tools=[WEATHER])
    return list(body["contents"])


def test_a_tool_loop_goes_on_with_the_signatures_the_client_kept() -> None:
    """Each signature is back in its part; results stand together, in the order of the calls."""
    message, _ = whole()
    _, model, results, last = next_turns(message, Target(""), "gemini-3-flash")
    parts = model["parts"]
    assert [part.get("thoughtSignature") for part in parts] == ["dGV4dA==", "Y2FsbA==", None]
    assert [part["functionCall"]["args"]["city"] for part in parts[1:]] == ["Wien", "Graz"]
    responses = [part["functionResponse"] for part in results["parts"]]
    assert [one["response"] for one in responses] == [{"sun": True}, {"output": "rain"}]
    assert [one["name"] for one in responses] == ["weather", "weather"]
    assert [one["id"] for one in responses] == [part["functionCall"]["id"] for part in parts[1:]]
    assert last == {"role": "user", "parts": [{"text": "So?"}]}


def test_a_tool_loop_goes_on_with_the_signatures_we_kept() -> None:
    """A client that drops what OpenAI does not know loses no more than it has to."""
    message, memory = whole()
    bare = {name: message[name] for name in ("role", "content", "tool_calls")}
    target = Target("", recall=memory.get)
    parts = next_turns(bare, target, "gemini-3-flash")[1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == [None, "Y2FsbA==", None]


def test_calls_of_other_models_are_marked_where_a_signature_is_insisted_on() -> None:
    """Newer generations refuse a call without; what other vendors remembered is none."""
    message, _ = whole()
    bare = {name: message[name] for name in ("role", "content", "tool_calls")}
    for target in (Target(""), Target("", recall=lambda _: b'{"of":"another vendor"}')):
        parts = next_turns(bare, target, "gemini-3.1-pro")[1]["parts"]
        assert [part.get("thoughtSignature") for part in parts] == [None, NO_SIGNATURE, None]
        parts = next_turns(bare, target, "gemini-2.5-pro")[1]["parts"]
        assert not any("thoughtSignature" in part for part in parts)


def test_a_stream_remembers_as_a_whole_answer_does() -> None:
    """The same ids and the same memory, whichever way it came."""
    message, memory = whole()
    stream = b"data: %b\r\n\r\n" % json.dumps(ANSWER).encode()
    operation = gemini.operations["chat"]
    assert operation.stream is not None
    translator = operation.stream(1)
    for event in operation.framer().feed(stream):
        translator.feed(event)
    translator.close()
    assert translator.memory == memory
    assert translator.last == b"data: [DONE]\n\n"
    assert list(memory) == [message["tool_calls"][0]["id"]]
    assert memory[message["tool_calls"][0]["id"]] == MEMORY + b"Y2FsbA=="


def test_pictures_a_tool_gave_go_where_the_generation_takes_them() -> None:
    """Into the result since generation 3, beside it before."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
    url = f"data:image/png;base64,{PNG}"
    content = [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": url}}]
    messages = [
        USER,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": content},
    ]
    picture = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    body, _ = sent("gemini-3-flash", messages=messages)
    assert body["contents"][2]["parts"][0]["functionResponse"]["parts"] == [picture]
    body, _ = sent("gemini-2.5-flash", messages=messages)
    assert body["contents"][2]["parts"][1] == picture
    assert body["contents"][1]["parts"][0]["functionCall"]["args"] == {}


def test_arguments_that_are_no_object_are_sent_as_text() -> None:
    """A call cut off by the token limit is part of the conversation all the same."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": '}}
    body, _ = sent(messages=[USER, {"role": "assistant", "tool_calls": [call]}])
    assert body["contents"][1]["parts"][0]["functionCall"]["args"] == {"arguments": '{"a": '}


# Answers that no recording shows


def test_every_finish_reason_of_the_sdk_is_known() -> None:
    """One that is new to us would be taken for `stop` in silence."""
    known = {reason.value for reason in types.FinishReason}
    assert known <= gemini.FINISH_REASONS.keys()
    assert known >= gemini.FAILURES


def test_two_candidates_in_one_stream_are_two_choices() -> None:
    """Their chunks carry their index; both must have ended."""

    def event(index: int, text: str, finish: str | None = None) -> bytes:
        candidate = {"index": index, "content": {"parts": [{"text": text}]}, "finishReason": finish}
        return b"data: %b\n\n" % json.dumps({"candidates": [candidate]}).encode()

    events = [event(0, "a"), event(1, "b"), event(0, "c", "STOP"), event(1, "", "MAX_TOKENS")]
    operation = gemini.operations["chat"]
    found = [json.loads(d)["choices"][0] for d in Translated(operation, events).documents]
    texts = [(c["index"], c["delta"]["content"]) for c in found if c["delta"].get("content")]
    assert texts == [(0, "a"), (1, "b"), (0, "c")]
    ends = [(c["index"], c["finish_reason"]) for c in found if c["finish_reason"]]
    assert ends == [(0, "stop"), (1, "length")]
    assert type(Translated(operation, events[:3]).error).__name__ == "UpstreamTruncated"


# Embeddings and images


def other(operation: str, model: str, **members: Any) -> tuple[str, Any, set[str]]:
    """Return path and body of a request, and what is not in it."""
    request = Request(json.dumps({"model": "route", **members}).encode())
    found = gemini.operations[operation].request(request, Target(model, "key"))
    return found.path, json.loads(found.body), {one.name for one in found.dropped}


def test_texts_are_embedded_in_one_batch() -> None:
    """Each text has the options of all; tokens are refused, base64 is the gateway's to make."""
    path, body, dropped = other(
        "embeddings",
        "gemini-embedding-001",
        input=["a", "b"],
        dimensions=8,
        task_type="query",
        encoding_format="base64",
    )
    assert path == "/models/gemini-embedding-001:batchEmbedContents"
    assert body["requests"][1] == {
        "model": "models/gemini-embedding-001",
        "content": {"parts": [{"text": "b"}]},
        "taskType": "RETRIEVAL_QUERY",
        "outputDimensionality": 8,
    }
    assert dropped == set()
    for wrong in ([1, 2], [], [[1]]):
        with pytest.raises(InvalidRequest):
            other("embeddings", "m", input=wrong)


def test_pictures_are_asked_for_as_the_models_family_wants() -> None:
    """Imagen predicts them, Gemini answers with them."""
    path, body, dropped = other(
        "images", "imagen-4.0-generate-001", prompt="cat", n=2, size="1536x1024", quality="high"
    )
    assert path == "/models/imagen-4.0-generate-001:predict"
    assert body["instances"] == [{"prompt": "cat"}]
    assert body["parameters"] == {"sampleCount": 2, "aspectRatio": "4:3"}
    assert dropped == {"quality"}
    path, body, dropped = other(
        "images", "gemini-2.5-flash-image", prompt="cat", n=2, size="7x7", response_format="url"
    )
    assert path == "/models/gemini-2.5-flash-image:generateContent"
    assert body["generationConfig"] == {"responseModalities": ["TEXT", "IMAGE"]}
    assert dropped == {"n", "size", "response_format"}
    validate(body)
    with pytest.raises(InvalidRequest):
        other("images", "imagen-4.0-generate-001")


def count(model: str = "gemini-2.5-flash", **members: Any) -> tuple[Any, UpstreamRequest]:
    """Return what is counted, checked by the SDK's types, and the request it is in."""
    request = Request(json.dumps({"model": "route", **members}).encode())
    made = gemini.operations["input_tokens"].request(request, Target(model, "key"))
    body = json.loads(made.body)["generateContentRequest"]
    validate({name: value for name, value in body.items() if name != "model"})
    return body, made


def test_a_count_is_of_the_whole_request() -> None:
    """Instructions, tools, pictures and schemas, as they would be sent."""
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}
    body, made = count(
        instructions="Be brief",
        input=[{"role": "user", "content": [{"type": "input_text", "text": "hi"}, image]}],
        tools=[{"type": "function", **WEATHER["function"]}],
        text={"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}}},
        max_output_tokens=5,
    )
    assert made.path == "/models/gemini-2.5-flash:countTokens"
    assert dict(made.headers)["x-goog-api-key"] == "key"
    assert body["model"] == "models/gemini-2.5-flash"
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief"}]}
    assert body["contents"][0]["parts"][1]["inlineData"]["data"] == PNG
    assert body["tools"][0]["functionDeclarations"][0]["name"] == "weather"
    assert "responseJsonSchema" in body["generationConfig"]
    assert "maxOutputTokens" not in body["generationConfig"]
    assert not made.dropped
    assert count("tunedModels/mine", input="hi")[0]["model"] == "tunedModels/mine"


def test_files_are_fetched_for_a_count_as_for_a_chat() -> None:
    """The vendor counts what it is given."""
    image = {"type": "input_image", "image_url": "https://example.com/a.png"}
    body = {"model": "m", "input": [{"role": "user", "content": [image]}]}
    media = gemini.operations["input_tokens"].media
    assert media is not None
    assert media(Request(json.dumps(body).encode())) == ["https://example.com/a.png"]
