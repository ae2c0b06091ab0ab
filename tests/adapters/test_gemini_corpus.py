"""Recorded exchanges with Gemini models at both of Google's hosts, through the adapters.

The corpus lies beside the project and is no part of it; without it these tests are skipped.
What an exchange should give is computed here from the recorded JSON, by other means than the
adapters'. Recorded requests are turned into OpenAI's, and must come back as they were.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from openai.types import CreateEmbeddingResponse, ImagesResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from proxy import registry
from proxy.adapter import Operation, Target, UpstreamResponse
from proxy.errors import (
    ContentFiltered,
    GatewayError,
    UpstreamAuth,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTruncated,
)
from proxy.relay import Cut, Relay
from proxy.wire import Request
from tests.adapters.test_recordings import CREATED, Translated
from tests.source import ROOT

CORPUS = ROOT.parent / "shared" / "wire" / "open"
HOSTS = {"gemini": "gemini", "vertex-gemini": "vertex"}
OPERATIONS = {
    "generateContent": "chat",
    "streamGenerateContent": "chat",
    "batchEmbedContents": "embeddings",
    "predict": "embeddings",
}
CUTS = 40
FINISHES = {"STOP": "stop", "MAX_TOKENS": "length"}
ERRORS = {401: UpstreamAuth, 403: UpstreamAuth, 429: UpstreamRateLimited}
SCOPES = {
    "batchGenerateContent": "batches are no operation of this adapter",
    "countTokens": "counts have a corpus test of their own",
    "files": "files are passed through",
    "interactions": "another API",
    "live": "realtime",
    "models": "lists of models are the gateway's own",
}

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")


def exchanges() -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield what was recorded of the two hosts."""
    for path in sorted(CORPUS.glob("*gemini-*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["vendor"] in HOSTS:
            yield path.stem, document


class Said:
    """What recorded answers, or the events of a stream, say when they are added up."""

    def __init__(self, answers: list[dict[str, Any]]) -> None:
        candidates = [answer["candidates"][0] for answer in answers]
        parts = [part for one in candidates for part in one["content"].get("parts", [])]
        self.text = "".join(p["text"] for p in parts if "text" in p and not p.get("thought"))
        self.thoughts = "".join(p["text"] for p in parts if p.get("thought"))
        self.calls = [p["functionCall"] for p in parts if "functionCall" in p]
        self.signatures = [
            part["thoughtSignature"]
            for part in parts
            if "thoughtSignature" in part and "inlineData" not in part
        ]
        self.files = [part["inlineData"]["data"] for part in parts if "inlineData" in part]
        reason = FINISHES[candidates[-1]["finishReason"]]
        self.finish = "tool_calls" if reason == "stop" and self.calls else reason
        counts = answers[-1]["usageMetadata"]
        self.prompt = counts["promptTokenCount"] + counts.get("toolUsePromptTokenCount", 0)
        self.cached = counts.get("cachedContentTokenCount", 0)
        self.total = counts["totalTokenCount"]


def check_message(said: Said, message: dict[str, Any], finish: str, usage: dict[str, Any]) -> None:
    """Compare an OpenAI message with what was said."""
    assert (message.get("content") or "") == said.text
    assert (message.get("reasoning_content") or "") == said.thoughts
    calls = message.get("tool_calls") or []
    found = [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in calls]
    assert found == [(call["name"], call.get("args", {})) for call in said.calls]
    assert all(0 < len(call["id"]) <= 40 for call in calls)
    assert len({call["id"] for call in calls}) == len(calls)
    blocks = message.get("thinking_blocks") or []
    assert [block["signature"] for block in blocks] == said.signatures
    pictures = [i["image_url"]["url"].partition(",")[2] for i in message.get("images") or []]
    sound = [message["audio"]["data"]] if message.get("audio") else []
    assert pictures + sound == said.files
    assert finish == said.finish
    assert usage["prompt_tokens"] == said.prompt
    assert usage["prompt_tokens_details"]["cached_tokens"] == said.cached
    assert usage["total_tokens"] == said.total


def check_whole(operation: Operation, body: dict[str, Any]) -> str:
    """A whole answer, however it is spaced."""
    tight = operation.response(UpstreamResponse(200, (), json.dumps(body).encode()), CREATED)
    wide = operation.response(
        UpstreamResponse(200, (), json.dumps(body, indent=2).encode()), CREATED
    )
    assert tight.body == wide.body
    answer = json.loads(tight.body)
    ChatCompletion.model_validate(answer)
    choice = answer["choices"][0]
    check_message(Said([body]), choice["message"], choice["finish_reason"], answer["usage"])
    return "whole answer"


def check_stream(operation: Operation, text: str) -> str:
    """A stream, however it is cut; and cut off, it is truncated."""
    stream = text.encode()
    events = [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:")]
    whole = Translated(operation, [stream])
    places = random.Random(len(stream)).sample(range(1, len(stream)), CUTS)
    bytewise = [stream[i : i + 1] for i in range(len(stream))]
    for pieces in (bytewise, *([stream[:i], stream[i:]] for i in places)):
        again = Translated(operation, pieces)
        assert (again.documents, again.usage) == (whole.documents, whole.usage)
        assert type(again.error) is type(whole.error)
    if "promptFeedback" in events[0]:
        assert isinstance(whole.error, ContentFiltered)
        return "blocked prompt"
    assert whole.error is None
    for document in whole.documents:
        ChatCompletionChunk.model_validate_json(document)
    check_message(Said(events), *assembled(whole.documents))
    last = stream.rindex(b"data:")
    for place in (0, *(place for place in places if place <= last), last):
        assert isinstance(cut_off(operation, stream[:place]), UpstreamTruncated)
    return "stream"


def cut_off(operation: Operation, part: bytes) -> GatewayError | None:
    """Return what a client is told about a stream that stops."""
    assert operation.stream is not None
    relay = Relay(operation, operation.stream(CREATED))
    try:
        relay.feed(part)
        relay.close()
    except Cut as cut:
        return cut.error
    return None


def assembled(chunks: list[bytes]) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """Put a message together as a client does, and check the order of what ends it."""
    message: dict[str, Any] = {"content": "", "reasoning_content": "", "tool_calls": []}
    *pieces, finish, usage = [json.loads(chunk) for chunk in chunks]
    for piece in pieces:
        delta = piece["choices"][0]["delta"]
        for name in ("content", "reasoning_content"):
            message[name] += delta.get(name) or ""
        for name in ("thinking_blocks", "images", "annotations"):
            message[name] = message.get(name, []) + delta.get(name, [])
        for call in delta.get("tool_calls", ()):
            if call["index"] == len(message["tool_calls"]):
                message["tool_calls"].append(call)
            else:
                function = message["tool_calls"][call["index"]]["function"]
                function["arguments"] += call["function"]["arguments"]
    assert usage["choices"] == []
    return message, finish["choices"][0]["finish_reason"], usage["usage"]


def check_embeddings(operation: Operation, body: dict[str, Any]) -> str:
    """Every vector is there, in order, and the tokens where they were counted."""
    response = operation.response(UpstreamResponse(200, (), json.dumps(body).encode()), CREATED)
    answer = CreateEmbeddingResponse.model_validate_json(response.body)
    found = body.get("embeddings") or [one["embeddings"] for one in body["predictions"]]
    assert [one.embedding for one in answer.data] == [one["values"] for one in found]
    counts = [one["statistics"]["token_count"] for one in found if "statistics" in one]
    assert answer.usage.prompt_tokens == sum(counts)
    assert (response.usage.input_tokens if response.usage else 0) == sum(counts)
    return "embeddings"


def check_error(vendor: str, status: int, body: dict[str, Any]) -> str:
    """The class its status means, the vendor's words where they are harmless, and its wait."""
    error = registry.adapter(HOSTS[vendor]).error(
        UpstreamResponse(status, (), json.dumps(body).encode())
    )
    details = body["error"].get("details", [])
    is_key = any(detail.get("reason") == "API_KEY_INVALID" for detail in details)
    assert type(error) is (UpstreamAuth if is_key else ERRORS.get(status, UpstreamRejected))
    assert error.upstream_status == status
    assert (body["error"]["message"] in error.message) is not isinstance(error, UpstreamAuth)
    delays = [float(d["retryDelay"][:-1]) for d in details if "retryDelay" in d]
    assert error.retry_after_s == (delays[0] if delays else None)
    return "error"


def check(document: dict[str, Any]) -> str:
    """Check one answer and return what it was."""
    answer = document["response"]
    if answer["status"] >= 400:
        return check_error(document["vendor"], answer["status"], answer["body"])
    adapter = registry.adapter(HOSTS[document["vendor"]])
    operation = adapter.operations[OPERATIONS[document["api"]]]
    if OPERATIONS[document["api"]] == "embeddings":
        return check_embeddings(operation, answer["body"])
    if "sse_text" in answer["body"]:
        return check_stream(operation, answer["body"]["sse_text"])
    if "image_gen" in document["tags"]:
        body = json.dumps(answer["body"]).encode()
        picture = adapter.operations["images"].response(UpstreamResponse(200, (), body), CREATED)
        ImagesResponse.model_validate_json(picture.body)
    return check_whole(operation, answer["body"])


def test_every_recorded_answer_is_translated_right(capsys: pytest.CaptureFixture[str]) -> None:
    """Text, calls, signatures, finish and usage are the recording's; errors have their class."""
    right: Counter[str] = Counter()
    outside: Counter[str] = Counter()
    wrong: list[str] = []
    for name, document in exchanges():
        if document["api"] in SCOPES:
            outside[SCOPES[document["api"]]] += 1
            continue
        try:
            right[check(document)] += 1
        except (AssertionError, GatewayError) as error:
            wrong.append(f"{name}: {error!r:.500}")
    with capsys.disabled():
        print(
            f"\ngemini: {right.total() + len(wrong)} tried, {right.total()} right, {dict(right)};"
            f" {outside.total()} out of scope: {dict(outside)}"
        )
    assert not wrong, "\n".join(wrong)
    assert (right.total(), outside.total()) == (51, 10)


# Requests: the vendor's to OpenAI's and back


def camel(value: Any) -> Any:
    """Rename members the one way; hosts take both."""
    if isinstance(value, list):
        return [camel(item) for item in value]
    if not isinstance(value, dict):
        return value
    opaque = ("args", "response", "properties")
    return {
        "".join(w if i == 0 else w.title() for i, w in enumerate(name.split("_"))): item
        if name in opaque
        else camel(item)
        for name, item in value.items()
    }


def lower(schema: Any) -> Any:
    """Write types as JSON Schema does; OpenAPI's are in capitals."""
    if isinstance(schema, list):
        return [lower(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: value.lower() if name == "type" and isinstance(value, str) else lower(value)
        for name, value in schema.items()
    }


def normal(body: dict[str, Any]) -> dict[str, Any]:
    """Take away what says the same in two ways, and what the adapter adds on purpose."""
    body = camel(body)
    body.pop("model", None)
    body.pop("safetySettings", None)
    config = body.pop("generationConfig", {})
    if config.get("responseModalities") == ["TEXT"]:
        del config["responseModalities"]
    schema = config.pop("responseSchema", None) or config.pop("responseJsonSchema", None)
    system = body.pop("systemInstruction", {}).get("parts", [])
    texts = [part for part in (system if isinstance(system, list) else [system]) if part["text"]]
    for tool in body.get("tools", ()):
        for function in tool.get("functionDeclarations", ()):
            given = function.pop("parameters", None) or function.pop("parametersJsonSchema", None)
            function["parameters"] = lower(given)
            function["parameters"]["required"] = function["parameters"].get("required", [])
            function["description"] = function.get("description", "")
    for part in (part for turn in body["contents"] for part in turn["parts"]):
        for name in ("functionCall", "functionResponse"):
            part.get(name, {}).pop("id", None)
        part.get("fileData", {}).pop("mimeType", None)
    return {**body, "config": config, "schema": lower(schema), "system": texts}


PARTS = {"image": "image_url", "audio": "input_audio"}


def openai_part(part: dict[str, Any]) -> dict[str, Any]:
    """Return OpenAI's part for one of the vendor's."""
    if "text" in part:
        return {"type": "text", "text": part["text"]}
    if "fileData" in part:
        return {"type": "file", "file": {"file_id": part["fileData"]["fileUri"]}}
    kind, data = part["inlineData"]["mimeType"], part["inlineData"]["data"]
    if kind.startswith("audio/"):
        audio = {"data": data, "format": kind.removeprefix("audio/")}
        return {"type": "input_audio", "input_audio": audio}
    url = f"data:{kind};base64,{data}"
    if kind.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "file", "file": {"file_data": url}}


def openai_messages(contents: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Yield OpenAI's messages for the vendor's turns; calls are numbered."""
    number = answered = 0
    for turn in contents:
        parts = turn["parts"]
        if turn.get("role") == "model":
            calls, blocks = [], []
            for part in parts:
                if "functionCall" in part:
                    call = part["functionCall"]
                    arguments = json.dumps(call["args"])
                    function = {"name": call["name"], "arguments": arguments}
                    calls.append({"id": f"c{number}", "type": "function", "function": function})
                    signature = part["thoughtSignature"]
                    kind = {"type": "thought_signature", "tool_call_id": f"c{number}"}
                    blocks.append({**kind, "signature": signature})
                    number += 1
            text = "".join(part.get("text", "") for part in parts)
            yield {
                "role": "assistant",
                "content": text or None,
                "tool_calls": calls or None,
                "thinking_blocks": blocks,
            }
            continue
        for part in (part["functionResponse"] for part in parts if "functionResponse" in part):
            text = {"type": "text", "text": json.dumps(part["response"])}
            content = [text, *map(openai_part, part.get("parts", ()))]
            yield {"role": "tool", "tool_call_id": f"c{answered}", "content": content}
            answered += 1
        if rest := [openai_part(part) for part in parts if "functionResponse" not in part]:
            yield {"role": "user", "content": rest}


def openai_request(given: dict[str, Any]) -> dict[str, Any]:
    """Return the request of OpenAI's that says the same."""
    body, config = camel(given), dict(camel(given).get("generationConfig", {}))
    found = normal(given)
    messages = [{"role": "system", "content": part["text"]} for part in found["system"]]
    request: dict[str, Any] = {
        "model": "m",
        "messages": [*messages, *openai_messages(body["contents"])],
        "max_completion_tokens": config.get("maxOutputTokens"),
        "temperature": config.get("temperature"),
        "top_p": config.get("topP"),
        "top_k": config.get("topK"),
        "n": config.get("candidateCount"),
        "seed": config.get("seed"),
        "stop": config.get("stopSequences"),
        "cached_content": body.get("cachedContent"),
        "speech_config": config.get("speechConfig"),
        "response_modalities": found["config"].get("responseModalities"),
    }
    if "responseMimeType" in config and config["responseMimeType"] != "text/plain":
        schema = {"name": "s", "schema": found["schema"]}
        request["response_format"] = (
            {"type": "json_schema", "json_schema": schema}
            if found["schema"]
            else {"type": "json_object"}
        )
    tools: list[dict[str, Any]] = []
    for tool in found.get("tools", ()):
        functions = tool.get("functionDeclarations")
        tools += [{"type": "function", "function": function} for function in functions or ()]
        tools += [
            {"type": t} for t in ("google_search", "url_context") if camel({t: 1}).keys() & tool
        ]
    mode = body.get("toolConfig", {}).get("functionCallingConfig", {}).get("mode")
    request["tools"] = tools or None
    request["tool_choice"] = {"ANY": "required", "AUTO": "auto"}.get(mode)
    return {name: value for name, value in request.items() if value is not None}


def test_every_recorded_request_comes_back_from_openais_form() -> None:
    """What real clients of the vendor sent is what the adapter builds for the same wish."""
    tried, wrong = 0, []
    for name, document in exchanges():
        given = document["request"]["body"]
        if OPERATIONS.get(document["api"]) != "chat" or not isinstance(given, dict):
            continue
        tried += 1
        operation = registry.adapter(HOSTS[document["vendor"]]).operations["chat"]
        model = (document["model"] or "m").removeprefix("models/")
        request = Request(json.dumps(openai_request(given)).encode())
        sent = operation.request(request, Target(model, "k", options={"project": "p"}))
        expected = normal(given)
        if expected["config"].get("candidateCount") == 1:
            del expected["config"]["candidateCount"]
        if expected["config"].get("responseMimeType") == "text/plain":
            del expected["config"]["responseMimeType"]
        found = normal(json.loads(sent.body))
        if found != expected or sent.dropped:
            wrong.append(f"{name}: {sent.dropped}\n {found!s:.900}\n {expected!s:.900}")
    assert not wrong, "\n".join(wrong)
    assert tried == 34


def test_every_recorded_embedding_request_comes_back_too() -> None:
    """Texts, task and dimensions stand where real clients of the two hosts put them."""
    tried = 0
    for _, document in exchanges():
        given = document["request"]["body"]
        if OPERATIONS.get(document["api"]) != "embeddings":
            continue
        tried += 1
        items = given.get("requests") or given["instances"]
        texts = [
            i["content"] if "instances" in given else i["content"]["parts"][0]["text"]
            for i in items
        ]
        request = {
            "model": "m",
            "input": texts,
            "dimensions": items[0].get("outputDimensionality"),
            "task_type": items[0].get("taskType", items[0].get("task_type")),
        }
        operation = registry.adapter(HOSTS[document["vendor"]]).operations["embeddings"]
        sent = operation.request(Request(json.dumps(request).encode()), Target(document["model"]))
        assert json.loads(sent.body) == given
        assert not sent.dropped
    assert tried == 6
