"""Vertex AI: whose format a model has, where its paths lead, and what authorises them.

How Gemini's format is translated is tested with its own adapter, Claude's with Anthropic's.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from typing import Any

import pytest
from google.auth.exceptions import RefreshError
from google.genai import types
from openai.types.chat import ChatCompletion

from adapters import _gcp, vertex
from proxy.adapter import Target, UpstreamRequest, UpstreamResponse
from proxy.errors import UpstreamAuth, UpstreamTruncated
from proxy.wire import Request
from tests.adapters.test_gemini_corpus import CORPUS
from tests.adapters.test_recordings import CREATED, Translated
from tests.fakes import unsent
from tests.source import ROOT

PLACE = {"project": "p", "location": "europe-west4"}
REQUEST = UpstreamRequest("POST", "/x", ())


def built(model: str, options: dict[str, Any], credential: str = "t", **members: Any) -> Any:
    """Return a chat request as it goes out."""
    document = {"model": "route", "messages": [{"role": "user", "content": "hi"}], **members}
    target = Target(model, credential, options=options)
    return vertex.operations["chat"].request(Request(json.dumps(document).encode()), target)


@pytest.mark.parametrize(
    ("model", "options", "path"),
    [
        (
            "gemini-2.5-pro",
            PLACE,
            "/v1beta1/projects/p/locations/europe-west4/publishers/google/models/"
            "gemini-2.5-pro:generateContent",
        ),
        (
            "google/gemini-2.5-pro",
            {"project": "p", "api_version": "v1"},
            "/v1/projects/p/locations/global/publishers/google/models/"
            "gemini-2.5-pro:generateContent",
        ),
        (
            "gemini-2.5-pro",
            {},
            "/v1beta1/publishers/google/models/gemini-2.5-pro:generateContent",
        ),
        (
            "claude-sonnet-4-5@20250929",
            PLACE,
            "/v1beta1/projects/p/locations/europe-west4/publishers/anthropic/models/"
            "claude-sonnet-4-5@20250929:rawPredict",
        ),
        (
            "endpoints/123",
            PLACE,
            "/v1beta1/projects/p/locations/europe-west4/endpoints/123:generateContent",
        ),
        (
            "projects/q/locations/us-central1/endpoints/123",
            PLACE,
            "/v1beta1/projects/q/locations/us-central1/endpoints/123:generateContent",
        ),
    ],
)
def test_a_path_leads_to_the_model_in_its_place(
    model: str, options: dict[str, Any], path: str
) -> None:
    """Project and location as configured; without a project the express mode's path."""
    assert built(model, options).path == path


def test_streams_have_methods_of_their_own() -> None:
    """Each format has its own two."""
    assert built("gemini-2.5-pro", PLACE, stream=True).path.endswith(
        ":streamGenerateContent?alt=sse"
    )
    claude = built("claude-opus-4-6", PLACE, stream=True)
    assert claude.path.endswith("/claude-opus-4-6:streamRawPredict")
    assert json.loads(claude.body)["stream"] is True


def test_claude_gets_anthropics_body_with_the_version_in_it() -> None:
    """The model stands in the path; betas are a header as at Anthropic's own."""
    sent = built("claude-opus-4-6", {**PLACE, "beta": "context-1m-2025-08-07"}, max_tokens=9)
    body = json.loads(sent.body)
    assert body["anthropic_version"] == "vertex-2023-10-16"
    assert "model" not in body
    assert body["max_tokens"] == 9
    assert dict(sent.headers)["anthropic-beta"] == "context-1m-2025-08-07"


def test_a_credential_is_a_key_a_token_or_the_authorizers_business() -> None:
    """The text of a key file never stands in a header."""
    key_file = '{"type": "service_account"}'
    assert vertex.authorize(Target("m", "AIzaX")) == (("x-goog-api-key", "AIzaX"),)
    assert vertex.authorize(Target("m", "AQ.X")) == (("x-goog-api-key", "AQ.X"),)
    assert vertex.authorize(Target("m", "ya29.x")) == (("authorization", "Bearer ya29.x"),)
    assert vertex.authorize(Target("m", key_file)) == ()
    assert vertex.authorize(Target("m", "")) == ()


def test_embeddings_are_predicted() -> None:
    """Each text is an instance; what holds for all are parameters."""
    document = {"model": "m", "input": ["a", "b"], "dimensions": 8, "task_type": "document"}
    target = Target("text-embedding-005", "t", options=PLACE)
    sent = vertex.operations["embeddings"].request(Request(json.dumps(document).encode()), target)
    assert sent.path.endswith("/publishers/google/models/text-embedding-005:predict")
    assert json.loads(sent.body) == {
        "instances": [
            {"content": "a", "task_type": "RETRIEVAL_DOCUMENT"},
            {"content": "b", "task_type": "RETRIEVAL_DOCUMENT"},
        ],
        "parameters": {"outputDimensionality": 8},
    }


