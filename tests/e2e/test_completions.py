"""Fill-in-the-middle by the real `openai` package: `completions` with a `suffix`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import openai
import pytest

from tests.e2e.stage import Stage
from tests.e2e.vendors import mistral, ollama, openai_preset
from tests.e2e.vendors.openai_preset import USAGE, chunk, completion
from tests.e2e.vendors.replay import CACHED, INPUT, OUTPUT, SSE, Answer, Format, document, event
from tests.e2e.vendors.stand import Stand, standing

PIECES = ("    return «a»", " + b", "\n")
TEXT = "".join(PIECES)
ASKED: dict[str, Any] = {
    "model": "any",
    "prompt": "def f(a, b):\n",
    "suffix": "\n\nprint(f(1, 2))",
    "max_tokens": 64,
    "stop": ["\n\n"],
}
_LINE = {"model": ollama.MODEL, "created_at": "2026-11-21T08:15:57.947137Z"}
_DONE = {
    "done": True,
    "done_reason": "stop",
    "context": [1, 2],
    "prompt_eval_count": INPUT,
    "prompt_eval_cached_count": CACHED,
    "eval_count": OUTPUT,
}


class Filler(NamedTuple):
    """A vendor that fills in: where, what it answers, and what it is sent."""

    vendor: Any
    path: str
    whole: Answer
    pieces: Sequence[bytes]
    content_type: str
    sent: dict[str, Any]

    @property
    def stream(self) -> Answer:
        """The whole stream."""
        return Answer(self.pieces, self.content_type)


def _said(text: str) -> bytes:
    return json.dumps({**_LINE, "response": text, "done": False}).encode() + b"\n"


FILLERS = {
    "mistral": Filler(
        mistral,
        "/v1/fim/completions",
        completion({"role": "assistant", "content": TEXT}, "stop"),
        [
            chunk({"role": "assistant", "content": ""}),
            *(chunk({"content": piece}) for piece in PIECES),
            chunk({"content": ""}, finish="stop", usage=USAGE),
            event("[DONE]"),
        ],
        SSE,
        {"max_tokens": 64, "stop": ["\n\n"]},
    ),
    "ollama": Filler(
        ollama,
        "/api/generate",
        document({**_LINE, "response": TEXT, **_DONE}),
        [
            *(_said(piece) for piece in PIECES),
            json.dumps({**_LINE, "response": "", **_DONE}).encode() + b"\n",
        ],
        "application/x-ndjson",
        {"options": {"num_predict": 64, "stop": ["\n\n"]}},
    ),
}
EACH = pytest.mark.parametrize("filler", FILLERS.values(), ids=FILLERS.keys())


def stood(stage: Stage, filler: Filler) -> Any:
    """Stand the vendor up."""
    return standing(stage, cast(Format, filler.vendor))


async def streamed(stand: Stand, **more: Any) -> tuple[str, list[str], list[Any]]:
    """Return the text of a stream, its finish reasons and its usage."""
    text, finish, usage = "", [], []
    stream: Any = await stand.client.completions.create(**ASKED, stream=True, **more)
    async for each in stream:
        assert each.object == "text_completion"
        if each.usage is not None:
            assert not each.choices
            usage.append(each.usage)
        for choice in each.choices:
            assert not usage
            text += choice.text
            finish += [choice.finish_reason] if choice.finish_reason else []
    return text, finish, usage


@EACH
async def test_a_whole_text(stage: Stage, filler: Filler) -> None:
    """Prompt and suffix go where the vendor has them; text, end and usage come back."""
    async with stood(stage, filler) as stand:
        stand.replay.answers.append(filler.whole)
        found = await stand.client.completions.create(**ASKED)
        asked, [body] = stand.replay.last, stand.replay.bodies
    assert found.object == "text_completion"
    assert (found.choices[0].text, found.choices[0].finish_reason) == (TEXT, "stop")
    usage = found.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (INPUT, OUTPUT)
    assert usage.prompt_tokens_details.cached_tokens == CACHED
    assert asked.line == f"POST {filler.path} HTTP/1.1"
    assert body == {
        "model": filler.vendor.MODEL,
        "prompt": ASKED["prompt"],
        "suffix": ASKED["suffix"],
        "stream": False,
        **filler.sent,
    }


@EACH
@pytest.mark.parametrize("minced", [False, True], ids=["events", "minced"])
async def test_a_streamed_text(stage: Stage, filler: Filler, minced: bool) -> None:
    """In order, with one end; usage only for who asks for it."""
    answer = filler.stream.minced if minced else filler.stream
    async with stood(stage, filler) as stand:
        stand.replay.answers += [answer, answer]
        assert await streamed(stand) == (TEXT, ["stop"], [])
        text, finish, [usage] = await streamed(stand, stream_options={"include_usage": True})
        assert (text, finish) == (TEXT, ["stop"])
        assert (usage.prompt_tokens, usage.completion_tokens) == (INPUT, OUTPUT)
        assert [body["stream"] for body in stand.replay.bodies] == [True, True]


@EACH
async def test_a_stream_that_is_cut_is_no_whole_text(stage: Stage, filler: Filler) -> None:
    """After content the loop raises, whether the vendor is silent or says why."""
    event, _, code = filler.vendor.STREAM_ERROR
    broken = [*filler.pieces[:2], event]
    async with stood(stage, filler) as stand:
        stand.replay.answers += [filler.stream.cut, Answer(broken, filler.content_type)]
        for expected in ("upstream_truncated", code):
            with pytest.raises(openai.APIError) as raised:
                await streamed(stand)
            assert raised.value.code == expected


@EACH
async def test_errors(stage: Stage, filler: Filler) -> None:
    """As a chat's, also in place of a text; what the gateway refuses the vendor never sees."""
    failures = filler.vendor.FAILURES
    for kind in ("too much", "overloaded", "credential"):
        async with stood(stage, filler) as stand:  # each its own: a limit or a 401 is remembered
            stand.replay.answers.append(failures[kind].answer)
            with pytest.raises(failures[kind].raised) as raised:
                await stand.client.completions.create(**ASKED)
            assert raised.value.code == failures[kind].code
    async with stood(stage, filler) as stand:
        create = stand.client.completions.create
        stand.replay.answers.append(failures["overloaded"].answer._replace(status=200))
        with pytest.raises(openai.InternalServerError):
            await create(**ASKED)
        asked = len(stand.replay.requests)
        with pytest.raises(openai.BadRequestError) as refused:
            await create(**{**ASKED, "prompt": ["a", "b"]})
        assert refused.value.param == "prompt"
        with pytest.raises(openai.BadRequestError) as refused:
            await create(**ASKED, best_of=3, extra_headers={"x-headgate-strict": "true"})
        assert refused.value.param == "best_of"
        assert len(stand.replay.requests) == asked


async def test_a_middle_by_a_vendor_of_openais_format(stage: Stage) -> None:
    """The body goes as it came, to where the vendor has it; events come back byte for byte."""
    shared = {"id": "cmpl-1", "object": "text_completion", "created": 7, "model": "m"}
    ends = [None] * len(PIECES) + ["stop"]
    choices = [
        {"index": 0, "text": text, "logprobs": None, "finish_reason": end}
        for text, end in zip((*PIECES, ""), ends, strict=True)
    ]
    pieces = [event({**shared, "choices": [choice]}) for choice in choices]
    pieces += [event({**shared, "choices": [], "usage": USAGE}), event("[DONE]")]
    async with standing(stage, cast(Format, openai_preset), adapter="deepseek") as stand:
        stand.replay.answers.append(Answer(pieces, SSE))
        assert await streamed(stand) == (TEXT, ["stop"], [])
        [body], asked = stand.replay.bodies, stand.replay.last
    assert asked.line.endswith("/beta/completions HTTP/1.1")
    assert body["suffix"] == ASKED["suffix"]
    assert body["stream_options"] == {"include_usage": True}
