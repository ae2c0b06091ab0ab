"""OpenAI's Responses, whole and as their sequence of events.

Source: https://platform.openai.com/docs/api-reference/responses (2026-11-21)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from proxy.sim.chat import (
    FAILURE,
    IMAGE_TOKENS,
    MESSAGE_TOKENS,
    Choice,
    Content,
    images_of,
    offered,
    schema_of,
    text_of,
)
from proxy.sim.face import Inquiry, World
from proxy.sim.refusal import Refusal
from proxy.sim.script import Answer
from proxy.sim.turn import Call, Prompt, Said, count, speak

FAILURE_EVENT = (
    b'event: error\ndata: {"type":"error","code":"server_error","message":'
    b'"The simulator was told to fail inside a 200.","param":null,"sequence_number":0}\n\n'
)

_ECHOED = ("instructions", "max_output_tokens", "metadata", "previous_response_id", "user")


class _Format(msgspec.Struct):
    format: dict[str, Any] | None = None


class _Asked(msgspec.Struct):
    model: str
    input: str | list[dict[str, Any]] = ""
    instructions: str | None = None
    stream: bool | None = None
    store: bool | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Choice = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    text: _Format | None = None
    previous_response_id: str | None = None
    metadata: dict[str, str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    user: str | None = None


def responses(inquiry: Inquiry, world: World) -> Answer:
    """POST /v1/responses."""
    asked = inquiry.read(_Asked)
    behaviour = world.behaviour(asked.model)
    if asked.previous_response_id and asked.previous_response_id not in world.stored:
        raise Refusal(
            400,
            f"Previous response with id '{asked.previous_response_id}' not found.",
            code="previous_response_not_found",
            param="previous_response_id",
        )
    prompt = _prompt(asked)
    said = speak(prompt, behaviour)
    base = _base(asked, world)
    items = _items(said, base["id"])
    done = _done(base, items, said, prompt.tokens)
    if asked.store is not False:
        kept = {"id": base["id"], "response": done, "input": _input_items(asked, base["id"])}
        world.store(kept)
    answer = Answer(
        behaviour=behaviour, model=asked.model, prompt_tokens=prompt.tokens, failure=FAILURE
    )
    if not asked.stream:
        answer.body = msgspec.json.encode(done)
        return answer
    return _stream(answer, base, done, said)


def input_tokens(inquiry: Inquiry, world: World) -> Answer:
    """POST /v1/responses/input_tokens: the number a response to this input would report."""
    asked = inquiry.read(_Asked)
    behaviour = world.behaviour(asked.model)
    tokens = _prompt(asked).tokens
    body = msgspec.json.encode({"object": "response.input_tokens", "input_tokens": tokens})
    return Answer(
        body=body,
        behaviour=behaviour,
        model=asked.model,
        prompt_tokens=tokens,
        repeatable=True,
        failure=FAILURE,
    )


def message_item(id: str, text: str, status: str = "completed") -> dict[str, Any]:
    """Return an output item with text."""
    return {
        "id": id,
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [_text_part(text)],
    }


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _prompt(asked: _Asked) -> Prompt:
    items: list[dict[str, Any]] = (
        [{"role": "user", "content": asked.input}] if isinstance(asked.input, str) else asked.input
    )
    tokens = count(asked.instructions or "")
    said, images = "", 0
    for item in items:
        content: Content = item.get("content")
        if not isinstance(content, (str, list)):
            content = str(item.get("output") or item.get("arguments") or "")
        text = text_of(content)
        images += images_of(content)
        tokens += MESSAGE_TOKENS + count(text)
        if item.get("role") == "user":
            said = text
    tools, must = offered(asked.tools or (), asked.tool_choice)
    form = (asked.text.format if asked.text else None) or {}
    return Prompt(
        said=said,
        images=images,
        tokens=tokens + images * IMAGE_TOKENS,
        tools=tools,
        must_call=must,
        answered=bool(items) and str(items[-1].get("type")).endswith("_output"),
        parallel=asked.parallel_tool_calls is not False,
        json=form.get("type") in ("json_object", "json_schema"),
        schema=schema_of(form) if form.get("type") == "json_schema" else None,
        limit=asked.max_output_tokens,
    )


def _base(asked: _Asked, world: World) -> dict[str, Any]:
    """Return a response that has just begun."""
    return {
        "id": world.next_id("resp_"),
        "object": "response",
        "created_at": world.created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        **{name: getattr(asked, name) for name in _ECHOED},
        "metadata": asked.metadata or {},
        "model": asked.model,
        "output": [],
        "parallel_tool_calls": asked.parallel_tool_calls is not False,
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": asked.store is not False,
        "temperature": 1.0 if asked.temperature is None else asked.temperature,
        "text": {"format": (asked.text.format if asked.text else None) or {"type": "text"}},
        "tool_choice": asked.tool_choice or "auto",
        "tools": asked.tools or [],
        "top_p": 1.0 if asked.top_p is None else asked.top_p,
        "truncation": "disabled",
        "usage": None,
    }


def _items(said: Said, id: str) -> list[dict[str, Any]]:
    if not said.calls:
        status = "incomplete" if said.finish == "length" else "completed"
        return [message_item(id.replace("resp_", "msg_"), said.text, status)]
    return [_call_item(call, f"{id.removeprefix('resp_')}{n}") for n, call in enumerate(said.calls)]


def _call_item(call: Call, id: str) -> dict[str, Any]:
    shared = {"status": "completed", "call_id": f"call_{id}", "name": call.name}
    if call.free:
        return {"id": f"ctc_{id}", "type": "custom_tool_call", **shared, "input": call.arguments}
    return {"id": f"fc_{id}", "type": "function_call", **shared, "arguments": call.arguments}


def _done(
    base: dict[str, Any], items: list[dict[str, Any]], said: Said, prompt_tokens: int
) -> dict[str, Any]:
    cut = said.finish == "length"
    return {
        **base,
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": items,
        "usage": {
            "input_tokens": prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": said.tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt_tokens + said.tokens,
        },
    }


def _input_items(asked: _Asked, id: str) -> list[dict[str, Any]]:
    given: Sequence[dict[str, Any]] = (
        [{"role": "user", "content": [{"type": "input_text", "text": asked.input}]}]
        if isinstance(asked.input, str)
        else asked.input
    )
    prefix = id.replace("resp_", "item_")
    return [{"id": f"{prefix}{n}", "type": "message", **item} for n, item in enumerate(given)]


class _Events:
    """Collects events and numbers them."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []

    def add(self, kind: str, **fields: Any) -> None:
        """Add one event."""
        event = {"type": kind, "sequence_number": len(self.blocks), **fields}
        self.blocks.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode(event)))


