"""A chat request as Ollama's own API takes it.

Source: https://docs.ollama.com/api/chat (2026-11-21)
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from adapters._turns import Losses, Turn, demanded, inline, recalled, text_of, turns
from proxy.adapter import Target
from proxy.chat import Part, ResponseFormat, ToolCall, unsupported
from proxy.errors import InvalidRequest
from proxy.wire import Request

OPTIONS: Mapping[str, str] = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "seed": "seed",
    "stop": "stop",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "repeat_penalty": "repeat_penalty",
    "num_ctx": "num_ctx",
    "max_tokens": "num_predict",
    "max_completion_tokens": "num_predict",
}
"""Members of a request to the model's options; of two for one the later holds."""

_SAME = ("logprobs", "top_logprobs", "think", "keep_alive", "truncate", "shift")
OURS = ("think", "keep_alive", "truncate", "shift")
"""Options of the provider that are members of a request; all others are options of the model."""

_THINK: Mapping[str, bool | str] = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "max",
}
_NOT_IN_ADVANCE = "Ollama does not bind the model to a choice of tools"


class Memory(msgspec.Struct):
    """What a model thought before its calls, as it is kept for clients that drop it."""

    thinking: str = ""


_MEMORY = msgspec.json.Decoder(Memory)


def body(request: Request, target: Target, losses: Losses) -> dict[str, Any]:
    """Return what is sent; what is not goes to `losses`.

    Raises:
        InvalidRequest: the messages cannot be read, or an image of them is missing.
    """
    losses.found += unsupported(request, _KNOWN, "not a parameter of Ollama's chat API")
    sent: dict[str, Any] = {
        "model": target.model,
        "messages": list(_messages(turns(request), target, losses)),
        "stream": request.stream,
        **{name: target.options[name] for name in OURS if name in target.options},
    }
    for name in _SAME:
        value = request.raw(name)
        if value is not None and value != b"null":
            sent[name] = msgspec.Raw(value)
    effort = request.get("reasoning_effort", str)
    if effort and "think" not in request:
        sent["think"] = _THINK.get(effort, effort)
    options = model_options(request, target)
    if options:
        sent["options"] = options
    _tools(request, sent, losses)
    _format(request, sent)
    return sent


def model_options(request: Request, target: Target) -> dict[str, Any]:
    """Return the options of the model: the provider's, the request's, its own `options`."""
    options = {name: value for name, value in target.options.items() if name not in OURS}
    for name, theirs in OPTIONS.items():
        value = request.raw(name)
        if value is not None and value != b"null":
            options[theirs] = msgspec.Raw(value)
    stop = options.get("stop")
    if isinstance(stop, msgspec.Raw) and bytes(stop).startswith(b'"'):
        options["stop"] = [stop]
    return options | (request.get("options", dict[str, msgspec.Raw]) or {})


def image_urls(request: Request) -> Sequence[str]:
    """Return the URLs of images, which Ollama does not fetch.

    Raises:
        InvalidRequest: the messages cannot be read.
    """
    parts = (part for turn in turns(request) for part in _parts(turn) if part.image_url)
    urls = (part.image_url.url for part in parts if part.image_url)
    return [url for url in urls if url.startswith(("http:", "https:"))]


# Messages


def _messages(given: Sequence[Turn], target: Target, losses: Losses) -> Iterator[dict[str, Any]]:
    names: dict[str, str] = {}
    for turn in given:
        names.update((call.id, call.function.name) for call in turn.tool_calls or ())
        if turn.name and turn.role != "tool":
            losses.add("messages[].name", "Ollama knows no names of speakers")
        said = _message(turn, target, losses)
        if turn.role == "tool":
            said["tool_call_id"] = demanded(turn.tool_call_id, "tool_call_id")
            name = turn.name or names.get(turn.tool_call_id or "")
            if name:
                said["tool_name"] = name
        yield said


