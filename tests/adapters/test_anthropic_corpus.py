"""What Claude answered to others, through the adapter: text, calls, usage and errors are right.

The corpus lies beside the project and is no part of it; without it these tests are skipped.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from adapters import anthropic
from proxy.adapter import Target, UpstreamResponse
from proxy.errors import (
    ContextLengthExceeded,
    GatewayError,
    UpstreamAuth,
    UpstreamBadResponse,
    UpstreamRejected,
    UpstreamTruncated,
)
from proxy.framing import SSE
from proxy.wire import Request, Usage
from tests.source import ROOT

CORPUS = ROOT.parent / "shared" / "wire" / "open"
APIS = {"messages", "rawPredict", "streamRawPredict"}
ELSEWHERE = "count_tokens"
"""Tested in `test_counting_corpus.py`."""
CUTS = 40
FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
}

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")


def exchanges(*, in_scope: bool) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield the vendor's exchanges, or those of them that no face of ours can express."""
    for path in sorted([*CORPUS.glob("anthropic-*"), *CORPUS.glob("vertex-anthropic-*")]):
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["api"] != ELSEWHERE and (document["api"] in APIS) is in_scope:
            yield path.stem, document


def events_of(stream: str) -> list[dict[str, Any]]:
    """Read a stream line by line, by nobody's framer."""
    lines = [line.removeprefix("data:") for line in stream.splitlines() if line.startswith("data:")]
    return [json.loads(line) for line in lines]


def message_of(stream: str) -> dict[str, Any]:
    """Put a stream together as the vendor would have answered it whole."""
    message: dict[str, Any] = {}
    for event in events_of(stream):
        kind = event["type"]
        if kind == "message_start":
            message = event["message"]
        elif kind == "content_block_start":
            message["content"].append({**event["content_block"], "_json": ""})
        elif kind == "content_block_delta":
            add(message["content"][event["index"]], event["delta"])
        elif kind == "message_delta":
            message["usage"] |= event["usage"]
            message |= event["delta"]
    for block in message["content"]:
        if text := block.pop("_json"):
            block["input"] = json.loads(text)
    return message


def add(block: dict[str, Any], delta: dict[str, Any]) -> None:
    """Add one delta to its block."""
    kind = delta["type"].removesuffix("_delta")
    if kind == "input_json":
        block["_json"] += delta["partial_json"]
    elif kind == "citations":
        block["citations"].append(delta["citation"])
    else:
        block[kind] = block.get(kind, "") + delta[kind]


