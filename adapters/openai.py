"""OpenAI, and every vendor that speaks its wire format.

Nothing is translated: bodies and events pass as they came, apart from `model`. The gateway
only looks where it must: for usage, for errors inside a 200, for the end marker.

Source: https://platform.openai.com/docs/api-reference/chat (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from proxy import failures
from proxy.adapter import (
    Defaults,
    Headers,
    Operation,
    Target,
    UpstreamRequest,
    UpstreamResponse,
)
from proxy.errors import UpstreamBadResponse, UpstreamError, UpstreamFailed, UpstreamTruncated
from proxy.failures import VendorError
from proxy.framing import SSE, Event
from proxy.wire import Chunk, Request, Response, Usage

defaults = Defaults(
    base_url="https://api.openai.com/v1",
    credential_variable="OPENAI_API_KEY",
    base_url_variable="OPENAI_BASE_URL",
)

_DONE = b"[DONE]"
_EMPTY = frozenset({b"null", b'""', b"[]", b"{}"})
_STREAM_OPTIONS = b'{"include_usage":true}'
_NULL = msgspec.Raw(b"null")  # absent; `Raw | None` would take nothing but null
_JSON = ("content-type", "application/json")


class _Details(msgspec.Struct):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    """`usage` of chat, completions and embeddings, and under other names of responses."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None

    def normal(self) -> Usage:
        """Return our own form; OpenAI counts cached tokens as part of the prompt."""
        into = self.prompt_tokens_details or self.input_tokens_details
        out = self.completion_tokens_details or self.output_tokens_details
        return Usage(
            input_tokens=self.prompt_tokens or self.input_tokens or 0,
            cached_tokens=(into and into.cached_tokens) or 0,
            output_tokens=self.completion_tokens or self.output_tokens or 0,
            reasoning_tokens=(out and out.reasoning_tokens) or 0,
        )


class _Peek(msgspec.Struct):
    """All we read of an answer or a chunk."""

    usage: _Usage | None = None
    error: msgspec.Raw = _NULL


class _Choice(msgspec.Struct):
    delta: dict[str, msgspec.Raw] | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Opening(msgspec.Struct):
    """What tells whether a chunk carries a part of the answer."""

    choices: list[_Choice] = []


class _Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None
    param: str | None = None


class _ResponseBody(msgspec.Struct):
    usage: _Usage | None = None
    error: msgspec.Raw = _NULL


class _ResponseEvent(msgspec.Struct):
    type: str = ""
    response: _ResponseBody | None = None
    error: msgspec.Raw = _NULL
    message: str | None = None


_PEEK = msgspec.json.Decoder(_Peek)
_OPENING = msgspec.json.Decoder(_Opening)
_ERROR = msgspec.json.Decoder(_Error | str | None)
_RESPONSE_EVENT = msgspec.json.Decoder(_ResponseEvent)


# OpenAI to vendor


def authorize(target: Target) -> Headers:
    """Return the bearer header, and what the configuration adds."""
    if not target.credential:
        return target.headers
    return (("authorization", f"Bearer {target.credential}"), *target.headers)


def _request(path: str, asks_usage: bool, request: Request, target: Target) -> UpstreamRequest:
    """Build the vendor's request: another `model`, and usage asked for in a stream."""
    changes = {}
    if target.model != request.model:
        changes["model"] = msgspec.json.encode(target.model)
    if asks_usage and request.stream:
        options = request.get("stream_options", dict[str, msgspec.Raw])
        if not options:
            changes["stream_options"] = _STREAM_OPTIONS
        elif bytes(options.get("include_usage", b"")) != b"true":
            options["include_usage"] = msgspec.Raw(b"true")
            changes["stream_options"] = msgspec.json.encode(options)
    return UpstreamRequest("POST", path, (*authorize(target), _JSON), request.encode(changes))


# Vendor to OpenAI


def response(response: UpstreamResponse, created: int) -> Response:
    """Pass a whole answer on.

    Raises:
        UpstreamBadResponse: it is no JSON object.
        UpstreamFailed: it is an error in a 200.
    """
    peek = _peek(response.body)
    if peek.error != _NULL:
        raise _failed(peek.error)
    return Response(response.body, peek.usage.normal() if peek.usage else None)


def error(response: UpstreamResponse) -> UpstreamError:
    """Read `{"error": {"message": ...}}`, or whatever stands in its place."""
    said = None
    try:
        raw = _PEEK.decode(response.body).error
        said = _said(raw) if raw != _NULL else None
    except msgspec.MsgspecError:
        pass  # a page of HTML, most often: the status says all there is
    return failures.upstream_error(
        response.status,
        said or VendorError(f"the provider answered with status {response.status}"),
        response.headers,
    )


