"""Starting and stopping, on both event loops."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
import uvloop

from proxy.sim.behaviour import Behaviour
from proxy.sim.server import Simulator
from tests.proxy.sim.raw import Running, Start


async def test_it_counts_what_it_sees(sim: Running) -> None:
    """Requests, connections and bytes; shown to whoever asks, and reset."""
    await sim.chat("sim")
    async with aiohttp.ClientSession(sim.url) as session:
        async with session.get("/sim/stats") as response:
            found = await response.json()
        assert found["requests"] == 1
        assert found["connections"] == 2
        assert found["bytes"] > 500
        async with session.post("/sim/reset") as response:
            assert response.status == 200
        async with session.get("/healthz") as response:
            assert await response.json() == {"status": "ok"}
    assert sim.simulator.stats.requests == 0


async def test_closing_breaks_what_is_open(start: Start) -> None:
    """No connection, no task and no listener is left; closing twice is closing once."""
    running = await start()
    before = len(asyncio.all_tasks())
    reader, writer = await running.open()
    body = b'{"model":"sim:fault=hang","messages":[]}'
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body))
    writer.write(body)
    while not running.simulator.stats.open:
        await asyncio.sleep(0)
    await running.simulator.close()
    await running.simulator.close()
    assert await reader.read() == b""
    writer.close()
    assert running.simulator.stats.connected == 0
    assert running.simulator.stats.aborted == 0
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == before
    with pytest.raises(OSError, match=r"."):
        await running.open()


def test_what_never_started_has_seen_nothing() -> None:
    """Asking it is a mistake."""
    with pytest.raises(RuntimeError):
        _ = Simulator().stats


async def test_a_key(start: Start) -> None:
    """401 without it."""
    running = await start(key="secret")
    found = await running.chat("sim")
    assert (found.status, found.json["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_both_event_loops(run: Callable[[Any], Any]) -> None:
    """Answers, resets and cuts are the same on asyncio's loop and on uvloop."""

    async def ask() -> None:
        simulator = Simulator(Behaviour(tokens=3))
        running = Running(simulator, await simulator.start())
        assert (await running.chat("sim")).json["usage"]["completion_tokens"] == 3
        assert (await running.chat("sim:fault=reset")).reset
        found = await running.chat("sim:cut=100000,bytes=1000,chunks=200")
        assert (len(found.body), found.reset) == (100_000, True)
        await simulator.close()

    run(ask())


async def test_marked_requests_get_their_own_answers(sim: Running) -> None:
    """Two hundred clients at once, with and without faults: no answer goes astray."""
    models = ("sim:text=echo", "sim:text=echo,latency=1ms", "sim:text=echo,fault=cut,rate=0.3")

    async def ask(number: int) -> bool:
        found = await sim.chat(models[number % 3], f"echo={number};")
        if found.reset:
            return False
        return bool(json.loads(found.body)["choices"][0]["message"]["content"] == f"echo={number};")

    whole = await asyncio.gather(*(ask(number) for number in range(200)))
    assert all(answered for number, answered in enumerate(whole) if number % 3 < 2)
    assert 0 < sum(not answered for answered in whole) < 67
    assert sim.simulator.stats.open == 0
