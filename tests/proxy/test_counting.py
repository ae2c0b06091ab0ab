"""A request for a count as the chat request that would be sent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from openai.types.responses import input_token_count_params
from openai.types.responses.input_token_count_response import InputTokenCountResponse
from pydantic import TypeAdapter

from proxy import counting
from proxy.adapter import Dropped, Operation, Target, UpstreamRequest, UpstreamResponse
from proxy.chat import ChatRequest
from proxy.counting import Countable
from proxy.errors import InvalidRequest, UpstreamBadResponse, UpstreamFailed
from proxy.framing import SSE
from proxy.wire import Request, Response
from tests.typed import exhausted

PARAMS = TypeAdapter(input_token_count_params.InputTokenCountParams)
PNG = "data:image/png;base64,iVBORw0KGgo="


def countable(**members: Any) -> Countable:
    """Translate a request that OpenAI's own types take."""
    body = {"model": "m", **members}
    exhausted(PARAMS.validate_python(body))
    return Countable(Request(json.dumps(body).encode()))


def chat(**members: Any) -> dict[str, Any]:
    """Return the chat request for a request of which nothing is lost."""
    found = countable(**members)
    assert found.dropped == []
    found.chat.view(ChatRequest)
    return dict(json.loads(found.chat.body))


def messages(*items: Any, **members: Any) -> list[Any]:
    """Return the messages for these items."""
    found = chat(input=list(items), **members)["messages"]
    assert isinstance(found, list)
    return found


def lost(found: Countable) -> list[str]:
    """Return the names of what is lost."""
    return [each.name for each in found.dropped]


def test_a_text_is_the_users() -> None:
    """Instructions stand before it."""
    assert chat(input="Hi", instructions="Be brief") == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief"},
            {"role": "user", "content": "Hi"},
        ],
    }


def test_messages_keep_their_roles_and_get_chats_parts() -> None:
    """With a type or without one."""
    said = {"type": "output_text", "text": "Hello", "annotations": []}
    found = messages(
        {"role": "developer", "content": "Be brief"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [said, {"type": "refusal", "refusal": "No"}],
        },
    )
    assert [message["role"] for message in found] == ["developer", "user", "assistant"]
    assert found[1]["content"] == [{"type": "text", "text": "Hi"}]
    assert found[2]["content"] == [
        {"type": "text", "text": "Hello", "annotations": []},
        {"type": "refusal", "refusal": "No"},
    ]


def test_pictures_and_documents() -> None:
    """Inside the request, by URL, by id; a mark for the cache stays on its part."""
    mark = {"cache_control": {"type": "ephemeral"}}
    [found] = messages(
        {
            "role": "user",
            "content": [
                {"type": "input_image", "image_url": PNG, "detail": "low", **mark},
                {"type": "input_file", "file_data": "JVBERi0=", "filename": "a.pdf"},
                {"type": "input_file", "file_url": "https://example.com/a.pdf"},
                {"type": "input_file", "file_id": "file_1", **mark},
            ],
        }
    )
    empty = {"file_data": None, "file_id": None, "filename": None}
    assert found["content"] == [
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}, **mark},
        {"type": "file", "file": {**empty, "file_data": "JVBERi0=", "filename": "a.pdf"}},
        {"type": "file", "file": {**empty, "file_data": "https://example.com/a.pdf"}},
        {"type": "file", "file": {**empty, "file_id": "file_1"}, **mark},
    ]


def call(call_id: str, **more: Any) -> dict[str, Any]:
    """Return an item of a call."""
    base = {"type": "function_call", "call_id": call_id, "name": "weather", "arguments": "{}"}
    return {**base, **more}


def result(call_id: str, output: Any = "sun") -> dict[str, Any]:
    """Return an item of a result."""
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def test_calls_in_a_row_are_one_messages() -> None:
    """Also behind what the model said before them; results are messages of their own."""
    found = messages(
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "I look."},
        call("1"),
        call("2", arguments='{"city":"Rome"}'),
        result("1"),
        result("2", [{"type": "input_text", "text": "rain"}]),
        call("3"),
        result("3"),
    )
    assert [message["role"] for message in found] == [
        *("user", "assistant", "tool", "tool", "assistant", "tool"),
    ]
    assert found[1]["content"] == "I look."
    assert [each["id"] for each in found[1]["tool_calls"]] == ["1", "2"]
    assert found[1]["tool_calls"][1]["function"] == {
        "name": "weather",
        "arguments": '{"city":"Rome"}',
    }
    assert found[2] == {"role": "tool", "tool_call_id": "1", "content": "sun"}
    assert found[3]["content"] == [{"type": "text", "text": "rain"}]
    assert found[4]["tool_calls"][0]["id"] == "3"


