"""What goes wrong at a vendor, as the real `openai` package tells its user; and leaving early."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.e2e.stage import Stage
from tests.e2e.vendors.fleet import EACH, FAILING
from tests.e2e.vendors.replay import Answer, Format, Said
from tests.e2e.vendors.stand import CLOCK, HELLO, PARIS, TIME, WEATHER, Collected, standing
from tests.proxy.vendor import until

TEXT = "Some words of a longer text."


@FAILING
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_errors(stage: Stage, vendor: Format, kind: str, stream: bool) -> None:
    """Class, code and origin say what it is; the vendor's own status stands beside them."""
    failure = vendor.FAILURES[kind]
    async with standing(stage, vendor) as stand:
        with pytest.raises(openai.APIStatusError) as raised:
            await stand.ask(failure.answer, stream=stream)
    error = raised.value
    body: Any = error.body
    assert type(error) is failure.raised
    assert (error.code, body["origin"]) == (failure.code, "upstream")
    assert (body["provider"], body["upstream_status"]) == ("replayed", failure.answer.status)
    assert "sk-credential-of-the-vendor" not in error.response.text
    if kind == "too much" and vendor.RETRY_AFTER:
        assert error.response.headers["retry-after"] == "7"
    if kind == "credential":
        assert error.status_code == 502


@EACH
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_an_error_in_place_of_an_answer(stage: Stage, vendor: Format, stream: bool) -> None:
    """A status of 200 does not make an answer of it."""
    answer = vendor.FAILURES["overloaded"].answer._replace(status=200)
    async with standing(stage, vendor) as stand:
        with pytest.raises(openai.InternalServerError) as raised:
            await stand.ask(answer, stream=stream)
    assert (raised.value.status_code, raised.value.code) == (502, "upstream_error")


@EACH
async def test_an_error_in_a_stream_before_its_content(stage: Stage, vendor: Format) -> None:
    """The vendor has said 200, the client is told the truth by a status."""
    event, status, code = vendor.STREAM_ERROR
    answer = vendor.stream(Said(TEXT))
    broken = answer._replace(pieces=[*answer.pieces[: vendor.OPENING], event])
    async with standing(stage, vendor) as stand:
        with pytest.raises(openai.APIStatusError) as raised:
            await stand.ask(broken, stream=True)
    assert (raised.value.status_code, raised.value.code) == (status, code)


@EACH
async def test_an_error_in_a_stream_after_content(stage: Stage, vendor: Format) -> None:
    """What came is there, then the loop raises with the code."""
    event, _, code = vendor.STREAM_ERROR
    answer = vendor.stream(Said(TEXT))
    broken = answer._replace(pieces=[*answer.pieces[: -vendor.CLOSING], event])
    assert await _broken(stage, vendor, broken) == (TEXT, code)


@EACH
async def test_a_stream_without_its_end(stage: Stage, vendor: Format) -> None:
    """HTTP's end is clean, the vendor's never came: the answer is not taken for whole."""
    answer = vendor.stream(Said(TEXT)).cut
    assert await _broken(stage, vendor, answer) == (TEXT, "upstream_truncated")


async def _broken(stage: Stage, vendor: Format, answer: Answer) -> tuple[str, str | None]:
    """Return the text of a stream that raises, and the code of its error."""
    collected = Collected()
    async with standing(stage, vendor) as stand:
        stand.replay.answers.append(answer)
        create: Any = stand.client.chat.completions.create
        stream = await create(model="any", messages=HELLO, stream=True)
        with pytest.raises(openai.APIError) as raised:
            await collected.all_of(stream)
    assert not isinstance(raised.value, openai.APIStatusError)
    assert not collected.usage
    return collected.message["content"], raised.value.code


@EACH
async def test_calls_of_a_stream_without_its_end_raise_too(stage: Stage, vendor: Format) -> None:
    """Half a call must never be run."""
    said = Said(calls=[PARIS, CLOCK])
    answer = vendor.stream(said)
    async with standing(stage, vendor) as stand:
        with pytest.raises(openai.APIError):
            await stand.ask(answer.cut, stream=True, tools=[WEATHER, TIME])


@EACH
@pytest.mark.parametrize("said", [Said(TEXT), Said(TEXT, [PARIS])], ids=["text", "call"])
async def test_a_client_that_leaves_a_stream(stage: Stage, vendor: Format, said: Said) -> None:
    """The vendor's connection is closed with the client's, so that nothing more is made."""
    answer = vendor.stream(said)
    hanging = answer._replace(pieces=answer.pieces[: -vendor.CLOSING], hangs=True)
    async with standing(stage, vendor) as stand:
        stand.replay.answers.append(hanging)
        create: Any = stand.client.chat.completions.create
        stream = await create(model="any", messages=HELLO, tools=[WEATHER], stream=True)
        await anext(stream)
        assert stand.replay.gone == 0
        await stream.close()
        await until(lambda: stand.replay.gone == 1)


@EACH
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_patches_of_a_deployment(stage: Stage, vendor: Format, stream: bool) -> None:
    """What the operator adds and takes out holds for the vendor's own members."""
    deployment = {
        "extra_body": {"of_the_operator": {"b": [1]}},
        "extra_headers": {"x-of-the-deployment": "yes"},
        "remove": ["/of_the_provider/c", f"/{vendor.REMOVABLE}"],
    }
    provider = {
        "extra_body": {"of_the_provider": {"a": True}, "of_the_operator": {"a": 1}},
        "extra_headers": {"x-of-the-provider": "too"},
    }
    async with standing(stage, vendor, deployment, **provider) as stand:
        await stand.say(Said(TEXT), stream=stream, tools=[WEATHER])
        [body], headers = stand.replay.bodies, stand.replay.last.headers
    assert body["of_the_operator"] == {"a": 1, "b": [1]}
    assert body["of_the_provider"] == {"a": True}
    assert vendor.REMOVABLE not in body
    assert headers["x-of-the-deployment"] == "yes"
    assert headers["x-of-the-provider"] == "too"
    name, value = vendor.AUTHORIZED
    assert headers[name] == value
