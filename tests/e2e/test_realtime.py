"""Websockets pass both ways, message by message, and end on both sides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError, web

from proxy.config.structs import Credential, Timeouts
from proxy.config.types import Secret
from tests.e2e.stage import CREDENTIAL, KEY, Gate, Stage
from tests.proxy.vendor import until

Talk = Callable[[web.WebSocketResponse, web.BaseRequest], Awaitable[None]]


class Vendor:
    """A vendor's websocket, played by a coroutine.

    Attributes:
        seen: the requests for one.
        codes: with which each ended.
    """

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self.seen: list[web.BaseRequest] = []
        self.codes: list[int | None] = []

    async def __aenter__(self) -> Vendor:
        self._runner = web.ServerRunner(web.Server(self._serve), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append(request)
        socket = web.WebSocketResponse(protocols=("realtime",), max_msg_size=0)
        await socket.prepare(request)
        with suppress(ConnectionError):
            await self._talk(socket, request)
        self.codes.append(socket.close_code)
        return socket


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with ClientSession(headers={"authorization": f"Bearer {KEY}"}) as session:
        yield session


async def dial(session: ClientSession, gate: Gate, **more: object) -> ClientWebSocketResponse:
    url = f"ws://127.0.0.1:{gate.port}/v1/realtime?model=a%20b&x=1"
    return await session.ws_connect(url, max_msg_size=0, **more)  # type: ignore[arg-type]


async def echo(socket: web.WebSocketResponse, request: web.BaseRequest) -> None:
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        else:
            await socket.send_bytes(message.data)


async def test_messages_of_both_kinds_pass_as_they_are(
    stage: Stage, session: ClientSession
) -> None:
    """Text and bytes, empty and large, in their order."""
    async with Vendor(echo) as vendor:
        gate = await stage.open(vendors=(), providers={"sim": {"base_url": vendor.url}})
        async with await dial(session, gate) as socket:
            texts = ["", "a", "\u4e2d\U0001f600", "x" * 1_000_000]
            for text in texts:
                await socket.send_str(text)
                await socket.send_bytes(text.encode())
            for text in texts:
                assert (await socket.receive()).data == text
                assert (await socket.receive()).data == text.encode()
        await until(lambda: vendor.codes == [1000])


async def test_path_query_protocol_and_credential_reach_the_vendor(
    stage: Stage, session: ClientSession
) -> None:
    """The vendor sees our credential; a key that came as a subprotocol goes no further."""
    async with Vendor(echo) as vendor:
        gate = await stage.open(vendors=(), providers={"sim": {"base_url": vendor.url}})
        protocols = ("realtime", f"openai-insecure-api-key.{KEY}", "openai-beta.realtime-v1")
        headers = {"openai-beta": "realtime=v1"}
        async with await dial(session, gate, protocols=protocols, headers=headers) as socket:
            assert socket.protocol == "realtime"
        [seen] = vendor.seen
        assert seen.path_qs == "/v1/realtime?model=a%20b&x=1"
        assert seen.headers["authorization"] == f"Bearer {CREDENTIAL}"
        assert seen.headers["openai-beta"] == "realtime=v1"
        assert "openai-beta.realtime-v1" in seen.headers["sec-websocket-protocol"]
        assert KEY not in str(seen.headers)


async def test_a_close_passes_with_its_code(stage: Stage, session: ClientSession) -> None:
    """From the client to the vendor, and from the vendor to the client."""

    async def leave(socket: web.WebSocketResponse, request: web.BaseRequest) -> None:
        await socket.receive()
        await socket.close(code=4001, message=b"enough")

    async with Vendor(echo) as vendor:
        gate = await stage.open(vendors=(), providers={"sim": {"base_url": vendor.url}})
        socket = await dial(session, gate)
        await socket.close(code=4000)
        await until(lambda: vendor.codes == [4000])
    async with Vendor(leave) as vendor:
        gate = await stage.open(vendors=(), providers={"sim": {"base_url": vendor.url}})
        async with await dial(session, gate) as socket:
            await socket.send_str("go")
            assert (await socket.receive()).type is WSMsgType.CLOSE
            assert socket.close_code == 4001


async def test_a_vendor_that_breaks_is_no_proper_end(stage: Stage, session: ClientSession) -> None:
    """The client is told 1011 where the vendor's connection just ended."""

    async def crash(socket: web.WebSocketResponse, request: web.BaseRequest) -> None:
        await socket.receive()
        assert request.transport is not None
        request.transport.abort()

    async with Vendor(crash) as vendor:
        gate = await stage.open(vendors=(), providers={"sim": {"base_url": vendor.url}})
        async with await dial(session, gate) as socket:
            await socket.send_str("go")
            await socket.receive()
            assert socket.close_code == 1011


async def test_a_client_killed_under_a_flood_is_nobodys_mistake(
    stage: Stage, session: ClientSession
) -> None:
    """The vendor is let go while it sends; the stage sees to it that nothing is logged."""

    async def flood(socket: web.WebSocketResponse, request: web.BaseRequest) -> None:
        while True:
            await socket.send_str("x" * 5000)
            await asyncio.sleep(0)

    async with Vendor(flood) as vendor:
        gate = await stage.open(vendors=(), providers={"sim": {"base_url": vendor.url}})
        for place in range(20):
            socket = await dial(session, gate)
            for _ in range(place):
                await socket.receive()
            connection = socket._response.connection
            assert connection is not None
            assert connection.transport is not None
            connection.transport.abort()
            await until(lambda n=place: len(vendor.codes) == n + 1)
        await until(lambda: gate.unit().busy == 0)


async def test_a_refusal_is_an_answer_before_the_websocket(
    stage: Stage, session: ClientSession
) -> None:
    """A wrong key, a wrong credential, a full queue, nobody there: each has its status."""
    wrong = [Credential(value=Secret("sk-wrong"))]
    providers: dict[str, dict[str, object]] = {
        "credential": {"credentials": wrong, "base_url": await stage.simulator()},
        "nobody": {"base_url": "http://127.0.0.1:9/v1"},
        "full": {"base_url": await stage.simulator(), "workers": 1, "queue": 0},
    }
    for name, status in (("credential", 502), ("nobody", 502), ("full", 503)):
        gate = await stage.open(vendors=(), providers={"sim": providers[name]})
        if name == "full":
            assert gate.unit().try_enter()
        with pytest.raises(WSServerHandshakeError) as raised:
            await dial(session, gate)
        assert raised.value.status == status, name
        if name == "full":
            gate.unit().leave(0.0)
    with pytest.raises(WSServerHandshakeError) as raised:
        await dial(session, gate, headers={"authorization": "Bearer wrong"})
    assert raised.value.status == 401


async def test_a_conversation_past_its_time_is_closed(stage: Stage, session: ClientSession) -> None:
    """Both sides are closed as websockets are; no HTTP follows on such a connection."""
    async with Vendor(echo) as vendor:
        gate = await stage.open(
            vendors=(), providers={"sim": {"base_url": vendor.url}}, timeouts=Timeouts(total=0.3)
        )
        async with await dial(session, gate) as socket:
            message = await socket.receive()
            assert message.type is WSMsgType.CLOSE, message
            assert socket.close_code == 1011
        await until(lambda: vendor.codes)
