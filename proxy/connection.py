"""One connection to a vendor: an asyncio protocol that carries one call after the other.

States:
    idle     in the pool, or new; whatever comes now ends it
    waiting  a request is written, the head of its answer is not whole
    body     the head is there, the body is coming
    whole    the answer is complete, its reader has not let go of the connection
    closed   for good; `error` says why, if a call suffered from it

A call on a warm connection makes one future, which wakes its caller, and no timer. A
streamed body makes neither: it goes from the socket into the sink.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import Literal, NamedTuple, Protocol, cast

from proxy.deadline import Deadline
from proxy.errors import (
    UpstreamBadResponse,
    UpstreamError,
    UpstreamTimeout,
    UpstreamTruncated,
    UpstreamUnreachable,
)
from proxy.http1 import ResponseReader
from proxy.tls import ended_cleanly

State = Literal["idle", "waiting", "body", "whole", "closed"]

_SMALL_BODY = 64 * 1024  # up to here a copy costs less than a write of two pieces


class Limits(NamedTuple):
    """What a pool and its connections may hold.

    Attributes:
        idle_connections: kept open without a call.
        idle_expiry_s: how long; shorter than the vendor's own limit, so that ours comes first.
        header_bytes: of one answer's headers, trailers and 1xx included.
        header_count: of one answer.
        buffer_bytes: of a body nobody reads yet; then the socket is left alone.
    """

    idle_connections: int = 256
    idle_expiry_s: float = 50.0
    header_bytes: int = 65536
    header_count: int = 256
    buffer_bytes: int = 262144


class Patience(NamedTuple):
    """How long one call waits, in seconds.

    Attributes:
        first_byte_s: from the whole request to the head of the answer.
        idle_s: between two reads of the body, and for any progress in writing.
    """

    first_byte_s: float
    idle_s: float


class BodySink(Protocol):
    """Takes a streamed body, synchronously, inside the read; must not raise."""

    def feed(self, data: bytes) -> None:
        """Take what one read of the socket brought."""

    def end(self, error: UpstreamError | None) -> None:
        """Take the end, exactly once; never after the answer was closed."""


class Connection(Deadline, asyncio.Protocol):
    """See the module for the states.

    Args:
        where: host and port, for messages.
        limits: what it may hold.
        lost: called when the transport is gone.

    Attributes:
        calls: requests it has carried, the present one included.
        error: why the present call failed, before its answer or within it.
    """

    __slots__ = (
        "_blocked",
        "_ceiling",
        "_drained",
        "_limits",
        "_lost",
        "_patience",
        "_paused",
        "_refuse_over",
        "_sink",
        "_unsent",
        "_uploading",
        "_waiter",
        "_where",
        "calls",
        "error",
        "reader",
        "state",
        "transport",
    )

    def __init__(self, where: str, limits: Limits, lost: Callable[[Connection], None]) -> None:
        super().__init__(asyncio.get_running_loop())
        self._where = where
        self._limits = limits
        self._lost = lost
        self.reader = ResponseReader(limits.header_bytes, limits.header_count)
        self.transport: asyncio.Transport | None = None
        self.state: State = "idle"
        self.calls = 0
        self.error: UpstreamError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._sink: BodySink | None = None
        self._patience = Patience(inf, inf)
        self._ceiling = self._unsent = 0
        self._blocked = self._paused = self._refuse_over = self._uploading = False

    def __repr__(self) -> str:
        return f"<Connection {self._where} {self.state} call {self.calls}>"

    @property
    def usable(self) -> bool:
        """Whether it can carry a call now."""
        transport = self.transport
        return self.state == "idle" and transport is not None and not transport.is_closing()

    @property
    def died_unanswered(self) -> bool:
        """Whether it was one from the pool and ended before any byte of the answer."""
        ended = isinstance(self.error, UpstreamUnreachable)
        return ended and self.calls > 1 and not self.reader.received

    def ask(
        self, method: str, head: bytes, body: bytes | None, patience: Patience
    ) -> asyncio.Future[None]:
        """Write a request; a `body` of None follows, by `write` and `written`.

        The future is done once the head came or `error` is set.
        """
        self.reader.begin(method)
        self.state = "waiting"
        self.calls += 1
        self.error = None
        self._patience = patience
        self._ceiling, self._refuse_over = self._limits.buffer_bytes, False
        self._uploading = body is None
        assert self.transport is not None
        if body is None:
            self.due_at = inf
            self.transport.write(head)
        else:
            self.due(patience.first_byte_s)
            if len(body) <= _SMALL_BODY:
                self.transport.write(head + body)
            else:
                self.transport.write(head)
                self.transport.write(body)
        self._waiter = waiter = self._loop.create_future()
        return waiter

    async def write(self, piece: bytes) -> bool:
        """Write a piece of a streamed body; False once the vendor wants no more of it."""
        if self.state == "waiting" and self.transport is not None:
            self.transport.write(piece)
            if self._blocked:
                self._drained = self._loop.create_future()
                await self._drained
        return self.state == "waiting"

    def written(self, end: bytes) -> None:
        """Write the end of a streamed body; now the answer is due."""
        if self.state == "waiting" and self.transport is not None:
            self.transport.write(end)
            self._uploading = False
            self.due(self._patience.first_byte_s)

    async def collect(self, limit_bytes: int) -> None:
        """Wait for the whole body, or for `error`."""
        self._ceiling, self._refuse_over = limit_bytes, True
        self._check_held()
        if self.state == "body":
            self.resume()
            self._waiter = self._loop.create_future()
            await self._waiter

    def pipe(self, sink: BodySink) -> None:
        """Give the body to `sink`: what is there now, the rest as it comes."""
        self.resume()
        self._sink = sink
        self._deliver()
        if self.error is not None and self._sink is sink:
            self._sink = None
            sink.end(self.error)

    def pause(self) -> None:
        """Leave the vendor's bytes in the socket."""
        transport = self.transport
        if self.state == "body" and not self._paused and transport is not None:
            self._paused, self.due_at = True, inf
            if not transport.is_closing():
                transport.pause_reading()

    def resume(self) -> None:
        """Read on; the time between two reads starts anew."""
        transport = self.transport
        if self._paused and transport is not None:
            self._paused = False
            if not transport.is_closing():
                transport.resume_reading()
                self.due(self._patience.idle_s)

    def release(self) -> bool:
        """End the call and return whether the connection can carry another one."""
        self._sink = None
        self.reader.pieces.clear()
        transport = self.transport
        if (
            self.state != "whole"
            or not self.reader.reusable
            or self._uploading
            or transport is None
            or transport.is_closing()
            or transport.get_write_buffer_size()
        ):
            self.abort()
            return False
        self.resume()
        self.state = "idle"
        self.due(self._limits.idle_expiry_s)
        return True

    def close(self) -> None:
        """Close at once; a call under way fails."""
        self._broken(None)
        self.abort()

    def abort(self) -> None:
        """Close at once; whoever has the call is the one who asks for it."""
        self.state = "closed"
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, unless the connection was given up meanwhile."""
        taken = cast(asyncio.Transport, transport)  # uvloop has a class of its own
        if self.state == "closed":
            taken.abort()
        else:
            self.transport = taken

    def data_received(self, data: bytes) -> None:
        """Read on in the answer; bytes nobody asked for end the connection."""
        if self.state not in ("waiting", "body"):
            self.reader.reusable = False
            if self.state == "idle":
                self.abort()
            return
        try:
            self.reader.feed(data)
        except UpstreamBadResponse as error:
            self._advance()
            if self.state in ("waiting", "body"):
                self._fail(error)
        else:
            self._advance()

    def eof_received(self) -> None:
        """Take the clean end: it completes a body that ends with the connection."""
        if self.state == "body" and ended_cleanly(self.transport) and self.reader.finish():
            self._advance()
        elif self.state == "idle":
            self.abort()
        else:
            self._broken(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the transport."""
        self._broken(exc)
        if self.state != "whole":
            self.state = "closed"
        self.stop()
        self.transport = None
        self.resume_writing()
        self._lost(self)

    def pause_writing(self) -> None:
        """The vendor reads slowly: from now on its progress is watched."""
        self._blocked = True
        if self.state == "waiting" and self.transport is not None:
            self._unsent = self.transport.get_write_buffer_size()
            self.due(self._patience.idle_s)

    def resume_writing(self) -> None:
        """The vendor reads again."""
        self._blocked = False
        if self.state == "waiting":
            if self._uploading:
                self.due_at = inf
            else:
                self.due(self._patience.first_byte_s)
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _advance(self) -> None:
        """Go as far as the reader has come, and hand on what it has."""
        was = self.state
        if self.reader.complete:
            self.state, self.due_at = "whole", inf
        elif self.reader.head_complete:
            self.state = "body"
            if not self._paused:  # TLS may still hold bytes it has read before
                self.due(self._patience.idle_s)
        else:
            return
        if was == "waiting":
            self._wake()
        self._deliver()

    def _deliver(self) -> None:
        """Hand on what the reader has, and the end if it has come."""
        sink = self._sink
        if sink is None:
            if self.state == "whole":
                self._wake()
            else:
                self._check_held()
            return
        pieces = self.reader.pieces
        if pieces:
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            sink.feed(data)
        if self.state == "whole" and self._sink is sink:
            self._sink = None
            sink.end(None)

    def _check_held(self) -> None:
        """Bound what nobody took yet: refuse more of it, or leave it in the socket."""
        held = self.reader.held_bytes()
        announced = self.reader.length or 0
        if self._refuse_over and max(held, announced) > self._ceiling:
            self._fail(UpstreamBadResponse(f"the provider's answer exceeds {self._ceiling} bytes"))
        elif held > self._ceiling:
            self.pause()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def _broken(self, exc: Exception | None) -> None:
        """The connection ended; work out what that means to the call."""
        reason = getattr(exc, "strerror", None) or type(exc).__name__
        how = f"broke ({reason})" if exc is not None else "was closed"
        if self.state == "waiting":
            self._fail(UpstreamUnreachable(f"the connection to {self._where} {how} too early"))
        elif self.state == "body" or self._sink is not None:
            self._fail(UpstreamTruncated(f"the connection to {self._where} {how} within a body"))

    def _fail(self, error: UpstreamError) -> None:
        """End the call with `error`."""
        self.error = error
        self.abort()
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.end(error)
        self._wake()

    def overdue(self) -> None:
        """What had to come did not."""
        if self.state == "idle":
            self.abort()
        elif self.state == "body":
            self._fail(UpstreamTimeout("idle", self._patience.idle_s))
        elif self.state == "waiting":
            self._overdue_head()

    def _overdue_head(self) -> None:
        """No head in time, or no progress in writing."""
        if not self._blocked or self.transport is None:
            self._fail(UpstreamTimeout("first_token", self._patience.first_byte_s))
            return
        left = self.transport.get_write_buffer_size()
        if left < self._unsent:
            self._unsent = left
            self.due(self._patience.idle_s)
        else:
            self._fail(UpstreamTimeout("send", self._patience.idle_s))
