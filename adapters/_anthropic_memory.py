"""What an answer of Claude held that OpenAI's message cannot hold, kept and put back.

Kept are the blocks of the answer, in their order and to the byte, under the id of its first
tool call: signatures cover thoughts as they were written, and searches come back encrypted.

Source: https://platform.claude.com/docs/en/build-with-claude/preserved-thinking (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from proxy.chat import Message, ToolCall

Recall = Callable[[str], bytes | None]

_SIGNED = {"thinking": "signature", "redacted_thinking": "data"}
_DIRECT = "direct"


class _Caller(msgspec.Struct):
    type: str | None = None


class _Seen(msgspec.Struct):
    """What decides whether a block is kept, and whether it is still the client's."""

    type: str = ""
    id: str | None = None
    name: str | None = None
    text: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"{}")
    caller: _Caller | None = None
    toolset_name: str | None = None


_BLOCKS = msgspec.json.Decoder(list[msgspec.Raw])
_SEEN = msgspec.json.Decoder(_Seen)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ANY = msgspec.json.Decoder()


def kept(blocks: Sequence[bytes | msgspec.Raw], call_ids: Sequence[str]) -> dict[str, bytes]:
    """Return what to remember of an answer; nothing where the client gets all of it."""
    if not call_ids or all(_is_plain(_SEEN.decode(block)) for block in blocks):
        return {}
    return {call_ids[0]: b"[%b]" % b",".join(bytes(block) for block in blocks)}


def restored(message: Message, recall: Recall) -> list[dict[str, Any]] | None:
    """Return an answer as it was; None where nothing was kept or the client changed it."""
    calls = message.tool_calls or []
    found = _recalled(calls, recall)
    if found is None:
        return None
    seen = [each for each, _ in found]
    text = "".join(each.text or "" for each in seen if each.type == "text")
    if text.strip() != message.text.strip():
        return None
    ours = [_call(e.id, e.name, bytes(e.input)) for e in seen if e.type == "tool_use"]
    theirs = [_call(c.id, c.function.name, c.function.arguments.encode()) for c in calls]
    if ours != theirs:
        return None
    return [members for _, members in found]


def thoughts(message: Message, recall: Recall) -> list[dict[str, Any]]:
    """Return the signed thoughts of an answer: those the client sent back, else those kept."""
    given = [_signed(block) for block in message.thinking_blocks or ()]
    if any(given):
        return [block for block in given if block is not None]
    found = _recalled(message.tool_calls or [], recall) or []
    return [members for seen, members in found if seen.type in _SIGNED]


def name_of(block: dict[str, Any]) -> str:
    """Return the name of a call, whether translated, put back or written by the client."""
    name = block.get("name") or ""
    return str(_ANY.decode(name)) if isinstance(name, msgspec.Raw) else str(name)


def _is_plain(block: _Seen) -> bool:
    if block.type == "tool_use":
        direct = block.caller is None or block.caller.type in (None, _DIRECT)
        return direct and block.toolset_name is None
    return block.type == "text"


def _recalled(calls: Iterable[ToolCall], recall: Recall) -> list[Any] | None:
    """Return kept blocks, read and as they were; None where none are, or another vendor's."""
    for call in calls:
        data = recall(call.id)
        if data is None:
            continue
        try:
            found = [_read(raw) for raw in _BLOCKS.decode(data)]
        except msgspec.MsgspecError:
            return None
        return found if any(seen.id == call.id for seen, _ in found) else None
    return None


def _read(raw: msgspec.Raw) -> tuple[_Seen, dict[str, Any]]:
    """Return a block twice: what we know of it, and all its members, undecoded but the type."""
    seen = _SEEN.decode(raw)
    members: dict[str, Any] = {**_MEMBERS.decode(raw), "type": seen.type}
    return seen, members


def _call(call_id: str | None, name: str | None, arguments: bytes) -> tuple[Any, ...]:
    try:
        given = _ANY.decode(arguments or b"{}")
    except msgspec.MsgspecError:
        given = arguments
    return (call_id, name, given or {})


def _signed(block: dict[str, Any]) -> dict[str, Any] | None:
    """Return a thought if the vendor signed it: others it refuses."""
    kind = block.get("type")
    proof = _SIGNED.get(kind) if isinstance(kind, str) else None
    if proof is None or not block.get(proof):
        return None
    if kind == "thinking":
        thinking, signature = block.get("thinking") or "", block[proof]
        return {"type": kind, "thinking": thinking, "signature": signature}
    return {"type": kind, "data": block[proof]}
