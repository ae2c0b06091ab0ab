"""Keys, own paths, memory."""

import json
from typing import Any

from proxy.sim.behaviour import Behaviour
from proxy.sim.desk import MAX_READY, MAX_REQUEST_BYTES, Desk, Request


def request(document: Any, path: str = "/v1/chat/completions", **changes: Any) -> Request:
    body = json.dumps(document).encode()
    return Request("POST", path, {}, body, True, True, 0.0)._replace(**changes)


CHAT = {"model": "sim", "messages": []}


def desk(key: str = "") -> Desk:
    return Desk(Behaviour(), key, lambda: 0.0)


def test_a_key_is_asked_for() -> None:
    """Without it, or with another, 401; the simulator's own paths need none."""
    found = desk("secret")
    right = {b"authorization": b"Bearer secret"}
    assert found.reply(request(CHAT)).script.status == 401
    assert found.reply(request(CHAT, headers={b"authorization": b"Bearer x"})).script.status == 401
    assert found.reply(request(CHAT, headers=right)).script.status == 200
    assert found.reply(request(CHAT, "/healthz", method="GET")).script.status == 200


def test_memory_needs_the_key_too() -> None:
    """An answer that was given once is not given to a stranger."""
    found = desk("secret")
    right = request(CHAT, headers={b"authorization": b"Bearer secret"})
    found.reply(right)
    assert found.ready(right) is not None
    assert found.ready(request(CHAT)) is None


def test_only_plain_answers_come_from_memory() -> None:
    """Never one that needs time, may go wrong, or belongs to another path or method."""
    found = desk()
    for name in ("sim:latency=1ms", "sim:fault=crlf", "sim:limit=5/1s"):
        asked = request({**CHAT, "model": name})
        found.reply(asked)
        assert found.ready(asked) is None
    found.reply(request(CHAT))
    assert found.ready(request(CHAT, "/v1/embeddings")) is None
    assert found.ready(request(CHAT, method="PUT")) is None
    assert found.ready(request(CHAT, chunks=False)) is None
    responses = request({"model": "sim", "input": "x"}, "/v1/responses")
    found.reply(responses)
    assert found.ready(responses) is None


def test_memory_is_bounded() -> None:
    """The oldest answers leave; large requests never come in, nor answers larger than all."""
    found = desk()
    asked = [request({**CHAT, "user": str(n)}) for n in range(MAX_READY + 1)]
    for each in asked:
        found.reply(each)
    assert found.ready(asked[0]) is None
    assert found.ready(asked[-1]) is not None
    for large in ({"user": "x" * MAX_REQUEST_BYTES}, {"model": "sim:bytes=1000000,chunks=34"}):
        asked = [request({**CHAT, **large})]
        found.reply(asked[0])
        assert found.ready(asked[0]) is None


def test_a_body_nested_too_deeply_is_refused() -> None:
    """Even where it could be read but not be answered from."""
    for depth in range(800, 1000, 10):
        nested = b"[" * depth + b"]" * depth
        form = b'{"type":"json_schema","json_schema":{"schema":{"const":%b}}}' % nested
        body = b'{"model":"sim","messages":[],"response_format":%b}' % form
        assert desk().reply(request({}, body=body)).script.status in (200, 400)


def test_unknown_paths_and_methods_are_worded_as_errors() -> None:
    """404 and 405 in OpenAI's shape, also below the simulator's own paths."""
    for path, method, status in (
        ("/v1/nothing", "POST", 404),
        ("/v1/chat/completions", "GET", 405),
        ("/sim/nothing", "GET", 404),
    ):
        script = desk().reply(request(CHAT, path, method=method)).script
        assert script.status == status
        assert "message" in json.loads(script.steps[0].body)["error"]


def test_a_slip_in_the_name_is_told() -> None:
    """400 with the allowed keys, in the field `model`."""
    script = desk().reply(request({**CHAT, "model": "sim:latancy=1s"})).script
    error = json.loads(script.steps[0].body)["error"]
    assert (script.status, error["param"]) == (400, "model")
    assert "did you mean `latency`" in error["message"]


def test_the_same_seed_draws_the_same_faults() -> None:
    """A run of calls can be repeated, fault by fault."""
    asked = request({**CHAT, "model": "sim:fault=any,rate=0.5,seed=5"})
    runs = []
    for found in (desk(), desk()):
        scripts = [found.reply(asked).script for _ in range(50)]
        runs.append([(script.status, script.ending, script.raw) for script in scripts])
    assert runs[0] == runs[1]
    assert len(set(runs[0])) > 3


def test_a_reset_begins_anew() -> None:
    """Counted calls, stored answers and memory are forgotten."""
    found = desk()
    asked = request({**CHAT, "model": "sim:fault=status-500,after=1"})
    assert [found.reply(asked).script.status for _ in range(2)] == [200, 500]
    found.reply(request(CHAT))
    found.reply(request({"model": "sim", "input": "x"}, "/v1/responses"))
    found.reply(request({}, "/sim/reset"))
    assert found.reply(asked).script.status == 200
    assert found.ready(request(CHAT)) is None
    assert not found.world.stored


def test_a_fault_beside_a_status_still_happens() -> None:
    """An error can be slow to come, too."""
    script = desk().reply(request({**CHAT, "model": "sim:fault=status-500+slow-head"})).script
    assert (script.status, script.head_pace_s) == (500, 0.001)


def test_escaped_names_are_found() -> None:
    """A client may escape the colon and the slash of a model's name."""
    path = "/v1/models/org%2Fname%3Atokens=3"
    script = desk().reply(request({}, path, method="GET")).script
    assert json.loads(script.steps[0].body)["id"] == "org/name:tokens=3"
