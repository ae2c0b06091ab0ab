"""The pool and its connections against vendors that behave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.adapter import UpstreamRequest
from proxy.errors import InternalError, InvalidRequest, UpstreamBadResponse, UpstreamUnreachable
from proxy.upstream import Timeouts, Upload
from tests.proxy.vendor import (
    PATIENT,
    Line,
    Sink,
    Vendor,
    answer,
    ask,
    echo,
    on_both_loops,
    until,
    upstream,
)

GET = UpstreamRequest("GET", "/x", ())


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    for piece in given:
        yield piece
        await asyncio.sleep(0)


@on_both_loops
async def test_a_connection_carries_one_call_after_the_other() -> None:
    """A warm connection is used again; each call gets its own answer."""
    async with Vendor(echo) as vendor:
        pool = upstream(vendor.url)
        for number in range(5):
            assert await ask(pool, b"%d" % number) == b"%d" % number
        assert (len(vendor.lines), pool.open, pool.idle) == (1, 1, 1)
        assert repr(pool) == f"<Upstream 127.0.0.1:{vendor.port} open 1 idle 1>"
        await pool.close()
        assert (pool.open, pool.idle) == (0, 0)


@on_both_loops
async def test_the_connection_used_last_is_used_next() -> None:
    """What is not needed grows old at the bottom and expires."""
    async with Vendor(echo) as vendor:
        pool = upstream(vendor.url)
        await asyncio.gather(*(ask(pool) for _ in range(3)))
        assert (len(vendor.lines), pool.idle) == (3, 3)
        before = [len(line.requests) for line in vendor.lines]
        for _ in range(4):
            await ask(pool)
        after = [len(line.requests) for line in vendor.lines]
        assert sorted(b - a for a, b in zip(before, after, strict=True)) == [0, 0, 4]
        await pool.close()


@on_both_loops
async def test_idle_connections_are_bounded_in_number() -> None:
    """Beyond the limit a connection is closed when its call ends."""
    async with Vendor(echo) as vendor:
        pool = upstream(vendor.url, idle_connections=2)
        await asyncio.gather(*(ask(pool) for _ in range(5)))
        assert pool.idle == 2
        await until(lambda: pool.open == 2)
        await pool.close()


@on_both_loops
async def test_an_idle_connection_expires() -> None:
    """We close before the vendor does, so that no call meets a closing connection."""
    async with Vendor(echo) as vendor:
        pool = upstream(vendor.url, idle_expiry_s=0.01)
        await ask(pool)
        await until(lambda: pool.open == 0 and vendor.open == 0)
        assert await ask(pool, b"again") == b"again"
        await pool.close()


@on_both_loops
async def test_a_vendor_that_closes_an_idle_connection_is_noticed() -> None:
    """The pool forgets it at once."""

    async def once(line: Line) -> None:
        await line.request()
        await line.send(answer())

    async with Vendor(once) as vendor:
        pool = upstream(vendor.url)
        for _ in range(3):
            assert await ask(pool) == b"hello"
            await until(lambda: pool.open == 0)
        assert pool.idle == 0
        await pool.close()


@on_both_loops
async def test_a_call_that_meets_a_closed_connection_goes_out_once_more() -> None:
    """It is repeated on a new connection if no byte of an answer came."""

    async def reset_the_second(line: Line) -> None:
        await line.request()
        await line.send(answer(b"first"))
        await line.request()
        line.reset()

    async with Vendor(reset_the_second) as vendor:
        pool = upstream(vendor.url)
        assert await ask(pool) == b"first"
        assert await ask(pool, b"again") == b"first"
        assert [len(line.requests) for line in vendor.lines] == [2, 1]
        assert vendor.lines[1].requests[0].body == b"again"
        await pool.close()


@on_both_loops
async def test_a_call_that_may_not_be_repeated_is_not() -> None:
    """An unsafe request, and a body that was streamed away, fail honestly."""

    async def one_answer(line: Line) -> None:
        await line.request()
        await line.send(answer())
        await line.request()

    async with Vendor(one_answer) as vendor:
        pool = upstream(vendor.url)
        await ask(pool)
        with pytest.raises(UpstreamUnreachable):
            await ask(pool, safe=False)
        await ask(pool)
        with pytest.raises(UpstreamUnreachable):
            await ask(pool, upload=Upload(pieces(b"ab"), 2))
        assert len(vendor.lines) == 2
        await pool.close()


@on_both_loops
async def test_a_call_is_repeated_once_and_never_on_a_new_connection() -> None:
    """A vendor that closes every connection unasked gets two requests, not a flood."""
    calls = 0

    async def only_the_first(line: Line) -> None:
        nonlocal calls
        await line.request()
        calls += 1
        if calls == 1:
            await line.send(answer())
            await line.request()

    async with Vendor(only_the_first) as vendor:
        pool = upstream(vendor.url)
        await ask(pool)
        with pytest.raises(UpstreamUnreachable):
            await ask(pool)
        assert [len(line.requests) for line in vendor.lines] == [2, 1]
        with pytest.raises(UpstreamUnreachable):
            await ask(pool)
        assert [len(line.requests) for line in vendor.lines] == [2, 1, 1]
        await pool.close()


@on_both_loops
async def test_a_call_is_not_repeated_once_its_answer_began() -> None:
    """Even one byte may mean that the request was carried out."""

    async def a_byte(line: Line) -> None:
        await line.request()
        await line.send(answer())
        await line.request()
        await line.send(b"H")

    async with Vendor(a_byte) as vendor:
        pool = upstream(vendor.url)
        await ask(pool)
        with pytest.raises(UpstreamUnreachable):
            await ask(pool)
        assert len(vendor.lines) == 1
        await pool.close()


@on_both_loops
async def test_an_answer_that_may_not_be_followed_ends_its_connection() -> None:
    """`connection: close`, HTTP/1.0, a body up to the end, and bytes too many."""
    closing = [
        answer(head=b"HTTP/1.1 200 OK\r\nconnection: close"),
        answer(head=b"HTTP/1.0 200 OK"),
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        answer() + b"surplus",
        answer() + answer(b"other"),
    ]

    async def play(line: Line) -> None:
        await line.request()
        await line.send(closing[len(vendor.lines) - 1])
        line.end()
        await line.gone()

    async with Vendor(play) as vendor:
        pool = upstream(vendor.url)
        for _ in closing:
            assert await ask(pool) == b"hello"
            assert pool.idle == 0
        await until(lambda: pool.open == 0 and vendor.open == 0)
        await pool.close()


@on_both_loops
async def test_bytes_on_an_idle_connection_end_it() -> None:
    """What nobody asked for is never taken for the next call's answer."""
    speak = asyncio.Event()

    async def talkative(line: Line) -> None:
        await line.request()
        await line.send(answer(b"right"))
        await speak.wait()
        await line.send(answer(b"wrong"))
        await line.gone()

    async with Vendor(talkative) as vendor:
        pool = upstream(vendor.url)
        assert await ask(pool) == b"right"
        speak.set()
        await until(lambda: pool.open == 0)
        assert await ask(pool) == b"right"
        await pool.close()


