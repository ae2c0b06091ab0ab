"""What goes to Claude for what OpenAI's clients ask, checked by the vendor's own types."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_type_hints

import pytest
from anthropic.types.beta.beta_content_block_param import BetaContentBlockParam
from anthropic.types.beta.message_count_tokens_params import MessageCountTokensParams as CountBeta
from anthropic.types.beta.message_create_params import MessageCreateParamsNonStreaming as Beta
from anthropic.types.message_count_tokens_params import MessageCountTokensParams
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming as Params
from pydantic import TypeAdapter

from adapters import anthropic
from proxy.adapter import Media, Target, UpstreamResponse
from proxy.errors import InvalidRequest
from proxy.framing import SSE
from proxy.wire import Request
from tests.typed import exhausted

PARAMS = TypeAdapter(Params)
BETA = TypeAdapter(Beta)
COUNT = TypeAdapter(MessageCountTokensParams)
COUNT_BETA = TypeAdapter(CountBeta)
SAMPLING = ("temperature", "top_p", "top_k")
"""Taken by the version of the API that is asked for; gone from the one its types describe."""

HELLO = [{"role": "user", "content": "Hello"}]
PDF = base64.b64encode(b"%PDF-1.4 tiny").decode()
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells the weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
WEATHER_TOOL = {
    "name": "weather",
    "description": "Tells the weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}


class Sent:
    """What is sent for a request, after the vendor's types have seen it."""

    def __init__(self, target: Target, messages: list[dict[str, Any]], members: Any) -> None:
        asked = {"model": "claude", "messages": messages, **members}
        upstream = anthropic.request(Request(json.dumps(asked).encode()), target)
        self.headers = dict(upstream.headers)
        self.path = upstream.path
        self.body: dict[str, Any] = json.loads(upstream.body)
        self.dropped = {dropped.name: dropped.reason for dropped in upstream.dropped}
        self.messages: list[dict[str, Any]] = self.body["messages"]
        typed = {name: v for name, v in self.body.items() if name not in (*SAMPLING, "stream")}
        beta = "anthropic-beta" in self.headers
        assert exhausted((BETA if beta else PARAMS).validate_python(typed)) == typed


def sent(
    messages: list[dict[str, Any]] = HELLO,
    model: str = "claude-opus-5-5",
    target: Target | None = None,
    **members: Any,
) -> Sent:
    """Return what goes to the vendor for an OpenAI request."""
    return Sent(target or Target(model, "sk-ant-api"), messages, members)


# Who asks, and where


def test_a_key_and_a_token_go_in_different_headers() -> None:
    """A key is `x-api-key`; a token of OAuth is a bearer's and needs its beta."""
    assert anthropic.authorize(Target("m", "sk-ant-api03-x")) == (("x-api-key", "sk-ant-api03-x"),)
    token = Target("m", "sk-ant-oat01-x")
    assert anthropic.authorize(token) == (("authorization", "Bearer sk-ant-oat01-x"),)
    assert "oauth-2025-04-20" in sent(target=token).headers["anthropic-beta"]
    assert anthropic.authorize(Target("m", "", (("x-team", "a"),))) == (("x-team", "a"),)


def test_the_version_is_the_configurations_or_the_usual_one() -> None:
    """Passed through requests keep the client's: there the adapter says nothing of it."""
    assert sent().headers["anthropic-version"] == "2023-06-01"
    newer = Target("claude-haiku-4-5", "k", options={"version": "2026-10-21"})
    found = sent(target=newer, temperature=0.5)
    assert found.headers["anthropic-version"] == "2026-10-21"
    assert "temperature" in found.dropped
    assert found.path == "/messages"
    assert "anthropic-version" not in dict(anthropic.authorize(newer))


def test_betas_of_the_configuration_the_client_and_the_request_come_together() -> None:
    """Each is named once; what a request uses brings its own."""
    target = Target(
        "claude-opus-5",
        "k",
        (("anthropic-beta", "a"),),
        options={"beta": ["b", "files-api-2025-04-14"]},
    )
    file = {"type": "file", "file": {"file_id": "file_011"}}
    found = sent(
        [{"role": "user", "content": [file]}],
        target=target,
        anthropic_beta=["c"],
        mcp_servers=[{"type": "url", "name": "wiki", "url": "https://wiki.example/mcp"}],
        tools=[{"type": "mcp_toolset", "mcp_server_name": "wiki"}],
    )
    betas = found.headers["anthropic-beta"].split(",")
    assert betas == ["a", "b", "files-api-2025-04-14", "c", "mcp-client-2025-11-20"]
    assert found.body["mcp_servers"][0]["name"] == "wiki"
    assert "anthropic_beta" not in found.body
    assert found.dropped == {}


def test_a_user_is_named_unless_it_is_personal() -> None:
    """The vendor answers addresses and telephone numbers with an error."""
    assert sent(user="u-1").body["metadata"] == {"user_id": "u-1"}
    assert sent(safety_identifier="u-2").body["metadata"] == {"user_id": "u-2"}
    assert sent(metadata={"user_id": "u-3"}).body["metadata"] == {"user_id": "u-3"}
    for personal in ("a@b.example", "+49 170 1234567"):
        found = sent(user=personal)
        assert "metadata" not in found.body
        assert "user" in found.dropped
    assert "metadata" in sent(metadata={"trace": "1"}).dropped


