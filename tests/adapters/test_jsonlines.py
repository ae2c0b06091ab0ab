"""JSON values, a line each."""

from __future__ import annotations

import pytest

from adapters import _jsonlines
from adapters._jsonlines import JSONLines
from proxy.errors import UpstreamBadResponse

STREAM = b'{"a":1}\n\n{"b":2}\r\n{"c":3}'


def test_any_split_gives_the_same_lines() -> None:
    """Blank ones give none; the last may lack its end."""
    for place in range(len(STREAM) + 1):
        framer = JSONLines()
        events = [*framer.feed(STREAM[:place]), *framer.feed(STREAM[place:]), *framer.close()]
        assert [event.data.strip() for event in events] == [b'{"a":1}', b'{"b":2}', b'{"c":3}']
        assert framer.close() == ()


def test_a_line_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody fills our memory."""
    monkeypatch.setattr(_jsonlines, "MAX_EVENT_BYTES", 10)
    framer = JSONLines()
    framer.feed(b"x" * 10)

    with pytest.raises(UpstreamBadResponse, match="10 bytes"):
        framer.feed(b"x")
