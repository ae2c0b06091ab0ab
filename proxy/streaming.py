"""The driver of one stream: from the vendor's socket through the relay to the client's.

The vendor's bytes are relayed inside the read callback: one read, one write, no task woken.
The task of the exchange only waits, first for the stream to open, then for its end.

States of a `Pump`:

    holding    nothing has gone to the client; what comes is kept, bounded
    flowing    `connect` was called; every read is written on at once
    over       the end came, or an error; exactly one of them counts
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Protocol

import structlog

from proxy.errors import GatewayError, InternalError, UpstreamError
from proxy.relay import Cut
from proxy.upstream import Answer
from proxy.wire import Usage

log = structlog.get_logger()

_PING = b": ping\n\n"
_TAIL_S = 0.25


class Machine(Protocol):
    """What turns the vendor's bytes into the client's: a relay, or nothing at all."""

    @property
    def content(self) -> bool:
        """Whether a part of the answer has come out."""

    @property
    def ended(self) -> bool:
        """Whether the stream is over, whole."""

    @property
    def usage(self) -> Usage | None:
        """What the vendor reported so far."""

    def feed(self, data: bytes) -> bytes:
        """Take the vendor's next bytes."""

    def close(self) -> bytes:
        """Take the end of the vendor's bytes."""


class Verbatim:
    """The machine of a body nobody looks into."""

    content = True
    ended = False
    usage = None

    def feed(self, data: bytes) -> bytes:
        """Return them as they came."""
        return data

    def close(self) -> bytes:
        """Return nothing: what ends the body is the transport's business."""
        return b""


class Bytes(Verbatim):
    """The same, for an answer that may still be had elsewhere until its first byte is there."""

    def __init__(self) -> None:
        self.content = False

    def feed(self, data: bytes) -> bytes:
        """Return them as they came."""
        self.content = True
        return data

    def close(self) -> bytes:
        """Return nothing: without any byte it is whole as well."""
        self.content = True
        return b""


class ClientStream(Protocol):
    """The client's side of a stream, as the front gives it."""

    def write(self, data: bytes) -> None:
        """Send the next bytes of the body."""

    def abort(self) -> None:
        """Break the connection, so that nobody takes the body for whole."""

    def watch(self, flow: Flow) -> None:
        """Tell `flow` when the client reads too slowly, and when it has caught up."""


class Flow(Protocol):
    """Who has to stop while a client does not read."""

    def pause(self) -> None:
        """The client's buffer is full."""

    def resume(self) -> None:
        """It has room again."""


