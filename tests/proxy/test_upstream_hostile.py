"""Vendors that misbehave: one honest error each, and the next call unharmed.

The table holds what a raw socket does after it has read a request. Whatever it is, the call
that suffers gets one error that says what happened, its connection is closed, and the next
call gets its own answer from a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import pytest
import trustme

from proxy.adapter import UpstreamRequest
from proxy.errors import (
    UpstreamBadResponse,
    UpstreamError,
    UpstreamTimeout,
    UpstreamTruncated,
    UpstreamUnreachable,
)
from proxy.tls import tls_context
from proxy.upstream import Timeouts, Upload
from tests.proxy.test_http1 import REFUSED
from tests.proxy.vendor import (
    LOOPS,
    PATIENT,
    Line,
    Loop,
    Sink,
    Vendor,
    answer,
    ask,
    on_both_loops,
    run,
    until,
    upstream,
)

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
GET = UpstreamRequest("GET", "/x", ())


def sends(*pieces: bytes) -> Callable[[Line], Awaitable[None]]:
    """Send and close cleanly."""

    async def play(line: Line) -> None:
        await line.send(*pieces)

    return play


def stalls(*pieces: bytes) -> Callable[[Line], Awaitable[None]]:
    """Send and fall silent."""

    async def play(line: Line) -> None:
        await line.send(*pieces)
        await line.gone()

    return play


def resets(*pieces: bytes) -> Callable[[Line], Awaitable[None]]:
    """Send and cut the connection off."""

    async def play(line: Line) -> None:
        await line.send(*pieces)
        await asyncio.sleep(0.01)
        line.reset()

    return play


def drips(piece: bytes) -> Callable[[Line], Awaitable[None]]:
    """Send the same bytes for ever, a few at a time."""

    async def play(line: Line) -> None:
        while True:
            await line.send(piece)
            await asyncio.sleep(0.002)

    return play


class Misdeed(NamedTuple):
    """What a vendor does, and what the caller is told: the error, its time-out's phase."""

    play: Callable[[Line], Awaitable[None]]
    error: type[UpstreamError]
    phase: str = ""


HEAD_TIMEOUT = (UpstreamTimeout, "first_token")
BODY_TIMEOUT = (UpstreamTimeout, "idle")
MISDEEDS = {
    "closes before the answer": Misdeed(sends(), UpstreamUnreachable),
    "resets before the answer": Misdeed(resets(), UpstreamUnreachable),
    "closes within the status line": Misdeed(sends(b"HTTP/1.1 2"), UpstreamUnreachable),
    "closes within the headers": Misdeed(sends(OK + b"a: "), UpstreamUnreachable),
    "resets within the headers": Misdeed(resets(OK), UpstreamUnreachable),
    "closes after 100": Misdeed(sends(b"HTTP/1.1 100 Continue\r\n\r\n"), UpstreamUnreachable),
    "is silent": Misdeed(stalls(), *HEAD_TIMEOUT),
    "is silent within the headers": Misdeed(stalls(OK + b"a: "), *HEAD_TIMEOUT),
    "is silent after 100": Misdeed(stalls(b"HTTP/1.1 100 Continue\r\n\r\n"), *HEAD_TIMEOUT),
    "sends 100 for ever": Misdeed(drips(b"HTTP/1.1 100 Continue\r\n\r\n"), *HEAD_TIMEOUT),
    "drips the head": Misdeed(stalls(b"H", b"T", b"T", b"P", b"/"), *HEAD_TIMEOUT),
    "is silent within a body": Misdeed(
        stalls(OK + b"content-length: 9\r\n\r\nhello"), *BODY_TIMEOUT
    ),
    "is silent within a chunk": Misdeed(stalls(CHUNKED + b"9\r\nhello"), *BODY_TIMEOUT),
    "is silent before the last chunk": Misdeed(stalls(CHUNKED + b"1\r\na\r\n"), *BODY_TIMEOUT),
    "is silent in a body without length": Misdeed(stalls(OK + b"\r\nhello"), *BODY_TIMEOUT),
    "closes within a body": Misdeed(
        sends(OK + b"content-length: 9\r\n\r\nhello"), UpstreamTruncated
    ),
    "closes after the head": Misdeed(sends(OK + b"content-length: 9\r\n\r\n"), UpstreamTruncated),
    "resets within a body": Misdeed(
        resets(OK + b"content-length: 9\r\n\r\nhello"), UpstreamTruncated
    ),
    "closes within a chunk": Misdeed(sends(CHUNKED + b"9\r\nhello"), UpstreamTruncated),
    "closes before the last chunk": Misdeed(sends(CHUNKED + b"1\r\na\r\n"), UpstreamTruncated),
    "closes within the trailers": Misdeed(sends(CHUNKED + b"0\r\nx: y\r\n"), UpstreamTruncated),
    "resets a body without length": Misdeed(resets(OK + b"\r\nhello"), UpstreamTruncated),
    "sends garbage after a chunk": Misdeed(
        stalls(CHUNKED + b"1\r\na\r\n", b"zz\r\n"), UpstreamBadResponse
    ),
    "sends too much": Misdeed(stalls(OK + b"\r\n" + b"x" * (2 << 20)), UpstreamBadResponse),
    "announces too much": Misdeed(
        stalls(OK + b"content-length: 9999999999\r\n\r\n"), UpstreamBadResponse
    ),
} | {name: Misdeed(stalls(wire), UpstreamBadResponse) for name, wire in REFUSED.items()}


