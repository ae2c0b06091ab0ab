"""What recorded exchanges with Bedrock come to, read by nobody's adapter.

Two readings: a recorded answer to what a client of OpenAI's dialect must get, and a recorded
request back to the OpenAI request that it could have come from.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from botocore.eventstream import EventStreamBuffer

FINISH = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length"} | {
    "guardrail_intervened": "content_filter"
}
Json = dict[str, Any]


class Said(NamedTuple):
    """What a model said."""

    text: str
    calls: list[tuple[str, str, Any]]
    finish: str
    usage: tuple[int, int, int]
    reasoning: str
    signatures: list[str]


def of_answer(body: Json) -> Said:
    """Read Converse's whole answer."""
    blocks = body["output"]["message"]["content"]
    calls = [b["toolUse"] for b in blocks if "toolUse" in b]
    mine = [c for c in calls if c.get("type") != "server_tool_use"]
    thoughts = [b["reasoningContent"]["reasoningText"] for b in blocks if "reasoningContent" in b]
    return Said(
        "".join(b.get("text", "") for b in blocks),
        [(c["toolUseId"], c["name"], c["input"]) for c in mine],
        FINISH[body["stopReason"]],
        usage(body["usage"]),
        "".join(t["text"] for t in thoughts),
        [t["signature"] for t in thoughts if "signature" in t],
    )


def usage(said: Json) -> tuple[int, int, int]:
    """Return prompt, cached part and output, such that both are what the service adds up."""
    out = said["outputTokens"]
    return said["totalTokens"] - out, said.get("cacheReadInputTokens", 0), out


def of_stream(stream: bytes) -> Said:
    """Read ConverseStream's events with AWS's own parser."""
    buffer = EventStreamBuffer()
    buffer.add_data(stream)
    text = reasoning = finish = ""
    counted = (0, 0, 0)
    calls: dict[int, list[str]] = {}
    signatures: list[str] = []
    for message in buffer:
        kind, event = message.headers[":event-type"], json.loads(message.payload)
        block, delta = event.get("contentBlockIndex"), event.get("delta") or {}
        use = (event.get("start") or {}).get("toolUse")
        if use and use.get("type") != "server_tool_use":
            calls[block] = [use["toolUseId"], use["name"], ""]
        if block in calls and "toolUse" in delta:
            calls[block][2] += delta["toolUse"]["input"]
        text += delta.get("text", "")
        thought = delta.get("reasoningContent") or {}
        reasoning += thought.get("text", "")
        signatures += [thought["signature"]] if "signature" in thought else []
        finish = FINISH[event["stopReason"]] if kind == "messageStop" else finish
        counted = usage(event["usage"]) if kind == "metadata" else counted
    found = [(c[0], c[1], json.loads(c[2] or "{}")) for c in calls.values()]
    return Said(text, found, finish, counted, reasoning, signatures)


def as_openai(body: Json, *, model: str, stream: bool) -> Json:
    """Return the request in OpenAI's dialect that `body` says the same as.

    Raises:
        KeyError: it says something that OpenAI has no words for.
    """
    messages: list[Json] = []
    if body.get("system"):
        messages.append({"role": "system", "content": _parts(body["system"])})
    for turn in body["messages"]:
        messages += _messages(turn)
    inference = body.get("inferenceConfig") or {}
    named = {"maxTokens": "max_tokens", "topP": "top_p", "temperature": "temperature"}
    natives = ("additionalModelRequestFields", "guardrailConfig")
    return {
        **{"model": model, "messages": messages, "stream": stream},
        **{ours: inference[theirs] for theirs, ours in named.items() if theirs in inference},
        **_tools(body.get("toolConfig") or {}),
        **_format(body.get("outputConfig")),
        **{native: body[native] for native in natives if native in body},
    }


def _tools(config: Json) -> Json:
    tools: Json = {"tools": [_tool(tool) for tool in config["tools"]]} if config else {}
    if choice := config.get("toolChoice"):
        tools["tool_choice"] = {"auto": "auto", "any": "required"}[next(iter(choice))]
    return tools


def _format(output: Json | None) -> Json:
    if output is None:
        return {}
    definition = output["textFormat"]["structure"]["jsonSchema"]
    schema = {**definition, "schema": json.loads(definition["schema"])}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _tool(tool: Json) -> Json:
    if "systemTool" in tool:
        return {"type": tool["systemTool"]["name"]}
    spec = tool["toolSpec"]
    function = {"name": spec["name"], "parameters": spec["inputSchema"]["json"]}
    if "description" in spec:
        function["description"] = spec["description"]
    return {"type": "function", "function": function}


def _messages(turn: Json) -> list[Json]:
    if turn["role"] == "user" and "toolResult" in turn["content"][0]:
        results = [block["toolResult"] for block in turn["content"]]
        return [
            {"role": "tool", "tool_call_id": r["toolUseId"], "content": _parts(r["content"])}
            for r in results
        ]
    message: Json = {"role": turn["role"]}
    plain = [b for b in turn["content"] if not {"toolUse", "reasoningContent"} & b.keys()]
    message["content"] = _parts(plain) or None
    for block in turn["content"]:
        if use := block.get("toolUse"):
            function = {"name": use["name"], "arguments": json.dumps(use["input"])}
            call = {"id": use["toolUseId"], "type": "function", "function": function}
            message.setdefault("tool_calls", []).append(call)
        if thought := block.get("reasoningContent"):
            said = thought["reasoningText"]
            kept = {
                "type": "thinking",
                "thinking": said["text"],
                "signature": said["signature"],
            }
            message.setdefault("thinking_blocks", []).append(kept)
    return [message]


def _parts(blocks: list[Json]) -> list[Json]:
    parts: list[Json] = []
    for block in blocks:
        kind, value = next(iter(block.items()))
        if kind == "text":
            parts.append({"type": "text", "text": value})
        elif kind == "cachePoint":
            parts[-1]["cache_control"] = {"type": "ephemeral"}
        elif kind in ("image", "video"):
            url = f"data:{kind}/{value['format']};base64,{value['source']['bytes']}"
            parts.append({"type": f"{kind}_url", f"{kind}_url": {"url": url}})
        elif kind == "document":
            name = f"{value['name']}.{value['format']}"
            content = {"filename": name, "file_data": value["source"]["bytes"]}
            parts.append({"type": "file", "file": content})
        else:
            raise KeyError(kind)
    return parts
