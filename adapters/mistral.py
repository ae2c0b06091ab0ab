"""Mistral: near OpenAI's wire format, with thoughts as chunks and strict requests.

Answers differ from OpenAI's where a model thinks, cites or stops early, so all of them are
read and written anew; embeddings pass as they came. Completions are fill-in-the-middle. What has
no face of ours (OCR, speech) passes through.

Options of the provider:

    send_reasoning  false: thoughts of earlier turns are not sent back; for models that refuse
                    them. Default true.

Source: https://docs.mistral.ai/api (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from adapters import _mistral_audio as audio
from adapters import _mistral_fim as fim
from adapters import _mistral_moderation as moderation
from adapters._mistral_errors import refused, reported
from adapters._mistral_request import body
from adapters._mistral_wire import Call, Choice, Message, Part, Reported, Thoughts, answer, read
from adapters._openai_wire import NULL
from adapters._turns import Losses
from adapters.openai import JSON, authorize
from proxy.adapter import (
    Defaults,
    Operation,
    Target,
    UpstreamRequest,
    UpstreamResponse,
)
from proxy.chat import DONE, Chunks, FunctionCall, Reply, ToolCall, completion, unsupported
from proxy.errors import UpstreamError, UpstreamFailed, UpstreamTruncated
from proxy.framing import SSE, Event
from proxy.wire import Chunk, Request, Response, Usage

__all__ = ["authorize", "defaults", "error", "operations"]

defaults = Defaults(
    base_url="https://api.mistral.ai/v1",
    credential_variable="MISTRAL_API_KEY",
    base_url_variable="MISTRAL_BASE_URL",
)

FINISH_REASONS = MappingProxyType(
    {
        "stop": "stop",
        "length": "length",
        "model_length": "length",
        "tool_calls": "tool_calls",
        "content_filter": "content_filter",
    }
)
_EMBEDDINGS = MappingProxyType(
    {
        "input": "input",
        "dimensions": "output_dimension",
        "encoding_format": "encoding_format",
        "metadata": "metadata",
        "output_dimension": "output_dimension",
        "output_dtype": "output_dtype",
    }
)
_END = b"[DONE]"


# OpenAI to vendor


def _chat(request: Request, target: Target) -> UpstreamRequest:
    losses = Losses([])
    return _sent("/chat/completions", target, body(request, target, losses), losses)


def _completions(request: Request, target: Target) -> UpstreamRequest:
    losses = Losses([])
    return _sent("/fim/completions", target, fim.body(request, target, losses), losses)


def _embeddings(request: Request, target: Target) -> UpstreamRequest:
    losses = Losses(unsupported(request, _EMBEDDINGS, "not a parameter of Mistral's embeddings"))
    sent: dict[str, Any] = {"model": target.model}
    for name, theirs in _EMBEDDINGS.items():
        value = request.raw(name)
        if value is not None and value != b"null":
            sent[theirs] = msgspec.Raw(value)
    return _sent("/embeddings", target, sent, losses)


def _moderations(request: Request, target: Target) -> UpstreamRequest:
    losses = Losses([])
    return _sent("/moderations", target, moderation.body(request, target, losses), losses)


def _sent(path: str, target: Target, document: dict[str, Any], losses: Losses) -> UpstreamRequest:
    encoded = msgspec.json.encode(document)
    return UpstreamRequest("POST", path, (*authorize(target), JSON), encoded, dropped=losses.found)


# Vendor to OpenAI


def _response(response: UpstreamResponse, created: int) -> Response:
    """Translate a whole answer.

    Raises:
        UpstreamBadResponse: it cannot be read.
        UpstreamError: it is an error in a 200.
    """
    found = answer(response.body)
    replies = [_reply(choice) for choice in found.choices or ()]
    usage = found.usage.normal() if found.usage else None
    return completion(found.id, found.model, found.created or created, replies, usage)


def _reply(choice: Choice) -> Reply:
    message = choice.message or Message()
    text, thoughts = "", Thoughts()
    annotations: list[dict[str, Any]] = []
    for part in _parts(message):
        text += part.text or ""
        thoughts.add(part)
        if part.reference_ids:
            annotations.append(_reference(part.reference_ids, len(text)))
    calls = [
        ToolCall(call.id or "", FunctionCall(call.function.name or "", call.function.text or "{}"))
        for call in message.tool_calls or ()
    ]
    return Reply(
        _finish(choice.finish_reason, called=bool(calls)),
        text=text if text or not calls else None,
        reasoning=thoughts.text or None,
        thinking_blocks=thoughts.blocks,
        tool_calls=calls,
        annotations=annotations,
        memory=thoughts.memory(calls[0].id if calls else ""),
        logprobs=choice.logprobs,
    )


def _finish(reason: str | None, *, called: bool) -> str:
    """Return OpenAI's reason.

    Raises:
        UpstreamFailed: the vendor gave up.
    """
    if reason == "error":
        raise UpstreamFailed("the provider's model failed")
    return FINISH_REASONS.get(reason or "", "tool_calls" if called else "stop")


def _parts(message: Message) -> Sequence[Part]:
    given = message.content
    return given if isinstance(given, list) else (Part("text", given),)


def _reference(ids: list[int | str], end: int) -> dict[str, Any]:
    """Return which results of the client's tools support the text up to `end`."""
    return {"type": "reference", "reference_ids": ids, "end_index": end}


class _Listed(msgspec.Struct):
    data: msgspec.Raw = NULL
    usage: Reported | None = None


_LISTED = msgspec.json.Decoder(_Listed)


