"""A chat request as Mistral takes it: near OpenAI's, but every unknown member is an error.

Source: https://docs.mistral.ai/api/endpoint/chat (2026-11-21)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from adapters._turns import (
    Losses,
    Translate,
    Turn,
    content,
    demanded,
    inline,
    recalled,
    text_part,
    turns,
)
from proxy.adapter import Target
from proxy.chat import Part, ToolCall, unsupported
from proxy.wire import Request

_SAME = (
    "temperature",
    "top_p",
    "stop",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "metadata",
    "response_format",
    "parallel_tool_calls",
    "reasoning_effort",
    "prompt_cache_key",
    # Mistral's own
    "random_seed",
    "safe_prompt",
    "prompt_mode",
    "min_tokens",
    "repetition_penalty",
    "top_k",
    "prompt_logprobs",
    "top_prompt_logprobs",
    "guardrails",
)
_SERVICE_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}
_TOOL_CHOICES = {"required": "any"}

_ID = re.compile(r"[a-zA-Z0-9]{9}")
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class _Thought(msgspec.Struct, tag_field="type", tag="thinking", omit_defaults=True):
    """Thoughts as they are remembered; what another vendor remembers has another form."""

    thinking: list[dict[str, Any]]
    signature: str | None = None


_THOUGHTS = msgspec.json.Decoder(list[_Thought])


def body(request: Request, target: Target, losses: Losses) -> dict[str, Any]:
    """Return what is sent; what is not goes to `losses`.

    Raises:
        InvalidRequest: the messages cannot be read.
    """
    losses.found += unsupported(request, _KNOWN, "not a parameter of Mistral's chat API")
    sent: dict[str, Any] = {
        "model": target.model,
        "messages": [_message(turn, target, losses) for turn in turns(request)],
    }
    if request.stream:
        sent["stream"] = True
    for name in _SAME:
        value = request.raw(name)
        if value is not None and value != b"null":
            sent[name] = msgspec.Raw(value)
    for name, (theirs, translate) in _TRANSLATED.items():
        translated = translate(request, losses) if name in request else None
        if translated is not None:
            sent[theirs] = translated
    return sent


def call_id(given: str) -> str:
    """Return the id of a tool call as Mistral demands it: nine letters or digits.

    Ids of other vendors are replaced by a digest, so a call and its result still agree.

    Source: the API's error "Tool call id was … but must be a-z, A-Z, 0-9, with a length of 9"
    """
    if _ID.fullmatch(given):
        return given
    number, letters = int.from_bytes(sha256(given.encode()).digest()[:8]), []
    for _ in range(9):
        number, digit = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[digit])
    return "".join(letters)


def thought(text: str, signature: str | None = None) -> dict[str, Any]:
    """Return thoughts as the chunk in which Mistral gives them and wants them back."""
    chunk: dict[str, Any] = {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
    return {**chunk, "signature": signature} if signature else chunk


def remembered(chunks: list[dict[str, Any]]) -> bytes:
    """Return thoughts as they are kept for a client that may drop them."""
    return msgspec.json.encode(chunks)


# Messages


def _message(turn: Turn, target: Target, losses: Losses) -> dict[str, Any]:
    role = "system" if turn.role == "developer" else turn.role
    said: dict[str, Any] = {"role": role, "content": content(turn, _PARTS, losses)}
    if role == "tool":
        said["tool_call_id"] = call_id(demanded(turn.tool_call_id, "tool_call_id"))
        if turn.name:
            said["name"] = turn.name
        return said
    if turn.name:
        losses.add("messages[].name", "Mistral knows names of tools only")
    if role == "assistant":
        thoughts = _thoughts(turn, target)
        if thoughts:
            said["content"] = [*thoughts, *_chunks(said["content"])]
        if turn.tool_calls:
            said["tool_calls"] = [_call(call) for call in turn.tool_calls]
        if turn.prefix:
            said["prefix"] = True
    return said


def _chunks(given: Any) -> list[Any]:
    if isinstance(given, str):
        return [{"type": "text", "text": given}] if given else []
    return list(given)


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.function.name, "arguments": call.function.arguments or "{}"}
    return {"id": call_id(call.id), "type": "function", "function": function}


def _thoughts(turn: Turn, target: Target) -> Sequence[dict[str, Any] | _Thought]:
    """Return the thoughts before an answer: the client's, or those remembered for its calls."""
    if target.options.get("send_reasoning") is False:
        return []
    blocks = [block for block in turn.thinking_blocks or () if block.get("type") == "thinking"]
    if blocks:
        return [_block(block) for block in blocks]
    if turn.thoughts:
        return [thought(turn.thoughts)]
    memory = recalled(turn, target)
    try:
        return _THOUGHTS.decode(memory) if memory else []
    except msgspec.MsgspecError:
        return []  # another vendor's memory


