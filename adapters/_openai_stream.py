"""Streams of OpenAI's wire format, as machines: what passes is looked at, never changed.

Stream       chunks of chat and completions; `[DONE]` ends them
EventStream  events with a type; one of those that end an answer ends them
SoundStream  the same of sounds, or chunks that `[DONE]` ends
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from adapters._openai_wire import (
    NULL,
    PEEK,
    UNREADABLE,
    Peek,
    ReportedUsage,
    failed,
    peek_at,
    reported,
    usage_of,
)
from proxy.errors import UpstreamBadResponse, UpstreamTruncated
from proxy.framing import Event
from proxy.wire import Chunk, Usage

_DONE = b"[DONE]"
_DONE_BLOCK = b"data: [DONE]\n\n"
_EMPTY = frozenset({b"null", b'""', b"[]", b"{}"})


class _Choice(msgspec.Struct):
    delta: dict[str, msgspec.Raw] | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Opening(msgspec.Struct):
    """What tells whether a chunk carries a part of the answer."""

    choices: list[_Choice] = []


_OPENING = msgspec.json.Decoder(_Opening)


class Stream:
    """Passes events on and keeps the last usage it saw; `[DONE]` ends it.

    Without `marker`, the vendor sends none: then a finish reason says that the answer is whole
    if the stream ends after it, and the client gets its `[DONE]` from us.
    """

    __slots__ = ("_decode", "_finished", "_marker", "_opened", "ended", "last", "memory", "usage")

    def __init__(
        self,
        created: int,
        model: str = "",
        answer_id: str = "",
        *,
        decode: Callable[[bytes], Peek] = PEEK,
        marker: bool = True,
    ) -> None:
        self.usage: Usage | None = None
        self.last = b""
        self.memory: dict[str, bytes] = {}
        self.ended = False
        self._decode = decode
        self._marker = marker
        self._finished = False
        self._opened = False

    def feed(self, event: Event) -> Sequence[Chunk]:
        """Take one event and return the chunk it is.

        Raises:
            UpstreamBadResponse: the event is no JSON object.
            UpstreamError: it is an error.
        """
        data = event.data
        if not data:
            return (Chunk(data, block=event.block, content=False),)
        if data == _DONE:
            self.ended, self.last = True, event.block
            return ()
        peek = peek_at(self._decode, data)
        usage_only = False
        if peek.usage is not None or peek.aside is not None:
            self.usage = usage_of(peek) or self.usage  # beside an error too: it was used
            usage_only = peek.usage is not None and _choices(data) == []
        if peek.error is not NULL or peek.message is not NULL:
            error = reported(peek, data)
            if error is not None:
                raise error
        if not self._opened:
            self._opened = _has_content(data)
        if not self._marker and not self._finished:
            self._finished = any(choice.finish_reason for choice in _choices(data) or ())
        return (Chunk(data, block=event.block, content=self._opened, usage_only=usage_only),)

    def close(self) -> Sequence[Chunk]:
        """Take the end of the stream.

        Raises:
            UpstreamTruncated: its end marker never came.
        """
        if self._finished and not self.ended:
            self.ended, self.last = True, _DONE_BLOCK
        if not self.ended:
            raise UpstreamTruncated("the provider's stream ended before its end marker")
        return ()


def _choices(data: bytes) -> list[_Choice] | None:
    """Return a chunk's choices; None where it is no chunk we know."""
    try:
        return _OPENING.decode(data).choices
    except UNREADABLE:
        return None


def _has_content(data: bytes) -> bool:
    """Whether a chunk holds more than a role: text, a call, a refusal, a finish."""
    choices = _choices(data)
    if choices is None:
        return True  # nothing to wait for
    return any(
        choice.finish_reason
        or choice.text
        or any(
            name != "role" and bytes(value) not in _EMPTY
            for name, value in (choice.delta or {}).items()
        )
        for choice in choices
    )


class _Body(msgspec.Struct):
    usage: ReportedUsage | None = None
    error: msgspec.Raw = NULL


class _TypedEvent(msgspec.Struct):
    type: str = ""
    response: _Body | None = None
    usage: ReportedUsage | None = None
    error: msgspec.Raw = NULL


_TYPED_EVENT = msgspec.json.Decoder(_TypedEvent)
_PRELUDE = frozenset({"response.created", "response.in_progress", "response.queued"})
_TERMINAL = frozenset({
    "response.completed",
    "response.incomplete",
    "response.failed",
    "image_generation.completed",
    "image_edit.completed",
    "speech.audio.done",
    "transcript.text.done",
})  # fmt: skip


class EventStream:
    """Events of the Responses API, of images and of sounds; a terminal event ends them.

    Source: https://platform.openai.com/docs/api-reference/responses-streaming,
    .../images-streaming and .../audio (2026-11-21)
    """

    __slots__ = ("_opened", "ended", "last", "memory", "usage")

    def __init__(self, created: int, model: str = "", answer_id: str = "") -> None:
        self.usage: Usage | None = None
        self.last = b""
        self.memory: dict[str, bytes] = {}
        self._opened = False
        self.ended = False

    def feed(self, event: Event) -> Sequence[Chunk]:
        """Take one event and return the chunk it is.

        Raises:
            UpstreamBadResponse: the event is no JSON object.
            UpstreamError: it is an error, or the answer failed before it began.
        """
        if not event.data or event.data == _DONE:
            return (Chunk(b"", block=event.block, content=False),)
        try:
            seen = _TYPED_EVENT.decode(event.data)
        except UNREADABLE:
            raise UpstreamBadResponse("the provider sent an event that is not JSON") from None
        if seen.type == "error" or (not seen.type and seen.error != NULL):
            raise failed(seen.error if seen.error != NULL else msgspec.Raw(event.data))
        if seen.type == "response.failed" and not self._opened and seen.response:
            raise failed(seen.response.error)
        self._opened = self._opened or seen.type not in _PRELUDE
        if seen.type in _TERMINAL:
            self.ended = True
            self._count(seen)
        elif seen.usage is not None:
            self._count(seen)
        return (Chunk(event.data, block=event.block, content=self._opened),)

    def close(self) -> Sequence[Chunk]:
        """Take the end of the stream.

        Raises:
            UpstreamTruncated: no terminal event came.
        """
        if not self.ended:
            raise UpstreamTruncated("the provider's stream ended before its terminal event")
        return ()

    def _count(self, seen: _TypedEvent) -> None:
        found = seen.response.usage if seen.response else seen.usage
        usage = found.normal() if found else None
        if seen.type.startswith("image"):
            images = (self.usage.images if self.usage else 0) + 1
            usage = msgspec.structs.replace(usage or Usage(), images=images)
        self.usage = usage or self.usage


class SoundStream(EventStream):
    """Events of sounds; some servers have chunks without a type, and `[DONE]` ends those.

    Source: https://docs.vllm.ai/en/stable/serving/openai_compatible_server.html (2026-11-21)
    """

    __slots__ = ()

    def feed(self, event: Event) -> Sequence[Chunk]:
        """Take one event and return the chunk it is.

        Raises:
            UpstreamBadResponse: the event is no JSON object.
            UpstreamError: it is an error.
        """
        if event.data == _DONE and not self.ended:
            self.ended, self.last = True, event.block
            return ()
        return super().feed(event)