@on_both_loops
async def test_answers_without_a_body_leave_the_connection_usable() -> None:
    """HEAD, 204 and 304 end with their heads, whatever length they announce."""
    heads = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b""),
    ]

    async def play(line: Line) -> None:
        for head in heads:
            await line.request()
            await line.send(head)

    async with Vendor(play) as vendor:
        pool = upstream(vendor.url)
        for method in ("HEAD", "GET", "GET", "GET"):
            assert await ask(pool, b"", method=method) == b""
        assert len(vendor.lines) == 1
        await pool.close()


@on_both_loops
async def test_nothing_is_written_of_a_request_that_cannot_be_sent() -> None:
    """A line break in the path or a header costs neither a byte nor the connection."""
    async with Vendor(echo) as vendor:
        pool = upstream(vendor.url)
        await ask(pool)
        for path, headers in (("/a\r\nx: y", ()), ("/", (("a", "b\r\nc: d"),))):
            request = UpstreamRequest("GET", path, headers)
            with pytest.raises((InvalidRequest, InternalError)):
                await pool.send(request, timeouts=PATIENT, first_byte_s=1)
        assert (pool.idle, len(vendor.requests)) == (1, 1)
        await pool.close()


@on_both_loops
async def test_a_large_body_arrives_whole() -> None:
    """It is written without a copy of its own, and the connection lives on."""
    body = bytes(range(256)) * 4096
    async with Vendor(echo) as vendor:
        pool = upstream(vendor.url)
        assert await ask(pool, body) == body
        assert await ask(pool) == b"{}"
        assert len(vendor.lines) == 1
        await pool.close()