def test_service_tiers_are_the_vendors() -> None:
    """OpenAI's default is the tier without priority."""
    assert sent(service_tier="default").body["service_tier"] == "standard_only"
    assert sent(service_tier="auto").body["service_tier"] == "auto"
    assert "service_tier" in sent(service_tier="flex").dropped


# Messages


def test_system_and_developer_go_before_everything() -> None:
    """All that is said before the first turn is `system`."""
    found = sent(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
            *HELLO,
        ]
    )
    assert [block["text"] for block in found.body["system"]] == ["Be brief.", "Be kind."]
    assert found.messages == [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
    assert found.dropped == {}


def test_a_later_system_message_stays_where_it_is_if_the_model_takes_it() -> None:
    """Moving it to the front would change what signed thoughts stand behind."""
    messages = [
        *HELLO,
        {"role": "assistant", "content": "Hi"},
        {"role": "system", "content": "Now in French."},
        {"role": "user", "content": "Again"},
    ]
    found = sent(messages)
    assert [turn["role"] for turn in found.messages] == ["user", "assistant", "user", "system"]
    assert "system" not in found.body
    older = sent(messages, model="claude-sonnet-4-5")
    assert [turn["role"] for turn in older.messages] == ["user", "assistant", "user"]
    assert older.body["system"] == [{"type": "text", "text": "Now in French."}]
    request = Request(json.dumps({"model": "m", "messages": messages}).encode())
    document, _ = anthropic.body(request, Target("claude-opus-5-5"), elsewhere=True)
    assert document["system"][0]["text"] == "Now in French."


def test_a_system_message_alone_becomes_the_users() -> None:
    """The vendor wants at least one turn."""
    found = sent([{"role": "system", "content": "Say hi"}])
    assert found.messages == [{"role": "user", "content": [{"type": "text", "text": "Say hi"}]}]
    assert "system" not in found.body


def test_turns_of_one_side_become_one_and_empty_ones_none() -> None:
    """The vendor refuses texts without any and wants the sides to alternate."""
    found = sent(
        [
            {"role": "user", "content": "One"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "Two"}, {"type": "text", "text": " "}],
            },
            {"role": "assistant", "content": ""},
            {"role": "assistant", "content": "Three"},
            {"role": "assistant", "refusal": "No."},
            {"role": "user", "content": None},
            {"role": "assistant", "content": "Four \n"},
        ]
    )
    texts = [[block["text"] for block in turn["content"]] for turn in found.messages]
    assert texts == [["One", "Two"], ["Three", "No.", "Four"]]


def test_names_of_turns_are_told_as_lost() -> None:
    """Claude knows no names of speakers."""
    assert "messages[0].name" in sent([{**HELLO[0], "name": "anna"}]).dropped


def test_an_unknown_role_is_the_clients_mistake() -> None:
    """It is told with its place."""
    with pytest.raises(InvalidRequest, match="oracle") as caught:
        sent([{"role": "oracle", "content": "x"}])
    assert caught.value.param == "messages[0].role"


def test_images_go_by_url_or_as_they_are() -> None:
    """The vendor fetches by TLS alone; what was fetched for it is sent along."""
    plain = "http://old.example/a.png"
    parts = [
        {"type": "image_url", "image_url": {"url": url, "detail": detail}}
        for url, detail in (
            ("https://img.example/a.png", None),
            ("data:image/jpg;base64,QUJD", "auto"),
            (plain, "low"),
        )
    ]
    messages = [{"role": "user", "content": parts}]
    target = Target("claude-opus-5", "k", media={plain: Media("image/png", b"ABC")})
    found = sent(messages, target=target)
    assert [block["source"] for block in found.messages[0]["content"]] == [
        {"type": "url", "url": "https://img.example/a.png"},
        {"type": "base64", "media_type": "image/jpeg", "data": "QUJD"},
        {"type": "base64", "media_type": "image/png", "data": "QUJD"},
    ]
    assert list(found.dropped) == ["messages[0].content[2].image_url.detail"]
    request = Request(json.dumps({"model": "m", "messages": messages}).encode())
    assert anthropic.operations["chat"].media(request) == [plain]
    assert anthropic.links(request) == ["https://img.example/a.png", plain]


def file(**members: Any) -> list[dict[str, Any]]:
    """Return a message with one file."""
    return [{"role": "user", "content": [{"type": "file", "file": members}]}]


