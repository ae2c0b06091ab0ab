"""OpenAI's chat and legacy completions."""

import json
from typing import Any

import pytest

from proxy.sim.behaviour import Behaviour
from proxy.sim.chat import DONE, chat, completion
from proxy.sim.face import Inquiry, World
from proxy.sim.refusal import Refusal
from proxy.sim.script import Answer

TOOLS = [
    {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}},
    {"type": "custom", "custom": {"name": "note"}},
]


def ask(said: Any = "hi", model: str = "sim", **fields: Any) -> Answer:
    messages = fields.pop("messages", [{"role": "user", "content": said}])
    document = {"model": model, "messages": messages, **fields}
    return chat(inquiry(document), World(Behaviour(), 1_750_000_000))


def legacy(prompt: Any, **fields: Any) -> Answer:
    document = {"model": "sim:tokens=3", "prompt": prompt, **fields}
    return completion(inquiry(document), World(Behaviour(), 1_750_000_000))


def inquiry(document: Any) -> Inquiry:
    return Inquiry("POST", "/v1/chat/completions", "", "", json.dumps(document).encode())


def chunks(answer: Answer) -> list[Any]:
    assert answer.events is not None
    return [json.loads(event.removeprefix(b"data: ")) for event in answer.events]


def test_a_whole_answer_has_every_field() -> None:
    """The shape is OpenAI's, to the last null."""
    found = json.loads(ask("hello").body)
    assert list(found) == [
        "id",
        "object",
        "created",
        "model",
        "service_tier",
        "system_fingerprint",
        "choices",
        "usage",
    ]
    choice = found["choices"][0]
    assert choice["message"]["content"].startswith("You said: hello")
    assert (choice["message"]["refusal"], choice["message"]["annotations"]) == (None, [])
    assert (choice["logprobs"], choice["finish_reason"]) == (None, "stop")
    usage = found["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == 0
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 0


def test_the_same_request_gets_the_same_answer() -> None:
    """Ids included; another request gets another id."""
    assert ask("a").body == ask("a").body
    assert json.loads(ask("a").body)["id"] != json.loads(ask("b").body)["id"]


def test_a_stream_without_usage_has_none() -> None:
    """Nobody asked for usage, so no chunk has the field."""
    answer = ask(stream=True)
    found = chunks(answer)
    assert all("usage" not in chunk for chunk in found)
    assert found[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert found[-1]["choices"][0] == {
        "index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop",
    }  # fmt: skip
    assert answer.end == DONE


def test_a_stream_with_usage_has_it_once_and_last() -> None:
    """The other chunks say null, and the last has no choices."""
    found = chunks(ask(stream=True, stream_options={"include_usage": True}))
    assert [chunk["usage"] for chunk in found[:-1]] == [None] * (len(found) - 1)
    assert found[-1]["choices"] == []
    assert found[-1]["usage"]["total_tokens"] > 0


def test_a_stream_says_what_the_whole_answer_says() -> None:
    """The deltas joined are the message."""
    deltas = [c["choices"][0]["delta"].get("content") or "" for c in chunks(ask(stream=True))]
    assert "".join(deltas) == json.loads(ask().body)["choices"][0]["message"]["content"]


def test_content_is_counted_for_pacing() -> None:
    """Only content waits: not the role before it, not the reason behind it."""
    answer = ask(model="sim:chunks=7", stream=True)
    assert (answer.lead, answer.content, len(answer.events or ())) == (1, 7, 9)


def test_calls_of_tools() -> None:
    """Parallel calls have ids and arguments; a custom tool gets text."""
    message = json.loads(ask("x", "sim:parallel=2", tools=TOOLS).body)["choices"][0]
    assert message["finish_reason"] == "tool_calls"
    calls = message["message"]["tool_calls"]
    assert [call["type"] for call in calls] == ["function", "custom"]
    assert calls[0]["function"] == {"name": "weather", "arguments": "{}"}
    assert calls[1]["custom"] == {"name": "note", "input": "x"}
    assert message["message"]["content"] is None
    assert calls[0]["id"] != calls[1]["id"]


def test_streamed_calls_begin_with_their_names() -> None:
    """The first delta of a call has id and name, the others only arguments."""
    found = chunks(ask("x", "sim:parallel=2", tools=TOOLS, stream=True))
    deltas = [chunk["choices"][0]["delta"] for chunk in found]
    assert deltas[0]["content"] is None
    calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert [call["index"] for call in calls] == [0, 0, 1, 1]
    assert calls[0]["function"] == {"name": "weather", "arguments": ""}
    assert calls[1] == {"index": 0, "function": {"arguments": "{}"}}
    assert calls[3] == {"index": 1, "custom": {"input": "x"}}
    assert found[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("none", []),
        ("auto", ["weather"]),
        ("required", ["weather"]),
        ({"type": "custom", "custom": {"name": "note"}}, ["note"]),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [TOOLS[1]]},
            },
            ["note"],
        ),
    ],
)
def test_the_tool_choice_is_followed(choice: Any, names: list[str]) -> None:
    """None, any, one by name, or some."""
    message = json.loads(ask("x", tools=TOOLS, tool_choice=choice).body)["choices"][0]["message"]
    called = [
        (call.get("function") or call["custom"])["name"] for call in message.get("tool_calls", [])
    ]
    assert called == names


