"""Bedrock's Converse and ConverseStream, in Amazon's own frames.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
(2026-11-21)
"""

from __future__ import annotations

import json
from typing import Any

import openai

from tests import eventframes
from tests.e2e.vendors.replay import (
    CACHED,
    INPUT,
    OUTPUT,
    SIGNATURE,
    Answer,
    Failure,
    Said,
    document,
)

ADAPTER = "bedrock"
MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
BASE = ""
PROVIDER: dict[str, Any] = {"options": {"region": "eu-central-1"}}
_MODEL = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0"
PATHS = (f"{_MODEL}/converse", f"{_MODEL}/converse-stream")
AUTHORIZED = ("authorization", "Bearer sk-credential-of-the-vendor")
OPENING, CLOSING = 1, 3
UNTAKEN = {"logit_bias": {"50256": -100}}
FETCHES = ("http", "https")
REMEMBERS = True
RETRY_AFTER = False
REMOVABLE = "toolConfig"

_USAGE = {
    "inputTokens": INPUT - CACHED,
    "outputTokens": OUTPUT,
    "totalTokens": INPUT + OUTPUT,
    "cacheReadInputTokens": CACHED,
    "cacheWriteInputTokens": 0,
}
STREAM_ERROR = (
    eventframes.exception("throttlingException", {"message": "Too many tokens, wait."}),
    429,
    "upstream_rate_limited",
)


def _refusal(status: int, name: str, message: str) -> Answer:
    kind = f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/"
    return document({"message": message}, status, **{"x-amzn-errortype": kind})


FAILURES = {
    "too much": Failure(
        _refusal(429, "ThrottlingException", "Too many requests, please wait."),
        openai.RateLimitError,
        "upstream_rate_limited",
    ),
    "too long": Failure(
        _refusal(400, "ValidationException", "Input is too long for requested model."),
        openai.BadRequestError,
        "context_length_exceeded",
    ),
    "overloaded": Failure(
        _refusal(503, "ServiceUnavailableException", "Bedrock is unable to process."),
        openai.InternalServerError,
        "upstream_error",
    ),
    "credential": Failure(
        _refusal(403, "UnrecognizedClientException", "The security token is invalid."),
        openai.InternalServerError,
        "upstream_auth",
    ),
}


def whole(said: Said) -> Answer:
    blocks: list[Any] = []
    if said.thought:
        thought = {"text": said.thought, "signature": SIGNATURE}
        blocks.append({"reasoningContent": {"reasoningText": thought}})
    if said.text:
        blocks.append({"text": said.text})
    for number, call in enumerate(said.calls):
        use = {"toolUseId": f"tooluse_{number}", "name": call.name, "input": call.arguments}
        blocks.append({"toolUse": use})
    return document(
        {
            "output": {"message": {"role": "assistant", "content": blocks}},
            "stopReason": "tool_use" if said.calls else "end_turn",
            "usage": _USAGE,
            "metrics": {"latencyMs": 551},
        }
    )


def stream(said: Said) -> Answer:
    """Blocks under their index; only those of calls announce themselves."""
    frames = [_frame("messageStart", {"role": "assistant"})]
    index = 0
    if said.thought:
        pieces: list[Any] = [{"text": piece} for piece in said.thought.partition(" ")]
        deltas = [{"reasoningContent": p} for p in [*pieces, {"signature": SIGNATURE}]]
        frames += [_delta(index, delta) for delta in deltas] + [_stop(index)]
        index += 1
    if said.text:
        frames += [_delta(index, {"text": word}) for word in said.words] + [_stop(index)]
        index += 1
    frames += _calls(said, index)
    reason = "tool_use" if said.calls else "end_turn"
    frames += [
        _frame("messageStop", {"stopReason": reason}),
        _frame("metadata", {"usage": _USAGE, "metrics": {"latencyMs": 551}}),
    ]
    return Answer(frames, "application/vnd.amazon.eventstream")


def _calls(said: Said, first: int) -> list[bytes]:
    numbered = list(enumerate(said.calls, first))
    frames = []
    for index, call in numbered:
        use = {"toolUseId": f"tooluse_{index - first}", "name": call.name}
        start = {"contentBlockIndex": index, "start": {"toolUse": use}}
        frames.append(_frame("contentBlockStart", start))
    for half in (0, 1):
        frames += [_delta(i, {"toolUse": {"input": call.halves[half]}}) for i, call in numbered]
    return frames + [_stop(index) for index, _ in numbered]


def _frame(name: str, content: dict[str, Any]) -> bytes:
    return eventframes.event(name, {**content, "p": "abcdefghijkl"})


def _delta(index: int, delta: dict[str, Any]) -> bytes:
    return _frame("contentBlockDelta", {"contentBlockIndex": index, "delta": delta})


def _stop(index: int) -> bytes:
    return _frame("contentBlockStop", {"contentBlockIndex": index})


def _sent(body: Any, member: str) -> list[Any]:
    """Return the member of all blocks of a request that have it."""
    blocks = [block for turn in body["messages"] for block in turn["content"]]
    return [block[member] for block in blocks if member in block]


def results(body: Any) -> list[tuple[str, Any, str]]:
    given = {each["toolUseId"]: each["content"] for each in _sent(body, "toolResult")}
    uses = _sent(body, "toolUse")
    return [(use["name"], use["input"], given[use["toolUseId"]][0]["text"]) for use in uses]


def thoughts(body: Any) -> Any:
    return _sent(body, "reasoningContent")


THOUGHT = [{"reasoningText": {"text": "Let me look.", "signature": SIGNATURE}}]


def images(body: Any) -> list[str]:
    return [image["source"]["bytes"] for image in _sent(body, "image")]


def schema(body: Any) -> Any:
    form = body["outputConfig"]["textFormat"]
    assert form["type"] == "json_schema"
    return json.loads(form["structure"]["jsonSchema"]["schema"])
