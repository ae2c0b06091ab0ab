"""Claude's answers, typed, and what they come to in OpenAI's words.

Source: https://platform.claude.com/docs/en/api/messages (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from adapters import _anthropic_memory as memory
from proxy import failures
from proxy.chat import FunctionCall, Reply, ToolCall
from proxy.errors import UpstreamAuth, UpstreamError
from proxy.failures import VendorError
from proxy.resets import Limit
from proxy.wire import Usage

FINISH_REASONS = MappingProxyType(
    {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "pause_turn": "stop",
        "compaction": "stop",
        "tool_use": "tool_calls",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "refusal": "content_filter",
    }
)

STATUSES = MappingProxyType(
    {
        "invalid_request_error": 400,
        "authentication_error": 401,
        "billing_error": 402,
        "permission_error": 403,
        "not_found_error": 404,
        "conflict_error": 409,
        "request_too_large": 413,
        "rate_limit_error": 429,
        "api_error": 500,
        "timeout_error": 504,
        "overloaded_error": 529,
    }
)
"""What an error's type means as a status, where it comes without one.

Source: https://platform.claude.com/docs/en/api/errors (2026-11-21)
"""

MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are no answer."""

_REFUSED = "The provider's model declined to answer."
_TOO_LONG = "exceed context limit"
_ACCOUNT = ("your credit balance is too low", "you have reached your specified api usage limits")
_LIMITS = tuple(
    Limit(f"anthropic-ratelimit-{kind}-remaining", f"anthropic-ratelimit-{kind}-reset")
    for kind in ("requests", "tokens", "input-tokens", "output-tokens")
)
_ACCOUNT_CODES = frozenset(
    {
        *("contract_spend_limit_reached", "enforced_spend_limit_reached"),
        *("linked_organization_billing_unavailable", "linked_organization_spend_limit_reached"),
        "organization_on_hold",
    }
)
"""What is wrong with the operator's account, by the code beside the words, which may change."""
_EMPTY = b"{}"
_COMPACTION = "compaction"


class Creation(msgspec.Struct):
    """What was written to the cache, by how long it stays."""

    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class OutputDetails(msgspec.Struct):
    """What of the output was reasoning."""

    thinking_tokens: int | None = None


class Iteration(msgspec.Struct):
    """One of the steps an answer took; a `compaction` is in no other number."""

    type: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation: Creation | None = None

    def normal(self) -> Usage:
        """Return our own form; the vendor counts cached tokens beside the input, not in it."""
        creation = self.cache_creation or Creation()
        read = self.cache_read_input_tokens or 0
        hour = creation.ephemeral_1h_input_tokens or 0
        minutes = creation.ephemeral_5m_input_tokens or 0
        written = max(self.cache_creation_input_tokens or 0, hour + minutes)
        return Usage(
            input_tokens=(self.input_tokens or 0) + read + written,
            cached_tokens=read,
            cache_write_5m_tokens=written - hour,
            cache_write_1h_tokens=hour,
            output_tokens=self.output_tokens or 0,
        )


class Spent(Iteration):
    """The vendor's `usage`; what is absent was said before, or never."""

    output_tokens_details: OutputDetails | None = None
    iterations: list[Iteration] | None = None

    def then(self, later: Spent) -> Spent:
        """Return both: a stream's later report replaces what it repeats."""
        merged = {name: getattr(later, name) for name in self.__struct_fields__}
        return msgspec.structs.replace(
            self, **{name: value for name, value in merged.items() if value is not None}
        )

    def normal(self) -> Usage:
        """Return our own form, with what the vendor spent on making the conversation shorter."""
        details = self.output_tokens_details or OutputDetails()
        usage = msgspec.structs.replace(
            super().normal(), reasoning_tokens=details.thinking_tokens or 0
        )
        for step in self.iterations or ():
            if step.type == _COMPACTION:
                usage = _sum(usage, step.normal())
        return usage


def _sum(one: Usage, other: Usage) -> Usage:
    names = (
        *("input_tokens", "cached_tokens", "output_tokens"),
        *("cache_write_5m_tokens", "cache_write_1h_tokens"),
    )
    both = {name: getattr(one, name) + getattr(other, name) for name in names}
    return msgspec.structs.replace(one, **both)


class Citation(msgspec.Struct):
    """Where a passage comes from: a page of the web, or a place in a document."""

    type: str = ""
    url: str | None = None
    source: str | None = None
    title: str | None = None
    cited_text: str | None = None
    document_index: int | None = None
    document_title: str | None = None
    start_char_index: int | None = None
    end_char_index: int | None = None
    start_page_number: int | None = None
    end_page_number: int | None = None
    start_block_index: int | None = None
    end_block_index: int | None = None

    def annotation(self, start: int, end: int) -> dict[str, Any]:
        """Return OpenAI's annotation of the text from `start` to `end`.

        OpenAI knows URLs only: a place in a document is told as "document:0#page=3-4".
        """
        return {
            "type": "url_citation",
            "url_citation": {
                "start_index": start,
                "end_index": end,
                "title": self.title or self.document_title or "",
                "url": self.url or self.source or self._place(),
                "cited_text": self.cited_text,
            },
        }

    def _place(self) -> str:
        for name, first, last in (
            ("page", self.start_page_number, self.end_page_number),
            ("char", self.start_char_index, self.end_char_index),
            ("block", self.start_block_index, self.end_block_index),
        ):
            if first is not None:
                return f"document:{self.document_index or 0}#{name}={first}-{last}"
        return f"document:{self.document_index or 0}"


