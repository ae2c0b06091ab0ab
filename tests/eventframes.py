"""Frames of Amazon's event stream, written by the book and by nobody's framer."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any


def header(name: str, value: str | bytes, kind: int = 7) -> bytes:
    """Return one header; its value is text, bytes (6), or of a fixed size."""
    raw = value.encode() if isinstance(value, str) else value
    counted = struct.pack(">H", len(raw)) if kind in (6, 7) else b""
    return bytes([len(name)]) + name.encode() + bytes([kind]) + counted + raw


def frame(headers: bytes, payload: bytes) -> bytes:
    """Return one frame with both its checksums."""
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


def event(name: str, document: Any) -> bytes:
    """Return an event as the service sends it."""
    headers = (
        header(":event-type", name)
        + header(":content-type", "application/json")
        + header(":message-type", "event")
    )
    return frame(headers, json.dumps(document, separators=(",", ":")).encode())


def exception(name: str, document: Any) -> bytes:
    """Return an exception that the service has declared."""
    headers = (
        header(":exception-type", name)
        + header(":content-type", "application/json")
        + header(":message-type", "exception")
    )
    return frame(headers, json.dumps(document, separators=(",", ":")).encode())


def error(code: str, message: str) -> bytes:
    """Return an error that it has not: it has no payload."""
    headers = (
        header(":message-type", "error")
        + header(":error-code", code)
        + header(":error-message", message)
    )
    return frame(headers, b"")
