"""Azure: OpenAI's wire format with the verdicts of its content filter, by dated paths.

Source: https://learn.microsoft.com/azure/ai-foundry/openai/reference and
.../openai/concepts/content-filter (2026-11-21)
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

ADAPTER = "azure"
MODEL = "my-deployment"
BASE = ""
PROVIDER: dict[str, Any] = {"options": {"api_version": "2024-10-21"}}
_PATH = "/openai/deployments/my-deployment/chat/completions?api-version=2024-10-21"
PATHS = (_PATH, _PATH)
AUTHORIZED = ("api-key", "sk-credential-of-the-vendor")
OPENING, CLOSING = 2, 3
UNTAKEN: dict[str, Any] = {}
FETCHES: tuple[str, ...] = ()
REMEMBERS = False
RETRY_AFTER = True
REMOVABLE = "tools"
THOUGHT = ["Let me look."]

_SAFE = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "sexual", "violence")}
_PROMPT = [{"prompt_index": 0, "content_filter_results": _SAFE}]


def _error(code: str, message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, **more}}


STREAM_ERROR = (
    event(_error("server_error", "The server had an error.", type="server_error")),
    502,
    "upstream_error",
)
FAILURES = {
    "too much": Failure(
        document(
            _error("429", "Requests have exceeded the token rate limit."), 429, retry_after="7"
        ),
        openai.RateLimitError,
        "upstream_rate_limited",
    ),
    "too long": Failure(
        document(
            _error(
                "context_length_exceeded",
                "This model's maximum context length is 128000 tokens.",
                type="invalid_request_error",
                param="messages",
            ),
            400,
        ),
        openai.BadRequestError,
        "context_length_exceeded",
    ),
    "filtered": Failure(
        document(
            _error(
                "content_filter",
                "The response was filtered due to the prompt triggering the content policy.",
                param="prompt",
                status=400,
                innererror={
                    "code": "ResponsibleAIPolicyViolation",
                    "content_filter_result": {"hate": {"filtered": True, "severity": "high"}},
                },
            ),
            400,
        ),
        openai.BadRequestError,
        "content_filter",
    ),
    "overloaded": Failure(
        document(_error("503", "The service is temporarily unable to process."), 503),
        openai.InternalServerError,
        "upstream_error",
    ),
    "credential": Failure(
        document(_error("401", "Access denied due to invalid subscription key."), 401),
        openai.InternalServerError,
        "upstream_auth",
    ),
}


def whole(said: Said) -> Answer:
    message = message_of(said, "reasoning_content")
    return completion(message, finish_of(said), prompt_filter_results=_PROMPT)


def stream(said: Said) -> Answer:
    """The filter's verdict on the prompt comes first, in a chunk without choices."""
    chunks = [chunk(prompt_filter_results=_PROMPT, usage=None)]
    chunks += [chunk(delta, usage=None) for delta in deltas_of(said, "reasoning_content")]
    chunks += [chunk({}, finish=finish_of(said), usage=None), chunk(usage=USAGE)]
    return Answer([*chunks, event("[DONE]")], f"{SSE}; charset=utf-8")
