"""What operators ask of a running gateway, and tell it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from proxy.config.problems import ConfigError, Problem
from proxy.config.structs import Config, Credential, Key, Server
from proxy.config.types import Secret
from tests.e2e.raw import Reply, ask, chat, request
from tests.e2e.stage import CREDENTIAL, KEY, SERVER, Gate, Stage, route

ADMIN = "admin-key-of-the-tests"
KEYS = [
    Key(name="tests", value=Secret(KEY)),
    Key(name="boss", value=Secret(ADMIN), admin=True),
]


async def admin(gate: Gate, method: str, path: str, body: object = None, key: str = ADMIN) -> Reply:
    """Ask the administration something."""
    text = b"" if body is None else msgspec.json.encode(body)
    return await ask(gate.port, request(text, path=f"/admin/api/{path}", method=method, key=key))


async def seen(gate: Gate, provider: str = "sim") -> dict[str, Any]:
    """Return how a provider is doing."""
    reply = await admin(gate, "GET", "deployments")
    assert reply.status == 200, reply.body
    [found] = [p for p in json.loads(reply.body)["providers"] if p["provider"] == provider]
    return found


async def models(gate: Gate, provider: str = "sim") -> dict[str, Any]:
    """Return its models by name."""
    return {model["model"]: model for model in (await seen(gate, provider))["models"]}


async def test_only_an_admin_is_let_in(stage: Stage) -> None:
    """A client's key is not an operator's, and the answer does not say more than that."""
    gate = await stage.open(keys=KEYS)
    without = await ask(gate.port, b"GET /admin/api/deployments HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (without.status, without.error["code"]) == (401, "invalid_api_key")
    assert without.headers["www-authenticate"] == "Bearer"
    unknown = await admin(gate, "GET", "deployments", key="nobody's")
    assert unknown.status == 401
    client = await admin(gate, "POST", "drain", {"deployment": "sim"}, key=KEY)
    assert (client.status, client.error["code"]) == (403, "not_allowed")
    assert not gate.unit().drained


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"host: 127.0.0.1:8080\r\n", 200),
        (b"host: localhost\r\norigin: http://localhost:3000\r\n", 200),
        (b"host: [::1]:8080\r\n", 200),
        (b"host: rebound.example\r\n", 403),
        (b"host: 127.0.0.1\r\norigin: https://page.example\r\n", 403),
        (b"host: 127.0.0.1\r\norigin: null\r\n", 403),
        (b"host: 127.0.0.1\r\nx-forwarded-for: 203.0.113.9\r\n", 403),
    ],
)
async def test_without_keys_this_machine_alone_is_let_in(
    stage: Stage, headers: bytes, status: int
) -> None:
    """Neither a page in a browser here, nor what a proxy brings from elsewhere."""
    gate = await stage.open(keys=[], plugins=[])
    reply = await ask(gate.port, b"GET /admin/api/deployments HTTP/1.1\r\n" + headers + b"\r\n")
    assert reply.status == status


async def test_without_keys_on_all_addresses_nobody_is_let_in(stage: Stage) -> None:
    """Whoever reaches the port would be the operator."""
    server = Server(grace=1, host="0.0.0.0")
    gate = await stage.open(keys=[], plugins=[], server=server)
    reply = await ask(gate.port, b"GET /admin/api/deployments HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
    assert reply.status == 403


async def test_deployments_say_how_they_are_doing_and_no_secret(stage: Stage) -> None:
    """Credentials have names; their values are nobody's business."""
    named = [Credential(value=Secret(CREDENTIAL), name="main", requests=600)]
    gate = await stage.open(providers={"sim": {"credentials": named}}, keys=KEYS)
    for _ in range(3):
        assert (await ask(gate.port, request(chat("demo")))).status == 200
    reply = await admin(gate, "GET", "deployments")
    assert CREDENTIAL.encode() not in reply.body
    provider = await seen(gate)
    assert (provider["busy"], provider["queued"], provider["held_bytes"]) == (0, 0, 0)
    [credential] = provider["credentials"]
    assert (credential["name"], credential["state"]) == ("main", "well")
    assert credential["left"] == pytest.approx(1 - 3 / 600)
    demo = (await models(gate))["demo"]
    assert (demo["circuit"], demo["busy"], demo["drained"]) == ("closed", 0, False)
    assert demo["first_token_s"] > 0


