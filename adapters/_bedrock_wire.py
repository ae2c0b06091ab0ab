"""What the service sends, typed; whatever else it sends is skipped undecoded.

Every member may be missing or null. Events carry a member `p` besides, padding of a random
length.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
(2026-11-21) and botocore's model of the service, 1.44.5.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from proxy.wire import Usage

SERVER_TOOL = "server_tool_use"
"""The type of calls that the service answers by itself."""


class _Struct(msgspec.Struct, rename="camel"):
    pass


class Bytes(_Struct):
    """A file's bytes, as base64."""

    bytes: str | None = None


class Image(_Struct):
    """An image the model made."""

    format: str | None = None
    source: Bytes | None = None

    def document(self) -> dict[str, Any] | None:
        """Return it as clients know images in answers; None if it has no bytes."""
        if self.source is None or not self.source.bytes:
            return None
        url = f"data:image/{self.format or 'png'};base64,{self.source.bytes}"
        return {"type": "image_url", "image_url": {"url": url}}


class ToolUse(_Struct):
    """A call; `input` is text in a delta and a JSON object in a whole answer."""

    tool_use_id: str | None = None
    name: str | None = None
    type: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"{}")

    @property
    def arguments(self) -> str:
        """The whole answer's input as OpenAI writes it."""
        text = bytes(self.input).decode()
        return "{}" if text == "null" else text


class _Web(_Struct):
    url: str | None = None
    domain: str | None = None


class _Location(_Struct):
    web: _Web | None = None


class Citation(_Struct):
    """Where a piece of the answer comes from; only places in the web have URLs."""

    title: str | None = None
    location: _Location | None = None

    def annotation(self, start: int, end: int) -> dict[str, Any] | None:
        """Return OpenAI's annotation of the characters from `start` to `end`."""
        web = self.location.web if self.location else None
        if web is None or not web.url:
            return None
        cited = {"url": web.url, "title": self.title or web.domain or web.url}
        return {
            "type": "url_citation",
            "url_citation": {**cited, "start_index": start, "end_index": end},
        }


class Words(_Struct):
    """A piece of text."""

    text: str | None = None


class Citations(_Struct):
    """A part of the answer with its sources."""

    content: list[Words] | None = None
    citations: list[Citation] | None = None

    @property
    def text(self) -> str:
        """The text the sources are for."""
        return "".join(words.text or "" for words in self.content or ())


class ReasoningText(_Struct):
    """Thoughts, and the signature that proves them."""

    text: str | None = None
    signature: str | None = None


class Reasoning(_Struct):
    """Thoughts in a whole answer."""

    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None


class Block(_Struct):
    """One block of a whole answer; it has one of the members."""

    text: str | None = None
    tool_use: ToolUse | None = None
    reasoning_content: Reasoning | None = None
    citations_content: Citations | None = None
    image: Image | None = None


class _Message(_Struct):
    content: list[Block] | None = None


class _Output(_Struct):
    message: _Message | None = None


class _Router(_Struct):
    invoked_model_id: str | None = None


class _Trace(_Struct):
    prompt_router: _Router | None = None


class _CacheDetail(_Struct):
    ttl: str | None = None
    input_tokens: int | None = None


class TokenUsage(_Struct):
    """Tokens; those read from the cache or written to it are not among the input's."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_details: list[_CacheDetail] | None = None

    def normal(self) -> Usage:
        """Return our own form, in which the input is all of the prompt."""
        read, written = self.cache_read_input_tokens or 0, self.cache_write_input_tokens or 0
        details = self.cache_details or ()
        hour = sum(detail.input_tokens or 0 for detail in details if detail.ttl == "1h")
        return Usage(
            input_tokens=(self.input_tokens or 0) + read + written,
            cached_tokens=read,
            output_tokens=self.output_tokens or 0,
            cache_write_5m_tokens=max(0, written - hour),
            cache_write_1h_tokens=hour,
        )


class Answer(_Struct):
    """Converse's whole answer."""

    output: _Output | None = None
    stop_reason: str | None = None
    usage: TokenUsage | None = None
    trace: _Trace | None = None

    @property
    def blocks(self) -> Iterable[Block]:
        """The blocks of its message."""
        message = self.output.message if self.output else None
        return (message.content if message else None) or ()

    @property
    def model(self) -> str:
        """The model a router chose; empty where no router was asked."""
        router = self.trace.prompt_router if self.trace else None
        return (router.invoked_model_id if router else None) or ""


class _Start(_Struct):
    tool_use: ToolUse | None = None
    image: Image | None = None


class BlockStart(_Struct):
    """`contentBlockStart`; blocks of text and thoughts often have none."""

    content_block_index: int = 0
    start: _Start | None = None


class ToolInput(_Struct):
    """A piece of a call's input, as text."""

    input: str | None = None


class ReasoningDelta(_Struct):
    """A piece of thoughts, or what proves them."""

    text: str | None = None
    signature: str | None = None
    redacted_content: bytes | None = None  # each piece is base64 of its own


class Delta(_Struct):
    """What an event adds to a block; it has one of the members."""

    text: str | None = None
    tool_use: ToolInput | None = None
    reasoning_content: ReasoningDelta | None = None
    citation: Citation | None = None
    image: Image | None = None


class BlockDelta(_Struct):
    """`contentBlockDelta`."""

    content_block_index: int = 0
    delta: Delta | None = None


class BlockStop(_Struct):
    """`contentBlockStop`."""

    content_block_index: int = 0


class MessageStop(_Struct):
    """`messageStop`."""

    stop_reason: str | None = None


class Metadata(_Struct):
    """`metadata`, the last event."""

    usage: TokenUsage | None = None
