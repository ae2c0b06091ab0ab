"""The wire format: bodies are read one level deep and written back as they came."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import InvalidRequest
from proxy.wire import Chunk, Request, Response, Usage

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
SPACE = st.text(" \t\r\n", max_size=3)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[bytes, dict[str, Any]]:
    """Draw a JSON object with a model, odd white space between and odd escapes within."""
    document = draw(st.dictionaries(TEXT, JSON, max_size=5))
    document = {"model": draw(TEXT), **document} if draw(st.booleans()) else document
    document["model"] = draw(TEXT)
    document.pop("stream", None)
    members = []
    for name, value in document.items():
        key = json.dumps(name, ensure_ascii=draw(st.booleans()))
        if draw(st.booleans()) and name.isascii():
            key = '"' + "".join(f"\\u{ord(letter):04x}" for letter in name) + '"'
        text = json.dumps(value, ensure_ascii=draw(st.booleans()))
        members.append(f"{draw(SPACE)}{key}{draw(SPACE)}:{draw(SPACE)}{text}{draw(SPACE)}")
    body = f"{draw(SPACE)}{{{','.join(members)}}}{draw(SPACE)}"
    return body.encode(), document


@given(bodies())
def test_an_unchanged_body_goes_out_as_it_came(given_: tuple[bytes, dict[str, Any]]) -> None:
    """Same dialect on both sides is byte-exact."""
    body, document = given_
    request = Request(body)

    assert request.encode() == body
    assert request.model == document["model"]


@given(bodies())
def test_members_are_found_where_they_stand(given_: tuple[bytes, dict[str, Any]]) -> None:
    """Whoever wants only their size or their beginning needs no copy."""
    body, document = given_
    request = Request(body)

    spans = request.spans(["no such member, as long as it is", *document])

    assert all(text is body for text, _, _ in spans)
    assert [text[start:end] for text, start, end in spans] == [request.raw(n) for n in document]


def test_a_changed_member_stands_elsewhere() -> None:
    """It is not in the body that came."""
    request = Request(b'{"model":"m","n":1}')
    request.set("n", 23)
    request.set("seed", 4)

    spans = request.spans(("model", "n", "seed", "stop"))

    assert [text[start:end] for text, start, end in spans] == [b'"m"', b"23", b"4"]


@given(bodies(), TEXT)
def test_another_model_changes_nothing_else(
    given_: tuple[bytes, dict[str, Any]], model: str
) -> None:
    """The bytes before and after the value of `model` stay where they are."""
    body, document = given_
    value = msgspec.json.encode(model)
    changed = Request(body).encode({"model": value})

    assert json.loads(changed) == {**document, "model": model}
    assert any(
        body.startswith(changed[:i]) and body.endswith(changed[i + len(value) :])
        for i in range(len(changed))
        if changed.startswith(value, i)
    )


@given(bodies(), st.dictionaries(TEXT.filter(lambda t: t != "stream"), JSON, max_size=3))
def test_members_that_are_set_are_replaced_or_added(
    given_: tuple[bytes, dict[str, Any]], members: dict[str, Any]
) -> None:
    """What a plugin sets is what the vendor gets, and only that differs."""
    body, document = given_
    request = Request(body)
    for name, value in members.items():
        request.set(name, value)

    assert json.loads(request.encode()) == {**document, **members}


@given(bodies())
def test_every_member_can_be_read_as_it_stands(given_: tuple[bytes, dict[str, Any]]) -> None:
    """`raw` is the member's own JSON."""
    body, document = given_
    request = Request(body)
    for name, value in document.items():
        raw = request.raw(name)
        assert name in request
        assert raw is not None
        assert json.loads(raw) == value


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"a"}', b'{"model":"b"}'),
        (b' \r\n\t{ "model"\t:\n"a" , "x":1 } \n', b' \r\n\t{ "model"\t:\n"b" , "x":1 } \n'),
        (b'{"m\\u006fdel":"a"}', b'{"m\\u006fdel":"b"}'),
        (b'{"x":{"model":"a"},"model":"a"}', b'{"x":{"model":"a"},"model":"b"}'),
        (b'{"model":"a","x":[{"model":"a"}]}', b'{"model":"b","x":[{"model":"a"}]}'),
        (b'{"x":"\\"model\\":\\"a\\"}","model":"a"}', b'{"x":"\\"model\\":\\"a\\"}","model":"b"}'),
        (b'{"model\\\\":1,"model":"a"}', b'{"model\\\\":1,"model":"b"}'),
        (b'{"model":"a","n":1e999999}', b'{"model":"b","n":1e999999}'),
        (b'{"model":"a","n":-0.0E+0}', b'{"model":"b","n":-0.0E+0}'),
        (b'{"":0,"model":"a"}', b'{"":0,"model":"b"}'),
        ('{"é":"ü","model":"ß"}'.encode(), '{"é":"ü","model":"b"}'.encode()),
    ],
)
def test_only_the_top_level_model_is_replaced(body: bytes, expected: bytes) -> None:
    """However it is written, and whatever looks like it elsewhere."""
    assert Request(body).encode({"model": b'"b"'}) == expected