def test_calls_of_tools_of_free_text() -> None:
    """Their text is an argument."""
    found = messages(
        {"type": "custom_tool_call", "call_id": "1", "name": "note", "input": "a\nb"},
        {"type": "custom_tool_call_output", "call_id": "1", "output": "done"},
    )
    assert json.loads(found[0]["tool_calls"][0]["function"]["arguments"]) == {"input": "a\nb"}
    assert found[1]["content"] == "done"


def test_tools_and_choices_in_chats_form() -> None:
    """Flat becomes nested; what is a vendor's own passes as it came."""
    schema = {"type": "object", "properties": {}}
    flat = {"type": "function", "name": "f", "parameters": schema, "strict": True}
    own = {"type": "web_search"}
    found = chat(input="x", tools=[flat, own], tool_choice={"type": "function", "name": "f"})
    function = {"name": "f", "parameters": schema, "strict": True}
    assert found["tools"] == [{"type": "function", "function": function}, own]
    assert found["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function"}]}
    allowed["tools"] = [{"type": "function", "name": "f"}]
    assert chat(input="x", tool_choice=allowed)["tool_choice"] == {
        "type": "allowed_tools",
        "allowed_tools": {
            "mode": "required",
            "tools": [{"type": "function", "function": {"name": "f"}}],
        },
    }
    assert chat(input="x", tool_choice="required")["tool_choice"] == "required"
    own = {"type": "web_search_preview"}
    assert chat(input="x", tool_choice=own)["tool_choice"] == own


def test_formats_and_efforts_in_chats_form() -> None:
    """Both may be part of what the model is told."""
    schema = {"type": "object", "properties": {}}
    form = {"type": "json_schema", "name": "City", "schema": schema, "strict": True}
    found = chat(input="x", text={"format": form}, reasoning={"effort": "low"})
    assert found["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "City", "schema": schema, "strict": True},
    }
    assert found["reasoning_effort"] == "low"
    assert "response_format" not in chat(input="x", text={"verbosity": "low"}, reasoning={})
    plain = chat(input="x", text={"format": {"type": "text"}})
    assert plain["response_format"] == {"type": "text"}


def test_what_shapes_the_answer_alone_is_no_part_of_the_count() -> None:
    """The request for a response can be sent as it is, and nothing of it is told as lost."""
    found = chat(
        input="x",
        stream=True,
        temperature=1.5,
        max_output_tokens=5,
        store=False,
        truncation="auto",
        metadata={"a": "b"},
    )
    assert found == {"model": "m", "messages": [{"role": "user", "content": "x"}]}


def test_members_nobody_knows_pass() -> None:
    """They may be a vendor's own."""
    assert chat(input="x", thinking={"type": "adaptive"})["thinking"] == {"type": "adaptive"}


def test_what_is_kept_elsewhere_cannot_be_counted() -> None:
    """It is named, and the rest is counted."""
    found = countable(
        previous_response_id="resp_1",
        conversation=None,
        input=[
            {"role": "user", "content": [{"type": "input_image", "file_id": "f", "detail": "low"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
            {"type": "item_reference", "id": "msg_1"},
            {"type": "compaction", "encrypted_content": "gAAA"},
        ],
    )
    assert lost(found) == [
        "previous_response_id",
        "input[0].content[0]",
        "input[1]",
        "input[2]",
        "input[3]",
    ]
    assert json.loads(found.chat.body)["messages"] == [{"role": "user", "content": []}]


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["x"]}, "input"),
        ({"input": [{"role": "user", "content": ["x"]}]}, "input[0].content[0]"),
        ({"input": "x", "instructions": 1}, "instructions"),
        ({"input": "x", "tools": {}}, "tools"),
        ({"input": "x", "messages": []}, "messages"),
    ],
)
def test_an_input_that_is_none_is_refused(members: Any, param: str) -> None:
    """The member at fault is named."""
    with pytest.raises(InvalidRequest) as caught:
        Countable(Request(json.dumps({"model": "m", **members}).encode()))
    assert caught.value.param == param


def test_messages_are_taken_as_they_are() -> None:
    """But for what shapes the answer."""
    asked = {"model": "m", "messages": [{"role": "user", "content": "x"}], "tools": [{"a": 1}]}
    found = Countable(Request(json.dumps({**asked, "stream": True, "max_tokens": 4}).encode()))
    assert json.loads(found.chat.body) == asked
    assert found.name("messages[0].content") == "messages[0].content"


