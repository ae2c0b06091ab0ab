"""A provider's queue is shared by tenants and priorities, not taken by whoever comes first."""

from __future__ import annotations

import asyncio

import pytest

from proxy.config.structs import Key
from proxy.config.types import Secret
from tests.e2e.raw import Client, Reply, ask, chat, request
from tests.e2e.stage import Gate, Stage, route
from tests.proxy.vendor import until

NAMES = ["burst", *(f"quiet{n}" for n in range(9))]
KEYS = [Key(name=name, value=Secret(f"key-of-{name}")) for name in NAMES]
SLOW = "sim:latency=2ms"


async def blocked(gate: Gate, key: str) -> Client:
    """Take the only worker, until the client is killed."""
    client = await Client.connect(gate.port)
    await client.send(request(chat("sim:fault=hang"), key=key))
    await until(lambda: gate.unit().busy == 1)
    return client


async def queued(
    gate: Gate, order: list[str], name: str, *, headers: dict[str, str] | None = None, tag: str = ""
) -> asyncio.Task[Reply]:
    """Let a client wait in the queue; when it is served, its name goes into `order`."""

    async def call() -> Reply:
        reply = await ask(gate.port, request(chat(SLOW), key=f"key-of-{name}", headers=headers))
        order.append(tag or name)
        return reply

    return asyncio.ensure_future(call())


@pytest.fixture
async def gate(stage: Stage) -> Gate:
    return await stage.open(
        keys=KEYS,
        providers={"sim": {"workers": 1, "queue": 2_000, "queue_timeout": 60}},
        routes={"*": route("sim")},
    )


async def test_a_tenant_with_fifty_times_the_load_gets_its_share(gate: Gate) -> None:
    """While the nine others wait, it is served no more often than each of them."""
    first = await blocked(gate, "key-of-burst")
    order: list[str] = []
    calls = [await queued(gate, order, "burst") for _ in range(500)]
    await until(lambda: gate.unit().depth == 500)
    calls += [await queued(gate, order, name) for name in NAMES[1:] for _ in range(10)]
    await until(lambda: gate.unit().depth == 590)
    first.kill()
    replies = await asyncio.gather(*calls)

    assert {reply.status for reply in replies} == {200}
    last = max(place for place, name in enumerate(order) if name != "burst")
    assert order[:last].count("burst") <= 10 + 1


async def test_a_team_is_one_tenant_and_a_weight_a_larger_share(stage: Stage) -> None:
    """Two keys of a team wait for each other; thrice the weight is served thrice as often."""
    keys = [
        Key(name="one", value=Secret("key-of-one"), team="red"),
        Key(name="two", value=Secret("key-of-two"), team="red"),
        Key(name="heavy", value=Secret("key-of-heavy"), weight=3),
    ]
    gate = await stage.open(
        keys=keys, providers={"sim": {"workers": 1, "queue": 200, "queue_timeout": 60}}
    )
    first = await blocked(gate, "key-of-one")
    order: list[str] = []
    calls = [await queued(gate, order, name) for name in ("one", "two", "heavy") for _ in range(30)]
    await until(lambda: gate.unit().depth == 90)
    first.kill()
    await asyncio.gather(*calls)

    beginning = order[:32]
    assert 20 <= beginning.count("heavy") <= 28  # replies may be read in another order


async def test_the_urgent_are_served_first(gate: Gate) -> None:
    """Whoever came before them; among equals it is the order of arrival."""
    first = await blocked(gate, "key-of-burst")
    order: list[str] = []
    calls = []
    for priority in ("0", "5", "", "9", "5", "9"):
        headers = {"x-headgate-priority": priority} if priority else None
        tag = f"{priority or 'none'}-{len(calls)}"
        calls.append(await queued(gate, order, "quiet0", headers=headers, tag=tag))
        await until(lambda: gate.unit().depth == len(calls))
    first.kill()
    await asyncio.gather(*calls)

    assert order == ["9-3", "9-5", "5-1", "none-2", "5-4", "0-0"]


async def test_a_key_may_not_ask_for_more_than_it_is_allowed(stage: Stage) -> None:
    """Its own class, where it says nothing; never above its highest."""
    keys = [
        Key(name="batch", value=Secret("key-of-batch"), priority=1, max_priority=2),
        Key(name="quiet", value=Secret("key-of-quiet")),
    ]
    gate = await stage.open(keys=keys, providers={"sim": {"workers": 1, "queue": 20}})
    first = await blocked(gate, "key-of-quiet")
    order: list[str] = []
    urgent = {"x-headgate-priority": "9"}
    calls = [await queued(gate, order, "batch", headers=urgent)]
    await until(lambda: gate.unit().depth == 1)
    calls.append(await queued(gate, order, "quiet"))
    await until(lambda: gate.unit().depth == 2)
    first.kill()
    await asyncio.gather(*calls)

    assert order == ["quiet", "batch"]


@pytest.mark.parametrize("value", ["10", "-1", "high", "٣", "1.5"])
async def test_a_priority_that_is_none_is_told(gate: Gate, value: str) -> None:
    """Rather than taken for another."""
    headers = {"x-headgate-priority": value.encode().decode("latin-1")}
    sent = request(chat(), key="key-of-burst", headers=headers)
    reply = await ask(gate.port, sent)

    assert (reply.status, reply.error["code"]) == (400, "invalid_request")
    assert "x-headgate-priority" in reply.error["message"]


async def test_more_workers_by_a_new_configuration_serve_who_waits_at_once(stage: Stage) -> None:
    """Nobody loses the place; the queue that was there goes on."""
    slow = {"workers": 1, "queue": 20, "queue_timeout": 60.0}
    config = await stage.config(providers={"sim": slow}, keys=KEYS)
    gate = await stage.serve(config)
    unit = gate.unit()
    first = await blocked(gate, "key-of-burst")
    order: list[str] = []
    calls = [await queued(gate, order, "quiet0") for _ in range(5)]
    await until(lambda: unit.depth == 5)
    await gate.reload(await stage.config(providers={"sim": {**slow, "workers": 6}}, keys=KEYS))

    replies = await asyncio.gather(*calls)
    assert {reply.status for reply in replies} == {200}
    assert gate.unit() is unit
    assert unit.workers == 6
    first.kill()
