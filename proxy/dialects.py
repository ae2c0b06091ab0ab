"""How an error looks to each kind of client.

A client's SDK recognises an error by its shape, inside a stream as well: OpenAI's SDK takes
a stream that merely stops for a whole one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from proxy.errors import GatewayError


class Dialect(NamedTuple):
    """The error forms of one client API.

    Attributes:
        body: an error as a whole answer.
        event: an error as the last event of a stream; None breaks the connection instead.
    """

    body: Callable[[GatewayError, str], bytes]
    event: Callable[[GatewayError, str], bytes] | None


def openai_body(error: GatewayError, request_id: str) -> bytes:
    """Return `{"error": {…}}`."""
    return msgspec.json.encode({"error": error.document(request_id)})


def _chat_event(error: GatewayError, request_id: str) -> bytes:
    return b"data: %b\n\n" % openai_body(error, request_id)


def _responses_event(error: GatewayError, request_id: str) -> bytes:
    """Return `response.failed`, the terminal event that SDKs of the Responses API know."""
    document = error.document(request_id)
    event: dict[str, Any] = {
        "type": "response.failed",
        "response": {
            "id": f"resp_{request_id}",
            "object": "response",
            "status": "failed",
            "error": {**document, "code": error.code, "message": error.message},
            "output": [],
        },
    }
    return b"event: response.failed\ndata: %b\n\n" % msgspec.json.encode(event)


CHAT = Dialect(openai_body, _chat_event)
RESPONSES = Dialect(openai_body, _responses_event)
VERBATIM = Dialect(openai_body, None)