# As an operation


def build(request: Request, target: Target) -> UpstreamRequest:
    """Build as an adapter does: by the typed view, with losses named."""
    asked = request.view(ChatRequest)
    if any(message.role == "poet" for message in asked.messages):
        raise InvalidRequest("no role is called 'poet'", param="messages[1].role")
    names = ("messages[0].name", "messages[2].content[1]", "response_format", "tools[0].function")
    dropped = [Dropped(name, "because") for name in names]
    return UpstreamRequest("POST", f"/{target.model}", (), request.body, dropped=dropped)


def links(request: Request) -> Sequence[str]:
    """Return the URLs of images."""
    parts = [part for message in request.view(ChatRequest).messages for part in message.parts]
    return [part.image_url.url for part in parts if part.image_url]


def answer(response: UpstreamResponse, created: int) -> Response:
    """Read a chat's answer, which here is always one, or an error in a 200."""
    if b"error" in response.body:
        raise UpstreamFailed("an error")
    return Response(response.body)


CHAT = Operation(build, answer, None, SSE, media=links)
OPERATION = counting.operation(build, ("tokens", "count"), CHAT)


def test_what_is_lost_has_the_clients_name() -> None:
    """The client knows items, not messages."""
    items = [{"role": "user", "content": "a"}, result("1")]
    body = {"model": "m", "instructions": "x", "input": items}
    made = OPERATION.request(Request(json.dumps(body).encode()), Target("theirs"))
    assert made.path == "/theirs"
    assert [each.name for each in made.dropped] == [
        "instructions.name",
        "input[1].content[1]",
        "text.format",
        "tools[0]",
    ]


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"role": "poet", "content": "a"}, "input[1].role"),
        ({"role": "user", "content": 5}, "input[1].content"),
        ({"type": "function_call", "call_id": "1", "arguments": "{}"}, "input[1].tool_calls"),
    ],
)
def test_errors_name_what_the_client_sent(item: Any, param: str) -> None:
    """Whoever finds them: the adapter, or the view it reads by."""
    body = {"model": "m", "input": [{"role": "user", "content": "a"}, item]}
    request = Request(json.dumps(body).encode())
    for work in (OPERATION.request, lambda request, _: OPERATION.media(request)):  # type: ignore[misc]
        if item.get("role") == "poet" and work is not OPERATION.request:
            continue
        with pytest.raises(InvalidRequest) as caught:
            work(request, Target("m"))
        assert (caught.value.param or "").startswith(param)
        assert "messages" not in caught.value.message


def test_without_a_model_nobody_counts() -> None:
    """OpenAI's own count may go without; every other vendor's has to know."""
    with pytest.raises(InvalidRequest) as caught:
        OPERATION.request(Request(b'{"input":"x"}', needs_model=False), Target(""))
    assert caught.value.param == "model"
    found = OPERATION.request(Request(b'{"input":"x"}', needs_model=False), Target("theirs"))
    assert found.path == "/theirs"


def test_files_are_looked_for_in_the_input() -> None:
    """What the vendor does not fetch itself is fetched for a count as well."""
    image = {"type": "input_image", "image_url": "http://example.com/a.png"}
    body = {"model": "m", "input": [{"role": "user", "content": [image]}]}
    assert OPERATION.media is not None
    assert OPERATION.media(Request(json.dumps(body).encode())) == ["http://example.com/a.png"]
    assert counting.operation(build, ("tokens",), CHAT._replace(media=None)).media is None


def test_a_count_is_openais() -> None:
    """Whatever the vendor calls it."""
    for body in (b'{"tokens":7,"x":{}}', b'{"count":7}'):
        response = OPERATION.response(UpstreamResponse(200, (), body), 0)
        found = msgspec.json.decode(response.body)
        assert InputTokenCountResponse.model_validate(found).input_tokens == 7
        assert response.usage is None


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"tokens":"7"}', b"<html>", b"\xff"])
def test_an_answer_without_a_count_is_no_count(body: bytes) -> None:
    """Not zero."""
    with pytest.raises(UpstreamBadResponse):
        OPERATION.response(UpstreamResponse(200, (), body), 0)


def test_an_error_in_a_200_is_the_chats_error() -> None:
    """The vendor words it the same wherever it fails."""
    with pytest.raises(UpstreamFailed):
        OPERATION.response(UpstreamResponse(200, (), b'{"error":{}}'), 0)
