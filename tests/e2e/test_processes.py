"""Reloading, draining, dying: what an operator does to a gateway under load."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket

import pytest

from tests.e2e.process import Process
from tests.e2e.raw import Client, ask, chat, request, texts
from tests.e2e.stage import KEY
from tests.proxy.vendor import until

SLOW = chat("sim:chunks=60,pace=20ms,text=echo", "word " * 60, stream=True)


async def begun(port: int) -> Client:
    """Start a stream of more than a second, and wait for its first content."""
    client = await Client.connect(port)
    await client.send(request(SLOW))
    await client.until(b'"content":"word')
    return client


async def whole(client: Client) -> None:
    """The stream that was begun comes to its proper end."""
    rest = await client.until(b"[DONE]\n\n")
    assert b'"error"' not in rest
    await client.__aexit__()


async def version(process: Process) -> str:
    reply = await ask(process.port, request(chat()))
    assert reply.status == 200
    return reply.headers["x-headgate-config"]


@pytest.mark.parametrize("how", ["file", "SIGHUP"])
async def test_a_new_configuration_is_taken_while_requests_are_under_way(
    process: Process, how: str
) -> None:
    """The old requests finish under the old one; the next ones have the new."""
    process.write()
    await process.start()
    before = await version(process)
    client = await begun(process.port)
    process.write(options="tokens: 7, text: echo")
    if how == "SIGHUP":
        process.signal(signal.SIGHUP)
    [changed] = await process.logged("configuration changed")
    assert changed["before"] == before
    assert await version(process) == changed["version"] != before
    reply = await ask(process.port, request(chat(text="now an echo")))
    assert b'"now an echo"' in reply.body
    await whole(client)


async def test_a_bad_configuration_changes_nothing_and_says_why(process: Process) -> None:
    """The log has the place of each mistake; serving goes on; the next good one is taken."""
    process.write()
    await process.start()
    before = await version(process)
    good = process.path.read_text()
    bads = (good.replace("provider: sim}", "provider: smi}"), "{", good + "\nnonsense: 1\n")
    for number, bad in enumerate(bads, 1):
        process.path.write_text(bad)
        process.signal(signal.SIGHUP)
        refused = await process.logged("configuration refused, the old one stays", number)
        assert "headgate.yaml" in str(refused[-1]["problems"])
        assert await version(process) == before
    process.write(options="tokens: 9")
    process.signal(signal.SIGHUP)
    await process.logged("configuration changed")
    assert await version(process) != before


@pytest.mark.parametrize("workers", [1, 2])
async def test_sigterm_lets_streams_finish_and_takes_nothing_new(
    process: Process, workers: int
) -> None:
    """No new connection, no waiting for idle ones; the last stream ends, then the process."""
    process.write(workers=workers)
    await process.start(workers=workers)
    async with await Client.connect(process.port) as idle:
        await idle.send(request(chat()))
        assert (await idle.reply()).status == 200
        silent = await Client.connect(process.port)
        streams = [await begun(process.port) for _ in range(4)]
        process.signal(signal.SIGTERM)
        await process.logged("stopping", workers)
        assert await idle.closed()
        assert await silent.closed()
    await silent.__aexit__()
    await until(lambda: not listening(process.port))
    assert process.running, "it waits for the streams, and they for nobody"
    for client in streams:
        await whole(client)
    assert await process.ended() == 0


async def test_a_stream_past_the_grace_is_cut_off_and_says_so(process: Process) -> None:
    """What would go on for minutes does not keep the process; the log has how many."""
    process.write()
    process.path.write_text(process.path.read_text().replace("grace: 10s", "grace: 200ms"))
    await process.start()
    async with await Client.connect(process.port) as client:
        await client.send(request(chat("sim:chunks=6000,pace=50ms", stream=True)))
        await client.until(b"data: ")
        process.signal(signal.SIGTERM)
        rest = await client.rest()
    assert b"[DONE]" not in rest
    assert not rest.endswith(b"0\r\n\r\n")
    assert await process.ended() == 0
    assert not process.lines[-1].get("exc_info")
    [cut] = [line for line in process.lines if line["event"].startswith("requests cut off")]
    assert cut["requests"] == 1


async def test_a_worker_that_is_killed_is_replaced(process: Process) -> None:
    """The other one serves on meanwhile, and numbers of both are kept."""
    process.write(workers=2)
    await process.start(workers=2)
    first, second = (line["pid"] for line in process.lines if line["event"] == "serving")
    for _ in range(40):
        assert (await ask(process.port, request(chat()))).status == 200
    assert await counted(process) == 40
    os.kill(first, signal.SIGKILL)
    await process.logged("serving", 3)
    assert process.lines[-1]["pid"] not in (first, second)
    for _ in range(40):
        assert (await ask(process.port, request(chat()))).status == 200
    assert await counted(process) == 80


async def counted(process: Process) -> int:
    """Ask any worker for the requests of all, until two askings agree."""
    last = -1
    while True:
        reply = await ask(process.port, request(method="GET", path="/metrics"))
        found = re.findall(rb"^headgate_requests_total\{([^}]*)\} (\S+)$", reply.body, re.MULTILINE)
        total = sum(int(float(n)) for labels, n in found if b'outcome="ok"' in labels)
        if total == last:
            return total
        last = total
        await asyncio.sleep(1.0)


async def test_a_killed_parent_takes_its_workers_with_it(process: Process) -> None:
    """Nobody is left behind on the port."""
    process.write(workers=2)
    await process.start(workers=2)
    pids = [line["pid"] for line in process.lines if line["event"] == "serving"]
    process.signal(signal.SIGKILL)
    await process.ended()
    await until(lambda: not any(alive(pid) for pid in pids))


def listening(port: int) -> bool:
    """Whether anybody takes connections; the system may still finish one that was begun."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_the_access_log_has_one_line_an_exchange_and_no_key(process: Process) -> None:
    """Streams, errors and clients that left: each once, with how it ended."""
    process.write()
    await process.start()
    await ask(process.port, request(chat()))
    reply = await ask(process.port, request(chat("sim:text=echo", "hi", stream=True)))
    assert texts(reply.body) == "hi"
    await ask(process.port, request(chat("sim:fault=status-422")))
    await ask(process.port, request(chat(), key="sk-wrong-key-of-somebody"))
    client = await Client.connect(process.port)
    await client.send(request(chat("sim:chunks=6000,pace=50ms", stream=True)))
    await client.until(b"data: ")
    client.kill()
    lines = await process.logged("exchange", 5)
    outcomes = [(line["status"], line["outcome"], line["code"]) for line in lines]
    assert outcomes == [
        (200, "ok", None),
        (200, "ok", None),
        (422, "error", "invalid_request"),
        (401, "error", "invalid_api_key"),
        (499, "cancelled", "client_gone"),
    ]
    assert "sk-wrong-key" not in str(process.lines)
    assert KEY not in str(process.lines)


async def test_what_is_refused_before_the_plugins_is_logged_too(process: Process) -> None:
    """A body that is none is an exchange like any other."""
    process.write()
    await process.start()
    assert (await ask(process.port, request(b"no JSON"))).status == 400
    assert (await ask(process.port, request(chat()))).status == 200
    line = (await process.logged("exchange"))[0]
    assert (line["status"], line["code"]) == (400, "invalid_request")
