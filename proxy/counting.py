"""Counting tokens: OpenAI's request for a count, as the chat request that would be sent.

`POST /v1/responses/input_tokens` is asked in the words of the Responses API; vendors count what
their own chat takes. So the input becomes messages, an adapter builds its chat request of them,
and of that it sends what its vendor counts. A request that has chat `messages` is taken as well.

What only shapes an answer is left out before: the count is the same without it, and it must not
be told as lost. Names of what is lost are the client's: `input[2].content[0]`, not a message's.

Source: https://developers.openai.com/api/docs/guides/token-counting and
https://platform.openai.com/docs/api-reference/responses/input-tokens (2026-11-21)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec

from proxy.adapter import Dropped, Operation, Target, UpstreamRequest, UpstreamResponse
from proxy.errors import InvalidRequest, UpstreamBadResponse
from proxy.framing import SSE
from proxy.wire import Request, Response

T = TypeVar("T")
Item = dict[str, Any]
Build = Callable[[Request, Target], UpstreamRequest]
Links = Callable[[Request], Sequence[str]]
Read = Callable[[UpstreamResponse, int], Response]

_OUTPUT = frozenset(
    {
        *("background", "frequency_penalty", "include", "logit_bias", "logprobs", "max_tokens"),
        *("max_completion_tokens", "max_output_tokens", "max_tool_calls", "metadata", "n"),
        *("moderation", "prediction", "presence_penalty", "prompt_cache_key"),
        *("prompt_cache_options", "prompt_cache_retention", "safety_identifier", "seed"),
        *("service_tier", "stop", "store", "stream", "stream_options", "temperature"),
        *("top_k", "top_logprobs", "top_p", "truncation", "user", "verbosity"),
    }
)
"""Members that have no part in the prompt."""

_OURS = frozenset({"input", "instructions", "reasoning", "text", "tool_choice", "tools"})
"""Members of the Responses API that are written anew; all others pass as they came."""

_ELSEWHERE = {
    "conversation": "conversations are kept by their vendor alone: send the items",
    "previous_response_id": "responses are kept by their vendor alone: send the items",
    "prompt": "prompts are kept by their vendor alone: send their text",
}
_NO_ITEM = "an item that only its vendor knows"
_NO_THOUGHTS = "thoughts are counted only where they were thought"
_NO_PICTURE = "pictures are counted by `image_url`"
_NAMES = (
    (re.compile(r"^tools\[(\d+)\]\.function\b"), r"tools[\1]"),
    (re.compile(r"^response_format(\.json_schema)?\b"), "text.format"),
    (re.compile(r"^reasoning_effort$"), "reasoning.effort"),
    (re.compile(r"^messages$"), "input"),
)
"""Places in a chat request by their names in the Responses API."""

_INPUT: Any = str | list[Item]
_CHOICE: Any = str | Item
_MESSAGE = re.compile(r"^messages\[(\d+)\]")
_NUMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Countable:
    """A request for a count, as one for a chat.

    Attributes:
        chat: what an adapter's builder takes.
        dropped: what of the client's request is not in it.
    """

    def __init__(self, request: Request) -> None:
        """Translate `request`.

        Raises:
            InvalidRequest: it has no input, two of them, or one that cannot be read.
        """
        self.dropped: list[Dropped] = []
        self._places: list[str] | None = None
        kept = {
            name: msgspec.Raw(request.raw(name) or b"null")
            for name in request.names()
            if name not in _OUTPUT
        }
        if "messages" not in request:
            kept = self._translated(request, kept)
        elif "input" in request:
            raise InvalidRequest("send `input` or `messages`, not both", param="messages")
        self.chat = Request(msgspec.json.encode(kept | {"model": request.model}))

    def name(self, name: str) -> str:
        """Return what the client calls a place in the chat request."""
        if self._places is None:
            return name
        found = _MESSAGE.match(name)
        if found is not None and int(found[1]) < len(self._places):
            return self._places[int(found[1])] + name[found.end() :]
        for pattern, theirs in _NAMES:
            name = pattern.sub(theirs, name)
        return name

    def _translated(self, request: Request, given: Mapping[str, Any]) -> dict[str, Any]:
        kept = {name: raw for name, raw in given.items() if name not in (*_OURS, *_ELSEWHERE)}
        for name, reason in _ELSEWHERE.items():
            if request.raw(name) not in (None, b"null"):
                self.dropped.append(Dropped(name, reason))
        talk = _Talk(request, self.dropped)
        self._places = talk.places
        kept["messages"] = talk.messages
        tools = request.get("tools", list[Item])
        if tools:
            kept["tools"] = [_tool(tool) for tool in tools]
        choice = request.get("tool_choice", _CHOICE)
        if choice is not None:
            kept["tool_choice"] = _choice(choice)
        form = (request.get("text", Item) or {}).get("format")
        if isinstance(form, dict):
            kept["response_format"] = _form(form)
        effort = (request.get("reasoning", Item) or {}).get("effort")
        if effort is not None:
            kept["reasoning_effort"] = effort
        return kept


# Items to messages


class _Talk:
    """The input, message by message.

    Attributes:
        places: what the client calls each message.
    """

    def __init__(self, request: Request, dropped: list[Dropped]) -> None:
        self.messages: list[Item] = []
        self.places: list[str] = []
        self._dropped = dropped
        instructions = request.get("instructions", str)
        if instructions:
            self._add("instructions", {"role": "system", "content": instructions})
        given = request.get("input", _INPUT)
        if isinstance(given, str):
            self._add("input", {"role": "user", "content": given})
        for index, item in enumerate(given if isinstance(given, list) else ()):
            take = _ITEMS.get(item.get("type") or "message", _Talk._foreign)
            take(self, f"input[{index}]", item)
        if not self.messages:
            raise InvalidRequest("`input` is missing", param="input")

    def _message(self, place: str, item: Item) -> None:
        content = self._content(f"{place}.content", item.get("content"))
        said = {"role": item.get("role"), "content": content}
        self._add(place, {**_marks(item), **said})

    def _call(self, place: str, item: Item) -> None:
        """Calls in a row are one message's, as are those behind what the model said."""
        if not self.messages or self.messages[-1].get("role") != "assistant":
            self._add(place, {"role": "assistant", "content": None})
        arguments = item.get("arguments", "")
        if "input" in item:  # a tool of free text
            arguments = msgspec.json.encode({"input": item["input"]}).decode()
        function = {"name": item.get("name"), "arguments": arguments}
        call = {"id": item.get("call_id"), "type": "function", "function": function}
        self.messages[-1].setdefault("tool_calls", []).append(call)

    def _result(self, place: str, item: Item) -> None:
        content = self._content(f"{place}.output", item.get("output"))
        result = {"role": "tool", "tool_call_id": item.get("call_id"), "content": content}
        self._add(place, {**_marks(item), **result})

    def _thoughts(self, place: str, item: Item) -> None:
        self._dropped.append(Dropped(place, _NO_THOUGHTS))

    def _foreign(self, place: str, item: Item) -> None:
        self._dropped.append(Dropped(place, _NO_ITEM))

    def _content(self, place: str, given: Any) -> Any:
        """Return the parts as chat has them; what is no list is judged where it is read."""
        if not isinstance(given, list):
            return given
        found = []
        for index, part in enumerate(given):
            if not isinstance(part, dict):
                raise InvalidRequest("a part must be an object", param=f"{place}[{index}]")
            translate = _PARTS.get(str(part.get("type")))
            translated = part if translate is None else translate(part)
            if translated is None:
                self._dropped.append(Dropped(f"{place}[{index}]", _NO_PICTURE))
            else:
                found.append(translated)
        return found

    def _add(self, place: str, message: Item) -> None:
        self.places.append(place)
        self.messages.append(message)


