"""OpenAI's chat completions and legacy completions, whole and streamed.

Source: https://platform.openai.com/docs/api-reference/chat (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import zip_longest
from typing import Any

import msgspec

from proxy.sim.behaviour import Behaviour
from proxy.sim.face import Inquiry, World
from proxy.sim.refusal import Refusal
from proxy.sim.script import Answer
from proxy.sim.turn import Call, Prompt, Said, Tool, count, speak

DONE = b"data: [DONE]\n\n"
FAILURE = (
    b'{"error":{"message":"The simulator was told to fail inside a 200.",'
    b'"type":"server_error","param":null,"code":null}}'
)
MAX_CHOICES = 128
IMAGE_TOKENS = 85
MESSAGE_TOKENS = 4
FINISH_REASONS = {"stop": "stop", "length": "length", "tools": "tool_calls"}

Content = str | list[dict[str, Any]] | None
Choice = str | dict[str, Any] | None
Texts = str | list[str | int | list[int]]

_encode = msgspec.json.encode


class Message(msgspec.Struct):
    """What we read of a message."""

    role: str
    content: Content = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Asked(msgspec.Struct):
    """What both kinds of completions share."""

    model: str
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = None
    stop: str | list[str] | None = None

    @property
    def include_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    @property
    def stops(self) -> Sequence[str]:
        return (self.stop,) if isinstance(self.stop, str) else self.stop or ()

    def check(self) -> None:
        """Refuse what OpenAI refuses."""
        if self.stream_options and not self.stream:
            message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
            raise Refusal(400, message, param="stream_options")
        if not 1 <= (1 if self.n is None else self.n) <= MAX_CHOICES:
            raise Refusal(400, f"Invalid 'n': must be from 1 to {MAX_CHOICES}.", param="n")


class _ChatAsked(_Asked, kw_only=True):
    messages: list[Message]
    max_completion_tokens: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Choice = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None


class _CompletionAsked(_Asked, kw_only=True):
    prompt: Texts = ""
    echo: bool | None = None


def chat(inquiry: Inquiry, world: World) -> Answer:
    """POST /v1/chat/completions."""
    asked = inquiry.read(_ChatAsked)
    asked.check()
    behaviour = world.behaviour(asked.model)
    prompt = _chat_prompt(asked)
    said = [speak(prompt, behaviour, index) for index in range(asked.n or 1)]
    base = _base(inquiry, world, asked.model, "chatcmpl-")
    usage = usage_of(prompt.tokens, said)
    answer = _answer(asked.model, behaviour, prompt.tokens)
    if not asked.stream:
        choices = [_chat_choice(index, each, inquiry.body) for index, each in enumerate(said)]
        base["object"] = "chat.completion"
        answer.body = _encode({**base, "choices": choices, "usage": usage})
        return answer
    base["object"] = "chat.completion.chunk"
    streams = [list(_deltas(each, inquiry.body)) for each in said]
    ends = [FINISH_REASONS[each.finish] for each in said]
    writer = _Chunks(base, asked.include_usage, "delta")
    opening: dict[str, Any] = {"role": "assistant", "content": "", "refusal": None}
    if said[0].calls:
        opening["content"] = None
    answer.events = [writer.chunk(index, opening) for index in range(len(said))]
    answer.lead = len(said)
    return _streamed(answer, writer, streams, (ends, usage))


def completion(inquiry: Inquiry, world: World) -> Answer:
    """POST /v1/completions, the legacy."""
    asked = inquiry.read(_CompletionAsked)
    asked.check()
    behaviour = world.behaviour(asked.model)
    texts = _prompt_texts(asked.prompt)
    said = [
        speak(Prompt(text, limit=asked.max_tokens, stop=asked.stops), behaviour, index)
        for text in texts
        for index in range(asked.n or 1)
    ]
    if asked.echo:
        before = [text for text in texts for _ in range(asked.n or 1)]
        said = [
            each._replace(pieces=[text, *each.pieces])
            for text, each in zip(before, said, strict=True)
        ]
    tokens = sum(count(text) for text in texts)
    base = {**_base(inquiry, world, asked.model, "cmpl-"), "object": "text_completion"}
    usage = usage_of(tokens, said)
    answer = _answer(asked.model, behaviour, tokens)
    ends = [FINISH_REASONS[each.finish] for each in said]
    if not asked.stream:
        choices = [
            {"index": index, "text": each.text, "logprobs": None, "finish_reason": ends[index]}
            for index, each in enumerate(said)
        ]
        answer.body = _encode({**base, "choices": choices, "usage": usage})
        return answer
    answer.events = []
    writer = _Chunks(base, asked.include_usage, "text")
    return _streamed(answer, writer, [list(each.pieces) for each in said], (ends, usage))


def usage_of(prompt_tokens: int, said: Sequence[Said]) -> dict[str, Any]:
    """Return OpenAI's usage object."""
    tokens = sum(each.tokens for each in said)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": tokens,
        "total_tokens": prompt_tokens + tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def digest(*parts: bytes) -> str:
    """Return 24 characters that only the same bytes give again."""
    return blake2b(b"\0".join(parts), digest_size=12).hexdigest()


