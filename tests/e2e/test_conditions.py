"""Requests go where conditions and splits send them."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from proxy.config.resilience import Condition, Split, When
from proxy.config.structs import Deployment, Key, Route
from proxy.config.types import Secret
from tests.e2e.raw import ask, chat, request
from tests.e2e.stage import KEY, Gate, Stage, route

KEYS = [
    Key(name="tests", value=Secret(KEY)),
    Key(name="gold", value=Secret("key-of-gold"), team="gold"),
    Key(name="europe", value=Secret("key-of-europe"), regions=["eu-*"]),
]
VENDORS = ("a", "b", "c")


async def went(gate: Gate, body: dict[str, Any], **sent: Any) -> str:
    """Return which provider answered."""
    reply = await ask(gate.port, request(body, **sent))
    assert reply.status == 200, reply.body
    return reply.headers["x-headgate-provider"]


async def test_the_first_condition_that_holds_decides(stage: Stage) -> None:
    """By header, tag, key, team, body and task; otherwise the route serves itself."""
    when = [
        When(header={"x-tier": "gold*"}, route="b"),
        When(tag={"env": "dev"}, route="b"),
        When(team=["gold"], route="c"),
        When(body={"/max_tokens": ">= 1000"}, route="c"),
        When(task=["code"], route="b"),
    ]
    routes = {"*": route("a", when=when), "b": route("b"), "c": route("c")}
    gate = await stage.open(vendors=VENDORS, routes=routes, keys=KEYS)

    assert await went(gate, chat()) == "a"
    assert await went(gate, chat(), headers={"x-tier": "gold-7"}) == "b"
    assert await went(gate, chat(), headers={"x-headgate-tags": "env=dev"}) == "b"
    assert await went(gate, chat(), key="key-of-gold") == "c"
    assert await went(gate, chat(max_tokens=1000)) == "c"
    assert await went(gate, chat(max_tokens=999)) == "a"
    assert await went(gate, chat(text="write a Python function")) == "b"
    assert await went(gate, chat(), headers={"x-headgate-tags": "task=code"}) == "b"


async def test_a_deployments_condition_keeps_others_away(stage: Stage) -> None:
    """It is no candidate for them; where nobody is, it is said why."""
    only = Deployment(provider="b", model="sim", when=Condition(tag={"env": "dev"}))
    routes = {"both": Route(deployments=[only, Deployment(provider="a", model="sim", priority=2)])}
    routes["alone"] = Route(deployments=[only])
    gate = await stage.open(vendors=VENDORS, routes=routes, keys=KEYS)
    dev = {"x-headgate-tags": "env=dev"}

    assert await went(gate, chat("both"), headers=dev) == "b"
    assert await went(gate, chat("both")) == "a"
    reply = await ask(gate.port, request(chat("alone")))
    assert (reply.status, reply.error["code"]) == (503, "no_deployment")
    assert "condition" in reply.error["message"]


async def test_a_region_is_kept_to(stage: Stage) -> None:
    """By tag and by key: better no answer than one from elsewhere."""
    gate = await stage.open(
        vendors=VENDORS,
        providers={"a": {"region": "us-east-1"}, "b": {"region": "eu-west-1"}},
        routes={"*": route("a", "b"), "us": route("a")},
        keys=KEYS,
    )
    assert await went(gate, chat()) == "a"
    assert await went(gate, chat(), headers={"x-headgate-tags": "region=eu-west-1"}) == "b"
    assert await went(gate, chat(), key="key-of-europe") == "b"
    reply = await ask(gate.port, request(chat("us"), key="key-of-europe"))
    assert (reply.status, reply.error["code"]) == (503, "no_deployment")
    assert stage.stats("a").requests == 1


async def test_a_split_is_stable(stage: Stage) -> None:
    """Each user stays on one side, and the sides have about their shares."""
    split = [Split(route="b", share=0.3)]
    routes = {"*": route("a", split=split, split_by="user"), "b": route("b")}
    gate = await stage.open(vendors=VENDORS, routes=routes, keys=KEYS)
    first = [await went(gate, chat(user=f"user-{n}")) for n in range(200)]
    again = [await went(gate, chat(user=f"user-{n}")) for n in range(200)]

    assert first == again
    assert 35 <= Counter(first)["b"] <= 85


async def test_the_error_lists_what_was_tried(stage: Stage) -> None:
    """The first cause, and every attempt with its end."""
    gate = await stage.open(
        vendors=VENDORS,
        routes={"*": route("a/sim:fault=status-500", "b/sim:fault=status-503,retry_after=0")},
        keys=KEYS,
    )
    reply = await ask(gate.port, request(chat()))

    assert (reply.status, reply.error["upstream_status"]) == (502, 500)
    tried = [(a["provider"], a["result"], a["status"]) for a in reply.error["attempts"]]
    assert tried[:2] == [("a", "upstream_error", 500), ("b", "upstream_error", 503)]
    assert json.loads(reply.body)["error"]["code"] == "upstream_error"
