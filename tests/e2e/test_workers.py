"""Several workers of one host, without Redis: what one is told, all know."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.e2e.process import Process
from tests.e2e.raw import Client, Reply, ask, chat, request
from tests.e2e.stage import KEY
from tests.e2e.test_admin import ADMIN

CONFIG = """
server: {grace: 2s, workers: 3}
providers: {sim: {options: {tokens: %d}}}
routes: {"*": {deployments: [{provider: sim}]}}
keys: [{name: tests, value: %s}, {name: boss, value: %s, admin: true}]
"""
MANY = 12


def write(process: Process, tokens: int = 5) -> None:
    process.path.write_text(CONFIG % (tokens, KEY, ADMIN))


@pytest.fixture
async def workers(process: Process) -> Process:
    """Three workers."""
    write(process)
    await process.start(workers=3)
    return process


async def admin(process: Process, method: str, path: str, body: object = b"") -> Reply:
    sent = request(body, path=f"/admin/api/{path}", method=method, key=ADMIN)
    return await ask(process.port, sent)


async def statuses(process: Process) -> set[int]:
    """Ask on so many connections that every worker gets some."""
    return {(await ask(process.port, request(chat("sim/demo")))).status for _ in range(MANY)}


async def test_a_drain_reaches_every_worker_and_the_next(workers: Process) -> None:
    """Also one that is started later because another died."""
    assert await statuses(workers) == {200}
    assert (await admin(workers, "POST", "drain", {"deployment": "sim/demo"})).status == 200
    assert await statuses(workers) == {503}
    started = await workers.logged("worker started", 3)
    os.kill(started[0]["pid"], signal.SIGKILL)
    await workers.logged("serving", 4)
    assert await statuses(workers) == {503}
    reply = await admin(workers, "GET", "deployments")
    assert json.loads(reply.body)["processes"] == 3
    undo = {"deployment": "sim/demo", "drained": False}
    assert (await admin(workers, "POST", "drain", undo)).status == 200
    assert await statuses(workers) == {200}


async def test_an_exchange_is_found_whoever_served_it(workers: Process) -> None:
    """The operator has an id, not a process."""
    for _ in range(MANY):
        reply = await ask(workers.port, request(chat("demo")))
        found = await admin(workers, "GET", f"exchanges/{reply.headers['x-request-id']}")
        assert found.status == 200
        assert json.loads(found.body)["attempts"][0]["result"] == "ok"


async def test_a_configuration_is_read_by_every_worker(workers: Process) -> None:
    """The answer comes when all have it."""
    before = json.loads((await admin(workers, "POST", "config")).body)["version"]
    write(workers, tokens=7)
    told = json.loads((await admin(workers, "POST", "config")).body)
    assert len(told["workers"]) == 2
    versions = {told["version"], *(worker["version"] for worker in told["workers"])}
    assert len(versions) == 1
    assert before not in versions
    workers.path.write_text("routes: {fast: {}}")
    refused = await admin(workers, "POST", "config")
    assert refused.status == 422
    assert any("routes.fast" in problem for problem in refused.error["problems"])


async def test_a_stream_under_way_goes_on_while_it_is_drained(workers: Process) -> None:
    """Drained means no new calls, not an end of those there are."""
    async with await Client.connect(workers.port) as client:
        await client.send(request(chat("sim/demo:chunks=30,pace=20ms", stream=True)))
        await client.until(b'"content"')
        await admin(workers, "POST", "drain", {"deployment": "sim"})
        rest = await client.until(b"[DONE]")
    assert b'"error"' not in rest


async def test_the_metrics_of_all_workers_show_a_drain(workers: Process) -> None:
    """A state is the worst that any worker knows, not a sum."""
    await admin(workers, "POST", "drain", {"deployment": "sim"})

    async def shown() -> bool:
        reply = await ask(workers.port, request(path="/metrics", method="GET"))
        return b'headgate_drained{model="*",provider="sim"} 1.0' in reply.body

    for _ in range(3):
        assert await shown()
