"""Recorded exchanges with Bedrock, through the adapter.

The corpus lies beside the project and is no part of it; without it these tests are skipped.
"""

from __future__ import annotations

import base64
import json
import random
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from adapters import bedrock
from proxy.adapter import Target, UpstreamResponse
from proxy.errors import (
    UpstreamAuth,
    UpstreamError,
    UpstreamRejected,
    UpstreamTruncated,
)
from proxy.relay import Cut, Relay
from proxy.wire import Request, Usage
from tests.adapters.bedrock_corpus import Said, as_openai, of_answer, of_stream
from tests.source import ROOT

CORPUS = ROOT.parent / "shared" / "wire" / "open"
CHAT = bedrock.operations["chat"]
CUTS = 40

OUT_OF_SCOPE = {
    "bedrock-mantle": "OpenAI's dialect, the business of another adapter",
    "count-tokens": "counts have a corpus test of their own",
    "invoke chat": "chat goes by Converse, which says the same for all makers",
}

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")


def whole(body: bytes) -> Said:
    """Read an OpenAI answer."""
    answer = ChatCompletion.model_validate_json(body)
    [choice], usage = answer.choices, answer.usage
    message: Any = choice.message
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    return Said(
        message.content or "",
        [
            (c.id, c.function.name, json.loads(c.function.arguments))
            for c in message.tool_calls or ()
        ],
        choice.finish_reason,
        (
            usage.prompt_tokens,
            usage.prompt_tokens_details.cached_tokens or 0,
            usage.completion_tokens,
        ),
        getattr(message, "reasoning_content", ""),
        [block["signature"] for block in getattr(message, "thinking_blocks", ())],
    )


def streamed(out: bytes) -> Said:
    """Read OpenAI's chunks."""
    blocks = out.decode().removesuffix("data: [DONE]\n\n").split("\n\n")[:-1]
    chunks = [ChatCompletionChunk.model_validate_json(block[6:]) for block in blocks]
    text = reasoning = ""
    calls: dict[int, list[str]] = {}
    signatures: list[str] = []
    finish: list[str] = []
    for chunk in chunks[:-1]:
        [choice] = chunk.choices
        delta: Any = choice.delta
        assert not finish
        text += delta.content or ""
        reasoning += getattr(delta, "reasoning_content", "")
        signatures += [b["signature"] for b in getattr(delta, "thinking_blocks", ())]
        for call in delta.tool_calls or ():
            if call.id is not None:
                assert call.index == len(calls)
                calls[call.index] = [call.id, call.function.name, ""]
            calls[call.index][2] += call.function.arguments
        finish += [choice.finish_reason] if choice.finish_reason else []
    assert chunks[-1].choices == []
    used: Any = chunks[-1].usage
    counted = (
        used.prompt_tokens,
        used.prompt_tokens_details.cached_tokens,
        used.completion_tokens,
    )
    found = [(c[0], c[1], json.loads(c[2])) for c in calls.values()]
    return Said(text, found, finish[0], counted, reasoning, signatures)


def relayed(pieces: Iterable[bytes]) -> tuple[bytes, Any, Usage | None]:
    """Return what the client gets, what cut it, and the usage."""
    assert CHAT.stream is not None
    relay, out = Relay(CHAT, CHAT.stream(0)), b""
    try:
        for piece in pieces:
            out += relay.feed(piece)
        return out + relay.close(), None, relay.usage
    except Cut as cut:
        return out + cut.before, cut.error, relay.usage


def check_stream(stream: bytes) -> str:
    """Run a stream whole, byte by byte and cut in two; and cut off."""
    out, error, usage = relayed([stream])
    expected = of_stream(stream)
    assert error is None
    assert out.endswith(b"data: [DONE]\n\n")
    assert streamed(out) == expected
    assert usage is not None
    assert (usage.input_tokens, usage.cached_tokens, usage.output_tokens) == expected.usage
    bytewise = [stream[i : i + 1] for i in range(len(stream))]
    places = random.Random(len(stream)).sample(range(1, len(stream)), CUTS)
    for pieces in (bytewise, *([stream[:i], stream[i:]] for i in places)):
        assert relayed(pieces) == (out, None, usage)
    for place in (*places, len(stream) - 1):
        before, error, _ = relayed([stream[:place]])
        assert isinstance(error, UpstreamTruncated)
        assert out.startswith(before)
    return "stream"


def check_whole(answer: dict[str, Any]) -> str:
    """Read a whole answer."""
    given = UpstreamResponse(200, headers(answer), json.dumps(answer["body"]).encode())
    response = CHAT.response(given, 0)
    expected = of_answer(answer["body"])
    assert whole(response.body) == expected
    assert response.usage is not None
    assert response.usage.input_tokens == expected.usage[0]
    assert bool(response.memory) is bool(expected.signatures and expected.calls)
    return "whole answer"