@on_both_loops
async def test_a_body_is_streamed_upwards_with_its_length_or_in_chunks() -> None:
    """The vendor sees the same bytes; the connection lives on."""
    async with Vendor(echo) as vendor:
        pool = upstream(vendor.url)
        assert await ask(pool, upload=Upload(pieces(b"ab", b"", b"cde"), 5)) == b"abcde"
        assert await ask(pool, upload=Upload(pieces(b"ab", b"", b"cde"), None)) == b"abcde"
        assert await ask(pool, upload=Upload(pieces(), None)) == b""
        assert await ask(pool, upload=Upload(pieces(), 0)) == b""
        assert vendor.requests[1].headers["transfer-encoding"] == "chunked"
        assert len(vendor.lines) == 1
        await pool.close()


@on_both_loops
async def test_a_body_that_is_not_as_long_as_announced_breaks_the_call() -> None:
    """The vendor must never take the next request for the rest of this one."""
    async with Vendor(echo) as vendor:
        pool = upstream(vendor.url)
        for body in (pieces(b"ab"), pieces(b"ab", b"cd")):
            with pytest.raises(InvalidRequest):
                await ask(pool, upload=Upload(body, 3))
        await until(lambda: pool.open == 0 and vendor.open == 0)
        assert await ask(pool) == b"{}"
        await pool.close()


@on_both_loops
async def test_a_body_whose_source_fails_breaks_the_call() -> None:
    """The source's own error comes out: it is the client who left."""

    async def broken() -> AsyncIterator[bytes]:
        yield b"ab"
        raise InvalidRequest("the client left")

    async with Vendor(echo) as vendor:
        pool = upstream(vendor.url)
        with pytest.raises(InvalidRequest, match="the client left"):
            await ask(pool, upload=Upload(broken(), None))
        await until(lambda: pool.open == 0 and vendor.open == 0)
        await pool.close()


@on_both_loops
async def test_an_answer_before_the_end_of_the_request_stops_the_request() -> None:
    """It is delivered at once; the connection is not used again."""
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 1000
            await asyncio.sleep(0.001)

    async def refuse(line: Line) -> None:
        await line.head()
        await line.send(answer(b"too large", b"HTTP/1.1 413 No"))
        await line.gone()

    async with Vendor(refuse) as vendor:
        pool = upstream(vendor.url)
        assert await ask(pool, upload=Upload(endless(), None)) == b"too large"
        assert (taken > 0, pool.idle) == (True, 0)
        await until(lambda: pool.open == 0 and vendor.open == 0)
        await pool.close()


@on_both_loops
async def test_an_answer_interrupts_a_request_whose_body_is_awaited() -> None:
    """Nobody waits for a client's next piece once the vendor has refused."""

    async def stuck() -> AsyncIterator[bytes]:
        yield b"ab"
        await asyncio.sleep(100)

    async def refuse(line: Line) -> None:
        await line.head()
        await line.send(answer(b"no", b"HTTP/1.1 401 No"))
        await line.gone()

    async with Vendor(refuse) as vendor:
        pool = upstream(vendor.url)
        assert await ask(pool, upload=Upload(stuck(), 10)) == b"no"
        await pool.close()


