"""The load: so many connections, each with one request under way, for so many seconds.

A closed loop: a connection sends its next request when it has the whole answer. What is counted
is what arrived inside the window, so that streams longer than it count by their chunks. An answer
with another status than 200, a stream with too few or too many events and a connection cut in the
middle are errors and nothing else. One event loop runs one load at a time.
"""

from __future__ import annotations

import asyncio
import gc
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar, cast

import httptools
import uvloop

T = TypeVar("T")

OPENED_AT_ONCE = 100
"""Connections are opened in batches, so that no server's backlog overflows."""

REOPEN_AFTER_S = 0.01
FIRST_EVENT_WITHIN_S = 120.0


class Load(NamedTuple):
    """What is sent to whom, and how an answer is judged."""

    port: int
    request: bytes
    """Head and body, as they go over the wire."""
    connections: int
    events: int | None = None
    """What a stream must hold, `[DONE]` included; None: not checked."""


class Measured(NamedTuple):
    """What came of a load inside its window."""

    seconds: float
    requests: int
    """Answers that ended, errors not among them."""
    events: int
    errors: dict[str, int]
    latencies_s: list[float]
    """From the request's first byte to the answer's last, in no order."""
    firsts_s: list[float]
    """From the request's first byte to the answer's first byte of body, in no order."""
    cost: float
    """What the probe grew by."""
    tool: str = "tests.bench.load"


def request(path: str, headers: dict[str, str], body: bytes) -> bytes:
    """A POST as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"content-length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def quantile(values: Sequence[float], part: float) -> float:
    """The smallest value that at least `part` of all do not exceed; 0.0 of none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, math.ceil(part * len(ordered)) - 1)]


def drive(load: Load, seconds: float, warmup_s: float, probe: Callable[[], float]) -> Measured:
    """Loads a server; `probe` is read at both ends of the window (CPU seconds, say)."""
    return uvloop.run(_drive(load, seconds, warmup_s, probe))


def hold(load: Load, seconds: float, probe: Callable[[], T]) -> T:
    """Opens one stream per connection and reads `probe` while all are open.

    Raises:
        TimeoutError: some stream brought no event.
        RuntimeError: some stream ended or failed.
    """
    return uvloop.run(_hold(load, seconds, probe))


async def _drive(
    load: Load, seconds: float, warmup_s: float, probe: Callable[[], float]
) -> Measured:
    crowd = Crowd(load)
    gc.collect()
    gc.disable()
    try:
        await crowd.open()
        await asyncio.sleep(warmup_s)
        crowd.tally = tally = Tally()
        start_s, before = time.perf_counter(), probe()
        await asyncio.sleep(seconds)
        after, end_s = probe(), time.perf_counter()
        crowd.tally = Tally()
    finally:
        gc.enable()
        await crowd.close()
    return Measured(
        end_s - start_s,
        tally.requests,
        tally.events,
        dict(tally.errors),
        tally.latencies_s,
        tally.firsts_s,
        after - before,
    )


async def _hold(load: Load, seconds: float, probe: Callable[[], T]) -> T:
    crowd = Crowd(load)
    try:
        await crowd.open()
        async with asyncio.timeout(FIRST_EVENT_WITHIN_S):
            await crowd.all_begun.wait()
        await asyncio.sleep(seconds)
        if crowd.tally.errors or crowd.tally.requests:
            raise RuntimeError(f"streams ended: {dict(crowd.tally.errors) or 'whole'}")
        return probe()
    finally:
        await crowd.close()


class Tally:
    """What arrived so far."""

    def __init__(self) -> None:
        self.requests = 0
        self.events = 0
        self.errors: Counter[str] = Counter()
        self.latencies_s: list[float] = []
        self.firsts_s: list[float] = []


class Crowd:
    """All connections of a load; a lost one is replaced."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.tally = Tally()
        self.clients: set[Client] = set()
        self.reopening: set[asyncio.Task[None]] = set()
        self.closing = False
        self.gone = asyncio.Event()
        self.all_begun = asyncio.Event()
        """As many answers have begun as there are connections, or something failed."""

    async def open(self) -> None:
        for opened in range(0, self.load.connections, OPENED_AT_ONCE):
            batch = min(OPENED_AT_ONCE, self.load.connections - opened)
            await asyncio.gather(*(self.open_one() for _ in range(batch)))

    async def open_one(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: Client(self), "127.0.0.1", self.load.port)

    def lost(self, client: Client, reason: str | None) -> None:
        """A connection is gone; None: the server closed it after a whole answer."""
        self.clients.discard(client)
        if self.closing:
            if not self.clients:
                self.gone.set()
            return
        if reason is not None:
            self.failed(reason)
        task = asyncio.get_running_loop().create_task(self.reopen())
        self.reopening.add(task)
        task.add_done_callback(self.reopening.discard)

    def failed(self, reason: str) -> None:
        self.tally.errors[reason] += 1
        self.all_begun.set()

    def begun(self, after_s: float) -> None:
        self.tally.firsts_s.append(after_s)
        if len(self.tally.firsts_s) == self.load.connections:
            self.all_begun.set()

    async def reopen(self) -> None:
        while not self.closing:
            try:
                return await self.open_one()
            except OSError:
                self.failed("connection refused")
                await asyncio.sleep(REOPEN_AFTER_S)

    async def close(self) -> None:
        self.closing = True
        await asyncio.gather(*self.reopening)
        for client in self.clients:
            client.transport.abort()
        if self.clients:
            await self.gone.wait()


class Client(asyncio.Protocol):
    """One connection: sends, reads the answer to its end, counts, sends again."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.transport: asyncio.Transport
        self.parser = httptools.HttpResponseParser(self)
        self.start_s = 0.0
        self.events = 0
        self.begun = False
        self.whole = True
        self.ends_in_newline = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self.crowd.clients.add(self)
        self.send()

    def send(self) -> None:
        self.events = 0
        self.begun = self.whole = self.ends_in_newline = False
        self.start_s = time.perf_counter()
        self.transport.write(self.crowd.load.request)

    def data_received(self, received: bytes) -> None:
        try:
            self.parser.feed_data(received)
        except httptools.HttpParserError:
            self.transport.abort()

    def on_body(self, body: bytes) -> None:
        if not self.begun:
            self.begun = True
            self.crowd.begun(time.perf_counter() - self.start_s)
        events = body.count(b"\n\n") + (self.ends_in_newline and body.startswith(b"\n"))
        self.ends_in_newline = body.endswith(b"\n")
        self.events += events
        self.crowd.tally.events += events

    def on_message_complete(self) -> None:
        status = self.parser.get_status_code()
        if status < 200:
            return
        self.whole = True
        tally, expected = self.crowd.tally, self.crowd.load.events
        if status != 200:
            self.crowd.failed(f"status {status}")
        elif expected is not None and self.events != expected:
            self.crowd.failed(f"{self.events} events, not {expected}")
        else:
            tally.requests += 1
            tally.latencies_s.append(time.perf_counter() - self.start_s)
        if self.parser.should_keep_alive():
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.crowd.lost(self, None if self.whole else "connection lost")
