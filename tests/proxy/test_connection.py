"""One connection's states, driven by hand: no socket, so every order of events is possible."""

from __future__ import annotations

import asyncio
from math import inf
from typing import Any

import pytest

from proxy.connection import Connection, Limits, Patience
from proxy.errors import UpstreamBadResponse, UpstreamTruncated, UpstreamUnreachable
from tests.proxy.vendor import Sink, answer

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"


class Wire:
    """A transport that notes what it is told."""

    def __init__(self) -> None:
        self.written = b""
        self.unsent = 0
        self.told: list[str] = []

    def write(self, data: bytes) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def get_extra_info(self, name: str) -> Any:
        return None

    def is_closing(self) -> bool:
        return "abort" in self.told

    def abort(self) -> None:
        self.told.append("abort")

    def pause_reading(self) -> None:
        self.told.append("pause")

    def resume_reading(self) -> None:
        self.told.append("resume")


def connected(**limits: int) -> tuple[Connection, Any]:
    wire: Any = Wire()
    connection = Connection("vendor:80", Limits(**limits), lambda _: None)
    connection.connection_made(wire)
    return connection, wire


def asked(**limits: int) -> tuple[Connection, Any]:
    connection, wire = connected(**limits)
    connection.ask("POST", b"head", b"body", Patience(60, 60))
    return connection, wire


async def test_a_connection_says_where_it_goes_and_what_it_does() -> None:
    """Whoever debugs a pool can read it."""
    connection, _ = connected()
    seen = [repr(connection)]
    connection.ask("POST", b"", b"", Patience(60, 60))
    for piece in (b"", HEAD, b"hello"):
        if piece:
            connection.data_received(piece)
        seen.append(repr(connection))
    connection.abort()
    seen.append(repr(connection))
    states = ["idle call 0", "waiting call 1", "body call 1", "whole call 1", "closed call 1"]
    assert seen == [f"<Connection vendor:80 {state}>" for state in states]
    connection.connection_lost(None)


async def test_head_and_body_go_out_in_one_write() -> None:
    """One packet, not two."""
    _, wire = asked()
    assert wire.written == b"headbody"


async def test_a_vendor_that_speaks_first_is_cut_off() -> None:
    """An answer that was there before its question belongs to nobody."""
    connection, wire = connected()
    connection.data_received(answer())
    assert (connection.usable, wire.told) == (False, ["abort"])


async def test_a_transport_that_comes_too_late_is_closed() -> None:
    """The call was cancelled while the connection opened."""
    connection = Connection("vendor:80", Limits(), lambda _: None)
    connection.abort()
    wire: Any = Wire()
    connection.connection_made(wire)
    assert (connection.transport, wire.told) == (None, ["abort"])


async def test_bytes_after_a_whole_answer_spoil_the_connection_not_the_answer() -> None:
    """They come in a read of their own, between the answer's end and its release."""
    connection, wire = asked()
    connection.data_received(answer())
    connection.data_received(b"surplus")
    assert connection.reader.pieces == [b"hello"]
    assert not connection.release()
    assert wire.told == ["abort"]


async def test_a_connection_with_unsent_bytes_is_not_used_again() -> None:
    """The vendor answered before it had the request; the rest would stand before the next."""
    connection, wire = asked()
    connection.data_received(answer())
    wire.unsent = 1
    assert not connection.release()


async def test_a_whole_answer_outlives_its_connection() -> None:
    """It can be read after the end; nothing can be sent."""
    connection, _ = asked()
    connection.data_received(answer())
    connection.eof_received()
    connection.connection_lost(None)
    assert (connection.state, connection.error) == ("whole", None)
    assert await connection.collect(100) is None
    assert not connection.release()


async def test_bytes_in_a_pause_do_not_start_the_idle_time() -> None:
    """TLS hands out what it had read already; the vendor is not late while we pause."""
    connection, _ = asked()
    sink = Sink()
    connection.data_received(HEAD)
    connection.pipe(sink)
    connection.pause()
    connection.data_received(b"he")
    assert (connection.due_at, sink.body) == (inf, b"he")
    connection.resume()
    assert connection.due_at < inf
    connection.abort()
    connection.connection_lost(None)


