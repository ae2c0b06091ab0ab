"""A thousand clients, every fault there is: each gets its own answer, or one honest error."""

from __future__ import annotations

import asyncio
import gc
import json
import random
import resource
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from proxy.config.structs import Defaults, Retries, Route, Timeouts
from proxy.errors import CODES
from proxy.sim.behaviour import FAULTS
from tests.e2e.raw import Client, Reply, chat, events, request, texts
from tests.e2e.stage import Gate, Stage, route

CLIENTS = 1000
SEED = 20261121
STATUSES = ("status-429", "status-500", "status-503", "status-529", "status-401", "status-422")
FINE = frozenset({"comments", "crlf", "no-usage", "slow-read"})
"""Faults that no client should notice."""

LIMITS = Timeouts(connect=5, first_token=1, idle=0.5, total=4)


class Part(NamedTuple):
    """What one client does, and what it must be told."""

    number: int
    model: str
    stream: bool
    leaves: bool
    text: str


@pytest.fixture(autouse=True)
def _many_descriptors() -> Iterator[None]:
    """Let this process have a descriptor for both ends of every connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 6 * CLIENTS
    if hard not in (resource.RLIM_INFINITY,) and hard < wanted:
        pytest.skip(f"this system allows {hard} descriptors, and {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def routes() -> dict[str, Route]:
    """One route a fault, alone; and one where a healthy deployment is behind it."""
    made = {"*": route("a")}
    for fault in (*FAULTS, *STATUSES):
        options = f"text=echo,fault={fault},retry_after=10ms,slow=0.1ms,rate=0.7"
        options += ",latency=5ms,jitter=5ms,pace=0.3ms"
        made[f"alone-{fault}"] = route(f"a/sim:{options}")
        made[f"backed-{fault}"] = route(f"a/sim:{options}", "b/sim:text=echo,pace=0.1ms")
    return made


def parts(names: list[str]) -> list[Part]:
    """Draw what the clients do; the same every time."""
    dice = random.Random(SEED)
    drawn = []
    for number in range(CLIENTS):
        words = " ".join(f"m{number}w{word}" for word in range(dice.randint(1, 40)))
        drawn.append(
            Part(number, dice.choice(names), dice.random() < 0.6, dice.random() < 0.1, words)
        )
    return drawn


async def play(gate: Gate, part: Part) -> Reply | None:
    """Be one client; None if it left on its own accord."""
    dice = random.Random(part.number)
    async with await Client.connect(gate.port) as client:
        await client.send(request(chat(part.model, part.text, stream=part.stream)))
        if part.leaves:
            await asyncio.sleep(dice.uniform(0, 0.3))
            client.kill()
            return None
        async with asyncio.timeout(30):
            return await client.reply()


def judge(part: Part, reply: Reply) -> str:
    """Say how it ended; fails where it is neither one's own answer nor one honest error."""
    if reply.status != 200:
        assert reply.whole
        return honest(reply.error)
    if not part.stream:
        assert reply.whole
        document = json.loads(reply.body)
        assert document["choices"][0]["message"]["content"] == part.text
        return "ok"
    assert reply.whole, (part, reply)
    *before, last = events(reply.body)
    documents = [json.loads(event) for event in before]
    assert not any("error" in document for document in documents)
    if last == b"[DONE]":
        assert texts(reply.body) == part.text
        return "ok"
    said = "".join(text_of(document) for document in documents)
    assert part.text.startswith(said), "a part of one's own answer, and nothing twice"
    assert b"[DONE]" not in reply.body
    return "within: " + honest(json.loads(last)["error"])


def text_of(document: dict[str, Any]) -> str:
    return "".join(choice["delta"].get("content") or "" for choice in document["choices"])


def honest(error: dict[str, Any]) -> str:
    """An error says what it is, from the closed list, and is no mistake of ours."""
    code: str = error["code"]
    assert code in CODES
    assert code != "internal_error"
    assert error["message"]
    return code


async def test_each_of_a_thousand_clients_gets_its_own_answer_or_one_error(stage: Stage) -> None:
    """No cross-talk, no text twice, no silent end; and afterwards all is as it was."""
    many = {"workers": 300, "queue": 1000}
    gate = await stage.open(
        vendors=("a", "b"),
        routes=routes(),
        providers={"a": many, "b": many},
        defaults=Defaults(
            timeouts=LIMITS, retries=Retries(attempts=3, backoff=0.01, backoff_max=0.1)
        ),
    )
    drawn = parts([name for name in routes() if name != "*"])
    replies = await asyncio.gather(*(play(gate, part) for part in drawn))
    ends: Counter[str] = Counter()
    for part, reply in zip(drawn, replies, strict=True):
        if reply is not None:
            end = judge(part, reply)
            ends[end] += 1
            if part.model.partition("-")[2] in FINE:
                assert end == "ok", part
    assert ends["ok"] > CLIENTS / 3
    assert len(ends) > 5, ends
    assert not ends.keys() & {"queue_full", "queue_timeout"}
    await settled(stage, gate)


async def test_what_went_wrong_is_forgotten(stage: Stage) -> None:
    """Round after round of the same faults leaves no more objects than the one before."""
    gate = await stage.open(
        vendors=("a", "b"),
        routes=routes(),
        defaults=Defaults(
            timeouts=Timeouts(connect=5, first_token=0.2, idle=0.2, total=0.5),
            retries=Retries(attempts=3, backoff=0.01, backoff_max=0.1),
        ),
    )
    drawn = parts([name for name in routes() if name != "*"])[:150]
    counts = []
    for _ in range(4):
        await asyncio.gather(*(play(gate, part) for part in drawn))
        await settled(stage, gate)
        gate.gateway._fleet.history.clear()  # it is bounded, but not yet full
        gc.collect()
        counts.append(len(gc.get_objects()))
    assert counts[3] - counts[1] < 5 * len(drawn), counts


async def settled(stage: Stage, gate: Gate) -> None:
    """Everything is free again, and serves."""
    for name in ("a", "b"):
        unit = gate.unit(name)
        async with asyncio.timeout(10):
            while unit.busy or unit.depth or stage.stats(name).open:
                await asyncio.sleep(0.01)
        assert unit.upstream.open == unit.upstream.idle
        assert stage.stats(name).connected == unit.upstream.open
    body = chat("a/sim:text=echo", "afterwards")
    for stream in (False, True):
        reply = await play(gate, Part(0, "a/sim:text=echo", stream, False, "afterwards"))
        assert reply is not None
        assert judge(Part(0, str(body["model"]), stream, False, "afterwards"), reply) == "ok"