@on_both_loops
async def test_an_upload_waits_while_the_vendor_does_not_read() -> None:
    """What the vendor does not take is not asked of the client."""
    taken = 0
    read_on = asyncio.Event()

    async def large() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(640):
            taken += 1
            yield b"x" * 65536

    async def slow(line: Line) -> None:
        await read_on.wait()
        await line.request()
        await line.send(answer(b"done"))

    async with Vendor(slow) as vendor:
        pool = upstream(vendor.url)
        call = asyncio.ensure_future(ask(pool, upload=Upload(large(), 640 * 65536)))
        seen = -1
        while seen != taken or not taken:
            seen = taken
            await asyncio.sleep(0.05)
        assert taken < 320
        read_on.set()
        assert await call == b"done"
        assert len(vendor.requests[0].body) == 640 * 65536
        await pool.close()


@on_both_loops
async def test_a_stream_goes_into_the_sink_as_it_comes() -> None:
    """What is there at once, the rest with each read, the end exactly once."""
    go_on = asyncio.Event()

    async def stream(line: Line) -> None:
        await line.request()
        await line.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
        await go_on.wait()
        await line.send(b"3\r\ntwo\r\n", b"5\r\nth", b"ree\r\n0\r\n", b"\r\n")
        await line.gone()

    async with Vendor(stream) as vendor:
        pool = upstream(vendor.url)
        reply = await pool.send(GET, timeouts=PATIENT, first_byte_s=5)
        await asyncio.sleep(0.02)
        sink = Sink()
        reply.pipe(sink)
        assert sink.fed == [b"one"]
        go_on.set()
        await until(lambda: sink.ends)
        assert (sink.body, sink.ends) == (b"onetwothree", [None])
        assert "whole" in repr(reply)
        reply.close()
        reply.close()
        assert pool.idle == 1
        await pool.close()
        assert len(sink.ends) == 1


@on_both_loops
async def test_chunks_of_one_read_are_fed_together() -> None:
    """One read of the socket is one write to the client."""

    async def stream(line: Line) -> None:
        await line.request()
        await line.send(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 50
        )
        await line.send(b"0\r\n\r\n")
        await line.gone()

    async with Vendor(stream) as vendor:
        pool = upstream(vendor.url)
        reply = await pool.send(GET, timeouts=PATIENT, first_byte_s=5)
        sink = Sink()
        reply.pipe(sink)
        await until(lambda: sink.ends)
        assert len(sink.fed) <= 2
        assert sink.body == b"a" * 50
        reply.close()
        await pool.close()


@on_both_loops
async def test_a_sink_may_close_its_answer() -> None:
    """It hears nothing more; the vendor's connection is cut at once."""

    async def endless(line: Line) -> None:
        await line.request()
        await line.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            await line.send(b"1\r\na\r\n", b"1\r\na\r\n")

    class Closing(Sink):
        def feed(self, data: bytes) -> None:
            super().feed(data)
            reply.close()

    async with Vendor(endless) as vendor:
        pool = upstream(vendor.url)
        reply = await pool.send(GET, timeouts=PATIENT, first_byte_s=5)
        sink = Closing()
        reply.pipe(sink)
        await until(lambda: vendor.open == 0)
        assert (len(sink.fed), sink.ends, pool.open) == (1, [], 0)
        with pytest.raises(RuntimeError):
            reply.pipe(sink)
        await pool.close()


@on_both_loops
async def test_closing_an_unfinished_answer_cuts_the_connection() -> None:
    """The vendor sees that nobody listens any more, and stops what costs money."""

    async def endless(line: Line) -> None:
        await line.request()
        await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello")
        await line.gone()

    async with Vendor(endless) as vendor:
        pool = upstream(vendor.url)
        reply = await pool.send(GET, timeouts=PATIENT, first_byte_s=5)
        assert (reply.status, reply.headers) == (200, [("content-length", "100")])
        reply.close()
        await until(lambda: vendor.open == 0 and pool.open == 0)
        await pool.close()


