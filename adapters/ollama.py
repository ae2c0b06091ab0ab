"""Ollama by its own API, which does more than its `/v1`: context size, thoughts, keeping loaded.

Streams are lines of JSON; the line that says `done` ends them. The base URL has no `/v1`; a
provider that shall speak only OpenAI's dialect is configured as such, with a base URL that has.

Options of the provider:

    think, keep_alive, truncate, shift   members of every request that does not say them itself
    any other                            an option of the model, such as num_ctx: 32768

Source: https://docs.ollama.com/api/chat, https://docs.ollama.com/api/embed and
https://docs.ollama.com/api/tags (2026-11-21)
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import msgspec

from adapters import _ollama_generate as generating
from adapters._ollama_request import OPTIONS, Memory, body, image_urls, model_options
from adapters._ollama_wire import LINE, MODELS, VECTORS, Line, Message, failed, read
from adapters._openai_wire import words
from adapters._turns import Losses
from adapters.openai import JSON, authorize
from proxy import failures
from proxy.adapter import Defaults, Operation, Target, UpstreamRequest, UpstreamResponse
from proxy.chat import DONE, Chunks, Reply, completion, unsupported
from proxy.embeddings import embeddings
from proxy.errors import InvalidRequest, UpstreamBadResponse, UpstreamError, UpstreamTruncated
from proxy.framing import Event, JSONLines
from proxy.wire import Chunk, Request, Response, Usage

__all__ = ["authorize", "base_url", "defaults", "error", "operations"]

defaults = Defaults(
    base_url="http://127.0.0.1:11434",
    credential_variable="OLLAMA_API_KEY",
    base_url_variable="OLLAMA_HOST",
)

_PORT = 11434


def base_url(given: str, options: Mapping[str, Any]) -> str:
    """Return the URL that a host means as the vendor's own programs take it: `host`, `:port`, ….

    Raises:
        ValueError: it is neither host nor URL.

    Source: https://github.com/ollama/ollama/blob/main/docs/faq.mdx, `OLLAMA_HOST` (2026-11-26)
    """
    if not given or given.startswith(("http://", "https://")):
        return given
    parts = urlsplit(f"//{given.strip()}")
    host = parts.hostname or ""
    if host in ("", "0.0.0.0", "::"):  # where it listens; here is where it answers
        host = "127.0.0.1"
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{parts.port or _PORT}{parts.path.rstrip('/')}"


FINISH_REASONS = MappingProxyType(
    {"stop": "stop", "length": "length", "load": "stop", "unload": "stop"}
)
_MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:Z|([+-])(\d\d):(\d\d))"
)


# OpenAI to vendor


def _chat(request: Request, target: Target) -> UpstreamRequest:
    losses = Losses([])
    return _sent("/api/chat", target, body(request, target, losses), losses)


def _completions(request: Request, target: Target) -> UpstreamRequest:
    losses = Losses([])
    return _sent("/api/generate", target, generating.body(request, target, losses), losses)


def _embeddings(request: Request, target: Target) -> UpstreamRequest:
    """Ask for vectors.

    Raises:
        InvalidRequest: there is nothing to embed.
    """
    same = ("input", "dimensions", "truncate", "keep_alive")
    known = (*same, *OPTIONS, "encoding_format", "options")
    losses = Losses(unsupported(request, known, "not a parameter of Ollama's embeddings API"))
    document: dict[str, Any] = {"model": target.model}
    document |= {name: target.options[name] for name in same if name in target.options}
    for name in same:
        value = request.raw(name)
        if value is not None and value != b"null":
            document[name] = msgspec.Raw(value)
    if "input" not in document:
        raise InvalidRequest("`input` is missing", param="input")
    options = model_options(request, target)
    if options:
        document["options"] = options
    return _sent("/api/embed", target, document, losses)


def _models(request: Request, target: Target) -> UpstreamRequest:
    return UpstreamRequest("GET", "/api/tags", authorize(target))


def _sent(path: str, target: Target, document: dict[str, Any], losses: Losses) -> UpstreamRequest:
    encoded = msgspec.json.encode(document)
    return UpstreamRequest("POST", path, (*authorize(target), JSON), encoded, dropped=losses.found)


# Vendor to OpenAI


def error(response: UpstreamResponse) -> UpstreamError:
    """Read `{"error": "…"}`, or OpenAI's form of it."""
    return failures.upstream_error(response.status, words(response), response.headers)


def _response(response: UpstreamResponse, created: int) -> Response:
    """Translate a whole answer.

    Raises:
        UpstreamBadResponse: it cannot be read.
        UpstreamTruncated: it is not done.
        UpstreamError: it is an error in a 200.
    """
    found = read(response.body, LINE)
    if found.error is not None:
        raise failed(found.error, found.status_code)
    if not found.done:
        raise UpstreamTruncated("the provider's answer is not done")
    message, calls = found.message or Message(), found.calls()
    thinking = message.thinking or None
    reply = Reply(
        _finish(found, called=bool(calls)),
        text=message.content if message.content or not calls else None,
        reasoning=thinking,
        tool_calls=calls,
        memory=_memory(calls[0].id if calls else "", thinking or ""),
        logprobs=_likelihoods(found),
    )
    return completion(found.answer_id(), found.model, created, [reply], found.usage())


