"""The client's side of the network: aiohttp's server, and how answers are written to it.

aiohttp parses requests and keeps connections; answers are written here in one piece, since
building a response object costs more than all the rest of its way. What aiohttp's server
answers by itself takes OpenAI's shape, and slow heads and bodies have limits.

Source: https://docs.aiohttp.org/en/stable/web_lowlevel.html (2026-11-21)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from proxy.absence import Absence
from proxy.dialects import openai_body
from proxy.errors import (
    GatewayError,
    InternalError,
    InvalidRequest,
    RequestTimeout,
    RequestTooLarge,
)
from proxy.pipeline import Reply
from proxy.streaming import Flow

_REASONS = {status.value: status.phrase for status in HTTPStatus} | {499: "Client Closed Request"}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_BODILESS = frozenset({204, 304})
_SLOWEST_BYTES_PER_S = 1024  # a body that comes slower than this on the whole is given up


class Patience(NamedTuple):
    """How slow a client may be, in seconds, and how long its head, in bytes."""

    keep_alive_s: float
    head_s: float
    body_s: float
    write_s: float
    max_head_bytes: int


class Connection(RequestHandler):
    """One client connection."""

    __slots__ = ("_absence", "_head_timer", "_patience", "flow")

    def __init__(self, server: Server, *, loop: asyncio.AbstractEventLoop, **options: Any) -> None:
        super().__init__(server, loop=loop, **options)
        self._patience = server.patience
        self._head_timer: asyncio.TimerHandle | None = None
        self._absence = Absence(loop)
        self.flow: Flow | None = None

    def data_received(self, data: bytes) -> None:
        """Take bytes; an unfinished head gets a time limit of its own."""
        super().data_received(data)
        if self._messages and isinstance(self._messages[-1][0], _ErrInfo):
            self._spoil()
        if self._head_timer is not None:
            if self._messages or self._waiter is None:
                self._head_timer.cancel()
                self._head_timer = None
        elif self._waiter is not None and not self._messages and not self._waiter.done():
            self._head_timer = self._loop.call_later(self._patience.head_s, self._head_late)

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Read on, if reading was paused: asked at each body, it would parse nothing anew."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def _pause_transport_reading(self) -> None:
        """Read no more until told; somebody else has to notice when the client goes."""
        super()._pause_transport_reading()
        if self.transport is not None:
            self._absence.watch(self.transport)

    def _resume_transport_reading(self) -> None:
        """Read on."""
        self._absence.stop()
        super()._resume_transport_reading()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the timers with the connection."""
        self._absence.stop()
        if self._head_timer is not None:
            self._head_timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        super().pause_writing()
        if self.flow is not None:
            self.flow.pause()

    def resume_writing(self) -> None:
        """The client has caught up."""
        super().resume_writing()
        if self.flow is not None:
            self.flow.resume()

    async def drain(self) -> None:
        """Wait until the client has read most of its answer; one that does not is cut off."""
        try:
            async with asyncio.timeout(self._patience.write_s):
                await self._drain_helper()
        except TimeoutError:
            if self.transport is not None:
                self.transport.abort()

    def _spoil(self) -> None:
        """What came is no HTTP; whoever is reading a body learns it at once."""
        request = self._current_request
        if request is not None and not request.content.is_eof():
            request.content.set_exception(_Unreadable())

    def _head_late(self) -> None:
        self._head_timer = None
        if self.transport is not None and self._waiter is not None and not self._messages:
            error = RequestTimeout("the head of the request did not come in time")
            self.transport.write(render(_error_reply(error), keep_alive=False))
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP, or a mistake of ours, in OpenAI's shape."""
        self.keep_alive(False)
        if status >= 500:
            self.log_exception("request failed", exc_info=exc)
            return cast(web.StreamResponse, Answer(_error_reply(InternalError("internal error"))))
        reason = (message or "bad request").splitlines()[0][:200]
        error: GatewayError = InvalidRequest(f"the request is not HTTP as we read it: {reason}")
        return cast(web.StreamResponse, Answer(_error_reply(error), close=True))


class _Unreadable(TimeoutError):
    """A body's framing is broken: of this kind because aiohttp, lingering, takes no other."""


class Server(web.Server):
    """Makes the connections; the handler gets each request whose head is complete."""

    def __init__(
        self, handler: Callable[[web.BaseRequest], Awaitable[Answer]], patience: Patience
    ) -> None:
        self.patience = patience
        super().__init__(
            cast(Any, handler),
            request_factory=_request,
            handler_cancellation=True,
        )

    def __call__(self) -> RequestHandler:
        """Make the protocol of a new connection."""
        return Connection(
            self,
            loop=self._loop,
            access_log=None,
            keepalive_timeout=self.patience.keep_alive_s,
            auto_decompress=False,
            max_line_size=self.patience.max_head_bytes,
            max_field_size=self.patience.max_head_bytes,
            lingering_time=2.0,
        )

    def busy(self) -> int:
        """Count the connections with a request under way, and close those without one."""
        busy = 0
        for connection in self.connections:
            if connection._request_in_progress or connection._messages:
                busy += 1
            else:
                connection.close()
        return busy


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    return web.BaseRequest(message, payload, protocol, writer, task, protocol._loop)


class Answer:
    """What a handler returns to aiohttp's server: a whole reply, or what is already sent.

    It stands in for `web.StreamResponse` by its shape: `prepare`, `write_eof`, `keep_alive`.
    """

    __slots__ = ("_reply", "keep_alive")

    def __init__(self, reply: Reply | None, *, close: bool = False) -> None:
        self._reply = reply
        self.keep_alive = not close

    async def prepare(self, request: web.BaseRequest) -> None:
        """Write the reply, head and body at once."""
        self.keep_alive = self.keep_alive and _keeps(request)
        transport, connection = request.transport, cast(Connection, request.protocol)
        if self._reply is not None and transport is not None:
            head_only = request.method == "HEAD"
            transport.write(render(self._reply, keep_alive=self.keep_alive, head_only=head_only))
        if connection.writing_paused:
            await connection.drain()

    async def write_eof(self) -> None:
        """Nothing is left to write."""


