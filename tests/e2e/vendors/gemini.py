"""Google's `generateContent` and `streamGenerateContent` as documented.

Source: https://ai.google.dev/api/generate-content and
https://ai.google.dev/gemini-api/docs/thought-signatures (2026-11-21)
"""

from __future__ import annotations

from typing import Any

import openai

from tests.e2e.vendors.replay import (
    CACHED,
    INPUT,
    OUTPUT,
    SIGNATURE,
    SSE,
    Answer,
    Failure,
    Said,
    document,
    event,
)

ADAPTER = "gemini"
MODEL = "gemini-3-pro-preview"
BASE = "/v1beta"
PROVIDER: dict[str, Any] = {}
PATHS = (
    "/v1beta/models/gemini-3-pro-preview:generateContent",
    "/v1beta/models/gemini-3-pro-preview:streamGenerateContent?alt=sse",
)
AUTHORIZED = ("x-goog-api-key", "sk-credential-of-the-vendor")
OPENING, CLOSING = 0, 1
UNTAKEN = {"logit_bias": {"50256": -100}}
FETCHES = ("http", "https")
REMEMBERS = True
RETRY_AFTER = True
REMOVABLE = "tools"

_SHARED = {"modelVersion": MODEL, "responseId": "kR0VadHnOoqA1PIP"}
_USAGE = {
    "promptTokenCount": INPUT,
    "cachedContentTokenCount": CACHED,
    "candidatesTokenCount": OUTPUT - 4,
    "thoughtsTokenCount": 4,
    "totalTokenCount": INPUT + OUTPUT,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": INPUT}],
}


def _error(code: int, status: str, message: str, *details: Any) -> dict[str, Any]:
    said = {"code": code, "message": message, "status": status}
    return {"error": {**said, **({"details": list(details)} if details else {})}}


_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
_WAIT = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
STREAM_ERROR = (
    event(_error(503, "UNAVAILABLE", "The model is overloaded. Please try again later.")),
    502,
    "upstream_error",
)
FAILURES = {
    "too much": Failure(
        document(_error(429, "RESOURCE_EXHAUSTED", "You exceeded your quota.", _WAIT), 429),
        openai.RateLimitError,
        "upstream_rate_limited",
    ),
    "too long": Failure(
        document(
            _error(
                400,
                "INVALID_ARGUMENT",
                "The input token count (1189123) exceeds the maximum number of tokens allowed "
                "(1048576).",
            ),
            400,
        ),
        openai.BadRequestError,
        "context_length_exceeded",
    ),
    "overloaded": Failure(
        document(_error(503, "UNAVAILABLE", "The model is overloaded."), 503),
        openai.InternalServerError,
        "upstream_error",
    ),
    "credential": Failure(
        document(_error(400, "INVALID_ARGUMENT", "API key not valid. Please pass one.", _KEY), 400),
        openai.InternalServerError,
        "upstream_auth",
    ),
}


def _part(call: Any, number: int) -> dict[str, Any]:
    part = {"functionCall": {"name": call.name, "args": call.arguments}}
    return part if number else {**part, "thoughtSignature": SIGNATURE}


def _content(parts: list[Any], finish: str | None = None) -> dict[str, Any]:
    candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
    return {**candidate, "finishReason": finish} if finish else candidate


def whole(said: Said) -> Answer:
    parts: list[Any] = []
    if said.thought:
        parts.append({"text": said.thought, "thought": True})
    if said.text:
        parts.append({"text": said.text})
    parts += [_part(call, number) for number, call in enumerate(said.calls)]
    return document({"candidates": [_content(parts, "STOP")], "usageMetadata": _USAGE, **_SHARED})


def stream(said: Said) -> Answer:
    """Parts come whole; the last event has the reason and may have no text."""
    parts: list[Any] = []
    if said.thought:
        parts += [{"text": piece, "thought": True} for piece in said.thought.partition(" ")]
    parts += [{"text": word} for word in said.words if word]
    parts += [_part(call, number) for number, call in enumerate(said.calls)]
    contents = [_content([part]) for part in parts] + [_content([{"text": ""}], "STOP")]
    events = [{"candidates": [each], "usageMetadata": _USAGE, **_SHARED} for each in contents]
    return Answer([event(each) for each in events], SSE)


def _sent(body: Any, member: str) -> list[Any]:
    """Return the member of all parts of a request that have it."""
    parts = [part for content in body["contents"] for part in content["parts"]]
    return [part[member] for part in parts if member in part]


def results(body: Any) -> list[tuple[str, Any, str]]:
    given = {each["id"]: each for each in _sent(body, "functionResponse")}
    found = []
    for call in _sent(body, "functionCall"):
        answer = given[call["id"]]
        assert answer["name"] == call["name"]
        found.append((call["name"], call["args"], answer["response"]["output"]))
    return found


def thoughts(body: Any) -> Any:
    return _sent(body, "thoughtSignature")


THOUGHT = [SIGNATURE]


def images(body: Any) -> list[str]:
    return [each["data"] for each in _sent(body, "inlineData")]


def schema(body: Any) -> Any:
    config = body["generationConfig"]
    assert config["responseMimeType"] == "application/json"
    return config["responseJsonSchema"]
