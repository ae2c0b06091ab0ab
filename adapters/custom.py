"""A vendor by configuration alone.

Without options it is OpenAI's wire format at any address. With them, each operation has a path
and headers, patches of request and answer, and pointers to what a stream's events say:

    auth: "x-api-key: {credential}"
    operations:
      chat:
        path: /v2/{model}/generate
        headers: {x-version: "2"}
        request:
          - {op: move, from: /messages, path: /input/messages}
          - {op: set, path: /mode, value: fast}
          - {op: remove, path: /user}
        response: [{op: move, from: /result, path: /answer}]
        answer: {text: /answer/text, finish: /answer/why, finish_reasons: {done: stop},
                 usage: {input: /meta/in, output: /meta/out}}
        stream: {framing: json-lines, text: /piece, finish: /why, end: /done}

`request` starts from the client's request with the vendor's `model`. `answer` makes a chat
answer of what its pointers find; without it, what the patches leave is the client's answer.
A `stream` of `true` is OpenAI's own; one with pointers is over with the event in which `end`
finds something, or which is `end` itself, such as "[DONE]".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, NamedTuple
from urllib.parse import quote

import msgspec

from adapters import _pointer, openai
from adapters._openai_wire import UNREADABLE, failed
from adapters._pointer import Patch
from adapters.openai import OURS, PATHS, Quirks, Variant
from proxy.adapter import (
    Adapter,
    Defaults,
    Headers,
    Operation,
    Target,
    Translator,
    UpstreamRequest,
    UpstreamResponse,
)
from proxy.chat import DONE, Chunks, Reply, completion
from proxy.errors import UpstreamBadResponse, UpstreamTruncated
from proxy.forms import Form
from proxy.framing import SSE, Event, Framer, JSONLines
from proxy.wire import Chunk, Request, Response, Usage

_AS_IT_CAME = Quirks(stream_options=False)
_BEARER = "authorization: Bearer {credential}"


class _Tokens(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Pointers to numbers of tokens."""

    input: str = ""
    output: str = ""
    cached: str = ""
    reasoning: str = ""


class _Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Pointers into an answer; `finish_reasons` are the vendor's words to OpenAI's."""

    text: str
    reasoning: str = ""
    finish: str = ""
    finish_reasons: dict[str, str] = {}
    usage: _Tokens = _Tokens()


class _Stream(_Answer, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same of each event of a stream, how it is framed and how it ends."""

    end: str
    framing: Literal["sse", "json-lines"] = "sse"


class _Operation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str = ""
    headers: dict[str, str] = {}
    request: list[Patch] = []
    response: list[Patch] = []
    answer: _Answer | None = None
    stream: _Stream | bool = False


class _Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    auth: str = _BEARER
    operations: dict[str, _Operation] | None = None


def check(options: Mapping[str, Any]) -> None:
    """Check the options of a provider.

    Raises:
        ValueError: what is wrong, in one sentence.
    """
    _read(options)


def configured(options: Mapping[str, Any]) -> Adapter:
    """Return the adapter that `options` describe.

    Raises:
        ValueError: what is wrong with them, in one sentence.
    """
    read = _read(options)
    authorize = partial(_authorize, read.auth)
    made = openai.variant(Defaults(), OURS).operations
    if read.operations is not None:
        found = read.operations.items()
        made = {name: _operation(name, each, authorize) for name, each in found}
    return Variant(Defaults(), made, authorize)


def _read(options: Mapping[str, Any]) -> _Options:
    try:
        read = msgspec.convert(dict(options), _Options)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None
    name, colon, value = read.auth.partition(":")
    if not (name.strip() and colon and "{credential}" in value):
        raise ValueError("`auth` must be like 'x-api-key: {credential}'")
    for operation, each in (read.operations or {}).items():
        if operation not in PATHS:
            raise ValueError(f"`{operation}` is no operation; there are {', '.join(PATHS)}")
        _check(operation, each)
    return read


def _check(name: str, operation: _Operation) -> None:
    if operation.path and not operation.path.startswith("/"):
        raise ValueError(f"the path of `{name}` must begin with a slash")
    if name != "chat" and (operation.answer or isinstance(operation.stream, _Stream)):
        raise ValueError(f"pointers into answers make chat answers; `{name}` takes none")
    if operation.request and name in openai.FORMS:
        raise ValueError(f"requests of `{name}` are forms, and patches are for JSON")
    _pointer.check([*operation.request, *operation.response])
    for found in (operation.answer, operation.stream):
        if isinstance(found, _Answer):
            usage = msgspec.structs.asdict(found.usage).values()
            for pointer in (found.text, found.reasoning, found.finish, *usage):
                _pointer.tokens(pointer)


# OpenAI to vendor


def _authorize(template: str, target: Target) -> Headers:
    if not target.credential:
        return target.headers
    name, _, value = template.partition(":")
    carried = value.strip().replace("{credential}", target.credential)
    return ((name.strip().lower(), carried), *target.headers)


def _request(
    name: str,
    operation: _Operation,
    authorize: Callable[[Target], Headers],
    request: Request,
    target: Target,
) -> UpstreamRequest:
    path = operation.path.replace("{model}", quote(target.model, safe="")) or PATHS[name]
    quirks = OURS if operation.stream is True else _AS_IT_CAME
    body, dropped = openai.body(name, request, target, quirks)
    if operation.request and not isinstance(request, Form):
        document = msgspec.json.decode(body)
        _pointer.apply(operation.request, document)
        body = msgspec.json.encode(document)
    own = tuple((key.lower(), value) for key, value in operation.headers.items())
    headers = (*authorize(target), ("content-type", request.content_type), *own)
    return UpstreamRequest("POST", path, headers, body, dropped=dropped)


