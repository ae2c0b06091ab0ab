"""Google's Gemini models at the Gemini API ("AI Studio").

Options of a provider, each of which a request may also bring itself, in either spelling or
under `extra_body.google`:

    safety_settings      `safetySettings`, a list
    cached_content       `cachedContent`, the name of a cache
    thinking_config      `thinkingConfig`; wins over `reasoning_effort`
    media_resolution, image_config, speech_config, response_modalities

Thoughts come as `reasoning_content`. Signatures of thoughts come as `thinking_blocks` of the
type `thought_signature`, and are remembered by tool call id for clients that drop them. What
the vendor's own tools ran (code, searches) is no part of the answer; what they found is, as
annotations.

Sources: https://ai.google.dev/api/generate-content (2026-11-21) and recorded traffic.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec

from adapters import _gemini_answer, _gemini_embeddings, _gemini_errors, _gemini_images
from adapters._gemini_answer import Answer, Candidate, Part, call_id, image, logprobs, sources_of
from adapters._gemini_errors import error
from adapters._gemini_parts import MEMORY, SIGNATURE, media_urls
from adapters._gemini_request import body
from proxy import counting, embeddings
from proxy.adapter import (
    Defaults,
    Headers,
    Operation,
    Passing,
    Pieces,
    Target,
    UpstreamRequest,
    UpstreamResponse,
)
from proxy.chat import DONE, Chunks, FunctionCall, Reply, ToolCall, completion
from proxy.errors import UpstreamBadResponse, UpstreamTruncated
from proxy.framing import SSE, Event
from proxy.wire import Chunk, Request, Response, Usage

__all__ = ["Stream", "authorize", "defaults", "error", "operations", "request", "response"]

defaults = Defaults(
    base_url="https://generativelanguage.googleapis.com/v1beta",
    credential_variable="GEMINI_API_KEY",
    also=("GOOGLE_API_KEY",),
    base_url_variable="GOOGLE_GEMINI_BASE_URL",
    base_path="/v1beta",
    passing=Passing(
        openai_path="/openai",
        beside=frozenset({"ws"}),
        open_links=frozenset({"x-goog-upload-url", "x-goog-upload-control-url"}),
    ),
)

FINISH_REASONS = {
    **{"STOP": "stop", "MAX_TOKENS": "length", "FINISH_REASON_UNSPECIFIED": "stop"},
    **dict.fromkeys(("SAFETY", "RECITATION", "BLOCKLIST", "LANGUAGE"), "content_filter"),
    **dict.fromkeys(("PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR"), "content_filter"),
    **dict.fromkeys(("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT"), "content_filter"),
    **dict.fromkeys(("IMAGE_RECITATION", "PUP_LIMITED_DISABLED"), "content_filter"),
    **dict.fromkeys(("OTHER", "NO_IMAGE", "IMAGE_OTHER", "CONTINUATION", "ESCALATION"), "stop"),
    **dict.fromkeys(("MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE"), "stop"),
    **dict.fromkeys(("UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"), "stop"),
    "MISSING_THOUGHT_SIGNATURE": "stop",
}

FAILURES = frozenset(
    {
        *("MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL"),
        *("TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE"),
    }
)
"""Reasons for which an answer without any content is a failure: the model slipped."""

_JSON = ("content-type", "application/json")


# OpenAI to vendor


def authorize(target: Target) -> Headers:
    """Return the header with the API key, and what the configuration adds."""
    if not target.credential:
        return target.headers
    return (("x-goog-api-key", target.credential), *target.headers)


def path(target: Target, method: str) -> str:
    """Return the path of a method of a model."""
    model = target.model if "/" in target.model else f"models/{target.model}"
    return f"/{quote(model)}:{method}"


def request(request: Request, target: Target) -> UpstreamRequest:
    """Build `generateContent`, or its stream.

    Raises:
        InvalidRequest: the request is not one of OpenAI's.
    """
    document, dropped = body(request, target)
    method = "streamGenerateContent?alt=sse" if request.stream else "generateContent"
    return UpstreamRequest(
        "POST",
        path(target, method),
        (*authorize(target), _JSON),
        msgspec.json.encode(document),
        dropped=dropped,
    )


def _count(request: Request, target: Target) -> UpstreamRequest:
    """Build `countTokens` of the whole of what `request`, one for a chat, would send.

    Source: https://ai.google.dev/api/tokens (2026-11-21)

    Raises:
        InvalidRequest: the request is not one of OpenAI's.
    """
    document, dropped = body(request, target)
    whole = {"model": path(target, "").strip("/:"), **document}
    encoded = msgspec.json.encode({"generateContentRequest": whole})
    headers = (*authorize(target), _JSON)
    return UpstreamRequest("POST", path(target, "countTokens"), headers, encoded, dropped=dropped)


# Vendor to OpenAI


def response(response: UpstreamResponse, created: int) -> Response:
    """Translate a whole answer.

    Raises:
        UpstreamBadResponse: it cannot be read, or holds no answer.
        ContentFiltered: the prompt was blocked.
        UpstreamError: it is an error in a 200.
    """
    answer = _gemini_errors.answer(response.body)
    if not answer.candidates:
        raise _nothing(answer)
    answer_id = answer.response_id or f"chatcmpl-{response.answer_id or created}"
    turns = [_turn(answer_id, candidate) for candidate in answer.candidates]
    pictures = sum(len(turn.images) for turn in turns)
    usage = answer.usage_metadata.usage(pictures) if answer.usage_metadata else None
    replies = [turn.reply(created) for turn in turns]
    return completion(answer_id, answer.model_version or "", created, replies, usage)


def _nothing(answer: Answer) -> Exception:
    feedback = answer.prompt_feedback
    if feedback is not None and feedback.block_reason:
        return _gemini_errors.blocked(feedback)
    return UpstreamBadResponse("the provider's answer holds no candidate")


def _turn(answer_id: str, candidate: Candidate) -> _Turn:
    turn = _Turn(answer_id, candidate.index or 0)
    for part in candidate.parts:
        turn.add(part)
    turn.note(candidate)
    return turn


class _Turn:
    """What one candidate has said so far."""

    __slots__ = (
        *("_answer_id", "_citations", "_grounding", "audio", "blocks", "calls", "finish"),
        *("images", "index", "logprobs", "memory", "pieces", "thoughts"),
    )

    def __init__(self, answer_id: str, index: int) -> None:
        self._answer_id = answer_id
        self.index = index
        self.pieces: list[str] = []
        self.thoughts: list[str] = []
        self.calls: list[ToolCall] = []
        self.blocks: list[dict[str, Any]] = []
        self.images: list[dict[str, Any]] = []
        self.audio: list[str] = []
        self.memory: dict[str, bytes] = {}
        self.finish: str | None = None
        self.logprobs: dict[str, Any] | None = None
        self._grounding: _gemini_answer.Grounding | None = None
        self._citations: list[_gemini_answer.Citation] = []

    def add(self, part: Part) -> None:
        """Take one part."""
        called = ""
        if part.text:
            (self.thoughts if part.thought else self.pieces).append(part.text)
        elif part.function_call is not None:
            wanted = part.function_call
            call = FunctionCall(wanted.name or "", wanted.arguments)
            place = (self.index, len(self.calls))
            called = wanted.id or call_id(self._answer_id, place, call.name, call.arguments)
            self.calls.append(ToolCall(called, call))
        elif part.inline_data is not None:
            self._file(part.inline_data)
            return  # its signature is of use only to who could send the file back as the model's
        if part.thought_signature and not part.thought:
            self._sign(part.thought_signature, called)

    def _file(self, file: _gemini_answer.InlineData) -> None:
        if (file.mime_type or "").startswith("audio/"):
            self.audio.append(file.data or "")
        else:
            self.images.append(image(file, len(self.images)))

    def _sign(self, signature: str, called: str) -> None:
        block = {"type": SIGNATURE, "signature": signature}
        if called:
            block["tool_call_id"] = called
            self.memory[called] = MEMORY + signature.encode()
        self.blocks.append(block)

    def note(self, candidate: Candidate) -> None:
        """Take what stands beside the parts.

        Raises:
            UpstreamBadResponse: the model slipped and nothing came of it.
        """
        if candidate.grounding_metadata is not None:
            self._grounding = candidate.grounding_metadata
        if candidate.citation_metadata is not None:
            cited = candidate.citation_metadata
            self._citations += cited.citation_sources or cited.citations or ()
        self.logprobs = logprobs(candidate.logprobs_result) or self.logprobs
        if candidate.finish_reason is not None:
            self.finish = candidate.finish_reason
            if self.finish in FAILURES and not (self.pieces or self.calls or self.images):
                words = candidate.finish_message or "nothing else was said"
                raise UpstreamBadResponse(f"the model's answer is unusable: {self.finish}, {words}")

    @property
    def finish_reason(self) -> str:
        """OpenAI's word for the end."""
        reason = FINISH_REASONS.get(self.finish or "STOP", "stop")
        return "tool_calls" if reason == "stop" and self.calls else reason

    @property
    def annotations(self) -> list[dict[str, Any]]:
        """Where the text comes from."""
        if self._grounding is None and not self._citations:
            return []
        return sources_of("".join(self.pieces), self._grounding, self._citations)

    def sound(self, data: str, created: int) -> dict[str, Any]:
        """Return OpenAI's `audio`; there is nothing at the vendor that could expire."""
        return {"id": self._answer_id, "data": data, "expires_at": created, "transcript": ""}

    def reply(self, created: int) -> Reply:
        """Return all of it."""
        pcm = b"".join(base64.b64decode(piece) for piece in self.audio)
        return Reply(
            self.finish_reason,
            text="".join(self.pieces) or None,
            reasoning="".join(self.thoughts) or None,
            thinking_blocks=self.blocks,
            tool_calls=self.calls,
            annotations=self.annotations,
            images=self.images,
            memory=self.memory,
            audio=self.sound(base64.b64encode(pcm).decode(), created) if pcm else None,
            logprobs=self.logprobs,
        )


