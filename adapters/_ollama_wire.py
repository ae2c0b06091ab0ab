"""Ollama's answers, typed.

Source: https://docs.ollama.com/api/chat (2026-11-21)
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, TypeVar

import msgspec

from adapters._openai_wire import UNREADABLE
from proxy import failures
from proxy.chat import FunctionCall, ToolCall
from proxy.errors import UpstreamBadResponse, UpstreamError, UpstreamFailed
from proxy.failures import VendorError
from proxy.wire import Usage

T = TypeVar("T")


class _Function(msgspec.Struct):
    name: str = ""
    arguments: msgspec.Raw = msgspec.Raw(b"{}")

    @property
    def text(self) -> str:
        """The arguments as JSON text; some servers have that themselves, in a string."""
        raw = bytes(self.arguments)
        if raw.startswith(b'"'):
            return _TEXT.decode(raw) or "{}"
        return "{}" if raw == b"null" else raw.decode("utf-8", "replace")


class _Call(msgspec.Struct):
    function: _Function
    id: str | None = None


class Message(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_Call] | None = None


class Likelihood(msgspec.Struct):
    token: str = ""
    logprob: float = 0.0
    bytes: list[int] | None = None
    top_logprobs: list[Likelihood] | None = None

    def document(self) -> dict[str, Any]:
        """Return it in OpenAI's form."""
        tops = [top.document() for top in self.top_logprobs or ()]
        said = {"token": self.token, "logprob": self.logprob, "bytes": self.bytes}
        return {**said, "top_logprobs": tops}


class Line(msgspec.Struct):
    """A line of a stream, or a whole answer."""

    model: str = ""
    created_at: str = ""
    message: Message | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    prompt_eval_cached_count: int | None = None
    eval_count: int | None = None
    logprobs: list[Likelihood] | None = None
    error: Any = None
    status_code: Any = None

    def usage(self) -> Usage | None:
        """Return the counts; what was cached is part of the prompt. Servers may leave both out."""
        if self.prompt_eval_count is None and self.eval_count is None:
            return None
        given = self.prompt_eval_count or 0
        cached = min(self.prompt_eval_cached_count or 0, given)
        return Usage(given, cached, self.eval_count or 0)

    def answer_id(self) -> str:
        """Return an id; Ollama gives none, but says to the nanosecond when it spoke."""
        return f"chatcmpl-{_digest(self.model, self.created_at)}"

    def calls(self, before: int = 0) -> list[ToolCall]:
        """Return the calls in it; older servers give no ids."""
        given = (self.message and self.message.tool_calls) or ()
        return [self._call(call, before + number) for number, call in enumerate(given)]

    def _call(self, call: _Call, number: int) -> ToolCall:
        arguments = call.function.text
        parts = (self.created_at, str(number), call.function.name, arguments)
        made = call.id or f"call_{_digest(*parts)}"
        return ToolCall(made, FunctionCall(call.function.name, arguments))


class Vectors(msgspec.Struct):
    embeddings: list[msgspec.Raw] | None = None
    model: str = ""
    prompt_eval_count: int | None = None
    error: Any = None


class _Model(msgspec.Struct):
    name: str = ""
    model: str = ""
    modified_at: str = ""


class Models(msgspec.Struct):
    models: list[_Model] = []


_TEXT = msgspec.json.Decoder(str)
LINE = msgspec.json.Decoder(Line)
VECTORS = msgspec.json.Decoder(Vectors)
MODELS = msgspec.json.Decoder(Models)


def failed(given: object, status: object) -> UpstreamError:
    """Return the error that stands in a 200; some servers say which status it has."""
    message = given.get("message") if isinstance(given, dict) else given
    said = VendorError(str(message or "the provider reported an error without a message"))
    if isinstance(status, int) and 400 <= status < 600:
        return failures.upstream_error(status, said)
    return UpstreamFailed(said.message)


def _digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()[:8]


def read(data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(data)
    except UNREADABLE:
        raise UpstreamBadResponse("the provider sent something we cannot read") from None
