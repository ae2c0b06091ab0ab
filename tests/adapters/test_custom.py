"""A vendor by configuration alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from adapters import custom
from proxy import registry
from proxy.adapter import Operation, Target, UpstreamResponse
from proxy.errors import GatewayError, UpstreamBadResponse, UpstreamFailed, UpstreamTruncated
from proxy.relay import Cut, Relay
from proxy.wire import Request, Usage

CHAT = {
    "path": "/v2/{model}/generate",
    "headers": {"X-Version": "2"},
    "request": [
        {"op": "move", "from": "/messages", "path": "/input/messages"},
        {"op": "set", "path": "/mode", "value": "fast"},
        {"op": "remove", "path": "/user"},
    ],
    "response": [{"op": "move", "from": "/result", "path": "/answer"}],
    "answer": {
        "text": "/answer/text",
        "reasoning": "/answer/thoughts",
        "finish": "/answer/why",
        "finish_reasons": {"done": "stop"},
        "usage": {"input": "/meta/in", "output": "/meta/out"},
    },
    "stream": {
        "framing": "json-lines",
        "text": "/piece",
        "reasoning": "/thought",
        "finish": "/why",
        "usage": {"input": "/in", "output": "/out"},
        "end": "/done",
    },
}
LINES = (
    b'{"thought":"hm"}\n{"piece":"H"}\n\n{"piece":"i","why":"length"}\n'
    b'{"in":3,"out":2,"done":true}\n'
)


def operation(name: str = "chat", **changes: Any) -> Operation:
    """Return the operation that the options make."""
    options = {"auth": "X-Key: {credential}", "operations": {name: {**CHAT, **changes}}}
    return custom.configured(options).operations[name]


def relayed(made: Operation, pieces: list[bytes]) -> tuple[bytes, GatewayError | None, Any]:
    """Return what the client gets of a stream."""
    assert made.stream is not None
    relay, out = Relay(made, made.stream(7)), b""
    try:
        for piece in pieces:
            out += relay.feed(piece)
        return out + relay.close(), None, relay.usage
    except Cut as cut:
        return out + cut.before, cut.error, relay.usage


def test_without_options_it_is_openais_dialect_anywhere() -> None:
    """Only the address is the user's."""
    assert custom.defaults.base_url == ""
    assert registry.adapter("custom").operations.keys() == custom.operations.keys()


def test_the_registry_applies_the_options() -> None:
    """A provider's options make its adapter."""
    made = registry.adapter("custom", {"operations": {"chat": {}}})

    assert list(made.operations) == ["chat"]


def test_a_request_is_patched() -> None:
    """Path, headers, credential and body are the user's words."""
    body = b'{"model":"m","messages":[1],"user":"u","stream":true}'
    made = operation().request(Request(body), Target("a/b", "KEY"))

    assert made.path == "/v2/a%2Fb/generate"
    assert made.headers == (
        ("x-key", "KEY"),
        ("content-type", "application/json"),
        ("x-version", "2"),
    )
    assert json.loads(made.body) == {
        "model": "a/b",
        "input": {"messages": [1]},
        "mode": "fast",
        "stream": True,
    }


def test_an_answer_is_read_by_pointers() -> None:
    """Into a form OpenAI's types take."""
    body = b'{"result":{"text":"hi","thoughts":"hm","why":"done"},"meta":{"in":3,"out":2}}'
    answer = operation().response(UpstreamResponse(200, (), body), 7)
    found = ChatCompletion.model_validate_json(answer.body, strict=True)

    assert found.choices[0].message.content == "hi"
    assert found.choices[0].finish_reason == "stop"
    assert json.loads(answer.body)["choices"][0]["message"]["reasoning_content"] == "hm"
    assert answer.usage == Usage(3, output_tokens=2)


def test_an_answer_may_be_made_by_patches_alone() -> None:
    """What they leave is OpenAI's."""
    patches = [{"op": "move", "from": "/vectors", "path": "/data/0/embedding"}]
    made = operation("embeddings", answer=None, stream=False, response=patches)
    body = b'{"vectors":[1,2],"usage":{"total_tokens":3}}'
    answer = made.response(UpstreamResponse(200, (), body), 7)

    assert json.loads(answer.body)["data"] == [{"embedding": [1, 2]}]
    assert answer.usage == Usage(3)


def test_a_stream_is_read_by_pointers() -> None:
    """However the network cut it."""
    whole = relayed(operation(), [LINES])
    splits = [[LINES[:i], LINES[i:]] for i in range(1, len(LINES))]
    for pieces in [[LINES[i : i + 1] for i in range(len(LINES))], *splits]:
        assert relayed(operation(), pieces) == whole

    events = whole[0].removesuffix(b"data: [DONE]\n\n").strip().split(b"\n\n")
    chunks = [ChatCompletionChunk.model_validate_json(e[6:], strict=True) for e in events]
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert (whole[1], whole[2], text) == (None, Usage(3, output_tokens=2), "Hi")
    assert chunks[-2].choices[0].finish_reason == "length"
    assert b'"reasoning_content":"hm"' in whole[0]


def test_a_stream_without_its_end_is_truncated() -> None:
    """An error inside is one, and so is what is no object."""
    first = LINES.partition(b"\n")[0] + b"\n"
    assert isinstance(relayed(operation(), [first])[1], UpstreamTruncated)
    assert isinstance(relayed(operation(), [first, b'{"error":"x"}\n'])[1], UpstreamFailed)
    assert isinstance(relayed(operation(), [first, b"[]\n"])[1], UpstreamBadResponse)


def test_an_end_marker_may_be_a_word() -> None:
    """As in OpenAI's own streams."""
    stream = {"text": "/t", "end": "[END]"}
    sse = b': hello\n\ndata: {"t":"x"}\n\ndata: [END]\n\n'
    out, error, usage = relayed(operation(stream=stream), [sse])

    assert (error, usage) == (None, None)
    assert out.endswith(b"data: [DONE]\n\n")


def test_openais_own_stream_needs_one_word() -> None:
    """Then usage is asked for, as there."""
    made = operation(stream=True, response=[], answer=None)
    request = Request(b'{"model":"m","messages":[],"stream":true}')

    assert b'"include_usage":true' in made.request(request, Target("m")).body
    assert relayed(made, [b"data: [DONE]\n\n"]) == (b"data: [DONE]\n\n", None, None)
    assert made.request(request, Target("m")).headers[0] == ("content-type", "application/json")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"x": 1}, "unknown field `x`"),
        ({"auth": "key"}, "`auth` must be like"),
        ({"operations": {"talk": {}}}, "`talk` is no operation"),
        ({"operations": {"chat": {"path": "v2"}}}, "must begin with a slash"),
        ({"operations": {"chat": {"request": [{"op": "add", "path": "/x"}]}}}, "'add'"),
        ({"operations": {"chat": {"request": [{"op": "set", "path": "x"}]}}}, "no JSON Pointer"),
        ({"operations": {"chat": {"request": [{"op": "move", "path": "/x"}]}}}, "whole document"),
        ({"operations": {"chat": {"answer": {"text": "x"}}}}, "no JSON Pointer"),
        ({"operations": {"chat": {"stream": {"text": "/x"}}}}, "`end`"),
        ({"operations": {"rerank": {"answer": {"text": "/x"}}}}, "`rerank` takes none"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(options: Any, words: str) -> None:
    """When the configuration is read, not when the first request comes."""
    with pytest.raises(ValueError, match=words):
        custom.check(options)
