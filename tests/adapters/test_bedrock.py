"""OpenAI's requests as Bedrock takes them: held to botocore's model of the service."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import CredentialRetrievalError
from botocore.session import Session
from botocore.validate import ParamValidator

from adapters import _aws, bedrock
from proxy.adapter import Media, Target, UpstreamRequest, UpstreamResponse
from proxy.errors import InvalidRequest, UpstreamAuth
from proxy.eventstream import AWSEventStream
from proxy.wire import Request
from tests.eventframes import event
from tests.fakes import unsent
from tests.source import ROOT

SERVICE = Session().get_service_model("bedrock-runtime")
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NEWER = "us.anthropic.claude-sonnet-5"
OLDER = "anthropic.claude-3-5-sonnet-20240620-v1:0"
NOVA = "us.amazon.nova-pro-v1:0"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
PIXEL = "iVBORw0KGgo="
HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "one"}
THOUGHTS = [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}]


def problems(value: Any, shape: Any, where: str = "") -> list[str]:
    """Return what the service's model says against a value, beyond what botocore checks."""
    if shape.type_name == "structure":
        if getattr(shape, "is_document_type", False):
            return []
        found = [f"{where}: one of {list(shape.members)}"] * (
            getattr(shape, "is_tagged_union", False) and len(value) != 1
        )
        for name, inner in value.items():
            found += problems(inner, shape.members[name], f"{where}.{name}")
        return found
    if shape.type_name == "list":
        inside = [problems(v, shape.member, f"{where}[{i}]") for i, v in enumerate(value)]
        return [problem for found in inside for problem in found]
    if shape.type_name == "string":
        pattern = shape.metadata.get("pattern")
        wrong = pattern and not re.fullmatch(pattern, value)
        wrong = wrong or (shape.enum and value not in shape.enum)
        return [f"{where}: {value!r}"] if wrong or len(value) < shape.metadata.get("min", 0) else []
    most = shape.metadata.get("max")
    return (
        [f"{where}: {value!r}"] if isinstance(value, float | int) and most and value > most else []
    )


class Sent:
    """What is sent for a request, held to the service's model."""

    def __init__(self, model: str = CLAUDE, target: Target | None = None, **members: Any) -> None:
        given = {"model": "m", "messages": HELLO, **members}
        request = Request(json.dumps(given).encode())
        target = (target or Target("", "key"))._replace(model=model)
        self.request: UpstreamRequest = bedrock.operations["chat"].request(request, target)
        self.body: dict[str, Any] = json.loads(self.request.body)
        self.dropped = {dropped.name: dropped.reason for dropped in self.request.dropped}
        operation = "ConverseStream" if request.stream else "Converse"
        shape = SERVICE.operation_model(operation).input_shape
        whole = {"modelId": model, **self.body}
        report = ParamValidator().validate(whole, shape)
        assert not report.has_errors(), report.generate_report()
        assert problems(self.body, shape) == []

    @property
    def turns(self) -> list[dict[str, Any]]:
        return self.body["messages"]

    @property
    def content(self) -> list[dict[str, Any]]:
        return self.body["messages"][-1]["content"]


# where it goes


def test_the_models_name_is_one_segment_of_the_path() -> None:
    """Also an ARN with its slashes and colons."""
    arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3"
    quoted = (
        "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fa1b2c3"
    )
    assert Sent(arn).request.path == f"/model/{quoted}/converse"
    assert Sent(NOVA, stream=True).request.path == (
        "/model/us.amazon.nova-pro-v1%3A0/converse-stream"
    )


def test_an_api_key_is_a_bearer_token() -> None:
    """And what the configuration adds goes along."""
    target = Target("", "key", (("x-team", "a"),))
    assert dict(Sent(target=target, stream=True).request.headers) == {
        "authorization": "Bearer key",
        "x-team": "a",
        "content-type": "application/json",
        "accept": "application/vnd.amazon.eventstream",
    }


# messages


def test_the_systems_words_stand_apart() -> None:
    """From whichever message they come, in their order, and never blank."""
    sent = Sent(
        messages=[
            {"role": "system", "content": "One."},
            {"role": "developer", "content": [{"type": "text", "text": "Two."}]},
            {"role": "system", "content": " "},
            *HELLO,
        ]
    )
    assert sent.body["system"] == [{"text": "One."}, {"text": "Two."}]
    assert sent.turns == [{"role": "user", "content": [{"text": "Hello"}]}]


def test_turns_alternate() -> None:
    """What one side says in several messages is one turn; blank ones are none."""
    sent = Sent(
        messages=[
            *HELLO,
            {"role": "user", "content": "again"},
            {"role": "assistant", "content": ""},
            {"role": "assistant", "content": "Yes?"},
            {"role": "user", "content": "no"},
        ]
    )
    assert [turn["role"] for turn in sent.turns] == ["user", "assistant", "user"]
    assert sent.turns[0]["content"] == [{"text": "Hello"}, {"text": "again"}]


def test_all_results_of_a_turn_stand_together() -> None:
    """With ids, names and inputs as they were, and a blank result said to be one."""
    second = {**CALL, "id": "call_2", "function": {"name": "g", "arguments": ""}}
    sent = Sent(
        messages=[
            *HELLO,
            {"role": "assistant", "content": None, "tool_calls": [CALL, second]},
            RESULT,
            {"role": "tool", "tool_call_id": "call_2", "content": ""},
            {"role": "user", "content": "And?"},
        ],
        tools=[TOOL],
    )
    assert sent.turns[1:] == [
        {
            "role": "assistant",
            "content": [
                {"toolUse": {"toolUseId": "call_1", "name": "f", "input": {"a": 1}}},
                {"toolUse": {"toolUseId": "call_2", "name": "g", "input": {}}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"toolResult": {"toolUseId": "call_1", "content": [{"text": "one"}]}},
                {"toolResult": {"toolUseId": "call_2", "content": [{"text": "(no output)"}]}},
                {"text": "And?"},
            ],
        },
    ]


@pytest.mark.parametrize("arguments", ["{broken", "[1]", '"text"', "[" * 3000])
def test_a_models_slip_does_not_end_the_conversation(arguments: str) -> None:
    """Arguments that are no JSON object go back inside one."""
    call = {**CALL, "function": {"name": "f", "arguments": arguments}}
    sent = Sent(messages=[*HELLO, {"role": "assistant", "tool_calls": [call]}, RESULT])
    assert sent.turns[1]["content"][0]["toolUse"]["input"] == {"arguments": arguments}


