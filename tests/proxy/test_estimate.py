"""Usage for answers whose vendor reported none."""

from __future__ import annotations

import base64
import math
import random

import pytest

from proxy import estimate
from proxy.wire import Request

ASKED = Request(b'{"model":"m","messages":[{"role":"user","content":"%b"}]}' % (b"x" * 400))


def test_a_stream_is_guessed_by_its_chunks() -> None:
    """About one token comes with each of them."""
    usage = estimate.of_stream(ASKED, 42)

    assert usage.estimated
    assert usage.output_tokens == 42
    assert 100 <= usage.input_tokens <= 120


def test_a_whole_answer_is_guessed_by_its_text() -> None:
    """About four bytes make a token."""
    body = b'{"choices":[{"message":{"role":"assistant","content":"%b"}}]}' % (b"y" * 800)
    usage = estimate.of_answer(ASKED, body)

    assert usage.estimated
    assert 200 <= usage.output_tokens <= 220


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b"{}", b'{"choices":3}', b"\xff"])
def test_an_answer_nobody_can_read_counts_nothing(body: bytes) -> None:
    """It is a guess, not a reason to fail."""
    assert estimate.of_answer(None, body).output_tokens == 0


def test_a_prompt_is_all_that_a_model_reads() -> None:
    """Messages, what else is said to it, and the tools it may call."""
    body = b'{"model":"m","instructions":"%b","input":"%b","tools":[%b],"user":"%b"}'
    request = Request(body % (b"a" * 400, b"b" * 400, b"1" * 400, b"c" * 4000))

    assert 300 <= estimate.of_prompt(request) <= 310
    assert estimate.of_prompt(None) == 0


def test_a_guess_follows_a_change() -> None:
    """A plugin may shorten a prompt, and what was counted before no longer holds."""
    request = Request(b'{"model":"m","messages":"%b"}' % (b"x" * 4000))
    assert 1000 <= estimate.of_prompt(request) <= 1010

    request.set("messages", "x" * 400)
    assert 100 <= estimate.of_prompt(request) <= 110


def test_a_picture_is_not_counted_by_its_bytes() -> None:
    """A megabyte of base64 is about two thousand tokens, not a quarter of a million."""
    picture = base64.b64encode(random.Random(7).randbytes(750_000))
    part = b'{"type":"image_url","image_url":{"url":"data:image/png;base64,%b"}}' % picture
    words = b"words of a prompt " * 2000
    body = b'{"model":"m","messages":[{"role":"user","content":[{"text":"%b"},%b]}]}'

    seen = estimate.of_prompt(Request(body % (words, part)))

    assert 9_000 <= seen <= 15_000


@pytest.mark.parametrize(
    "text",
    [
        "a long text in plain words, 42 of them. " * 2000,
        "没有空格的文字" * 4000,
        "def f(x):\\n    return x ** 2\\n" * 2000,
        "x" * 40_000,
    ],
)
def test_a_long_text_is_counted_by_its_bytes(text: str) -> None:
    """However odd it is, it is no picture."""
    body = b'{"model":"m","prompt":"%b"}' % text.encode()

    assert estimate.of_prompt(Request(body)) == pytest.approx(len(text.encode()) / 4, rel=0.01)


@pytest.mark.parametrize(
    ("members", "tokens"),
    [
        (b'"max_tokens":100', 100),
        (b'"max_completion_tokens": 200 ,"max_tokens":null', 200),
        (b'"max_output_tokens":300', 300),
        (b'"max_tokens":null', math.inf),
        (b'"max_tokens":"many"', math.inf),
        (b'"max_tokens":-1', math.inf),
        (b'"n":3', math.inf),
    ],
)
def test_a_request_may_limit_its_answer(members: bytes, tokens: float) -> None:
    """By any of the names that OpenAI's API has for it; a wrong one is the vendor's to refuse."""
    assert estimate.of_request(Request(b'{"model":"m",%b}' % members)) == (0, tokens)
