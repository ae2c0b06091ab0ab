"""Usage for answers whose vendor reported none."""

from __future__ import annotations

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
