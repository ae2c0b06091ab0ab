"""Calls to one vendor: the pool of connections, the one repetition, the answer.

Which connection carries a call is decided by `_take`, synchronously: the one used last, as
it is the least likely to be closed. What is not decided here: how often a call is tried
(`proxy.attempts`), and how many go at once (`proxy.queues`).
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple

import aiohttp

from proxy import websocket
from proxy.adapter import Headers, UpstreamRequest
from proxy.connection import BodySink, Connection, Limits, Patience
from proxy.dialing import Dialer
from proxy.errors import (
    InvalidRequest,
    UpstreamBadResponse,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from proxy.http1 import CHUNKED, LAST_CHUNK, chunk, sized
from proxy.websocket import Handshake

__all__ = ["Answer", "BodySink", "Limits", "Timeouts", "Upload", "Upstream"]


class Timeouts(NamedTuple):
    """How long the phases of a call may take, in seconds.

    Attributes:
        connect_s: name look-up, TCP and TLS together.
        idle_s: between two reads of a body, and without progress in writing one.
    """

    connect_s: float = 5.0
    idle_s: float = 60.0


class Upload(NamedTuple):
    """A request body that is sent while it comes in.

    Attributes:
        length: its announced bytes; None sends it chunked.
    """

    pieces: AsyncIterator[bytes]
    length: int | None


class Answer:
    """A vendor's answer whose head has come. Must be closed.

    Attributes:
        headers: names in lower case, in the order they came.
    """

    __slots__ = ("_connection", "_upstream", "headers", "status")

    def __init__(self, connection: Connection, upstream: Upstream) -> None:
        self._connection: Connection | None = connection
        self._upstream = upstream
        self.status = connection.reader.status
        self.headers = connection.reader.headers

    def __repr__(self) -> str:
        return f"<Answer {self.status} on {self._connection or 'nothing, closed'}>"

    async def read(self, limit_bytes: int) -> bytes:
        """Return the whole body.

        Raises:
            UpstreamBadResponse: it is over `limit_bytes`, or no proper HTTP.
            UpstreamTruncated: it was cut.
            UpstreamTimeout: nothing came for `idle_s` ("idle").
        """
        connection = self._held()
        pieces = connection.reader.pieces
        if not connection.reader.complete:
            await connection.collect(limit_bytes)
        if connection.error is not None:
            raise connection.error
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if len(body) > limit_bytes:
            raise UpstreamBadResponse(f"the provider's answer exceeds {limit_bytes} bytes")
        return body

    def pipe(self, sink: BodySink) -> None:
        """Give the body to `sink`: at once what is there, the rest inside each read."""
        self._held().pipe(sink)

    def pause(self) -> None:
        """Stop reading from the vendor; the time between two reads does not count on."""
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        """Read on."""
        if self._connection is not None:
            self._connection.resume()

    def close(self) -> None:
        """Let go: a connection whose answer is whole goes back, another is cut at once."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._upstream.release(connection)

    def _held(self) -> Connection:
        if self._connection is None:
            raise RuntimeError("the answer is closed")
        return self._connection