def test_ids_of_other_vendors_are_made_to_fit() -> None:
    """Call and result still meet, and two calls are still two."""
    ids = ["call|1" + "x" * 80, "call|2" + "x" * 80]
    sent = Sent(
        messages=[
            *HELLO,
            {"role": "assistant", "tool_calls": [{**CALL, "id": i} for i in ids]},
            *({**RESULT, "tool_call_id": i} for i in ids),
        ]
    )
    called = [block["toolUse"]["toolUseId"] for block in sent.turns[1]["content"]]
    assert [block["toolResult"]["toolUseId"] for block in sent.content] == called
    assert len(set(called)) == 2


def test_a_conversation_with_calls_has_tools() -> None:
    """The service refuses it otherwise, also where the client offers none any more."""
    messages = [*HELLO, {"role": "assistant", "tool_calls": [CALL]}, RESULT]
    [tool] = Sent(messages=messages).body["toolConfig"]["tools"]
    assert tool["toolSpec"]["name"] == "f"


def test_nobody_else_has_a_role() -> None:
    """A word we do not know is the client's mistake, told with its place."""
    with pytest.raises(InvalidRequest) as caught:
        Sent(messages=[{"role": "critic", "content": "x"}])
    assert caught.value.param == "messages[0]"


def test_refusals_stay_in_the_conversation() -> None:
    """Whether they are parts or beside the content."""
    sent = Sent(
        messages=[
            *HELLO,
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
            {"role": "assistant", "content": None, "refusal": "Never."},
            *HELLO,
        ]
    )
    assert sent.turns[1]["content"] == [{"text": "No."}, {"text": "Never."}]


# files


def test_images_go_by_their_bytes() -> None:
    """Those named by URL were fetched before; a bucket is read by the service itself."""
    url = "https://example.org/a.png"
    target = Target("", media={url: Media("image/jpeg", b"\xff\xd8\xff")})
    images = [f"data:image/png;base64,{PIXEL}", url, "s3://bucket/b.webp"]
    parts = [{"type": "image_url", "image_url": {"url": u, "detail": "auto"}} for u in images]
    sent = Sent(messages=[{"role": "user", "content": parts}], target=target)
    assert sent.content == [
        {"image": {"format": "png", "source": {"bytes": PIXEL}}},
        {"image": {"format": "jpeg", "source": {"bytes": "/9j/"}}},
        {"image": {"format": "webp", "source": {"s3Location": {"uri": "s3://bucket/b.webp"}}}},
    ]
    assert sent.dropped == {}


def test_the_core_is_told_what_to_fetch() -> None:
    """URLs of the web alone, wherever a message holds them."""
    parts = [
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "image_url", "image_url": {"url": "s3://bucket/b.png"}},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {"type": "file", "file": {"file_data": "https://example.org/c.pdf"}},
        {"type": "text", "text": "http://not.a.file"},
    ]
    media = bedrock.operations["chat"].media
    assert media is not None
    given = {"model": "m", "messages": [{"role": "user", "content": parts}]}
    assert media(Request(json.dumps(given).encode())) == [
        "https://example.org/a.png",
        "https://example.org/c.pdf",
    ]
    assert not media(Request(json.dumps({"model": "m", "messages": HELLO}).encode()))


def test_documents_have_names_of_their_own() -> None:
    """Of the characters the service takes, and no two the same."""
    pdf = "data:application/pdf;base64,JVBERi0="
    files = [
        {"filename": "Q3 report (final)_v2.pdf", "file_data": pdf},
        {"filename": "Q3 report (final) v2.pdf", "file_data": pdf},
        {"filename": "notes.md", "file_data": "IyBBCg=="},
        {"file_data": "data:text/plain,a%20b"},
        {"file_id": "s3://bucket/dir/table.csv"},
    ]
    parts = [{"type": "file", "file": file} for file in files]
    sent = Sent(messages=[{"role": "user", "content": [*parts, {"type": "text", "text": "?"}]}])
    found = [block["document"] for block in sent.content[:-1]]
    assert [(d["name"], d["format"]) for d in found] == [
        ("Q3 report (final) v2", "pdf"),
        ("Q3 report (final) v2 2", "pdf"),
        ("notes", "md"),
        ("document", "txt"),
        ("table", "csv"),
    ]
    assert base64.b64decode(found[3]["source"]["bytes"]) == b"a b"
    assert found[4]["source"] == {"s3Location": {"uri": "s3://bucket/dir/table.csv"}}


def test_video_and_audio_are_blocks_of_their_own() -> None:
    """For models that see and hear."""
    parts = [
        {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ]
    sent = Sent(NOVA, messages=[{"role": "user", "content": parts}])
    assert sent.content == [
        {"video": {"format": "mp4", "source": {"bytes": "AAAA"}}},
        {"audio": {"format": "wav", "source": {"bytes": "UklGRg=="}}},
    ]


def test_a_tools_result_may_hold_files() -> None:
    """But no sound, which is told."""
    content = [
        {"type": "text", "text": "Here."},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ]
    result = {**RESULT, "content": content}
    sent = Sent(messages=[*HELLO, {"role": "assistant", "tool_calls": [CALL]}, result])
    assert [next(iter(b)) for b in sent.content[0]["toolResult"]["content"]] == ["text", "image"]
    assert list(sent.dropped) == ["messages[2].content[2]"]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:image/svg+xml;base64,AAAA"}},
        {"type": "image_url", "image_url": {"url": "ftp://example.org/a.png"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/never-fetched.png"}},
        {"type": "image_url", "image_url": {"url": "s3://bucket/unknown"}},
        {"type": "file", "file": {"file_id": "file-123"}},
        {"type": "file", "file": {"file_data": "AAAA", "filename": "a.exe"}},
        {"type": "file", "file": {"file_data": "AAAA"}},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "midi"}},
    ],
)
def test_a_file_the_service_cannot_take_is_refused(part: dict[str, Any]) -> None:
    """An answer about a file that never arrived would be a lie."""
    with pytest.raises(InvalidRequest) as caught:
        Sent(messages=[{"role": "user", "content": [part]}])
    assert caught.value.param == "messages[0].content[0]"


