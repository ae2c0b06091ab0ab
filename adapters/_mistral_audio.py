"""Mistral's transcriptions: OpenAI's form with other fields, answers and events of its own.

Source: https://docs.mistral.ai/capabilities/audio_transcription and
https://docs.mistral.ai/api/endpoint/audio/transcriptions (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from adapters import _transcripts
from adapters._mistral_errors import reported
from adapters._mistral_wire import Reported, read
from adapters.openai import authorize
from proxy.adapter import Target, UpstreamRequest, UpstreamResponse
from proxy.errors import UpstreamTruncated
from proxy.framing import Event
from proxy.wire import Chunk, Request, Response, Usage

_SAME = (
    *("model", "file", "file_url", "file_id", "language", "temperature", "stream"),
    *("diarize", "context_bias", "speaker_references", "timestamp_granularities"),
)
_NAMES = MappingProxyType(
    {
        **{name: name for name in _SAME},
        "timestamp_granularities[]": "timestamp_granularities",
        "context_bias[]": "context_bias",
    }
)


class _Heard(msgspec.Struct):
    """An answer, or an event."""

    text: str | None = None
    usage: Reported | None = None
    type: str = ""
    start: float = 0
    end: float = 0
    speaker_id: str | None = None


_HEARD = msgspec.json.Decoder(_Heard)


def request(request: Request, target: Target) -> UpstreamRequest:
    """Build the vendor's form.

    Raises:
        InvalidRequest: the client's is none, or asks for what the vendor does not answer.
    """
    return _transcripts.asked("/audio/transcriptions", request, target, authorize(target), _NAMES)


def response(response: UpstreamResponse, created: int) -> Response:
    """Translate a whole answer: it has OpenAI's members, but for its usage.

    Raises:
        UpstreamBadResponse: it cannot be read.
        UpstreamError: it is an error in a 200.
    """
    found = read(response.body, _HEARD)
    if found.text is None:
        raise reported(response.body)
    document = msgspec.json.decode(response.body, type=dict[str, Any])
    usage = found.usage.normal() if found.usage else None
    return Response(msgspec.json.encode({**document, "usage": _tokens(usage)}), usage)


def _tokens(usage: Usage | None) -> dict[str, Any] | None:
    if usage is None:
        return None
    return {
        "type": "tokens",
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "input_token_details": {
            "audio_tokens": usage.audio_input_tokens,
            "text_tokens": usage.input_tokens - usage.audio_input_tokens,
        },
    }


class Stream:
    """Events of a transcription; `transcription.done` ends them."""

    __slots__ = ("_segments", "ended", "last", "memory", "usage")

    def __init__(self, created: int, model: str = "", answer_id: str = "") -> None:
        self.usage: Usage | None = None
        self.last = b""
        self.memory: dict[str, bytes] = {}
        self.ended = False
        self._segments = 0

    def feed(self, event: Event) -> Sequence[Chunk]:
        """Take one event and return the chunks it gives.

        Raises:
            UpstreamBadResponse: the event cannot be read.
            UpstreamError: it is an error.
        """
        if not event.data or self.ended:
            return ()
        found = read(event.data, _HEARD)
        handle = _HANDLERS.get(found.type)
        if handle is not None:
            return (Chunk(msgspec.json.encode(handle(self, found))),)
        if not found.type.startswith("transcription."):
            raise reported(event.data)
        return ()

    def close(self) -> Sequence[Chunk]:
        """Take the end of the stream.

        Raises:
            UpstreamTruncated: its last event never came.
        """
        if not self.ended:
            raise UpstreamTruncated("the provider's stream ended before its last event")
        return ()

    def _delta(self, found: _Heard) -> dict[str, Any]:
        return {"type": "transcript.text.delta", "delta": found.text or ""}

    def _segment(self, found: _Heard) -> dict[str, Any]:
        self._segments += 1
        return {
            "type": "transcript.text.segment",
            "id": f"seg_{self._segments}",
            "start": found.start,
            "end": found.end,
            "text": found.text or "",
            "speaker": found.speaker_id or "",
        }

    def _done(self, found: _Heard) -> dict[str, Any]:
        self.ended = True
        self.usage = found.usage.normal() if found.usage else None
        text = found.text or ""
        return {"type": "transcript.text.done", "text": text, "usage": _tokens(self.usage)}


_HANDLERS: dict[str, Callable[[Stream, _Heard], dict[str, Any]]] = {
    "transcription.text.delta": Stream._delta,
    "transcription.segment": Stream._segment,
    "transcription.done": Stream._done,
}