async def test_a_dead_credential_and_an_open_circuit_are_seen(stage: Stage) -> None:
    """The operator sees what the gateway learned from its calls."""
    wrong = [Credential(value=Secret("sk-revoked"), name="old")]
    gate = await stage.open(
        vendors=("sim", "other"),
        providers={"sim": {"credentials": wrong}},
        keys=KEYS,
        routes={"*": route("sim"), "x": route("other/sick:fault=status-500")},
    )
    assert (await ask(gate.port, request(chat("demo")))).status == 502
    [credential] = (await seen(gate))["credentials"]
    assert (credential["state"], credential["refused_for"]) == ("dead", ["demo"])
    gate.unit("other").health("sick:fault=status-500").breaker._open(0)
    assert (await models(gate, "other"))["sick:fault=status-500"]["circuit"] == "open"


async def test_a_drained_model_gets_no_new_calls(stage: Stage) -> None:
    """Other models of the provider do, and it does again when the operator says so."""
    routes = {"pair": route("sim/a", "sim/b"), "*": route("sim")}
    gate = await stage.open(keys=KEYS, routes=routes)
    reply = await admin(gate, "POST", "drain", {"deployment": "sim/a"})
    assert json.loads(reply.body) == {"deployment": "sim/a", "drained": True}
    answer = await ask(gate.port, request(chat("pair")))
    assert (answer.status, answer.headers["x-headgate-model"]) == (200, "b")
    assert (await ask(gate.port, request(chat("sim/a")))).status == 503
    assert (await models(gate))["a"]["drained"]
    await admin(gate, "POST", "drain", {"deployment": "sim/a", "drained": False})
    answer = await ask(gate.port, request(chat("pair")))
    assert answer.headers["x-headgate-model"] == "a"


async def test_a_drain_outlives_a_new_configuration(stage: Stage) -> None:
    """Also where the provider is made anew because its connections changed."""
    config = await stage.config(keys=KEYS)
    gate = await stage.serve(config)
    await admin(gate, "POST", "drain", {"deployment": "sim"})
    old = gate.unit()
    provider = msgspec.structs.replace(
        config.providers["sim"],
        credentials=[
            Credential(value=Secret(CREDENTIAL), name="new"),
            Credential(value=Secret("sk-2")),
        ],
    )
    await gate.reload(msgspec.structs.replace(config, providers={"sim": provider}))
    assert gate.unit() is not old
    assert gate.unit().drained
    assert (await ask(gate.port, request(chat()))).status == 503


async def test_what_cannot_be_drained_is_told_with_the_nearest_names(stage: Stage) -> None:
    """A slip of the operator drains nothing."""
    gate = await stage.open(keys=KEYS, routes={"fast": route("sim/gpt-4o")})
    reply = await admin(gate, "POST", "drain", {"deployment": "sim/gpt-4"})
    assert (reply.status, reply.error["code"]) == (404, "not_found")
    assert "sim/gpt-4o" in reply.error["message"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"deployment": 5}, "deployment"),
        ({"deployment": "sim", "drained": "yes"}, "drained"),
        ({"deployment": "sim", "drain": True}, None),
        ({}, None),
        ([], None),
    ],
)
async def test_a_wrong_question_is_told(stage: Stage, body: object, param: str | None) -> None:
    """The error names the field, in OpenAI's shape."""
    gate = await stage.open(keys=KEYS)
    reply = await admin(gate, "POST", "drain", body)
    assert (reply.status, reply.error["code"]) == (400, "invalid_request")
    assert reply.error["param"] == param


async def test_paths_and_methods_are_told_apart(stage: Stage) -> None:
    """What is not there is 404, what is asked the wrong way 405 with the right one."""
    gate = await stage.open(keys=KEYS)
    assert (await admin(gate, "GET", "nothing")).status == 404
    wrong = await admin(gate, "GET", "drain")
    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
    preflight = await admin(gate, "OPTIONS", "drain")
    assert preflight.status == 405