def test_cache_control_ends_a_cached_prefix() -> None:
    """On parts, messages and tools, with the time to live that the service knows."""
    cached = {"cache_control": {"type": "ephemeral"}}
    hour = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    sent = Sent(
        messages=[
            {"role": "system", "content": [{"type": "text", "text": "Long.", **hour}]},
            {"role": "user", "content": [{"type": "text", "text": "Longer.", **cached}]},
            {"role": "assistant", "content": "a", **cached},
            {"role": "user", "content": "b"},
        ],
        tools=[{**TOOL, **cached}],
    )
    point = {"cachePoint": {"type": "default"}}
    assert sent.body["system"][1] == {"cachePoint": {"type": "default", "ttl": "1h"}}
    assert sent.turns[0]["content"] == [{"text": "Longer."}, point]
    assert sent.turns[1]["content"] == [{"text": "a"}, point]
    assert sent.body["toolConfig"]["tools"][1] == point


def test_a_guarded_text_is_what_a_guardrail_looks_at() -> None:
    """The part's type is the one clients of other gateways know."""
    parts = [{"type": "guarded_text", "text": "Secret?"}, {"type": "hologram"}]
    sent = Sent(messages=[{"role": "user", "content": parts}])
    assert sent.content == [{"guardContent": {"text": {"text": "Secret?"}}}]
    assert list(sent.dropped) == ["messages[0].content[1]"]


# parameters


def test_limits_and_sampling_have_a_place() -> None:
    """Under the service's names."""
    sent = Sent(
        NOVA, max_completion_tokens=9, max_tokens=5, temperature=0.5, top_p=0.9, stop=["a", ""]
    )
    assert sent.body["inferenceConfig"] == {
        "maxTokens": 9,
        "temperature": 0.5,
        "topP": 0.9,
        "stopSequences": ["a"],
    }
    assert sent.dropped == {}


@pytest.mark.parametrize(
    ("model", "members", "inference", "dropped"),
    [
        (NOVA, {"temperature": 1.5}, {"temperature": 1}, ["temperature"]),
        (CLAUDE, {"temperature": 0.2, "top_p": 0.9}, {"temperature": 0.2}, ["top_p"]),
        (OLDER, {"temperature": 0.2, "top_p": 0.9}, {"temperature": 0.2, "topP": 0.9}, []),
        (NEWER, {"temperature": 0.2}, None, ["temperature"]),
        (NEWER, {"top_p": 0.2, "top_k": 5}, None, ["top_p", "top_k"]),
        ("mistral.mistral-large-2407-v1:0", {"top_k": 5}, None, ["top_k"]),
    ],
)
def test_what_a_model_refuses_is_told_not_sent(
    model: str, members: dict[str, Any], inference: Any, dropped: list[str]
) -> None:
    """A 400 for a parameter that another model takes helps nobody."""
    sent = Sent(model, **members)
    assert sent.body.get("inferenceConfig") == inference
    assert list(sent.dropped) == dropped


def test_top_k_is_said_as_the_model_calls_it() -> None:
    """Each maker's models have a field of their own."""
    fields = "additionalModelRequestFields"
    assert Sent(top_k=5).body[fields] == {"top_k": 5}
    assert Sent(NOVA, top_k=5).body[fields] == {"inferenceConfig": {"topK": 5}}


def test_what_converse_has_no_word_for_is_told() -> None:
    """Each by its name, and nothing that asks for nothing."""
    quiet = Sent(
        n=1,
        logprobs=False,
        presence_penalty=0,
        frequency_penalty=0.0,
        modalities=["text"],
        response_format={"type": "text"},
        service_tier="auto",
        user="u",
        store=False,
        seed=None,
        parallel_tool_calls=True,
        stream_options={"include_usage": True},
    )
    assert quiet.dropped == {}
    assert quiet.body == {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}
    loud = Sent(n=2, seed=7, logit_bias={"1": 2}, presence_penalty=0.5, service_tier="scale")
    assert set(loud.dropped) == {"n", "seed", "logit_bias", "presence_penalty", "service_tier"}


def test_names_of_speakers_and_the_detail_of_images_are_told() -> None:
    """Converse has neither."""
    image = {"url": f"data:image/png;base64,{PIXEL}", "detail": "high"}
    parts = [{"type": "image_url", "image_url": image}]
    sent = Sent(messages=[{"role": "user", "name": "ann", "content": parts}])
    assert list(sent.dropped) == ["messages[0].name", "messages[0].content[0].image_url.detail"]


def test_metadata_is_what_invocation_logs_are_filtered_by() -> None:
    """As far as the service takes its characters."""
    sent = Sent(metadata={"team": "a b", "mood": "ä", "empty": ""}, service_tier="flex")
    assert sent.body["requestMetadata"] == {"team": "a b", "empty": ""}
    assert sent.body["serviceTier"] == {"type": "flex"}
    assert list(sent.dropped) == ["metadata.mood"]


def test_the_services_own_words_go_through() -> None:
    """From the provider's options, and over them from the request."""
    guardrail = {
        "guardrailIdentifier": "abc",
        "guardrailVersion": "1",
        "streamProcessingMode": "async",
    }
    options = {
        "guardrailConfig": guardrail,
        "performanceConfig": {"latency": "optimized"},
        "additionalModelRequestFields": {"a": 1, "b": 2},
        "region": "us-east-1",
    }
    members = {"additionalModelRequestFields": {"b": 3}, "requestMetadata": {"k": "v"}}
    sent = Sent(target=Target("", options=options), **members, stream=True)
    assert sent.body["guardrailConfig"] == guardrail
    assert sent.body["performanceConfig"] == {"latency": "optimized"}
    assert sent.body["additionalModelRequestFields"] == {"a": 1, "b": 3}
    assert sent.body["requestMetadata"] == {"k": "v"}
    assert sent.dropped == {}
    whole = Sent(target=Target("", options=options))
    assert "streamProcessingMode" not in whole.body["guardrailConfig"]


