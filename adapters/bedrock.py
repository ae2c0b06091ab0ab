"""Amazon Bedrock: chat by Converse, embeddings and images by InvokeModel.

One form for the chat models of all makers. The model's name is an id, an inference profile
(`us.anthropic.claude-sonnet-4-5-20250929-v1:0`) or an ARN. `base_url` names the region:
`https://bedrock-runtime.eu-central-1.amazonaws.com`.

The credential is a Bedrock API key. Without one, requests are signed with what botocore (the
extra `bedrock`) finds: environment, profile, container, instance, or a role to be assumed.

A provider's options:

    region               where it computes; us-east-1 unless given, or named by `base_url`
    profile              of the AWS configuration files
    role_arn             of a role to be assumed, with session_name and external_id
    guardrailConfig      and the other members of `_bedrock_request.NATIVE`, as Converse has them
    input_type           of Cohere's embeddings, unless the request says one
    embedding_purpose    of Nova's, likewise

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
and API_runtime_ConverseStream.html (2026-11-21)
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import quote

import msgspec

from adapters import _bedrock_answers as answers
from adapters import _bedrock_errors as errors
from adapters import _bedrock_invoke as invoke
from adapters import _bedrock_media as media
from adapters import _bedrock_models as models
from adapters import _bedrock_wire as wire
from adapters._bedrock_request import Body
from proxy import counting, embeddings
from proxy.adapter import (
    Authorizer,
    Defaults,
    Dropped,
    Headers,
    Operation,
    Passing,
    Pieces,
    Send,
    Target,
    UpstreamRequest,
    UpstreamResponse,
    header,
)
from proxy.chat import DONE, Chunks, completion
from proxy.errors import UpstreamBadResponse, UpstreamError, UpstreamFailed, UpstreamTruncated
from proxy.eventstream import ERROR, EXCEPTION, AWSEventStream
from proxy.framing import SSE, Event
from proxy.wire import Chunk, Request, Response, Usage

defaults = Defaults(
    base_url="https://bedrock-runtime.us-east-1.amazonaws.com",
    credential_variable="AWS_BEARER_TOKEN_BEDROCK",
    passing=Passing(openai_path="/openai/v1"),
    machine=("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    options=MappingProxyType({"region": ("AWS_REGION", "AWS_DEFAULT_REGION")}),
    package="botocore",
)

_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-[0-9]{1,2}")


def base_url(given: str, options: Mapping[str, Any]) -> str:
    """Return the base URL of the region that the options name, unless one is given.

    Raises:
        ValueError: the region is none.

    Source: https://docs.aws.amazon.com/general/latest/gr/bedrock.html (2026-11-26)
    """
    region = options.get("region")
    if given or region is None:
        return given
    if not isinstance(region, str) or not _REGION.fullmatch(region):
        raise ValueError(f"options.region must be a region such as eu-central-1, not {region!r}")
    suffix = ".cn" if region.startswith("cn-") else ""
    return f"https://bedrock-runtime.{region}.amazonaws.com{suffix}"


_STREAM = (
    ("content-type", "application/json"),
    ("accept", "application/vnd.amazon.eventstream"),
)
_SERVICE = "bedrock"  # what signatures are for

COUNTED = ("messages", "system", "toolConfig", "additionalModelRequestFields")
"""Members of Converse's body that CountTokens takes."""

_ANSWER = msgspec.json.Decoder(wire.Answer)
_START = msgspec.json.Decoder(wire.BlockStart)
_DELTA = msgspec.json.Decoder(wire.BlockDelta)
_STOP = msgspec.json.Decoder(wire.BlockStop)
_END = msgspec.json.Decoder(wire.MessageStop)
_METADATA = msgspec.json.Decoder(wire.Metadata)


# OpenAI to vendor


def authorize(target: Target) -> Headers:
    """Return the bearer header, and what the configuration adds."""
    if not target.credential:
        return target.headers
    return (("authorization", f"Bearer {target.credential}"), *target.headers)


def authorizer(options: Mapping[str, Any], credential: str, send: Send) -> Authorizer | None:
    """Return what signs a provider's requests; None: its credential is an API key.

    Raises:
        ValueError: an option is wrong, or botocore is missing; the message is for the user.
    """
    if credential:
        return None
    try:
        signing = import_module("adapters._aws")  # botocore takes long to import
    except ModuleNotFoundError as error:
        raise ValueError(
            f"signing needs {error.name}: install headgate[bedrock], or give an API key"
        ) from None
    return cast(Authorizer, signing.SigV4(_SERVICE, options))


