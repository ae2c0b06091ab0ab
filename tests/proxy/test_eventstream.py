"""Amazon's frames to events: any split of the same bytes gives the same events."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from proxy import eventstream
from proxy.errors import UpstreamBadResponse
from proxy.eventstream import AWSEventStream
from proxy.framing import Event
from tests.eventframes import error, event, exception, frame, header

FIXED = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
NAME = st.text("abcdefgh-", min_size=1, max_size=12)
OTHER_HEADER = st.one_of(
    st.builds(header, NAME, st.text(max_size=8)),
    st.builds(header, NAME, st.binary(max_size=8), st.just(6)),
    st.sampled_from(sorted(FIXED)).flatmap(
        lambda kind: st.builds(
            header, NAME, st.binary(min_size=FIXED[kind], max_size=FIXED[kind]), st.just(kind)
        )
    ),
)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Draw an event's frame, with headers of every type around those that name it."""
    named = [header(":event-type", draw(NAME)), header(":message-type", "event")]
    others = draw(st.lists(OTHER_HEADER, max_size=3, unique_by=lambda h: h[1 : 1 + h[0]]))
    headers = draw(st.permutations([*named, *others]))
    return frame(b"".join(headers), draw(st.binary(max_size=60)))


def events(pieces: Iterable[bytes]) -> list[Event]:
    """Return everything a framer makes of these pieces."""
    framer = AWSEventStream()
    found = [event for piece in pieces for event in framer.feed(piece)]
    return [*found, *framer.close()]


def by_botocore(stream: bytes) -> list[tuple[str, bytes]]:
    """Return what AWS's own SDK reads."""
    buffer = EventStreamBuffer()
    buffer.add_data(stream)
    return [(message.headers[":event-type"], message.payload) for message in buffer]


@given(st.lists(frames(), max_size=4))
def test_events_are_those_of_the_vendors_own_sdk(drawn: list[bytes]) -> None:
    """Whatever headers stand beside the names."""
    stream = b"".join(drawn)
    assert [(e.name, e.data) for e in events([stream])] == by_botocore(stream)
    assert [e.block for e in events([stream])] == drawn


@given(st.lists(frames(), min_size=1, max_size=3))
def test_any_split_gives_the_same_events(drawn: list[bytes]) -> None:
    """The network does not know what a frame is."""
    stream = b"".join(drawn)
    expected = events([stream])
    assert events(stream[i : i + 1] for i in range(len(stream))) == expected
    for place in range(len(stream) + 1):
        assert events([stream[:place], stream[place:]]) == expected


@given(frames(), st.data())
def test_a_changed_bit_is_noticed(drawn: bytes, data: st.DataObject) -> None:
    """A checksum covers every byte: nothing comes out that nobody sent."""
    place = data.draw(st.integers(0, len(drawn) * 8 - 1))
    changed = bytearray(drawn)
    changed[place // 8] ^= 1 << place % 8
    with pytest.raises(UpstreamBadResponse):
        events([bytes(changed), b"\0" * 16])


def test_an_event_comes_out_with_its_last_byte() -> None:
    """It is not held until the next one begins."""
    stream, framer = event("a", {}) + event("b", {}), AWSEventStream()
    half = len(event("a", {}))

    assert [e.name for e in framer.feed(stream[: half - 1])] == []
    assert [e.name for e in framer.feed(stream[half - 1 : half])] == ["a"]
    assert [e.name for e in framer.feed(stream[half:])] == ["b"]


def test_exceptions_and_errors_are_named_as_such() -> None:
    """No event of the service can be taken for one."""
    stream = exception("throttlingException", {"message": "slow"}) + error("Broken", 'a "b"')

    assert [(e.name, e.data) for e in events([stream])] == [
        ("exception:throttlingException", b'{"message":"slow"}'),
        ("error:Broken", b'{"message":"a \\"b\\""}'),
    ]


def test_half_a_frame_is_no_event() -> None:
    """That the stream was cut is told by the translator, which misses its end marker."""
    assert events([event("a", {})[:-1]]) == []


def test_an_endless_frame_is_refused_by_its_length_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, whatever a vendor sends."""
    monkeypatch.setattr(eventstream, "MAX_FRAME_BYTES", 100)
    large = frame(b"", b"x" * 85)
    framer = AWSEventStream()
    for _ in range(20):
        framer.feed(frame(b"", b"x" * 84))

    with pytest.raises(UpstreamBadResponse, match="over 100 bytes"):
        framer.feed(large[:12])


@pytest.mark.parametrize(
    "broken",
    [
        frame(b"\x05abc", b""),  # a name longer than the headers
        frame(b"\x01a", b""),  # no type
        frame(b"\x01a\x07", b""),  # no length
        frame(b"\x01a\x07\x00\x05abc", b""),  # a value longer than the headers
        frame(b"\x01a\x09abc", b""),
        frame(b"\x01a\x0a", b""),  # no such type
        frame(header(":event-type", b"\xff"), b""),
        frame(b"\x01\xff\x07\x00\x00", b""),
    ],
)
def test_broken_headers_are_the_vendors_fault(broken: bytes) -> None:
    """Right checksums around wrong headers are no mistake of ours."""
    with pytest.raises(UpstreamBadResponse):
        events([broken])


def test_a_frame_shorter_than_its_headers_is_refused() -> None:
    """Before anybody waits for bytes that will never come."""
    prelude = struct.pack(">II", 16, 1)
    with pytest.raises(UpstreamBadResponse, match="shorter"):
        events([prelude + struct.pack(">I", zlib.crc32(prelude))])


def test_headers_of_any_length_are_read() -> None:
    """Also those too long to be remembered for the next frame."""
    long = header("x", "y" * 1000) + header(":event-type", "a")
    assert [e.name for e in events([frame(long, b"{}")])] == ["a"]


def test_a_large_frame_in_many_pieces_is_joined_once() -> None:
    """Twice as many pieces must not cost four times as much: the loop serves others too."""
    stream = frame(header(":event-type", "a"), b"x" * 200_000)
    pieces = [stream[start : start + 100] for start in range(0, len(stream), 100)]
    framer = AWSEventStream()
    found: list[Event] = []
    for number, piece in enumerate(pieces):
        found += framer.feed(piece)
        kept = framer._pieces
        assert len(kept) == (number + 1 if piece is not pieces[-1] else 0)
        assert not kept or kept[-1] is piece

    assert [len(event.data) for event in found] == [200_000]