# tools


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "f"}}, {"tool": {"name": "f"}}),
    ],
)
def test_the_choice_of_tools_is_said(choice: Any, expected: Any) -> None:
    """Left to the model, one of them, this one."""
    described = {**TOOL, "function": {"name": "f", "description": "Does f."}}
    sent = Sent(tools=[described], tool_choice=choice)
    assert sent.body["toolConfig"].get("toolChoice") == expected
    assert sent.body["toolConfig"]["tools"] == [
        {
            "toolSpec": {
                "name": "f",
                "description": "Does f.",
                "inputSchema": {"json": {"type": "object", "properties": {}}},
            }
        }
    ]


def test_no_tools_are_offered_where_none_may_be_called() -> None:
    """Unless the conversation holds calls, which makes them necessary; that is told."""
    assert "toolConfig" not in Sent(tools=[TOOL], tool_choice="none").body
    messages = [*HELLO, {"role": "assistant", "tool_calls": [CALL]}, RESULT]
    kept = Sent(messages=messages, tools=[TOOL], tool_choice="none")
    assert kept.body["toolConfig"]["tools"][0]["toolSpec"]["name"] == "f"
    assert list(kept.dropped) == ["tool_choice"]


def test_one_call_at_a_time_is_said_to_models_that_know_it() -> None:
    """And told of the others."""
    sent = Sent(tools=[TOOL], parallel_tool_calls=False)
    assert sent.body["additionalModelRequestFields"] == {
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}
    }
    for model, choice in ((NOVA, "auto"), (CLAUDE, "required")):
        told = Sent(model, tools=[TOOL], parallel_tool_calls=False, tool_choice=choice)
        assert list(told.dropped) == ["parallel_tool_calls"]
    assert Sent(parallel_tool_calls=False).dropped == {}


def test_the_vendors_own_tools_are_named_by_their_type() -> None:
    """Those of other vendors are told."""
    sent = Sent(NOVA_2, tools=[{"type": "nova_grounding"}, {"type": "web_search"}])
    assert sent.body["toolConfig"]["tools"] == [{"systemTool": {"name": "nova_grounding"}}]
    assert list(sent.dropped) == ["tools[1]"]


SCHEMA = {
    "type": "object",
    "properties": {
        "age": {"type": "integer", "minimum": 0},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 1},
        "minimum": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {}}]},
    },
    "required": ["age"],
    "$defs": {"tag": {"type": "string", "maxLength": 5}},
}
REDUCED = {
    "type": "object",
    "properties": {
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 1},
        "minimum": {
            "anyOf": [
                {"type": "null"},
                {"type": "object", "properties": {}, "additionalProperties": False},
            ]
        },
    },
    "required": ["age"],
    "$defs": {"tag": {"type": "string"}},
    "additionalProperties": False,
}


def test_an_answer_is_held_to_a_schema_by_the_services_own_means() -> None:
    """What its grammar cannot say is taken out and told; names are no keywords."""
    wanted = {"name": "person", "description": "Who.", "schema": SCHEMA, "strict": True}
    sent = Sent(response_format={"type": "json_schema", "json_schema": wanted})
    form = sent.body["outputConfig"]["textFormat"]
    definition = form["structure"]["jsonSchema"]
    assert form["type"] == "json_schema"
    assert (definition["name"], definition["description"]) == ("person", "Who.")
    assert json.loads(definition["schema"]) == REDUCED
    reason = sent.dropped["response_format.json_schema.schema"]
    assert reason == "a grammar has no minimum, maxLength"


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (NOVA, {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}),
        (OLDER, {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}}),
        (CLAUDE, {"type": "json_object"}),
    ],
)
def test_a_format_nothing_can_hold_the_model_to_is_told(model: str, wanted: Any) -> None:
    """No trick with a tool that the client would not know of."""
    sent = Sent(model, response_format=wanted)
    assert "outputConfig" not in sent.body
    assert "toolConfig" not in sent.body
    assert list(sent.dropped) == ["response_format"]


def test_strict_tools_are_strict_where_the_model_can_be() -> None:
    """Their schemas are reduced alike; others go as they are."""
    tool = {"type": "function", "function": {"name": "f", "strict": True, "parameters": SCHEMA}}
    spec = Sent(tools=[tool]).body["toolConfig"]["tools"][0]["toolSpec"]
    assert (spec["strict"], spec["inputSchema"]["json"]) == (True, REDUCED)
    lax = Sent(NOVA, tools=[tool])
    spec = lax.body["toolConfig"]["tools"][0]["toolSpec"]
    assert (spec.get("strict"), spec["inputSchema"]["json"]) == (None, SCHEMA)
    assert list(lax.dropped) == ["tools[0].function.strict"]


# thoughts


@pytest.mark.parametrize(
    ("model", "effort", "fields", "output"),
    [
        (CLAUDE, "low", {"thinking": {"type": "enabled", "budget_tokens": 2048}}, None),
        (
            "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
            "minimal",
            {"thinking": {"type": "enabled", "budget_tokens": 1024}},
            None,
        ),
        (
            "us.anthropic.claude-sonnet-4-20250514-v1:0",
            "high",
            {"thinking": {"type": "enabled", "budget_tokens": 16384}},
            None,
        ),
        (
            "global.anthropic.claude-opus-4-6-v1",
            "minimal",
            {"thinking": {"type": "adaptive"}},
            {"effort": "low"},
        ),
        (
            NEWER,
            "xhigh",
            {"thinking": {"type": "adaptive", "display": "summarized"}},
            {"effort": "xhigh"},
        ),
        (
            NOVA_2,
            "medium",
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}},
            None,
        ),
        ("openai.gpt-oss-120b-1:0", "xhigh", {"reasoning_effort": "high"}, None),
        (CLAUDE, "none", None, None),
    ],
)
def test_effort_is_said_as_the_model_takes_it(
    model: str, effort: str, fields: Any, output: Any
) -> None:
    """A budget, a word, or as much as it sees fit."""
    sent = Sent(model, reasoning_effort=effort)
    assert sent.body.get("additionalModelRequestFields") == fields
    assert sent.body.get("outputConfig") == output
    assert sent.dropped == {}


@pytest.mark.parametrize(
    ("model", "members"),
    [
        (OLDER, {}),
        ("anthropic.claude-instant-v1", {}),
        (NOVA, {}),
        ("meta.llama3-3-70b-instruct-v1:0", {}),
        (CLAUDE, {"reasoning_effort": "extreme"}),
        (CLAUDE, {"max_tokens": 1000}),
        (CLAUDE, {"tools": [TOOL], "tool_choice": "required"}),
    ],
)
def test_effort_that_cannot_be_said_is_told(model: str, members: dict[str, Any]) -> None:
    """Rather than refused with a 400."""
    sent = Sent(model, **{"reasoning_effort": "low", **members})
    assert list(sent.dropped) == ["reasoning_effort"]
    assert "additionalModelRequestFields" not in sent.body


