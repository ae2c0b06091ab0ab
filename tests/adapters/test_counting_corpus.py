"""Counts that vendors gave to others, through the adapters.

The corpus lies beside the project and is no part of it; without it these tests are skipped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from proxy import registry
from proxy.adapter import Adapter, Target, UpstreamRequest, UpstreamResponse
from proxy.errors import UpstreamRejected
from proxy.wire import Request
from tests.source import ROOT

CORPUS = ROOT.parent / "shared" / "wire" / "open"
VENDORS = {
    "anthropic": "anthropic",
    "bedrock": "bedrock",
    "gemini": "gemini",
    "vertex-gemini": "vertex",
}
NUMBERS = ("input_tokens", "totalTokens", "inputTokens")

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not here")


def exchanges() -> Iterator[Any]:
    """Yield the exchanges about counts, as parameters."""
    for path in sorted(CORPUS.glob("*count*tokens-*.json")):
        yield pytest.param(json.loads(path.read_text(encoding="utf-8")), id=path.stem)


def adapter_of(document: dict[str, Any]) -> Adapter:
    """Return the vendor's adapter."""
    return registry.adapter(VENDORS[document["vendor"]])


@pytest.mark.parametrize("document", [*exchanges()])
def test_every_recorded_count_is_read(document: dict[str, Any]) -> None:
    """A number is OpenAI's number; an error has the vendor's status and words."""
    adapter, answer = adapter_of(document), document["response"]
    given = UpstreamResponse(answer["status"], (), json.dumps(answer["body"]).encode())
    if answer["status"] >= 400:
        error = adapter.error(given)
        assert isinstance(error, UpstreamRejected)
        assert error.status == answer["status"]
        said = answer["body"].get("message") or answer["body"]["error"]["message"]
        assert error.message == said
        return
    response = adapter.operations["input_tokens"].response(given, 0)
    [tokens] = [answer["body"][name] for name in NUMBERS if name in answer["body"]]
    assert json.loads(response.body)["input_tokens"] == tokens


def asked(document: dict[str, Any], model: str, text: str) -> UpstreamRequest:
    """Ask for the count that was asked for there."""
    request = Request(json.dumps({"model": "m", "input": text}).encode())
    target = Target(model, "key", options={"project": "REDACTED", "location": "us-central1"})
    return adapter_of(document).operations["input_tokens"].request(request, target)


def find(name: str) -> dict[str, Any]:
    """Return one exchange."""
    [path] = CORPUS.glob(f"{name}-*.json")
    return dict(json.loads(path.read_text(encoding="utf-8")))


def test_what_was_asked_there_we_ask_here() -> None:
    """Path and body, but for members that say nothing."""
    claude = find("anthropic-count-tokens-error404")
    made = asked(claude, "claude-does-not-exist", "hello")
    assert f"/v1{made.path}" == claude["request"]["path"].partition("?")[0]
    assert json.loads(made.body) == claude["request"]["body"]
    converse = find("bedrock-count-tokens-json")
    text = "The quick brown fox jumps over the lazydog."
    made = asked(converse, "anthropic.claude-sonnet-4-20250514-v1:0", text)
    assert made.path == converse["request"]["path"]
    sent = converse["request"]["body"]["input"]["converse"]
    assert json.loads(made.body)["input"]["converse"] == {"messages": sent["messages"]}
    vertex = find("vertex-gemini-counttokens-json")
    made = asked(vertex, "gemini-2.5-flash", "What is the capital of France?")
    assert made.path == vertex["request"]["path"]
    assert json.loads(made.body) == vertex["request"]["body"]
    gemini = find("gemini-counttokens-json")
    made = asked(gemini, "gemini-2.5-flash", text)
    assert f"/v1beta{made.path}" == gemini["request"]["path"]
    whole = json.loads(made.body)["generateContentRequest"]
    assert whole["contents"] == gemini["request"]["body"]["contents"]
