"""Claude on Vertex AI: Anthropic's format, with the model in the path.

Source: https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai (2026-11-21)
"""

from __future__ import annotations

from typing import Any

from tests.e2e.vendors.anthropic import (
    CLOSING,
    FAILURES,
    OPENING,
    REMEMBERS,
    REMOVABLE,
    RETRY_AFTER,
    STREAM_ERROR,
    THOUGHT,
    UNTAKEN,
    images,
    results,
    schema,
    stream,
    thoughts,
    whole,
)

__all__ = [
    "CLOSING",
    "FAILURES",
    "OPENING",
    "REMEMBERS",
    "REMOVABLE",
    "RETRY_AFTER",
    "STREAM_ERROR",
    "THOUGHT",
    "UNTAKEN",
    "images",
    "results",
    "schema",
    "stream",
    "thoughts",
    "whole",
]

ADAPTER = "vertex"
MODEL = "claude-sonnet-4-5@20250929"
BASE = ""
PROVIDER: dict[str, Any] = {"options": {"project": "a-project", "location": "global"}}
_MODEL = (
    "/v1beta1/projects/a-project/locations/global/publishers/anthropic/models/"
    "claude-sonnet-4-5@20250929"
)
PATHS = (f"{_MODEL}:rawPredict", f"{_MODEL}:streamRawPredict")
AUTHORIZED = ("authorization", "Bearer sk-credential-of-the-vendor")
FETCHES = ("http", "https")