def test_the_budget_leaves_room_for_the_answer() -> None:
    """Thoughts are part of what max_tokens limits."""
    sent = Sent(reasoning_effort="high", max_tokens=4000, temperature=0.5, top_k=4)
    fields = sent.body["additionalModelRequestFields"]
    assert fields == {"thinking": {"type": "enabled", "budget_tokens": 3999}}
    assert list(sent.dropped) == ["temperature", "top_k"]


def test_nova_at_its_highest_effort_takes_no_limits() -> None:
    """The service says so; it is told."""
    sent = Sent(NOVA_2, reasoning_effort="high", max_tokens=9, temperature=0.1, top_p=0.1)
    assert "inferenceConfig" not in sent.body
    assert list(sent.dropped) == ["max_completion_tokens", "temperature", "top_p"]


def test_the_vendors_own_thinking_goes_through() -> None:
    """As clients of Anthropic's models write it."""
    thinking = {"type": "enabled", "budget_tokens": 2000}
    sent = Sent(thinking=thinking, reasoning_effort="high")
    assert sent.body["additionalModelRequestFields"] == {"thinking": thinking}
    assert sent.dropped == {}


# turns


def answered(stream: bool) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the assistant's message of an answer with thoughts and a call, and the memory."""
    folder = Path(__file__).parent.parent / "recordings" / "bedrock"
    if not stream:
        body = (folder / "chat-whole-thoughts-and-tools.json").read_bytes()
        response = bedrock.operations["chat"].response(UpstreamResponse(200, (), body), 0)
        return json.loads(response.body)["choices"][0]["message"], response.memory
    translator, message = bedrock.Stream(0), {"role": "assistant", "content": None}
    framer = bedrock.operations["chat"].framer()
    for found in framer.feed((folder / "chat-thoughts-before-a-tool.stream").read_bytes()):
        for chunk in translator.feed(found):
            for choice in chunk.document["choices"]:
                delta = choice["delta"]
                message["thinking_blocks"] = delta.get("thinking_blocks") or message.get(
                    "thinking_blocks"
                )
                for call in delta.get("tool_calls") or ():
                    if "id" in call:
                        message["tool_calls"] = [call]
                    else:
                        [begun] = message["tool_calls"]
                        begun["function"]["arguments"] += call["function"]["arguments"]
    return message, translator.memory


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("kept", [True, False])
def test_thoughts_go_back_before_the_calls_they_led_to(stream: bool, kept: bool) -> None:
    """Whether the client keeps them or drops them."""
    message, memory = answered(stream)
    expected = {
        True: [{"reasoningText": {"text": "It is late.", "signature": "c2lnbmVk"}}],
        False: [
            {"reasoningText": {"text": "Two things.", "signature": "c2ln"}},
            {"redactedContent": "YWJj"},
        ],
    }[stream]
    if not kept:
        message = {k: v for k, v in message.items() if k in ("role", "content", "tool_calls")}
    results = [{**RESULT, "tool_call_id": call["id"]} for call in message["tool_calls"]]
    sent = Sent(
        messages=[*HELLO, message, *results],
        target=Target("", recall=(lambda call_id: None) if kept else memory.get),
        reasoning_effort="low",
    )
    blocks = sent.turns[1]["content"]
    assert [b["reasoningContent"] for b in blocks[: len(expected)]] == expected
    assert [b["toolUse"]["toolUseId"] for b in blocks if "toolUse" in b] == [
        call["id"] for call in message["tool_calls"]
    ]
    assert [b["toolResult"]["toolUseId"] for b in sent.content] == [
        call["id"] for call in message["tool_calls"]
    ]
    assert "thinking" in sent.body["additionalModelRequestFields"]
    assert sent.dropped == {}


def test_without_its_thoughts_a_loop_goes_on_unthinking() -> None:
    """A model with a budget refuses calls without them; others do not mind."""
    messages = [*HELLO, {"role": "assistant", "tool_calls": [CALL]}, RESULT]
    sent = Sent(messages=messages, reasoning_effort="low")
    assert list(sent.dropped) == ["reasoning_effort"]
    assert Sent(NEWER, messages=messages, reasoning_effort="low").dropped == {}
    after = [*messages, {"role": "assistant", "content": "One."}, *HELLO]
    assert Sent(messages=after, reasoning_effort="low").dropped == {}


@pytest.mark.parametrize("memory", [b"google-thought-signature:x", b"{}", b"\xff", b"[1]"])
def test_what_another_vendor_remembered_is_left_alone(memory: bytes) -> None:
    """A route may lead to several."""
    messages = [*HELLO, {"role": "assistant", "tool_calls": [CALL]}, RESULT]
    sent = Sent(messages=messages, target=Target("", recall=lambda call_id: memory))
    assert list(sent.turns[1]["content"][0]) == ["toolUse"]


def test_thoughts_nobody_signed_are_not_sent_back() -> None:
    """Nor those of another vendor."""
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        {"type": "thought_signature", "signature": "x"},
        *THOUGHTS,
    ]
    message = {"role": "assistant", "content": "a", "thinking_blocks": blocks}
    sent = Sent(messages=[*HELLO, message, *HELLO])
    assert [next(iter(b)) for b in sent.turns[1]["content"]] == ["reasoningContent", "text"]


# answers


def test_the_vendors_request_id_is_the_answers_id() -> None:
    """So that its support can be asked."""
    body = json.dumps({"output": {"message": {"content": [{"text": "a"}]}}}).encode()
    given = UpstreamResponse(200, (("x-amzn-requestid", "abc"),), body)
    assert json.loads(bedrock.response(given, 7).body)["id"] == "chatcmpl-abc"


def test_a_stream_is_called_as_the_gateway_says() -> None:
    """The vendor's events hold no id, and two streams may begin in the same second."""
    framed = event("messageStart", {"role": "assistant"})
    found = []
    for name in ("a1", "b2"):
        stream, framer = bedrock.Stream(7, "m", name), AWSEventStream()
        chunks = [chunk for each in framer.feed(framed) for chunk in stream.feed(each)]
        found.append({json.loads(chunk.data)["id"] for chunk in chunks})
    assert found == [{"chatcmpl-a1"}, {"chatcmpl-b2"}]