@LOOPS
@pytest.mark.parametrize("name", MISDEEDS)
def test_a_misdeed_costs_one_call_one_honest_error(loop: Loop, name: str) -> None:
    """The error says what happened; the connection is gone; the next call is served."""
    misdeed = MISDEEDS[name]
    slow = misdeed.phase != ""

    async def play(line: Line) -> None:
        await line.request()
        if len(vendor.lines) > 1:
            await line.send(answer(b"unharmed"))
            await line.gone()
        else:
            await misdeed.play(line)

    async def test() -> None:
        nonlocal vendor
        async with Vendor(play) as vendor:
            pool = upstream(vendor.url)
            with pytest.raises(misdeed.error) as raised:
                await ask(
                    pool,
                    timeouts=Timeouts(5.0, 0.05) if slow else PATIENT,
                    first_byte_s=0.05 if slow else 5.0,
                )
            assert getattr(raised.value, "phase", "") == misdeed.phase
            assert pool.idle == 0
            await until(lambda: pool.open == 0 and vendor.open == 0)
            assert await ask(pool) == b"unharmed"
            assert len(vendor.lines) == 2
            await pool.close()

    vendor: Vendor
    run(loop, test())


@LOOPS
@pytest.mark.parametrize("name", [n for n, m in MISDEEDS.items() if "bod" in n or "chunk" in n])
def test_a_misdeed_within_a_stream_ends_it_once(loop: Loop, name: str) -> None:
    """A sink gets what came before, and the end with the error, exactly once."""
    misdeed = MISDEEDS[name]

    async def play(line: Line) -> None:
        await line.request()
        await misdeed.play(line)

    async def test() -> None:
        async with Vendor(play) as vendor:
            pool = upstream(vendor.url)
            sink = Sink()
            try:
                reply = await pool.send(GET, timeouts=Timeouts(5.0, 0.05), first_byte_s=5.0)
            except UpstreamBadResponse:
                await until(lambda: pool.open == 0)
                return
            reply.pipe(sink)
            await until(lambda: sink.ends)
            (end,) = sink.ends
            assert isinstance(end, misdeed.error)
            reply.close()
            await until(lambda: pool.open == 0 and vendor.open == 0)
            assert len(sink.ends) == 1

    run(loop, test())


@on_both_loops
async def test_a_vendor_that_does_not_read_is_a_send_timeout() -> None:
    """A large body and a streamed one: no progress, no patience."""
    body = b"x" * (32 << 20)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    async with Vendor(Line.idle) as vendor:
        pool = upstream(vendor.url)
        impatient = Timeouts(5.0, 0.1)
        for upload in (None, Upload(endless(), None)):
            with pytest.raises(UpstreamTimeout) as raised:
                await ask(pool, body, upload=upload, timeouts=impatient)
            assert raised.value.phase == "send"
        await until(lambda: pool.open == 0)


@on_both_loops
async def test_a_vendor_that_reads_slowly_but_reads_is_waited_for() -> None:
    """The limit is on the time without progress, not on the whole body."""
    size = 24 << 20

    async def slowly(line: Line) -> None:
        await line.head()
        left = size
        while left:
            left -= len(await line.reader.read(min(left, 1 << 20)))
            await asyncio.sleep(0.005)
        await line.send(answer(b"thanks"))

    async with Vendor(slowly) as vendor:
        pool = upstream(vendor.url)
        impatient = Timeouts(5.0, 0.1)
        assert await ask(pool, b"x" * size, timeouts=impatient, first_byte_s=5.0) == b"thanks"
        await pool.close()


@on_both_loops
async def test_nobody_listens() -> None:
    """A refused connection is told as one, at once."""
    async with Vendor(Line.idle) as vendor:
        url = vendor.url
    pool = upstream(url)
    with pytest.raises(UpstreamUnreachable, match="connection refused"):
        await ask(pool)
    assert pool.open == 0