def _peek(data: bytes) -> _Peek:
    try:
        return _PEEK.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise UpstreamBadResponse("the provider sent something that is not JSON") from None


def _said(raw: msgspec.Raw) -> VendorError:
    try:
        error = _ERROR.decode(raw)
    except msgspec.MsgspecError:
        return VendorError(bytes(raw)[:500].decode("utf-8", "replace"))
    if error is None or isinstance(error, str):
        return VendorError(error or "the provider reported an error without a message")
    code = None if error.code is None else str(error.code)
    return VendorError(error.message or code or "unknown error", error.type, code, error.param)


def _failed(raw: msgspec.Raw) -> UpstreamError:
    """An error the vendor reports inside a 200; some put the real status into `code`."""
    said = _said(raw)
    if said.code and said.code.isdigit() and 400 <= int(said.code) < 600:
        return failures.upstream_error(int(said.code), said)
    if said.code in ("rate_limit_exceeded", "insufficient_quota"):
        return failures.upstream_error(429, said)
    if said.type == "invalid_request_error":
        return failures.upstream_error(400, said)
    return UpstreamFailed(said.message)


class Stream:
    """Passes events on and keeps the last usage it saw; `[DONE]` ends it."""

    __slots__ = ("_opened", "ended", "last", "memory", "usage")

    def __init__(self, created: int) -> None:
        self.usage: Usage | None = None
        self.last = b""
        self.memory: dict[str, bytes] = {}
        self._opened = False
        self.ended = False

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
        peek = _peek(data)
        if peek.error != _NULL:
            raise _failed(peek.error)
        usage_only = False
        if peek.usage is not None:
            self.usage = peek.usage.normal()
            usage_only = not _OPENING.decode(data).choices
        if not self._opened:
            self._opened = _has_content(data)
        return (Chunk(data, block=event.block, content=self._opened, usage_only=usage_only),)

    def close(self) -> Sequence[Chunk]:
        """Take the end of the stream.

        Raises:
            UpstreamTruncated: `[DONE]` never came.
        """
        if not self.ended:
            raise UpstreamTruncated("the provider's stream ended before its end marker")
        return ()


def _has_content(data: bytes) -> bool:
    """Whether a chunk holds more than a role: text, a call, a refusal, a finish."""
    try:
        choices = _OPENING.decode(data).choices
    except msgspec.MsgspecError:
        return True  # no chunk we know: nothing to wait for
    return any(
        choice.finish_reason
        or choice.text
        or any(
            name != "role" and bytes(value) not in _EMPTY
            for name, value in (choice.delta or {}).items()
        )
        for choice in choices
    )


class ResponsesStream:
    """Events of the Responses API; one of three terminal events ends them.

    Source: https://platform.openai.com/docs/api-reference/responses-streaming (2026-11-21)
    """

    __slots__ = ("_opened", "ended", "last", "memory", "usage")

    _PRELUDE = frozenset({"response.created", "response.in_progress", "response.queued"})
    _TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})

    def __init__(self, created: int) -> None:
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
            seen = _RESPONSE_EVENT.decode(event.data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise UpstreamBadResponse("the provider sent an event that is not JSON") from None
        if seen.type == "error":
            raise _failed(seen.error if seen.error != _NULL else msgspec.Raw(event.data))
        if seen.type == "response.failed" and not self._opened and seen.response:
            raise _failed(seen.response.error)
        self._opened = self._opened or seen.type not in self._PRELUDE
        if seen.type in self._TERMINAL:
            self.ended = True
            if seen.response and seen.response.usage:
                self.usage = seen.response.usage.normal()
        return (Chunk(event.data, block=event.block, content=self._opened),)

    def close(self) -> Sequence[Chunk]:
        """Take the end of the stream.

        Raises:
            UpstreamTruncated: no terminal event came.
        """
        if not self.ended:
            raise UpstreamTruncated("the provider's stream ended before its terminal event")
        return ()


def _operation(
    path: str,
    stream: Callable[[int], Stream | ResponsesStream] | None = None,
    *,
    asks_usage: bool = False,
) -> Operation:
    return Operation(partial(_request, path, asks_usage), response, stream, SSE, forwards=True)


operations = {
    "chat": _operation("/chat/completions", Stream, asks_usage=True),
    "completions": _operation("/completions", Stream, asks_usage=True),
    "embeddings": _operation("/embeddings"),
    "responses": _operation("/responses", ResponsesStream),
}
