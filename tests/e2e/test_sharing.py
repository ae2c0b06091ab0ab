"""Gateways that share what they know through Redis, and are none the worse without it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import msgspec
import pytest

from proxy.config.resilience import Breaker
from proxy.config.structs import Config, Defaults, Retries, State
from proxy.config.types import Secret
from proxy.sharing import redisstore
from tests.e2e.raw import ask, chat, request
from tests.e2e.stage import Gate, Stage, route
from tests.e2e.test_admin import KEYS, admin
from tests.proxy.vendor import until
from tests.servers import RedisServer

SICK = "sick:fault=status-500,times=3"
ONCE = Retries(attempts=1, backoff=0.001, backoff_max=0.01)


async def sharing(stage: Stage, url: str, **settings: Any) -> Config:
    """Return the configuration of a gateway whose circuits open at the third failure."""
    defaults = Defaults(retries=ONCE, breaker=Breaker(failures=3, open=1, slow_start=0))
    state = State(redis=Secret(url), prefix="tests")
    settings = {"routes": {"*": route("sim")}, "keys": KEYS, **settings}
    return await stage.config(state=state, defaults=defaults, **settings)


async def pair(stage: Stage, url: str) -> tuple[Gate, Gate]:
    """Start two gateways that share their state."""
    config = await sharing(stage, url)
    gates = (await stage.serve(config), await stage.serve(config))
    for gate in gates:
        await until(lambda it=gate: it.gateway._fleet.away == "")
    return gates


def circuit(gate: Gate, model: str = SICK) -> str:
    return gate.unit().health(model).breaker.state


async def break_it(gate: Gate) -> None:
    for _ in range(3):
        assert (await ask(gate.port, request(chat(SICK)))).status == 502


async def ready(gate: Gate) -> dict[str, Any]:
    reply = await ask(gate.port, b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n")
    assert reply.status == 200
    return json.loads(reply.body)


async def test_gateways_share_an_opening_and_a_recovery(
    redis_server: RedisServer, stage: Stage
) -> None:
    """One has learned that a vendor is sick: the other leaves it alone as well, and comes back."""
    first, second = await pair(stage, redis_server.url)
    await break_it(first)
    await until(lambda: circuit(second) == "open")
    refused = await ask(second.port, request(chat(SICK)))
    assert (refused.status, stage.stats().requests) == (503, 3)

    async def tried() -> None:
        while circuit(first) != "closed" or circuit(second) != "closed":
            for gate in (first, second):
                await ask(gate.port, request(chat(SICK)))
            await asyncio.sleep(0.05)

    await asyncio.wait_for(tried(), 20)
    assert (await ask(first.port, request(chat(SICK)))).status == 200
    assert (await ask(second.port, request(chat(SICK)))).status == 200


async def test_a_drain_reaches_all_replicas_and_newcomers(
    redis_server: RedisServer, stage: Stage
) -> None:
    """The operator tells one; the calls under way elsewhere end in peace, new ones stay away."""
    first, second = await pair(stage, redis_server.url)
    assert (await ask(first.port, request(chat("demo")))).status == 200
    await admin(first, "POST", "drain", {"deployment": "sim/demo"})
    await until(lambda: second.unit().health("demo").drained)
    assert (await ask(second.port, request(chat("demo")))).status == 503
    assert (await ask(second.port, request(chat("other")))).status == 200
    third = await stage.serve(await sharing(stage, redis_server.url))
    await until(lambda: third.unit().health("demo").drained)
    await admin(third, "POST", "drain", {"deployment": "sim/demo", "drained": False})
    for gate in (first, second):
        await until(lambda it=gate: not it.unit().health("demo").drained)


async def test_redis_may_die_in_the_middle_and_come_back(
    redis_server: RedisServer, stage: Stage
) -> None:
    """Calls go on; what happened meanwhile is told afterwards."""
    first, second = await pair(stage, redis_server.url)
    assert (await ready(first))["degraded"] == []
    redis_server.kill()
    await until(lambda: first.gateway._fleet.away and second.gateway._fleet.away)
    assert "shared state is away" in (await ready(first))["degraded"][0]
    scraped = await ask(first.port, b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
    assert b"headgate_shared_state_up 0.0" in scraped.body
    assert (await ask(first.port, request(chat()))).status == 200
    await break_it(first)
    assert (circuit(first), circuit(second)) == ("open", "closed")
    first.unit().health(SICK).breaker.opened(time.monotonic(), time.monotonic() + 60)
    redis_server.start()
    await until(lambda: circuit(second) == "open")
    assert (await ready(first))["degraded"] == []


async def test_a_redis_that_hangs_slows_no_call(
    redis_server: RedisServer, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket that never answers is the background's trouble; no request waits for it."""
    monkeypatch.setattr(redisstore, "TIMEOUT_S", 30.0)  # a call that waited would be seen
    redis_server.freeze()
    gate = await stage.serve(await sharing(stage, redis_server.url))
    async with asyncio.timeout(10):
        for _ in range(20):
            assert (await ask(gate.port, request(chat()))).status == 200
        await break_it(gate)
        assert (await ask(gate.port, request(chat(SICK)))).status == 503
        assert (await admin(gate, "POST", "drain", {"deployment": "sim"})).status == 200
        assert (await ready(gate))["ready"]
    redis_server.thaw()


async def test_a_new_address_of_redis_is_taken_with_the_configuration(
    redis_server: RedisServer, stage: Stage
) -> None:
    """Sharing begins, and ends, without a restart."""
    config = await sharing(stage, redis_server.url)
    alone = msgspec.structs.replace(config, state=State())
    first, second = await stage.serve(alone), await stage.serve(config)
    await until(lambda: second.gateway._fleet.away == "")
    await break_it(second)
    assert circuit(first) == "closed"
    second.unit().health(SICK).breaker.opened(time.monotonic(), time.monotonic() + 60)
    await first.reload(config)
    await until(lambda: circuit(first) == "open")
    await second.reload(alone)
    assert second.gateway._fleet.away is None
