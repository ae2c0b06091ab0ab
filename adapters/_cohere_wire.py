"""Cohere's answers and events, typed.

Source: https://docs.cohere.com/reference/chat-stream (2026-11-21)
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from adapters._openai_wire import UNREADABLE
from proxy import failures
from proxy.errors import UpstreamBadResponse, UpstreamError, UpstreamFailed
from proxy.failures import VendorError
from proxy.wire import Usage

T = TypeVar("T")

_CODES = {"TOO_MANY_TOKENS": "context_length_exceeded"}
_BLOCKED = 498


class _Counts(msgspec.Struct):
    input_tokens: float | None = None
    output_tokens: float | None = None
    image_tokens: float | None = None
    reasoning_tokens: float | None = None


class Reported(msgspec.Struct):
    """`usage` of chat, and `meta` of the rest.

    Attributes:
        tokens: what the model read and wrote; images stand beside the text.
        billed_units: what is paid for, which leaves the vendor's own prompt out.
    """

    tokens: _Counts | None = None
    billed_units: _Counts | None = None
    cached_tokens: float | None = None

    def normal(self) -> Usage | None:
        """Return our own form, in which cached tokens are part of the input."""
        counts = self.tokens or self.billed_units
        if counts is None or (counts.input_tokens is None and counts.output_tokens is None):
            return None
        given = int(counts.input_tokens or 0) + int(counts.image_tokens or 0)
        output = int(counts.output_tokens or 0)
        return Usage(
            input_tokens=given,
            cached_tokens=min(int(self.cached_tokens or 0), given),
            output_tokens=output,
            reasoning_tokens=min(int(counts.reasoning_tokens or 0), output),
        )


class Block(msgspec.Struct):
    """Text or a thought; pieces of it in a stream."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None


class Function(msgspec.Struct):
    """A function called, or a piece of its arguments."""

    name: str | None = None
    arguments: str | None = None


class Call(msgspec.Struct):
    """A call of the client's tool, or a piece of it."""

    id: str | None = None
    function: Function | None = None


class _Source(msgspec.Struct):
    id: str | None = None
    document: dict[str, Any] | None = None
    tool_output: dict[str, Any] | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What is known of a document or a tool's result."""
        return self.document or self.tool_output or {}


class Citation(msgspec.Struct):
    """What supports the characters from `start` to `end` of one block."""

    start: int | None = None
    end: int | None = None
    text: str | None = None
    sources: list[_Source] | None = None
    content_index: int | None = None
    type: str | None = None

    def annotations(self, offset: int) -> list[dict[str, Any]]:
        """Return them as OpenAI's; `offset` is where the block begins in the text."""
        if self.type not in (None, "TEXT_CONTENT"):
            return []  # of thoughts, which have no annotations
        start, end = offset + (self.start or 0), offset + (self.end or 0)
        return [
            {
                "type": "url_citation",
                "url_citation": {
                    "start_index": start,
                    "end_index": end,
                    "url": str(source.facts.get("url") or source.id or ""),
                    "title": str(source.facts.get("title") or source.id or ""),
                    "source_id": source.id,
                },
            }
            for source in self.sources or ()
        ]


class Message(msgspec.Struct):
    """A message, or in a stream what one event adds: there lists come as single objects."""

    content: list[Block] | Block | None = None
    tool_plan: str | None = None
    tool_calls: list[Call] | Call | None = None
    citations: list[Citation] | Citation | None = None


class Delta(msgspec.Struct):
    """What an event adds."""

    message: Message | None = None
    finish_reason: str | None = None
    usage: Reported | None = None
    error: Any = None


class StreamEvent(msgspec.Struct):
    """An event."""

    type: str = ""
    id: str | None = None
    index: int | None = None
    delta: Delta | None = None
    message: Any = None


class Whole(msgspec.Struct):
    """A whole answer; without a message of the model it is an error."""

    id: str = ""
    message: Message | str | None = None
    finish_reason: str | None = None
    usage: Reported | None = None


class _Failure(msgspec.Struct):
    message: Any = None
    error: Any = None
    error_type: Any = None
    data: Any = None


_FAILURE = msgspec.json.Decoder(_Failure)


def read(data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Return what stands in an answer or an event.

    Raises:
        UpstreamBadResponse: it is something else.
    """
    try:
        return decoder.decode(data)
    except UNREADABLE:
        raise UpstreamBadResponse("the provider sent something we cannot read") from None


def said_in(data: bytes) -> VendorError | None:
    """Return what the vendor said went wrong; None where it said nothing."""
    try:
        found = _FAILURE.decode(data)
    except UNREADABLE:
        return None
    words = next(
        (word for word in (found.message, found.error, found.data) if isinstance(word, str)), None
    )
    kind = found.error_type if isinstance(found.error_type, str) else None
    return VendorError(words, kind, _CODES.get(kind or "")) if words else None


def refusal(status: int, said: VendorError, headers: Any) -> UpstreamError:
    """Return the error of a status; 498 is Cohere's own for what its filter blocked."""
    if status == _BLOCKED:
        said = said._replace(code="content_filter")
    return failures.upstream_error(status, said, headers)


def gave_up(reason: str | None, error: object) -> UpstreamError:
    """Return the error of an answer that ended in one."""
    words = error if isinstance(error, str) and error else f"the provider's model ended: {reason}"
    return UpstreamFailed(words)