def test_a_stream_is_whole_with_its_metadata_alone() -> None:
    """The usage comes behind the reason to stop; without that reason it ends nothing."""
    framer, translator = bedrock.AWSEventStream(), bedrock.Stream(0)
    for found in framer.feed(event("messageStart", {}) + event("metadata", {"usage": None})):
        translator.feed(found)
    assert translator.ended is False
    for found in framer.feed(event("messageStop", {"stopReason": "end_turn"})):
        translator.feed(found)
    assert translator.ended is False
    for found in framer.feed(event("metadata", {})):
        translator.feed(found)
    assert translator.ended is True


# embeddings and images


def invoked(operation: str, model: str, options: Any = None, **members: Any) -> Sent:
    """Return what is sent to InvokeModel."""
    request = Request(json.dumps({"model": "m", **members}).encode())
    sent = object.__new__(Sent)
    target = Target(model, "key", options=options or {})
    sent.request = bedrock.operations[operation].request(request, target)
    sent.body = json.loads(sent.request.body)
    sent.dropped = {dropped.name: dropped.reason for dropped in sent.request.dropped}
    return sent


@pytest.mark.parametrize(
    ("model", "members", "body", "dropped"),
    [
        ("amazon.titan-embed-text-v1", {"dimensions": 256}, {"inputText": "a"}, ["dimensions"]),
        (
            "amazon.titan-embed-text-v2:0",
            {"dimensions": 256, "normalize": False},
            {"inputText": "a", "dimensions": 256, "normalize": False},
            [],
        ),
        (
            "amazon.titan-embed-image-v1",
            {"dimensions": 256, "input": ["a"]},
            {"inputText": "a", "embeddingConfig": {"outputEmbeddingLength": 256}},
            [],
        ),
        (
            "cohere.embed-english-v3",
            {"input": ["a", "b"], "encoding_format": "base64"},
            {"texts": ["a", "b"], "input_type": "search_document", "embedding_types": ["float"]},
            [],
        ),
        (
            "us.cohere.embed-v4:0",
            {
                "dimensions": 512,
                "input_type": "search_query",
                "truncate": "RIGHT",
                "encoding_format": "float",
            },
            {
                "texts": ["a"],
                "input_type": "search_query",
                "embedding_types": ["float"],
                "truncate": "RIGHT",
                "output_dimension": 512,
            },
            [],
        ),
    ],
)
def test_embeddings_are_asked_for_as_their_maker_wants(
    model: str, members: dict[str, Any], body: Any, dropped: list[str]
) -> None:
    """What a model does not know is told."""
    sent = invoked("embeddings", model, **{"input": "a", **members})
    assert sent.request.path.endswith("/invoke")
    assert (sent.body, list(sent.dropped)) == (body, dropped)


def test_the_sort_of_embeddings_may_be_the_providers_option() -> None:
    """OpenAI's clients have no word for it."""
    options = {"input_type": "clustering", "embedding_purpose": "CLUSTERING"}
    sent = invoked("embeddings", "cohere.embed-english-v3", options, input="a")
    assert sent.body["input_type"] == "clustering"
    sent = invoked("embeddings", "amazon.nova-2-multimodal-embeddings-v1:0", options, input="a")
    assert sent.body["singleEmbeddingParams"]["embeddingPurpose"] == "CLUSTERING"


@pytest.mark.parametrize(
    ("model", "given"),
    [
        ("amazon.titan-embed-text-v2:0", ["a", "b"]),
        ("amazon.titan-embed-text-v2:0", [1, 2]),
        ("cohere.embed-v4:0", []),
        ("cohere.embed-v4:0", None),
        ("somebody.embed", "a"),
    ],
)
def test_embeddings_that_cannot_be_made_are_refused(model: str, given: Any) -> None:
    """Not made of something else."""
    with pytest.raises(InvalidRequest):
        invoked("embeddings", model, input=given)


@pytest.mark.parametrize(
    ("model", "most"),
    [
        ("amazon.titan-embed-text-v2:0", 1),
        ("amazon.nova-2-multimodal-embeddings-v1:0", 1),
        ("cohere.embed-english-v3", 96),
        ("us.cohere.embed-v4:0", 96),
    ],
)
def test_a_call_has_as_many_texts_as_the_model_takes(model: str, most: int) -> None:
    """All else of the request is in each of them."""
    pieces = bedrock.operations["embeddings"].pieces
    assert pieces is not None
    texts = [f"{number}" for number in range(200)]
    request = Request(json.dumps({"model": "m", "input": texts, "dimensions": 8}).encode())
    found = pieces.split(request, Target(model))
    assert [each.get("input", list) for each in found] == [
        texts[start : start + most] for start in range(0, 200, most)
    ]
    assert {each.get("dimensions", int) for each in found} == {8}
    with pytest.raises(InvalidRequest):
        pieces.split(request, Target("somebody.embed"))


def test_amazons_images_are_asked_for() -> None:
    """With the guardrail of the provider's options."""
    sent = invoked(
        "images",
        "amazon.nova-canvas-v1:0",
        {"guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": 1}},
        prompt="A cat",
        n=2,
        size="1024x512",
        quality="hd",
        style="vivid",
        background="auto",
        seed=3,
        cfg_scale=6.5,
        negative_prompt="dogs",
        response_format="url",
    )
    assert sent.body == {
        "taskType": "TEXT_IMAGE",
        "textToImageParams": {"text": "A cat", "negativeText": "dogs"},
        "imageGenerationConfig": {
            "numberOfImages": 2,
            "quality": "premium",
            "width": 1024,
            "height": 512,
            "seed": 3,
            "cfgScale": 6.5,
        },
    }
    assert set(sent.dropped) == {"style", "response_format"}
    headers = dict(sent.request.headers)
    assert headers["x-amzn-bedrock-guardrailidentifier"] == "abc"
    assert headers["x-amzn-bedrock-guardrailversion"] == "1"