def _vectors(response: UpstreamResponse, created: int) -> Response:
    """Pass embeddings on: their form is OpenAI's.

    Raises:
        UpstreamBadResponse: they cannot be read.
        UpstreamError: it is an error in a 200.
    """
    found = read(response.body, _LISTED)
    if found.data == NULL:
        raise reported(response.body)
    return Response(response.body, found.usage.normal() if found.usage else None)


def error(response: UpstreamResponse) -> UpstreamError:
    """Read an error of Mistral's gateway, its API or its validation."""
    return refused(response)


class _Speaking:
    """One choice of a stream so far.

    Attributes:
        numbers: by index and id, the number of each tool call in the message.
        silent: the calls of which no argument has come.
    """

    __slots__ = ("first_call", "numbers", "silent", "text_chars", "thoughts")

    def __init__(self) -> None:
        self.thoughts = Thoughts()
        self.numbers: dict[tuple[int, str], int] = {}
        self.silent: set[int] = set()
        self.first_call = ""
        self.text_chars = 0

    def number(self, call: Call) -> tuple[int, bool]:
        """Return the number of the call that a delta belongs to, and whether it is new.

        A delta without an id goes on with the last call of its index.
        """
        index = call.index or 0
        if not call.id or call.id == "null":
            same = [number for key, number in self.numbers.items() if key[0] == index]
            if same:
                return same[-1], False
        key = (index, call.id or "")
        known = key in self.numbers
        return self.numbers.setdefault(key, len(self.numbers)), not known


class Stream:
    """Chunks near OpenAI's: content may be a list, calls come whole; `[DONE]` ends them."""

    __slots__ = ("_choices", "_chunks", "_created", "ended", "last", "memory", "usage")

    def __init__(self, created: int, model: str = "", answer_id: str = "") -> None:
        self.usage: Usage | None = None
        self.last = DONE
        self.memory: dict[str, bytes] = {}
        self.ended = False
        self._created = created
        self._chunks: Chunks | None = None
        self._choices: dict[int, _Speaking] = {}

    def feed(self, event: Event) -> Sequence[Chunk]:
        """Take one event and return the chunks it gives.

        Raises:
            UpstreamBadResponse: the event cannot be read.
            UpstreamError: it is an error.
        """
        data = event.data
        if not data or self.ended:
            return ()
        if data == _END:
            self.ended = True
            if self.usage is None or self._chunks is None:
                return ()
            return (self._chunks.usage(self.usage),)
        found = answer(data)
        if self._chunks is None:
            self._chunks = Chunks(found.id, found.model, found.created or self._created)
        if found.usage is not None:
            self.usage = found.usage.normal()
        made: list[Chunk] = []
        for choice in found.choices or ():
            made += self._choice(choice, self._chunks)
        return made

    def close(self) -> Sequence[Chunk]:
        """Take the end of the stream.

        Raises:
            UpstreamTruncated: `[DONE]` never came.
        """
        if not self.ended:
            raise UpstreamTruncated("the provider's stream ended before its end marker")
        return ()

    def _choice(self, choice: Choice, chunks: Chunks) -> Iterator[Chunk]:
        index = choice.index
        speaking = self._choices.get(index)
        if speaking is None:
            speaking = self._choices[index] = _Speaking()
            yield chunks.role(index)
        if choice.delta is not None:
            yield from _said(choice.delta, speaking, chunks, index)
        if choice.logprobs:
            yield chunks.logprobs(choice.logprobs, index)
        if choice.finish_reason is not None:
            yield from self._finished(choice, speaking, chunks)

    def _finished(self, choice: Choice, speaking: _Speaking, chunks: Chunks) -> Iterator[Chunk]:
        index, thoughts = choice.index, speaking.thoughts
        reason = _finish(choice.finish_reason, called=bool(speaking.numbers))
        for number in sorted(speaking.silent):
            yield chunks.arguments(number, "{}", index)
        if thoughts.blocks:
            yield chunks.delta({"thinking_blocks": thoughts.blocks}, index)
        self.memory.update(thoughts.memory(speaking.first_call))
        yield chunks.finish(reason, index)


def _said(delta: Message, speaking: _Speaking, chunks: Chunks, index: int) -> Iterator[Chunk]:
    content = delta.content
    if isinstance(content, list):
        yield from _pieces(content, speaking, chunks, index)
    elif content:
        speaking.text_chars += len(content)
        yield chunks.text(content, index)
    for call in delta.tool_calls or ():
        yield from _call(call, speaking, chunks, index)


def _pieces(
    parts: Sequence[Part], speaking: _Speaking, chunks: Chunks, index: int
) -> Iterator[Chunk]:
    for part in parts:
        if part.text:
            speaking.text_chars += len(part.text)
            yield chunks.text(part.text, index)
        thoughts = speaking.thoughts.add(part)
        if thoughts:
            yield chunks.reasoning(thoughts, index)
        if part.reference_ids:
            reference = _reference(part.reference_ids, speaking.text_chars)
            yield chunks.delta({"annotations": [reference]}, index)


def _call(call: Call, speaking: _Speaking, chunks: Chunks, index: int) -> Iterator[Chunk]:
    number, is_new = speaking.number(call)
    if is_new:
        given = call.id or ""
        speaking.first_call = speaking.first_call or given
        speaking.silent.add(number)
        yield chunks.call(number, given, call.function.name or "", index)
    if call.function.text:
        speaking.silent.discard(number)
        yield chunks.arguments(number, call.function.text, index)


operations = {
    "chat": Operation(_chat, _response, Stream, SSE),
    "completions": Operation(_completions, fim.response, fim.Stream, SSE),
    "embeddings": Operation(_embeddings, _vectors, None, SSE),
    "moderations": Operation(_moderations, moderation.response, None, SSE),
    "transcriptions": Operation(audio.request, audio.response, audio.Stream, SSE, by_type=True),
}
