"""The driver of one stream: held, flowing, over."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from structlog.testing import capture_logs

from adapters import openai
from proxy import streaming
from proxy.errors import (
    GatewayError,
    InternalError,
    UpstreamFailed,
    UpstreamTimeout,
    UpstreamTruncated,
)
from proxy.relay import Relay
from proxy.streaming import Flow, Pump, Verbatim
from proxy.upstream import Answer
from proxy.wire import Usage

CHAT = openai.operations["chat"]
ROLE = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
HI = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":3}}\n\n'
DONE = b"data: [DONE]\n\n"
ERROR = b'data: {"error":{"message":"broke"}}\n\n'
PING = b": ping\n\n"
NEVER_S = 3600.0


class FakeAnswer:
    """The vendor's side: notes when it is to stop and to go on."""

    def __init__(self) -> None:
        self.paused = False

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False


class FakeClient:
    """The client's side; `room` bytes fit into its buffer."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.out: list[bytes] = []
        self.room = room
        self.aborted = 0
        self.flow: Flow | None = None

    @property
    def body(self) -> bytes:
        return b"".join(self.out)

    def write(self, data: bytes) -> None:
        assert data, "an empty piece would end a chunked body"
        self.out.append(data)
        self.room -= len(data)
        if self.room < 0 <= self.room + len(data) and self.flow is not None:
            self.flow.pause()

    def read(self) -> None:
        """Read everything there is."""
        self.room = 1 << 30
        assert self.flow is not None
        self.flow.resume()

    def abort(self) -> None:
        self.aborted += 1

    def watch(self, flow: Flow) -> None:
        self.flow = flow


class Stage:
    """A pump between two fakes."""

    def __init__(self, *, room: int = 1 << 30, strip_usage: bool = False, **options: float) -> None:
        assert CHAT.stream is not None
        self.answer = FakeAnswer()
        self.client = FakeClient(room)
        self.relay = Relay(CHAT, CHAT.stream(0), strip_usage=strip_usage)
        given = {"hold_bytes": 1 << 16, "stall_s": NEVER_S, **options}
        self.pump = Pump(self.relay, cast(Answer, self.answer), **given)  # type: ignore[arg-type]

    def connect(self) -> Stage:
        self.pump.connect(self.client)
        return self


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def until(condition: object) -> None:
    """Wait until it is true; a test that waits for ever is ended by its runner."""
    assert callable(condition)
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


async def test_nothing_goes_out_before_the_client_is_connected() -> None:
    """Until then every failure may be retried elsewhere."""
    stage = Stage()
    for piece in (ROLE, HI, HI[:10]):
        stage.pump.feed(piece)

    assert stage.client.out == []
    stage.connect()
    assert stage.client.body == ROLE + HI
    stage.pump.feed(HI[10:])
    stage.pump.feed(DONE)
    assert stage.client.body == ROLE + HI + HI + DONE


async def test_once_flowing_every_read_is_one_write() -> None:
    """However many events it holds; and a part of one is none."""
    stage = Stage().connect()
    for piece in (ROLE + HI + HI, HI[:10], HI[10:]):
        stage.pump.feed(piece)

    assert stage.client.out == [ROLE + HI + HI, HI]


async def test_the_stream_opens_with_the_first_content() -> None:
    """A role and comments are none."""
    stage = Stage()
    opening = asyncio.create_task(stage.pump.opening())
    for piece in (b": x\n\n", ROLE):
        stage.pump.feed(piece)
        await settle()
        assert (opening.done(), stage.pump.open) == (False, False)
    stage.pump.feed(HI)
    await opening
    assert stage.pump.open
    assert stage.pump.first_content_at > 0


async def test_the_stream_opens_when_too_much_is_held() -> None:
    """Memory is bounded; the vendor waits meanwhile."""
    stage = Stage(hold_bytes=len(ROLE))
    stage.pump.feed(ROLE)
    assert (stage.pump.open, stage.answer.paused) == (False, False)
    stage.pump.feed(ROLE)
    assert (stage.pump.open, stage.answer.paused) == (True, False)
    stage.pump.feed(ROLE)
    assert stage.answer.paused is True
    stage.connect()
    assert stage.answer.paused is False
    assert stage.client.body == ROLE * 3


@pytest.mark.parametrize("ending", [DONE, ERROR])
async def test_the_stream_opens_with_its_end(ending: bytes) -> None:
    """There is something to tell the client, if only that there is nothing."""
    stage = Stage()
    opening = asyncio.create_task(stage.pump.opening())
    await settle()
    stage.pump.feed(ROLE + ending)
    await opening
    assert (stage.pump.open, stage.pump.over) == (True, True)


async def test_opening_can_be_waited_for_again() -> None:
    """The first wait was cut short by a limit of time."""
    stage = Stage()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await stage.pump.opening()
    opening = asyncio.create_task(stage.pump.opening())
    await settle()
    stage.pump.feed(HI)
    await opening


async def test_an_end_without_the_marker_is_an_error() -> None:
    """A cut stream is never taken for a whole one."""
    stage = Stage().connect()
    closing = asyncio.create_task(stage.pump.closing())
    await settle()
    stage.pump.feed(HI)
    stage.pump.end(None)
    await closing

    assert isinstance(stage.pump.error, UpstreamTruncated)
    assert stage.client.body == HI


async def test_a_broken_connection_is_told_as_what_it_was() -> None:
    """Its own error says more than that the stream is not whole."""
    stage, error = Stage().connect(), UpstreamTimeout("idle", 60)
    stage.pump.feed(HI)
    stage.pump.end(error)
    await stage.pump.closing()

    assert stage.pump.error is error


@pytest.mark.parametrize("error", [None, UpstreamTimeout("idle", 60)])
async def test_after_the_end_marker_it_does_not_matter_how_the_body_ends(
    error: UpstreamTimeout | None,
) -> None:
    """The client has the whole answer."""
    stage = Stage().connect()
    stage.pump.feed(HI + DONE)
    stage.pump.end(error)
    await stage.pump.closing()

    assert stage.pump.error is None
    assert stage.client.body == HI + DONE


async def test_a_stream_that_was_whole_before_anybody_looked() -> None:
    """A short answer often comes in one piece."""
    stage = Stage()
    stage.pump.feed(ROLE + HI + DONE)
    stage.pump.end(None)
    await stage.pump.opening()
    stage.connect()
    await stage.pump.closing()

    assert (stage.client.body, stage.pump.error) == (ROLE + HI + DONE, None)


async def test_a_stream_ends_once() -> None:
    """Whatever else is said about it afterwards."""
    stage = Stage().connect()
    stage.pump.feed(HI + ERROR)
    first = stage.pump.error
    stage.pump.feed(HI)
    stage.pump.end(UpstreamFailed("later"))
    stage.pump.end(None)

    assert isinstance(first, UpstreamFailed)
    assert stage.pump.error is first
    assert stage.client.body == HI


async def test_an_error_ends_the_wait_though_the_vendor_keeps_the_connection() -> None:
    """The client is told now, not when the vendor's body ends."""
    stage = Stage().connect()
    closing = asyncio.create_task(stage.pump.closing())
    await settle()
    stage.pump.feed(HI + ERROR)
    await settle()

    assert closing.done()
    assert isinstance(stage.pump.error, GatewayError)


