"""What the model said, in the form clients know: common to whole answers and to streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from adapters import _bedrock_wire as wire
from proxy.chat import FunctionCall, Reply, ToolCall
from proxy.errors import UpstreamFailed

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "content_filter",
}
MALFORMED = frozenset({"malformed_model_output", "malformed_tool_use"})
"""Reasons to stop that leave nothing a client could use."""


def reply(answer: wire.Answer) -> Reply:
    """Gather the blocks of an answer; calls that the service answers itself are left out."""
    text, thoughts = "", ""
    annotations: list[dict[str, Any] | None] = []
    images: list[dict[str, Any] | None] = []
    calls: list[ToolCall] = []
    blocks: list[dict[str, Any]] = []
    for block in answer.blocks:
        text += block.text or ""
        if (cited := block.citations_content) is not None:
            start, text = len(text), text + cited.text
            annotations += [c.annotation(start, len(text)) for c in cited.citations or ()]
        if block.reasoning_content is not None:
            reasoning = block.reasoning_content.reasoning_text or wire.ReasoningText()
            thoughts += reasoning.text or ""
            blocks += thinking(
                reasoning.text or "",
                reasoning.signature or "",
                block.reasoning_content.redacted_content or "",
            )
        if block.image is not None:
            images.append(block.image.document())
        use = block.tool_use
        if use is not None and use.type != wire.SERVER_TOOL:
            call_id = use.tool_use_id or f"call_{len(calls)}"
            calls.append(ToolCall(call_id, FunctionCall(use.name or "", use.arguments)))
    return Reply(
        finish(answer.stop_reason, called=bool(calls)),
        text=text or None,
        reasoning=thoughts or None,
        thinking_blocks=blocks,
        tool_calls=calls,
        annotations=[found for found in annotations if found],
        images=[found for found in images if found],
        memory=memory(blocks, calls[0].id if calls else None),
    )


def thinking(text: str, signature: str, redacted: str) -> list[dict[str, Any]]:
    """Return the blocks a client sends back; thoughts without a signature prove nothing."""
    if redacted:
        return [{"type": "redacted_thinking", "data": redacted}]
    return [{"type": "thinking", "thinking": text, "signature": signature}] if signature else []


def memory(blocks: Sequence[dict[str, Any]], call_id: str | None) -> dict[str, bytes]:
    """Return what must come back before the calls, for clients that do not keep it."""
    return {call_id: msgspec.json.encode(blocks)} if blocks and call_id else {}


def finish(reason: str | None, *, called: bool) -> str:
    """Return OpenAI's reason.

    Raises:
        UpstreamFailed: the model's answer is of no use.
    """
    if reason in MALFORMED:
        raise UpstreamFailed(f"the model's answer is not what it should be ({reason})")
    found = FINISH_REASONS.get(reason or "", "stop")
    if found in ("stop", "tool_calls"):
        return "tool_calls" if called else "stop"
    return found
