"""Amazon's binary event stream to events, without I/O.

A frame is, big-endian throughout:

    total length 4 | headers length 4 | CRC of these 8 bytes 4 | headers | payload | CRC of all 4

and a header is

    name length 1 | name | type of value 1 | value, where of variable length behind its length 2

Every frame names itself by `:message-type`: an event with `:event-type`, an exception the
service has declared with `:exception-type`, any other error with `:error-code`. Both CRCs
are checked, the first before a length is believed.

Source: https://docs.aws.amazon.com/lexv2/latest/dg/event-stream-encoding.html (2026-11-21)
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from proxy.errors import UpstreamBadResponse
from proxy.framing import MAX_EVENT_BYTES, Event

MAX_FRAME_BYTES = MAX_EVENT_BYTES
EXCEPTION = "exception:"
"""Before the type of an exception, in an event's name."""
ERROR = "error:"
"""Before the code of any other error, in an event's name."""

_PRELUDE = struct.Struct(">III")
_CRC = struct.Struct(">I")
_OVERHEAD = _PRELUDE.size + _CRC.size
_KEPT_BYTES = 512  # headers longer than this are not remembered
_TEXT = 7
# Bytes of a value by its type: true, false, byte, short, integer, long, timestamp, UUID.
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
_COUNTED = frozenset({6, _TEXT})  # bytes and text stand behind their length


class AWSEventStream:
    """Cuts `application/vnd.amazon.eventstream` into events.

    An event's name is its `:event-type`; an exception's is `exception:` and its type, an
    error's `error:` and its code. `data` is the payload, or where an error has none
    `{"message": …}` with its `:error-message`.
    """

    __slots__ = ("_held_bytes", "_pieces", "_wanted_bytes")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._held_bytes = 0
        self._wanted_bytes = _PRELUDE.size

    def feed(self, data: bytes) -> Sequence[Event]:
        """Take the next bytes and return the events they completed.

        Raises:
            UpstreamBadResponse: a CRC or a length is wrong, or a frame is larger than
                `MAX_FRAME_BYTES`.
        """
        if self._held_bytes:
            self._pieces.append(data)
            self._held_bytes += len(data)
            if self._held_bytes < self._wanted_bytes:
                return ()
            data = b"".join(self._pieces)
        events, start, end = [], 0, len(data)
        wanted = _PRELUDE.size
        while end - start >= _PRELUDE.size:
            total, headers, crc = _prelude(data, start)
            if end - start < total:
                wanted = total
                break
            events.append(_event(data[start : start + total], headers, crc))
            start += total
        rest = data[start:] if start else data
        self._pieces = [rest] if rest else []
        self._held_bytes, self._wanted_bytes = len(rest), wanted
        return events

    def close(self) -> Sequence[Event]:
        """Take the end of the stream; half a frame is no event."""
        return ()


def _prelude(data: bytes, start: int) -> tuple[int, int, int]:
    """Return the length of a frame, that of its headers, and the CRC so far."""
    total, headers, crc = _PRELUDE.unpack_from(data, start)
    if crc != zlib.crc32(data[start : start + 8]):
        raise UpstreamBadResponse("the provider sent a frame with a wrong checksum")
    if total > MAX_FRAME_BYTES:
        raise UpstreamBadResponse(f"the provider sent an event over {MAX_FRAME_BYTES} bytes")
    if total < _OVERHEAD + headers:
        raise UpstreamBadResponse("the provider sent a frame shorter than its headers")
    return total, headers, crc


def _event(frame: bytes, headers: int, crc: int) -> Event:
    """Read one whole frame; `crc` is that of its first 8 bytes."""
    view = memoryview(frame)
    if zlib.crc32(view[8:-4], crc) != _CRC.unpack_from(frame, len(frame) - 4)[0]:
        raise UpstreamBadResponse("the provider sent a frame with a wrong checksum")
    split = _PRELUDE.size + headers
    block = frame[_PRELUDE.size : split]
    name, data = (_remembered if headers <= _KEPT_BYTES else _named)(block)
    return Event(name, frame[split:-4] or data, frame)


def _named(headers: bytes) -> tuple[str, bytes]:
    """Return the name a frame's headers give it, and its data where it has no payload."""
    texts = _texts(headers)
    kind = texts.get(":message-type", "event")
    if kind == "event":
        return texts.get(":event-type", ""), b""
    if kind == "exception":
        return EXCEPTION + texts.get(":exception-type", ""), b""
    message = texts.get(":error-message", "")
    return ERROR + texts.get(":error-code", ""), msgspec.json.encode({"message": message})


# Frames of one kind have the same headers to the byte, and a stream has few kinds.
_remembered = lru_cache(maxsize=128)(_named)


def _texts(headers: bytes) -> dict[str, str]:
    """Return those headers whose value is text.

    Raises:
        UpstreamBadResponse: a header has no type we know, or ends behind the last byte.
    """
    found = {}
    position, end = 0, len(headers)
    try:
        while position < end:
            value = position + 2 + headers[position]
            kind = headers[value - 1]
            if kind in _COUNTED:
                size = int.from_bytes(headers[value : value + 2], "big")
                value += 2
            else:
                size = _SIZES[kind]
            if value + size > end:
                raise IndexError
            if kind == _TEXT:
                name = headers[position + 1 : position + 1 + headers[position]]
                found[name.decode()] = headers[value : value + size].decode()
            position = value + size
    except (IndexError, KeyError, UnicodeDecodeError):
        raise UpstreamBadResponse("the provider sent a frame with broken headers") from None
    return found
