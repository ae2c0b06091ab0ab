"""Cohere's second API: chat, embeddings, reranking, transcriptions.

Plans and thoughts of a model are its reasoning; citations are annotations. The client's
`documents`, `citation_options`, `safety_mode` and `thinking` go along as they are. Tokens are
not counted: `/v1/tokenize` takes a text of at most 65 536 characters, neither turns nor tools.

Source: https://docs.cohere.com/reference/chat, https://docs.cohere.com/reference/chat-stream,
https://docs.cohere.com/reference/create-audio-transcription (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from adapters import _cohere_lists as lists
from adapters import _transcripts
from adapters._cohere_request import Memory, body
from adapters._cohere_wire import (
    Block,
    Call,
    Citation,
    Message,
    StreamEvent,
    Whole,
    gave_up,
    read,
    refusal,
    said_in,
)
from adapters._openai_wire import words
from adapters._turns import Losses
from adapters.openai import JSON, authorize, heard
from proxy.adapter import (
    Defaults,
    Operation,
    Passing,
    Pieces,
    Target,
    UpstreamRequest,
    UpstreamResponse,
)
from proxy.chat import DONE, Chunks, FunctionCall, Reply, ToolCall, completion
from proxy.embeddings import join
from proxy.errors import UpstreamError, UpstreamFailed, UpstreamTruncated
from proxy.framing import SSE, Event
from proxy.wire import Chunk, Request, Response, Usage

__all__ = ["authorize", "defaults", "error", "operations"]

defaults = Defaults(
    base_url="https://api.cohere.com",
    credential_variable="COHERE_API_KEY",
    also=("CO_API_KEY",),
    base_url_variable="CO_API_URL",
    passing=Passing(openai_path="/compatibility/v1"),
)

FINISH_REASONS = MappingProxyType(
    {
        "COMPLETE": "stop",
        "STOP_SEQUENCE": "stop",
        "USER_CANCEL": "stop",
        "MAX_TOKENS": "length",
        "ERROR_LIMIT": "length",
        "TOOL_CALL": "tool_calls",
        "ERROR_TOXIC": "content_filter",
    }
)
FAILURES = frozenset({"ERROR", "TIMEOUT"})
"""Reasons that are no end but a failure."""

_WHOLE = msgspec.json.Decoder(Whole)
_EVENT = msgspec.json.Decoder(StreamEvent)
_END = b"[DONE]"
_HEARS = ("model", "file", "language", "temperature")


# OpenAI to vendor


def _chat(request: Request, target: Target) -> UpstreamRequest:
    losses = Losses([])
    return _sent("/v2/chat", target, body(request, target, losses), losses)


def _embeddings(request: Request, target: Target) -> UpstreamRequest:
    losses = Losses([])
    return _sent("/v2/embed", target, lists.embeddings(request, target, losses), losses)


def _rerank(request: Request, target: Target) -> UpstreamRequest:
    losses = Losses([])
    path, document = lists.ranking(request, target, losses)
    return _sent(path, target, document, losses)


def _transcriptions(request: Request, target: Target) -> UpstreamRequest:
    path, names = "/v2/audio/transcriptions", {name: name for name in _HEARS}
    return _transcripts.asked(path, request, target, authorize(target), names)


def _sent(path: str, target: Target, document: dict[str, Any], losses: Losses) -> UpstreamRequest:
    encoded = msgspec.json.encode(document)
    return UpstreamRequest("POST", path, (*authorize(target), JSON), encoded, dropped=losses.found)


# Vendor to OpenAI


def error(response: UpstreamResponse) -> UpstreamError:
    """Read `{"message": …, "error_type": …}`."""
    said = said_in(response.body) or words(response)
    return refusal(response.status, said, response.headers)


def _response(response: UpstreamResponse, created: int) -> Response:
    """Translate a whole answer.

    Raises:
        UpstreamBadResponse: it cannot be read.
        UpstreamError: it is an error in a 200.
    """
    found = read(response.body, _WHOLE)
    if not isinstance(found.message, Message):
        said = said_in(response.body)
        raise UpstreamFailed(said.message if said else "the provider sent no message")
    if found.finish_reason in FAILURES:
        raise gave_up(found.finish_reason, None)
    reply = _reply(found.message, found.finish_reason or "")
    return completion(
        found.id, response.model, created, [reply], found.usage.normal() if found.usage else None
    )


def _reply(message: Message, reason: str) -> Reply:
    text, thinking = "", ""
    offsets: dict[int, int] = {}
    for index, block in enumerate(_listed(message.content)):
        offsets[index] = len(text)
        text += block.text or ""
        thinking += block.thinking or ""
    calls = [_call(call) for call in _listed(message.tool_calls)]
    citations = [
        annotation
        for citation in _listed(message.citations)
        for annotation in citation.annotations(offsets.get(citation.content_index or 0, 0))
    ]
    plan = message.tool_plan or ""
    return Reply(
        FINISH_REASONS.get(reason, "tool_calls" if calls else "stop"),
        text=text if text or not calls else None,
        reasoning=thinking + plan or None,
        tool_calls=calls,
        annotations=citations,
        memory=Memory(plan, thinking).encoded(calls[0].id if calls else ""),
    )


def _call(call: Call) -> ToolCall:
    function = call.function
    name, arguments = (function.name, function.arguments) if function else (None, None)
    return ToolCall(call.id or "", FunctionCall(name or "", arguments or "{}"))


def _listed(given: Any) -> Sequence[Any]:
    if given is None:
        return ()
    return given if isinstance(given, list) else (given,)


class Stream:
    """One event per piece, each named; `message-end` ends them.

    States: before `message-start` → speaking → ended.
    """

    __slots__ = (
        "_answer_id",
        "_calls",
        "_chunks",
        "_created",
        "_first_call",
        "_model",
        "_offsets",
        "_plans",
        "_silent",
        "_text_chars",
        "_thoughts",
        "ended",
        "last",
        "memory",
        "usage",
    )

    def __init__(self, created: int, model: str = "", answer_id: str = "") -> None:
        self.usage: Usage | None = None
        self.last = DONE
        self.memory: dict[str, bytes] = {}
        self.ended = False
        self._created, self._model, self._answer_id = created, model, answer_id
        self._chunks: Chunks | None = None
        self._calls: dict[int, int] = {}  # by the vendor's index, the number in the message
        self._silent: set[int] = set()  # calls of which no argument has come
        self._first_call = ""
        self._thoughts: list[str] = []
        self._plans: list[str] = []
        self._offsets: dict[int, int] = {}  # by block, where it begins in the text
        self._text_chars = 0

    def feed(self, event: Event) -> Sequence[Chunk]:
        """Take one event and return the chunks it gives.

        Raises:
            UpstreamBadResponse: the event cannot be read.
            UpstreamError: it is an error.
        """
        data = event.data
        if not data or self.ended or data == _END:
            return ()
        found = read(data, _EVENT)
        take = _HANDLERS.get(found.type)
        if take is None:
            if isinstance(found.message, str) or found.type == "error":
                said = said_in(data)
                raise UpstreamFailed(said.message if said else "the provider reported an error")
            return ()
        made: list[Chunk] = []
        if self._chunks is None:
            self._chunks = Chunks(found.id or self._answer_id, self._model, self._created)
            made.append(self._chunks.role())
        made += take(self, found, self._chunks)
        return made

    def close(self) -> Sequence[Chunk]:
        """Take the end of the stream.

        Raises:
            UpstreamTruncated: `message-end` never came.
        """
        if not self.ended:
            raise UpstreamTruncated("the provider's stream ended before its end marker")
        return ()

    def _started(self, event: StreamEvent, chunks: Chunks) -> Iterator[Chunk]:
        return iter(())

    def _block(self, event: StreamEvent, chunks: Chunks) -> Iterator[Chunk]:
        """A block begins, or goes on."""
        block = _message(event).content
        if not isinstance(block, Block):
            return
        if event.type == "content-start":
            self._offsets[event.index or 0] = self._text_chars
        if block.text:
            self._text_chars += len(block.text)
            yield chunks.text(block.text)
        if block.thinking:
            self._thoughts.append(block.thinking)
            yield chunks.reasoning(block.thinking)

    def _plan(self, event: StreamEvent, chunks: Chunks) -> Iterator[Chunk]:
        piece = _message(event).tool_plan
        if piece:
            self._plans.append(piece)
            yield chunks.reasoning(piece)

    def _call(self, event: StreamEvent, chunks: Chunks) -> Iterator[Chunk]:
        """A call begins, or goes on."""
        call = _message(event).tool_calls
        if not isinstance(call, Call):
            return
        index, function = event.index or 0, call.function
        if index not in self._calls:
            number = self._calls[index] = len(self._calls)
            self._silent.add(number)
            self._first_call = self._first_call or call.id or ""
            yield chunks.call(number, call.id or "", (function and function.name) or "")
        if function and function.arguments:
            number = self._calls[index]
            self._silent.discard(number)
            yield chunks.arguments(number, function.arguments)

    def _called(self, event: StreamEvent, chunks: Chunks) -> Iterator[Chunk]:
        """A call is complete; one without arguments has the empty object."""
        number = self._calls.get(event.index or 0, -1)
        if number in self._silent:
            self._silent.discard(number)
            yield chunks.arguments(number, "{}")

    def _cited(self, event: StreamEvent, chunks: Chunks) -> Iterator[Chunk]:
        citation = _message(event).citations
        if not isinstance(citation, Citation):
            return
        annotations = citation.annotations(self._offsets.get(citation.content_index or 0, 0))
        if annotations:
            yield chunks.delta({"annotations": annotations})

    def _ended(self, event: StreamEvent, chunks: Chunks) -> Iterator[Chunk]:
        delta = event.delta
        reason = (delta and delta.finish_reason) or ""
        if reason in FAILURES:
            raise gave_up(reason, delta and delta.error)
        memory = Memory("".join(self._plans), "".join(self._thoughts))
        self.memory = memory.encoded(self._first_call)
        for number in sorted(self._silent):
            yield chunks.arguments(number, "{}")
        yield chunks.finish(FINISH_REASONS.get(reason, "tool_calls" if self._calls else "stop"))
        if delta and delta.usage:
            self.usage = delta.usage.normal()
        if self.usage is not None:
            yield chunks.usage(self.usage)
        self.ended = True


def _message(event: StreamEvent) -> Message:
    return (event.delta and event.delta.message) or _NOTHING


_NOTHING = Message()
_HANDLERS: Mapping[str, Callable[[Stream, StreamEvent, Chunks], Iterator[Chunk]]] = {
    "message-start": Stream._started,
    "content-start": Stream._block,
    "content-delta": Stream._block,
    "tool-plan-delta": Stream._plan,
    "tool-call-start": Stream._call,
    "tool-call-delta": Stream._call,
    "tool-call-end": Stream._called,
    "citation-start": Stream._cited,
    "message-end": Stream._ended,
}

operations = {
    "chat": Operation(_chat, _response, Stream, SSE),
    "embeddings": Operation(
        _embeddings, lists.vectors, None, SSE, pieces=Pieces(lists.pieces, join)
    ),
    "rerank": Operation(_rerank, lists.ranked, None, SSE),
    "transcriptions": Operation(_transcriptions, heard, None, SSE, by_type=True),
}