def expected_usage(usage: dict[str, Any]) -> Usage:
    """Read usage as the vendor documents it: cached tokens stand beside the input."""
    written = usage.get("cache_creation_input_tokens") or 0
    hour = (usage.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0
    read = usage.get("cache_read_input_tokens") or 0
    return Usage(
        input_tokens=usage["input_tokens"] + written + read,
        cached_tokens=read,
        output_tokens=usage["output_tokens"],
        reasoning_tokens=(usage.get("output_tokens_details") or {}).get("thinking_tokens", 0),
        cache_write_5m_tokens=written - hour,
        cache_write_1h_tokens=hour,
    )


def check_message(choice: dict[str, Any], vendor: dict[str, Any]) -> None:
    """Compare a message of ours with the vendor's."""
    message, blocks = choice["message"], vendor["content"]
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    uses = [block for block in blocks if block["type"] == "tool_use"]
    calls = message.get("tool_calls") or []
    thinking = [block for block in blocks if block["type"] == "thinking"]
    cited = [each for block in blocks for each in block.get("citations") or ()]
    assert (message["content"] or "") == text
    assert [(c["id"], c["function"]["name"]) for c in calls] == [(u["id"], u["name"]) for u in uses]
    assert [json.loads(c["function"]["arguments"]) for c in calls] == [u["input"] for u in uses]
    assert message.get("reasoning_content", "") == "".join(t["thinking"] for t in thinking)
    signatures = [b["signature"] for b in message.get("thinking_blocks", ())]
    assert signatures == [t["signature"] for t in thinking]
    notes = [note["url_citation"] for note in message.get("annotations", ())]
    assert [note["url"] for note in notes] == [each["url"] for each in cited]
    for note in notes:
        passage = text[note["start_index"] : note["end_index"]]
        assert any(b.get("text") == passage for b in blocks if b.get("citations"))
    assert choice["finish_reason"] == FINISH[vendor["stop_reason"]]


def joined(chunks: list[bytes]) -> dict[str, Any]:
    """Put chunks together as a client does."""
    message: dict[str, Any] = {"content": "", "tool_calls": []}
    finish = None
    for chunk in map(json.loads, chunks):
        ChatCompletionChunk.model_validate(chunk, strict=True)
        for choice in chunk["choices"]:
            delta, finish = choice["delta"], choice["finish_reason"] or finish
            for name in ("content", "reasoning_content"):
                if delta.get(name):
                    message[name] = message.get(name, "") + delta[name]
            for name in ("thinking_blocks", "annotations"):
                message[name] = message.get(name, []) + delta.get(name, [])
            for call in delta.get("tool_calls", ()):
                if call["index"] == len(message["tool_calls"]):
                    message["tool_calls"].append(call)
                else:
                    function = message["tool_calls"][call["index"]]["function"]
                    function["arguments"] += call["function"]["arguments"]
    return {"message": message, "finish_reason": finish}


def translated(pieces: Iterable[bytes]) -> tuple[list[bytes], anthropic.Stream, Any]:
    """Run a stream; return its chunks, the machine, and what cut it."""
    framer, stream, chunks = SSE(), anthropic.Stream(7), []
    try:
        for piece in pieces:
            chunks += [c.data for event in framer.feed(piece) for c in stream.feed(event)]
        chunks += [c.data for event in framer.close() for c in stream.feed(event)]
        chunks += [c.data for c in stream.close()]
    except GatewayError as error:
        return chunks, stream, error
    return chunks, stream, None


def check_stream(text: str) -> str:
    """Whole, byte by byte and cut anywhere: the same answer; cut short: an error."""
    data, vendor = text.encode(), message_of(text)
    chunks, stream, error = translated([data])
    assert error is None
    choice = joined(chunks)
    check_message(choice, vendor)
    assert stream.usage == expected_usage(vendor["usage"])
    last, before = json.loads(chunks[-1]), json.loads(chunks[-2])
    assert (last["choices"], before["choices"][0]["finish_reason"]) == ([], choice["finish_reason"])
    assert stream.last == b"data: [DONE]\n\n"
    places = random.Random(len(data)).sample(range(1, len(data)), CUTS)
    for pieces in (
        [data[i : i + 1] for i in range(len(data))],
        *([data[:i], data[i:]] for i in places),
    ):
        again, machine, failed = translated(pieces)
        assert (again, machine.usage, failed) == (chunks, stream.usage, None)
        assert machine.memory == stream.memory
    for place in places:
        if b"event: message_stop" not in data[:place]:
            _, machine, cut = translated([data[:place]])
            assert isinstance(cut, UpstreamTruncated | UpstreamBadResponse)  # the latter mid-event
            assert not machine.ended
    return "stream"


def check_whole(body: dict[str, Any]) -> str:
    """A whole answer is what the vendor said."""
    given = UpstreamResponse(200, (), json.dumps(body).encode())
    response = anthropic.response(given, 7)
    document = json.loads(response.body)
    ChatCompletion.model_validate(document, strict=True)
    check_message(document["choices"][0], body)
    assert response.usage == expected_usage(body["usage"])
    assert document["usage"]["prompt_tokens"] == response.usage.input_tokens
    return "whole answer"


def check_error(status: int, body: dict[str, Any]) -> str:
    """A refusal has the class its status means, and the vendor's words where they are harmless."""
    error = anthropic.error(UpstreamResponse(status, (), json.dumps(body).encode()))
    words = body["error"]["message"]
    kinds = {401: UpstreamAuth, 404: UpstreamRejected}
    long = "too long" in words
    assert type(error) is (ContextLengthExceeded if long else kinds.get(status, UpstreamRejected))
    assert error.upstream_status == status
    assert (error.message == words) is (status != 401)
    return "error"


def openai_of(body: dict[str, Any]) -> dict[str, Any]:
    """Say in OpenAI's words what a recorded request asks for."""
    asked = {k: v for k, v in body.items() if k in SAME}
    asked["model"] = body.get("model", "claude-3-7-sonnet@20250219")
    asked["messages"] = [
        *system_of(body),
        *(m for turn in body["messages"] for m in turns_of(turn)),
    ]
    if "stop_sequences" in body:
        asked["stop"] = body["stop_sequences"]
    if "output_format" in body:
        asked["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": body["output_format"]["schema"]},
        }
    if "tools" in body:
        asked["tools"] = [tool_of(tool) for tool in body["tools"]]
    if "tool_choice" in body:
        asked["tool_choice"] = {
            "type": "function",
            "function": {"name": body["tool_choice"]["name"]},
        }
    return asked


SAME = {"max_tokens", "temperature", "stream", "thinking", "mcp_servers"}


def system_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the system's messages."""
    return [{"role": "system", "content": body["system"]}] if "system" in body else []


