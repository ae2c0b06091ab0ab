"""Mistral's chat: near OpenAI's, with thoughts as chunks of content and calls in one piece.

Source: https://docs.mistral.ai/api and https://docs.mistral.ai/capabilities/reasoning
(2026-11-21)
"""

from __future__ import annotations

import json
from typing import Any

import openai

from tests.e2e.vendors.openai_preset import (
    USAGE,
    chunk,
    completion,
    finish_of,
    results,
    schema,
)
from tests.e2e.vendors.replay import SSE, Answer, Failure, Said, document, event

__all__ = ["images", "results", "schema", "stream", "thoughts", "whole"]

ADAPTER = "mistral"
MODEL = "magistral-medium-latest"
BASE = "/v1"
PROVIDER: dict[str, Any] = {}
PATHS = ("/v1/chat/completions", "/v1/chat/completions")
AUTHORIZED = ("authorization", "Bearer sk-credential-of-the-vendor")
OPENING, CLOSING = 1, 2
UNTAKEN = {"logit_bias": {"50256": -100}}
FETCHES: tuple[str, ...] = ()
REMEMBERS = True
RETRY_AFTER = False
REMOVABLE = "tools"

STREAM_ERROR = (
    event(
        {
            "object": "error",
            "message": "Service tier capacity exceeded for this model.",
            "type": "service_tier_capacity_exceeded",
            "param": None,
            "code": "3505",
            "raw_status_code": 429,
        }
    ),
    429,
    "upstream_rate_limited",
)


def _error(message: str, kind: str, code: str) -> dict[str, Any]:
    return {"object": "error", "message": message, "type": kind, "param": None, "code": code}


FAILURES = {
    "too much": Failure(
        document(_error("Rate limit exceeded", "rate_limited", "1300"), 429),
        openai.RateLimitError,
        "upstream_rate_limited",
    ),
    "too long": Failure(
        document(
            _error(
                "Prompt contains 41234 tokens and 0 draft tokens, too large for model with 40960 "
                "maximum context length",
                "invalid_request_prompt",
                "3051",
            ),
            400,
        ),
        openai.BadRequestError,
        "context_length_exceeded",
    ),
    "refused": Failure(
        document(
            {"detail": [{"type": "extra_forbidden", "loc": ["body", "x"], "msg": "No extras"}]}, 422
        ),
        openai.UnprocessableEntityError,
        "invalid_request",
    ),
    "overloaded": Failure(
        document(_error("Service unavailable.", "internal_server_error", "1000"), 503),
        openai.InternalServerError,
        "upstream_error",
    ),
    "credential": Failure(
        document({"detail": "Unauthorized"}, 401),
        openai.InternalServerError,
        "upstream_auth",
    ),
}
_IDS = ("D681PevKs", "x0yZ9aB8c")


def _thinking(text: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}]}


def _calls(said: Said) -> dict[str, Any]:
    calls = [
        {
            "id": _IDS[number],
            "index": number,
            "function": {"name": call.name, "arguments": json.dumps(call.arguments)},
        }
        for number, call in enumerate(said.calls)
    ]
    return {"tool_calls": calls} if calls else {}


def whole(said: Said) -> Answer:
    content: Any = said.text
    if said.thought:
        content = [_thinking(said.thought), {"type": "text", "text": said.text}]
    message = {"role": "assistant", "content": content, **_calls(said)}
    return completion(message, finish_of(said))


def stream(said: Said) -> Answer:
    """Calls come whole, with the finish reason and the usage."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    if said.thought:
        deltas += [{"content": [_thinking(piece)]} for piece in said.thought.partition(" ")]
    deltas += [{"content": word} for word in said.words if word]
    last = chunk({"content": "", **_calls(said)}, finish=finish_of(said), usage=USAGE)
    return Answer([*(chunk(delta, p="abc") for delta in deltas), last, event("[DONE]")], SSE)


def _parts(body: Any, kind: str) -> list[Any]:
    listed = [m["content"] for m in body["messages"] if isinstance(m["content"], list)]
    return [part[kind] for parts in listed for part in parts if part["type"] == kind]


def thoughts(body: Any) -> Any:
    return _parts(body, "thinking")


THOUGHT = [[{"type": "text", "text": "Let me look."}]]


def images(body: Any) -> list[str]:
    return [image["url"] for image in _parts(body, "image_url")]
