"""What all end-to-end tests share: uvloop, as in production, and a stage."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import uvloop

from proxy import registry
from proxy.hooks import Plugin
from tests.e2e.process import Process
from tests.e2e.stage import Stage

Install = Callable[[str, type[Plugin]], None]


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], uvloop.Loop]]:
    """Run on the loop that the gateway has in production."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the proxies of the machine that runs the tests out of them."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """Where vendors and gateways of one test stand."""
    async with Stage() as made:
        yield made


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return what makes a class a plugin under a name, as an entry point would."""
    found: dict[str, type[Plugin]] = {}
    known = registry._plugin_class
    monkeypatch.setattr(registry, "_plugin_class", lambda name: found.get(name) or known(name))
    return found.__setitem__


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    """A gateway in a process of its own, to be configured and started."""
    made = Process(tmp_path / "headgate.yaml")
    yield made
    await made.stop()
