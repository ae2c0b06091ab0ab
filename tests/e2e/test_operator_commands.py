"""`headgate deployments` and `headgate drain`, against a running gateway."""

from __future__ import annotations

import asyncio

import pytest

from proxy import cli
from tests.e2e.raw import ask, chat, request
from tests.e2e.stage import KEY, Gate, Stage, route
from tests.e2e.test_admin import ADMIN, KEYS


async def run(gate: Gate, *arguments: str, key: str = ADMIN) -> int:
    """Run a command as the operator would."""
    url = f"http://127.0.0.1:{gate.port}"
    return await asyncio.to_thread(cli.run, [*arguments, "--url", url, "--key", key])


async def test_an_operator_drains_and_looks(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same as the API, in words."""
    gate = await stage.open(keys=KEYS, routes={"fast": route("sim/demo")})
    assert (await ask(gate.port, request(chat("fast")))).status == 200
    assert await run(gate, "drain", "sim/demo") == 0
    assert capsys.readouterr().out == "sim/demo gets no new calls\n"
    assert gate.unit().health("demo").drained
    assert await run(gate, "deployments") == 0
    shown = capsys.readouterr().out
    assert "sim: 0 of 64 workers busy, 0 queued" in shown
    assert "demo: circuit closed" in shown
    assert ", drained" in shown
    assert await run(gate, "drain", "sim/demo", "--undo") == 0
    assert not gate.unit().health("demo").drained


async def test_what_the_gateway_says_against_it_is_shown(
    stage: Stage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, and an exit code for scripts."""
    gate = await stage.open(keys=KEYS, routes={"fast": route("sim/demo")})
    assert await run(gate, "drain", "sim/dem") == 1
    assert "did you mean sim/demo" in capsys.readouterr().err
    assert await run(gate, "deployments", key=KEY) == 1
    assert "no admin's" in capsys.readouterr().err
    monkeypatch.setenv("HEADGATE_ADMIN_KEY", ADMIN)
    assert await run(gate, "deployments", key="") == 0


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense", "http://[::1"])
def test_no_gateway_is_told(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The address is what to look at first."""
    assert cli.run(["deployments", "--url", url]) == 1
    assert f"no answer from {url}" in capsys.readouterr().err