def check_error(answer: dict[str, Any]) -> str:
    """A refusal has the class its status means; a credential's trouble stays here."""
    status = answer["status"]
    body = json.dumps(answer["body"]).encode()
    error: UpstreamError = bedrock.error(UpstreamResponse(status, headers(answer), body))
    assert type(error) is (UpstreamAuth if status == 403 else UpstreamRejected)
    assert error.upstream_status == status
    assert (answer["body"]["message"] in error.message) is (status != 403)
    return "error"


def check_embeddings(document: dict[str, Any]) -> str:
    """A request gives the recorded one, and its answer the recorded vector."""
    body, answer = document["request"]["body"], document["response"]
    nova = body.get("singleEmbeddingParams")
    given: dict[str, Any] = {"model": "m", "input": nova["text"]["value"] if nova else None}
    given = {**given, "dimensions": nova["embeddingDimension"]} if nova else given
    given["input"] = given["input"] or body["inputText"]
    operation = bedrock.operations["embeddings"]
    sent = operation.request(Request(json.dumps(given).encode()), Target(document["model"]))
    assert json.loads(sent.body) == body
    assert sent.dropped == []
    whole = UpstreamResponse(200, headers(answer), json.dumps(answer["body"]).encode())
    response = operation.response(whole, 0)
    read = CreateEmbeddingResponse.model_validate_json(response.body)
    vectors = answer["body"].get("embeddings") or [answer["body"]]
    assert [item.embedding for item in read.data] == [v["embedding"] for v in vectors]
    counted = int(answer["headers"]["x-amzn-bedrock-input-token-count"])
    assert response.usage == Usage(input_tokens=counted)
    return "embeddings"


def check_request(document: dict[str, Any]) -> str | None:
    """What a recorded request says is said in the same words from OpenAI's dialect."""
    body = document["request"]["body"]
    try:
        given = as_openai(body, model="m", stream=document["api"] == "converse-stream")
    except KeyError:
        return None  # a guardrail's `qualifiers`, for which OpenAI has no words
    request = Request(json.dumps(given).encode())
    sent = CHAT.request(request, Target(document["model"]))
    assert sent.path in (
        document["request"]["path"],
        document["request"]["path"].replace(":", "%3A"),
    )
    assert list(sent.dropped) == []
    assert normal(json.loads(sent.body)) == normal(body)
    return "request"


def normal(body: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is empty; schemas are compared as what they say."""
    body = json.loads(json.dumps(body))
    body.get("inferenceConfig", {}).pop("stopSequences", None)
    if output := body.get("outputConfig"):
        definition = output["textFormat"]["structure"]["jsonSchema"]
        definition["schema"] = json.loads(definition["schema"])
    return {name: value for name, value in body.items() if value}


def headers(answer: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return an answer's headers as we get them."""
    return tuple((answer["headers"] or {}).items())


def check(document: dict[str, Any]) -> list[str]:
    """Check one exchange and return what it was."""
    answer = document["response"]
    if answer["status"] >= 400:
        return [check_error(answer)]
    if document["api"] == "invoke":
        return [check_embeddings(document)]
    found = [check_request(document)]
    if document["api"] == "converse-stream":
        found.append(check_stream(base64.b64decode(answer["body"]["base64"])))
    else:
        found.append(check_whole(answer))
    return [what for what in found if what]


def out_of_scope(document: dict[str, Any]) -> str | None:
    """Return which of the reasons keeps an exchange out."""
    if document["vendor"] == "bedrock-mantle":
        return "bedrock-mantle"
    if document["response"]["status"] >= 400:
        return None
    if document["api"] == "count-tokens":
        return "count-tokens"
    chat = "embeddings" not in document["features"] and "embed" not in (document["model"] or "")
    return "invoke chat" if document["api"].startswith("invoke") and chat else None


def test_every_recorded_exchange_is_handled_right(capsys: pytest.CaptureFixture[str]) -> None:
    """Text, calls, reason, usage, errors; whole, cut anywhere, cut off."""
    right: Counter[str] = Counter()
    out: Counter[str] = Counter()
    wrong: list[str] = []
    tried = 0
    for path in sorted(CORPUS.glob("bedrock*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        if reason := out_of_scope(document):
            out[reason] += 1
            continue
        tried += 1
        try:
            right.update(check(document))
        except (AssertionError, UpstreamError, Cut, KeyError, ValueError) as error:
            wrong.append(f"{path.stem}: {error!r:.600}")
    with capsys.disabled():
        print(
            f"\nbedrock: {tried + out.total()} exchanges, {tried} tried, "
            f"{tried - len(wrong)} right: {dict(right)}; out of scope: "
            + ", ".join(f"{count} ({OUT_OF_SCOPE[reason]})" for reason, count in out.items())
        )
    assert not wrong, "\n".join(wrong)
    assert tried == 26
