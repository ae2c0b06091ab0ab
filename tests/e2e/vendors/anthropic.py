"""Anthropic's Messages API as its documentation has it.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming and
https://platform.claude.com/docs/en/api/errors (2026-11-21)
"""

from __future__ import annotations

import json
from typing import Any

import openai

from tests.e2e.vendors.replay import (
    CACHED,
    INPUT,
    OUTPUT,
    SIGNATURE,
    SSE,
    Answer,
    Call,
    Failure,
    Said,
    document,
    event,
)

ADAPTER = "anthropic"
MODEL = "claude-sonnet-4-5"
BASE = "/v1"
PROVIDER: dict[str, Any] = {}
PATHS = ("/v1/messages", "/v1/messages")
AUTHORIZED = ("x-api-key", "sk-credential-of-the-vendor")
OPENING, CLOSING = 3, 3
UNTAKEN = {"logit_bias": {"50256": -100}}
FETCHES = ("http",)
REMEMBERS = True
RETRY_AFTER = True
REMOVABLE = "tools"

_STARTED = {
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [],
    "stop_reason": None,
    "stop_sequence": None,
}
_INPUT = {
    "input_tokens": INPUT - CACHED,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": CACHED,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
}


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_011"}


STREAM_ERROR = (
    event(_error("overloaded_error", "Overloaded"), "error"),
    502,
    "upstream_error",
)
FAILURES = {
    "too much": Failure(
        document(_error("rate_limit_error", "too many requests"), 429, retry_after="7"),
        openai.RateLimitError,
        "upstream_rate_limited",
    ),
    "too long": Failure(
        document(
            _error("invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum"),
            400,
        ),
        openai.BadRequestError,
        "context_length_exceeded",
    ),
    "overloaded": Failure(
        document(_error("overloaded_error", "Overloaded"), 529),
        openai.InternalServerError,
        "upstream_error",
    ),
    "credential": Failure(
        document(_error("authentication_error", "invalid x-api-key"), 401),
        openai.InternalServerError,
        "upstream_auth",
    ),
}


def _blocks(said: Said) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if said.thought:
        blocks.append({"type": "thinking", "thinking": said.thought, "signature": SIGNATURE})
    if said.text:
        blocks.append({"type": "text", "text": said.text})
    blocks += [
        {"type": "tool_use", "id": f"toolu_0{n}", "name": call.name, "input": call.arguments}
        for n, call in enumerate(said.calls, 1)
    ]
    return blocks


def whole(said: Said) -> Answer:
    return document(
        {
            **_STARTED,
            "content": _blocks(said),
            "stop_reason": "tool_use" if said.calls else "end_turn",
            "usage": {**_INPUT, "output_tokens": OUTPUT, "service_tier": "standard"},
        }
    )


def stream(said: Said) -> Answer:
    """Blocks in turn; calls side by side, as the index of an event allows."""
    usage = {**_INPUT, "output_tokens": 1, "service_tier": "standard"}
    events = [
        {"type": "message_start", "message": {**_STARTED, "usage": usage}},
    ]
    index = 0
    if said.thought:
        empty = {"type": "thinking", "thinking": "", "signature": ""}
        deltas = [
            *({"type": "thinking_delta", "thinking": c} for c in said.thought.partition(" ")),
            {"type": "signature_delta", "signature": SIGNATURE},
        ]
        events += [_begin(index, empty), *_deltas(index, deltas), _stop(index)]
        index += 1
    if said.text:
        texts = [{"type": "text_delta", "text": word} for word in said.words]
        empty = {"type": "text", "text": ""}
        events += [_begin(index, empty), {"type": "ping"}, *_deltas(index, texts), _stop(index)]
        index += 1
    events += _calls(said.calls, index)
    delta = {"stop_reason": "tool_use" if said.calls else "end_turn", "stop_sequence": None}
    events += [
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": OUTPUT}},
        {"type": "message_stop"},
    ]
    return Answer([event(each, str(each["type"])) for each in events], f"{SSE}; charset=utf-8")


def _calls(calls: Any, first: int) -> list[dict[str, Any]]:
    numbered: list[tuple[int, Call]] = list(enumerate(calls, first))
    events = []
    for index, call in numbered:
        name, number = call.name, index - first + 1
        block = {"type": "tool_use", "id": f"toolu_0{number}", "name": name, "input": {}}
        events.append(_begin(index, block))
        events += _deltas(index, [{"type": "input_json_delta", "partial_json": ""}])
    for half in (0, 1):
        for index, call in numbered:
            piece = {"type": "input_json_delta", "partial_json": call.halves[half]}
            events += _deltas(index, [piece])
    return events + [_stop(index) for index, _ in numbered]


def _begin(index: int, block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def _deltas(index: int, deltas: Any) -> list[dict[str, Any]]:
    return [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]


def _stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def _sent(body: Any, kind: str) -> list[Any]:
    """Return all blocks of one type in a request's messages."""
    turns = [turn["content"] for turn in body["messages"]]
    return [
        b for blocks in turns if not isinstance(blocks, str) for b in blocks if b["type"] == kind
    ]


def results(body: Any) -> list[tuple[str, Any, str]]:
    given = {block["tool_use_id"]: block["content"] for block in _sent(body, "tool_result")}
    return [(use["name"], use["input"], given[use["id"]]) for use in _sent(body, "tool_use")]


def thoughts(body: Any) -> Any:
    return _sent(body, "thinking")


THOUGHT = [{"type": "thinking", "thinking": "Let me look.", "signature": SIGNATURE}]


def images(body: Any) -> list[str]:
    sources = [block["source"] for block in _sent(body, "image")]
    return [source.get("url") or source["data"] for source in sources]


def schema(body: Any) -> Any:
    form = body["output_config"]["format"]
    assert form["type"] == "json_schema"
    return json.loads(json.dumps(form["schema"]))