def text_of(content: Content) -> str:
    """Return the text of a message's content."""
    if isinstance(content, str):
        return content
    texts = [part.get("text") for part in content or ()]
    return "\n".join(text for text in texts if isinstance(text, str))


def images_of(content: Content) -> int:
    """Count the pictures in a message's content."""
    if isinstance(content, str) or not content:
        return 0
    return sum(part.get("type") in ("image_url", "input_image") for part in content)


def offered(tools: Sequence[dict[str, Any]], choice: Choice) -> tuple[list[Tool], bool]:
    """Return the tools that may be called and whether one must be.

    Reads chat's tools (`{"type": "function", "function": {...}}`) and those of Responses,
    which are one level flatter; tools that the vendor itself would run are left out.
    """
    if choice == "none":
        return [], False
    found = []
    for tool in tools:
        kind = str(tool.get("type"))
        inner = tool.get(kind) if isinstance(tool.get(kind), dict) else tool
        name = (inner or {}).get("name")
        if kind in ("function", "custom") and isinstance(name, str):
            schema = (inner or {}).get("parameters") or {}
            found.append(Tool(name, None if kind == "custom" else schema))
    if isinstance(choice, dict):
        return _chosen(found, choice)
    return found, choice == "required"


def _chosen(tools: list[Tool], choice: dict[str, Any]) -> tuple[list[Tool], bool]:
    """Follow a `tool_choice` that names one tool, or those allowed."""
    kind = str(choice.get("type"))
    inner = choice.get(kind) if isinstance(choice.get(kind), dict) else choice
    inner = inner or {}
    if kind == "allowed_tools":
        allowed, _ = offered(inner.get("tools") or [], None)
        names = [tool.name for tool in allowed]
        return [tool for tool in tools if tool.name in names], inner.get("mode") == "required"
    named = [tool for tool in tools if tool.name == inner.get("name")]
    if not named:
        raise Refusal(400, "Tool choice names a tool that is not in 'tools'.", param="tool_choice")
    return named, True


def _chat_prompt(asked: _ChatAsked) -> Prompt:
    messages = asked.messages
    tokens = images = 0
    said = ""
    for message in messages:
        text = text_of(message.content)
        images += images_of(message.content)
        tokens += MESSAGE_TOKENS + count(text)
        if message.role == "user":
            said = text
    tools, must = offered(asked.tools or (), asked.tool_choice)
    form = asked.response_format or {}
    limit = asked.max_completion_tokens
    return Prompt(
        said=said,
        images=images,
        tokens=tokens + images * IMAGE_TOKENS,
        tools=tools,
        must_call=must,
        answered=bool(messages) and messages[-1].role in ("tool", "function"),
        parallel=asked.parallel_tool_calls is not False,
        json=form.get("type") in ("json_object", "json_schema"),
        schema=schema_of(form.get("json_schema")),
        limit=asked.max_tokens if limit is None else limit,
        stop=asked.stops,
    )


def schema_of(form: object) -> dict[str, Any] | None:
    """Return the schema in a `json_schema` response format, or None."""
    schema = form.get("schema") if isinstance(form, dict) else None
    return schema if isinstance(schema, dict) else None


def _prompt_texts(prompt: Texts) -> list[str]:
    if isinstance(prompt, str):
        return [prompt]
    if prompt and all(isinstance(each, int) for each in prompt):
        return [" ".join(map(str, prompt))]
    return [str(each) for each in prompt] or [""]


