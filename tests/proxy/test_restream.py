"""A whole answer for a client that asked for a stream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.errors import UpstreamBadResponse
from proxy.restream import restream
from proxy.wire import Response

CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "hi",
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
                ],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


def events(operation: str, document: object, *, wants_usage: bool = False) -> list[Any]:
    """Return the decoded events; the end marker as text."""
    whole = Response(json.dumps(document).encode(), content_type="application/json")
    answer = restream(operation, whole, wants_usage=wants_usage)
    assert answer.content_type.startswith("text/event-stream")
    blocks = answer.body.decode().removesuffix("\n\n").split("\n\n")
    assert blocks[-1] == "data: [DONE]"
    return [json.loads(block.removeprefix("data: ")) for block in blocks[:-1]]


def test_a_chat_becomes_its_message_and_its_end() -> None:
    """Nothing of it is lost, and calls have their numbers."""
    first, last = events("chat", CHAT)

    assert first["object"] == "chat.completion.chunk"
    assert first["id"] == "chatcmpl-1"
    assert first["choices"][0]["delta"]["content"] == "hi"
    assert [c["index"] for c in first["choices"][0]["delta"]["tool_calls"]] == [0, 1]
    assert last["choices"] == [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]


def test_usage_comes_last_and_only_if_it_was_asked_for() -> None:
    """As in any stream."""
    *_, last = events("chat", CHAT, wants_usage=True)

    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 3
    assert all("usage" not in event for event in events("chat", CHAT))


def test_a_completion_becomes_its_choices() -> None:
    """The older operation has texts in the place of messages."""
    choice = {"index": 0, "text": "hi", "finish_reason": "stop", "logprobs": None}
    (event,) = events("completions", {"id": "c", "choices": [choice]})

    assert event["choices"] == [choice]


@pytest.mark.parametrize("document", [[], {}, {"choices": 3}, {"choices": [{}]}])
def test_what_is_no_answer_is_an_error(document: object) -> None:
    """The client is told, instead of getting nothing."""
    with pytest.raises(UpstreamBadResponse):
        events("chat", document)


def test_other_operations_cannot_be_made_up() -> None:
    """Their events hold more than their answers."""
    with pytest.raises(UpstreamBadResponse):
        events("responses", {})