def _block(block: Mapping[str, Any]) -> dict[str, Any]:
    text = block.get("thinking")
    if not isinstance(text, str):
        return dict(block)
    signature = block.get("signature")
    return thought(text, signature if isinstance(signature, str) else None)


def _image(part: Part, losses: Losses) -> Any:
    given = demanded(part.image_url, "image_url")
    image = {"url": given.url}
    if given.detail in ("low", "high", "auto"):
        image["detail"] = given.detail
    return {"type": "image_url", "image_url": image}


def _audio(part: Part, losses: Losses) -> Any:
    return {"type": "input_audio", "input_audio": demanded(part.input_audio, "input_audio").data}


def _file(part: Part, losses: Losses) -> Any:
    file = demanded(part.file, "file")
    if file.file_id:
        return {"type": "file", "file_id": file.file_id}
    url = demanded(file.file_data, "file_data")
    found = inline(url, "application/pdf")
    if found is not None:
        url = f"data:{found.content_type};base64,{found.base64}"
    chunk = {"type": "document_url", "document_url": url}
    return {**chunk, "document_name": file.filename} if file.filename else chunk


_PARTS: Mapping[str, Translate] = {
    "text": text_part,
    "refusal": text_part,
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
}


# Members that are called or written otherwise


def _limit(request: Request, losses: Losses) -> int | None:
    return request.get("max_completion_tokens", int) or request.get("max_tokens", int)


def _seed(request: Request, losses: Losses) -> int | None:
    return request.get("seed", int)


def _tools(request: Request, losses: Losses) -> list[Any] | None:
    """Return the tools; those without a function are Mistral's own and pass unchanged."""
    found: list[Any] = []
    for tool in request.get("tools", list[dict[str, Any]]) or ():
        function = tool.get("function")
        if tool.get("type") == "custom":
            losses.add("tools[].custom", "Mistral calls functions only")
        elif isinstance(function, dict):
            found.append({"type": "function", "function": _function(function)})
        else:
            found.append(tool)
    return found or None


def _function(function: Mapping[str, Any]) -> dict[str, Any]:
    described = {name: function[name] for name in ("description", "strict") if function.get(name)}
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    return {"name": function.get("name"), "parameters": parameters, **described}


def _tool_choice(request: Request, losses: Losses) -> Any:
    choice = request.get("tool_choice", object)
    if isinstance(choice, str):
        return _TOOL_CHOICES.get(choice, choice)
    if isinstance(choice, dict) and choice.get("type") == "function":
        return choice
    losses.add("tool_choice", "Mistral takes a mode or one function")
    return None


def _service_tier(request: Request, losses: Losses) -> str | None:
    tier = request.get("service_tier", str)
    if tier and tier not in _SERVICE_TIERS:
        losses.add("service_tier", "Mistral has the tiers auto and standard_only")
    return _SERVICE_TIERS.get(tier or "")


def _prediction(request: Request, losses: Losses) -> dict[str, Any] | None:
    prediction = request.get("prediction", dict[str, Any]) or {}
    expected = prediction.get("content") or ""
    if isinstance(expected, list):
        expected = "".join(str(part.get("text", "")) for part in expected)
    return {"type": "content", "content": expected} if expected else None


_Member = Callable[[Request, Losses], Any]

_TRANSLATED: Mapping[str, tuple[str, _Member]] = {
    "max_tokens": ("max_tokens", _limit),
    "max_completion_tokens": ("max_tokens", _limit),
    "seed": ("random_seed", _seed),
    "tools": ("tools", _tools),
    "tool_choice": ("tool_choice", _tool_choice),
    "service_tier": ("service_tier", _service_tier),
    "prediction": ("prediction", _prediction),
}
_KNOWN = frozenset({*_SAME, *_TRANSLATED})
