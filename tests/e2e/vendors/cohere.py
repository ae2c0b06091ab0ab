"""Cohere's second chat API, with plans before calls.

Source: https://docs.cohere.com/reference/chat-stream and
https://docs.cohere.com/reference/errors (2026-11-21)
"""

from __future__ import annotations

import json
from typing import Any

import openai

from tests.e2e.vendors.openai_preset import images, results
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

__all__ = ["images", "results", "schema", "stream", "thoughts", "whole"]

ADAPTER = "cohere"
MODEL = "command-a-reasoning-08-2025"
BASE = ""
PROVIDER: dict[str, Any] = {}
PATHS = ("/v2/chat", "/v2/chat")
AUTHORIZED = ("authorization", "Bearer sk-credential-of-the-vendor")
OPENING, CLOSING = 2, 2
UNTAKEN = {"logit_bias": {"50256": -100}}
FETCHES: tuple[str, ...] = ()
REMEMBERS = True
RETRY_AFTER = False
REMOVABLE = "tools"

_ID = "c14c80c3-18eb-4519-9460-6c92edd8cfb4"
_USAGE = {
    "billed_units": {"input_tokens": 5, "output_tokens": OUTPUT},
    "tokens": {"input_tokens": INPUT, "output_tokens": OUTPUT},
    "cached_tokens": CACHED,
}
STREAM_ERROR = (
    event(
        {
            "type": "message-end",
            "delta": {"error": "The model failed.", "finish_reason": "ERROR", "usage": _USAGE},
        },
        "message-end",
    ),
    502,
    "upstream_error",
)
FAILURES = {
    "too much": Failure(
        document({"id": _ID, "message": "Please wait and try again later"}, 429),
        openai.RateLimitError,
        "upstream_rate_limited",
    ),
    "too long": Failure(
        document(
            {"id": _ID, "message": "too many tokens: size limit exceeded by 11326 tokens."}, 400
        ),
        openai.BadRequestError,
        "context_length_exceeded",
    ),
    "overloaded": Failure(
        document({"id": _ID, "message": "The service is temporarily unavailable."}, 503),
        openai.InternalServerError,
        "upstream_error",
    ),
    "credential": Failure(
        document({"id": _ID, "message": "invalid api token"}, 401),
        openai.InternalServerError,
        "upstream_auth",
    ),
}


def _call(number: int, name: str, arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"id": f"{name}_{number}abc", "type": "function", "function": function}


def _finish(said: Said) -> str:
    return "TOOL_CALL" if said.calls else "COMPLETE"


def whole(said: Said) -> Answer:
    """Thoughts before calls are a plan, those before a text a block of it."""
    content: list[Any] = []
    if said.thought and not said.calls:
        content.append({"type": "thinking", "thinking": said.thought})
    if said.text:
        content.append({"type": "text", "text": said.text})
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if said.calls:
        message["tool_calls"] = [
            _call(number, call.name, json.dumps(call.arguments))
            for number, call in enumerate(said.calls)
        ]
        message["tool_plan"] = said.thought
    return document(
        {"id": _ID, "message": message, "finish_reason": _finish(said), "usage": _USAGE}
    )


def stream(said: Said) -> Answer:
    """Each event is named; the deltas of several calls alternate."""
    opening = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}
    events: list[dict[str, Any]] = [
        {"id": _ID, "type": "message-start", "delta": {"message": opening}}
    ]
    if said.calls:
        events += [_add("tool-plan-delta", 0, tool_plan=p) for p in said.thought.partition(" ")]
    elif said.thought:
        events += _block(0, "thinking", list(said.thought.partition(" ")))
    if said.text:
        events += _block(1 if said.thought else 0, "text", said.words)
    events += _calls(said)
    end = {"finish_reason": _finish(said), "usage": _USAGE}
    events.append({"type": "message-end", "delta": end})
    return Answer([event(each, str(each["type"])) for each in events], SSE)


def _add(kind: str, index: int, **message: Any) -> dict[str, Any]:
    return {"type": kind, "index": index, "delta": {"message": message}}


def _block(index: int, kind: str, pieces: list[str]) -> list[dict[str, Any]]:
    return [
        _add("content-start", index, content={"type": kind, kind: ""}),
        *(_add("content-delta", index, content={kind: piece}) for piece in pieces),
        {"type": "content-end", "index": index},
    ]


def _calls(said: Said) -> list[dict[str, Any]]:
    numbered = list(enumerate(said.calls))
    events = [_add("tool-call-start", n, tool_calls=_call(n, c.name, "")) for n, c in numbered]
    for half in (0, 1):
        for number, call in numbered:
            piece = {"function": {"arguments": call.halves[half]}}
            events.append(_add("tool-call-delta", number, tool_calls=piece))
    return events + [{"type": "tool-call-end", "index": number} for number, _ in numbered]


def thoughts(body: Any) -> Any:
    return [m["tool_plan"] for m in body["messages"] if m.get("tool_plan")]


THOUGHT = ["Let me look."]


def schema(body: Any) -> Any:
    form = body["response_format"]
    assert form["type"] == "json_object"
    return form["json_schema"]