_ITEMS: Mapping[str, Callable[[_Talk, str, Item], None]] = {
    "message": _Talk._message,
    "function_call": _Talk._call,
    "custom_tool_call": _Talk._call,
    "function_call_output": _Talk._result,
    "custom_tool_call_output": _Talk._result,
    "reasoning": _Talk._thoughts,
}


def _text(part: Item) -> Item:
    return {**part, "type": "text"}


def _image(part: Item) -> Item | None:
    """Return a picture; None for one that only its vendor's own files hold."""
    if not part.get("image_url"):
        return None
    image = {"url": part["image_url"], "detail": part.get("detail")}
    return {**_marks(part), "type": "image_url", "image_url": image}


def _file(part: Item) -> Item:
    """Return a document; one by URL stands where chat has the file itself."""
    file = {
        "file_data": part.get("file_data") or part.get("file_url"),
        "file_id": part.get("file_id"),
        "filename": part.get("filename"),
    }
    return {**_marks(part), "type": "file", "file": file}


def _marks(part: Item) -> Item:
    return {"cache_control": part["cache_control"]} if part.get("cache_control") else {}


_PARTS: Mapping[str, Callable[[Item], Item | None]] = {
    "input_text": _text,
    "output_text": _text,
    "input_image": _image,
    "input_file": _file,
}
"""Parts of other types are the same in both, or a vendor's own."""