def test_a_huge_number_passes_unread() -> None:
    """Nobody looks at it, so nobody rounds or refuses it."""
    digits = b"9" * 10_000
    request = Request(b'{"model":"a","n":%b}' % digits)

    assert request.encode({"model": b'"b"'}) == b'{"model":"b","n":%b}' % digits


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a","model":"a"}',
        b'{"model":"a","model":"b"}',
        b'{"model":"a","mod\\u0065l":"b"}',
        b'{"model":"a","n":1,"n":2}',
        b'{"model":"a","n":1,"n":12}',
        b'{"model":"a","n":12,"n":1}',
        b'{"n":12,"n":1,"model":"a","model":"b"}',
        b'{"model":"a","n":-1.5e3,"n":-1}',
        b'{"model":"a","":1,"":1}',
    ],
)
def test_a_member_that_stands_twice_is_refused(body: bytes) -> None:
    """Whoever reads the body after us might keep the other one of the two."""
    with pytest.raises(InvalidRequest, match="twice"):
        Request(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b'"model"',
        b"{",
        b'{"model":"a"',
        b'{"model":"a",}',
        b'{"model":"a"}{}',
        b'{"model":"a"} x',
        b'{"model":"a","n":NaN}',
        b'{"model":"a","n":Infinity}',
        b'{"model":"a","n":01}',
        b'{"model":"a","n":"\\q"}',
        b'{"model":"a","n":"\n"}',
        b'{"model":"a","n":[1,]}',
        b'\xef\xbb\xbf{"model":"a"}',
        b'{"model":"a","n":"\xff"}',
        b'{"model":"a","n":"\xed\xa0\x80"}',
        b'{"model":"a","\\ud800":1}',
        b"{'model':'a'}",
        b'{"model":"a"/**/}',
    ],
)
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    """Also where the mistake is inside a member that we ourselves never read."""
    with pytest.raises(InvalidRequest) as caught:
        Request(body)
    assert caught.value.message.startswith("the body is")


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_body_nested_too_deeply_is_refused(opening: bytes) -> None:
    """It is the client's mistake, never a RecursionError of ours."""
    closing = b"]" if opening == b"[" else b"}"
    body = b'{"model":"a","x":%b1%b}' % (opening * 10_000, closing * 10_000)

    with pytest.raises(InvalidRequest, match="nested too deeply"):
        Request(body)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{}", "model"),
        (b'{"stream":true}', "model"),
        (b'{"model":null}', "model"),
        (b'{"model":1}', "model"),
        (b'{"model":["a"]}', "model"),
        (b'{"model":"a","stream":1}', "stream"),
        (b'{"model":"a","stream":"true"}', "stream"),
        (b'{"model":"a","stream":{}}', "stream"),
    ],
)
def test_a_wrong_or_missing_member_is_named(body: bytes, param: str) -> None:
    """`param` says where to look."""
    with pytest.raises(InvalidRequest) as caught:
        Request(body)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("value", "stream"), [(b"true", True), (b"false", False), (b"null", False), (b" true ", True)]
)
def test_stream_is_read(value: bytes, stream: bool) -> None:
    """null means the same as leaving it out."""
    assert Request(b'{"model":"a","stream":%b}' % value).stream is stream


