"""What real vendors answered in OpenAI's dialect, through their adapters: the same bytes out.

The corpus lies beside the project and is no part of it; without it these tests are skipped.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pytest

from adapters._openai_stream import EventStream
from adapters._presets import presets
from proxy import registry
from proxy.adapter import Adapter, Operation, Target, UpstreamResponse
from proxy.errors import (
    ContextLengthExceeded,
    GatewayError,
    UpstreamAuth,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTruncated,
)
from proxy.relay import Cut, Relay
from proxy.wire import Request, Usage
from tests.source import ROOT

CORPUS = ROOT.parent / "shared" / "wire" / "open"
OPERATIONS = {
    "chat.completions": "chat",
    "completions": "completions",
    "embeddings": "embeddings",
    "images.generations": "images",
    "moderations": "moderations",
    "rerank": "rerank",
    "responses": "responses",
}
ADAPTERS = {
    "azure-ai": "azure",
    "azure-openai": "azure",
    "vercel-ai-gateway": "vercel",
}
"""Who is called otherwise in the corpus; vendors that need no quirks are `openai` to us."""

CUTS = 24
"""Places at which each stream is cut, beside the whole and the bytes one by one."""

AS_THEY_ARE = {"audio", "batches", "files", "images", "models", "realtime"}
"""Passed through without being read: out of scope here. All else is another dialect."""

KINDS = {401: UpstreamAuth, 403: UpstreamAuth, 429: UpstreamRateLimited}
TERMINAL = ("response.completed", "response.incomplete", "response.failed")
DONE = b"data: [DONE]\n\n"

REASONING_APART = {"gemini-openai", "vercel-ai-gateway", "xai"}
"""Vendors whose `completion_tokens` leave reasoning out; some even leave it unsaid."""
WITHOUT_MARKER = {"perplexity"}
"""Vendors whose streams just stop after the chunk with the finish reason."""

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")


class Case(NamedTuple):
    """One recorded exchange and what serves it."""

    name: str
    vendor: str
    adapter: Adapter
    operation: Operation
    document: dict[str, Any]


def cases() -> Iterator[Case]:
    """Yield the exchanges in OpenAI's dialect."""
    known = {"azure", "huggingface", *presets}
    for path in sorted(CORPUS.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        vendor, operation = document["vendor"], OPERATIONS.get(document["api"])
        if operation is None:
            continue
        name = ADAPTERS.get(vendor, vendor)
        adapter = registry.adapter(name if name in known else "openai")
        found = adapter.operations.get(operation)
        if found is None or not found.forwards:
            adapter = registry.adapter("openai")
            found = adapter.operations[operation]
        yield Case(path.stem, vendor, adapter, found, document)


def out_of_scope() -> Counter[str]:
    """Count the other exchanges by the reason."""
    found: Counter[str] = Counter()
    for path in CORPUS.glob("*.json"):
        api = json.loads(path.read_text(encoding="utf-8"))["api"]
        if api not in OPERATIONS:
            passed = api.partition(".")[0] in AS_THEY_ARE
            found["passed through unread" if passed else "another dialect"] += 1
    return found


def usage_of(document: dict[str, Any], vendor: str) -> Usage | None:
    """Read usage as each vendor documents it."""
    found = document.get("usage") or (document.get("x_groq") or {}).get("usage")
    if not isinstance(found, dict):
        return None
    into = found.get("prompt_tokens_details") or found.get("input_tokens_details") or {}
    out = found.get("completion_tokens_details") or found.get("output_tokens_details") or {}
    prompt = found.get("prompt_tokens") or found.get("input_tokens") or 0
    output = found.get("completion_tokens") or found.get("output_tokens") or 0
    reasoning = out.get("reasoning_tokens") or 0
    if vendor in REASONING_APART and "completion_tokens" in found:
        reasoning = reasoning or found["total_tokens"] - prompt - output
        output += reasoning
    if not prompt and not output:
        prompt = found.get("total_tokens") or 0  # reranking and some embeddings
    cached = into.get("cached_tokens") or found.get("cached_tokens") or 0
    audio = into.get("audio_tokens") or 0
    if vendor == "mistral":
        prompt += audio
    return Usage(
        prompt,
        min(cached, prompt) if vendor == "azure-ai" else cached,
        output,
        min(reasoning, output),
        into.get("cache_write_tokens") or 0,
        audio_input_tokens=audio,
        audio_output_tokens=out.get("audio_tokens") or 0,
        images=len(document["data"]) if "b64_json" in json.dumps(document)[:200] else 0,
    )


def relayed(operation: Operation, pieces: Iterable[bytes]) -> tuple[bytes, Any, Usage | None]:
    """Return what the client gets, what cut it, and the usage."""
    assert operation.stream is not None
    relay, out = Relay(operation, operation.stream(0)), b""
    try:
        for piece in pieces:
            out += relay.feed(piece)
        return out + relay.close(), None, relay.usage
    except Cut as cut:
        return out + cut.before, cut.error, relay.usage


class Expected:
    """What a recorded stream is, read line by line and by nobody's framer."""

    def __init__(self, stream: bytes, vendor: str) -> None:
        self.usage: Usage | None = None
        self.fails = self.whole = self.marked = False
        lines = [line for line in stream.decode().splitlines() if line.startswith("data:")]
        for line in lines:
            text = line.removeprefix("data:").strip()
            if text == "[DONE]":
                self.whole = self.marked = True
                continue
            event = json.loads(text)
            inner = event.get("response") or {}
            self.usage = usage_of(event, vendor) or usage_of(inner, vendor) or self.usage
            self.whole |= event.get("type") in TERMINAL
            if vendor in WITHOUT_MARKER:
                self.whole |= any(choice["finish_reason"] for choice in event["choices"])
            if event.get("error") or event.get("type") == "error":
                self.fails = True
                break


def check_stream(case: Case, stream: bytes) -> str:
    """Run a stream whole, byte by byte and cut; return what it turned out to be."""
    operation, expected = case.operation, Expected(stream, case.vendor)
    out, error, usage = relayed(operation, [stream])
    places = random.Random(len(stream)).sample(range(1, len(stream)), CUTS)
    bytewise = [stream[i : i + 1] for i in range(len(stream))]
    for pieces in (bytewise, *([stream[:i], stream[i:]] for i in places)):
        again = relayed(operation, pieces)
        assert (again[0], type(again[1]), again[2]) == (out, type(error), usage)
    assert usage == expected.usage
    if expected.fails:
        assert isinstance(error, UpstreamError)
        assert stream.startswith(out)
        return "stream with an error"
    unmarked = case.vendor in WITHOUT_MARKER and not expected.marked
    assert out == stream + (DONE if unmarked else b"")
    if not expected.whole:
        assert isinstance(error, UpstreamTruncated)
        return "stream without its end"
    assert error is None
    check_cut(case, stream, places)
    return "stream"


def check_cut(case: Case, stream: bytes, places: Sequence[int]) -> None:
    """A stream that stops before its end marker is never taken for a whole one."""
    for place in places:
        part = stream[:place]
        ends = max(part.rfind(b"\n\n"), part.rfind(b"\r\n\r\n"))
        if Expected(part[: ends + 1], case.vendor).whole or b"[DONE]" in part:
            continue
        out, error, _ = relayed(case.operation, [part])
        assert stream.startswith(out.rstrip(b"\r\n"))
        assert isinstance(error, UpstreamTruncated)


def check_whole(case: Case) -> str:
    """An answer goes out as it came, or is the error it reports."""
    answer = case.document["response"]
    body = json.dumps(answer["body"]).encode()
    given = UpstreamResponse(answer["status"], tuple((answer["headers"] or {}).items()), body)
    if answer["body"].get("error"):
        with pytest.raises(UpstreamError):
            case.operation.response(given, 0)
        return "error in a 200"
    response = case.operation.response(given, 0)
    assert response.body == body
    if case.document["api"] == "images.generations":
        assert response.usage is not None
        assert response.usage.images == len(answer["body"]["data"])
    else:
        assert response.usage == usage_of(answer["body"], case.vendor)
    return "whole answer"


def words_of(body: Any) -> str:
    """Return what a vendor said went wrong, wherever it says it."""
    said = body.get("error") or body.get("message") or body.get("detail") or body.get("text")
    said = said.get("message") if isinstance(said, dict) else said
    return said[0]["msg"] if isinstance(said, list) else str(said)


def check_error(case: Case) -> str:
    """A refusal has the class it means, and the vendor's words where they are harmless."""
    answer = case.document["response"]
    status, body = answer["status"], answer["body"]
    raw = body["text"].encode() if body.keys() == {"text"} else json.dumps(body).encode()
    headers = tuple((answer["headers"] or {}).items())
    error: GatewayError = case.adapter.error(UpstreamResponse(status, headers, raw))
    words = words_of(body)
    kind: type[GatewayError] = KINDS.get(status, UpstreamRejected)
    if "context length" in words:
        kind = ContextLengthExceeded
    elif "API key" in words:
        kind = UpstreamAuth
    assert type(error) is kind
    assert status in (error.upstream_status, 400)
    assert (words in error.message) is not isinstance(error, UpstreamAuth)
    return "error"


def check_request(case: Case) -> str | None:
    """A recorded request goes to another model with nothing else changed."""
    body = case.document["request"]["body"]
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        return None
    request = Request(json.dumps(body, indent=1).encode())
    made = case.operation.request(request, Target("another"))
    assert not made.dropped
    sent = json.loads(made.body)
    if "max_completion_tokens" in body and "max_tokens" in sent:
        sent["max_completion_tokens"] = sent.pop("max_tokens")
    options = sent.pop("stream_options", None)
    asked = body.pop("stream_options", None)
    assert sent == {**body, "model": "another"}
    if not request.stream or case.operation.stream is EventStream:
        assert options == asked
    else:
        assert options == {**(asked or {}), "include_usage": True}
    return "request"


def check(case: Case) -> list[str]:
    """Check one exchange and return what it was."""
    answer = case.document["response"]
    sort = check_request(case)
    found = [sort] if sort else []
    if answer["status"] >= 400:
        return [*found, check_error(case)]
    if "sse_text" in answer["body"]:
        return [*found, check_stream(case, answer["body"]["sse_text"].encode())]
    return [*found, check_whole(case)]


def test_every_exchange_in_openais_dialect_is_handled_right(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Same bytes out, usage right, a cut stream is truncated, an error has its class."""
    right: Counter[str] = Counter()
    vendors: Counter[str] = Counter()
    wrong: list[str] = []
    for case in cases():
        vendors[case.vendor] += 1
        try:
            right.update(check(case))
        except (AssertionError, GatewayError, Cut) as error:
            wrong.append(f"{case.name}: {error!r:.300}")
    tried, beyond = vendors.total(), out_of_scope()
    with capsys.disabled():
        print(
            f"\ncorpus: {tried + beyond.total()} exchanges, {tried} tried, "
            f"{tried - len(wrong)} right, out of scope: {dict(beyond)}; {dict(right)}; "
            f"{dict(vendors)}"
        )
    assert not wrong, "\n".join(wrong)
    assert tried > 200