async def test_an_error_that_came_before_the_wait_ends_it_too() -> None:
    """Content and error may come in one read, before the client is connected."""
    stage = Stage()
    stage.pump.feed(HI + ERROR)
    stage.connect()
    closing = asyncio.create_task(stage.pump.closing())
    await settle()

    assert closing.done()


async def test_a_mistake_of_a_filter_is_logged_and_told_as_ours() -> None:
    """The vendor's read callback is no place for a foreign exception."""

    class Broken(Verbatim):
        def feed(self, data: bytes) -> bytes:
            raise ZeroDivisionError

        def close(self) -> bytes:
            raise ZeroDivisionError

    for ending in (False, True):
        pump = Pump(Broken(), cast(Answer, FakeAnswer()))
        with capture_logs() as logs:
            pump.end(None) if ending else pump.feed(b"x")
        assert isinstance(pump.error, InternalError)
        assert [line["log_level"] for line in logs] == ["error"]


async def test_a_body_nobody_looks_into_goes_out_as_it_comes() -> None:
    """Also when its end is not clean."""
    answer, client = FakeAnswer(), FakeClient()
    pump = Pump(Verbatim(), cast(Answer, answer))
    pump.connect(client)
    pump.feed(b"\x00\xff")
    error = UpstreamTruncated("cut")
    pump.end(error)
    await pump.closing()

    assert (client.body, pump.error) == (b"\x00\xff", error)