def tool_of(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a function for a tool of the client's; the vendor's own as they are."""
    if "input_schema" not in tool:
        return tool
    function = {"name": tool["name"], "parameters": tool["input_schema"]}
    cached = {k: v for k, v in tool.items() if k == "cache_control"}
    function["description"] = tool.get("description")
    return {"type": "function", "function": function, **cached}


def turns_of(turn: dict[str, Any]) -> list[dict[str, Any]]:
    """Return OpenAI's messages for one turn."""
    if isinstance(turn["content"], str):
        return [turn]
    results = [
        {"role": "tool", "tool_call_id": b["tool_use_id"], "content": parts_of(b["content"])}
        for b in turn["content"]
        if b["type"] == "tool_result"
    ]
    calls = [
        {
            "id": b["id"],
            "type": "function",
            "function": {"name": b["name"], "arguments": json.dumps(b["input"])},
        }
        for b in turn["content"]
        if b["type"] == "tool_use"
    ]
    said = [b for b in turn["content"] if b["type"] not in ("tool_result", "tool_use")]
    message = {"role": turn["role"], "content": parts_of(said)}
    if calls:
        message["tool_calls"] = calls
    return [*results, *([message] if said or calls else [])]


def parts_of(content: Any) -> Any:
    """Return OpenAI's parts for blocks."""
    if isinstance(content, str):
        return content
    parts = []
    for block in content:
        source = block.get("source", {})
        url = source.get("url") or f"data:{source.get('media_type')};base64,{source.get('data')}"
        if block["type"] == "image":
            parts.append({"type": "image_url", "image_url": {"url": url}})
        elif block["type"] == "document":
            parts.append({"type": "file", "file": {"file_data": url}})
        else:
            parts.append(block)
    return parts


def plain(body: dict[str, Any]) -> dict[str, Any]:
    """Level what means the same in two ways."""
    body = {k: v for k, v in body.items() if k not in ("anthropic_version", "stream", "model")}
    body["messages"] = [
        {**turn, "content": [plain_block(block) for block in blocks_of(turn["content"])]}
        for turn in body["messages"]
    ]
    if "output_format" in body:
        body["output_config"] = {"format": body.pop("output_format")}
    for tool in body.get("tools", ()):
        if not tool.get("description"):
            tool.pop("description", None)
    body.get("tool_choice", {}).pop("disable_parallel_tool_use", None)
    return body


def blocks_of(content: Any) -> list[dict[str, Any]]:
    """Return content as blocks; an empty text is none."""
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return [block for block in blocks if block.get("text") != ""]


def plain_block(block: dict[str, Any]) -> dict[str, Any]:
    """Leave out that a result is no error: OpenAI has no word for it."""
    return {k: v for k, v in block.items() if k != "is_error"}


def check_request(document: dict[str, Any]) -> str | None:
    """A recorded request, said in OpenAI's words, becomes itself again."""
    body = document["request"]["body"]
    if body is None or body["messages"] == [{"role": "user", "content": ""}]:
        return None  # not kept; or empty, which the adapter does not send
    asked = Request(json.dumps(openai_of(body)).encode())
    sent, dropped = anthropic.body(asked, Target(asked.model))
    sent = json.loads(msgspec.json.encode(sent))
    assert plain(sent) == plain(body)
    assert dropped == []
    return "request"


def check(document: dict[str, Any]) -> list[str]:
    """Check one exchange and return what it was."""
    answer = document["response"]
    sort = check_request(document)
    found = [sort] if sort else []
    if answer["status"] >= 400:
        return [*found, check_error(answer["status"], answer["body"])]
    if "sse_text" in answer["body"]:
        return [*found, check_stream(answer["body"]["sse_text"])]
    return [*found, check_whole(answer["body"])]


def test_every_recorded_message_is_translated_right(capsys: pytest.CaptureFixture[str]) -> None:
    """Requests become themselves again; answers keep text, calls, thoughts, sources and usage."""
    right: Counter[str] = Counter()
    wrong: list[str] = []
    tried = 0
    for name, document in exchanges(in_scope=True):
        tried += 1
        try:
            right.update(check(document))
        except (AssertionError, GatewayError, KeyError) as error:
            wrong.append(f"{name}: {error!r:.600}")
    out = Counter(document["api"] for _, document in exchanges(in_scope=False))
    with capsys.disabled():
        print(
            f"\nanthropic: {tried} tried, {tried - len(wrong)} right, {dict(right)}; "
            f"out of scope, as no face of ours has them: {dict(out)}"
        )
    assert not wrong, "\n".join(wrong)
    assert tried >= 23
