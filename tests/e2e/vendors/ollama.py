"""Ollama's own chat API: a line of JSON for each piece.

Source: https://docs.ollama.com/api/chat and https://docs.ollama.com/api/errors (2026-11-21)
"""

from __future__ import annotations

import json
from typing import Any

import openai

from tests.e2e.vendors.replay import (
    CACHED,
    INPUT,
    OUTPUT,
    Answer,
    Failure,
    Said,
    document,
)

ADAPTER = "ollama"
MODEL = "qwen3:8b"
BASE = ""
PROVIDER: dict[str, Any] = {}
PATHS = ("/api/chat", "/api/chat")
AUTHORIZED = ("authorization", "Bearer sk-credential-of-the-vendor")
OPENING, CLOSING = 0, 1
UNTAKEN = {"logit_bias": {"50256": -100}}
FETCHES = ("http", "https")
REMEMBERS = True
RETRY_AFTER = False
REMOVABLE = "tools"

_SHARED = {"model": MODEL, "created_at": "2026-11-21T08:15:57.947137Z"}
_DONE = {
    "done": True,
    "done_reason": "stop",
    "total_duration": 4883583458,
    "load_duration": 1334875,
    "prompt_eval_count": INPUT,
    "prompt_eval_cached_count": CACHED,
    "prompt_eval_duration": 342546000,
    "eval_count": OUTPUT,
    "eval_duration": 4535599000,
}
STREAM_ERROR = (
    b'{"error":"an error was encountered while running the model"}\n',
    502,
    "upstream_error",
)
FAILURES = {
    "too much": Failure(
        document({"error": "you have reached your hourly usage limit"}, 429),
        openai.RateLimitError,
        "upstream_rate_limited",
    ),
    "too long": Failure(
        document({"error": "prompt too long; exceeded max context length by 4 tokens"}, 400),
        openai.BadRequestError,
        "context_length_exceeded",
    ),
    "overloaded": Failure(
        document({"error": "server busy, please try again.  maximum pending requests"}, 503),
        openai.InternalServerError,
        "upstream_error",
    ),
    "absent": Failure(
        document({"error": "model 'qwen3:8b' not found"}, 404),
        openai.NotFoundError,
        "invalid_request",
    ),
    "credential": Failure(
        document({"error": "unauthorized"}, 401),
        openai.InternalServerError,
        "upstream_auth",
    ),
}


def _calls(said: Said) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{number}x7k",
            "function": {"index": number, "name": call.name, "arguments": call.arguments},
        }
        for number, call in enumerate(said.calls)
    ]


def whole(said: Said) -> Answer:
    message: dict[str, Any] = {"role": "assistant", "content": said.text}
    if said.thought:
        message["thinking"] = said.thought
    if said.calls:
        message["tool_calls"] = _calls(said)
    answer = document({**_SHARED, "message": message, **_DONE})
    return answer._replace(content_type="application/json; charset=utf-8")


def stream(said: Said) -> Answer:
    """Calls come whole, each in a line."""
    pieces: list[dict[str, Any]] = [{"thinking": p} for p in said.thought.partition(" ") if p]
    pieces += [{"content": word} for word in said.words if word]
    pieces += [{"tool_calls": [call]} for call in _calls(said)]
    lines: list[dict[str, Any]] = [
        {**_SHARED, "message": {"role": "assistant", "content": "", **piece}, "done": False}
        for piece in pieces
    ]
    lines.append({**_SHARED, "message": {"role": "assistant", "content": ""}, **_DONE})
    return Answer([json.dumps(line).encode() + b"\n" for line in lines], "application/x-ndjson")


def results(body: Any) -> list[tuple[str, Any, str]]:
    given = {m["tool_call_id"]: m for m in body["messages"] if m["role"] == "tool"}
    found = []
    for call in [call for m in body["messages"] for call in m.get("tool_calls", ())]:
        name, result = call["function"]["name"], given[call["id"]]
        assert result["tool_name"] == name
        found.append((name, call["function"]["arguments"], result["content"]))
    return found


def thoughts(body: Any) -> Any:
    return [m["thinking"] for m in body["messages"] if m.get("thinking")]


THOUGHT = ["Let me look."]


def images(body: Any) -> list[str]:
    return [image for message in body["messages"] for image in message.get("images", ())]


def schema(body: Any) -> Any:
    return body["format"]
