"""Mistral's answers, typed, and what is put together from them.

Source: https://docs.mistral.ai/api/endpoint/chat (2026-11-21)
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from adapters._mistral_errors import reported
from adapters._mistral_request import remembered, thought
from adapters._openai_wire import UNREADABLE, ReportedUsage
from proxy.errors import UpstreamBadResponse
from proxy.wire import Usage

T = TypeVar("T")


class Reported(ReportedUsage):
    """Usage; models of 2025 said the cached part otherwise."""

    num_cached_tokens: int | None = None

    def normal(self) -> Usage:
        """Return our own form; cached tokens are part of the prompt, audio stands beside it."""
        usage = super().normal()
        if usage.cached_tokens or not self.num_cached_tokens:
            return usage
        return msgspec.structs.replace(usage, cached_tokens=self.num_cached_tokens)


class Part(msgspec.Struct):
    """A chunk of content; `thinking` holds chunks of text."""

    type: str = ""
    text: str | None = None
    thinking: list[Part] | str | None = None
    signature: str | None = None
    reference_ids: list[int | str] | None = None


class Function(msgspec.Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None

    @property
    def text(self) -> str:
        """The arguments as JSON text."""
        given = self.arguments or ""
        return given if isinstance(given, str) else msgspec.json.encode(given).decode()


class Call(msgspec.Struct):
    function: Function
    id: str | None = None
    index: int | None = None


class Message(msgspec.Struct):
    content: str | list[Part] | None = None
    tool_calls: list[Call] | None = None


class Choice(msgspec.Struct):
    index: int = 0
    message: Message | None = None
    delta: Message | None = None
    finish_reason: str | None = None
    logprobs: dict[str, Any] | None = None


class Answer(msgspec.Struct):
    """A whole answer or an event; without choices it is an error."""

    choices: list[Choice] | None = None
    id: str = ""
    model: str = ""
    created: int | None = None
    usage: Reported | None = None


ANSWER = msgspec.json.Decoder(Answer)


def read(data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Return what stands in an answer or an event.

    Raises:
        UpstreamBadResponse: it is something else.
    """
    try:
        return decoder.decode(data)
    except UNREADABLE:
        raise UpstreamBadResponse("the provider sent something we cannot read") from None


def answer(data: bytes) -> Answer:
    """Return an answer or an event.

    Raises:
        UpstreamBadResponse: it cannot be read.
        UpstreamError: it is an error.
    """
    found = read(data, ANSWER)
    if found.choices is None:
        raise reported(data)
    return found


class Thoughts:
    """What a model thought before it answered, from however many chunks."""

    __slots__ = ("_pieces", "_signature")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._signature: str | None = None

    def add(self, part: Part) -> str:
        """Take one chunk and return the thoughts in it."""
        given = part.thinking
        if not given:
            return ""
        piece = given if isinstance(given, str) else "".join(part.text or "" for part in given)
        self._pieces.append(piece)
        self._signature = part.signature or self._signature
        return piece

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self._pieces)

    @property
    def blocks(self) -> list[dict[str, Any]]:
        """What the client must send back; thoughts without a signature are their text."""
        if not self._signature:
            return []
        return [{"type": "thinking", "thinking": self.text, "signature": self._signature}]

    def memory(self, call_id: str) -> dict[str, bytes]:
        """Return what to remember for the message that begins with this call."""
        if not call_id or not self._pieces:
            return {}
        return {call_id: remembered([thought(self.text, self._signature)])}
