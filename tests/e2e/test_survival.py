"""What a gateway is bought for: a vendor fails, and clients notice as little as possible."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
import openai
import pytest

from proxy.config.resilience import Adaptive, Breaker, Hedge, Probe, StrategyEntry
from proxy.config.structs import Config, Defaults, Hold, Retries, Route, Server, Timeouts
from tests.e2e.raw import Client, Reply, ask, chat, events, request, texts
from tests.e2e.stage import Gate, Stage, route
from tests.proxy.vendor import until

CLIENTS = 40
SEED = 20261126
SURE = Retries(attempts=3, backoff=0.001, backoff_max=0.05)
NEVER = Breaker(enabled=False)


async def crowd(port: int, sent: Sequence[bytes]) -> list[Reply]:
    """Send these requests from some clients that each keep a connection, in their order."""
    replies: list[Reply | None] = [None] * len(sent)
    turns = iter(range(len(sent)))

    async def client() -> None:
        line: Client | None = None
        for turn in turns:
            line = line or await Client.connect(port)
            await line.send(sent[turn])
            reply = replies[turn] = await line.reply()
            if reply.headers.get("connection") == "close":
                await line.__aexit__()
                line = None
        if line is not None:
            await line.__aexit__()

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return [reply for reply in replies if reply is not None]


FAULTS = {
    "status": "fault=status-500",
    "reset": "fault=reset",
    "truncated": "cut=30",
    "slow": "first=10s",
}
"""What the primary does to three of ten calls; `cut=30` is before any content."""


def unsteady() -> dict[str, Route]:
    """Routes with a primary that fails three times of ten, one for each way to fail."""
    primary = {
        name: f"a/sim-{name}:text=echo,rate=0.3,seed={SEED},{fault}"
        for name, fault in FAULTS.items()
        if name != "slow"
    }
    made = {name: route(model, "b/sim:text=echo") for name, model in primary.items()}
    slow, fast = (
        f"a/sim-{name}:text=echo,first={wait}" for name, wait in (("s", "9s"), ("f", "0"))
    )
    made["slow"] = route(slow, "b/sim:text=echo")
    made["fast"] = route(fast, "b/sim:text=echo")
    return made


async def test_with_three_of_ten_calls_failing_nearly_all_succeed(stage: Stage) -> None:
    """10 000 calls, half of them streams: each its own text, once, with bounded attempts."""
    gate = await stage.open(
        vendors=("a", "b"),
        routes=unsteady(),
        providers={"a": {"workers": 100}, "b": {"workers": 100}},
        defaults=Defaults(
            retries=SURE,
            breaker=Breaker(open=0.05, open_max=0.1, slow_start=0),
            timeouts=Timeouts(first_token=0.2, whole=0.2),
        ),
    )
    dice = random.Random(SEED)
    names = dice.choices(
        ["status", "reset", "truncated", "slow", "fast"], [20, 20, 20, 3, 17], k=10_000
    )
    asked = [chat(name, f"words of number {n}", stream=bool(n % 2)) for n, name in enumerate(names)]
    replies = await crowd(gate.port, [request(body) for body in asked])

    good = [n for n, reply in enumerate(replies) if said(reply) == f"words of number {n}"]
    assert len(good) >= 9_990
    for n in set(range(10_000)) - set(good):
        assert replies[n].status != 200 or b'"error"' in replies[n].body
    attempts = Counter(int(reply.headers["x-headgate-attempts"]) for reply in replies)
    assert max(attempts) <= SURE.attempts
    assert attempts[2] > 1_000, "the primary was tried again and again"


def said(reply: Reply) -> str:
    """Return the text of a whole answer or of a stream that came to its end."""
    if reply.status != 200 or not reply.whole:
        return ""
    if reply.headers["content-type"].startswith("text/event-stream"):
        return texts(reply.body) if events(reply.body)[-1] == b"[DONE]" else ""
    text: str = json.loads(reply.body)["choices"][0]["message"]["content"]
    return text


@pytest.mark.parametrize("breaker", [NEVER, Breaker()], ids=["without", "with"])
async def test_a_vendor_that_always_fails_is_not_stormed(stage: Stage, breaker: Breaker) -> None:
    """It gets a tenth more than there were calls; with a breaker, ten calls and a few probes."""
    gate = await stage.open(defaults=Defaults(retries=SURE, breaker=breaker))
    calls = [request(chat("sim:fault=status-500", f"{n}")) for n in range(1_000)]
    replies = await crowd(gate.port, calls)

    assert {reply.status for reply in replies} <= {502, 503}
    seen = stage.stats().requests
    assert seen <= 1_100 + 3
    if breaker.enabled:
        assert seen <= 10 + CLIENTS + 10
        refused = [reply for reply in replies if reply.status == 503]
        assert {reply.error["code"] for reply in refused} == {"no_deployment"}
        assert all(int(reply.headers["retry-after"]) >= 1 for reply in refused)


async def test_the_sdks_own_retries_do_not_multiply_ours(stage: Stage) -> None:
    """It is told not to try again, and does not: 60 calls are no more than 66 at the vendor."""
    gate = await stage.open(defaults=Defaults(retries=SURE, breaker=NEVER))
    async with gate.client(max_retries=2) as client:
        for _ in range(60):
            with pytest.raises(openai.InternalServerError) as raised:
                await client.chat.completions.create(
                    model="sim:fault=status-500", messages=[{"role": "user", "content": "x"}]
                )
            assert raised.value.response.headers["x-should-retry"] == "false"

    assert stage.stats().requests <= 66 + 3


async def test_an_open_circuit_sends_calls_elsewhere_and_comes_back(stage: Stage) -> None:
    """The primary rests, one probe finds it well, and it serves again."""
    primary = "a/sim:fault=status-503,times=3"
    gate = await stage.open(
        vendors=("a", "b"),
        routes={"*": route(primary, "b/sim")},
        defaults=Defaults(
            retries=SURE, breaker=Breaker(failures=3, open=0.1, open_max=0.1, slow_start=0)
        ),
    )
    sent = request(chat())
    seen = [(await ask(gate.port, sent)).headers["x-headgate-provider"] for _ in range(5)]
    assert seen == ["b"] * 5
    assert stage.stats("a").requests == 3
    health = gate.unit("a").health(primary.removeprefix("a/"))
    assert health.breaker.state == "open"

    async def back() -> bool:
        return (await ask(gate.port, sent)).headers["x-headgate-provider"] == "a"

    async with asyncio.timeout(10):
        while not await back():
            await asyncio.sleep(0.01)
    assert health.breaker.state == "closed"


async def test_the_gateway_itself_finds_out_that_a_model_is_well(stage: Stage) -> None:
    """Where probes are wanted no client's call is one: they go elsewhere until it is well."""
    primary = "a/sim:fault=status-503,times=5"
    gate = await stage.open(
        vendors=("a", "b"),
        routes={"*": route(primary, "b/sim")},
        defaults=Defaults(
            retries=SURE,
            breaker=Breaker(failures=3, open=0.05, open_max=0.05, slow_start=0),
            probe=Probe(interval=0.05, timeout=1),
        ),
    )
    sent = request(chat())
    for _ in range(3):
        assert (await ask(gate.port, sent)).headers["x-headgate-provider"] == "b"
    health = gate.unit("a").health(primary.removeprefix("a/"))
    assert health.breaker.state == "open"
    await until(lambda: health.breaker.state == "closed")

    assert stage.stats("a").requests == 3 + 2 + 1
    assert (await ask(gate.port, sent)).headers["x-headgate-provider"] == "a"