# Tools and formats


def _tool(tool: Item) -> Item:
    """Return a tool with what it is under its type, as chat has it."""
    kind = tool.get("type")
    if kind not in ("function", "custom") or kind in tool:
        return tool
    inner = {name: value for name, value in tool.items() if name not in ("type", "cache_control")}
    return {**_marks(tool), "type": kind, kind: inner}


def _choice(choice: str | Item) -> str | Item:
    if isinstance(choice, str) or choice.get("type") in choice:
        return choice
    if choice.get("type") == "allowed_tools":
        tools = [_tool(tool) for tool in choice.get("tools") or () if isinstance(tool, dict)]
        allowed = {"mode": choice.get("mode", "auto"), "tools": tools}
        return {"type": "allowed_tools", "allowed_tools": allowed}
    return _tool(choice)


def _form(form: Item) -> Item:
    if form.get("type") != "json_schema" or "json_schema" in form:
        return form
    schema = {name: value for name, value in form.items() if name != "type"}
    return {"type": "json_schema", "json_schema": schema}


# The operation


def operation(build: Build, members: Sequence[str], chat: Operation) -> Operation:
    """Return `input_tokens` for a vendor that counts what its chat takes.

    Args:
        build: a chat request and a target to the request for its count.
        members: what the number may be called in the vendor's answer.
        chat: the vendor's chat, whose files are fetched and whose errors are read.
    """
    media = None if chat.media is None else partial(_links, chat.media)
    response = partial(counted, members, chat.response)
    return Operation(partial(_request, build), response, None, SSE, media=media)


def counted(
    members: Sequence[str], otherwise: Read, response: UpstreamResponse, created: int
) -> Response:
    """Return OpenAI's answer for the number that a vendor's answer holds.

    Raises:
        UpstreamError: it is an error in a 200, as `otherwise` knows them.
        UpstreamBadResponse: it holds no number.
    """
    try:
        found = _NUMBERS.decode(response.body)
        tokens = next(
            msgspec.json.decode(found[name], type=int) for name in members if name in found
        )
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, StopIteration):
        tokens = None
    if tokens is None:
        otherwise(response, created)
        raise UpstreamBadResponse("the provider's answer holds no count of tokens")
    document = {"object": "response.input_tokens", "input_tokens": tokens}
    return Response(msgspec.json.encode(document))


def _request(build: Build, request: Request, target: Target) -> UpstreamRequest:
    if not target.model:
        raise InvalidRequest("`model` is missing", param="model")
    countable = Countable(request)
    made = _told(countable, partial(build, countable.chat, target))
    lost = [Dropped(countable.name(each.name), each.reason) for each in made.dropped]
    return made._replace(dropped=[*countable.dropped, *lost])


def _links(links: Links, request: Request) -> Sequence[str]:
    countable = Countable(request)
    return _told(countable, partial(links, countable.chat))


def _told(countable: Countable, work: Callable[[], T]) -> T:
    """Do `work`, whose errors name places as the client knows them."""
    try:
        return work()
    except InvalidRequest as error:
        if error.param is not None:
            name = countable.name(error.param)
            error.message = error.message.replace(f"`$.{error.param}`", f"`{name}`")
            error.param = name
        raise
