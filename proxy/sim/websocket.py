"""The server's half of RFC 6455 without I/O: enough for `/v1/realtime`.

Source: https://www.rfc-editor.org/rfc/rfc6455 (2026-11-21)
"""

from __future__ import annotations

import base64
import struct
from hashlib import sha1
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
PROTOCOL_ERROR, TOO_BIG = 1002, 1009
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class WebSocketError(Exception):
    """The client broke the protocol; `code` is the close code it is told."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Message(NamedTuple):
    """A whole message or a control frame."""

    opcode: int
    content: bytes


def accept(key: bytes) -> bytes:
    """Return the `sec-websocket-accept` for a `sec-websocket-key`."""
    return base64.b64encode(sha1(key.strip() + _GUID, usedforsecurity=False).digest())


def frame(opcode: int, content: bytes) -> bytes:
    """Return one unmasked frame."""
    size = len(content)
    if size < 126:
        return struct.pack(">BB", 0x80 | opcode, size) + content
    if size < 65536:
        return struct.pack(">BBH", 0x80 | opcode, 126, size) + content
    return struct.pack(">BBQ", 0x80 | opcode, 127, size) + content


class Reader:
    """Cuts what a client sends into messages."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._opcode = 0
        self._message = bytearray()

    def feed(self, received: bytes) -> list[Message]:
        """Take the next bytes and return the messages they completed.

        Raises:
            WebSocketError: not masked, out of order or too large.
        """
        self._rest += received
        messages = []
        while (found := self._frame()) is not None:
            final, opcode, content = found
            if opcode >= CLOSE:
                messages.append(Message(opcode, content))
                continue
            if (opcode == CONTINUATION) != bool(self._opcode):
                raise WebSocketError(PROTOCOL_ERROR, "a frame out of order")
            self._opcode = self._opcode or opcode
            self._message += content
            if len(self._message) > MAX_MESSAGE_BYTES:
                raise WebSocketError(TOO_BIG, "the message is too large")
            if final:
                messages.append(Message(self._opcode, bytes(self._message)))
                self._opcode, self._message = 0, bytearray()
        return messages

    def _frame(self) -> tuple[bool, int, bytes] | None:
        """Take one frame from the front, or None while it is not whole."""
        rest = self._rest
        if len(rest) < 2:
            return None
        first, second = rest[0], rest[1]
        if not second & 0x80 or first & 0x70:
            raise WebSocketError(PROTOCOL_ERROR, "a frame must be masked and plain")
        size, start = second & 0x7F, 2
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(rest) < start:
                return None
            size = int.from_bytes(rest[2:start], "big")
        if size > MAX_MESSAGE_BYTES:
            raise WebSocketError(TOO_BIG, "the frame is too large")
        if len(rest) < start + 4 + size:
            return None
        mask = bytes(rest[start : start + 4])
        content = _unmask(bytes(rest[start + 4 : start + 4 + size]), mask)
        del rest[: start + 4 + size]
        return bool(first & 0x80), first & 0x0F, content


def _unmask(content: bytes, mask: bytes) -> bytes:
    size = len(content)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(content, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
