"""GitHub Models and Copilot."""

from __future__ import annotations

from typing import Any

import pytest

from adapters import github
from proxy.adapter import Target
from proxy.wire import Request

TEXT = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
EDITOR = {
    "editor-version": "vscode/1.104.0",
    "editor-plugin-version": "copilot-chat/0.31.0",
    "user-agent": "GitHubCopilotChat/0.31.0",
    "openai-intent": "conversation-panel",
    "x-github-api-version": "2025-05-01",
}
IMAGE = b'{"model":"m","messages":[{"role":"user","content":[{"type":"image_url"}]}]}'


@pytest.mark.parametrize(
    ("option", "body", "expected"),
    [
        (None, IMAGE, {"x-github-api-version": "2022-11-28"}),
        (
            True,
            TEXT,
            {**EDITOR, "copilot-integration-id": "vscode-chat"},
        ),
        (
            {"integration_id": "ours", "editor_version": "ours/1", "intent": "edit"},
            IMAGE,
            {
                **EDITOR,
                "copilot-integration-id": "ours",
                "editor-version": "ours/1",
                "openai-intent": "edit",
                "copilot-vision-request": "true",
            },
        ),
    ],
)
def test_each_wants_headers_of_its_own(option: Any, body: bytes, expected: Any) -> None:
    """Beside the token and the kind of the body."""
    options = {"copilot": option} if option else {}
    made = github.operations["chat"].request(Request(body), Target("m", "t", options=options))
    headers = dict(made.headers)

    assert made.path == "/chat/completions"
    assert headers.pop("authorization") == "Bearer t"
    assert headers.pop("content-type") == "application/json"
    assert headers == expected