def test_stabilitys_images_have_a_shape() -> None:
    """The nearest one, which is told where it is not the one asked for."""
    model = "stability.sd3-5-large-v1:0"
    sent = invoked("images", model, prompt="A cat", size="1024x1024", output_format="jpeg", n=1)
    assert sent.body == {"prompt": "A cat", "aspect_ratio": "1:1", "output_format": "jpeg"}
    assert sent.dropped == {}
    sent = invoked(
        "images", model, prompt="A cat", size="1792x1024", output_format="webp", n=2, seed=1
    )
    assert sent.body == {"prompt": "A cat", "aspect_ratio": "16:9", "seed": 1}
    assert set(sent.dropped) == {"n", "size", "output_format"}


@pytest.mark.parametrize(
    ("model", "members"),
    [
        ("amazon.nova-canvas-v1:0", {}),
        ("amazon.nova-canvas-v1:0", {"prompt": "a", "size": "large"}),
        ("stability.sd3-5-large-v1:0", {"prompt": "a", "size": "0x10"}),
        ("somebody.images", {"prompt": "a"}),
    ],
)
def test_images_that_cannot_be_made_are_refused(model: str, members: dict[str, Any]) -> None:
    """With the member that is wrong."""
    with pytest.raises(InvalidRequest):
        invoked("images", model, **members)


# signatures


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give the environment AWS credentials, and a configuration file that may be written."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return tmp_path


REQUEST = UpstreamRequest(
    "POST",
    "/model/us.amazon.nova-pro-v1%3A0/converse",
    (("content-type", "application/json"), ("accept", "application/json")),
    b'{"messages":[]}',
)
URL = f"https://bedrock-runtime.eu-west-3.amazonaws.com{REQUEST.path}"


def test_an_api_key_needs_no_signature() -> None:
    """And botocore is not even imported for it, nor before somebody signs."""
    assert bedrock.authorizer({}, "key", unsent) is None
    code = (
        "import sys; from adapters import bedrock; bedrock.authorizer({}, 'key', None);"
        "sys.exit('botocore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_without_botocore_the_user_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra, and there is another way."""
    monkeypatch.delitem(sys.modules, "adapters._aws", raising=False)
    monkeypatch.setitem(sys.modules, "botocore.auth", None)
    with pytest.raises(ValueError, match="headgate\\[bedrock\\]"):
        bedrock.authorizer({}, "", unsent)


async def test_a_request_is_signed_as_the_vendors_sdk_signs_it(keys: Path) -> None:
    """For the region of the URL, whatever else says one."""
    signer = bedrock.authorizer({"region": "us-west-2"}, "", unsent)
    assert signer is not None
    headers = dict(await signer.headers(REQUEST, URL))
    assert headers["x-amz-security-token"] == "token"
    scope = f"AKIDEXAMPLE/{headers['x-amz-date'][:8]}/eu-west-3/bedrock/aws4_request"
    assert f"Credential={scope}, " in headers["authorization"]
    expected = AWSRequest("POST", URL, {"content-type": "application/json"}, REQUEST.body)
    expected.context["timestamp"] = headers["x-amz-date"]
    expected.headers["X-Amz-Date"] = headers["x-amz-date"]
    expected.headers["X-Amz-Security-Token"] = "token"
    sdk = SigV4Auth(ReadOnlyCredentials("AKIDEXAMPLE", "secret", "token"), "bedrock", "eu-west-3")
    text = sdk.string_to_sign(expected, sdk.canonical_request(expected))
    assert headers["authorization"].endswith(f"Signature={sdk.signature(text, expected)}")
    assert (
        "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token,"
        in (headers["authorization"])
    )


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com/x", "us-gov-west-1"),
        ("https://vpce-0a.bedrock-runtime.us-east-2.vpce.amazonaws.com/x", "us-east-2"),
        ("https://bedrock-runtime.cn-north-1.amazonaws.com.cn/x", "cn-north-1"),
        ("https://gateway.eu-proxy-1.example.com/x", "us-west-2"),
        ("http://127.0.0.1:9000/x", "us-west-2"),
    ],
)
async def test_the_region_is_the_urls_or_the_options(keys: Path, url: str, region: str) -> None:
    """A private endpoint does not name one."""
    signer = _aws.SigV4("bedrock", {"region": "us-west-2"})
    headers = dict(await signer.headers(REQUEST, url))
    assert f"/{region}/bedrock/aws4_request" in headers["authorization"]


async def test_a_profile_is_read_from_the_files(keys: Path) -> None:
    """Its keys and its region; one that is not there is a mistake of the configuration."""
    (keys / "config").write_text(
        "[profile team]\nregion = ap-south-1\n"
        "aws_access_key_id = AKIDTEAM\naws_secret_access_key = s\n"
    )
    signer = _aws.SigV4("bedrock", {"profile": "team"})
    headers = dict(await signer.headers(REQUEST, "http://localhost/x"))
    assert "Credential=AKIDTEAM/" in headers["authorization"]
    assert "/ap-south-1/" in headers["authorization"]
    with pytest.raises(ValueError, match="'nobody'"):
        _aws.SigV4("bedrock", {"profile": "nobody"})
    with pytest.raises(ValueError, match=r"options\.region"):
        _aws.SigV4("bedrock", {"region": 7})


class Source:
    """Credentials that count how often they are fetched, and expire when told."""

    def __init__(self) -> None:
        self.fetched = 0
        self.expires_in_s = 3600
        self.broken = False

    def refresh_needed(self, refresh_in: int | None = None) -> bool:
        return self.expires_in_s < (900 if refresh_in is None else refresh_in)

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        if self.broken:
            raise CredentialRetrievalError(provider="p", error_msg="account 123456789012")
        self.fetched += 1
        self.expires_in_s = 3600
        return ReadOnlyCredentials(f"AKID{self.fetched}", "s", None)