class Block(msgspec.Struct):
    """A block of an answer, of whatever type."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw(_EMPTY)
    citations: list[Citation] | None = None


class StopDetails(msgspec.Struct):
    """Why the vendor stopped."""

    explanation: str | None = None


class ErrorBody(msgspec.Struct):
    """The vendor's words for what went wrong, and in `details` its code for programs."""

    type: str | None = None
    message: str | None = None
    details: Any = None

    @property
    def is_the_accounts(self) -> bool:
        """Whether it is about the operator's account rather than this request."""
        code = self.details.get("error_code") if isinstance(self.details, dict) else None
        said = (self.message or "").lower()
        worded = said.startswith(_ACCOUNT)  # behind the beginning it may quote the client
        return self.type == "billing_error" or code in _ACCOUNT_CODES or worded


class Answer(msgspec.Struct):
    """A whole answer; or an error in its place."""

    type: str | None = None
    id: str | None = None
    model: str | None = None
    content: list[msgspec.Raw] | None = None
    stop_reason: str | None = None
    stop_details: StopDetails | None = None
    usage: Spent | None = None
    error: ErrorBody | None = None


_BLOCK = msgspec.json.Decoder(Block)


def finish(stop_reason: str | None, called: bool) -> str:
    """Return OpenAI's word for why the answer ended; `called`: the client has calls to make."""
    reason = FINISH_REASONS.get(stop_reason or "", "tool_calls" if called else "stop")
    return "stop" if reason == "tool_calls" and not called else reason


def refusal(stop_reason: str | None, details: StopDetails | None) -> str | None:
    """Return the vendor's words for a refusal; None if it is none."""
    if stop_reason != "refusal":
        return None
    return (details and details.explanation) or _REFUSED


def arguments(raw: bytes) -> str:
    """Return a call's input as the JSON text that clients expect."""
    return (_EMPTY if raw in (b"null", b"") else raw).decode()


def thought(block: Block) -> dict[str, Any]:
    """Return a block of thinking as it must be sent back."""
    if block.type == "thinking":
        signature = block.signature or ""
        return {"type": "thinking", "thinking": block.thinking or "", "signature": signature}
    return {"type": "redacted_thinking", "data": block.data or ""}


class _Reading:
    """What the blocks of one answer come to; tools that the vendor ran are no calls."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.length = 0
        self.thoughts: list[dict[str, Any]] = []
        self.calls: list[ToolCall] = []
        self.annotations: list[dict[str, Any]] = []

    def take(self, block: Block) -> None:
        if block.type == "text":
            self._take_text(block)
        elif block.type == "tool_use":
            function = FunctionCall(block.name or "", arguments(bytes(block.input)))
            self.calls.append(ToolCall(block.id or "", function))
        elif block.type in ("thinking", "redacted_thinking"):
            self.thoughts.append(thought(block))

    def _take_text(self, block: Block) -> None:
        text, start = block.text or "", self.length
        self.text.append(text)
        self.length += len(text)
        for citation in block.citations or ():
            self.annotations.append(citation.annotation(start, self.length))


def reply(answer: Answer) -> Reply:
    """Return what an answer comes to.

    Raises:
        msgspec.MsgspecError: a block is none.
    """
    reading, content = _Reading(), answer.content or []
    for raw in content:
        reading.take(_BLOCK.decode(raw))
    return Reply(
        finish(answer.stop_reason, bool(reading.calls)),
        text="".join(reading.text) or None,
        refusal=refusal(answer.stop_reason, answer.stop_details),
        reasoning="".join(each.get("thinking", "") for each in reading.thoughts) or None,
        thinking_blocks=reading.thoughts,
        tool_calls=reading.calls,
        annotations=reading.annotations,
        memory=memory.kept(content, [call.id for call in reading.calls]),
    )


def failed(
    status: int | None, said: ErrorBody, headers: Sequence[tuple[str, str]] = ()
) -> UpstreamError:
    """Return the error for the vendor's words; `status` is None in a 200 and in a stream."""
    if status is None:
        status = STATUSES.get(said.type or "", 500)
    message = said.message or said.type or "the provider reported an error without a message"
    if said.is_the_accounts:
        # The operator's bill is none of the client's business; another provider may serve it.
        refused = UpstreamAuth("the provider refused the gateway's account", upstream_status=status)
        refused.failure = "quota"
        return refused
    code = "context_length_exceeded" if _TOO_LONG in message else None
    return failures.upstream_error(status, VendorError(message, said.type, code), headers, _LIMITS)