async def test_a_drained_provider_gets_no_new_calls_and_keeps_those_it_has(stage: Stage) -> None:
    """By the configuration, and taken back the same way."""
    config = await stage.config(vendors=("a", "b"), routes={"*": route("a", "b")})
    gate = await stage.serve(config)
    async with await Client.connect(gate.port) as client:
        await client.send(request(chat("sim:chunks=30,pace=5ms", stream=True)))
        await client.until(b"data: ")
        await gate.reload(with_provider(config, "a", drained=True))
        replies = [await ask(gate.port, request(chat())) for _ in range(3)]
        assert {reply.headers["x-headgate-provider"] for reply in replies} == {"b"}
        assert b"[DONE]" in await client.until(b"0\r\n\r\n")
    await gate.reload(config)
    assert (await ask(gate.port, request(chat()))).headers["x-headgate-provider"] == "a"


def with_provider(config: Config, name: str, **settings: object) -> Config:
    """Return the configuration with other settings of a provider."""
    other = msgspec.structs.replace(config.providers[name], **settings)
    return msgspec.structs.replace(config, providers={**config.providers, name: other})


@asynccontextmanager
async def hanging(gate: Gate, model: str, calls: int) -> AsyncIterator[None]:
    """Let so many clients hang in a provider that never answers."""
    clients = []
    unit = gate.unit("a")
    for number in range(1, calls + 1):
        client = await Client.connect(gate.port)
        await client.send(request(chat(model)))
        await until(lambda n=number: unit.busy + unit.depth == n)
        clients.append(client)
    try:
        yield
    finally:
        for client in clients:
            client.kill()


