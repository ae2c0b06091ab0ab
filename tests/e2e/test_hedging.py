"""Where the first token takes unusually long, a second call is made, and only one answers."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import pytest

from proxy.config.resilience import Hedge
from proxy.config.structs import PluginEntry, Retries
from proxy.exchange import Exchange
from proxy.hooks import Plugin
from tests.e2e.conftest import Install
from tests.e2e.raw import Client, Reply, ask, chat, events, request, texts
from tests.e2e.stage import PLUGINS, Gate, Stage, route
from tests.proxy.vendor import until

ALWAYS = Hedge(after=0.02, share=1, cost=1)
SLOW = "a/sim:first=20s,text=echo"


class Keeper(Plugin):
    """Keeps finished exchanges."""

    kept: ClassVar[list[Exchange]] = []

    async def end(self, exchange: Exchange) -> None:
        """Keep one."""
        self.kept.append(exchange)


@pytest.fixture(autouse=True)
def ended(install: Install) -> list[Exchange]:
    """Return the exchanges that have ended."""
    install("keeper", Keeper)
    Keeper.kept = []
    return Keeper.kept


async def opened(stage: Stage, *deployments: str, hedge: Hedge = ALWAYS) -> Gate:
    """Open a gateway with a route of these deployments."""
    return await stage.open(
        vendors=("a", "b"),
        routes={"*": route(*deployments, hedge=hedge, retries=Retries(attempts=4))},
        plugins=[*PLUGINS, PluginEntry(name="keeper")],
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_the_second_call_answers_and_the_first_is_cancelled(
    stage: Stage, ended: list[Exchange], stream: bool
) -> None:
    """Its vendor's connection is closed; both attempts are in the record."""
    slow = SLOW if stream else "a/sim:latency=20s"
    gate = await opened(stage, slow, "b/sim:text=echo")
    reply = await ask(gate.port, request(chat(text="once", stream=stream)))

    assert reply.status == 200
    assert reply.headers["x-headgate-provider"] == "b"
    assert reply.headers["x-headgate-attempts"] == "2"
    if stream:
        assert (texts(reply.body), events(reply.body)[-1]) == ("once", b"[DONE]")
    await until(lambda: stage.stats("a").aborted == 1)
    await until(lambda: bool(ended))
    told = [(a.provider, a.reason, a.result) for a in ended[0].attempts]
    assert told == [("a", "first", "lost"), ("b", "hedge", "ok")]
    assert (ended[0].provider, ended[0].outcome) == ("b", "ok")
    usage = ended[0].attempts[1].usage
    assert usage is not None
    assert ended[0].usage == usage


async def test_the_first_call_may_still_win(stage: Stage, ended: list[Exchange]) -> None:
    """Then it is the second that is cancelled."""
    gate = await opened(stage, "a/sim:first=100ms,text=echo", "b/sim:first=20s")
    reply = await ask(gate.port, request(chat(text="once", stream=True)))

    assert (texts(reply.body), reply.headers["x-headgate-provider"]) == ("once", "a")
    await until(lambda: bool(ended))
    assert [a.result for a in ended[0].attempts] == ["ok", "lost"]
    await until(lambda: stage.stats("b").aborted == 1)


async def test_no_second_call_where_the_first_is_quick(stage: Stage) -> None:
    """Or fails: then the next attempt is made as ever."""
    gate = await opened(stage, "a/sim:fault=status-500", "b/sim", hedge=Hedge(after=10, share=1))
    for _ in range(5):
        assert (await ask(gate.port, request(chat()))).headers["x-headgate-provider"] == "b"
    assert (stage.stats("a").requests, stage.stats("b").requests) == (5, 5)


async def test_two_failures_lead_to_the_next_attempt(stage: Stage, ended: list[Exchange]) -> None:
    """A race that nobody wins is two failed attempts, not an end."""
    gate = await stage.open(
        vendors=("a", "b", "c"),
        routes={
            "*": route(
                "a/sim:latency=100ms,fault=status-500",
                "b/sim:latency=100ms,fault=status-503",
                "c/sim:text=echo",
                hedge=ALWAYS,
                retries=Retries(attempts=4),
            )
        },
        plugins=[*PLUGINS, PluginEntry(name="keeper")],
    )
    reply = await ask(gate.port, request(chat(text="at last", stream=True)))

    assert (reply.status, texts(reply.body)) == (200, "at last")
    await until(lambda: bool(ended))
    assert [a.result for a in ended[0].attempts] == ["upstream_error", "upstream_error", "ok"]


async def test_hedges_are_a_bounded_share_of_the_calls(stage: Stage) -> None:
    """A vendor that has become slow for everybody does not double everybody's load."""
    gate = await opened(
        stage, "a/sim:first=60ms", "b/sim:first=60ms", hedge=Hedge(after=0.01, share=0.1)
    )
    sent = request(chat(stream=True))
    replies: list[Reply] = []
    for _ in range(10):
        replies += await asyncio.gather(*(ask(gate.port, sent) for _ in range(10)))

    assert {reply.status for reply in replies} == {200}
    calls = stage.stats("a").requests + stage.stats("b").requests
    assert 105 <= calls <= 111


async def test_the_time_is_learned_where_none_is_configured(stage: Stage) -> None:
    """No hedge before 20 calls have been seen; then beyond what is usual."""
    gate = await opened(stage, "a/sim:text=echo", "b/sim:text=echo", hedge=Hedge(share=1, cost=1))
    health = gate.unit("a").health("sim:text=echo")
    sent = request(chat(stream=True))
    for _ in range(19):
        await ask(gate.port, sent)
    assert health.usual_s(stream=True) is None
    assert stage.stats("b").requests == 0
    for _ in range(6):
        await ask(gate.port, sent)
    usual_s = health.usual_s(stream=True)
    assert usual_s is not None
    assert 0 < usual_s < 5


async def test_a_client_that_leaves_ends_both_calls(stage: Stage, ended: list[Exchange]) -> None:
    """Nothing goes on for nobody."""
    gate = await opened(stage, SLOW, "b/sim:first=20s")
    client = await Client.connect(gate.port)
    await client.send(request(chat(stream=True)))
    await until(lambda: stage.stats("b").open == 1)
    client.kill()
    await until(lambda: stage.stats("a").aborted == stage.stats("b").aborted == 1)
    await until(lambda: bool(ended))
    assert [a.result for a in ended[0].attempts] == ["cancelled", "cancelled"]
