"""A simulator for one test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from proxy.sim.behaviour import from_options
from proxy.sim.server import Simulator
from tests.proxy.sim.raw import Running, Start


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    running: list[Simulator] = []

    async def start_one(options: dict[str, object] | None = None, key: str = "") -> Running:
        simulator = Simulator(from_options(options or {}), key=key)
        running.append(simulator)
        return Running(simulator, await simulator.start())

    yield start_one
    for simulator in running:
        await simulator.close()


@pytest.fixture
async def sim(start: Start) -> Running:
    return await start()