def _message(turn: Turn, target: Target, losses: Losses) -> dict[str, Any]:
    said: dict[str, Any] = {"role": "system" if turn.role == "developer" else turn.role}
    texts, images = [], []
    for part in _parts(turn):
        if part.image_url:
            images.append(_image(part.image_url.url, target))
        else:
            texts.append(_text(part, losses))
    said["content"] = "\n".join(filter(None, texts)) or turn.refusal or ""
    if images:
        said["images"] = images
    if turn.role == "assistant":
        thinking = turn.thoughts or _remembered(turn, target)
        if thinking:
            said["thinking"] = thinking
        if turn.tool_calls:
            said["tool_calls"] = [_call(call, n) for n, call in enumerate(turn.tool_calls)]
    return said


def _remembered(turn: Turn, target: Target) -> str:
    """Return what was thought before a message's calls; another vendor's memory says nothing."""
    try:
        return _MEMORY.decode(recalled(turn, target) or b"{}").thinking
    except (msgspec.MsgspecError, RecursionError):
        return ""


def _parts(turn: Turn) -> Sequence[Part]:
    if not isinstance(turn.content, list):
        return [Part("text", text=turn.content)] if turn.content else []
    try:
        return [msgspec.json.decode(raw, type=Part) for raw in turn.content]
    except msgspec.MsgspecError as error:
        raise InvalidRequest(f"`messages`: {error}", param="messages") from None


def _text(part: Part, losses: Losses) -> str:
    """Return the words of a part; files of text are read, all else is lost."""
    if part.type in ("text", "refusal"):
        return part.text or part.refusal or ""
    text = text_of(part.file) if part.file else None
    if text is None:
        losses.add(f"messages[].content[].{part.type}", "Ollama takes text and images only")
        return ""
    assert part.file is not None
    return f"{part.file.filename}:\n{text}" if part.file.filename else text


def _image(url: str, target: Target) -> str:
    """Return the base64 of an image."""
    found = inline(url)
    if found is not None:
        return found.base64
    fetched = target.media.get(url)
    if fetched is None:
        raise InvalidRequest("an image is neither a data: nor an https: URL", param="messages")
    return base64.b64encode(fetched.body).decode()


def _call(call: ToolCall, number: int) -> dict[str, Any]:
    arguments = _object(call.function.arguments)
    function = {"index": number, "name": call.function.name, "arguments": arguments}
    return {"id": call.id, "function": function}


def _object(arguments: str) -> Any:
    """Return a call's arguments as the object Ollama wants, byte for byte where it is one."""
    if not arguments.strip():
        return {}
    try:
        msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError):
        return {"arguments": arguments}
    return msgspec.Raw(arguments.encode())


# Members that are written otherwise


def _tools(request: Request, sent: dict[str, Any], losses: Losses) -> None:
    """Set the tools; a model that shall call none is offered none."""
    choice = request.get("tool_choice", object)
    found = []
    for tool in request.get("tools", list[dict[str, Any]]) or ():
        if isinstance(tool.get("function"), dict):
            found.append({"type": "function", "function": _function(tool["function"])})
        else:
            losses.add("tools[]", "Ollama calls functions only")
    if not found or choice == "none":
        return
    sent["tools"] = found
    if choice not in (None, "auto"):
        losses.add("tool_choice", _NOT_IN_ADVANCE)
    if request.get("parallel_tool_calls", bool) is False:
        losses.add("parallel_tool_calls", _NOT_IN_ADVANCE)


def _function(function: Mapping[str, Any]) -> dict[str, Any]:
    described = {"description": function["description"]} if function.get("description") else {}
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    return {"name": function.get("name"), **described, "parameters": parameters}


def _format(request: Request, sent: dict[str, Any]) -> None:
    given = request.raw("format")
    if given is not None:
        sent["format"] = msgspec.Raw(given)
    wanted = request.get("response_format", ResponseFormat)
    if wanted is None or wanted.type == "text":
        return
    schema = wanted.json_schema.schema if wanted.json_schema else None
    sent["format"] = schema or "json"


_KNOWN = frozenset(
    {
        *OPTIONS,
        *_SAME,
        *("tools", "tool_choice", "parallel_tool_calls", "response_format", "format"),
        *("reasoning_effort", "options"),
    }
)