async def test_a_client_that_does_not_read_stops_the_vendor() -> None:
    """What is between them stays bounded."""
    stage = Stage(room=10).connect()
    stage.pump.feed(HI)
    assert stage.answer.paused is True
    stage.client.read()
    assert stage.answer.paused is False
    stage.pump.release()


async def test_a_client_that_does_not_even_read_what_was_held_stops_the_vendor() -> None:
    """Its buffer may be full with the very first write."""
    stage = Stage(room=10)
    stage.pump.feed(HI)
    stage.connect()

    assert stage.answer.paused is True
    stage.pump.release()


async def test_a_client_that_never_reads_is_cut() -> None:
    """Only so long does it keep a worker."""
    stage = Stage(room=10, stall_s=0.001).connect()
    stage.pump.feed(HI)
    await until(lambda: stage.client.aborted)
    stage.pump.release()
    assert stage.client.aborted == 1


@pytest.mark.parametrize("ending", ["read", "release", "end"])
async def test_a_client_that_reads_in_time_is_not_cut(ending: str) -> None:
    """Nor is one whose stream has ended: the connection may serve its next request."""
    stage = Stage(room=10, stall_s=0.01).connect()
    stage.pump.feed(HI)
    if ending == "read":
        stage.client.read()
    elif ending == "release":
        stage.pump.release()
    else:
        stage.pump.feed(DONE)
        stage.pump.end(None)
    await asyncio.sleep(0.03)
    assert stage.client.aborted == 0


async def test_silence_is_broken_by_comments() -> None:
    """So that nobody between us and the client takes the connection for dead."""
    stage = Stage(ping_s=0.002).connect()
    await until(lambda: len(stage.client.out) >= 3)
    stage.pump.release()

    assert set(stage.client.out) == {PING}


async def test_a_stream_that_speaks_has_no_comments() -> None:
    """They are for silence only."""
    stage = Stage(ping_s=0.2).connect()
    for _ in range(50):
        stage.pump.feed(HI)
        await asyncio.sleep(0)
    due = stage.pump._ping_timer
    assert due is not None
    stage.pump._ping()
    stage.pump.release()

    assert PING not in stage.client.out


async def test_comments_stand_between_events_only() -> None:
    """Half an event of the vendor's is not out yet."""
    stage = Stage(ping_s=0.002).connect()
    stage.pump.feed(HI + HI[:20])
    await until(lambda: PING in stage.client.out)
    stage.pump.feed(HI[20:])
    stage.pump.release()

    assert stage.client.body.replace(PING, b"") == HI + HI


@pytest.mark.parametrize("ending", [DONE, ERROR])
async def test_after_the_end_there_are_no_comments(ending: bytes) -> None:
    """The body is over, though the vendor's may still be open."""
    stage = Stage(ping_s=0.001).connect()
    stage.pump.feed(HI + ending)
    before = stage.client.body
    await asyncio.sleep(0.01)

    assert stage.client.body == before


async def test_a_client_connected_after_the_end_gets_no_comments() -> None:
    """There is nothing left to keep alive."""
    stage = Stage(ping_s=0.001)
    stage.pump.feed(HI + DONE)
    stage.pump.end(None)
    stage.connect()
    await asyncio.sleep(0.01)

    assert stage.client.body == HI + DONE


async def test_usage_is_known_whether_or_not_the_client_gets_it() -> None:
    """It is for the books."""
    stage = Stage(strip_usage=True).connect()
    stage.pump.feed(HI + USAGE + DONE)

    assert stage.client.body == HI + DONE
    assert stage.relay.usage == Usage(input_tokens=3)


async def test_the_end_marker_ends_the_wait_though_the_vendors_body_goes_on() -> None:
    """Some vendors take their time with the end of the body; the client does not wait for it."""
    stage = Stage().connect()
    closing = asyncio.create_task(stage.pump.closing())
    await settle()
    stage.pump.feed(HI + DONE)
    await settle()

    assert closing.done()
    assert stage.pump.error is None


async def test_the_tail_of_the_vendors_body_is_waited_for_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection whose answer is whole can be used again."""
    monkeypatch.setattr(streaming, "_TAIL_S", NEVER_S)
    stage = Stage().connect()
    stage.pump.feed(HI + DONE)
    tail = asyncio.create_task(stage.pump.tail())
    await settle()
    assert tail.done() is False
    stage.pump.end(None)
    await tail
    monkeypatch.setattr(streaming, "_TAIL_S", 0.0)
    late = Stage().connect()
    late.pump.feed(HI + DONE)
    await late.pump.tail()
    assert late.pump.error is None
