"""A client that does not read, or does not send, holds up nobody but itself, and not for ever."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from proxy.config.structs import Server
from tests.e2e.raw import Client, ask, chat, request
from tests.e2e.stage import Gate, Stage
from tests.proxy.vendor import Line, Vendor, until

BUFFERS = 32 * 1024 * 1024
"""What the sockets of two connections may hold, and a little for the gateway."""

EVENT = b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % (b"x" * 100_000)


def connections(gate: Gate) -> int:
    """Count the clients' connections."""
    assert gate.gateway._server is not None
    return len(gate.gateway._server.connections)


def paused(client: Client) -> Client:
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    return client


async def test_a_stream_nobody_reads_stops_its_vendor(stage: Stage) -> None:
    """Nothing piles up: the vendor can only send on when the client reads on; then all comes."""
    events, sent = 1000, 0

    async def script(line: Line) -> None:
        nonlocal sent
        await line.request()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
        await line.send(head + b"transfer-encoding: chunked\r\n\r\n")
        for sent in range(1, events + 1):  # noqa: B007 - seen from outside
            await line.send(b"%x\r\n%b\r\n" % (len(EVENT), EVENT))
        await line.send(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")

    async with Vendor(script) as vendor:
        gate = await stage.open(vendors=(), providers={"sim": {"base_url": vendor.url}})
        async with paused(await Client.connect(gate.port)) as client:
            await client.send(request(chat(stream=True)))
            await until(lambda: sent)
            before = -1
            while before != sent:
                before = sent
                await asyncio.sleep(0.1)
            assert sent * len(EVENT) < BUFFERS
            client.writer.transport.resume_reading()  # type: ignore[attr-defined]
            reply = await client.reply()
        assert reply.whole
        assert reply.body == EVENT * events + b"data: [DONE]\n\n"


@pytest.mark.parametrize("body", [chat("sim:chunks=40,bytes=1000000"), {}], ids=["chat", "file"])
async def test_a_client_that_never_reads_is_given_up(stage: Stage, body: dict[str, object]) -> None:
    """After the time to write, its connection and the vendor's are closed."""
    gate = await stage.open(server=Server(write_timeout=0.2, grace=1))
    async with paused(await Client.connect(gate.port)) as client:
        if body:
            await client.send(request({**body, "stream": True}))
        else:
            speech = {"model": "sim:tokens=1", "input": "x" * 1000, "voice": "alloy"}
            await client.send(request(speech, path="/v1/audio/speech") * 400)
        await until(lambda: stage.stats().requests)
        unit = gate.unit()
        await until(lambda: unit.busy == 0 and stage.stats().open == 0)
        await until(lambda: not connections(gate))
    assert (await ask(gate.port, request(chat()))).status == 200


async def test_a_whole_answer_nobody_reads_is_given_up(stage: Stage) -> None:
    """A large answer that is not taken does not stay in memory."""
    gate = await stage.open(server=Server(write_timeout=0.2, grace=1))
    async with paused(await Client.connect(gate.port)) as client:
        await client.send(request(chat("sim:chunks=40,bytes=1000000")))
        await until(lambda: stage.stats().requests == 1)
        await until(lambda: not connections(gate))


async def test_a_client_killed_while_its_upload_is_held_up_is_noticed(stage: Stage) -> None:
    """Even where the gateway does not read from it, because the vendor does not."""
    lines: list[Line] = []

    async def script(line: Line) -> None:
        await line.head()
        line.writer.transport.pause_reading()  # type: ignore[attr-defined]
        lines.append(line)
        await line.idle()

    async with Vendor(script) as vendor:
        gate = await stage.open(vendors=(), providers={"sim": {"base_url": vendor.url}})
        client = await Client.connect(gate.port)
        await client.send(request(path="/v1/files", headers={"content-length": "100000000"}))
        await until(lambda: lines)
        await flood(client)
        client.kill()
        await until(lambda: gate.unit().busy == 0)
        lines[0].reset()


async def test_a_client_killed_while_it_waits_with_an_upload_is_noticed(stage: Stage) -> None:
    """Its place in the queue is free at once, however much it has sent ahead."""
    gate = await stage.open(providers={"sim": {"workers": 1, "queue": 1}})
    unit = gate.unit()
    assert unit.try_enter()
    client = await Client.connect(gate.port)
    await client.send(request(path="/v1/files", headers={"content-length": "100000000"}))
    await until(lambda: unit.depth == 1)
    await flood(client)
    client.kill()
    await until(lambda: unit.depth == 0)
    unit.leave(0.0)
    assert stage.stats().connections == 0


async def flood(client: Client) -> None:
    """Send until nobody takes any more."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            while True:
                await client.send(b"x" * 65536)
