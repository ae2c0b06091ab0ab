"""OpenAI, and every vendor that speaks its wire format.

Nothing is translated: bodies and events pass as they came, apart from `model`. The gateway
only looks where it must: for usage, for errors inside a 200, for the end marker. Where another
vendor differs, `Quirks` say how, and `variant` makes an adapter of them: such vendors are rows
of `adapters/_presets.py`.

Source: https://platform.openai.com/docs/api-reference/chat (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from adapters._openai_stream import EventStream, SoundStream, Stream
from adapters._openai_wire import PEEK, Peek, peek_at, peeking, refused, reported, usage_of
from proxy.adapter import (
    Defaults,
    Dropped,
    Headers,
    Operation,
    Target,
    Translator,
    UpstreamRequest,
    UpstreamResponse,
    header,
)
from proxy.errors import UpstreamError
from proxy.forms import Form
from proxy.framing import SSE
from proxy.wire import Request, Response, Usage

defaults = Defaults(
    base_url="https://api.openai.com/v1",
    credential_variable="OPENAI_API_KEY",
    base_url_variable="OPENAI_BASE_URL",
)

PATHS = MappingProxyType(
    {
        "chat": "/chat/completions",
        "completions": "/completions",
        "embeddings": "/embeddings",
        "responses": "/responses",
        "input_tokens": "/responses/input_tokens",
        "images": "/images/generations",
        "moderations": "/moderations",
        "speech": "/audio/speech",
        "transcriptions": "/audio/transcriptions",
        "translations": "/audio/translations",
        "image_edits": "/images/edits",
        "image_variations": "/images/variations",
        "rerank": "/rerank",
    }
)
OPERATIONS = frozenset(PATHS) - {"rerank"}
FORMS = frozenset({"transcriptions", "translations", "image_edits", "image_variations"})
"""Operations whose requests are forms, though some vendors take JSON as well."""

SOUNDS = frozenset({"speech", "transcriptions", "translations"})
"""Operations whose answers are of many types: sound, subtitles, text, JSON or events."""
JSON = ("content-type", "application/json")

_REPORTS_USAGE_IF_ASKED = frozenset({"chat", "completions"})
_TYPED_EVENTS = frozenset({"responses", "images", "image_edits", "speech", "transcriptions"})
_STREAM_OPTIONS = b'{"include_usage":true}'
_SHALLOW = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MESSAGES = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_DEVELOPER, _SYSTEM = b'"developer"', msgspec.Raw(b'"system"')
_THOUGHTS = ("reasoning_content", "thinking_blocks")
_NAMELESS = Dropped("messages[].name", "speakers have no names at this provider")


class Quirks(NamedTuple):
    """How a vendor of this wire format differs; what is left out is as OpenAI does it.

    Attributes:
        serves: its operations.
        paths: where some of them are, if elsewhere than OpenAI's.
        refuses: members it answers with an error, though an answer without them means the
            same: they are left out, for the reason given.
        renames: members it knows by an older name.
        developer: whether it knows the role "developer"; else that is sent as "system".
        thoughts: whether its messages may hold reasoning under the names other vendors use.
        names: whether its messages may say who of several users speaks.
        stream_options: whether it takes them.
        marker: whether its streams end with `[DONE]`.
        usage_in: the member in which usage stands in the last chunk if not on top.
        omits_reasoning: whether output, and the total, may leave reasoning out.
    """

    serves: Collection[str] = OPERATIONS
    paths: Mapping[str, str] = MappingProxyType({})
    refuses: Mapping[str, str] = MappingProxyType({})
    renames: Mapping[str, str] = MappingProxyType({})
    developer: bool = True
    thoughts: bool = True
    names: bool = True
    stream_options: bool = True
    marker: bool = True
    usage_in: str = ""
    omits_reasoning: bool = False

    @property
    def foreign(self) -> Sequence[bytes]:
        """What messages hold, if anything, that this vendor does not know."""
        return (
            *(() if self.developer else (_DEVELOPER,)),
            *(() if self.thoughts else (name.encode() for name in _THOUGHTS)),
            *(() if self.names else (b'"name"',)),
        )

    @property
    def peek(self) -> Callable[[bytes], Peek]:
        """What reads this vendor's answers and chunks."""
        if self.usage_in or self.omits_reasoning:
            return peeking(self.usage_in, apart=self.omits_reasoning)
        return PEEK


