"""A new configuration comes in one step; who was there before is served as before."""

from __future__ import annotations

import asyncio

import msgspec

from proxy.config.structs import Config, PluginEntry, Provider, Server
from proxy.exchange import Exchange
from proxy.hooks import Plugin
from proxy.wire import Response
from tests.e2e.conftest import Install
from tests.e2e.raw import Client, ask, chat, request
from tests.e2e.stage import PLUGINS, Stage, route
from tests.proxy.vendor import until


class Gatekeeper(Plugin):
    """Lets a request wait in `pre` until it is told to go on."""

    entered = asyncio.Event()
    go_on = asyncio.Event()

    async def pre(self, exchange: Exchange) -> Response | None:
        """Wait, if the request asks for it."""
        if "x-wait" in exchange.headers:
            self.entered.set()
            await self.go_on.wait()
        return None


def changed(config: Config, provider: str, **settings: object) -> Config:
    """Return the configuration with other settings of a provider: it gets a new queue."""
    other = msgspec.structs.replace(config.providers[provider], **settings)
    return msgspec.structs.replace(config, providers={**config.providers, provider: other})


async def test_a_stream_under_way_outlives_its_provider(stage: Stage) -> None:
    """Its queue, workers and connections go when the last call has ended, and not before."""
    config = await stage.config()
    gate = await stage.serve(config)
    old = gate.unit()
    async with await Client.connect(gate.port) as client:
        await client.send(request(chat("sim:chunks=20,pace=10ms", stream=True)))
        await client.until(b"data: ")
        await gate.reload(changed(config, "sim", options={"another": "address"}))
        assert (gate.unit() is old, old.busy) == (False, 1)
        assert (await ask(gate.port, request(chat()))).status == 200
        rest = await client.until(b"0\r\n\r\n")
        assert b"[DONE]" in rest
        assert b'"error"' not in rest
    await until(lambda: old.busy == 0)
    await until(lambda: old.upstream.open == 0)


async def test_a_request_that_has_not_reached_its_vendor_yet_is_served_as_before(
    stage: Stage, install: Install
) -> None:
    """It may still be with the plugins when the configuration changes beneath it."""
    Gatekeeper.entered, Gatekeeper.go_on = asyncio.Event(), asyncio.Event()
    install("gatekeeper", Gatekeeper)
    config = await stage.config(plugins=[*PLUGINS, PluginEntry(name="gatekeeper")])
    gate = await stage.serve(config)
    before = gate.gateway.current().pipeline.snapshot.version
    async with await Client.connect(gate.port) as client:
        await client.send(request(chat(), headers={"x-wait": "1"}))
        await Gatekeeper.entered.wait()
        await gate.reload(changed(config, "sim", workers=7))
        await gate.reload(changed(config, "sim", workers=8))
        assert (await ask(gate.port, request(chat()))).status == 200
        Gatekeeper.go_on.set()
        reply = await client.reply()
    assert (reply.status, reply.headers["x-headgate-config"]) == (200, before)


async def test_what_did_not_change_stays(stage: Stage) -> None:
    """A provider of the same settings keeps its queue, its counts and its connections."""
    config = await stage.config(("a", "b"))
    gate = await stage.serve(config)
    assert (await ask(gate.port, request(chat("b/sim")))).status == 200
    unit, connections = gate.unit("b"), stage.stats("b").connections
    await gate.reload(changed(config, "a", workers=7))
    assert gate.unit("b") is unit
    assert (await ask(gate.port, request(chat("b/sim")))).status == 200
    assert stage.stats("b").connections == connections


async def test_routes_and_keys_come_and_go(stage: Stage) -> None:
    """The next request after the step sees all of the new and nothing of the old."""
    config = await stage.config(routes={"old": route("sim")})
    gate = await stage.serve(config)
    new = msgspec.structs.replace(config, routes={"new": route("sim")})
    async with await Client.connect(gate.port) as client:
        for written, served, gone in ((config, "old", "new"), (new, "new", "old")):
            await gate.reload(written)
            await client.send(request(chat(served)))
            assert (await client.reply()).status == 200
            await client.send(request(chat(gone)))
            assert (await client.reply()).status == 404


async def test_a_configuration_a_plugin_refuses_changes_nothing(stage: Stage) -> None:
    """Checked is not compiled: what comes to light only then is refused as well."""
    stage.expected_errors = {"configuration refused, the old one stays"}
    config = await stage.config()
    gate = await stage.serve(config)
    before = gate.gateway.current()
    bad = [*PLUGINS, PluginEntry(name="auth", options={"nonsense": 1})]
    await gate.reload(msgspec.structs.replace(config, plugins=bad))
    assert gate.gateway.current() is before
    assert (await ask(gate.port, request(chat()))).status == 200


async def test_a_simulator_with_other_options_leaves_nothing_of_the_old(stage: Stage) -> None:
    """The one before is closed once nobody listens to it any more."""
    config = msgspec.structs.replace(
        await stage.config(), providers={"sim": Provider(adapter="sim")}
    )
    gate = await stage.serve(config)
    for tokens in range(3, 8):
        assert (await ask(gate.port, request(chat()))).status == 200
        await gate.reload(changed(config, "sim", options={"tokens": tokens}))
    assert (await ask(gate.port, request(chat()))).status == 200
    await until(lambda: len(gate.gateway._simulators) == 1)


async def test_many_changes_under_load_fail_nobody(stage: Stage) -> None:
    """Fifty steps while a hundred clients ask: each is answered under one of them."""
    config = await stage.config(server=Server(grace=1))
    gate = await stage.serve(config)
    done = False

    async def ask_on() -> int:
        served = 0
        async with await Client.connect(gate.port) as client:
            while not done:
                await client.send(request(chat(stream=bool(served % 2))))
                reply = await client.reply()
                assert (reply.status, reply.whole) == (200, True), reply
                served += 1
        return served

    asking = [asyncio.ensure_future(ask_on()) for _ in range(20)]
    for step in range(50):
        await gate.reload(changed(config, "sim", workers=100 + step))
    done = True
    assert sum(await asyncio.gather(*asking)) > 50
