"""JSON values as a stream, a line each."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.errors import UpstreamBadResponse
from proxy.framing import MAX_EVENT_BYTES, Event


class JSONLines:
    """Cuts at line feeds; blank lines say nothing."""

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
        if whole:
            whole[0] = b"".join((*self._held, whole[0]))
            self._held.clear()
            self._held_bytes = 0
        if rest:
            self._held.append(rest)
            self._held_bytes += len(rest)
        if self._held_bytes > MAX_EVENT_BYTES:
            raise UpstreamBadResponse(f"the provider sent a line over {MAX_EVENT_BYTES} bytes")
        return [Event("", line, line + b"\n") for line in whole if line.strip()]

    def close(self) -> Sequence[Event]:
        """Take the end of the stream; the last line may lack its end."""
        return self.feed(b"\n") if self._held else ()