def test_a_stream_without_an_event_is_truncated() -> None:
    """Also after a comment, which says nothing of the format."""
    operation = vertex.operations["chat"]
    for pieces in ([], [b": hello\n\n"]):
        assert isinstance(Translated(operation, pieces).error, UpstreamTruncated)


# Recorded: Claude on Vertex AI


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")
def test_every_recorded_exchange_with_claude_is_translated_right(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Path and body are the recording's; text, calls, finish and usage are too."""
    right = 0
    for path in sorted(CORPUS.glob("vertex-anthropic-*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        check_request(document)
        answer = document["response"]["body"]
        operation = vertex.operations["chat"]
        if "sse_text" in answer:
            check_stream(answer["sse_text"].encode())
        else:
            given = UpstreamResponse(200, (), json.dumps(answer).encode())
            found = json.loads(operation.response(given, CREATED).body)
            ChatCompletion.model_validate(found)
            block = answer["content"][0]
            message = found["choices"][0]["message"]
            if block["type"] == "tool_use":
                call = message["tool_calls"][0]
                assert call["id"] == block["id"]
                assert json.loads(call["function"]["arguments"]) == block["input"]
            else:
                assert message["content"] == block["text"]
            assert found["usage"]["prompt_tokens"] == answer["usage"]["input_tokens"]
        right += 1
    with capsys.disabled():
        print(f"\nclaude on vertex: 4 tried, {right} right")
    assert right == 4


def check_request(document: dict[str, Any]) -> None:
    """Say the recorded request in OpenAI's words; it must come back."""
    given = document["request"]["body"]
    location = document["request"]["path"].split("/")[5]
    messages = [{"role": "system", "content": one["text"]} for one in given.get("system", ())]
    messages += [
        {"role": turn["role"], "content": turn["content"][0]["text"]} for turn in given["messages"]
    ]
    tools = [
        {
            "type": "function",
            "function": {
                "name": tool["name"],
                "description": tool["description"],
                "parameters": tool["input_schema"],
            },
        }
        for tool in given.get("tools", ())
    ]
    members: dict[str, Any] = {"messages": messages, "max_tokens": given["max_tokens"]}
    if tools:
        name = given["tool_choice"]["name"]
        members["tools"] = tools
        members["tool_choice"] = {"type": "function", "function": {"name": name}}
    options = {"project": "REDACTED", "location": location, "api_version": "v1"}
    stream = bool(given.get("stream"))
    sent = built(document["model"], options, stream=stream, **members)
    assert sent.path == document["request"]["path"]
    found = json.loads(sent.body)
    given.get("tool_choice", {}).pop("disable_parallel_tool_use", None)
    assert found == given


def check_stream(stream: bytes) -> None:
    """Whole, byte by byte, and cut at every event."""
    operation = vertex.operations["chat"]
    whole = Translated(operation, [stream])
    again = Translated(operation, [stream[i : i + 1] for i in range(len(stream))])
    assert whole.error is None
    assert again.documents == whole.documents
    lines = [line[5:] for line in stream.decode().splitlines() if line.startswith("data:")]
    deltas = [json.loads(line).get("delta", {}) for line in lines]
    said = [json.loads(one)["choices"] for one in whole.documents]
    found = [choice["delta"] for choices in said for choice in choices]
    text = "".join(delta.get("content") or "" for delta in found)
    calls = [call for delta in found for call in delta.get("tool_calls", ())]
    arguments = "".join(call["function"].get("arguments", "") for call in calls)
    assert text == "".join(delta.get("text", "") for delta in deltas)
    assert arguments == "".join(delta.get("partial_json", "") for delta in deltas)
    for cut in range(len(stream)):
        if stream.startswith(b"event:", cut):
            assert isinstance(Translated(operation, [stream[:cut]]).error, UpstreamTruncated)


# Tokens


class Credentials:
    """google-auth's credentials as far as they are used; blocks as they do."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.token = ""
        self.valid = False
        self.refreshed = 0
        self.threads: set[int] = set()
        self._failure = failure

    def refresh(self, transport: Any) -> None:
        self.threads.add(threading.get_ident())
        if self._failure is not None:
            raise self._failure
        self.refreshed += 1
        self.token, self.valid = f"token-{self.refreshed}", True


async def test_a_token_is_asked_for_once_and_in_a_thread() -> None:
    """Ten requests at once wait for one token; the next comes when it has expired."""
    credentials = Credentials()
    tokens = _gcp.Tokens(lambda: credentials, object, (RefreshError,), "billed")
    found = await asyncio.gather(*(tokens.headers(REQUEST, "u") for _ in range(10)))
    assert {tuple(headers) for headers in found} == {
        (("authorization", "Bearer token-1"), ("x-goog-user-project", "billed"))
    }
    assert threading.get_ident() not in credentials.threads
    credentials.valid = False
    assert dict(await tokens.headers(REQUEST, "u"))["authorization"] == "Bearer token-2"
    assert credentials.refreshed == 2


async def test_a_token_that_cannot_be_had_is_ours_to_mend() -> None:
    """Google's words, which may name our account, are not told to the client."""
    tokens = _gcp.Tokens(lambda: Credentials(RefreshError("secret")), object, (RefreshError,))
    with pytest.raises(UpstreamAuth) as caught:
        await tokens.headers(REQUEST, "u")
    assert "secret" not in caught.value.message


def test_an_authorizer_is_made_for_what_is_no_key_and_no_token() -> None:
    """A key file of a kind we know, or the machine's own identity."""
    assert vertex.authorizer({}, "AIzaX", unsent) is None
    assert vertex.authorizer({}, "ya29.x", unsent) is None
    assert vertex.authorizer({}, "", unsent) is not None
    known = {"type": "authorized_user", "client_id": "a", "client_secret": "b"}
    assert vertex.authorizer({}, json.dumps({**known, "refresh_token": "c"}), unsent) is not None
    for wrong in ("{", '{"type": "gdch_service_account"}'):
        with pytest.raises(ValueError, match="key file"):
            vertex.authorizer({}, wrong, unsent)


def test_google_auth_is_not_loaded_before_it_is_needed() -> None:
    """Importing the adapter costs nobody the package."""
    code = "import sys, adapters.vertex; print('google.auth' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def count(model: str, options: dict[str, Any] = PLACE, **members: Any) -> tuple[Any, Any]:
    """Return the body of a count and the request it is in."""
    request = Request(json.dumps({"model": "route", "input": "hi", **members}).encode())
    target = Target(model, "t", options=options)
    made = vertex.operations["input_tokens"].request(request, target)
    return json.loads(made.body), made


def test_gemini_counts_at_its_own_path() -> None:
    """What the count takes of a chat's body, checked by the SDK's types; the rest is named."""
    body, made = count(
        "gemini-2.5-pro",
        {**PLACE, "cached_content": "cachedContents/1", "labels": {"a": "b"}},
        instructions="Be brief",
        tools=[{"type": "function", "name": "f", "parameters": {"type": "object"}}],
        text={"format": {"type": "json_object"}},
    )
    assert made.path.endswith(
        "/locations/europe-west4/publishers/google/models/gemini-2.5-pro:countTokens"
    )
    assert sorted(body) == ["contents", "generationConfig", "systemInstruction", "tools"]
    config = {name: body[name] for name in body if name != "contents"}
    types.CountTokensConfig.model_validate(config)
    assert [each.name for each in made.dropped] == ["cached_content"]


def test_claude_is_counted_by_a_model_of_its_own() -> None:
    """The path names the counter, the body the model, as Anthropic's own client has it."""
    for model in ("claude-opus-4-6", "anthropic/claude-opus-4-6"):
        body, made = count(model, {**PLACE, "beta": "context-1m-2025-08-07"})
        assert made.path == (
            "/v1beta1/projects/p/locations/europe-west4/publishers/anthropic/models/"
            "count-tokens:rawPredict"
        )
        assert body == {
            "model": "claude-opus-4-6",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
            "anthropic_version": "vertex-2023-10-16",
        }
        assert dict(made.headers)["anthropic-beta"] == "context-1m-2025-08-07"
    place = "projects/q/locations/global/publishers/anthropic/models"
    body, made = count(f"{place}/claude-opus-4-6")
    assert made.path == f"/v1beta1/{place}/count-tokens:rawPredict"
    assert body["model"] == "claude-opus-4-6"


def test_either_count_is_read() -> None:
    """By the number's name."""
    read = vertex.operations["input_tokens"].response
    for body in (b'{"totalTokens":7,"totalBillableCharacters":25}', b'{"input_tokens":7}'):
        assert json.loads(read(UpstreamResponse(200, (), body), 0).body)["input_tokens"] == 7
