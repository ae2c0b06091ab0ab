"""A provider that hangs is a provider that hangs: the others do not notice."""

from __future__ import annotations

import asyncio

from proxy.config.structs import Hold, Server, Timeouts
from tests.e2e.raw import Client, ask, chat, request
from tests.e2e.stage import Gate, Stage, route
from tests.proxy.vendor import until

ROUTES = {"a": route("a/sim:fault=hang"), "b": route("b"), "both": route("a/sim", "b/sim")}
SICK = {"workers": 3, "queue": 5}
PATIENT = Server(grace=1, hold=Hold(time=60))


async def stuck(gate: Gate, calls: int) -> list[Client]:
    """Let so many clients ask the provider that hangs, and wait until they are all inside."""
    clients = []
    unit = gate.unit("a")
    for number in range(1, calls + 1):
        client = await Client.connect(gate.port)
        await client.send(request(chat("a", stream=bool(number % 2))))
        await until(lambda n=number: unit.busy + unit.depth == n)
        clients.append(client)
    return clients


async def test_a_provider_that_hangs_leaves_the_other_alone(stage: Stage) -> None:
    """All workers and places of one are taken, and every call of the other succeeds."""
    gate = await stage.open(
        vendors=("a", "b"), routes=ROUTES, providers={"a": SICK}, server=PATIENT
    )
    clients = await stuck(gate, 8)
    replies = await asyncio.gather(
        *(ask(gate.port, request(chat("b", stream=bool(n % 2)))) for n in range(200))
    )
    assert {reply.status for reply in replies} == {200}
    assert all(reply.whole for reply in replies)
    assert (gate.unit("a").busy, gate.unit("a").depth) == (3, 5)
    for client in clients:
        client.kill()


async def test_a_full_queue_is_told_at_once(stage: Stage) -> None:
    """503 with a time to come back, and leave for the SDK to do so."""
    gate = await stage.open(
        vendors=("a", "b"), routes=ROUTES, providers={"a": SICK}, server=PATIENT
    )
    clients = await stuck(gate, 8)
    for stream in (False, True):
        reply = await ask(gate.port, request(chat("a", stream=stream)))
        assert (reply.status, reply.error["code"]) == (503, "queue_full")
        assert (reply.error["origin"], reply.error["retryable"]) == ("gateway", True)
        assert reply.headers["x-should-retry"] == "true"
        assert int(reply.headers["retry-after"]) >= 1
    assert (await ask(gate.port, request(chat("both")))).headers["x-headgate-provider"] == "b"
    ready = await ask(gate.port, request(method="GET", path="/readyz"))
    assert ready.status == 200
    for client in clients:
        client.kill()


async def test_passed_through_calls_are_bounded_too(stage: Stage) -> None:
    """What the gateway does not understand takes a worker all the same."""
    gate = await stage.open(
        vendors=("a", "b"),
        routes={**ROUTES, "*": route("a")},
        providers={"a": {"workers": 1, "queue": 0}},
        server=PATIENT,
    )
    clients = await stuck(gate, 1)
    reply = await ask(gate.port, request(method="GET", path="/v1/files"))
    assert (reply.status, reply.error["code"]) == (503, "queue_full")
    clients[0].kill()
    await until(lambda: gate.unit("a").busy == 0)
    assert (await ask(gate.port, request(method="GET", path="/v1/files"))).status == 200


async def test_a_wait_in_the_queue_has_a_limit(stage: Stage) -> None:
    """Who waited too long is told so, and may come back."""
    gate = await stage.open(
        vendors=("a", "b"),
        routes=ROUTES,
        providers={"a": {"workers": 1, "queue": 5, "queue_timeout": 0.1}},
        server=PATIENT,
    )
    clients = await stuck(gate, 1)
    reply = await ask(gate.port, request(chat("a")))
    assert (reply.status, reply.error["code"]) == (503, "queue_timeout")
    assert reply.headers["x-should-retry"] == "true"
    assert "retry-after" in reply.headers
    assert (await ask(gate.port, request(chat("both")))).headers["x-headgate-provider"] == "b"
    assert gate.unit("a").depth == 0
    clients[0].kill()


async def test_a_client_that_leaves_frees_its_worker_for_the_first_that_waits(
    stage: Stage,
) -> None:
    """Nobody overtakes, and nobody waits while a worker is free."""
    routes = {"*": route("sim")}
    gate = await stage.open(routes=routes, providers={"sim": {"workers": 1}}, server=PATIENT)
    unit = gate.unit()
    first = await Client.connect(gate.port)
    await first.send(request(chat("sim:fault=hang")))
    await until(lambda: unit.busy == 1)
    waiting = []
    for number in range(4):
        client = await Client.connect(gate.port)
        await client.send(request(chat(text=f"number {number}")))
        await until(lambda n=number: unit.depth == n + 1)
        waiting.append(client)
    first.kill()
    for number, client in enumerate(waiting):
        assert f"You said: number {number}".encode() in (await client.reply()).body
        await client.__aexit__()
    assert (unit.busy, unit.depth) == (0, 0)


async def test_a_timeout_gives_the_worker_back(stage: Stage) -> None:
    """A vendor that hangs for every call serves the queue as fast as the limit allows."""
    gate = await stage.open(
        providers={"sim": {"workers": 2, "queue": 10}}, timeouts=Timeouts(first_token=0.1)
    )
    sent = request(chat("sim:fault=hang", stream=True), headers={"x-stainless-retry-count": "9"})
    replies = await asyncio.gather(*(ask(gate.port, sent) for _ in range(6)))
    assert {(reply.status, reply.error["code"]) for reply in replies} == {(504, "upstream_timeout")}
    assert (gate.unit().busy, gate.unit().depth) == (0, 0)