async def test_credentials_are_fetched_once_and_renewed_in_time(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one request, while the others wait or go on with the old ones."""
    source = Source()
    monkeypatch.setattr(Session, "get_credentials", lambda self: source)
    signer = _aws.SigV4("bedrock", {})
    await asyncio.gather(*(signer.headers(REQUEST, URL) for _ in range(5)))
    assert source.fetched == 1
    source.expires_in_s = 300
    both = await asyncio.gather(*(signer.headers(REQUEST, URL) for _ in range(5)))
    assert source.fetched == 2
    used = [re.findall("Credential=(AKID.)", dict(h)["authorization"])[0] for h in both]
    assert sorted(used) == ["AKID1"] * 4 + ["AKID2"]
    source.expires_in_s = -1
    both = await asyncio.gather(*(signer.headers(REQUEST, URL) for _ in range(3)))
    assert source.fetched == 3
    assert all("AKID3" in dict(h)["authorization"] for h in both)


async def test_credentials_that_cannot_be_had_are_our_trouble(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nobody outside reads whose."""
    source = Source()
    source.broken = True
    monkeypatch.setattr(Session, "get_credentials", lambda self: source)
    with pytest.raises(UpstreamAuth) as caught:
        await _aws.SigV4("bedrock", {}).headers(REQUEST, URL)
    assert "123456789012" not in caught.value.message
    monkeypatch.setattr(Session, "get_credentials", lambda self: None)
    with pytest.raises(UpstreamAuth):
        await _aws.SigV4("bedrock", {}).headers(REQUEST, URL)
    with pytest.raises(UpstreamAuth):
        await _aws.SigV4("bedrock", {}).headers(REQUEST, "http://localhost/x")


class Sts:
    """Stands for the service that gives a role's credentials, for as long as `lasts_s`."""

    def __init__(self, lasts_s: float) -> None:
        self.lasts_s = lasts_s
        self.asked: list[dict[str, Any]] = []
        self.threads: set[str] = set()

    def create_client(self, service: str, **members: Any) -> Sts:
        """Be the client of the service."""
        self.asked.append({"service": service, **members})
        return self

    def assume_role(self, **members: Any) -> dict[str, Any]:
        """Give credentials, numbered."""
        self.asked[-1].update(members)
        self.threads.add(threading.current_thread().name)
        until = datetime.now(UTC) + timedelta(seconds=self.lasts_s)
        return {
            "Credentials": {
                "AccessKeyId": f"AKIDROLE{len(self.asked)}",
                "SecretAccessKey": "s",
                "SessionToken": "t",
                "Expiration": until.isoformat(),
            },
            "AssumedRoleUser": {"Arn": "arn:aws:sts::123456789012:assumed-role/r/s"},
        }


ROLE = {"role_arn": "arn:aws:iam::123456789012:role/r"}


async def test_a_role_is_assumed_with_what_was_found(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the region of the endpoint, under the names of the options, and once for long."""
    sts = Sts(lasts_s=3600)
    monkeypatch.setattr(
        Session, "create_client", lambda _, *given, **more: sts.create_client(*given, **more)
    )
    options = {**ROLE, "external_id": "x", "session_name": "ours"}
    signer = _aws.SigV4("bedrock", options)
    for _ in range(3):
        headers = dict(await signer.headers(REQUEST, URL))
        assert "Credential=AKIDROLE1/" in headers["authorization"]
        assert headers["x-amz-security-token"] == "t"
    (asked,) = sts.asked
    assert asked["service"] == "sts"
    assert asked["region_name"] == "eu-west-3"
    assert asked["aws_access_key_id"] == "AKIDEXAMPLE"
    assert asked["RoleArn"] == "arn:aws:iam::123456789012:role/r"
    assert (asked["ExternalId"], asked["RoleSessionName"]) == ("x", "ours")


async def test_a_roles_credentials_are_renewed_before_they_expire(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By botocore's own margin, and never on the event loop's thread."""
    sts = Sts(lasts_s=300)
    monkeypatch.setattr(
        Session, "create_client", lambda _, *given, **more: sts.create_client(*given, **more)
    )
    signer = _aws.SigV4("bedrock", ROLE)
    found = [dict(await signer.headers(REQUEST, URL))["authorization"] for _ in range(2)]
    assert "Credential=AKIDROLE1/" in found[0]
    assert "Credential=AKIDROLE1/" not in found[1]
    assert sts.asked[0]["RoleSessionName"] == "headgate"
    assert threading.main_thread().name not in sts.threads


# counting


def count(model: str = OLDER, **members: Any) -> tuple[dict[str, Any], UpstreamRequest]:
    """Return what is counted, held to the service's model, and the request it is in."""
    request = Request(json.dumps({"model": "m", "input": "Hello", **members}).encode())
    made = bedrock.operations["input_tokens"].request(request, Target(model, "key"))
    body = json.loads(made.body)
    shape = SERVICE.operation_model("CountTokens").input_shape
    report = ParamValidator().validate({"modelId": model, **body}, shape)
    assert not report.has_errors(), report.generate_report()
    assert problems(body, shape) == []
    return body["input"]["converse"], made


def test_a_count_is_of_what_converse_would_get() -> None:
    """Messages, system and tools; a format is not counted, and named."""
    body, made = count(
        CLAUDE,
        instructions="Be brief",
        input=[
            {"role": "user", "content": "Hello"},
            {"type": "function_call", "call_id": "call_1", **CALL["function"]},
            {"type": "function_call_output", "call_id": "call_1", "output": "one"},
        ],
        tools=[{"type": "function", "name": "f", "parameters": {"type": "object"}}],
        text={"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}}},
        temperature=0.5,
    )
    assert sorted(body) == ["messages", "system", "toolConfig"]
    assert body["system"] == [{"text": "Be brief"}]
    assert body["messages"][2]["content"][0]["toolResult"]["toolUseId"] == "call_1"
    assert [each.name for each in made.dropped] == ["text.format"]
    thinking, made = count(NEWER, reasoning={"effort": "low"})
    assert thinking["additionalModelRequestFields"]["thinking"]["type"] == "adaptive"
    assert not made.dropped


@pytest.mark.parametrize(
    ("model", "counted"),
    [
        (CLAUDE, "anthropic.claude-sonnet-4-5-20250929-v1%3A0"),
        (OLDER, "anthropic.claude-3-5-sonnet-20240620-v1%3A0"),
        ("global.anthropic.claude-opus-4-6-v1", "anthropic.claude-opus-4-6-v1"),
        ("us-gov.anthropic.claude-x", "anthropic.claude-x"),
    ],
)
def test_a_count_is_asked_of_the_model_behind_a_profile(model: str, counted: str) -> None:
    """Profiles of regions are answered with 400."""
    _, made = count(model)
    assert made.path == f"/model/{counted}/count-tokens"
    assert ("authorization", "Bearer key") in made.headers