async def test_one_of_three_providers_hangs_and_the_others_do_not_notice(stage: Stage) -> None:
    """2 000 calls to the others all succeed; those of the sick one are refused at once."""
    gate = await stage.open(
        vendors=("a", "b", "c"),
        routes={"a": route("a/sim:fault=hang"), "b": route("b"), "c": route("c")},
        providers={"a": {"workers": 4, "queue": 4}},
        server=Server(grace=1, hold=Hold(time=60)),
    )
    async with hanging(gate, "a", 8):
        calls = [request(chat("bc"[n % 2], stream=bool(n % 3))) for n in range(2_000)]
        replies = await crowd(gate.port, calls)
        assert {reply.status for reply in replies} == {200}
        assert all(reply.whole for reply in replies)
        for _ in range(20):
            reply = await ask(gate.port, request(chat("a")))
            assert (reply.status, reply.error["code"]) == (503, "queue_full")
        assert stage.stats("a").requests == 4


async def test_those_that_hang_in_the_sick_one_end_at_their_own_time(stage: Stage) -> None:
    """With 504 for who had a worker and 503 for who waited; nobody waits for ever."""
    gate = await stage.open(
        routes={"*": route("sim/sim:fault=hang")},
        providers={"sim": {"workers": 2, "queue": 10, "queue_timeout": 0.3}},
    )
    sent = request(chat(), headers={"x-headgate-timeout": "200ms"})
    replies = await asyncio.gather(*(ask(gate.port, sent) for _ in range(6)))
    codes = Counter((reply.status, reply.error["code"]) for reply in replies)
    assert codes[504, "upstream_timeout"] >= 2
    assert set(codes) <= {(504, "upstream_timeout"), (503, "queue_timeout")}


async def test_whenever_clients_leave_nothing_is_left_behind(stage: Stage) -> None:
    """In a queue, on the way, in a race of two calls or as a probe: every place comes back."""
    faulty = "sim:fault=status-500,rate=0.5,latency=3ms"
    gate = await stage.open(
        vendors=("a", "b"),
        routes={
            "*": route(
                *(f"a/{faulty}", f"b/{faulty},first=3ms"),
                strategy=StrategyEntry(name="latency"),
                hedge=Hedge(after=0.004, share=1, cost=1),
            )
        },
        providers={
            name: {"workers": 4, "queue": 50, "adaptive": Adaptive(enabled=True)} for name in "ab"
        },
        defaults=Defaults(
            retries=SURE,
            breaker=Breaker(failures=3, open=0.01, open_max=0.02, slow_start=0.01),
        ),
    )
    dice = random.Random(SEED)

    async def visit(number: int) -> None:
        client = await Client.connect(gate.port)
        await client.send(request(chat(text=f"{number}", stream=bool(number % 2))))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(dice.choice([0, 0.001, 0.003, 0.006, 0.01, 0.03, 1])):
                await client.reply()
        client.kill()

    for start in range(0, 600, 40):
        await asyncio.gather(*(visit(start + n) for n in range(40)))

    for unit in (gate.unit("a"), gate.unit("b")):
        await until(lambda unit=unit: unit.busy + unit.depth + unit.held_bytes == 0)
        assert [health.busy for health in unit.healths.values()] == [0] * len(unit.healths)
        assert [credential.busy for credential in unit.credentials] == [0]
    well = request(chat("a/sim"))
    assert [(await ask(gate.port, well)).status for _ in range(5)] == [200] * 5

    async def recovered() -> bool:
        statuses = [(await ask(gate.port, request(chat()))).status for _ in range(8)]
        return statuses.count(200) >= 3

    async with asyncio.timeout(15):
        while not await recovered():
            await asyncio.sleep(0.02)