class Pump:
    """One stream under way; also the `BodySink` of its answer and the `Flow` of its client.

    Attributes:
        error: why the stream broke off; None while it has not.
    """

    __slots__ = (
        "_answer",
        "_client",
        "_closed",
        "_held",
        "_hold_bytes",
        "_loop",
        "_machine",
        "_opened",
        "_ping_s",
        "_ping_timer",
        "_stall_s",
        "_stall_timer",
        "_whole",
        "_written_at",
        "error",
        "first_content_at",
    )

    def __init__(
        self,
        machine: Machine,
        answer: Answer,
        *,
        hold_bytes: int = 0,
        ping_s: float = 0.0,
        stall_s: float = 60.0,
    ) -> None:
        """Start holding; `answer.pipe(pump)` lets the bytes come.

        Args:
            machine: what the bytes go through.
            answer: paused while the client does not read.
            hold_bytes: so much may be kept before the stream counts as open.
            ping_s: a comment is sent after so many seconds of silence; 0 means never.
            stall_s: so long a client may not read, in seconds.
        """
        self._loop = asyncio.get_running_loop()
        self._machine = machine
        self._answer = answer
        self._hold_bytes = hold_bytes
        self._ping_s = ping_s
        self._stall_s = stall_s
        self._client: ClientStream | None = None
        self._held = b""
        self._opened: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] | None = None
        self._ping_timer: asyncio.TimerHandle | None = None
        self._stall_timer: asyncio.TimerHandle | None = None
        self._whole = False
        self._written_at = 0.0
        self.error: GatewayError | None = None
        self.first_content_at = 0.0

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self._machine.ended or self.error is not None

    @property
    def content(self) -> bool:
        """Whether a part of the answer has come."""
        return self._machine.content

    @property
    def open(self) -> bool:
        """Whether there is something to tell the client: content, an end, or an error."""
        return self.over or self._machine.content or len(self._held) > self._hold_bytes

    async def opening(self) -> None:
        """Wait until the stream is open."""
        if not self.open:
            self._opened = self._loop.create_future()
            await self._opened

    async def closing(self) -> None:
        """Wait until the stream is over, or the vendor's body has ended."""
        if not self.over and not self._whole:
            self._closed = self._loop.create_future()
            await self._closed

    async def tail(self) -> None:
        """Wait a little for the vendor's body to end behind its end marker.

        Some vendors take their time, which is no business of the client's; but a connection
        whose answer is not whole cannot be used again.
        """
        if not self._whole and self.error is None:
            self._closed = self._loop.create_future()
            with suppress(TimeoutError):
                async with asyncio.timeout(_TAIL_S):
                    await self._closed

    def connect(self, client: ClientStream) -> None:
        """Let what was held go, and everything after it as it comes."""
        self._client = client
        client.watch(self)
        held, self._held = self._held, b""
        self._deliver(held)
        if self._stall_timer is None:  # the held bytes alone may have filled the client's buffer
            self._answer.resume()
        if self._ping_s and not self.over:
            self._ping_timer = self._loop.call_later(self._ping_s, self._ping)

    def feed(self, data: bytes) -> None:
        """Take the vendor's next bytes."""
        if self.error is not None:
            return
        try:
            self._deliver(self._machine.feed(data))
        except Cut as cut:
            self._cut(cut)
        except Exception:
            self._bug()
        if self._opened is not None and self.open:
            _wake(self._opened)
        if self._closed is not None and self.over:
            _wake(self._closed)

    def end(self, error: UpstreamError | None) -> None:
        """Take the end of the vendor's body, clean or not.

        After the stream's own end marker it does not matter any more how the body ends.
        """
        if not self.over:
            self._finish(error)
        self._whole = True
        self.release()
        _wake(self._opened)
        _wake(self._closed)

    def pause(self) -> None:
        """The client reads too slowly: stop the vendor, and wait only so long."""
        self._answer.pause()
        if self._client is not None and self._stall_timer is None:
            self._stall_timer = self._loop.call_later(self._stall_s, self._client.abort)

    def resume(self) -> None:
        """The client reads again."""
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
        self._answer.resume()

    def release(self) -> None:
        """Let go of the timers; nothing is sent after this but what the caller sends."""
        for timer in (self._ping_timer, self._stall_timer):
            if timer is not None:
                timer.cancel()
        self._ping_timer = self._stall_timer = None

    def _finish(self, error: UpstreamError | None) -> None:
        if error is not None:
            self.error = error
            return
        try:
            self._deliver(self._machine.close())
        except Cut as cut:
            self._cut(cut)
        except Exception:
            self._bug()

    def _cut(self, cut: Cut) -> None:
        self._deliver(cut.before)
        self.error = cut.error
        self.release()
        _wake(self._opened)
        _wake(self._closed)

    def _bug(self) -> None:
        """A plugin's filter raised something of its own: the border of the stream is here."""
        log.exception("stream broke on a mistake of ours")
        self._cut(Cut(b"", InternalError("the gateway failed while relaying the stream")))

    def _deliver(self, data: bytes) -> None:
        if not data:
            return
        if not self.first_content_at and self._machine.content:
            self.first_content_at = time.monotonic()
        if self._client is None:
            self._held += data
            if len(self._held) > 2 * self._hold_bytes:
                self._answer.pause()
            return
        self._written_at = self._loop.time()
        self._client.write(data)

    def _ping(self) -> None:
        """Break the silence; the timer is only set anew where it fires, not at each chunk."""
        if self._client is None or self.over:
            return
        due = self._written_at + self._ping_s
        now = self._loop.time()
        if now >= due:
            self._client.write(_PING)
            self._written_at, due = now, now + self._ping_s
        self._ping_timer = self._loop.call_at(due, self._ping)


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
