"""A chat request as Cohere's second API takes it.

Source: https://docs.cohere.com/reference/chat (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from adapters._cohere_schema import plain
from adapters._turns import (
    Losses,
    Translate,
    Turn,
    content,
    demanded,
    recalled,
    text_of,
    text_part,
    turns,
)
from proxy.adapter import Target
from proxy.chat import Part, unsupported
from proxy.wire import Request

_SAME: Mapping[str, str] = {
    "temperature": "temperature",
    "top_p": "p",
    "top_k": "k",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    # Cohere's own
    "p": "p",
    "k": "k",
    "stop_sequences": "stop_sequences",
    "citation_options": "citation_options",
    "safety_mode": "safety_mode",
    "strict_tools": "strict_tools",
    "thinking": "thinking",
    "priority": "priority",
}
_TOOL_CHOICES = {"required": "REQUIRED", "none": "NONE"}
_THINKS = {"none": "disabled"}
_FORMAT_ALONE = "Cohere formats answers only where there are neither tools nor documents"


class Memory(msgspec.Struct, omit_defaults=True):
    """What a model said before its calls, as it wants it back."""

    tool_plan: str = ""
    thinking: str = ""

    def encoded(self, call_id: str) -> dict[str, bytes]:
        """Return what to remember for the message that begins with this call."""
        return {call_id: msgspec.json.encode(self)} if call_id and self != Memory() else {}


_MEMORY = msgspec.json.Decoder(Memory)


def body(request: Request, target: Target, losses: Losses) -> dict[str, Any]:
    """Return what is sent; what is not goes to `losses`.

    Raises:
        InvalidRequest: the messages cannot be read.
    """
    losses.found += unsupported(request, _KNOWN, "not a parameter of Cohere's chat API")
    sent: dict[str, Any] = {"model": target.model, "messages": [], "stream": request.stream}
    files: list[Any] = []
    table = {**_PARTS, "file": _Files(files).take}
    for turn in turns(request):
        sent["messages"].append(_message(turn, table, target, losses))
    files += request.get("documents", list[Any]) or ()
    if files:
        sent["documents"] = files
    for name, theirs in _SAME.items():
        value = request.raw(name)
        if value is not None and value != b"null":
            sent[theirs] = msgspec.Raw(value)
    for member in _MEMBERS:
        member(request, sent, losses)
    return sent


# Messages


def _message(
    turn: Turn, table: Mapping[str, Translate], target: Target, losses: Losses
) -> dict[str, Any]:
    if turn.name:
        losses.add("messages[].name", "Cohere knows no names of speakers")
    said: dict[str, Any] = {"role": "system" if turn.role == "developer" else turn.role}
    said["content"] = content(turn, table, losses)
    if turn.role == "tool":
        said["tool_call_id"] = demanded(turn.tool_call_id, "tool_call_id")
    if turn.role == "assistant":
        _answered(said, turn, target)
    return said


def _answered(said: dict[str, Any], turn: Turn, target: Target) -> None:
    """Put calls and thoughts into a message of the model."""
    memory = _memory(turn, target)
    if turn.tool_calls:
        said["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.function.name,
                    "arguments": call.function.arguments or "{}",
                },
            }
            for call in turn.tool_calls
        ]
    if memory.tool_plan:
        said["tool_plan"] = memory.tool_plan
    if memory.thinking:
        text = said["content"]
        chunks = [{"type": "text", "text": text}] if text and isinstance(text, str) else text or []
        said["content"] = [{"type": "thinking", "thinking": memory.thinking}, *chunks]
    if not said["content"]:
        del said["content"]


def _memory(turn: Turn, target: Target) -> Memory:
    """Return what was thought before an answer: as remembered for its calls, or as sent back.

    Thoughts before calls are a plan unless we know better.
    """
    found = recalled(turn, target)
    try:
        if found is not None:
            return _MEMORY.decode(found)
    except msgspec.MsgspecError:
        pass  # another vendor's memory
    if turn.tool_calls:
        return Memory(tool_plan=turn.tool_plan or turn.thoughts)
    return Memory(thinking=turn.thoughts)


def _image(part: Part, losses: Losses) -> Any:
    given = demanded(part.image_url, "image_url")
    image = {"url": given.url}
    if given.detail in ("low", "high", "auto"):
        image["detail"] = given.detail
    return {"type": "image_url", "image_url": image}


def _audio(part: Part, losses: Losses) -> Any:
    losses.add("messages[].content[].input_audio", "Cohere's chat takes no audio")


_PARTS: Mapping[str, Translate] = {
    "text": text_part,
    "refusal": text_part,
    "image_url": _image,
    "input_audio": _audio,
}


class _Files:
    """Takes files of text out of messages: to Cohere they are documents it may cite."""

    def __init__(self, documents: list[Any]) -> None:
        self._documents = documents

    def take(self, part: Part, losses: Losses) -> Any:
        """Take one file; others than text are lost."""
        file = demanded(part.file, "file")
        text = text_of(file)
        if text is None:
            losses.add("messages[].content[].file", "Cohere's chat takes files of text only")
            return
        title = file.filename or f"file {len(self._documents) + 1}"
        number = len(self._documents)
        self._documents.append({"id": f"file:{number}", "data": {"title": title, "text": text}})


# Members that are written otherwise


def _limit(request: Request, sent: dict[str, Any], losses: Losses) -> None:
    limit = request.get("max_completion_tokens", int) or request.get("max_tokens", int)
    if limit:
        sent["max_tokens"] = limit


def _stop(request: Request, sent: dict[str, Any], losses: Losses) -> None:
    stop = request.get("stop", object)
    if stop:
        sent["stop_sequences"] = [stop] if isinstance(stop, str) else stop


def _tools(request: Request, sent: dict[str, Any], losses: Losses) -> None:
    """Set the tools; to insist on one of them is to offer no other."""
    wanted = _wanted(request.get("tool_choice", object))
    found = []
    for tool in request.get("tools", list[dict[str, Any]]) or ():
        function = tool.get("function")
        if not isinstance(function, dict):
            losses.add("tools[]", "Cohere calls functions only")
        elif wanted in (None, function.get("name")):
            found.append(_tool(function))
            if function.get("strict"):
                sent["strict_tools"] = True
    if found:
        sent["tools"] = found
        _choice(request, sent, losses)


def _choice(request: Request, sent: dict[str, Any], losses: Losses) -> None:
    choice = request.get("tool_choice", object)
    mode = "REQUIRED" if _wanted(choice) is not None else _TOOL_CHOICES.get(str(choice))
    if mode:
        sent["tool_choice"] = mode
    elif isinstance(choice, dict):
        losses.add("tool_choice", "Cohere takes a mode or one function")
    if request.get("parallel_tool_calls", bool) is False:
        losses.add("parallel_tool_calls", "Cohere decides how many tools it calls at once")


def _wanted(choice: object) -> object:
    """Return the function that `tool_choice` insists on, or None."""
    function = choice.get("function") if isinstance(choice, dict) else None
    return function.get("name") if isinstance(function, dict) else None


def _tool(function: Mapping[str, Any]) -> dict[str, Any]:
    described = {"description": function["description"]} if function.get("description") else {}
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    named = {"name": function.get("name"), **described, "parameters": parameters}
    return {"type": "function", "function": named}


def _format(request: Request, sent: dict[str, Any], losses: Losses) -> None:
    """Set the form of the answer, from OpenAI's way to say it or Cohere's own."""
    wanted = request.get("response_format", dict[str, Any]) or {}
    kind, schema = wanted.get("type", "text"), wanted.get("json_schema")
    if kind == "text":
        return
    if "tools" in sent or "documents" in sent:
        losses.add("response_format", _FORMAT_ALONE)
        return
    sent["response_format"] = {"type": "json_object"}
    if kind == "json_schema" and isinstance(schema, dict):
        schema = schema.get("schema")
    if isinstance(schema, dict) and schema:
        sent["response_format"]["json_schema"], missing = plain(schema)
        if missing:
            said = f"Cohere does not enforce {', '.join(missing)}"
            losses.add("response_format.json_schema", said)


def _effort(request: Request, sent: dict[str, Any], losses: Losses) -> None:
    effort = request.get("reasoning_effort", str)
    if effort and "thinking" not in sent:
        sent["thinking"] = {"type": _THINKS.get(effort, "enabled")}


_MEMBERS: tuple[Callable[[Request, dict[str, Any], Losses], None], ...] = (
    _limit,
    _stop,
    _tools,
    _format,
    _effort,
)
_KNOWN = frozenset(
    {
        *_SAME,
        *("max_tokens", "max_completion_tokens", "stop", "tools", "tool_choice"),
        *("parallel_tool_calls", "response_format", "reasoning_effort", "documents"),
    }
)
