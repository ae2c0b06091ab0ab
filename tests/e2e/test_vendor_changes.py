"""A conversation that begins at one vendor goes on at another, as after a fallback."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters._gemini_parts import NO_SIGNATURE
from proxy.config.structs import Deployment
from tests.e2e.stage import Stage, route
from tests.e2e.vendors.fleet import EACH, VENDORS
from tests.e2e.vendors.replay import Format, Replay, Said
from tests.e2e.vendors.stand import (
    CLOCK,
    HELLO,
    ONCE,
    PARIS,
    THOUGHT,
    TIME,
    WEATHER,
    Stand,
    provider_of,
    signing,
)


@contextlib.asynccontextmanager
async def all_of_them(stage: Stage) -> AsyncIterator[dict[str, Stand]]:
    """Stand every vendor up behind one gateway, each under its name as a model."""
    async with contextlib.AsyncExitStack() as stack:
        replays = {name: await stack.enter_async_context(Replay()) for name in VENDORS}
        for vendor in VENDORS.values():
            stack.enter_context(signing(vendor))
        gate = await stage.open(
            vendors=(),
            providers={
                name: provider_of(VENDORS[name], replay) for name, replay in replays.items()
            },
            routes={
                name: route(Deployment(provider=name, model=vendor.MODEL))
                for name, vendor in VENDORS.items()
            },
            defaults=ONCE,
        )
        client = await stack.enter_async_context(gate.client(timeout=20))
        stands = {name: Stand(VENDORS[name], replays[name], gate, client, name) for name in VENDORS}
        yield stands


@EACH
@pytest.mark.parametrize("drops", [False, True], ids=["kept", "dropped"])
async def test_a_tool_loop_that_goes_on_elsewhere(
    stage: Stage, vendor: Format, drops: bool
) -> None:
    """Calls and results arrive; of thoughts only what the next vendor can have as its own."""
    tools = [WEATHER, TIME]
    async with all_of_them(stage) as stands:
        first = next(stand for stand in stands.values() if stand.vendor is vendor)
        said = Said(calls=[PARIS, CLOCK], thought=THOUGHT)
        message, _ = await first.say(said, stream=True, tools=tools)
        if drops:
            message = {name: message[name] for name in ("role", "tool_calls")}
        results = [
            {"role": "tool", "tool_call_id": call["id"], "content": text}
            for call, text in zip(message["tool_calls"], ("sun", "noon"), strict=True)
        ]
        wrong = {}
        for name, stand in stands.items():
            if stand is first:
                continue
            turn: list[Any] = [*HELLO, message, *results]
            final, _ = await stand.say(Said("Well."), turn, stream=False, tools=tools)
            assert final["content"] == "Well."
            body = stand.replay.bodies[-1]
            assert stand.vendor.results(body) == [(*PARIS, "sun"), (*CLOCK, "noon")], name
            found = stand.vendor.thoughts(body)
            if found not in ([], stand.vendor.THOUGHT, [NO_SIGNATURE]):
                wrong[name] = found
    assert not wrong