OURS = Quirks()


# OpenAI to vendor


def authorize(target: Target) -> Headers:
    """Return the bearer header, and what the configuration adds."""
    if not target.credential:
        return target.headers
    return (("authorization", f"Bearer {target.credential}"), *target.headers)


def body(
    operation: str, request: Request, target: Target, quirks: Quirks = OURS
) -> tuple[bytes, Sequence[Dropped]]:
    """Return what the vendor gets, and what it does not.

    That is another `model`, usage asked for in a stream, and whatever the quirks demand.
    """
    changes = {}
    nameless: Sequence[Dropped] = ()
    if target.model != request.model:
        changes["model"] = msgspec.json.encode(target.model)
    if isinstance(request, Form):
        return request.encode(changes), ()
    if request.stream and operation in _REPORTS_USAGE_IF_ASKED and quirks.stream_options:
        options = _stream_options(request)
        if options:
            changes["stream_options"] = options
    if operation == "chat" and (foreign := quirks.foreign):
        messages = request.raw("messages")
        if messages is not None and any(word in messages for word in foreign):
            changes["messages"], nameless = _understood(messages, quirks)
    sent, dropped = _reshaped(request, changes, quirks)
    return sent, (*nameless, *dropped)


def _request(operation: str, quirks: Quirks, request: Request, target: Target) -> UpstreamRequest:
    """Build the vendor's request."""
    sent, dropped = body(operation, request, target, quirks)
    headers = (*authorize(target), ("content-type", request.content_type))
    path = quirks.paths.get(operation) or PATHS[operation]
    return UpstreamRequest("POST", path, headers, sent, dropped=dropped)


def _stream_options(request: Request) -> bytes | None:
    """Return the options with usage asked for; None where the client does so itself."""
    options = request.get("stream_options", dict[str, msgspec.Raw])
    if not options:
        return _STREAM_OPTIONS
    if bytes(options.get("include_usage", b"")) == b"true":
        return None
    options["include_usage"] = msgspec.Raw(b"true")
    return msgspec.json.encode(options)


def _understood(messages: bytes, quirks: Quirks) -> tuple[bytes, Sequence[Dropped]]:
    """Return messages with roles and members the vendor knows, all else as it came.

    Names that are lost are told; other vendors' thoughts are nothing the client wrote.
    """
    try:
        found = _MESSAGES.decode(messages)
    except msgspec.MsgspecError:
        return messages, ()  # the vendor will say what is wrong with them
    nameless: Sequence[Dropped] = ()
    for message in found:
        if not quirks.developer and bytes(message.get("role", b"")) == _DEVELOPER:
            message["role"] = _SYSTEM
        if not quirks.thoughts:
            for name in _THOUGHTS:
                message.pop(name, None)
        if not quirks.names and message.pop("name", None) is not None:
            nameless = (_NAMELESS,)
    return msgspec.json.encode(found), nameless


def _reshaped(
    request: Request, changes: Mapping[str, bytes], quirks: Quirks
) -> tuple[bytes, Sequence[Dropped]]:
    unwanted = [name for name in quirks.refuses if name in request]
    renamed = [name for name in quirks.renames if name in request]
    options = not quirks.stream_options and "stream_options" in request
    if not (unwanted or renamed or options):
        return request.encode(changes), ()
    fields = _SHALLOW.decode(request.encode(changes))
    if options:
        del fields["stream_options"]
    for name in renamed:
        fields[quirks.renames[name]] = fields.pop(name)
    lost = [name for name in unwanted if bytes(fields.pop(name)) != b"null"]
    return msgspec.json.encode(fields), [Dropped(name, quirks.refuses[name]) for name in lost]