def _base(inquiry: Inquiry, world: World, model: str, prefix: str) -> dict[str, Any]:
    return {
        "id": prefix + digest(inquiry.body),
        "object": "",
        "created": world.created,
        "model": model,
        "service_tier": "default",
        "system_fingerprint": "fp_sim",
    }


def _answer(model: str, behaviour: Behaviour, tokens: int) -> Answer:
    return Answer(
        behaviour=behaviour, model=model, prompt_tokens=tokens, repeatable=True, failure=FAILURE
    )


def _chat_choice(index: int, said: Said, salt: bytes) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if said.calls else said.text,
        "refusal": None,
        "annotations": [],
    }
    if said.calls:
        message["tool_calls"] = [
            {"id": call_id(place, salt), **_called(call, call.arguments)}
            for place, call in enumerate(said.calls)
        ]
    finish = FINISH_REASONS[said.finish]
    return {"index": index, "message": message, "logprobs": None, "finish_reason": finish}


def call_id(place: int, salt: bytes) -> str:
    """Return the id of the tool call at this place of the answer."""
    return "call_" + digest(b"%d" % place, salt)


def _called(call: Call, arguments: str) -> dict[str, Any]:
    if call.free:
        return {"type": "custom", "custom": {"name": call.name, "input": arguments}}
    return {"type": "function", "function": {"name": call.name, "arguments": arguments}}


def _deltas(said: Said, salt: bytes) -> Iterator[dict[str, Any] | str]:
    """Give each delta with content; plain text as itself, the writer words it faster."""
    yield from said.pieces
    for place, call in enumerate(said.calls):
        yield {"tool_calls": [{"index": place, "id": call_id(place, salt), **_called(call, "")}]}
        for piece in call.pieces:
            inner = {"function": {"arguments": piece}}
            if call.free:
                inner = {"custom": {"input": piece}}
            yield {"tool_calls": [{"index": place, **inner}]}


class _Chunks:
    """Words chunks; the parts that never change are encoded once.

    Args:
        kind: `delta` for chat, `text` for the legacy completions.
    """

    def __init__(self, base: dict[str, Any], include_usage: bool, kind: str) -> None:
        self._base = base
        self._include_usage = include_usage
        self._empty: dict[str, Any] | str = {} if kind == "delta" else ""
        self._start = b"data: " + _encode(base)[:-1] + b',"choices":[{"index":'
        self._name = b',"' + kind.encode() + b'":'
        self._after = b'}],"usage":null}\n\n' if include_usage else b"}]}\n\n"
        self._opening = b'{"content":' if kind == "delta" else b""
        self._closing = b"}" if kind == "delta" else b""

    def chunk(self, index: int, delta: dict[str, Any] | str, finish: bytes = b"null") -> bytes:
        """Word one chunk of the choice `index`."""
        text = _encode(delta)
        if isinstance(delta, str):
            text = self._opening + text + self._closing
        start = b"%b%d%b" % (self._start, index, self._name)
        return start + text + b',"logprobs":null,"finish_reason":' + finish + self._after

    def last(self, index: int, finish: str) -> bytes:
        """Word the chunk that says why the choice ends."""
        return self.chunk(index, self._empty, _encode(finish))

    def usage(self, usage: dict[str, Any]) -> bytes:
        """Word the chunk with usage and no choices, or nothing if nobody asked for it."""
        if not self._include_usage:
            return b""
        return b"data: " + _encode({**self._base, "choices": [], "usage": usage}) + b"\n\n"


def _streamed(
    answer: Answer,
    writer: _Chunks,
    streams: Sequence[Sequence[dict[str, Any] | str]],
    ending: tuple[Sequence[str], dict[str, Any]],
) -> Answer:
    """Add content, finish reasons and usage; several choices take turns, as a vendor's do."""
    events = answer.events or []
    for deltas in zip_longest(*streams):
        events += [
            writer.chunk(index, delta) for index, delta in enumerate(deltas) if delta is not None
        ]
    answer.content = len(events) - answer.lead
    finishes, usage = ending
    events += [writer.last(index, finish) for index, finish in enumerate(finishes)]
    if closing := writer.usage(usage):
        events.append(closing)
    answer.events, answer.end = events, DONE
    answer.failure = b"data: " + FAILURE + b"\n\n"
    return answer