@LOOPS
@pytest.mark.parametrize("end", [b"", b"rest"], ids=["within", "at the end"])
def test_a_sink_that_raises_loses_its_connection(loop: Loop, end: bytes) -> None:
    """A mistake of ours is told to the loop, and the stream ends for whoever waits for it."""
    go_on = asyncio.Event()

    class Broken(Sink):
        def feed(self, data: bytes) -> None:
            raise ZeroDivisionError

    async def play(line: Line) -> None:
        await line.request()
        await line.send(OK + b"content-length: 5\r\n\r\n")
        await go_on.wait()
        await line.send(b"a" + end)
        await line.gone()

    async def test() -> None:
        async with Vendor(play) as vendor:
            pool = upstream(vendor.url)
            reply = await pool.send(GET, timeouts=PATIENT, first_byte_s=5.0)
            sink = Broken()
            reply.pipe(sink)
            go_on.set()
            await until(lambda: sink.ends)
            assert isinstance(sink.ends[0], UpstreamTruncated)
            reply.close()
            await until(lambda: pool.open == 0 and vendor.open == 0)

    run(loop, test(), complaint="ZeroDivisionError")


async def marked(line: Line) -> None:
    """Answer each request with its own path, slowly, in one of three framings."""
    while True:
        mark = (await line.request()).line.split()[1].encode()
        chance = random.Random(mark)
        body = mark * 20
        await asyncio.sleep(chance.choice((0, 0, 0.001, 0.003)))
        if chance.random() < 0.5:
            wire = CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        else:
            wire = answer(body)
        cut = chance.randrange(len(wire))
        await line.send(wire[:cut], wire[cut:])


async def one_call(pool: Any, number: int, way: int) -> bytes:
    """Make a call in one of the ways there are, and return the body."""
    request = UpstreamRequest("POST", f"/{number}", (), b"x" * 100)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"y" * 100
            await asyncio.sleep(0.001)

    upload = Upload(pieces(), (None, 300)[number % 2]) if way == 2 else None
    reply = await pool.send(request, timeouts=PATIENT, first_byte_s=5.0, upload=upload)
    try:
        if way == 1:
            sink = Sink()
            reply.pipe(sink)
            await until(lambda: sink.ends)
            assert sink.ends == [None]
            return sink.body
        body: bytes = await reply.read(1 << 20)
        return body
    finally:
        reply.close()


async def cancel_at_random(pool: Any, seed: int, calls: int) -> None:
    chance = random.Random(seed)
    for number in range(calls):
        call = asyncio.ensure_future(one_call(pool, number, number % 3))
        if chance.random() < 0.7:
            for _ in range(chance.randrange(12)):
                await asyncio.sleep(0)
            await asyncio.sleep(chance.choice((0, 0, 0.001, 0.004, 0.008)))
            call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            assert await call == f"/{number}".encode() * 20


@LOOPS
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_a_cancelled_call_never_harms_another(
    loop: Loop, secure: bool, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """Cancelled while connecting, waiting, reading or piping: no cross-talk, nothing left."""
    server, client = tls

    async def test() -> None:
        async with Vendor(marked, server if secure else None) as vendor:
            pool = upstream(vendor.url, tls=client)
            await asyncio.gather(*(cancel_at_random(pool, seed, 25) for seed in range(8)))
            await until(lambda: pool.open == pool.idle)
            await until(lambda: vendor.open == pool.open)
            assert await one_call(pool, 7, 0) == b"/7" * 20
            await pool.close()
            await until(lambda: vendor.open == 0)

    run(loop, test())


@LOOPS
def test_a_call_cancelled_after_each_number_of_steps_leaves_nothing(
    loop: Loop, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    """The loop's every turn from the first to the last is a point to cancel at."""
    server, client = tls

    async def test() -> None:
        async with Vendor(marked, server) as vendor:
            for steps in range(40):
                pool = upstream(vendor.url, tls=client)
                call = asyncio.ensure_future(one_call(pool, 1, steps % 3))
                for _ in range(steps):
                    await asyncio.sleep(0)
                call.cancel()
                await asyncio.wait((call,))
                await until(lambda pool=pool: pool.open == pool.idle)
                await pool.close()
            await until(lambda: vendor.open == 0)

    run(loop, test())


@pytest.fixture(scope="module")
def tls() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's settings and those of a client that trusts it."""
    ca = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("127.0.0.1").configure_cert(server)
    client = tls_context()
    ca.configure_trust(client)
    return server, client