class Stream:
    """Events of `streamGenerateContent`; a finish reason of every candidate ends them.

    States of a candidate: unseen → open (its role went out) → finished. The ends go out with
    the end of the body, since events may follow the one that has the reason.
    """

    __slots__ = (
        *("_answer_id", "_chunks", "_created", "_metadata", "_turns"),
        *("ended", "last", "memory", "usage"),
    )

    def __init__(self, created: int, model: str = "", answer_id: str = "") -> None:
        self.usage: Usage | None = None
        self.ended = False
        self.last = b""
        self.memory: dict[str, bytes] = {}
        self._created = created
        self._answer_id = f"chatcmpl-{answer_id or created}"  # unless the vendor gives one
        self._chunks: Chunks | None = None
        self._metadata: _gemini_answer.Metadata | None = None
        self._turns: dict[int, _Turn] = {}

    def feed(self, event: Event) -> Sequence[Chunk]:
        """Take one event and return the chunks it gives.

        Raises:
            UpstreamBadResponse: the event cannot be read.
            ContentFiltered: the prompt was blocked.
            UpstreamError: it is an error.
        """
        if not event.data:
            _gemini_errors.raise_enclosed(event.block)
            return ()
        answer = _gemini_errors.answer(event.data)
        if answer.usage_metadata is not None:
            self._metadata = answer.usage_metadata
            self.usage = answer.usage_metadata.usage()
        feedback = answer.prompt_feedback
        if feedback is not None and feedback.block_reason:
            raise _gemini_errors.blocked(feedback)
        out: list[Chunk] = []
        for candidate in answer.candidates or ():
            self._candidate(answer, candidate, out)
        return out

    def close(self) -> Sequence[Chunk]:
        """Take the end of the stream and return its last chunks.

        Raises:
            UpstreamTruncated: a candidate, or all of them, have no finish reason.
        """
        chunks, turns = self._chunks, self._turns.values()
        if chunks is None or not all(turn.finish for turn in turns):
            raise UpstreamTruncated("the provider's stream ended before a finish reason")
        self.ended, self.last = True, DONE
        out: list[Chunk] = []
        for turn in turns:
            if found := turn.annotations:
                out.append(chunks.delta({"annotations": found}, turn.index))
            out.append(chunks.finish(turn.finish_reason, turn.index))
        if self._metadata is not None:
            self.usage = self._metadata.usage(sum(len(turn.images) for turn in turns))
            out.append(chunks.usage(self.usage))
        return out

    def _candidate(self, answer: Answer, candidate: Candidate, out: list[Chunk]) -> None:
        chunks = self._chunks
        if chunks is None:
            self._answer_id = answer.response_id or self._answer_id
            model = answer.model_version or ""
            chunks = self._chunks = Chunks(self._answer_id, model, self._created)
        index = candidate.index or 0
        turn = self._turns.get(index)
        if turn is None:
            turn = self._turns[index] = _Turn(self._answer_id, index)
            turn.memory = self.memory
            out.append(chunks.role(index))
        for part in candidate.parts:
            signed = len(turn.blocks)
            turn.add(part)
            if part.text:
                write = chunks.reasoning if part.thought else chunks.text
                out.append(write(part.text, index))
            else:
                self._rarer(chunks, turn, part, out)
            if len(turn.blocks) > signed:
                out.append(chunks.delta({"thinking_blocks": turn.blocks[-1:]}, index))
        turn.note(candidate)
        if candidate.logprobs_result is not None and turn.logprobs is not None:
            out.append(chunks.logprobs(turn.logprobs, index))

    def _rarer(self, chunks: Chunks, turn: _Turn, part: Part, out: list[Chunk]) -> None:
        """Write a call, a picture or sound."""
        if part.function_call is not None:
            number, call = len(turn.calls) - 1, turn.calls[-1]
            out.append(chunks.call(number, call.id, call.function.name, turn.index))
            out.append(chunks.arguments(number, call.function.arguments, turn.index))
        elif part.inline_data is not None:
            if (part.inline_data.mime_type or "").startswith("audio/"):
                sound = turn.sound(turn.audio.pop(), self._created)
                out.append(chunks.delta({"audio": sound}, turn.index))
            else:
                out.append(chunks.delta({"images": turn.images[-1:]}, turn.index))


_CHAT = Operation(request, response, Stream, SSE, media=media_urls)

operations = {
    "chat": _CHAT,
    "input_tokens": counting.operation(_count, ("totalTokens",), _CHAT),
    "embeddings": Operation(
        partial(_gemini_embeddings.request, path, authorize),
        _gemini_embeddings.response,
        None,
        SSE,
        pieces=Pieces(_gemini_embeddings.split, embeddings.join),
    ),
    "images": Operation(
        partial(_gemini_images.request, path, authorize), _gemini_images.response, None, SSE
    ),
}
