"""The realtime websocket as a client sees it."""

import asyncio

import aiohttp
import pytest

from tests.proxy.sim.raw import Running, Start


async def test_a_conversation(sim: Running) -> None:
    """A session opens, a question is answered in deltas, a ping is answered, closing is clean."""
    async with (
        aiohttp.ClientSession(sim.url) as session,
        session.ws_connect(
            "/v1/realtime?model=sim:chunks=2,pace=1ms", protocols=["realtime"]
        ) as ws,
    ):
        assert ws.protocol == "realtime"
        assert (await ws.receive_json())["session"]["model"] == "sim:chunks=2,pace=1ms"
        await ws.send_json(
            {
                "type": "conversation.item.create",
                "item": {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            }
        )
        await ws.send_json({"type": "response.create"})
        text = ""
        while (event := await ws.receive_json())["type"] != "response.done":
            text += event["delta"] if event["type"] == "response.output_text.delta" else ""
        assert text.startswith("You said: hi")
        await ws.ping(b"x")
        await ws.close(code=1000)
        assert ws.close_code == 1000


@pytest.mark.parametrize(
    ("path", "status"), [("/v1/realtime?model=sim:x=1", 404), ("/v1/models", 200)]
)
async def test_no_handshake_elsewhere(sim: Running, path: str, status: int) -> None:
    """A websocket where none is gets HTTP's answer."""
    async with aiohttp.ClientSession(sim.url) as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(path)
        assert caught.value.status == status


async def test_a_key_is_asked_for(start: Start) -> None:
    """Also here."""
    running = await start(key="secret")
    async with aiohttp.ClientSession(running.url) as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect("/v1/realtime")
        assert caught.value.status == 401
        headers = {"authorization": "Bearer secret"}
        async with session.ws_connect("/v1/realtime", headers=headers) as ws:
            assert (await ws.receive_json())["type"] == "session.created"


async def test_a_broken_frame_ends_it(sim: Running) -> None:
    """The close frame says why; nothing is left behind."""
    before = len(asyncio.all_tasks())
    reader, writer = await sim.open()
    writer.write(
        b"GET /v1/realtime HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
        b"\x81\x01x"
    )
    assert (await reader.read()).endswith(b"\x88\x02\x03\xea")
    writer.close()
    while sim.simulator.stats.connected:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before
