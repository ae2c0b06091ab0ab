"""`headgate check --live` over simulated vendors, good and faulty ones."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proxy import live
from proxy.config.structs import (
    Config,
    Deployment,
    Key,
    NearerTimeouts,
    PluginEntry,
    Provider,
    Route,
)
from proxy.config.types import Secret
from proxy.live import UNTRIED, Finding, Row
from proxy.sink import Sink
from tests.source import ROOT

CHAT = ("chat", "stream", "tools", "json_schema")


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A log that nobody reads."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    sink = Sink(descriptor)
    yield sink
    sink.close()
    os.close(descriptor)


def config(routes: dict[str, Any] | None = None, **providers: dict[str, Any]) -> Config:
    """Return a configuration of simulators with these options."""
    named = {name: Provider(adapter="sim", options=each) for name, each in providers.items()}
    one = {"m": Route(deployments=[Deployment(provider=name, model="m") for name in providers])}
    return Config(providers=named, routes=routes or one)


def told(row: Row) -> dict[str, str]:
    """Return what a row shows."""
    return {feature: str(finding) for feature, finding in row.findings.items()}


async def test_every_feature_of_a_good_vendor_works(sink: Sink) -> None:
    """An embedding model is asked for embeddings, any other for the rest."""
    deployments = [
        Deployment(provider="sim", model="gpt-4o"),
        Deployment(provider="sim", model="text-embedding-3-small"),
    ]
    checked = await live.check(config({"r": Route(deployments=deployments)}, sim={}), sink)
    chat, embeddings = checked
    assert chat.name == "sim/gpt-4o"
    assert told(chat) == {**dict.fromkeys(CHAT, "ok"), "embeddings": UNTRIED}
    assert told(embeddings) == {**dict.fromkeys(CHAT, UNTRIED), "embeddings": "ok"}
    assert not live.failed(checked)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("malformed", "upstream_bad_response"),
        ("status-503", "upstream_error"),
        ("status-429", "upstream_rate_limited"),
        ("context", "context_length_exceeded"),
        ("filter", "content_filter"),
        ("reset", "upstream_unreachable"),
        ("status-401", "upstream_auth"),
    ],
)
async def test_a_faulty_vendor_is_told_by_its_errors_code(
    sink: Sink, fault: str, code: str
) -> None:
    """Beside a good one, which does not answer in its place."""
    bad, good = await live.check(config(bad={"fault": fault}, good={}), sink)
    assert told(bad) == {**dict.fromkeys(CHAT, f"no: {code}"), "embeddings": UNTRIED}
    assert all(bad.findings[feature].reason for feature in CHAT)
    assert set(told(good).values()) == {"ok", UNTRIED}
    assert live.failed([bad])
    assert not live.failed([good])


async def test_nothing_is_tried_twice(sink: Sink) -> None:
    """A vendor that fails every first time is not whole."""
    (row,) = await live.check(config(bad={"fault": "status-500", "times": 1}), sink)
    assert told(row)["chat"] == "no: upstream_error"
    assert told(row)["stream"] == "ok"


async def test_a_stream_that_breaks_off_does_not_work(sink: Sink) -> None:
    """Although it has begun well, and whole answers are right."""
    (row,) = await live.check(config(bad={"fault": "cut", "cut": 2500, "tokens": 200}), sink)
    assert row.findings["stream"].fault == "upstream_truncated"


@pytest.mark.parametrize(
    ("options", "feature", "fault"),
    [
        ({"tools": "never"}, "tools", "no_call"),
        ({"tokens": 1, "fault": "no-done"}, "stream", "upstream_truncated"),
        ({"fault": "empty"}, "chat", "upstream_bad_response"),
    ],
)
async def test_what_is_missing_in_an_answer_is_told(
    sink: Sink, options: dict[str, Any], feature: str, fault: str
) -> None:
    """An answer with status 200 may still not do what was asked."""
    (row,) = await live.check(config(bad=options), sink)
    assert row.findings[feature].fault == fault


async def test_a_deployment_is_called_once_and_with_its_own_settings(sink: Sink) -> None:
    """However many routes and keys there are, and whatever the chain is."""
    slow = Deployment(
        provider="sim", model="m:latency=10s", timeouts=NearerTimeouts(first_token=0.05, total=0.05)
    )
    routes = {
        "one": Route(deployments=[slow, Deployment(provider="sim", model="m", priority=2)]),
        "two": Route(deployments=[Deployment(provider="sim", model="m", weight=3)]),
        "m": Route(deployments=[Deployment(provider="sim")], fallbacks=["one"]),
        "gpt-*": Route(deployments=[Deployment(provider="sim")]),
    }
    whole = Config(
        providers={"sim": Provider()},
        routes=routes,
        plugins=[PluginEntry(name="auth"), PluginEntry(name="access_log")],
        keys=[Key(name="a", value=Secret("hg-a-0123456789"), routes=["two"])],
    )
    first, second = await live.check(whole, sink)
    assert first.findings["chat"].fault == "upstream_timeout"
    assert second.name == "sim/m"
    assert not live.failed([second])
    assert live.unnamed(whole) == ["gpt-*"]


def test_a_table_has_a_row_for_each_deployment_and_reasons_below() -> None:
    """The columns stand under each other."""
    untried = Finding(tried=False)
    rows = [
        Row("a/long-name", dict.fromkeys(live.FEATURES, Finding())),
        Row(
            "b/m", {**dict.fromkeys(live.FEATURES, untried), "chat": Finding(fault="x", reason="y")}
        ),
    ]
    header, first, second, empty, reason = live.table(rows).splitlines()
    assert header.split() == ["deployment", *live.FEATURES]
    assert first.split() == ["a/long-name", *["ok"] * 5]
    assert header.index("chat") == first.index("ok") == second.index("no: x")
    assert (empty, reason) == ("", "b/m chat: y")


@pytest.mark.parametrize(("fault", "code"), [("", 0), ("options: {fault: status-500}", 1)])
def test_the_command_prints_the_table_and_fails_with_a_vendor(
    tmp_path: Path, fault: str, code: int
) -> None:
    """For scripts; nothing but the table and the summary is on standard output."""
    path = tmp_path / "headgate.yaml"
    path.write_text(
        f"providers: {{v: {{adapter: sim, {fault}}}}}\n"
        "routes: {a: {deployments: [{provider: v}]}, '*': {deployments: [{provider: v}]}}\n"
    )
    command = [sys.executable, "-m", "proxy", "check", "--live", "--config", str(path)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert done.returncode == code, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0] == f"ok: {path}"
    assert any(line.startswith("warning: the route * has a deployment without") for line in lines)
    (row,) = [line for line in lines if line.startswith("v/a  ")]
    assert row.split()[1] == ("no:" if code else "ok")
