"""OpenAI's wire format, and what sets other vendors of it apart."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters import openai
from adapters.openai import Quirks, variant
from proxy.adapter import Defaults, Target, UpstreamRequest, UpstreamResponse
from proxy.errors import UpstreamFailed, UpstreamTruncated
from proxy.framing import Event
from proxy.wire import Request

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def sent(body: dict[str, Any], quirks: Quirks, operation: str = "chat") -> UpstreamRequest:
    """Return what a vendor with these quirks gets."""
    made = variant(Defaults(), quirks).operations[operation]
    return made.request(Request(json.dumps(body).encode()), Target("theirs", "key"))


def test_every_operation_has_its_path() -> None:
    """JSON in; what comes out is JSON, events or bytes."""
    for name, path in openai.PATHS.items():
        made = sent(CHAT, Quirks(serves=(name,)), name)

        assert (made.method, made.path) == ("POST", path)
        assert made.headers == (
            ("authorization", "Bearer key"),
            ("content-type", "application/json"),
        )
        assert json.loads(made.body) == {**CHAT, "model": "theirs"}


def test_what_a_vendor_refuses_is_left_out_and_told() -> None:
    """Unless it is null, and says nothing."""
    body = {**CHAT, "logit_bias": {"1": 2}, "seed": None, "top_p": 0.5}
    made = sent(body, Quirks(refuses={"logit_bias": "refused", "seed": "unknown"}))

    assert json.loads(made.body) == {**CHAT, "model": "theirs", "top_p": 0.5}
    assert [tuple(each) for each in made.dropped] == [("logit_bias", "refused")]


def test_a_member_goes_by_its_older_name() -> None:
    """Renamed is not lost."""
    made = sent(
        {**CHAT, "max_completion_tokens": 9},
        Quirks(renames={"max_completion_tokens": "max_tokens"}),
    )

    assert json.loads(made.body) == {**CHAT, "model": "theirs", "max_tokens": 9}
    assert not made.dropped


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([{"role": "developer", "content": "a"}], [{"role": "system", "content": "a"}]),
        ([{"role": "user", "content": "developer"}], [{"role": "user", "content": "developer"}]),
        ("developer", "developer"),
    ],
)
def test_developer_is_system_elsewhere(messages: Any, expected: Any) -> None:
    """Only the role; what cannot be read is the vendor's to refuse."""
    made = sent({"model": "m", "messages": messages}, Quirks(developer=False))

    assert json.loads(made.body)["messages"] == expected


@pytest.mark.parametrize(
    ("asked", "taken", "expected"),
    [
        (None, True, {"include_usage": True}),
        ({"include_usage": False, "x": 1}, True, {"include_usage": True, "x": 1}),
        ({"include_usage": True}, False, None),
        (None, False, None),
    ],
)
def test_usage_is_asked_for_where_one_can(asked: Any, taken: bool, expected: Any) -> None:
    """The gateway counts every stream."""
    body = {**CHAT, "stream": True, **({"stream_options": asked} if asked else {})}
    made = sent(body, Quirks(stream_options=taken))

    assert json.loads(made.body).get("stream_options") == expected


def test_bodies_nobody_changes_stay_as_they_came() -> None:
    """To the byte, whatever quirks there are."""
    body = b'{ "model" :"theirs","messages":[ ] }'
    quirks = Quirks(refuses={"n": "x"}, renames={"a": "b"}, developer=False)
    made = variant(Defaults(), quirks).operations["chat"].request(Request(body), Target("theirs"))

    assert made.body == body


def test_a_vendor_without_end_marker_has_finished_with_a_reason() -> None:
    """The client gets the marker from us; without a reason the stream was cut."""
    stream = openai.stream("chat", Quirks(marker=False))
    assert stream is not None
    whole, cut = stream(0), stream(0)
    cut.feed(Event("", b'{"choices":[{"delta":{"content":"a"},"finish_reason":null}]}', b""))
    whole.feed(Event("", b'{"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}', b""))

    assert whole.ended is False
    assert whole.close() == ()
    assert (whole.ended, whole.last) == (True, b"data: [DONE]\n\n")
    with pytest.raises(UpstreamTruncated):
        cut.close()


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"total_tokens": 7}, (7, 0, 0, 0)),
        ({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}, (5, 0, 2, 0)),
        ({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 17}, (5, 0, 12, 10)),
        ({"prompt_tokens": 5, "cached_tokens": 3}, (5, 3, 0, 0)),
        ({"prompt_tokens": 5, "prompt_cache_hit_tokens": 3}, (5, 3, 0, 0)),
        ({"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 150}}, (5, 5, 0, 0)),
        ({"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}, (5, 0, 2, 0)),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 2,
                "total_tokens": 31,
                "prompt_tokens_details": {"audio_tokens": 20},
            },
            (29, 0, 2, 0),
        ),
        (
            {"completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 3}},
            (0, 0, 2, 2),
        ),
        ({"prompt_tokens": "odd"}, None),
    ],
)
def test_usage_is_read_in_every_form(usage: Any, expected: Any) -> None:
    """Input holds what was cached, output what was thought; the parts never exceed the whole."""
    body = json.dumps({"usage": usage}).encode()
    found = openai.response(UpstreamResponse(200, (), body), 0).usage

    if expected is None:
        assert found is None
    else:
        assert found is not None
        parts = (found.input_tokens, found.cached_tokens, found.output_tokens)
        assert (*parts, found.reasoning_tokens) == expected


def test_tokens_written_to_a_cache_are_counted() -> None:
    """Under either name."""
    for usage in (
        {"prompt_tokens": 9, "prompt_tokens_details": {"cache_write_tokens": 4}},
        {"prompt_tokens": 9, "cache_creation_input_tokens": 4},
    ):
        body = json.dumps({"usage": usage}).encode()
        found = openai.response(UpstreamResponse(200, (), body), 0).usage
        assert found is not None
        assert found.cache_write_tokens == 4


def test_speech_comes_as_bytes() -> None:
    """Of the kind the vendor says."""
    speech = openai.operations["speech"]
    given = UpstreamResponse(200, (("content-type", "audio/mpeg"),), b"\xff\xfb")

    answer = speech.response(given, 0)
    assert (answer.body, answer.content_type) == (b"\xff\xfb", "audio/mpeg")
    assert speech.response(given._replace(headers=()), 0).content_type.endswith("octet-stream")


def test_images_without_usage_are_still_counted() -> None:
    """And an error in place of images is one."""
    images = openai.operations["images"].response
    answer = images(UpstreamResponse(200, (), b'{"created":1,"data":[{"url":"u"}]}'), 0)

    assert answer.usage is not None
    assert answer.usage.images == 1
    with pytest.raises(UpstreamFailed):
        images(UpstreamResponse(200, (), b'{"error":{"message":"no"}}'), 0)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"detail":"Not here"}', "Not here"),
        (b'{"detail":[]}', "the provider answered with status 418"),
        (b'{"title":"x"}', "the provider answered with status 418"),
        (b'{"error":{"code":17}}', "17"),
        (b'{"error":[1]}', "[1]"),
        (b"plain words", "plain words"),
        (b"\x00\x01", "the provider answered with status 418"),
        (b"<html></html>", "the provider answered with status 418"),
    ],
)
def test_a_vendors_words_are_found(body: bytes, message: str) -> None:
    """Wherever they stand; a page of HTML has none."""
    assert openai.error(UpstreamResponse(418, (), body)).message == message
