"""Bytes to events: any split of the same bytes gives the same events."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy import framing
from proxy.errors import UpstreamBadResponse
from proxy.framing import SSE, Event

END = st.sampled_from([b"\n", b"\r\n", b"\r"])
VALUE = st.binary(max_size=6).filter(lambda b: not set(b) & set(b"\r\n"))
LINE = st.one_of(
    st.builds(lambda space, value: b"data:" + space + value, st.sampled_from([b"", b" "]), VALUE),
    st.builds(lambda value: b"event: " + value, st.sampled_from([b"a", b"error", b""])),
    st.builds(lambda value: b":" + value, VALUE),
    st.sampled_from([b"data", b"id: 7", b"retry: 10", b"unknown: x", b"data : no field"]),
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Draw blocks of lines, each line with an end of its own kind."""
    blocks = draw(st.lists(st.lists(LINE, min_size=1, max_size=3), max_size=5))
    return b"".join(
        b"".join(line + draw(END) for line in block) + draw(END) for block in blocks
    ) + draw(st.sampled_from([b"", b"data: rest", b"data: rest\n", b": rest\r"]))


def events(pieces: Iterable[bytes]) -> list[Event]:
    """Return everything a framer makes of these pieces."""
    framer = SSE()
    found = [event for piece in pieces for event in framer.feed(piece)]
    return [*found, *framer.close()]


def by_the_book(stream: bytes) -> list[tuple[str, bytes]]:
    """Return name and data of the events that have data, line by line as the standard says.

    Unlike the standard it takes the stream's end for a blank line.
    """
    found: list[tuple[str, bytes]] = []
    name, lines = "", []
    for line in [*re.split(rb"\r\n|\n|\r", stream), b""]:
        field, _, value = line.partition(b":")
        if not line:
            if b"\n".join(lines):
                found.append((name, b"\n".join(lines)))
            name, lines = "", []
        elif field == b"data":
            lines.append(value[1:] if value[:1] == b" " else value)
        elif field == b"event":
            name = (value[1:] if value[:1] == b" " else value).decode()
    return found


def read(found: Iterable[Event]) -> list[tuple[str, bytes]]:
    """Return name and data of the events that have data."""
    return [(event.name, event.data) for event in found if event.data]


def each_split(stream: bytes) -> Iterable[list[bytes]]:
    """Cut a stream in two everywhere, and into its bytes."""
    yield from ([stream[:i], stream[i:]] for i in range(len(stream) + 1))
    yield [stream[i : i + 1] for i in range(len(stream))]


@given(streams())
@example(b"data: a\r\rdata: b\r\n\ndata: c\n\r\ndata: d\n\rdata: e\r\r\n")
def test_events_are_those_of_the_standard(stream: bytes) -> None:
    """Whatever ends a line, and however many lines an event has."""
    assert read(events([stream])) == by_the_book(stream)


@given(streams())
def test_any_split_gives_the_same_events(stream: bytes) -> None:
    """The network does not know what an event is."""
    expected = by_the_book(stream)
    for pieces in each_split(stream):
        assert read(events(pieces)) == expected


@given(streams())
@example(b"data: a\r\n\r\n")
def test_the_blocks_together_are_the_stream(stream: bytes) -> None:
    """Nothing is lost, added or moved, but for the blank line a vendor forgot at the end."""
    for pieces in each_split(stream):
        joined = b"".join(event.block for event in events(pieces))
        assert joined.removesuffix(b"\n\n") == stream.removesuffix(b"\n\n") or (
            stream.startswith(joined) and not stream.removeprefix(joined).strip(b"\r\n")
        )


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_stream_goes_out_to_its_last_byte_however_it_is_cut(end: bytes) -> None:
    """The second half of a line end may come later than the first; nothing is held for it."""
    stream = b"".join(b"data: %d%b%b" % (i, end, end) for i in range(3))
    for pieces in each_split(stream):
        framer = SSE()
        blocks = [event.block for piece in pieces for event in framer.feed(piece)]
        assert b"".join(blocks) == stream


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_an_event_comes_out_with_its_blank_line(end: bytes) -> None:
    """It is not held until the next one begins."""
    framer = SSE()

    assert [e.data for e in framer.feed(b"data: a" + end + end)] == [b"a"]
    assert [e.data for e in framer.feed(b"data: b" + end)] == []
    assert [e.data for e in framer.feed(end)] == [b"b"]


@pytest.mark.parametrize(
    ("block", "name", "data"),
    [
        (b"data: [DONE]\n\n", "", b"[DONE]"),
        (b"data:[DONE]\n\n", "", b"[DONE]"),
        (b"data:  two\n\n", "", b" two"),
        (b"data: a\ndata: b\n\n", "", b"a\nb"),
        (b"data: a\ndata\ndata: b\n\n", "", b"a\n\nb"),
        (b"event: error\ndata: {}\n\n", "error", b"{}"),
        (b"data: {}\nevent:error\n\n", "error", b"{}"),
        (b"event: \xff\ndata: x\n\n", "\ufffd", b"x"),
        (b"id: 1\nretry: 5\ndata: x\n\n", "", b"x"),
        (b": comment\n\n", "", b""),
        (b": comment\ndata: x\n\n", "", b"x"),
        (b"event: ping\n\n", "ping", b""),
        (b"data\n\n", "", b""),
        (b"data:\n\n", "", b""),
        (b"Data: x\n\n", "", b""),
        (b" data: x\n\n", "", b""),
    ],
)
def test_a_block_is_read_by_its_fields(block: bytes, name: str, data: bytes) -> None:
    """And kept as it came."""
    assert events([block]) == [Event(name, data, block)]


def test_a_byte_order_mark_is_no_part_of_the_first_field() -> None:
    """The standard ignores one at the beginning of the stream."""
    stream = b"\xef\xbb\xbfdata: a\n\ndata: b\n\n"
    for pieces in each_split(stream):
        assert [event.data for event in events(pieces)] == [b"a", b"b"]


def test_an_event_without_its_blank_line_is_read_at_the_end() -> None:
    """Some vendors omit the last one; the client gets it all the same."""
    assert events([b"data: a\n\ndata: b"])[1] == Event("", b"b", b"data: b\n\n")
    assert [e.data for e in events([b"data: b\r\n"])] == [b"b"]
    assert [e.data for e in events([b"data: a\n\n\n"])] == [b"a"]
    assert events([]) == []


def test_an_endless_event_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, whatever a vendor sends."""
    monkeypatch.setattr(framing, "MAX_EVENT_BYTES", 100)
    framer = SSE()
    for _ in range(20):
        framer.feed(b"data: " + b"x" * 90 + b"\n\n")
    framer.feed(b"x" * 100)

    with pytest.raises(UpstreamBadResponse):
        framer.feed(b"x")


class Counted(bytes):
    """Bytes that count what is copied when others are put before them."""

    copied = 0

    def __radd__(self, other: bytes) -> bytes:
        Counted.copied += len(other) + len(self)
        return bytes(other) + bytes(self)


def test_a_large_event_in_many_pieces_is_not_copied_with_each_of_them() -> None:
    """Twice as many pieces must not cost four times as much: the loop serves others too."""
    pieces, size = 2000, 100
    framer = SSE()
    Counted.copied = 0
    found: list[Event] = []
    for piece in (b"data: ", *[b"x" * size] * pieces, b"\n\n"):
        found += framer.feed(Counted(piece))

    assert [len(event.data) for event in found] == [pieces * size]
    assert Counted.copied <= 20 * pieces * size
