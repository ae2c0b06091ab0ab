"""Hugging Face's router: OpenAI's wire format, served by many vendors.

Source: https://huggingface.co/docs/inference-providers/tasks/chat-completion (2026-11-21)
"""

from __future__ import annotations

from typing import Any

import openai

from tests.e2e.vendors.openai_preset import (
    USAGE,
    chunk,
    completion,
    deltas_of,
    finish_of,
    images,
    message_of,
    results,
    schema,
    thoughts,
)
from tests.e2e.vendors.replay import SSE, Answer, Failure, Said, document, event

__all__ = ["images", "results", "schema", "stream", "thoughts", "whole"]

ADAPTER = "huggingface"
MODEL = "deepseek-ai/DeepSeek-V3.1:together"
BASE = ""
PROVIDER: dict[str, Any] = {}
PATHS = ("/v1/chat/completions", "/v1/chat/completions")
AUTHORIZED = ("authorization", "Bearer sk-credential-of-the-vendor")
OPENING, CLOSING = 1, 3
UNTAKEN: dict[str, Any] = {}
FETCHES: tuple[str, ...] = ()
REMEMBERS = False
RETRY_AFTER = True
REMOVABLE = "tools"
THOUGHT = ["Let me look."]

STREAM_ERROR = (
    event({"error": "Request failed during generation", "error_type": "generation"}),
    502,
    "upstream_error",
)
FAILURES = {
    "too much": Failure(
        document({"error": "Too many requests."}, 429, retry_after="7"),
        openai.RateLimitError,
        "upstream_rate_limited",
    ),
    "too long": Failure(
        document(
            {
                "error": {
                    "message": "This model's maximum context length is 32768 tokens.",
                    "type": "BadRequestError",
                    "code": 400,
                }
            },
            400,
        ),
        openai.BadRequestError,
        "context_length_exceeded",
    ),
    "overloaded": Failure(
        document({"error": "Model is currently loading", "estimated_time": 20.0}, 503),
        openai.InternalServerError,
        "upstream_error",
    ),
    "credential": Failure(
        document({"error": "Invalid username or password."}, 401),
        openai.InternalServerError,
        "upstream_auth",
    ),
}


def whole(said: Said) -> Answer:
    return completion(message_of(said, "reasoning_content"), finish_of(said))


def stream(said: Said) -> Answer:
    chunks = [chunk(delta) for delta in deltas_of(said, "reasoning_content")]
    chunks += [chunk({}, finish=finish_of(said)), chunk(usage=USAGE)]
    return Answer([*chunks, event("[DONE]")], SSE)
