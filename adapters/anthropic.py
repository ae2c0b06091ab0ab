"""Anthropic: Claude by its Messages API.

System and developer messages become `system`, tools, images, documents and thinking become
Claude's own, and what OpenAI has no word for passes as the client sent it. Claude on Vertex AI
and on Bedrock's InvokeModel imports `body`, `betas`, `response` and `Stream` from here.

Options of the provider:
    version: the `anthropic-version` header; "2023-06-01" by default, the last version that
        takes temperature from the models that know it.
    beta: values of the `anthropic-beta` header, as a list or separated by commas; those that a
        request needs are added.

Source: https://platform.claude.com/docs/en/api/messages,
https://platform.claude.com/docs/en/build-with-claude/streaming (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from adapters import _anthropic_answer as answers
from adapters import _anthropic_files as files
from adapters import _anthropic_memory as memory
from adapters import _anthropic_request as asking
from adapters._anthropic_answer import FINISH_REASONS
from adapters._anthropic_messages import Conversation
from adapters._anthropic_models import traits
from proxy.adapter import (
    Defaults,
    Dropped,
    Headers,
    Operation,
    Target,
    UpstreamRequest,
    UpstreamResponse,
)
from proxy.chat import DONE, ChatRequest, Chunks, completion, unsupported
from proxy.errors import UpstreamBadResponse, UpstreamError, UpstreamTruncated
from proxy.framing import SSE, Event
from proxy.wire import Chunk, Request, Response, Usage

__all__ = ["FINISH_REASONS", "Stream", "betas", "body", "links", "response"]

defaults = Defaults(
    base_url="https://api.anthropic.com/v1",
    credential_variable="ANTHROPIC_API_KEY",
    base_url_variable="ANTHROPIC_BASE_URL",
)

VERSION = "2023-06-01"
_OAUTH = "sk-ant-oat"
_OAUTH_BETA = "oauth-2025-04-20"
_JSON = ("content-type", "application/json")
_REASON = "not supported by this provider's API"
_MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_MEMBER_BETAS = MappingProxyType(
    {
        "mcp_servers": "mcp-client-2025-11-20",
        "context_management": "context-management-2025-06-27",
        "fallbacks": "server-side-fallback-2026-07-01",
    }
)
_TOOL_BETAS = MappingProxyType(
    {
        "computer_20241022": "computer-use-2024-10-22",
        "computer_20250124": "computer-use-2025-01-24",
        "computer_20251124": "computer-use-2025-11-24",
        "code_execution_20250522": "code-execution-2025-05-22",
        "mcp_toolset": "mcp-client-2025-11-20",
        "advisor_20260301": "advisor-tool-2026-03-01",
    }
)
_FILES_BETA = "files-api-2025-04-14"
_ALLOWED_TOOLS_BETA = "mcp-client-2025-04-04"


# OpenAI to vendor


def authorize(target: Target) -> Headers:
    """Return the header that carries the key, or a token of OAuth."""
    if not target.credential:
        return target.headers
    if target.credential.startswith(_OAUTH):
        return (("authorization", f"Bearer {target.credential}"), *target.headers)
    return (("x-api-key", target.credential), *target.headers)


def request(request: Request, target: Target) -> UpstreamRequest:
    """Build a request for one message.

    Raises:
        InvalidRequest: the client's request is none.
    """
    document, dropped = body(request, target)
    if request.stream:
        document["stream"] = True
    wanted = betas(document, target, _listed(request.get("anthropic_beta", Any)))
    if target.credential.startswith(_OAUTH):
        wanted.append(_OAUTH_BETA)
    headers = dict(authorize(target))
    headers.setdefault("anthropic-version", str(target.options.get("version") or VERSION))
    if configured := headers.get("anthropic-beta"):
        wanted = list(dict.fromkeys([*_listed(configured), *wanted]))
    if wanted:
        headers["anthropic-beta"] = ",".join(wanted)
    encoded = msgspec.json.encode(document)
    return UpstreamRequest(
        "POST", "/messages", (*headers.items(), _JSON), encoded, dropped=dropped
    )


def body(
    request: Request, target: Target, *, elsewhere: bool = False
) -> tuple[dict[str, Any], list[Dropped]]:
    """Return the vendor's body without `stream`, and what of the request is not in it.

    Args:
        request: the client's request.
        target: the model, and what was fetched for it.
        elsewhere: another cloud serves the model: later system messages go to the front.

    Raises:
        InvalidRequest: the client's request is none.
    """
    model = traits(target.model)
    conversation = Conversation(request, target, late_system=model.late_system and not elsewhere)
    usual = [name for name in request.names() if asking.is_default(request, name)]
    dropped = unsupported(request, asking.KNOWN.union(usual), _REASON)
    draft = asking.Draft(request, request.view(ChatRequest), target, model, dropped)
    conversation.take(draft.asked.messages)
    dropped += conversation.dropped
    tools = asking.tools(draft, conversation.called())
    thinking = asking.thinking(
        draft,
        forced=asking.is_forced(tools),
        interrupted=conversation.calls_without_thoughts(),
    )
    output, words = asking.output(draft)
    if words is not None:
        conversation.system.append({"type": "text", "text": words})
    document: dict[str, Any] = {
        "model": target.model,
        "max_tokens": draft.max_tokens,
        "messages": conversation.messages,
        **({"system": conversation.system} if conversation.system else {}),
        **tools,
        **thinking,
        **output,
        **asking.sampling(draft, _thinks(thinking)),
        **asking.account(draft),
    }
    for name in asking.NATIVE.intersection(request.names()) - document.keys():
        document[name] = msgspec.Raw(request.raw(name) or b"null")
    return document, dropped


def _thinks(members: Mapping[str, Any]) -> bool:
    return members.get("thinking", {}).get("type") in ("enabled", "adaptive")


def betas(document: Mapping[str, Any], target: Target, asked: Iterable[str] = ()) -> list[str]:
    """Return the betas that a body needs, with those of the configuration and the client."""
    found = [*_listed(target.options.get("beta")), *asked]
    found += [beta for name, beta in _MEMBER_BETAS.items() if name in document]
    for tool in document.get("tools", ()):
        beta = _TOOL_BETAS.get(tool.get("type", ""))
        if beta is not None:
            found.append(beta)
    if b'"tool_configuration"' in bytes(document.get("mcp_servers", b"")):
        found = [_ALLOWED_TOOLS_BETA if b.startswith("mcp-client") else b for b in found]
    if any(_is_file(block) for turn in document["messages"] for block in turn["content"]):
        found.append(_FILES_BETA)
    return list(dict.fromkeys(found))


def _is_file(block: Mapping[str, Any]) -> bool:
    if block.get("type") == "container_upload":
        return True
    source = block.get("source")
    return isinstance(source, dict) and source.get("type") == "file"


def _listed(value: Any) -> list[str]:
    """Read a list of names, or names separated by commas."""
    if isinstance(value, str):
        return [name.strip() for name in value.split(",") if name.strip()]
    return [str(name) for name in value or ()]


def links(request: Request) -> list[str]:
    """Return the URLs of all images and documents in a request."""
    found = []
    for message in request.view(ChatRequest).messages:
        for part in message.parts:
            if part.image_url is not None:
                found.append(part.image_url.url)
            elif part.file is not None:
                found.append(part.file.file_data or part.file.file_id or "")
    return [url for url in found if files.is_url(url)]


def _unsafe_links(request: Request) -> list[str]:
    """Return those that the vendor does not fetch itself: it wants TLS."""
    if b"http://" not in request.body and b"http:\\/\\/" not in request.body:
        return []
    return [url for url in links(request) if url.startswith("http://")]


# Vendor to OpenAI

_ANSWER = msgspec.json.Decoder(answers.Answer)


def response(response: UpstreamResponse, created: int) -> Response:
    """Translate a whole answer.

    Raises:
        UpstreamBadResponse: it is none.
        UpstreamError: it is an error in a 200.
    """
    try:
        answer = _ANSWER.decode(response.body)
        if answer.error is not None:
            raise _failed(answer.error)
        if answer.content is None and answer.id is None:
            raise UpstreamBadResponse("the provider's answer holds no message")
        reply = answers.reply(answer)
    except _MALFORMED:
        raise UpstreamBadResponse("the provider sent an answer that cannot be read") from None
    usage = answer.usage.normal() if answer.usage else None
    return completion(answer.id or "", answer.model or "", created, [reply], usage)


def error(response: UpstreamResponse) -> UpstreamError:
    """Read `{"type": "error", "error": {"type": …, "message": …}}`."""
    said = None
    try:
        said = _ANSWER.decode(response.body).error
    except _MALFORMED:
        pass  # a page of HTML, most often: the status says all there is
    if said is None:
        said = answers.ErrorBody(
            message=f"the provider answered with status {response.status}"
        )
    return answers.failed(response.status, said, response.headers)


def _failed(said: answers.ErrorBody) -> UpstreamError:
    """An error that comes without a status of its own: in a 200, or in a stream."""
    return answers.failed(answers.STATUSES.get(said.type or "", 500), said)


class _Delta(msgspec.Struct):
    """What an event adds to a block or, as `message_delta`, to the message."""

    type: str = ""
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    signature: str = ""
    citation: msgspec.Raw = msgspec.Raw(b"null")
    stop_reason: str | None = None
    stop_details: answers.StopDetails | None = None


class _Start(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    usage: answers.Spent | None = None


class _Event(msgspec.Struct):
    type: str = ""
    index: int = 0
    delta: _Delta | None = None
    content_block: msgspec.Raw = msgspec.Raw(b"{}")
    message: _Start | None = None
    usage: answers.Spent | None = None
    error: answers.ErrorBody | None = None


_EVENT = msgspec.json.Decoder(_Event)
_CITATION = msgspec.json.Decoder(answers.Citation)
_BLOCK = msgspec.json.Decoder(answers.Block)
_NO_DELTA = _Delta()


class Stream:
    """Events of one message: a start, blocks one after the other, a stop.

    What belongs to no client call (thoughts, searches, code that the vendor ran) is collected
    and, where calls follow, remembered for the next turn.
    """

    __slots__ = (
        *("_blocks", "_calls", "_chunks", "_created", "_details", "_length", "_open"),
        *("_spent", "_stop", "ended", "last", "memory", "usage"),
    )

    def __init__(self, created: int) -> None:
        self.usage: Usage | None = None
        self.ended = False
        self.last = DONE
        self.memory: dict[str, bytes] = {}
        self._created = created
        self._chunks = Chunks("", "", created)
        self._spent = answers.Spent()
        self._open: dict[int, _Open] = {}
        self._blocks: list[_Open] = []
        self._calls: list[str] = []
        self._length = 0
        self._stop: str | None = None
        self._details: answers.StopDetails | None = None

    def feed(self, event: Event) -> Sequence[Chunk]:
        """Take one event and return the chunks it gives.

        Raises:
            UpstreamBadResponse: the event is none.
            UpstreamError: it is an error.
        """
        if not event.data:
            return ()
        try:
            seen = _EVENT.decode(event.data)
            handler = _HANDLERS.get(seen.type)
            return () if handler is None else handler(self, seen)
        except _MALFORMED:
            raise UpstreamBadResponse("the provider sent an event that cannot be read") from None

    def close(self) -> Sequence[Chunk]:
        """Take the end of the stream.

        Raises:
            UpstreamTruncated: `message_stop` never came.
        """
        if not self.ended:
            raise UpstreamTruncated("the provider's stream ended before its end marker")
        return ()

    def _message_start(self, event: _Event) -> Sequence[Chunk]:
        message = event.message or _Start()
        self._chunks = Chunks(message.id or "", message.model or "", self._created)
        self._spend(message.usage)
        return (self._chunks.role(),)

    def _block_start(self, event: _Event) -> Sequence[Chunk]:
        block = _BLOCK.decode(event.content_block)
        opened = _Open(bytes(event.content_block), block, self._length)
        self._open[event.index] = opened
        self._blocks.append(opened)
        chunks: list[Chunk] = []
        if block.type == "tool_use":
            opened.number = len(self._calls)
            self._calls.append(block.id or "")
            chunks.append(self._chunks.call(opened.number, block.id or "", block.name or ""))
        if block.text:
            chunks += self._text(opened, block.text)
        if block.thinking:
            chunks += self._thinking(opened, block.thinking)
        return chunks

    def _block_delta(self, event: _Event) -> Sequence[Chunk]:
        opened, delta = self._open.get(event.index), event.delta or _NO_DELTA
        if opened is None:
            raise UpstreamBadResponse("the provider added to a block it had not begun")
        kind = delta.type
        if kind == "text_delta":
            return self._text(opened, delta.text)
        if kind == "input_json_delta":
            return self._input(opened, delta.partial_json)
        if kind == "thinking_delta":
            return self._thinking(opened, delta.thinking)
        if kind == "signature_delta":
            opened.signature += delta.signature
        elif kind == "citations_delta":
            opened.citations.append(delta.citation)
        return ()

    def _text(self, opened: _Open, piece: str) -> Sequence[Chunk]:
        if not piece:
            return ()
        opened.pieces.append(piece)
        self._length += len(piece)
        return (self._chunks.text(piece),)

    def _input(self, opened: _Open, piece: str) -> Sequence[Chunk]:
        if not piece:
            return ()
        opened.pieces.append(piece)
        return () if opened.number is None else (self._chunks.arguments(opened.number, piece),)

    def _thinking(self, opened: _Open, piece: str) -> Sequence[Chunk]:
        if not piece:
            return ()
        opened.pieces.append(piece)
        return (self._chunks.reasoning(piece),)

    def _block_stop(self, event: _Event) -> Sequence[Chunk]:
        opened = self._open.pop(event.index, None)
        if opened is None:
            return ()
        block = opened.block
        if opened.number is not None and not opened.pieces:
            whole = answers.arguments(bytes(block.input))
            return (self._chunks.arguments(opened.number, whole),)
        if block.type in ("thinking", "redacted_thinking"):
            return (self._chunks.delta({"thinking_blocks": [answers.thought(opened.whole())]}),)
        cited = [_CITATION.decode(raw) for raw in opened.citations]
        if not cited:
            return ()
        notes = [each.annotation(opened.start, self._length) for each in cited]
        return (self._chunks.delta({"annotations": notes}),)

    def _message_delta(self, event: _Event) -> Sequence[Chunk]:
        delta = event.delta or _NO_DELTA
        self._stop = delta.stop_reason or self._stop
        self._details = delta.stop_details or self._details
        self._spend(event.usage)
        return ()

    def _message_stop(self, event: _Event) -> Sequence[Chunk]:
        self.ended = True
        self.memory = memory.kept([each.encoded() for each in self._blocks], self._calls)
        chunks: list[Chunk] = []
        refused = answers.refusal(self._stop, self._details)
        if refused is not None:
            chunks.append(self._chunks.refusal(refused))
        chunks.append(self._chunks.finish(answers.finish(self._stop, bool(self._calls))))
        if self.usage is not None:
            chunks.append(self._chunks.usage(self.usage))
        return chunks

    def _error(self, event: _Event) -> Sequence[Chunk]:
        raise _failed(event.error or answers.ErrorBody())

    def _spend(self, spent: answers.Spent | None) -> None:
        if spent is not None:
            self._spent = self._spent.then(spent)
            self.usage = self._spent.normal()


_HANDLERS: dict[str, Callable[[Stream, _Event], Sequence[Chunk]]] = {
    "message_start": Stream._message_start,
    "content_block_start": Stream._block_start,
    "content_block_delta": Stream._block_delta,
    "content_block_stop": Stream._block_stop,
    "message_delta": Stream._message_delta,
    "message_stop": Stream._message_stop,
    "error": Stream._error,
}

operations = {"chat": Operation(request, response, Stream, SSE, media=_unsafe_links)}