# Vendor to OpenAI


def response(
    response: UpstreamResponse, created: int, peek: Callable[[bytes], Peek] = PEEK
) -> Response:
    """Pass a whole answer on.

    Raises:
        UpstreamBadResponse: it is no JSON object.
        UpstreamFailed: it is an error in a 200.
    """
    return Response(response.body, usage_of(_peeked(response, peek)))


class _Images(Peek):
    data: list[msgspec.Raw] | None = None


_IMAGES: Callable[[bytes], _Images] = msgspec.json.Decoder(_Images).decode


def images(response: UpstreamResponse, created: int) -> Response:
    """Pass an answer with images on, and count them.

    Raises:
        UpstreamBadResponse: it is no JSON object.
        UpstreamFailed: it is an error in a 200.
    """
    peek = _peeked(response, _IMAGES)
    assert isinstance(peek, _Images)
    usage = usage_of(peek) or Usage()
    return Response(response.body, msgspec.structs.replace(usage, images=len(peek.data or ())))


def media(response: UpstreamResponse, created: int) -> Response:
    """Pass an answer on that is no JSON, such as speech."""
    kind = header(response.headers, "content-type") or "application/octet-stream"
    return Response(response.body, content_type=kind)


def error(response: UpstreamResponse) -> UpstreamError:
    """Read `{"error": {"message": ...}}`, or whatever stands in its place."""
    return refused(response)


def _peeked(response: UpstreamResponse, decode: Callable[[bytes], Peek]) -> Peek:
    peek = peek_at(decode, response.body)
    failure = reported(peek, response.body)
    if failure is not None:
        raise failure
    return peek


def heard(response: UpstreamResponse, created: int) -> Response:
    """Pass what was said in a recording on: JSON, or a text of another form.

    Raises:
        UpstreamBadResponse: it claims to be JSON and is no object.
        UpstreamFailed: it is an error in a 200.
    """
    answer = media(response, created)
    if answer.content_type.startswith(JSON[1]):
        answer.usage = usage_of(_peeked(response, PEEK))
    return answer


RESPONSES = {
    "images": images,
    "image_edits": images,
    "image_variations": images,
    "speech": media,
    "transcriptions": heard,
    "translations": heard,
}


# Operations


class Variant(NamedTuple):
    """An adapter made of quirks; the shape of `proxy.adapter.Adapter`."""

    defaults: Defaults
    operations: Mapping[str, Operation]
    authorize: Callable[[Target], Headers] = authorize
    error: Callable[[UpstreamResponse], UpstreamError] = error


def variant(defaults: Defaults, quirks: Quirks) -> Variant:
    """Return the adapter of a vendor that differs by `quirks`."""
    return Variant(defaults, {name: _operation(name, quirks) for name in quirks.serves})


def stream(operation: str, quirks: Quirks = OURS) -> Callable[[int, str, str], Translator] | None:
    """Return what makes the machine for one stream; None where the operation never streams."""
    if operation in _TYPED_EVENTS:
        return SoundStream if operation in SOUNDS else EventStream
    if operation not in _REPORTS_USAGE_IF_ASKED:
        return None
    if quirks.marker and quirks.peek is PEEK:
        return Stream
    return partial(Stream, decode=quirks.peek, marker=quirks.marker)


def _operation(name: str, quirks: Quirks) -> Operation:
    return Operation(
        partial(_request, name, quirks),
        RESPONSES.get(name) or partial(response, peek=quirks.peek),
        stream(name, quirks),
        SSE,
        forwards=True,
        by_type=name in SOUNDS,
    )


operations = variant(defaults, OURS).operations