async def test_an_exchange_is_told_with_its_attempts(stage: Stage) -> None:
    """Who was tried, why, for how long, and what came of it; nothing of what was said."""
    gate = await stage.open(
        vendors=("sick", "sim"),
        keys=KEYS,
        routes={"fast": route("sick/bad:fault=status-503", "sim/good")},
    )
    reply = await ask(gate.port, request(chat("fast", "a prompt nobody shall see")))
    assert reply.status == 200
    found = await admin(gate, "GET", f"exchanges/{reply.headers['x-request-id']}")
    told = json.loads(found.body)
    assert (told["asked"], told["route"]) == ("fast", "fast")
    assert (told["key"], told["outcome"]) == ("tests", "ok")
    assert [(a["provider"], a["result"], a["upstream_status"]) for a in told["attempts"]] == [
        ("sick", "upstream_error", 503),
        ("sim", "ok", 200),
    ]
    assert told["attempts"][0]["reason"] == "first"
    assert told["total_ms"] > 0
    for secret in (b"a prompt nobody shall see", CREDENTIAL.encode(), KEY.encode()):
        assert secret not in found.body
    assert (await admin(gate, "GET", "exchanges/req_nobody")).status == 404


async def test_a_request_is_explained_without_a_call(stage: Stage) -> None:
    """Filters with reasons, and the order of what is left."""
    gate = await stage.open(
        vendors=("sim", "other"), keys=KEYS, routes={"fast": route("sim/a", "other/b")}
    )
    await admin(gate, "POST", "drain", {"deployment": "sim/a"})
    body = {
        "model": "fast",
        "key": "tests",
        "tags": {"team": "x"},
        "body": {"messages": [{"role": "user", "content": "hi"}]},
    }
    reply = await admin(gate, "POST", "explain", body)
    told = json.loads(reply.body)
    rows = {row["deployment"]: row for row in told["steps"][0]["deployments"]}
    assert rows["sim/a"]["reason"] == "it is drained"
    assert rows["other/b"]["position"] == 1
    assert told["allowed"] is True
    assert stage.stats("other").requests == 0
    unknown = await admin(gate, "POST", "explain", {"model": "fast", "key": "nobody"})
    assert (unknown.status, unknown.error["param"]) == (400, "key")


async def test_a_new_configuration_is_taken_or_refused_with_its_mistakes(stage: Stage) -> None:
    """The answer says which version serves now; a mistake changes nothing."""
    config = await stage.config(keys=KEYS)
    gate = await stage.serve(config)
    reply = json.loads((await admin(gate, "POST", "config")).body)
    assert reply["before"] == reply["version"]
    gate.written[:] = [
        msgspec.structs.replace(
            config, server=msgspec.structs.replace(SERVER, max_body=1024 * 1024)
        )
    ]
    reply = json.loads((await admin(gate, "POST", "config")).body)
    assert reply["before"] != reply["version"]

    def refuse() -> Config:
        raise ConfigError([Problem("headgate.yaml", 3, "routes.fast", "is wrong")])

    gate.gateway._read = refuse
    refused = await admin(gate, "POST", "config")
    assert (refused.status, refused.error["code"]) == (422, "invalid_configuration")
    assert refused.error["problems"] == ["headgate.yaml:3: routes.fast: is wrong"]
    assert (await ask(gate.port, request(chat()))).headers["x-headgate-config"] == reply["version"]


async def test_the_metrics_show_circuits_drains_and_limits(stage: Stage) -> None:
    """What an alert is made of."""
    limited = [Credential(value=Secret(CREDENTIAL), name="main", requests=10)]
    gate = await stage.open(providers={"sim": {"credentials": limited}}, keys=KEYS)
    assert (await ask(gate.port, request(chat("demo")))).status == 200
    await admin(gate, "POST", "drain", {"deployment": "sim/demo"})
    gate.unit().health("demo").breaker._open(0)
    scraped = await ask(gate.port, b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
    lines = scraped.body.decode().splitlines()
    assert 'headgate_circuit_state{model="demo",provider="sim"} 2.0' in lines
    assert 'headgate_drained{model="demo",provider="sim"} 1.0' in lines
    assert 'headgate_drained{model="*",provider="sim"} 0.0' in lines
    assert 'headgate_quota_usage_ratio{credential="main",kind="requests",provider="sim"} 0.1' in [
        line.replace("0.09999999999999998", "0.1") for line in lines
    ]
    assert not any(line.startswith("headgate_shared_state_up ") for line in lines)
