"""Copies of a route's traffic go to another route; clients never notice."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
import structlog

from proxy.config.resilience import Mirror
from tests.e2e.raw import ask, chat, request, texts
from tests.e2e.stage import Stage, route
from tests.proxy.vendor import until


def routes(shadow: str, **mirror: Any) -> dict[str, Any]:
    """Return a route whose copies go to `shadow`."""
    return {
        "main": route("a/sim:text=echo", mirror=Mirror(route="shadow", **mirror)),
        "shadow": route(shadow),
    }


@pytest.fixture
def told(stage: Stage) -> list[Mapping[str, Any]]:
    """Return what the log tells of copies."""
    lines: list[Mapping[str, Any]] = []
    note = stage._note

    def listen(logger: object, name: str, event: Mapping[str, Any]) -> Any:
        if event.get("event") == "mirrored":
            lines.append(dict(event))
        return note(logger, name, event)

    structlog.configure(processors=[listen])
    return lines


@pytest.mark.parametrize("stream", [False, True])
async def test_a_copy_is_sent_and_compared_in_numbers(
    stage: Stage, told: list[Mapping[str, Any]], stream: bool
) -> None:
    """The client has its own answer; the log has no word of either text."""
    gate = await stage.open(vendors=("a", "b"), routes=routes("b/sim:text=echo"))
    reply = await ask(gate.port, request(chat("main", "a secret", stream=stream)))

    assert reply.headers["x-headgate-provider"] == "a"
    assert b"secret" in reply.body
    await until(lambda: bool(told))
    line = told[0]
    assert (line["similarity"], line["provider"], line["mirror"]["provider"]) == (1.0, "a", "b")
    assert line["characters"] == line["mirror"]["characters"] == len("a secret")
    assert line["mirror"]["outcome"] == "ok"
    assert "secret" not in str(line)
    assert stage.stats("b").requests == 1


async def test_what_differs_is_seen(stage: Stage, told: list[Mapping[str, Any]]) -> None:
    """By how much, and in what."""
    gate = await stage.open(vendors=("a", "b"), routes=routes("b/sim:text=lorem"))
    await ask(gate.port, request(chat("main", "some words")))
    await until(lambda: bool(told))

    assert told[0]["similarity"] < 0.5


async def test_a_slow_copy_is_no_business_of_the_clients(
    stage: Stage, told: list[Mapping[str, Any]]
) -> None:
    """Its answer came before, and the number of copies under way is bounded."""
    gate = await stage.open(vendors=("a", "b"), routes=routes("b/sim:latency=500ms", most=2))
    for _ in range(6):
        reply = await ask(gate.port, request(chat("main", "x", stream=True)))
        assert texts(reply.body) == "x"
    await until(lambda: len(told) == 2)
    assert stage.stats("b").requests == 2


async def test_a_copy_that_fails_is_told_as_such(
    stage: Stage, told: list[Mapping[str, Any]]
) -> None:
    """The log has its code, and the client's answer nothing of it."""
    gate = await stage.open(vendors=("a", "b"), routes=routes("b/sim:fault=status-400"))
    assert (await ask(gate.port, request(chat("main")))).status == 200
    await until(lambda: bool(told))

    mirror = told[0]["mirror"]
    assert (mirror["outcome"], mirror["code"]) == ("error", "invalid_request")


async def test_a_share_of_the_traffic_is_mirrored(stage: Stage) -> None:
    """About as much as was asked for; an error of the client's own is not copied."""
    gate = await stage.open(vendors=("a", "b"), routes=routes("b/sim", share=0.3, most=1000))
    replies = await asyncio.gather(*(ask(gate.port, request(chat("main"))) for _ in range(200)))
    assert {reply.status for reply in replies} == {200}
    await until(lambda: stage.stats("b").open == 0 and stage.stats("b").requests > 25)
    await asyncio.sleep(0.05)

    assert 30 <= stage.stats("b").requests <= 95
