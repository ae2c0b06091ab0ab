"""Gemini on Vertex AI: the same format at another place, with tokens that expire.

Source: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
(2026-11-21)
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from adapters._gcp import Tokens
from tests.e2e.vendors.gemini import (
    CLOSING,
    FAILURES,
    FETCHES,
    MODEL,
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
    "FETCHES",
    "MODEL",
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
BASE = ""
PROVIDER: dict[str, Any] = {
    "options": {"project": "a-project", "location": "europe-west4"},
    "credentials": [],
}
_MODEL = (
    "/v1beta1/projects/a-project/locations/europe-west4/publishers/google/models/"
    "gemini-3-pro-preview"
)
PATHS = (f"{_MODEL}:generateContent", f"{_MODEL}:streamGenerateContent?alt=sse")
AUTHORIZED = ("authorization", "Bearer ya29.token-of-the-machine")


class _Machine:
    """Google's credentials of a machine: a token once they were refreshed."""

    token = ""

    @property
    def valid(self) -> bool:
        """Whether there is a token."""
        return bool(self.token)

    def refresh(self, transport: object) -> None:
        """Get one."""
        self.token = "ya29.token-of-the-machine"


@contextlib.contextmanager
def signing() -> Iterator[None]:
    """Let this machine have an identity."""
    with pytest.MonkeyPatch.context() as patch:
        tokens = Tokens(_Machine, lambda: None, (ValueError,))
        patch.setattr("adapters.vertex.authorizer", lambda *_: tokens)
        yield