async def test_pausing_twice_is_pausing_once() -> None:
    """Loops differ in what they think of a second time."""
    connection, wire = asked()
    connection.data_received(HEAD)
    for step in (connection.pause, connection.pause, connection.resume, connection.resume):
        step()
    assert wire.told == ["pause", "resume"]
    connection.abort()
    connection.pause()
    connection.resume()
    assert wire.told == ["pause", "resume", "abort"]
    connection.connection_lost(None)


async def test_what_nobody_reads_is_left_in_the_socket() -> None:
    """Over the limit reading stops, and goes on for whoever takes the body."""
    connection, wire = asked(buffer_bytes=2)
    connection.data_received(HEAD + b"hel")
    assert wire.told == ["pause"]
    sink = Sink()
    connection.pipe(sink)
    assert (wire.told, sink.fed) == (["pause", "resume"], [b"hel"])
    connection.data_received(b"lo")
    assert sink.ends == [None]


async def test_an_error_behind_the_head_is_told_by_the_body() -> None:
    """The status came and counts, whether or not the rest came in the same read."""
    head, body = b"HTTP/1.1 429 Slow\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\na\r\nzz\r\n"
    for pieces in ([head + body], [head, body]):
        connection, _ = asked()
        for piece in pieces:
            connection.data_received(piece)
        assert connection.reader.status == 429
        sink = Sink()
        connection.pipe(sink)
        assert sink.fed == [b"a"]
        assert isinstance(sink.ends[0], UpstreamBadResponse)


@pytest.mark.parametrize(
    ("came", "reason", "error", "words"),
    [
        (b"", None, UpstreamUnreachable, "was closed too early"),
        (b"", ConnectionResetError(104, "reset by peer"), UpstreamUnreachable, "reset by peer"),
        (b"", ConnectionResetError(), UpstreamUnreachable, "broke (ConnectionResetError)"),
        (HEAD, None, UpstreamTruncated, "was closed within a body"),
    ],
)
async def test_the_end_of_a_connection_fails_the_call(
    came: bytes, reason: Exception | None, error: type[Exception], words: str
) -> None:
    """Whether the answer had begun makes the difference."""
    connection, _ = asked()
    if came:
        connection.data_received(came)
    connection.connection_lost(reason)
    assert isinstance(connection.error, error)
    assert words in str(connection.error)
    assert connection.due_at == inf


async def test_only_a_used_connection_dies_unanswered() -> None:
    """A new one that dies says that the vendor is not well; nothing is repeated."""
    for calls, came, died in ((1, b"", False), (2, b"", True), (2, b"H", False)):
        connection, _ = connected()
        for _ in range(calls - 1):
            connection.ask("POST", b"", b"", Patience(60, 60))
            connection.data_received(answer())
            assert connection.release()
        waiter = connection.ask("POST", b"", b"", Patience(60, 60))
        if came:
            connection.data_received(came)
        connection.connection_lost(None)
        assert waiter.done()
        assert connection.died_unanswered == died


async def test_a_streamed_body_waits_for_the_wire_and_stops_with_the_answer() -> None:
    """What is blocked goes on when the wire drains, and is told if it need not."""
    connection, wire = connected()
    connection.ask("POST", b"head", None, Patience(60, 60))
    assert connection.due_at == inf  # the client's pace is not the vendor's fault
    connection.pause_writing()
    assert connection.due_at < inf
    writing = asyncio.ensure_future(connection.write(b"piece"))
    await asyncio.sleep(0)
    assert not writing.done()
    connection.resume_writing()
    assert await writing
    assert wire.written == b"headpiece"
    connection.data_received(answer())
    assert not await connection.write(b"more")
    connection.written(b"end")
    assert wire.written == b"headpiece"
    assert not connection.release()