class Upstream:
    """The connections to one base URL.

    Args:
        base_url: what stands before every request's path, such as "https://host/v1".
        limits: what the pool and one connection may hold.
        tls: None verifies against the system's authorities.
        environ: where proxies are named; None: the process's environment.

    Attributes:
        base_url: without a slash at its end.

    Raises:
        ValueError: `base_url`, or a proxy's in `environ`, is not one we can use.
    """

    def __init__(
        self,
        base_url: str,
        *,
        limits: Limits = Limits(),  # noqa: B008 - immutable
        tls: ssl.SSLContext | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._dialer = Dialer(base_url, tls, self._environ)
        self._heads = self._dialer.heads
        self.base_url = base_url.rstrip("/")
        self._elsewhere: dict[str, Upstream] = {}
        self._tls = tls
        self._limits = limits
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._closed = False
        self._emptied: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"open {self.open} idle {self.idle}"
        return f"<Upstream {self._dialer} {state}>"

    @property
    def open(self) -> int:
        """Connections, idle and opening ones included."""
        return len(self._open)

    @property
    def idle(self) -> int:
        """Connections without a call."""
        return len(self._idle)

    def url(self, path: str) -> str:
        """Return the URL that the path of a request means; one that is a URL means itself."""
        return path if path.startswith(("http://", "https://")) else f"{self.base_url}{path}"

    def at(self, base_url: str) -> Upstream:
        """Return the connections to another base URL of the vendor, under the same settings.

        Args:
            base_url: told by an authorizer, so there are few; empty: this one's own.

        Raises:
            UpstreamUnreachable: it is no URL.
        """
        if not base_url or base_url == self.base_url or self._closed:
            return self
        found = self._elsewhere.get(base_url)
        if found is None:
            try:
                found = Upstream(
                    base_url, limits=self._limits, tls=self._tls, environ=self._environ
                )
            except ValueError as error:
                raise UpstreamUnreachable(f"the provider is nowhere: {error}") from None
            self._elsewhere[base_url] = found
        return found

    async def send(
        self,
        request: UpstreamRequest,
        *,
        timeouts: Timeouts,
        first_byte_s: float,
        upload: Upload | None = None,
    ) -> Answer:
        """Send `request` and return the answer once its head is there.

        A connection from the pool may have been closed by the vendor meanwhile. If it ends
        before any byte of the answer, the request is sent once more on a new connection,
        provided it is `safe` and all of its body is at hand.

        Args:
            request: what to send.
            timeouts: of the phases before and after.
            first_byte_s: from the whole request to the head of the answer.
            upload: the body if it comes in pieces; `request.body` is not sent then.

        Raises:
            InvalidRequest: the method or the path cannot be sent; nothing was.
            InternalError: a header cannot be sent; nothing was.
            UpstreamUnreachable: no connection, or it ended before the head.
            UpstreamTimeout: "connect", "send" or "first_token".
            UpstreamBadResponse: the answer is no proper HTTP.
        """
        framing = None
        if upload is not None:
            framing = CHUNKED if upload.length is None else sized(upload.length)
        head = self._heads.encode(request, framing)
        patience = Patience(first_byte_s, timeouts.idle_s)
        connection = self._take() or await self._connect(timeouts.connect_s)
        await self._ask(connection, request, head, patience, upload)
        if connection.died_unanswered and request.safe and upload is None:
            connection = await self._connect(timeouts.connect_s)
            await self._ask(connection, request, head, patience, None)
        if connection.error is not None and not connection.reader.head_complete:
            raise connection.error
        return Answer(connection, self)

    def websocket(
        self, path: str, headers: Headers, protocols: Sequence[str], connect_s: float
    ) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        """Open a websocket behind the base URL; see `proxy.websocket.connect` for errors."""
        handshake = Handshake(self.url(path), headers, protocols)
        return websocket.connect(handshake, self._tls, connect_s)

    async def close(self) -> None:
        """Close all connections, those with a call too, and open no more."""
        self._closed = True
        for other in self._elsewhere.values():
            await other.close()
        self._idle.clear()
        for connection in list(self._open):
            connection.close()
        if self._open:
            if self._emptied is None:
                self._emptied = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._emptied)

    def release(self, connection: Connection) -> None:
        """Take a connection back from its answer."""
        if connection.calls == 1 and connection.state == "whole" and connection.transport:
            self._dialer.remember(connection.transport)
        if connection.release():
            if len(self._idle) < self._limits.idle_connections and not self._closed:
                self._idle.append(connection)
            else:
                connection.abort()

    def _take(self) -> Connection | None:
        """Choose the connection for a call; None: a new one must be opened."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
        return None

    async def _connect(self, connect_s: float) -> Connection:
        if self._closed:
            raise UpstreamUnreachable(f"the connections to {self._dialer} are closed")
        connection = Connection(self._dialer.where, self._limits, self._lost)
        self._open.add(connection)
        try:
            async with asyncio.timeout(connect_s):
                await self._dialer.dial(connection)
            if not connection.usable:
                raise UpstreamUnreachable(f"{self._dialer} ended the new connection")
        except BaseException as reason:
            connection.abort()
            self._lost(connection)  # a loop may close a cancelled connection without a word
            if isinstance(reason, TimeoutError):
                raise UpstreamTimeout("connect", connect_s) from None
            raise
        return connection

    async def _ask(
        self,
        connection: Connection,
        request: UpstreamRequest,
        head: bytes,
        patience: Patience,
        upload: Upload | None,
    ) -> None:
        """Send on `connection` and wait for the head, or for its `error`."""
        try:
            body = None if upload is not None else request.body
            waiter = connection.ask(request.method, head, body, patience)
            if upload is not None:
                await _upload(connection, upload, waiter)
            else:
                await waiter
        except BaseException:
            connection.abort()
            raise

    def _lost(self, connection: Connection) -> None:
        """Forget a connection that is gone."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self._emptied is not None and not self._open and not self._emptied.done():
            self._emptied.set_result(None)


async def _upload(connection: Connection, upload: Upload, answer: asyncio.Future[None]) -> None:
    """Write the body until it ends or the answer comes, whichever is first."""
    pouring = asyncio.ensure_future(_pour(connection, upload))
    try:
        await asyncio.wait((pouring, answer), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            pouring.result()
            await answer
    finally:
        pouring.cancel()
        await asyncio.wait((pouring,))
        if not pouring.cancelled():
            pouring.exception()  # once the answer is there, nobody asks how the body ended


async def _pour(connection: Connection, upload: Upload) -> None:
    missing = upload.length
    async for piece in upload.pieces:
        if missing is not None:
            missing -= len(piece)
            if missing < 0:
                break
        framed = piece if missing is not None or not piece else chunk(piece)
        if framed and not await connection.write(framed):
            return
    if missing:
        raise InvalidRequest(f"the body is not as long as announced ({upload.length} bytes)")
    connection.written(b"" if upload.length is not None else LAST_CHUNK)