def test_a_member_can_be_read_as_a_type() -> None:
    """Absent and null are the same; another type is the client's mistake."""
    request = Request(b'{"model":"a","n":3,"x":null}')

    assert (request.get("n", int), request.get("x", int), request.get("y", int)) == (3, None, None)
    with pytest.raises(InvalidRequest) as caught:
        request.get("n", str)
    assert caught.value.param == "n"


def test_what_was_set_is_what_is_read() -> None:
    """A later plugin sees what an earlier one changed."""
    request = Request(b'{"model":"a","n":3}')
    request.set("model", "b")
    request.set("n", None)
    request.set("new", [1])

    assert request.model == "b"
    assert request.get("n", int) is None
    assert request.raw("new") == b"[1]"
    assert ("new" in request, request.changed("new"), request.changed("other")) == (
        True,
        True,
        False,
    )
    assert request.encode() == b'{"model":"b","n":null,"new":[1]}'


def test_a_plugin_that_turns_streaming_on_or_off_is_heard() -> None:
    """Body and attribute never say two different things."""
    request = Request(b'{"model":"a","stream":true}')
    request.set("stream", False)

    assert request.stream is False


def test_what_an_adapter_replaces_wins_over_what_a_plugin_set() -> None:
    """The vendor's name of the model comes last."""
    request = Request(b'{"model":"a"}')
    request.set("model", "b")

    assert request.encode({"model": b'"c"', "x": b"1"}) == b'{"model":"c","x":1}'
    assert request.encode() == b'{"model":"b"}'


class Message(msgspec.Struct):
    role: str


class Chat(msgspec.Struct):
    messages: list[Message]


def test_a_view_decodes_what_it_names() -> None:
    """The rest is ignored; a mistake is told with its path."""
    assert (
        Request(b'{"model":"a","messages":[{"role":"user"}]}').view(Chat).messages[0].role == "user"
    )
    with pytest.raises(InvalidRequest) as caught:
        Request(b'{"model":"a","messages":[{"role":1}]}').view(Chat)
    assert caught.value.param == "messages[0].role"
    with pytest.raises(InvalidRequest):
        Request(b'{"model":"a"}').view(Chat)


def test_a_view_shows_what_was_set() -> None:
    """It is one of the request as it will be sent."""
    request = Request(b'{"model":"a","messages":[]}')
    request.set("messages", [{"role": "system"}])

    assert request.view(Chat).messages == [Message("system")]


def test_a_chunk_is_a_data_event_unless_it_came_as_another() -> None:
    """What a filter makes anew is framed; what passes keeps its bytes."""
    assert Chunk(b'{"a":1}').block == b'data: {"a":1}\n\n'
    assert Chunk(b'{"a":1}', block=b'data:{"a":1}\r\n\r\n').block == b'data:{"a":1}\r\n\r\n'


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"choices":[{"delta":{"content":"hi"}}]}', "hi"),
        (b'{"choices":[{"delta":{"content":null}}]}', ""),
        (b'{"choices":[{"delta":{"role":"assistant"}}]}', ""),
        (b'{"choices":[{"delta":null}]}', ""),
        (b'{"choices":[{}]}', ""),
        (b'{"choices":[],"usage":{}}', ""),
        (b'{"usage":{}}', ""),
    ],
)
def test_a_chunk_knows_its_text(data: bytes, text: str) -> None:
    """A chunk without any has the empty one."""
    assert Chunk(data).text == text


def test_a_chunk_is_decoded_once() -> None:
    """Filters one after the other look at the same document."""
    chunk = Chunk(b'{"a":1}')

    assert chunk.document is chunk.document


def test_responses_do_not_share_their_headers() -> None:
    """What one answer gets, another must not have."""
    one, other = Response(b""), Response(b"")
    one.headers.append(("a", "b"))

    assert other.headers == []
    assert Usage() == Usage(0, 0, 0, 0)