def request(request: Request, target: Target) -> UpstreamRequest:
    """Build a Converse or ConverseStream request.

    Raises:
        InvalidRequest: it cannot be read, or holds a file the service cannot take.
    """
    body = Body(request, target)
    verb, headers = ("converse-stream", _STREAM) if request.stream else ("converse", invoke.JSON)
    return UpstreamRequest(
        "POST",
        f"/model/{quote(target.model, safe='')}/{verb}",
        (*authorize(target), *headers),
        msgspec.json.encode(body.document),
        dropped=body.dropped,
    )


def _count(request: Request, target: Target) -> UpstreamRequest:
    """Build a CountTokens request of what Converse would get; `request` is one for a chat.

    Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html
    (2026-11-21)

    Raises:
        InvalidRequest: it cannot be read, or holds a file the service cannot take.
    """
    body = Body(request, target)
    counted = {name: body.document[name] for name in COUNTED if name in body.document}
    dropped = list(body.dropped)
    if "textFormat" in body.document.get("outputConfig", ()):
        dropped.append(Dropped("response_format", "CountTokens takes no format"))
    return UpstreamRequest(
        "POST",
        f"/model/{quote(models.base(target.model), safe='')}/count-tokens",
        (*authorize(target), *invoke.JSON),
        msgspec.json.encode({"input": {"converse": counted}}),
        dropped=dropped,
    )


def _embeddings(request: Request, target: Target) -> UpstreamRequest:
    return invoke.invoke(invoke.EMBEDDINGS, request, target, authorize(target))


def _images(request: Request, target: Target) -> UpstreamRequest:
    headers = (*authorize(target), *invoke.guardrail(target))
    return invoke.invoke(invoke.IMAGES, request, target, headers)


# Vendor to OpenAI


def response(response: UpstreamResponse, created: int) -> Response:
    """Translate a whole answer.

    Raises:
        UpstreamBadResponse: it holds no message.
        UpstreamFailed: the model's answer is of no use.
    """
    try:
        answer = _ANSWER.decode(response.body)
    except errors.UNREADABLE:
        raise UpstreamBadResponse("the provider sent something that is no answer") from None
    if answer.output is None:
        words = errors.said(response.body).words
        raise UpstreamFailed(words) if words else UpstreamBadResponse("the provider sent no answer")
    answer_id = header(response.headers, "x-amzn-requestid") or response.answer_id or created
    usage = answer.usage.normal() if answer.usage else None
    reply = answers.reply(answer)
    return completion(
        f"chatcmpl-{answer_id}", answer.model or response.model, created, [reply], usage
    )


def error(response: UpstreamResponse) -> UpstreamError:
    """Read `x-amzn-errortype` and `{"message": ...}`."""
    return errors.answered(response)


class _Thoughts:
    """One block of thoughts while it comes."""

    __slots__ = ("redacted", "signature", "text")

    def __init__(self) -> None:
        self.text = ""
        self.signature = ""
        self.redacted = b""


