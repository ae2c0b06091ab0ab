"""Bytes to lines: any split of the same bytes gives the same events."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy import framing
from proxy.errors import UpstreamBadResponse
from proxy.framing import Event, JSONLines

LINE = st.one_of(
    st.sampled_from([b"{}", b'{"a":"\\n"}', b"[1, 2]", b"", b"  ", b"\t{}\t", b"\xff"]),
    st.binary(max_size=6).filter(lambda b: b"\n" not in b),
)
STREAM = st.builds(
    lambda lines, rest: b"".join(line + end for line, end in lines) + rest,
    st.lists(st.tuples(LINE, st.sampled_from([b"\n", b"\r\n"])), max_size=6),
    LINE,
)


def events(pieces: Iterable[bytes]) -> list[Event]:
    """Return everything a framer makes of these pieces."""
    framer = JSONLines()
    found = [event for piece in pieces for event in framer.feed(piece)]
    return [*found, *framer.close()]


@given(STREAM)
@example(b'{"a":1}\r\n\r\n{"b":2}')
def test_any_split_gives_the_same_lines(stream: bytes) -> None:
    """The network does not know what a line is."""
    expected = [line.strip() for line in stream.split(b"\n") if line.strip()]
    splits = [[stream[:i], stream[i:]] for i in range(len(stream) + 1)]
    splits.append([stream[i : i + 1] for i in range(len(stream))])
    for pieces in splits:
        found = events(pieces)
        assert [event.data for event in found] == expected
        assert [event.name for event in found] == [""] * len(expected)


def test_a_line_comes_out_with_its_line_feed() -> None:
    """It is not held until the next one begins, and keeps the bytes it came in."""
    framer = JSONLines()

    assert framer.feed(b'{"a"') == []
    assert framer.feed(b":1}\r\n{") == [Event("", b'{"a":1}', b'{"a":1}\r\n')]
    assert framer.feed(b"}\n\n \n[]\n") == [Event("", b"{}", b"{}\n"), Event("", b"[]", b"[]\n")]
    assert framer.close() == ()


def test_the_last_line_may_lack_its_line_feed() -> None:
    """Some servers omit it; the client gets the line all the same."""
    assert events([b"{}\n[", b"]"])[1] == Event("", b"[]", b"[]\n")
    assert events([]) == []


@pytest.mark.parametrize("pieces", [[b"x" * 101 + b"\n"], [b"x" * 60, b"x" * 41], [b"x" * 101]])
def test_an_endless_line_is_refused(monkeypatch: pytest.MonkeyPatch, pieces: list[bytes]) -> None:
    """Memory is bounded, whatever a vendor sends and however it comes."""
    monkeypatch.setattr(framing, "MAX_EVENT_BYTES", 100)
    framer = JSONLines()
    for _ in range(20):
        framer.feed(b"x" * 100 + b"\n")

    *before, last = pieces
    for piece in before:
        framer.feed(piece)

    with pytest.raises(UpstreamBadResponse):
        framer.feed(last)


def test_a_large_line_in_many_pieces_is_joined_once() -> None:
    """Twice as many pieces must not cost four times as much: the loop serves others too."""

    class Counted(bytes):
        copied = 0

        def __radd__(self, other: bytes) -> bytes:
            Counted.copied += len(other) + len(self)
            return bytes(other) + bytes(self)

    framer, found = JSONLines(), []
    for piece in (b"[", *[b"1" * 100] * 2000, b"]\n"):
        found += framer.feed(Counted(piece))

    assert [len(event.data) for event in found] == [200_002]
    assert Counted.copied == 0