@pytest.mark.parametrize(
    ("members", "source"),
    [
        (
            {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"},
            {"type": "base64", "media_type": "application/pdf", "data": PDF},
        ),
        ({"file_data": PDF}, {"type": "base64", "media_type": "application/pdf", "data": PDF}),
        (
            {"file_data": "https://files.example/a.pdf"},
            {"type": "url", "url": "https://files.example/a.pdf"},
        ),
        ({"file_id": "file_011CN"}, {"type": "file", "file_id": "file_011CN"}),
        (
            {"file_data": "data:text/csv;base64,YSxi", "filename": "t.csv"},
            {"type": "text", "media_type": "text/plain", "data": "a,b"},
        ),
        (
            {"file_data": "data:text/plain,a%20b"},
            {"type": "text", "media_type": "text/plain", "data": "a b"},
        ),
    ],
)
def test_a_file_becomes_a_document(members: dict[str, str], source: dict[str, str]) -> None:
    """By data URL, base64, URL or the vendor's id; its name is its title."""
    block = sent(file(**members)).messages[0]["content"][0]
    assert (block["type"], block["source"]) == ("document", source)
    assert block.get("title") == members.get("filename")


@pytest.mark.parametrize(
    ("members", "fetched"),
    [
        ({"file_data": "https://files.example/a.md?v=2"}, True),
        ({"file_data": "https://files.example/x", "filename": "notes.txt"}, True),
        ({"file_data": "http://files.example/a.pdf"}, True),
        ({"file_data": "https://files.example/a.pdf"}, False),
        ({"file_data": "https://files.example/x"}, False),
        ({"file_data": PDF, "filename": "a.txt"}, False),
        ({"file_id": "file_011CN", "filename": "a.txt"}, False),
    ],
)
def test_a_text_by_url_is_fetched(members: dict[str, str], fetched: bool) -> None:
    """The vendor reads PDFs at a URL, and texts only inside a request."""
    operation = anthropic.operations["chat"]
    request = Request(json.dumps({"model": "m", "messages": file(**members)}).encode())
    assert operation.media is not None
    urls = operation.media(request)
    assert list(urls) == ([members["file_data"]] if fetched else [])
    if fetched and "pdf" not in members["file_data"]:
        media = {urls[0]: Media("text/markdown", b"# Hi")}
        block = sent(file(**members), target=Target("claude-opus-5", "k", media=media))
        source = {"type": "text", "media_type": "text/plain", "data": "# Hi"}
        assert block.messages[0]["content"][0]["source"] == source


def test_a_file_that_is_an_image_becomes_one() -> None:
    """Its name or its type tells."""
    for members in ({"file_data": "iVBORw0KGgo="}, {"file_id": "file_1", "filename": "a.PNG"}):
        assert sent(file(**members)).messages[0]["content"][0]["type"] == "image"


def test_parts_that_claude_does_not_read_are_named() -> None:
    """Sound, tables of another program and nonsense are not sent."""
    parts = [
        {"type": "text", "text": "Listen"},
        {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/zip;base64,UEs="}},
        {"type": "image_url", "image_url": {"url": "nonsense"}},
    ]
    found = sent([{"role": "user", "content": parts}])
    assert len(found.messages[0]["content"]) == 1
    assert list(found.dropped) == [f"messages[0].content[{i}]" for i in (1, 2, 3)]


def test_the_vendors_own_parts_pass() -> None:
    """What OpenAI has no word for, a client may say in Claude's."""
    part = {
        "type": "search_result",
        "source": "s",
        "title": "t",
        "content": [{"type": "text", "text": "x"}],
    }
    assert sent([{"role": "user", "content": [part]}]).messages[0]["content"] == [part]


def test_every_block_of_the_vendors_is_known() -> None:
    """A client may say in Claude's words whatever can be said in them."""
    shapes = [
        get_type_hints(kind)
        for kind in get_args(BetaContentBlockParam)
        if hasattr(kind, "__required_keys__")
    ]
    types = {get_args(shape["type"])[0] for shape in shapes}
    assert "mcp_tool_result" in types
    searched = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
    parts = [{"type": kind} for kind in sorted(types - {"text"})]
    messages = [*HELLO, {"role": "assistant", "content": [searched, *parts]}]
    request = Request(json.dumps({"model": "m", "messages": messages}).encode())
    document, dropped = anthropic.body(request, Target("claude-opus-5"))
    refused = {"image", "document", "search_result", "tool_result", "container_upload"}
    sent_types = [block["type"] for block in document["messages"][1]["content"]]
    assert sent_types == [searched["type"], *sorted(types - refused - {"text"})]
    assert len(dropped) == len(refused)  # these are the client's to say


def test_cache_marks_stay_on_what_they_mark() -> None:
    """On parts, on whole messages, on tools, and on the request."""
    mark = {"type": "ephemeral", "ttl": "1h"}
    found = sent(
        [
            {"role": "system", "content": [{"type": "text", "text": "S", "cache_control": mark}]},
            {"role": "user", "content": "U", "cache_control": mark},
            {"role": "assistant", "tool_calls": [call("a")], "cache_control": mark},
            {"role": "tool", "tool_call_id": "a", "content": "T", "cache_control": mark},
        ],
        tools=[{**WEATHER, "cache_control": mark}],
        cache_control=mark,
    )
    assert found.body["system"][0]["cache_control"] == mark
    assert [turn["content"][-1]["cache_control"] for turn in found.messages] == [mark] * 3
    assert found.body["tools"][0]["cache_control"] == mark
    assert found.body["cache_control"] == mark


# Tools


def call(call_id: str, name: str = "weather", arguments: str = '{"city": "Pau"}') -> dict[str, Any]:
    """Return a call as OpenAI's clients send it back."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_parallel_calls_and_their_results_keep_ids_names_and_arguments() -> None:
    """Results stand first in the turn that follows, in their order."""
    found = sent(
        [
            *HELLO,
            {
                "role": "assistant",
                "content": "Two",
                "tool_calls": [call("toolu_A"), call("toolu_B", "now", "")],
            },
            {"role": "user", "content": "Go on"},
            {"role": "tool", "tool_call_id": "toolu_A", "content": "Rain"},
            {
                "role": "tool",
                "tool_call_id": "toolu_B",
                "content": [
                    {"type": "text", "text": "Seen:"},
                    {"type": "image_url", "image_url": {"url": "https://img.example/a.png"}},
                ],
            },
        ],
        tools=[WEATHER],
    )
    assert found.messages[1]["content"] == [
        {"type": "text", "text": "Two"},
        {"type": "tool_use", "id": "toolu_A", "name": "weather", "input": {"city": "Pau"}},
        {"type": "tool_use", "id": "toolu_B", "name": "now", "input": {}},
    ]
    first, second, text = found.messages[2]["content"]
    assert first == {"type": "tool_result", "tool_use_id": "toolu_A", "content": "Rain"}
    assert [block["type"] for block in second["content"]] == ["text", "image"]
    assert text == {"type": "text", "text": "Go on"}
    assert found.body["tools"] == [WEATHER_TOOL]
    assert "tool_choice" not in found.body


def test_arguments_are_sent_to_the_byte() -> None:
    """Numbers keep their form; what is no object is said to be none."""
    request = {
        "model": "m",
        "messages": [{"role": "assistant", "tool_calls": [call("a", arguments='{"n":1.0}')]}],
    }
    upstream = anthropic.request(Request(json.dumps(request).encode()), Target("claude-opus-5"))
    assert b'"input":{"n":1.0}' in upstream.body
    found = sent([{"role": "assistant", "tool_calls": [call("a", arguments='{"n":')]}])
    assert found.messages[0]["content"][0]["input"] == {"INVALID_JSON": '{"n":'}


def test_ids_of_other_vendors_are_made_fit() -> None:
    """A conversation that began elsewhere can go on here."""
    found = sent(
        [
            {"role": "assistant", "tool_calls": [call("functions.weather:0")]},
            {"role": "tool", "tool_call_id": "functions.weather:0", "content": "x"},
        ]
    )
    assert found.messages[0]["content"][0]["id"] == "functions_weather_0"
    assert found.messages[1]["content"][0]["tool_use_id"] == "functions_weather_0"
    assert found.body["tools"] == [{"name": "weather", "input_schema": {"type": "object"}}]
    assert found.body["tool_choice"] == {"type": "none"}


@pytest.mark.parametrize(
    ("asked", "choice"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        (
            {"type": "function", "function": {"name": "weather"}},
            {"type": "tool", "name": "weather"},
        ),
        ({"type": "any"}, {"type": "any"}),
    ],
)
def test_tool_choices_are_the_vendors(asked: Any, choice: dict[str, Any]) -> None:
    """With and without parallel calls; without tools there is nothing to choose."""
    model = "claude-haiku-4-5"
    assert sent(model=model, tools=[WEATHER], tool_choice=asked).body["tool_choice"] == choice
    single = sent(model=model, tools=[WEATHER], tool_choice=asked, parallel_tool_calls=False)
    more = {} if choice["type"] == "none" else {"disable_parallel_tool_use": True}
    assert single.body["tool_choice"] == {**choice, **more}
    assert "tool_choice" not in sent(tool_choice="auto").body


def test_one_call_at_a_time_needs_no_choice() -> None:
    """It is a member of the choice, so there must be one."""
    choice = sent(tools=[WEATHER], parallel_tool_calls=False).body["tool_choice"]
    assert choice == {"type": "auto", "disable_parallel_tool_use": True}


def test_allowed_tools_are_all_that_is_sent() -> None:
    """The vendor knows no choice among some of its tools."""
    other = {"type": "function", "function": {"name": "other"}}
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "other"}}]}
    choice = {"type": "allowed_tools", "allowed_tools": allowed}
    found = sent(model="claude-opus-5", tools=[WEATHER, other], tool_choice=choice)
    assert found.body["tools"] == [{"name": "other", "input_schema": {"type": "object"}}]
    assert found.body["tool_choice"] == {"type": "any"}


def test_what_cannot_be_forced_is_told() -> None:
    """The newest models answer an insisted call with an error."""
    found = sent(tools=[WEATHER], tool_choice="required")
    assert found.body["tool_choice"] == {"type": "auto"}
    assert "tool_choice" in found.dropped


def test_tools_that_the_vendor_runs_pass_as_they_are() -> None:
    """Search, code, memory and the tools of servers are not for the client to run."""
    tools = [
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
        {"type": "code_execution_20250825", "name": "code_execution"},
    ]
    assert sent(tools=tools).body["tools"] == tools
    custom = {"type": "custom", "custom": {"name": "free", "format": {"type": "text"}}}
    assert "tools[0]" in sent(tools=[custom]).dropped


def test_openais_search_is_the_vendors_search() -> None:
    """Where the user is goes along; how much is read does not."""
    place = {"type": "approximate", "approximate": {"city": "Pau", "country": "FR"}}
    found = sent(web_search_options={"user_location": place, "search_context_size": "high"})
    assert found.body["tools"] == [
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "user_location": {"type": "approximate", "city": "Pau", "country": "FR"},
        }
    ]
    assert list(found.dropped) == ["web_search_options.search_context_size"]


def test_openais_search_is_the_vendors_search_also_as_a_tool() -> None:
    """As the Responses API has it, with the domains it is kept to."""
    tool = {"type": "web_search", "filters": {"allowed_domains": ["example.com"]}}
    found = sent(tools=[tool, {"type": "web_search_preview", "search_context_size": "low"}])
    assert found.body["tools"] == [
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "allowed_domains": ["example.com"],
        },
        {"type": "web_search_20250305", "name": "web_search"},
    ]
    assert list(found.dropped) == ["tools[1].search_context_size"]


def test_other_tools_that_openai_runs_are_named() -> None:
    """The vendor's own have other names, and pass."""
    theirs = ["code_interpreter", "file_search", "image_generation", "mcp"]
    own = {"type": "code_execution_20250825", "name": "code_execution"}
    found = sent(tools=[*({"type": kind} for kind in theirs), own])
    assert found.body["tools"] == [own]
    assert list(found.dropped) == [f"tools[{index}]" for index in range(4)]


# Answers in a form


def answer_in(schema: dict[str, Any], model: str = "claude-opus-5-5", **members: Any) -> Sent:
    """Ask for an answer that satisfies a schema."""
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}
    return sent(model=model, response_format=wanted, **members)


def test_a_schema_binds_the_answer() -> None:
    """By the vendor's own mechanism, beside an effort that is asked for."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    found = answer_in(schema, reasoning_effort="low")
    bound = {"type": "json_schema", "schema": {**schema, "additionalProperties": False}}
    assert found.body["output_config"] == {"effort": "low", "format": bound}
    assert found.dropped == {}


def test_what_the_schema_subset_lacks_is_said_in_words() -> None:
    """It is told to the model and to the client."""
    found = answer_in(
        {
            "$schema": "x",
            "type": "object",
            "properties": {
                "n": {"type": "integer", "minimum": 3, "description": "A number"},
                "l": {"type": "array", "items": {"oneOf": [{"type": "null"}]}, "minItems": 2},
                "s": {"type": "string", "format": "date", "pattern": "x"},
            },
            "$defs": {"a": {"type": "string", "format": "odd"}},
        }
    )
    schema = found.body["output_config"]["format"]["schema"]
    assert schema["properties"]["n"] == {
        "type": "integer",
        "description": "A number\n\n{minimum: 3}",
    }
    assert schema["properties"]["l"]["items"] == {"anyOf": [{"type": "null"}]}
    assert schema["properties"]["s"]["format"] == "date"
    reason = found.dropped["response_format.json_schema.schema"]
    assert reason == "told but not enforced: format, minItems, minimum, pattern"


def test_a_schema_the_model_cannot_be_bound_to_is_asked_for_in_words() -> None:
    """An older model, or a schema that contains itself."""
    itself = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    deep = {
        "$ref": "#/$defs/a",
        "$defs": {"a": {"items": {"$ref": "#/$defs/b"}}, "b": {"$ref": "#/$defs/a"}},
    }
    for schema, model in (
        (itself, "claude-opus-5"),
        (deep, "claude-opus-5"),
        ({}, "claude-sonnet-4-0"),
    ):
        found = answer_in(schema, model)
        assert "output_config" not in found.body
        assert json.dumps(schema, separators=(",", ":")) in found.body["system"][0]["text"]
        assert "response_format.json_schema" in found.dropped


def test_json_mode_is_asked_for_in_words() -> None:
    """The vendor has none."""
    found = sent(response_format={"type": "json_object"})
    assert "JSON" in found.body["system"][0]["text"]
    assert "response_format" in found.dropped
    assert sent(response_format={"type": "text"}).dropped == {}


def test_strict_tools_bind_calls() -> None:
    """Where model and schema allow it."""
    function = {**WEATHER["function"], "strict": True}
    tools = [{"type": "function", "function": function}]
    tool = sent(tools=tools).body["tools"][0]
    assert tool["strict"] is True
    assert tool["input_schema"]["additionalProperties"] is False
    older = sent(tools=tools, model="claude-3-7-sonnet-20250219")
    assert "strict" not in older.body["tools"][0]
    assert "tools[0].function.strict" in older.dropped


# Thinking and sampling


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "level"),
    [
        ("claude-opus-5-5", "high", {"type": "adaptive", "display": "summarized"}, "high"),
        ("claude-sonnet-4-6", "xhigh", {"type": "adaptive", "display": "summarized"}, "high"),
        ("claude-opus-4-7", "minimal", {"type": "adaptive", "display": "summarized"}, "low"),
        ("claude-opus-5", "none", {"type": "disabled"}, None),
        ("claude-sonnet-5-5", "none", {"type": "between_tools"}, None),
        ("claude-opus-4-8", "none", None, None),
        ("claude-haiku-4-5", "low", {"type": "enabled", "budget_tokens": 4096}, None),
        ("claude-haiku-4-5", "none", None, None),
        (
            "us.anthropic.claude-opus-4-5-20251101-v1:0",
            "high",
            {"type": "enabled", "budget_tokens": 24576},
            "high",
        ),
    ],
)
def test_effort_is_thinking(model: str, effort: str, thinking: Any, level: str | None) -> None:
    """A budget for older models, effort for newer ones, nothing where it is off by itself."""
    found = sent(model=model, reasoning_effort=effort)
    assert found.body.get("thinking") == thinking
    assert found.body.get("output_config", {}).get("effort") == level
    assert found.dropped == {}


def test_a_model_that_always_thinks_is_told_to_think_least() -> None:
    """And the client is told that it thinks."""
    found = sent(model="claude-fable-5-1", reasoning_effort="none")
    assert found.body["output_config"] == {"effort": "low"}
    assert "reasoning_effort" in found.dropped


def test_a_budget_leaves_room_for_the_answer() -> None:
    """Thoughts are part of the answer's length; where both do not fit there are none."""
    found = sent(model="claude-haiku-4-5", reasoning_effort="high", max_completion_tokens=5000)
    assert found.body["thinking"]["budget_tokens"] == 4000
    assert found.body["max_tokens"] == 5000
    short = sent(model="claude-haiku-4-5", reasoning_effort="high", max_tokens=1000)
    assert "thinking" not in short.body
    assert "reasoning_effort" in short.dropped


def test_thinking_yields_where_it_would_be_refused() -> None:
    """To an insisted call, to a loop whose thoughts are lost, to a model without it."""
    model = "claude-sonnet-4-5"
    loop = [
        *HELLO,
        {"role": "assistant", "tool_calls": [call("toolu_1")]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "x"},
    ]
    for found in (
        sent(model=model, reasoning_effort="low", tools=[WEATHER], tool_choice="required"),
        sent(loop, model=model, reasoning_effort="low", tools=[WEATHER]),
        sent(model="claude-3-5-haiku-latest", reasoning_effort="low"),
    ):
        assert "thinking" not in found.body
        assert "reasoning_effort" in found.dropped
    assert "thinking" in sent(loop, model="claude-opus-4-6", reasoning_effort="low").body


def test_thinking_in_the_vendors_words_passes() -> None:
    """So does a configuration of the output."""
    thinking = {"type": "enabled", "budget_tokens": 2000}
    found = sent(model="claude-opus-4-5", thinking=thinking, output_config={"effort": "low"})
    assert found.body["thinking"] == thinking
    assert found.body["output_config"] == {"effort": "low"}
    assert found.dropped == {}


def test_sampling_goes_to_models_that_take_it() -> None:
    """The values that would be used anyway are no loss."""
    older = sent(model="claude-3-5-haiku-latest", temperature=0.5, top_p=0.9, top_k=5)
    assert {name: older.body[name] for name in SAMPLING} == {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
    }
    hot = sent(model="claude-3-5-haiku-latest", temperature=1.7)
    assert (hot.body["temperature"], list(hot.dropped)) == (1, ["temperature"])
    one = sent(model="claude-haiku-4-5", temperature=0.5, top_p=0.9)
    assert (one.body["temperature"], list(one.dropped)) == (0.5, ["top_p"])
    none = sent(temperature=0.2, top_p=1, top_k=3)
    assert sorted(none.dropped) == ["temperature", "top_k"]
    assert not set(SAMPLING) & none.body.keys()
    thinks = sent(model="claude-haiku-4-5", temperature=0.2, top_p=0.97, reasoning_effort="low")
    assert list(thinks.dropped) == ["temperature"]


def test_stops_are_sent_without_blank_ones() -> None:
    """The vendor refuses white space alone."""
    assert sent(stop="END").body["stop_sequences"] == ["END"]
    found = sent(stop=["END", "\n"])
    assert (found.body["stop_sequences"], list(found.dropped)) == (["END"], ["stop"])


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        ("claude-3-haiku-20240307", 4_096),
        ("claude-3-5-sonnet-20241022", 8_192),
        ("claude-3-7-sonnet@20250219", 64_000),
        ("claude-opus-4-20250514", 32_000),
        ("claude-4-opus-20250514", 32_000),
        ("anthropic.claude-opus-4-1-20250805-v1:0", 32_000),
        ("anthropic/claude-sonnet-4.5", 64_000),
        ("claude-opus-4-6", 128_000),
        ("claude-mythos-5-2", 128_000),
        ("claude-opus-9", 128_000),
        ("our-own-name", 32_000),
    ],
)
def test_the_longest_answer_is_the_models(model: str, limit: int) -> None:
    """The vendor wants a limit; OpenAI's clients mostly give none."""
    assert sent(model=model).body["max_tokens"] == limit
    assert sent(model=model, max_tokens=7).body["max_tokens"] == 7


