"""Frames."""

import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.sim import websocket
from proxy.sim.websocket import CONTINUATION, PING, TEXT, Message, Reader, WebSocketError


def masked(opcode: int, content: bytes, *, final: bool = True) -> bytes:
    """Return a client's frame: the server's with the mask bit and the mask."""
    plain = websocket.frame(opcode, content)
    head = plain[: len(plain) - len(content)]
    mask = os.urandom(4)
    covered = bytes(byte ^ mask[place % 4] for place, byte in enumerate(content))
    first = head[0] if final else head[0] & 0x7F
    return bytes((first, head[1] | 0x80)) + head[2:] + mask + covered


def test_the_handshake_of_the_specification() -> None:
    """The example of RFC 6455, section 1.3."""
    assert websocket.accept(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_every_form_of_length(size: int) -> None:
    """Small, 16-bit and 64-bit lengths."""
    content = os.urandom(size)
    assert Reader().feed(masked(TEXT, content)) == [Message(TEXT, content)]


def test_fragments_with_a_ping_between() -> None:
    """A control frame may come inside a fragmented message."""
    received = masked(TEXT, b"he", final=False) + masked(PING, b"!") + masked(CONTINUATION, b"y")
    assert Reader().feed(received) == [Message(PING, b"!"), Message(TEXT, b"hey")]


@given(st.lists(st.binary(max_size=300), max_size=4), st.data())
def test_any_split_gives_the_same_messages(contents: list[bytes], data: st.DataObject) -> None:
    """Where the network cuts the bytes does not matter."""
    received = b"".join(masked(TEXT, content) for content in contents)
    reader, found, place = Reader(), [], 0
    while place < len(received):
        step = data.draw(st.integers(1, len(received)))
        found += reader.feed(received[place : place + step])
        place += step
    assert [message.content for message in found] == contents


@pytest.mark.parametrize(
    ("received", "code"),
    [
        (websocket.frame(TEXT, b"x"), websocket.PROTOCOL_ERROR),
        (masked(CONTINUATION, b"x"), websocket.PROTOCOL_ERROR),
        (masked(TEXT, b"x", final=False) + masked(TEXT, b"x"), websocket.PROTOCOL_ERROR),
        (b"\x81\xff" + struct.pack(">Q", 2**62), websocket.TOO_BIG),
    ],
)
def test_a_broken_protocol_is_told(received: bytes, code: int) -> None:
    """Unmasked, out of order, too large."""
    with pytest.raises(WebSocketError) as caught:
        Reader().feed(received)
    assert caught.value.code == code


def test_fragments_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small fragments are not a way around the limit."""
    monkeypatch.setattr(websocket, "MAX_MESSAGE_BYTES", 10)
    reader = Reader()
    reader.feed(masked(TEXT, b"123456", final=False))
    with pytest.raises(WebSocketError):
        reader.feed(masked(CONTINUATION, b"123456", final=False))