@on_both_loops
async def test_a_paused_stream_stays_in_the_sockets() -> None:
    """A sink that pauses gets no more than one read; nothing is lost when it goes on."""
    total = 64 << 20
    sent = 0

    async def flood(line: Line) -> None:
        nonlocal sent
        await line.request()
        await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        while sent < total:
            await line.send(b"x" * (1 << 20))
            sent += 1 << 20
        await line.gone()

    class Pausing(Sink):
        size = 0
        pausing = True

        def feed(self, data: bytes) -> None:
            self.size += len(data)
            if self.pausing:
                reply.pause()

    async with Vendor(flood) as vendor:
        pool = upstream(vendor.url)
        reply = await pool.send(GET, timeouts=Timeouts(connect_s=5, idle_s=0.05), first_byte_s=5)
        sink = Pausing()
        reply.pipe(sink)
        await until(lambda: sink.size)
        await asyncio.sleep(0.15)  # over idle_s: while we pause, the vendor is not to blame
        assert (sink.size <= 1 << 20, sent < total, sink.ends) == (True, True, [])
        sink.pausing = False
        reply.resume()
        await until(lambda: sink.ends)
        assert (sink.size, sink.ends) == (total, [None])
        reply.close()
        await pool.close()


@on_both_loops
async def test_a_body_nobody_reads_yet_is_bounded() -> None:
    """Between `send` and `read` the socket is left alone beyond a limit."""
    total = 64 << 20
    sent = 0

    async def flood(line: Line) -> None:
        nonlocal sent
        await line.request()
        await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        while sent < total:
            await line.send(b"x" * (1 << 20))
            sent += 1 << 20
        await line.gone()

    async with Vendor(flood) as vendor:
        pool = upstream(vendor.url)
        reply = await pool.send(GET, timeouts=Timeouts(connect_s=5, idle_s=0.05), first_byte_s=5)
        await asyncio.sleep(0.15)
        assert sent < total
        assert len(await reply.read(total)) == total
        reply.close()
        await pool.close()


@on_both_loops
async def test_a_body_over_the_readers_limit_is_refused() -> None:
    """As soon as it is announced, as soon as it comes, and when it was there at once."""

    async def play(line: Line) -> None:
        await line.request()
        await line.send(given[len(vendor.lines) - 1])
        await line.gone()

    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    given = [
        b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello",
        chunked + b"b\r\nhello world",
        answer(b"hello world"),
    ]
    async with Vendor(play) as vendor:
        pool = upstream(vendor.url)
        for _ in given:
            reply = await pool.send(GET, timeouts=PATIENT, first_byte_s=5)
            with pytest.raises(UpstreamBadResponse, match="exceeds 10 bytes"):
                await reply.read(10)
            reply.close()
        await pool.close()


@on_both_loops
async def test_closing_the_pool_fails_the_calls_under_way() -> None:
    """Waiting, reading and piping: all learn of it, and no more is opened."""

    async def half(line: Line) -> None:
        if (await line.request()).line.startswith("GET"):
            await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello")
        await line.gone()

    async with Vendor(half) as vendor:
        pool = upstream(vendor.url)
        waiting = asyncio.ensure_future(ask(pool))
        reading = asyncio.ensure_future(ask(pool, b"", method="GET"))
        reply = await pool.send(GET, timeouts=PATIENT, first_byte_s=5)
        sink = Sink()
        reply.pipe(sink)
        await until(lambda: len(vendor.requests) == 3 and sink.fed)
        await asyncio.sleep(0.02)
        await asyncio.gather(pool.close(), pool.close())
        await pool.close()
        done = await asyncio.gather(waiting, reading, return_exceptions=True)
        codes = [getattr(error, "code", error) for error in [*done, *sink.ends]]
        assert codes == ["upstream_unreachable", "upstream_truncated", "upstream_truncated"]
        assert (pool.open, repr(pool)) == (0, f"<Upstream 127.0.0.1:{vendor.port} closed>")
        with pytest.raises(UpstreamUnreachable):
            await ask(pool)
        reply.close()
