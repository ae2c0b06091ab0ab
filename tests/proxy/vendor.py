"""A vendor made of raw sockets: the test decides every byte, and sees every connection."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import os
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

import pytest
import uvloop

from proxy.adapter import UpstreamRequest
from proxy.errors import UpstreamError
from proxy.upstream import Limits, Timeouts, Upload, Upstream

Loop = Callable[[], asyncio.AbstractEventLoop]
Script = Callable[["Line"], Awaitable[None]]

LOOPS = pytest.mark.parametrize(
    "loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)
PATIENT = Timeouts(connect_s=5.0, idle_s=5.0)
LIMIT_S = 20.0


def on_both_loops(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[Loop], None]:
    """Make of a coroutine a test on asyncio's loop and on uvloop."""

    def both(loop: Loop) -> None:
        run(loop, test())

    both.__doc__ = test.__doc__
    return LOOPS(both)


def run(loop: Loop, test: Coroutine[Any, Any, None], complaint: str = "") -> None:
    """Run a test; it must leave no task and no descriptor.

    Args:
        loop: makes the loop.
        test: to run, for a limited time.
        complaint: what the loop is expected to complain about, if it is.
    """
    _warm_up(loop)
    before = _descriptors()
    with asyncio.Runner(loop_factory=loop) as runner:
        complaints: list[dict[str, Any]] = []
        runner.get_loop().set_exception_handler(lambda _, context: complaints.append(context))
        runner.run(_guarded(test))
    if _descriptors() > before:
        gc.collect()  # what an earlier test left in a cycle is not this one's
    assert _descriptors() <= before
    assert [type(context.get("exception")).__name__ for context in complaints] == (
        [complaint] if complaint else []
    ), complaints


def _descriptors() -> int:
    return len(os.listdir("/dev/fd"))


@functools.cache
def _warm_up(loop: Loop) -> None:
    """Let the loop open what it keeps open for the life of the process."""
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(asyncio.sleep(0))


async def _guarded(test: Coroutine[Any, Any, None]) -> None:
    async with asyncio.timeout(LIMIT_S):
        await test
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})


async def until(condition: Callable[[], object]) -> None:
    """Let the loop go on until `condition` holds."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():
            await asyncio.sleep(0.001)


class Asked(NamedTuple):
    """A request as the vendor saw it."""

    line: str
    headers: dict[str, str]
    body: bytes


class Line:
    """The vendor's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.requests: list[Asked] = []

    async def head(self) -> Asked:
        """Read the head of a request; fails at the end of the connection."""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
        headers = dict(line.split(": ", 1) for line in lines[1:])
        self.requests.append(Asked(lines[0], headers, b""))
        return self.requests[-1]

    async def request(self) -> Asked:
        """Read a request."""
        asked = await self.head()
        body = b""
        if asked.headers.get("transfer-encoding") == "chunked":
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                body += (await self.reader.readexactly(size + 2))[:size]
            await self.reader.readexactly(2)
        else:
            body = await self.reader.readexactly(int(asked.headers.get("content-length", 0)))
        self.requests[-1] = asked._replace(body=body)
        return self.requests[-1]

    async def send(self, *pieces: bytes) -> None:
        """Write, each piece in a turn of its own."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            if len(pieces) > 1:
                await asyncio.sleep(0.005)

    def end(self) -> None:
        """Say that nothing more will come."""
        self.writer.write_eof()

    def reset(self) -> None:
        """Cut the connection off, unread bytes and all."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the other side has closed the connection."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass

    async def idle(self) -> None:
        """Do nothing, for longer than any test runs."""
        await asyncio.sleep(2 * LIMIT_S)


class Vendor:
    """A server that plays `script` on each connection; a closed connection ends it quietly.

    Attributes:
        lines: all connections so far.
        open: how many the vendor has not finished with.
    """

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self._script = script
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()
        self.lines: list[Line] = []

    async def __aenter__(self) -> Vendor:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await until(lambda: not self._tasks)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """What an `Upstream` is given."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    @property
    def open(self) -> int:
        """Connections whose script has not ended."""
        return len(self._tasks)

    @property
    def requests(self) -> list[Asked]:
        """All requests, connection by connection."""
        return [asked for line in self.lines for asked in line.requests]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        line = Line(reader, writer)
        self.lines.append(line)
        try:
            await self._script(line)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except RuntimeError:  # uvloop's word for a transport that is closed
            if not writer.transport.is_closing():
                raise
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def answer(body: bytes = b"hello", head: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """Return an answer whose length is announced."""
    return b"%b\r\ncontent-length: %d\r\n\r\n%b" % (head, len(body), body)


async def echo(line: Line) -> None:
    """Answer each request with its own body."""
    while True:
        await line.send(answer((await line.request()).body))


def upstream(url: str, *, tls: ssl.SSLContext | None = None, **limits: Any) -> Upstream:
    """Return the pool under test, which sees no proxies of this machine."""
    return Upstream(url, limits=Limits(**limits), tls=tls, environ={})


async def ask(
    upstream: Upstream,
    body: bytes = b"{}",
    *,
    method: str = "POST",
    path: str = "/x",
    safe: bool = True,
    timeouts: Timeouts = PATIENT,
    first_byte_s: float = 5.0,
    upload: Upload | None = None,
) -> bytes:
    """Send a request, read the whole answer and close it."""
    request = UpstreamRequest(method, path, (), body, safe)
    reply = await upstream.send(
        request, timeouts=timeouts, first_byte_s=first_byte_s, upload=upload
    )
    try:
        return await reply.read(1 << 20)
    finally:
        reply.close()


class Sink:
    """Keeps what it is fed, and how the stream ended."""

    def __init__(self) -> None:
        self.fed: list[bytes] = []
        self.ends: list[UpstreamError | None] = []

    @property
    def body(self) -> bytes:
        """All that came."""
        return b"".join(self.fed)

    def feed(self, data: bytes) -> None:
        assert not self.ends
        self.fed.append(data)

    def end(self, error: UpstreamError | None) -> None:
        self.ends.append(error)