def _stream(answer: Answer, base: dict[str, Any], done: dict[str, Any], said: Said) -> Answer:
    events = _Events()
    events.add("response.created", response=base)
    events.add("response.in_progress", response=base)
    items = done["output"]
    if said.calls:
        answer.lead = len(events.blocks)
        for index, call in enumerate(said.calls):
            _call_events(events, index, items[index], call)
        answer.content = len(events.blocks) - answer.lead
    else:
        answer.lead, answer.content = _text_events(events, items[0], said)
    events.add(f"response.{done['status']}", response=done)
    answer.end = events.blocks.pop()
    answer.events, answer.failure = events.blocks, FAILURE_EVENT
    return answer


def _text_events(events: _Events, item: dict[str, Any], said: Said) -> tuple[int, int]:
    """Add the events of a message; return where its content begins and how much it is."""
    place = {"output_index": 0}
    part = {"item_id": item["id"], **place, "content_index": 0}
    begun = {**item, "status": "in_progress", "content": []}
    events.add("response.output_item.added", **place, item=begun)
    events.add("response.content_part.added", **part, part=_text_part(""))
    lead = len(events.blocks)
    for piece in said.pieces:
        events.add("response.output_text.delta", **part, delta=piece, logprobs=[])
    events.add("response.output_text.done", **part, text=said.text, logprobs=[])
    events.add("response.content_part.done", **part, part=item["content"][0])
    events.add("response.output_item.done", **place, item=item)
    return lead, len(said.pieces)


def _call_events(events: _Events, index: int, item: dict[str, Any], call: Call) -> None:
    field, kind = "arguments", "response.function_call_arguments"
    if call.free:
        field, kind = "input", "response.custom_tool_call_input"
    place = {"item_id": item["id"], "output_index": index}
    begun = {**item, "status": "in_progress", field: ""}
    events.add("response.output_item.added", output_index=index, item=begun)
    for piece in call.pieces:
        events.add(f"{kind}.delta", **place, delta=piece)
    events.add(f"{kind}.done", **place, **{field: call.arguments})
    events.add("response.output_item.done", output_index=index, item=item)