def test_what_has_no_counterpart_is_named() -> None:
    """But not what asks for what happens anyway."""
    found = sent(
        seed=1, n=2, logit_bias={"1": 2}, presence_penalty=0.5, prediction={"type": "content"}
    )
    assert sorted(found.dropped) == ["logit_bias", "n", "prediction", "presence_penalty", "seed"]
    quiet = sent(n=1, presence_penalty=0, logit_bias={}, logprobs=False, seed=None, store=False)
    assert quiet.dropped == {}


def test_a_stream_is_asked_for() -> None:
    """Only where the client asks for one; other clouds say it elsewhere."""
    assert sent(stream=True, stream_options={"include_usage": True}).body["stream"] is True
    assert "stream" not in sent().body


# The next turn


def thoughtful() -> tuple[dict[str, Any], dict[str, bytes], list[dict[str, Any]]]:
    """Return an answer as the client got it, what was remembered, and the vendor's blocks."""
    blocks = [
        {"type": "thinking", "thinking": "Rain?", "signature": "c2ln"},
        {
            "type": "server_tool_use",
            "id": "srvtoolu_1",
            "name": "web_search",
            "input": {"query": "q"},
        },
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "redacted_thinking", "data": "b3Bh"},
        {"type": "text", "text": "Let me see. "},
        {
            "type": "tool_use",
            "id": "toolu_1",
            "name": "weather",
            "input": {"city": "Pau", "n": 1.0},
        },
    ]
    answer = {"id": "m", "model": "c", "content": blocks, "stop_reason": "tool_use"}
    given = UpstreamResponse(200, (), json.dumps(answer).encode())
    response = anthropic.response(given, 1)
    message = json.loads(response.body)["choices"][0]["message"]
    return message, response.memory, blocks