class Stream:
    """The client's side of a streamed answer.

    Attributes:
        started: whether the head is out.
        closing: whether the connection ends with this answer.
    """

    __slots__ = ("_chunked", "_connection", "_request", "_transport", "closing", "started")

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self._connection = cast(Connection, request.protocol)
        self._transport = request.transport
        self._chunked = True
        self.started = False
        self.closing = False

    def start(self, status: int, headers: list[tuple[str, str]], length: int | None = None) -> None:
        """Send the head; without a length the body is chunked, or ends the connection."""
        self.started = True
        self.closing = not _keeps(self._request)
        bodiless = status in _BODILESS or self._request.method == "HEAD"
        self._chunked = length is None and not bodiless
        if length is not None:
            headers = [*headers, ("content-length", str(length))]
        elif self._chunked and self._request.version < (1, 1):
            self._chunked, self.closing = False, True
        elif self._chunked:
            headers = [*headers, ("transfer-encoding", "chunked")]
        self._send(head(status, headers, keep_alive=not self.closing))

    def write(self, data: bytes) -> None:
        """Send the next bytes of the body."""
        self._send(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def finish(self, *, close: bool = False) -> None:
        """Mark the end of the body.

        Args:
            close: the connection ends with it. The body is still marked as ended: clients
                would take a missing mark for a broken line and lose the error in it.
        """
        self._connection.flow = None
        self.closing = self.closing or close
        if self._chunked:
            self._send(b"0\r\n\r\n")

    def abort(self) -> None:
        """Break the connection: nobody shall take this body for whole."""
        self._connection.flow = None
        self.closing = True
        if self._transport is not None:
            self._transport.abort()

    def watch(self, flow: Flow) -> None:
        """Tell `flow` when the client reads too slowly."""
        self._connection.flow = flow

    def _send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


def _keeps(request: web.BaseRequest) -> bool:
    """Whether the connection outlives the answer; one of HTTP/1.0 never does."""
    return request.keep_alive and request.version >= (1, 1)


def head(status: int, headers: Sequence[tuple[str, str]], *, keep_alive: bool) -> bytes:
    """Return the bytes of an answer's head, blank line included."""
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, '')}"]
    lines += [f"{name}: {value}" for name, value in headers]
    lines.append(f"date: {_date()}")
    if not keep_alive:
        lines.append("connection: close")
    lines.append("\r\n")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def render(reply: Reply, *, keep_alive: bool, head_only: bool = False) -> bytes:
    """Return the bytes of a whole answer."""
    length = ("content-length", str(len(reply.body)))
    first = head(reply.status, [*reply.headers, length], keep_alive=keep_alive)
    return first if head_only else first + reply.body


async def read_body(request: web.BaseRequest, limit_bytes: int, patience: Patience) -> bytes:
    """Read a request's body.

    Raises:
        RequestTooLarge: it is over `limit_bytes`; told before reading where the head says so.
        RequestTimeout: the client sends too slowly.
    """
    content = request.content
    announced = request.content_length or 0
    if announced > limit_bytes:
        raise too_large(limit_bytes)
    if content.is_eof():
        body = content.read_nowait(-1)
        if len(body) > limit_bytes:
            raise too_large(limit_bytes)
        return body
    return b"".join([piece async for piece in pieces(request, limit_bytes, patience)])


async def pieces(
    request: web.BaseRequest, limit_bytes: int, patience: Patience
) -> AsyncIterator[bytes]:
    """Read a request's body piece by piece.

    Raises:
        RequestTooLarge: it is over `limit_bytes`.
        RequestTimeout: the client sends too slowly.
        InvalidRequest: its framing is broken.
    """
    if (request.content_length or 0) > limit_bytes:
        raise too_large(limit_bytes)
    proceed(request)
    size, begun = 0, time.monotonic()
    while piece := await _piece(request.content, begun, size, patience):
        size += len(piece)
        if size > limit_bytes:
            raise too_large(limit_bytes)
        yield piece


async def _piece(content: StreamReader, begun: float, size: int, patience: Patience) -> bytes:
    slowest_s = patience.body_s + size / _SLOWEST_BYTES_PER_S
    rest_s = min(patience.body_s, begun + slowest_s - time.monotonic())
    try:
        async with asyncio.timeout(max(rest_s, 0)):
            return await content.readany()
    except _Unreadable:
        raise InvalidRequest("the body of the request is not framed as HTTP says") from None
    except TimeoutError:
        raise RequestTimeout("the body of the request came too slowly") from None


def proceed(request: web.BaseRequest) -> None:
    """Tell a client that waits for leave (`expect: 100-continue`) to send its body."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport:
        request.transport.write(_CONTINUE)


def too_large(limit_bytes: int) -> RequestTooLarge:
    """Return the error for a body over the limit."""
    return RequestTooLarge(f"the request's body is over the limit of {limit_bytes} bytes")


def _error_reply(error: GatewayError) -> Reply:
    headers = [("content-type", "application/json"), ("x-should-retry", "false")]
    return Reply(error.status, headers, openai_body(error, ""))


_dated: tuple[int, str] = (0, "")


def _date() -> str:
    """Return the time as HTTP writes it, made once a second."""
    global _dated  # noqa: PLW0603  a cache of one value, on the path of every answer
    now = int(time.time())
    if _dated[0] != now:
        _dated = (now, time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now)))
    return _dated[1]