def test_after_a_result_there_is_text() -> None:
    """The loop of an agent ends, unless it insists."""
    messages = [{"role": "user", "content": "x"}, {"role": "tool", "content": "sunny"}]
    found = json.loads(ask(messages=messages, tools=TOOLS).body)["choices"][0]
    assert found["finish_reason"] == "stop"
    found = json.loads(ask(messages=messages, tools=TOOLS, tool_choice="required").body)
    assert found["choices"][0]["finish_reason"] == "tool_calls"


def test_structured_answers() -> None:
    """JSON mode is JSON, a schema is satisfied."""
    form = {"type": "json_schema", "json_schema": {"schema": {"properties": {"a": {"const": 1}}}}}
    found = json.loads(ask(response_format=form).body)["choices"][0]["message"]["content"]
    assert json.loads(found) == {"a": 1}
    found = json.loads(ask("x", response_format={"type": "json_object"}).body)
    assert json.loads(found["choices"][0]["message"]["content"]) == {"answer": "x"}


def test_content_parts() -> None:
    """Text parts are text; pictures are counted, and cost tokens."""
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:,"}},
        {"type": "text", "text": 5},
    ]
    found = json.loads(ask(parts).body)
    text = found["choices"][0]["message"]["content"]
    assert text.startswith("You sent 1 image. You said: look")
    assert found["usage"]["prompt_tokens"] > 85


def test_several_choices() -> None:
    """Each has its index and its own words, whole and streamed."""
    found = json.loads(ask(n=3).body)["choices"]
    assert [choice["index"] for choice in found] == [0, 1, 2]
    assert len({choice["message"]["content"] for choice in found}) == 3
    answer = ask(n=2, stream=True)
    assert answer.lead == 2
    ends = [
        chunk["choices"][0]["index"]
        for chunk in chunks(answer)
        if chunk["choices"][0]["finish_reason"]
    ]
    assert ends == [0, 1]


def test_limits_and_stops() -> None:
    """`max_tokens`, its successor, and `stop` as text or list."""
    for name in ("max_tokens", "max_completion_tokens"):
        found = json.loads(ask(**{name: 4}).body)
        assert found["choices"][0]["finish_reason"] == "length"
        assert found["usage"]["completion_tokens"] == 4
    for stop in ("answers", ["answers"]):
        assert "answers" not in json.loads(ask(stop=stop).body)["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"model": "sim:chunks=x"}, "model"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "name": "nobody"}}, "tool_choice"),
    ],
)
def test_what_openai_refuses_is_refused(fields: dict[str, Any], param: str) -> None:
    """A 400 that names the field."""
    with pytest.raises(Refusal) as caught:
        ask(**fields)
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"model":1}', b"\xff", b"[" * 100_000])
def test_bodies_that_are_none(body: bytes) -> None:
    """No JSON, no object, no UTF-8, too deep: 400."""
    with pytest.raises(Refusal) as caught:
        chat(Inquiry("POST", "/", "", "", body), World(Behaviour(), 0))
    assert caught.value.status == 400


def test_a_legacy_completion() -> None:
    """Text in place of a message, streamed too; `echo` puts the prompt before."""
    found = json.loads(legacy("Once", echo=True).body)
    assert found["object"] == "text_completion"
    assert found["choices"][0]["text"].startswith("OnceYou said: Once")
    streamed = chunks(legacy("Once", stream=True, stream_options={"include_usage": True}))
    assert streamed[0]["choices"][0]["text"] == "You "
    assert streamed[-2]["choices"][0]["finish_reason"] == "stop"
    assert streamed[-1]["usage"]["prompt_tokens"] == 1


@pytest.mark.parametrize(
    ("prompt", "choices"), [(["a", "b"], 2), ([1, 2, 3], 1), ([[1], [2]], 2), ([], 1)]
)
def test_prompts_as_lists(prompt: Any, choices: int) -> None:
    """Several texts, tokens, several lists of tokens."""
    assert len(json.loads(legacy(prompt).body)["choices"]) == choices