def _finish(line: Line, *, called: bool) -> str:
    reason = FINISH_REASONS.get(line.done_reason or "", "stop")
    return "tool_calls" if called and reason == "stop" else reason


def _memory(call_id: str, thinking: str) -> dict[str, bytes]:
    return {call_id: msgspec.json.encode(Memory(thinking))} if call_id and thinking else {}


def _likelihoods(line: Line) -> dict[str, Any] | None:
    return {"content": [each.document() for each in line.logprobs]} if line.logprobs else None


def _vectors(response: UpstreamResponse, created: int) -> Response:
    """Translate embeddings.

    Raises:
        UpstreamBadResponse: they cannot be read.
        UpstreamError: it is an error in a 200.
    """
    found = read(response.body, VECTORS)
    if found.error is not None:
        raise failed(found.error, None)
    if found.embeddings is None:
        raise UpstreamBadResponse("the provider sent no embeddings")
    tokens = found.prompt_eval_count
    response = response._replace(model=found.model or response.model)
    return embeddings(response, found.embeddings, None if tokens is None else Usage(tokens))


def _listed(response: UpstreamResponse, created: int) -> Response:
    """Translate the list of models that are there.

    Raises:
        UpstreamBadResponse: it cannot be read.
    """
    data = [
        {
            "id": model.model or model.name,
            "object": "model",
            "created": _seconds(model.modified_at),
            "owned_by": "library",
        }
        for model in read(response.body, MODELS).models
    ]
    return Response(msgspec.json.encode({"object": "list", "data": data}))


def _seconds(moment: str) -> int:
    """Return Unix seconds of a time such as "2025-08-20T13:47:53.39+02:00"; 0 if it is odd."""
    found = _MOMENT.fullmatch(moment)
    if found is None:
        return 0
    sign, hours, minutes = found[7] or "+", int(found[8] or 0), int(found[9] or 0)
    ahead_s = (hours * 60 + minutes) * (-60 if sign == "-" else 60)
    return timegm(tuple(int(found[part]) for part in range(1, 7))) - ahead_s


class Stream:
    """A line per piece: thoughts, then text or calls; `done` ends them."""

    __slots__ = ("_calls", "_chunks", "_created", "_thoughts", "ended", "last", "memory", "usage")

    def __init__(self, created: int, model: str = "", answer_id: str = "") -> None:
        self.usage: Usage | None = None
        self.last = DONE
        self.memory: dict[str, bytes] = {}
        self.ended = False
        self._created = created
        self._chunks: Chunks | None = None
        self._calls: list[str] = []
        self._thoughts: list[str] = []

    def feed(self, event: Event) -> Sequence[Chunk]:
        """Take one line and return the chunks it gives.

        Raises:
            UpstreamBadResponse: the line cannot be read.
            UpstreamError: it is an error.
        """
        if not event.data or self.ended:
            return ()
        line = read(event.data, LINE)
        if line.error is not None:
            raise failed(line.error, line.status_code)
        made: list[Chunk] = []
        if self._chunks is None:
            self._chunks = Chunks(line.answer_id(), line.model, self._created)
            made.append(self._chunks.role())
        if line.message is not None:
            made += self._said(line.message, self._chunks)
            made += self._called(line, self._chunks)
        if line.logprobs:
            made.append(self._chunks.logprobs(_likelihoods(line) or {}))
        if line.done:
            made += self._done(line, self._chunks)
        return made

    def close(self) -> Sequence[Chunk]:
        """Take the end of the stream.

        Raises:
            UpstreamTruncated: no line said that it is done.
        """
        if not self.ended:
            raise UpstreamTruncated("the provider's stream ended before its end marker")
        return ()

    def _said(self, message: Message, chunks: Chunks) -> Iterator[Chunk]:
        if message.thinking:
            self._thoughts.append(message.thinking)
            yield chunks.reasoning(message.thinking)
        if message.content:
            yield chunks.text(message.content)

    def _called(self, line: Line, chunks: Chunks) -> Iterator[Chunk]:
        for call in line.calls(len(self._calls)):
            number = len(self._calls)
            self._calls.append(call.id)
            yield chunks.call(number, call.id, call.function.name)
            yield chunks.arguments(number, call.function.arguments)

    def _done(self, line: Line, chunks: Chunks) -> Iterator[Chunk]:
        self.memory = _memory(self._calls[0] if self._calls else "", "".join(self._thoughts))
        yield chunks.finish(_finish(line, called=bool(self._calls)))
        self.usage, self.ended = line.usage(), True
        if self.usage is not None:
            yield chunks.usage(self.usage)


operations = {
    "chat": Operation(_chat, _response, Stream, JSONLines, media=image_urls),
    "completions": Operation(_completions, generating.response, generating.Stream, JSONLines),
    "embeddings": Operation(_embeddings, _vectors, None, JSONLines),
    "models": Operation(_models, _listed, None, JSONLines),
}