# Vendor to OpenAI


class _Reading:
    """The pointers of an answer, taken apart once."""

    def __init__(self, answer: _Answer) -> None:
        self._text = _pointer.tokens(answer.text)
        self._reasoning = _pointer.tokens(answer.reasoning) if answer.reasoning else None
        self._finish = _pointer.tokens(answer.finish) if answer.finish else None
        self._finish_reasons = answer.finish_reasons
        counted = msgspec.structs.asdict(answer.usage).items()
        self._usage = {
            f"{name}_tokens": _pointer.tokens(pointer) for name, pointer in counted if pointer
        }

    def text(self, document: Any) -> str:
        """Return the text, or what there is of it in this event."""
        found = _pointer.get(document, self._text)
        return found if isinstance(found, str) else ""

    def reasoning(self, document: Any) -> str:
        """Return the thoughts, or nothing."""
        found = self._reasoning and _pointer.get(document, self._reasoning)
        return found if isinstance(found, str) else ""

    def finish(self, document: Any) -> str | None:
        """Return why it is over, in OpenAI's words; None where nothing says so."""
        found = self._finish and _pointer.get(document, self._finish)
        return self._finish_reasons.get(str(found), str(found)) if found else None

    def usage(self, document: Any) -> Usage | None:
        """Return the usage, if there is any of it."""
        found = {name: _pointer.get(document, steps) for name, steps in self._usage.items()}
        counted = {name: n for name, n in found.items() if isinstance(n, int)}
        return msgspec.convert(counted, Usage) if counted else None


def _response(
    patches: Sequence[Patch], reading: _Reading | None, given: UpstreamResponse, created: int
) -> Response:
    document = _decoded(given.body)
    _pointer.apply(patches, document)
    if reading is None:
        patched = UpstreamResponse(given.status, given.headers, msgspec.json.encode(document))
        return openai.response(patched, created)
    reply = Reply(
        reading.finish(document) or "stop",
        reading.text(document),
        reasoning=reading.reasoning(document) or None,
    )
    answer_id = f"chatcmpl-{given.answer_id or created}"
    return completion(answer_id, given.model, created, [reply], reading.usage(document))


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(data, type=dict[str, Any])
    except UNREADABLE:
        raise UpstreamBadResponse("the provider sent something that is no object") from None
    if document.get("error"):
        raise failed(msgspec.Raw(msgspec.json.encode(document["error"])))
    return document


class _Course(NamedTuple):
    """What the configuration says of a stream."""

    end: bytes
    patches: Sequence[Patch]
    reading: _Reading


class Stream:
    """Events read by pointers; the configured end marker ends them."""

    def __init__(self, course: _Course, created: int, model: str = "", answer_id: str = "") -> None:
        self.usage: Usage | None = None
        self.ended = False
        self.last = DONE
        self.memory: dict[str, bytes] = {}
        self._end, self._patches, self._reading = course
        end = course.end.decode()
        self._over = _pointer.tokens(end) if end.startswith("/") else ()
        self._chunks = Chunks(f"chatcmpl-{answer_id or created}", model, created)
        self._finish: str | None = None
        self._started = False

    def feed(self, event: Event) -> Sequence[Chunk]:
        """Take one event and return the chunks it gives.

        Raises:
            UpstreamBadResponse: the event is no JSON object.
            UpstreamError: it is an error.
        """
        if not event.data:
            return ()
        if event.data == self._end:
            self.ended = True
            return ()
        document = _decoded(event.data)
        self.ended = self.ended or bool(self._over and _pointer.get(document, self._over))
        _pointer.apply(self._patches, document)
        self.usage = self._reading.usage(document) or self.usage
        self._finish = self._reading.finish(document) or self._finish
        return self._pieces(self._reading.reasoning(document), self._reading.text(document))

    def _pieces(self, reasoning: str, text: str) -> list[Chunk]:
        chunks = [] if self._started else [self._chunks.role()]
        self._started = True
        if reasoning:
            chunks.append(self._chunks.reasoning(reasoning))
        if text:
            chunks.append(self._chunks.text(text))
        return chunks

    def close(self) -> Sequence[Chunk]:
        """Take the end of the stream.

        Raises:
            UpstreamTruncated: its end marker never came.
        """
        if not self.ended:
            raise UpstreamTruncated("the provider's stream ended before its end marker")
        chunks = [self._chunks.finish(self._finish or "stop")]
        if self.usage is not None:
            chunks.append(self._chunks.usage(self.usage))
        return chunks


_FRAMERS: Mapping[str, Callable[[], Framer]] = {"sse": SSE, "json-lines": JSONLines}


# Operations


def _operation(
    name: str, operation: _Operation, authorize: Callable[[Target], Headers]
) -> Operation:
    reading = _Reading(operation.answer) if operation.answer else None
    response: Callable[[UpstreamResponse, int], Response]
    if reading or operation.response:
        response = partial(_response, operation.response, reading)
    else:
        response = openai.RESPONSES.get(name, openai.response)
    stream, framer = _streaming(name, operation)
    asked = partial(_request, name, operation, authorize)
    return Operation(asked, response, stream, framer, by_type=name in openai.SOUNDS)


def _streaming(
    name: str, operation: _Operation
) -> tuple[Callable[[int, str, str], Translator] | None, Callable[[], Framer]]:
    found = operation.stream
    if isinstance(found, _Stream):
        course = _Course(found.end.encode(), operation.response, _Reading(found))
        return partial(Stream, course), _FRAMERS[found.framing]
    return openai.stream(name) if found else None, SSE


defaults = Defaults()
authorize = openai.authorize
error = openai.error
operations = configured(MappingProxyType({})).operations
