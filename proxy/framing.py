"""Bytes to events, without I/O.

A framer is fed whatever the network gave and returns the events that became complete. It
never waits and never sees a socket, so any split of the same bytes gives the same events.
An event keeps the bytes it came in: what nobody changes is sent on as it was.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from proxy.errors import UpstreamBadResponse

MAX_EVENT_BYTES = 16 * 1024 * 1024

# A blank line is two line ends, each of \n, \r\n or \r; "\r\n" alone is one, not two, and a
# \r at the end of what has come may be half of one.
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?=[^\n]))")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OVERLAP = 3  # bytes of a blank line that may have come before the rest of it


class Event(NamedTuple):
    """One event of a vendor's stream.

    Attributes:
        name: the `event:` field, or the empty string.
        data: the `data:` lines joined; empty for a comment or a block without data.
        block: the bytes of the event as they came, its blank line included.
    """

    name: str
    data: bytes
    block: bytes


class Framer(Protocol):
    """Cuts a byte stream into events."""

    def feed(self, data: bytes) -> Sequence[Event]:
        """Take the next bytes and return the events they completed.

        Raises:
            UpstreamBadResponse: an event is larger than `MAX_EVENT_BYTES`.
        """

    def close(self) -> Sequence[Event]:
        """Take the end of the stream and return what was still held."""


class SSE:
    """Server-sent events.

    What is incomplete is kept in pieces and joined once its blank line comes, so that a large
    event costs no more in many reads than in one.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html (2026-11-21)
    """

    __slots__ = ("_begun", "_held", "_held_bytes", "_tail")

    def __init__(self) -> None:
        self._begun = False
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._tail = b""  # the end of what is held: a blank line may begin there

    def feed(self, data: bytes) -> Sequence[Event]:
        """Take the next bytes and return the events they completed.

        Raises:
            UpstreamBadResponse: an event is larger than `MAX_EVENT_BYTES`.
        """
        if self._begun and not self._held and _is_plain(data):
            return [_plain(content) for content in data[:-2].split(b"\n\n")]
        if self._held and _BLANK_LINE.search(self._tail + data) is None:
            self._hold(data)
            return ()
        if self._held:
            data = b"".join((*self._held, data))
            self._held.clear()
        events, start = [], 0
        for blank in _BLANK_LINE.finditer(data):
            end = blank.end()
            events.append(self._event(data[start:end], blank.start() - start))
            start = end
        self._held_bytes, self._tail = 0, b""
        if start < len(data):
            self._hold(data[start:])
        return events

    def close(self) -> Sequence[Event]:
        """Take the end of the stream; some vendors omit the last blank line."""
        block = b"".join(self._held)
        self._held.clear()
        if not block.strip(b"\r\n"):
            return ()
        return (self._event(block + b"\n\n", len(block)),)

    def _hold(self, data: bytes) -> None:
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > MAX_EVENT_BYTES:
            raise UpstreamBadResponse(f"the provider sent an event over {MAX_EVENT_BYTES} bytes")
        self._tail = (self._tail + data[-_OVERLAP:])[-_OVERLAP:]

    def _event(self, block: bytes, size: int) -> Event:
        """Read one block, the first of them perhaps behind a byte order mark."""
        if self._begun:
            return _event(block, size)
        self._begun = True
        if block.startswith(_BYTE_ORDER_MARK):
            name, data, _ = _event(block[3:], size - 3)
            return Event(name, data, block)
        return _event(block, size)


def _is_plain(data: bytes) -> bool:
    """Whether `data` is whole events with single line feeds, as nearly every read brings."""
    return data.endswith(b"\n\n") and b"\r" not in data and b"\n\n\n" not in data


def _plain(content: bytes) -> Event:
    """Read one event of such data, its blank line cut off."""
    if content.startswith(b"data: ") and b"\n" not in content:
        return Event("", content[6:], content + b"\n\n")
    return _event(content + b"\n\n", len(content))


def _event(block: bytes, size: int) -> Event:
    """Read one block whose content is its first `size` bytes."""
    if block.startswith(b"data: ") and block.find(b"\n", 0, size) < 0 > block.find(b"\r", 0, size):
        return Event("", block[6:size], block)
    name, lines = "", []
    for line in _LINE_END.split(block[:size]):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            lines.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return Event(name, b"\n".join(lines), block)


class JSONLines:
    """JSON values as a stream, a line each; blank lines say nothing.

    What is incomplete is kept in pieces and joined once its line feed comes.

    Source: https://jsonlines.org (2026-11-21)
    """

    __slots__ = ("_held", "_held_bytes")

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._held_bytes = 0

    def feed(self, data: bytes) -> Sequence[Event]:
        """Take the next bytes and return the lines they completed.

        Raises:
            UpstreamBadResponse: a line is larger than `MAX_EVENT_BYTES`.
        """
        *whole, rest = data.split(b"\n")
        if whole and self._held:
            whole[0] = b"".join((*self._held, whole[0]))
        if whole:
            self._held.clear()
            self._held_bytes = 0
        if rest:
            self._held.append(rest)
            self._held_bytes += len(rest)
        if self._held_bytes > MAX_EVENT_BYTES or max(map(len, whole), default=0) > MAX_EVENT_BYTES:
            raise UpstreamBadResponse(f"the provider sent a line over {MAX_EVENT_BYTES} bytes")
        return [_line(line) for line in whole if line and not line.isspace()]

    def close(self) -> Sequence[Event]:
        """Take the end of the stream; the last line may lack its line feed."""
        return self.feed(b"\n") if self._held else ()


def _line(line: bytes) -> Event:
    return Event("", line.strip(), line + b"\n")
