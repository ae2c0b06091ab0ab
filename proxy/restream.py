"""A whole answer for a client that asked for a stream.

Some vendors answer whole what they were asked to stream, and so may a plugin. An SDK that
waits for events finds none in a JSON body, and takes the answer for an empty one.
"""

from __future__ import annotations

from typing import Any

import msgspec

from proxy.chat import DONE
from proxy.errors import UpstreamBadResponse
from proxy.wire import Response

_KIND = "text/event-stream; charset=utf-8"
_SHARED = ("id", "created", "model", "system_fingerprint", "service_tier")


def restream(operation: str, response: Response, *, wants_usage: bool) -> Response:
    """Return `response` as the events of a stream.

    Raises:
        UpstreamBadResponse: the operation's streams cannot be made of a whole answer.
    """
    if operation == "transcriptions":
        return _transcript(response)
    events = {"chat": _chat, "completions": _completion}.get(operation)
    if events is None:
        raise UpstreamBadResponse("the answer came whole where a stream was asked for")
    try:
        document = msgspec.json.decode(response.body, type=dict[str, Any])
        parts = events(document)
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError):
        raise UpstreamBadResponse("the answer is not one a stream can be made of") from None
    if wants_usage and document.get("usage"):
        shared = {name: value for name, value in parts[0].items() if name != "choices"}
        parts.append({**shared, "choices": [], "usage": document["usage"]})
    body = b"".join(b"data: %b\n\n" % msgspec.json.encode(part) for part in parts) + DONE
    return Response(
        body, response.usage, content_type=_KIND, headers=response.headers, memory=response.memory
    )


def _transcript(response: Response) -> Response:
    """Return the one event with which a stream of a transcription ends."""
    try:
        members = msgspec.json.decode(response.body, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise UpstreamBadResponse("the answer is not one a stream can be made of") from None
    event = {"type": "transcript.text.done", **members}
    body = b"data: %b\n\n" % msgspec.json.encode(event)
    return Response(body, response.usage, content_type=_KIND, headers=response.headers)


def _chat(document: dict[str, Any]) -> list[dict[str, Any]]:
    shared = {name: document[name] for name in _SHARED if name in document}
    shared["object"] = "chat.completion.chunk"
    deltas, ends = [], []
    for choice in document["choices"]:
        index, delta = choice.get("index", 0), dict(choice["message"])
        if delta.get("tool_calls"):
            calls = enumerate(delta["tool_calls"])
            delta["tool_calls"] = [{"index": number, **call} for number, call in calls]
        deltas.append({"index": index, "delta": delta, "finish_reason": None})
        ends.append({"index": index, "delta": {}, "finish_reason": choice.get("finish_reason")})
    return [{**shared, "choices": [choice]} for choice in (*deltas, *ends)]


def _completion(document: dict[str, Any]) -> list[dict[str, Any]]:
    shared = {name: document[name] for name in _SHARED if name in document}
    shared["object"] = "text_completion"
    return [{**shared, "choices": [choice]} for choice in document["choices"]]
