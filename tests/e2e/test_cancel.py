"""A client that goes takes its call with it, wherever it is; nobody computes for nobody.

All limits are long here: what ends, ends because the client has gone.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from aiohttp import ClientSession, WSMsgType

from proxy.config.structs import Defaults, Deployment, Hold, PluginEntry, Retries, Server
from proxy.exchange import Exchange
from proxy.hooks import Plugin
from proxy.wire import Response
from tests.e2e.conftest import Install
from tests.e2e.raw import Client, chat, request
from tests.e2e.stage import KEY, PLUGINS, Gate, Stage, route
from tests.proxy.vendor import Line, Vendor, until

PATIENT = Server(grace=1, hold=Hold(time=60), ping=0)


class Recorder(Plugin):
    """Keeps how each exchange ended."""

    ended: list[Exchange] = []  # noqa: RUF012 - one test at a time; its fixture clears it

    async def end(self, exchange: Exchange) -> None:
        """Keep it."""
        self.ended.append(exchange)


@pytest.fixture
def ended(install: Install) -> list[Exchange]:
    """Return where the exchanges of this test are kept."""
    install("recorder", Recorder)
    Recorder.ended.clear()
    return Recorder.ended


def plugins(*names: str) -> list[PluginEntry]:
    return [*PLUGINS, PluginEntry(name="recorder"), *(PluginEntry(name=name) for name in names)]


def kill(client: Client) -> None:
    """Go as a process that was killed: a reset."""
    client.kill()


def close(client: Client) -> None:
    """Go as a program that has had enough: the connection is closed properly."""
    client.writer.close()


BOTH = pytest.mark.parametrize("leave", [kill, close])
Leave = Callable[[Client], None]

HANGING = {
    "before the head": chat("sim:fault=hang"),
    "before the head of a stream": chat("sim:fault=hang", stream=True),
    "in a slow head": chat("sim:fault=slow-head,slow=1s"),
    "while the head is held": chat("sim:fault=hang-body,at=0", stream=True),
    "within a stream": chat("sim:fault=hang-body,at=20,chunks=40", stream=True),
    "within a stream that goes on": chat("sim:chunks=100000,pace=5ms", stream=True),
    "within a whole answer": chat("sim:fault=hang-body"),
    "while the vendor thinks": chat("sim:latency=10m"),
}


@BOTH
@pytest.mark.parametrize("body", HANGING.values(), ids=HANGING.keys())
async def test_the_vendors_connection_is_closed_when_the_client_goes(
    stage: Stage, ended: list[Exchange], body: dict[str, object], leave: Leave
) -> None:
    """Streaming or not, before the first token or after it."""
    gate = await stage.open(server=PATIENT, plugins=plugins())
    stats = stage.stats()
    client = await Client.connect(gate.port)
    await client.send(request(body))
    await until(lambda: stats.open == 1)
    if "chunks" in str(body["model"]):
        await client.until(b"data: ")
    leave(client)
    await until(lambda: stats.aborted == 1)
    await until(lambda: stats.open == stats.connected == 0)
    await until(lambda: ended)
    [exchange] = ended
    assert (exchange.outcome, exchange.status) == ("cancelled", 499)
    assert [attempt.result for attempt in exchange.attempts] == ["cancelled"]


@BOTH
async def test_a_client_that_goes_while_it_waits_frees_its_place(
    stage: Stage, ended: list[Exchange], leave: Leave
) -> None:
    """The vendor never hears of it, and the next in the queue moves up."""
    gate = await stage.open(
        server=PATIENT, plugins=plugins(), providers={"sim": {"workers": 1, "queue": 2}}
    )
    unit = gate.unit()
    async with await Client.connect(gate.port) as first:
        await first.send(request(chat("sim:fault=hang")))
        await until(lambda: unit.busy == stage.stats().requests == 1)
        second, third = await Client.connect(gate.port), await Client.connect(gate.port)
        await second.send(request(chat(text="second")))
        await until(lambda: unit.depth == 1)
        await third.send(request(chat(text="third")))
        await until(lambda: unit.depth == 2)
        leave(second)
        await until(lambda: unit.depth == 1)
        assert stage.stats().requests == 1
    assert b"You said: third" in (await third.reply()).body
    await third.__aexit__()
    assert stage.stats().requests == 2
    assert sorted(exchange.outcome for exchange in ended) == ["cancelled", "cancelled", "ok"]


@BOTH
async def test_a_client_that_goes_during_a_pause_before_a_retry_ends_it(
    stage: Stage, ended: list[Exchange], leave: Leave
) -> None:
    """No second attempt is made for somebody who is not there."""
    gate = await stage.open(
        server=PATIENT,
        plugins=plugins(),
        defaults=Defaults(retries=Retries(attempts=3, backoff=0, backoff_max=300)),
    )
    client = await Client.connect(gate.port)
    await client.send(request(chat("sim:fault=status-429,retry_after=1m")))
    await until(lambda: stage.stats().requests == 1 and gate.unit().busy == 0)
    leave(client)
    await until(lambda: ended)
    assert (ended[0].outcome, len(ended[0].attempts)) == ("cancelled", 1)
    assert stage.stats().requests == 1


class Slow(Plugin):
    """Waits for ever in one of its stages."""

    entered = asyncio.Event()
    left = 0

    async def wait(self) -> None:
        """Wait, and count who was made to stop."""
        self.entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            type(self).left += 1


class SlowPre(Slow):
    """In `pre`."""

    async def pre(self, exchange: Exchange) -> Response | None:
        """Wait."""
        await self.wait()
        return None


class SlowPost(Slow):
    """In `post`."""

    async def post(self, exchange: Exchange, response: Response) -> Response:
        """Wait."""
        await self.wait()
        return response


@BOTH
@pytest.mark.parametrize("kind", [SlowPre, SlowPost])
async def test_a_client_that_goes_while_a_plugin_works_ends_its_work(
    stage: Stage, install: Install, ended: list[Exchange], kind: type[Slow], leave: Leave
) -> None:
    """A stage is cancelled where it waits; `end` comes all the same, once."""
    kind.entered, kind.left = asyncio.Event(), 0
    install("slow", kind)
    gate = await stage.open(server=PATIENT, plugins=plugins("slow"))
    client = await Client.connect(gate.port)
    await client.send(request(chat()))
    await kind.entered.wait()
    leave(client)
    await until(lambda: kind.left == 1)
    await until(lambda: ended)
    assert [exchange.outcome for exchange in ended] == ["cancelled"]
    assert stage.stats().aborted == 0


@BOTH
async def test_a_client_that_goes_within_its_own_upload_ends_the_vendors_request(
    stage: Stage, leave: Leave
) -> None:
    """The vendor sees a request that breaks off, never one that looks whole."""
    heads, gone = [], []

    async def script(line: Line) -> None:
        heads.append(await line.head())
        await line.gone()
        gone.append(line)

    async with Vendor(script) as vendor:
        gate = await stage.open(vendors=(), providers={"sim": {"base_url": vendor.url}})
        for framing in ({"content-length": "1000000"}, {"transfer-encoding": "chunked"}):
            sent = request(path="/v1/files", headers=framing)
            if "transfer-encoding" in framing:
                sent = sent.replace(b"content-length: 0\r\n", b"") + b"5\r\nhello\r\n"
            client = await Client.connect(gate.port)
            await client.send(sent + b"")
            await until(lambda: len(heads) == len(gone) + 1)
            leave(client)
            await until(lambda: len(heads) == len(gone))
            await until(lambda: gate.unit().busy == 0)


@BOTH
async def test_a_client_that_goes_within_a_download_ends_it(stage: Stage, leave: Leave) -> None:
    """A vendor that would send for ever stops sending."""
    gone = []

    async def script(line: Line) -> None:
        await line.request()
        await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n")
        try:
            while True:
                await line.send(b"x" * 65536)
                await asyncio.sleep(0)
        except ConnectionError:
            gone.append(line)

    async with Vendor(script) as vendor:
        gate = await stage.open(vendors=(), providers={"sim": {"base_url": vendor.url}})
        client = await Client.connect(gate.port)
        await client.send(request(method="GET", path="/v1/files/file-1/content"))
        await client.reader.readexactly(1_000_000)
        leave(client)
        await until(lambda: gone)
        await until(lambda: gate.unit().busy == 0)


async def test_a_client_that_leaves_its_websocket_takes_the_vendors_with_it(stage: Stage) -> None:
    """A conversation that the vendor holds open ends with the client's."""
    gate = await stage.open()
    url = f"ws://127.0.0.1:{gate.port}/v1/realtime?model=sim"
    async with ClientSession(headers={"authorization": f"Bearer {KEY}"}) as session:
        socket = await session.ws_connect(url)
        created = await socket.receive()
        assert created.type is WSMsgType.TEXT
        assert json.loads(created.data)["type"] == "session.created"
        assert stage.stats().connected == 1
        transport = socket.get_extra_info("socket")
        assert transport is not None
        socket._response.close()  # without a close frame, as a killed client
        await until(lambda: stage.stats().connected == 0)
        await until(lambda: gate.unit().busy == 0)


async def test_clients_that_come_and_go_leave_the_pool_in_order(stage: Stage) -> None:
    """After many broken calls at random places the next ones are served as ever."""
    gate: Gate = await stage.open(
        routes={"*": route(Deployment(provider="sim"))}, providers={"sim": {"workers": 4}}
    )
    body = request(chat("sim:chunks=50,pace=1ms", stream=True))
    for place in range(0, 60, 3):
        clients = [await Client.connect(gate.port) for _ in range(6)]
        for client in clients:
            await client.send(body[: len(body) - place] if place % 2 else body)
        await asyncio.sleep(place / 10_000)
        for client in clients:
            client.kill()
    unit = gate.unit()
    await until(lambda: unit.busy == unit.depth == 0)
    await until(lambda: stage.stats().open == 0)
    async with await Client.connect(gate.port) as client:
        for number in range(5):
            await client.send(request(chat(text=f"after {number}")))
            assert f"You said: after {number}".encode() in (await client.reply()).body
    assert unit.upstream.open == unit.upstream.idle
