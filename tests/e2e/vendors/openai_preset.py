"""Groq, for all presets: OpenAI's wire format with usage also in a member of its own.

Source: https://console.groq.com/docs/api-reference (2026-11-21)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai

from tests.e2e.vendors.replay import (
    CACHED,
    INPUT,
    OUTPUT,
    SSE,
    Answer,
    Failure,
    Said,
    document,
    event,
)

ADAPTER = "groq"
MODEL = "openai/gpt-oss-120b"
BASE = "/openai/v1"
PROVIDER: dict[str, Any] = {}
PATHS = ("/openai/v1/chat/completions", "/openai/v1/chat/completions")
AUTHORIZED = ("authorization", "Bearer sk-credential-of-the-vendor")
OPENING, CLOSING = 1, 3
UNTAKEN = {"logit_bias": {"50256": -100}}
FETCHES: tuple[str, ...] = ()
REMEMBERS = False
RETRY_AFTER = True
REMOVABLE = "tools"

USAGE = {
    "prompt_tokens": INPUT,
    "completion_tokens": OUTPUT,
    "total_tokens": INPUT + OUTPUT,
    "prompt_tokens_details": {"cached_tokens": CACHED},
}


def _error(message: str, kind: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, **({"code": code} if code else {})}}


STREAM_ERROR = (
    event(_error("Internal error while generating.", "internal_server_error"), "error"),
    502,
    "upstream_error",
)
FAILURES = {
    "too much": Failure(
        document(
            _error("Rate limit reached for model.", "tokens", "rate_limit_exceeded"),
            429,
            retry_after="7",
        ),
        openai.RateLimitError,
        "upstream_rate_limited",
    ),
    "too long": Failure(
        document(
            _error(
                "Please reduce the length of the messages or completion.",
                "invalid_request_error",
                "context_length_exceeded",
            ),
            400,
        ),
        openai.BadRequestError,
        "context_length_exceeded",
    ),
    "overloaded": Failure(
        document(_error("Service Unavailable", "internal_server_error"), 503),
        openai.InternalServerError,
        "upstream_error",
    ),
    "credential": Failure(
        document(_error("Invalid API Key", "invalid_request_error", "invalid_api_key"), 401),
        openai.InternalServerError,
        "upstream_auth",
    ),
}


def message_of(said: Said, thoughts: str) -> dict[str, Any]:
    """Return a whole message; `thoughts` is what the vendor calls reasoning."""
    message: dict[str, Any] = {"role": "assistant", "content": said.text or None}
    if said.thought:
        message[thoughts] = said.thought
    if said.calls:
        message["tool_calls"] = [
            {
                "id": f"call_{number}",
                "type": "function",
                "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
            }
            for number, call in enumerate(said.calls)
        ]
    return message


def deltas_of(said: Said, thoughts: str) -> Iterator[dict[str, Any]]:
    """Yield what each chunk adds; the arguments of several calls alternate."""
    yield {"role": "assistant", "content": "" if said.text else None}
    if said.thought:
        yield from ({thoughts: piece} for piece in said.thought.partition(" "))
    yield from ({"content": word} for word in said.words if word)
    for number, call in enumerate(said.calls):
        function = {"name": call.name, "arguments": ""}
        begun = {"index": number, "id": f"call_{number}", "type": "function", "function": function}
        yield {"tool_calls": [begun]}
    for half in (0, 1):
        for number, call in enumerate(said.calls):
            piece = {"index": number, "function": {"arguments": call.halves[half]}}
            yield {"tool_calls": [piece]}


def finish_of(said: Said) -> str:
    """Return why the model stopped."""
    return "tool_calls" if said.calls else "stop"


def completion(message: dict[str, Any], finish: str, **more: Any) -> Answer:
    """Return a whole answer."""
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    shared = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1787150315}
    return document({**shared, "model": "m-1", "choices": [choice], "usage": USAGE, **more})


def chunk(*deltas: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    """Return a chunk with a choice for each delta, which is one or none."""
    choices = [
        {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish} for delta in deltas
    ]
    shared = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1787150315}
    return event({**shared, "model": "m-1", "choices": choices, **more})


def whole(said: Said) -> Answer:
    return completion(message_of(said, "reasoning"), finish_of(said), x_groq={"id": "req_1"})


def stream(said: Said) -> Answer:
    chunks = [chunk(delta) for delta in deltas_of(said, "reasoning")]
    aside = {"id": "req_1", "usage": USAGE}
    chunks.append(chunk({}, finish=finish_of(said), x_groq=aside))
    return Answer([*chunks, chunk(usage=USAGE), event("[DONE]")], SSE)


def results(body: Any) -> list[tuple[str, Any, str]]:
    given = {m["tool_call_id"]: m["content"] for m in body["messages"] if m["role"] == "tool"}
    calls = [call for message in body["messages"] for call in message.get("tool_calls", ())]
    return [
        (c["function"]["name"], json.loads(c["function"]["arguments"]), given[c["id"]])
        for c in calls
    ]


def thoughts(body: Any) -> Any:
    """Return the thoughts under either name."""
    names = ("reasoning", "reasoning_content")
    return [m[name] for m in body["messages"] for name in names if m.get(name)]


THOUGHT = ["Let me look."]


def images(body: Any) -> list[str]:
    parts = [p for m in body["messages"] if isinstance(m["content"], list) for p in m["content"]]
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


def schema(body: Any) -> Any:
    form = body["response_format"]
    assert form["type"] == "json_schema"
    return form["json_schema"]["schema"]
