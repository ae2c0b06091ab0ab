"""One client's connection: reads requests, plays their scripts one after the other.

States: reading a request; playing its script (more requests wait in `_waiting`); a websocket;
closed. The socket is read all the time, because only so a leaving client is noticed at once.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
from collections import deque
from functools import partial
from typing import cast

import httptools

from proxy.sim.behaviour import from_name
from proxy.sim.desk import LAST_CHUNK, Desk, Reply, Request, body_of, chunk_of, head_of
from proxy.sim.script import Script
from proxy.sim.stats import Abort
from proxy.sim.talk import Talk

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 256 * 1024 * 1024
MAX_WAITING = 16
_WRITE_BYTES = 64 * 1024
_SLOW = re.compile(rb'"model"\s*:\s*"([^"]*slow-read[^"]*)"')
_BAD_REQUEST = b"HTTP/1.1 %b\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Connection(asyncio.Protocol):
    """The server's side of one TCP connection."""

    def __init__(self, desk: Desk, open_connections: set[Connection]) -> None:
        self._desk = desk
        self._all = open_connections
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._talk: Talk | None = None
        # Whose answer is not whole yet.
        self._playing: tuple[Request, Reply] | None = None
        self._writable: asyncio.Future[None] | None = None
        self.gone = asyncio.Event()
        self._slow_s = 0.0
        self._head_bytes = 0
        self._in_head = True
        self._begin()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the new connection."""
        self._transport = cast(asyncio.Transport, transport)
        self._desk.stats.connections += 1
        self._desk.stats.connected += 1
        self._all.add(self)
        options = self._desk.world.options
        if "slow-read" in options.fault:
            self._slow_s = options.slow_s

    def data_received(self, data: bytes) -> None:
        """Take what the client sent."""
        if self._talk is not None:
            self._talk.feed(data)
            return
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._after_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:  # a mistake of ours, not the client's
            self._loop.call_exception_handler({"message": "sim failed", "exception": error})
            self._refuse(b"500 Internal Server Error")
        except httptools.HttpParserError:
            self._refuse(b"400 Bad Request")
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(b"431 Request Header Fields Too Large")
        if self._slow_s and not self._transport.is_closing():
            self._transport.pause_reading()
            self._loop.call_later(self._slow_s, self._read_on)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note who left too early, and stop working for them."""
        stats = self._desk.stats
        stats.connected -= 1
        self._all.discard(self)
        self._waiting.clear()
        if self._playing is not None:
            request, reply = self._playing
            after_s = time.monotonic() - request.at
            stats.abort(Abort(time.time(), after_s, reply.model))
        if self._talk is not None:
            self._talk.close()
        if self._task is not None:
            self._task.cancel()
        self.gone.set()

    def pause_writing(self) -> None:
        """Let the player wait until the client has read on."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """Let the player go on."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def abort(self) -> None:
        """Close at once: the simulator stops. Nobody left too early."""
        self._playing = None
        self._transport.abort()

    # What httptools calls.

    def _begin(self) -> None:
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._body_bytes = 0

    def on_message_begin(self) -> None:
        """Forget the request before."""
        self._begin()
        self._in_head = True

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Let the body come."""
        self._in_head = False
        if self._headers.get(b"expect", b"").lower() == b"100-continue" and not self._task:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._body.append(body)
        self._body_bytes += len(body)
        if self._body_bytes > MAX_BODY_BYTES:
            self._refuse(b"413 Content Too Large")
            self._body.clear()
        if b"slow-read" in body and (found := _SLOW.search(body)):
            self._slow_down(found.group(1).decode("utf-8", "replace"))

    def on_message_complete(self) -> None:
        """Answer the request, or let it wait for its turn."""
        self._in_head, self._head_bytes = True, 0
        request = self._request()
        if self._task is None and not self._transport.is_closing():
            self._answer(request)
        elif len(self._waiting) < MAX_WAITING:
            self._waiting.append(request)
        else:
            self._transport.abort()

    # What we do.

    def _request(self) -> Request:
        parser = self._parser
        return Request(
            method=parser.get_method().decode(),
            target=self._target.decode("latin-1"),
            headers=self._headers,
            body=b"".join(self._body),
            keep=parser.should_keep_alive() and not parser.should_upgrade(),
            chunks=parser.get_http_version() != "1.0",
            at=time.monotonic(),
        )

    def _answer(self, request: Request) -> None:
        if b"upgrade" in request.headers:
            self._talk = Talk.accept(self._desk, request, self._transport)
            if self._talk is not None:
                return
        if request.keep and (ready := self._desk.ready(request)) is not None:
            self._write(ready)
            return
        reply = self._desk.reply(request)
        self._playing = (request, reply)
        self._desk.stats.begin()
        if _at_once(reply.script):
            head = head_of(reply.script, keep=request.keep)
            self._write(head + self._desk.next_id() + body_of(reply.script))
            self._finish(close=reply.script.ending == "close" or not request.keep)
            return
        close = reply.script.ending == "close" or not request.keep
        self._task = self._loop.create_task(self._play(request, reply.script))
        # Not in the task's own `finally`: a task cancelled before it began has none.
        self._task.add_done_callback(partial(self._played, close))

    async def _play(self, request: Request, script: Script) -> None:
        """Send one answer as its script says."""
        if script.latency_s:
            await asyncio.sleep(script.latency_s)
        if script.raw is None:
            head = head_of(script, keep=request.keep) + self._desk.next_id()
            await self._send(head, script)
        else:
            self._write(script.raw)
        if script.ending == "hang":
            await self._loop.create_future()
        if script.ending == "reset":
            await self._reset()

    def _played(self, close: bool, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self._loop.call_exception_handler({"message": "sim failed", "exception": error})
            close = True
        self._finish(close=close)

    async def _send(self, head: bytes, script: Script) -> None:
        held = [head]
        if script.head_pace_s:
            await self._drip(head, script.head_pace_s)
            held.clear()
        held_bytes = 0
        for step in script.steps:
            if step.wait_s or held_bytes > _WRITE_BYTES:
                await self._flush(held)
                held_bytes = 0
                await asyncio.sleep(step.wait_s)
            if step.body:
                held.append(chunk_of(step.body) if script.chunked else step.body)
                held_bytes += len(step.body)
        if script.chunked and script.ending in ("keep", "close"):
            held.append(LAST_CHUNK)
        await self._flush(held)

    async def _drip(self, head: bytes, pace_s: float) -> None:
        for place in range(len(head)):
            self._write(head[place : place + 1])
            await asyncio.sleep(pace_s)

    async def _flush(self, held: list[bytes]) -> None:
        self._write(b"".join(held))
        held.clear()
        if self._writable is not None:
            await self._writable

    async def _reset(self) -> None:
        """Let what was written leave, then break the connection: the client sees a RST."""
        self._transport.set_write_buffer_limits(high=0)
        if self._writable is not None:
            await self._writable
        sock = self._transport.get_extra_info("socket")
        if sock is not None and not self._transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._playing = None
        self._transport.abort()

    def _finish(self, *, close: bool) -> None:
        """Go on after an answer."""
        self._desk.stats.open -= 1
        self._playing = None
        if close:
            self._transport.close()
        elif self._waiting and not self._transport.is_closing():
            self._answer(self._waiting.popleft())

    def _write(self, data: bytes) -> None:
        if data and not self._transport.is_closing():
            self._desk.stats.bytes += len(data)
            self._transport.write(data)

    def _refuse(self, status: bytes) -> None:
        """Give up on a connection whose requests cannot be read."""
        if self._task is None:
            self._write(_BAD_REQUEST % status)
        self._transport.close()

    def _slow_down(self, model: str) -> None:
        try:
            self._slow_s = from_name(model, self._desk.world.options).slow_s
        except ValueError:
            return

    def _read_on(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _after_upgrade(self, rest: bytes) -> None:
        """Give a websocket what came behind its request; others are closed after the answer."""
        if self._talk is not None and rest:
            self._talk.feed(rest)


def _at_once(script: Script) -> bool:
    """Say whether nothing in the script needs time or breaks the connection."""
    return not (
        script.latency_s
        or script.head_pace_s
        or script.raw is not None
        or script.ending in ("reset", "hang")
        or any(step.wait_s for step in script.steps)
    )