def next_turn(message: dict[str, Any], memory: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Send the answer back with a result; return how it stands in the next request."""
    result = {"role": "tool", "tool_call_id": "toolu_1", "content": "Rain"}
    target = Target("claude-opus-5-5", "k", recall=memory.get)
    found = sent([*HELLO, message, result], target=target, tools=[WEATHER])
    blocks: list[dict[str, Any]] = found.messages[1]["content"]
    return blocks


def test_an_answer_comes_back_as_it_was_also_if_the_client_kept_only_what_it_knows() -> None:
    """Thoughts, signatures and searches are put back in their places."""
    message, memory, blocks = thoughtful()
    known = {name: message[name] for name in ("role", "content", "tool_calls")}
    assert next_turn(message, memory) == blocks
    assert next_turn(known, memory) == blocks
    assert next_turn({**known, "content": "Let me see."}, memory) == blocks


def test_thoughts_that_the_client_sends_back_are_enough() -> None:
    """Where nothing is remembered they stand before everything."""
    message, _, blocks = thoughtful()
    kinds = [block["type"] for block in next_turn(message, {})]
    assert kinds == ["thinking", "redacted_thinking", "text", "tool_use"]
    unsigned = {**message, "thinking_blocks": [{"type": "thinking", "thinking": "x"}]}
    assert [b["type"] for b in next_turn(unsigned, {})] == ["text", "tool_use"]
    assert next_turn(unsigned, {})[-1]["input"] == blocks[-1]["input"]


def test_an_answer_that_the_client_changed_stays_changed() -> None:
    """Its thoughts are put back all the same: they are not the client's to change."""
    message, memory, _ = thoughtful()
    changed = {"role": "assistant", "content": "Else", "tool_calls": message["tool_calls"]}
    found = next_turn(changed, memory)
    assert [block["type"] for block in found] == [
        "thinking",
        "redacted_thinking",
        "text",
        "tool_use",
    ]
    assert found[2]["text"] == "Else"
    other = [{**message["tool_calls"][0], "function": {"name": "weather", "arguments": "{}"}}]
    assert next_turn({**changed, "tool_calls": other}, memory)[-1]["input"] == {}


@pytest.mark.parametrize("foreign", [b"\x00\x01", b"[1]", b'{"thoughtSignature":"x"}', b"[]"])
def test_what_another_vendor_remembered_is_not_sent(foreign: bytes) -> None:
    """Its signatures would be refused."""
    message, _, _ = thoughtful()
    known = {"role": "assistant", "content": None, "tool_calls": message["tool_calls"]}
    assert [b["type"] for b in next_turn(known, {"toolu_1": foreign})] == ["tool_use"]


def test_a_stream_remembers_what_a_whole_answer_remembers() -> None:
    """Signatures come in pieces; kept is the whole."""
    _, memory, blocks = thoughtful()
    assert remembered(blocks) == {k: json.loads(v) for k, v in memory.items()}


def test_nothing_is_remembered_where_the_client_has_all() -> None:
    """Text and calls alone are OpenAI's too."""
    _, _, blocks = thoughtful()
    plain = [block for block in blocks if block["type"] in ("text", "tool_use")]
    assert remembered(plain) == {}
    called = {**plain[-1], "caller": {"type": "code_execution_20260120", "tool_id": "srvtoolu_9"}}
    assert remembered([plain[0], called]) == {"toolu_1": [plain[0], called]}


def remembered(blocks: list[dict[str, Any]]) -> dict[str, Any]:
    """Stream blocks in pieces and return what is remembered of them."""
    stream = anthropic.Stream(1)
    events = [{"type": "message_start", "message": {"id": "m", "model": "c"}}]
    for index, block in enumerate(blocks):
        events += [{**event, "index": index} for event in in_pieces(block)]
    events.append({"type": "message_stop"})
    framer = SSE()
    for event in events:
        for framed in framer.feed(b"data: %b\n\n" % json.dumps(event).encode()):
            stream.feed(framed)
    return {call_id: json.loads(data) for call_id, data in stream.memory.items()}


def in_pieces(block: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Return the events of one block."""
    empty, deltas = dict(block), []
    for member, kind in (("thinking", "thinking"), ("signature", "signature"), ("text", "text")):
        if isinstance(block.get(member), str):
            empty[member] = ""
            halves = (block[member][:2], block[member][2:])
            deltas += [{"type": f"{kind}_delta", member: half} for half in halves]
    if "input" in block:
        empty["input"] = {}
        deltas.append({"type": "input_json_delta", "partial_json": json.dumps(block["input"])})
    yield {"type": "content_block_start", "content_block": empty}
    yield from ({"type": "content_block_delta", "delta": delta} for delta in deltas)
    yield {"type": "content_block_stop"}


# Counting


def count(model: str = "claude-opus-5-5", **members: Any) -> tuple[dict[str, Any], Any]:
    """Return the body of a count, held to the vendor's types, and the request it is in."""
    request = Request(json.dumps({"model": "claude", "input": "Hello", **members}).encode())
    made = anthropic.operations["input_tokens"].request(request, Target(model, "sk-ant-api"))
    body = json.loads(made.body)
    kind = COUNT_BETA if "anthropic-beta" in dict(made.headers) else COUNT
    assert exhausted(kind.validate_python(body)) == body
    return body, made


def test_a_count_is_of_the_body_without_what_is_the_answers() -> None:
    """System, turns, tools and thinking as for a chat; at a path of its own."""
    tool = {"type": "function", **WEATHER["function"]}
    document = {"type": "input_file", "file_data": PDF, "filename": "a.pdf"}
    body, made = count(
        instructions="Be brief",
        input=[
            {"role": "user", "content": [document, {"type": "input_text", "text": "Rain?"}]},
            {"type": "function_call", "call_id": "toolu_1", "name": "weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "toolu_1", "output": "Rain"},
        ],
        tools=[tool],
        tool_choice={"type": "function", "name": "weather"},
        reasoning={"effort": "low"},
        max_output_tokens=8,
        temperature=0.5,
        user="u1",
        cache_control={"type": "ephemeral"},
    )
    assert made.path == "/messages/count_tokens"
    assert dict(made.headers)["anthropic-version"] == "2023-06-01"
    assert sorted(body) == [
        *("cache_control", "messages", "model", "output_config", "system", "thinking"),
        *("tool_choice", "tools"),
    ]
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][0]["content"][0]["source"]["data"] == PDF
    assert body["messages"][2]["content"][0]["tool_use_id"] == "toolu_1"
    assert body["tools"] == [WEATHER_TOOL]
    assert [each.name for each in made.dropped] == ["tool_choice"]  # this model is not made to


def test_a_count_needs_its_betas_too() -> None:
    """Servers and files are counted, a container is not."""
    server = {"type": "url", "url": "https://mcp.example.com", "name": "a"}
    tools = [{"type": "mcp_toolset", "mcp_server_name": "a"}]
    body, made = count(mcp_servers=[server], tools=tools, container="container_1")
    assert body["mcp_servers"] == [server]
    assert dict(made.headers)["anthropic-beta"] == "mcp-client-2025-11-20"
    assert [each.name for each in made.dropped] == ["container"]


def test_a_schema_is_counted_as_it_binds() -> None:
    """What of it is only told is named as the client calls it."""
    schema = {"type": "object", "properties": {"a": {"type": "string", "minLength": 2}}}
    form = {"type": "json_schema", "name": "City", "schema": schema}
    body, made = count(text={"format": form})
    assert body["output_config"]["format"]["type"] == "json_schema"
    assert [each.name for each in made.dropped] == ["text.format.schema"]


def test_signed_thoughts_are_counted_as_they_would_be_sent() -> None:
    """Responses' items cannot hold them either: a count remembers what a chat remembers."""
    message, memory, blocks = thoughtful()
    call = message["tool_calls"][0]
    items = [
        {"role": "user", "content": "Rain?"},
        {"role": "assistant", "content": message["content"]},
        {"type": "function_call", "call_id": call["id"], **call["function"]},
        {"type": "function_call_output", "call_id": call["id"], "output": "Rain"},
    ]
    request = Request(json.dumps({"model": "claude", "input": items}).encode())
    target = Target("claude-opus-5-5", "k", recall=memory.get)
    made = anthropic.operations["input_tokens"].request(request, target)
    assert json.loads(made.body)["messages"][1]["content"] == blocks