class Stream:
    """Events of ConverseStream; `messageStop` ends the answer, `metadata` the stream.

    Blocks are counted by the service over text, thoughts and calls alike; clients count calls
    alone. A block may begin with its first delta.
    """

    __slots__ = (
        "_begun",
        "_calls",
        "_chunks",
        "_finished",
        "_first_call",
        "_length",
        "_thinking",
        "_thoughts",
        "ended",
        "last",
        "memory",
        "usage",
    )

    def __init__(self, created: int, model: str = "", answer_id: str = "") -> None:
        self.usage: Usage | None = None
        self.ended = False
        self.last = DONE
        self.memory: dict[str, bytes] = {}
        self._chunks = Chunks(f"chatcmpl-{answer_id or created}", model, created)
        self._calls: dict[int, int] = {}  # block to call
        self._begun: set[int] = set()  # blocks of calls that have arguments
        self._first_call: str | None = None
        self._thoughts: dict[int, _Thoughts] = {}
        self._thinking: list[dict[str, Any]] = []
        self._finished = False
        self._length = 0  # of the text so far

    def feed(self, event: Event) -> Sequence[Chunk]:
        """Take one event and return the chunks it gives.

        Raises:
            UpstreamError: it is an exception or an error.
            UpstreamBadResponse: it cannot be read.
        """
        handle = _HANDLERS.get(event.name)
        if handle is None:
            if event.name.startswith((EXCEPTION, ERROR)):
                name = event.name.partition(":")[2]
                raise errors.named(name, errors.said(event.data).words)
            return ()  # an event of a later version
        try:
            return handle(self, event.data)
        except errors.UNREADABLE:
            raise UpstreamBadResponse("the provider sent an event that cannot be read") from None

    def close(self) -> Sequence[Chunk]:
        """Take the end of the stream.

        Raises:
            UpstreamTruncated: `messageStop` or `metadata` never came.
        """
        if not self.ended:
            raise UpstreamTruncated("the provider's stream ended before its end marker")
        return ()

    def _message_start(self, data: bytes) -> Sequence[Chunk]:
        return (self._chunks.role(),)

    def _block_start(self, data: bytes) -> Sequence[Chunk]:
        event = _START.decode(data)
        use = event.start.tool_use if event.start else None
        if use is None or use.type == wire.SERVER_TOOL:
            return ()
        number = self._calls[event.content_block_index] = len(self._calls)
        call_id = use.tool_use_id or f"call_{number}"
        self._first_call = self._first_call or call_id
        return (self._chunks.call(number, call_id, use.name or ""),)

    def _block_delta(self, data: bytes) -> Sequence[Chunk]:
        event = _DELTA.decode(data)
        delta = event.delta
        if delta is None:
            return ()
        if delta.text is not None:
            self._length += len(delta.text)
            return (self._chunks.text(delta.text),) if delta.text else ()
        if delta.tool_use is not None:
            return self._input(event.content_block_index, delta.tool_use.input or "")
        if delta.reasoning_content is not None:
            return self._thought(event.content_block_index, delta.reasoning_content)
        if delta.citation is not None:
            found = delta.citation.annotation(self._length, self._length)
            return (self._chunks.delta({"annotations": [found]}),) if found else ()
        image = delta.image.document() if delta.image else None
        return (self._chunks.delta({"images": [image]}),) if image else ()

    def _input(self, block: int, piece: str) -> Sequence[Chunk]:
        number = self._calls.get(block)
        if number is None or not piece:
            return ()  # the service's own call
        self._begun.add(block)
        return (self._chunks.arguments(number, piece),)

    def _thought(self, block: int, delta: wire.ReasoningDelta) -> Sequence[Chunk]:
        thoughts = self._thoughts.get(block)
        if thoughts is None:
            thoughts = self._thoughts[block] = _Thoughts()
        thoughts.signature += delta.signature or ""
        thoughts.redacted += delta.redacted_content or b""
        if not delta.text:
            return ()
        thoughts.text += delta.text
        return (self._chunks.reasoning(delta.text),)

    def _block_stop(self, data: bytes) -> Sequence[Chunk]:
        return self._proven(_STOP.decode(data).content_block_index)

    def _proven(self, block: int) -> Sequence[Chunk]:
        """Tell what a client sends back of a block of thoughts that is whole."""
        if (thoughts := self._thoughts.pop(block, None)) is None:
            return ()
        redacted = base64.b64encode(thoughts.redacted).decode()
        found = answers.thinking(thoughts.text, thoughts.signature, redacted)
        self._thinking += found
        return (self._chunks.delta({"thinking_blocks": found}),) if found else ()

    def _message_stop(self, data: bytes) -> Sequence[Chunk]:
        finish = answers.finish(_END.decode(data).stop_reason, called=bool(self._calls))
        chunks = [chunk for block in [*self._thoughts] for chunk in self._proven(block)]
        if finish == "tool_calls":
            silent = [number for block, number in self._calls.items() if block not in self._begun]
            chunks += [self._chunks.arguments(number, "{}") for number in silent]
        self.memory = answers.memory(self._thinking, self._first_call)
        self._finished = True
        return (*chunks, self._chunks.finish(finish))

    def _metadata(self, data: bytes) -> Sequence[Chunk]:
        usage = _METADATA.decode(data).usage
        self.ended = self._finished
        if usage is None:
            return ()
        self.usage = usage.normal()
        return (self._chunks.usage(self.usage),)


_HANDLERS: dict[str, Callable[[Stream, bytes], Sequence[Chunk]]] = {
    "messageStart": Stream._message_start,
    "contentBlockStart": Stream._block_start,
    "contentBlockDelta": Stream._block_delta,
    "contentBlockStop": Stream._block_stop,
    "messageStop": Stream._message_stop,
    "metadata": Stream._metadata,
}

_whole = partial(Operation, stream=None, framer=SSE)

_CHAT = Operation(request, response, Stream, AWSEventStream, media=media.urls)

operations = {
    "chat": _CHAT,
    "input_tokens": counting.operation(_count, ("inputTokens",), _CHAT),
    "embeddings": _whole(
        _embeddings, invoke.embedded, pieces=Pieces(invoke.split, embeddings.join)
    ),
    "images": _whole(_images, invoke.drawn),
}
