"""A stream ends whole, or with one error that nobody can miss; never in between."""

from __future__ import annotations

import json

import pytest

from proxy.config.structs import Hold, Server, Timeouts
from tests.e2e.raw import Client, Reply, ask, chat, events, request, texts
from tests.e2e.stage import CREDENTIAL, Gate, Stage, route
from tests.proxy.vendor import Line, Vendor

BEFORE = {
    "status-500": (502, "upstream_error"),
    "status-503": (502, "upstream_error"),
    "status-529": (502, "upstream_error"),
    "status-429": (429, "upstream_rate_limited"),
    "status-401": (502, "upstream_auth"),
    "status-403": (502, "upstream_auth"),
    "status-404": (404, "invalid_request"),
    "status-422": (422, "invalid_request"),
    "context": (400, "context_length_exceeded"),
    "filter": (400, "content_filter"),
    "reset": (502, "upstream_unreachable"),
    "garbage": (502, "upstream_bad_response"),
    "html": (502, "upstream_error"),
    "empty": (502, "upstream_truncated"),
    "error-200,at=0": (502, "upstream_error"),
    "malformed,at=0": (502, "upstream_bad_response"),
    "bad-json": (502, "upstream_bad_response"),
    "cut,cut=100": (502, "upstream_truncated"),
    "cut-clean,cut_clean=100": (502, "upstream_truncated"),
}
DETERMINISTIC = {"status-404", "status-422", "context", "filter"}


def stream(fault: str = "", **more: object) -> bytes:
    """Return a request for a stream of forty pieces, in which this goes wrong."""
    options = "chunks=40,bytes=10" + (f",fault={fault}" if fault else "")
    return request(chat(f"sim:{options}", stream=True, **more))


@pytest.fixture
async def gate(stage: Stage) -> Gate:
    return await stage.open()


@pytest.mark.parametrize(("fault", "expected"), BEFORE.items(), ids=BEFORE.keys())
async def test_a_failure_before_the_first_content_has_a_real_status(
    stage: Stage, fault: str, expected: tuple[int, str]
) -> None:
    """The head was held, so the client sees an answer and no stream."""
    gate = await stage.open()
    reply = await ask(gate.port, stream(fault))
    assert (reply.status, reply.error["code"]) == expected
    assert reply.error["origin"] == "upstream"
    assert reply.error["provider"] == "sim"
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-should-retry"] == "false"
    assert CREDENTIAL.encode() not in reply.body


@pytest.mark.parametrize("fault", [*BEFORE, "hang"])
async def test_a_failure_before_the_first_content_is_tried_elsewhere(
    stage: Stage, fault: str
) -> None:
    """The client sees a whole stream of the second deployment, and nothing of the first."""
    routes = {"fast": route(f"a/sim:fault={fault}", "b/sim:text=echo")}
    gate = await stage.open(vendors=("a", "b"), routes=routes, timeouts=Timeouts(first_token=0.2))
    reply = await ask(gate.port, request(chat("fast", "from b", stream=True)))
    if fault in DETERMINISTIC:
        assert reply.status == BEFORE[fault][0]
        assert stage.stats("b").requests == 0
        return
    assert (reply.status, texts(reply.body)) == (200, "from b")
    assert reply.body.count(b"[DONE]") == 1
    assert reply.headers["x-headgate-provider"] == "b"
    assert reply.headers["x-headgate-attempts"] == "2"


async def test_a_fallback_route_is_tried_after_the_route(stage: Stage) -> None:
    """All deployments of a route come before those of the next."""
    routes = {
        "fast": route("a/sim:fault=reset", "b/sim:fault=status-500", fallbacks=["cheap"]),
        "cheap": route("c/sim:text=echo"),
    }
    gate = await stage.open(vendors=("a", "b", "c"), routes=routes)
    reply = await ask(gate.port, request(chat("fast", "from c", stream=True)))
    assert (texts(reply.body), reply.headers["x-headgate-attempts"]) == ("from c", "3")


AFTER = {
    "cut,cut=5000": "upstream_truncated",
    "cut-clean,cut_clean=5000": "upstream_truncated",
    "no-done": "upstream_truncated",
    "error-200,at=20": "upstream_error",
    "malformed,at=20": "upstream_bad_response",
    "wrong-length": None,
}


def broken(reply: Reply, code: str) -> None:
    """A stream that broke off: content, then one error, and nothing that says it is whole."""
    assert (reply.status, reply.whole) == (200, True)
    *before, last = events(reply.body)
    assert before, "content came first"
    assert all("error" not in json.loads(event) for event in before)
    assert b"[DONE]" not in reply.body
    error = json.loads(last)["error"]
    assert (error["code"], error["origin"], error["provider"]) == (code, "upstream", "sim")
    assert error["request_id"] == reply.headers["x-request-id"]
    assert not any(json.loads(e)["choices"][0]["finish_reason"] for e in before[:-1])


@pytest.mark.parametrize(("fault", "code"), AFTER.items(), ids=AFTER.keys())
async def test_a_failure_after_the_first_content_is_one_terminal_event(
    gate: Gate, fault: str, code: str | None
) -> None:
    """No `[DONE]`, no second model's text, and the connection closes."""
    async with await Client.connect(gate.port) as client:
        await client.send(stream(fault))
        reply = await client.reply()
        if code is None:  # its end marker came: how the body ends does not matter
            assert reply.body.endswith(b"data: [DONE]\n\n")
            return
        broken(reply, code)
        assert await client.closed()


@pytest.mark.parametrize("kind", ["cut=", "cut_clean="])
async def test_wherever_a_stream_is_cut_the_client_can_read_all_of_it(
    gate: Gate, kind: str
) -> None:
    """Within a word, a line end or a blank line: what comes are events, the last one an error."""
    async with await Client.connect(gate.port) as client:
        whole = await ask(gate.port, request(chat("sim:chunks=3", stream=True)))
        for place in range(0, len(whole.body), 5):
            sent = request(chat(f"sim:chunks=3,{kind}{place}", stream=True))
            reply = await ask(gate.port, sent)
            if reply.status == 200:
                *before, last = [json.loads(event) for event in events(reply.body)]
                assert last["error"]["code"] == "upstream_truncated", place
                assert not any("error" in event for event in before)
                assert not reply.body.replace(b"\r", b"").count(b"data:\n")
            else:
                assert reply.error["code"] == "upstream_truncated", place
        await client.send(request(chat()))
        assert (await client.reply()).status == 200


async def test_after_the_first_content_nothing_is_tried_elsewhere(stage: Stage) -> None:
    """A second model would say it all again."""
    routes = {"fast": route("sim/sim:fault=cut,cut=5000,chunks=40,bytes=10", "b")}
    gate = await stage.open(vendors=("sim", "b"), routes=routes)
    broken(await ask(gate.port, request(chat("fast", stream=True))), "upstream_truncated")
    assert stage.stats("b").requests == 0


async def test_a_vendor_that_never_begins_is_504_and_says_where(stage: Stage) -> None:
    """No head at all, a head and no event, events and no content: first_token every time."""
    gate = await stage.open(
        timeouts=Timeouts(first_token=0.1), server=Server(hold=Hold(time=5), grace=1)
    )
    for fault in ("hang", "hang-body,at=0", "slow-head,slow=1s"):
        reply = await ask(gate.port, stream(fault))
        assert (reply.status, reply.error["code"]) == (504, "upstream_timeout"), fault
        assert reply.error["phase"] == "first_token"


async def test_a_vendor_that_never_begins_is_told_in_the_stream_once_the_head_is_out(
    stage: Stage,
) -> None:
    """With a short hold the client has its 200 before; then the error is an event."""
    gate = await stage.open(
        timeouts=Timeouts(first_token=0.3), server=Server(hold=Hold(time=0.05), grace=1)
    )
    reply = await ask(gate.port, stream("hang-body,at=0"))
    assert reply.status == 200
    last = json.loads(events(reply.body)[-1])["error"]
    assert (last["code"], last["phase"]) == ("upstream_timeout", "first_token")
    assert b"[DONE]" not in reply.body


async def test_a_vendor_that_falls_silent_is_an_idle_timeout(stage: Stage) -> None:
    """Content came, then nothing: the stream ends with the phase."""
    gate = await stage.open(timeouts=Timeouts(idle=0.1))
    reply = await ask(gate.port, stream("hang-body,at=20"))
    broken(reply, "upstream_timeout")
    assert json.loads(events(reply.body)[-1])["error"]["phase"] == "idle"


async def test_the_whole_exchange_has_a_limit(stage: Stage) -> None:
    """A stream that trickles for ever ends at `total`; so does one the client limits."""
    gate = await stage.open(timeouts=Timeouts(total=0.2))
    slow = chat("sim:chunks=1000,pace=10ms", stream=True)
    reply = await ask(gate.port, request(slow))
    broken(reply, "upstream_timeout")
    assert json.loads(events(reply.body)[-1])["error"]["phase"] == "total"


async def test_a_client_may_set_a_shorter_limit(gate: Gate) -> None:
    """Ours in its own header, and the time its SDK waits, which it says by itself."""
    slow = chat("sim:chunks=1000,pace=10ms", stream=True)
    for header, value in (
        ("x-headgate-timeout", "200ms"),
        ("x-stainless-read-timeout", "0.2"),
    ):
        reply = await ask(gate.port, request(slow, headers={header: value}))
        assert json.loads(events(reply.body)[-1])["error"]["phase"] == "total"


async def test_whole_answers_have_the_same_limits(stage: Stage) -> None:
    """A vendor that hangs before or within a whole answer is 504."""
    gate = await stage.open(timeouts=Timeouts(idle=0.1, total=0.3))
    for fault, phase in (("hang", "first_token"), ("hang-body", "idle")):
        reply = await ask(gate.port, request(chat(f"sim:fault={fault}")))
        assert (reply.status, reply.error["code"]) == (504, "upstream_timeout")
        assert reply.error["phase"] in (phase, "total")


async def test_usage_comes_once_and_only_if_asked(gate: Gate) -> None:
    """One chunk, the last before the end, with `choices: []`; stripped where nobody asked."""
    asked = await ask(gate.port, stream(stream_options={"include_usage": True}))
    *chunks, usage, done = events(asked.body)
    assert done == b"[DONE]"
    assert json.loads(usage)["choices"] == []
    assert json.loads(usage)["usage"]["completion_tokens"] > 0
    assert all(json.loads(chunk)["choices"] for chunk in chunks)
    for options in (None, {}, {"include_usage": False}, {"include_obfuscation": True}):
        plain = await ask(gate.port, stream(stream_options=options))
        *chunks, done = events(plain.body)
        assert done == b"[DONE]"
        assert all(json.loads(chunk)["choices"] for chunk in chunks), options


async def test_comments_break_the_silence(stage: Stage) -> None:
    """While the vendor is silent, proxies in between see that the stream is alive."""
    gate = await stage.open(server=Server(ping=0.05, hold=Hold(time=0.05), grace=1))
    reply = await ask(gate.port, request(chat("sim:chunks=4,pace=200ms,first=300ms", stream=True)))
    assert reply.body.startswith(b": ping\n\n") or b"\n\n: ping\n\n" in reply.body
    assert reply.body.count(b": ping\n\n") > 4
    assert reply.body.endswith(b"data: [DONE]\n\n")
    for block in reply.body.split(b"\n\n"):
        assert block in (b"", b": ping") or block.startswith(b"data: ")


async def test_no_comments_where_they_are_turned_off(stage: Stage) -> None:
    """`ping: 0` sends what the vendor sends, and nothing else."""
    gate = await stage.open(server=Server(ping=0, hold=Hold(time=0.05), grace=1))
    reply = await ask(gate.port, request(chat("sim:chunks=3,pace=100ms,first=100ms", stream=True)))
    assert b": ping" not in reply.body


@pytest.mark.parametrize("fault", ["", ",fault=crlf", ",fault=comments", ",fault=crlf+comments"])
async def test_the_vendors_bytes_are_the_clients_bytes(
    stage: Stage, gate: Gate, fault: str
) -> None:
    """Line ends, comments and the order of members stay as the vendor sent them."""
    sent = chat(f"sim:chunks=5{fault}", stream=True, stream_options={"include_usage": True})
    through = await ask(gate.port, request(sent))
    direct = await ask(stage.direct(), request(sent, key=CREDENTIAL))
    assert through.body == direct.body
    whole = chat("sim", "a\u00e9\u4e2d\U0001f600")
    through = await ask(gate.port, request(whole))
    direct = await ask(stage.direct(), request(whole, key=CREDENTIAL))
    assert through.body == direct.body


async def test_a_responses_stream_that_breaks_ends_with_response_failed(gate: Gate) -> None:
    """The Responses API has a terminal event of its own, which its SDK knows."""
    sent = request(
        {"model": "sim:chunks=40,fault=cut,cut=9000", "input": "x", "stream": True},
        path="/v1/responses",
    )
    async with await Client.connect(gate.port) as client:
        await client.send(sent)
        reply = await client.reply()
        *before, last = [json.loads(event) for event in events(reply.body)]
        assert before[0]["type"] == "response.created"
        assert last["type"] == "response.failed"
        assert last["response"]["error"]["code"] == "upstream_truncated"
        assert last["response"]["status"] == "failed"
        assert await client.closed()


async def test_a_vendor_that_reports_an_error_and_stays_is_not_waited_for(stage: Stage) -> None:
    """After a terminal error the vendor has nothing more to say to us."""
    body = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\ndata: {"error":{"message":"no"}}\n\n'

    async def script(line: Line) -> None:
        await line.request()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
        await line.send(
            head + b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(body), body)
        )
        await line.gone()

    async with Vendor(script) as vendor:
        gate = await stage.open(vendors=(), providers={"sim": {"base_url": vendor.url}})
        broken(await ask(gate.port, stream()), "upstream_error")


async def test_after_done_the_client_does_not_wait_for_the_vendors_last_byte(stage: Stage) -> None:
    """Some vendors keep the body open after their end marker: the answer is whole already."""
    body = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\ndata: [DONE]\n\n'

    async def script(line: Line) -> None:
        await line.request()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
        await line.send(
            head + b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(body), body)
        )
        await line.gone()

    async with Vendor(script) as vendor:
        gate = await stage.open(vendors=(), providers={"sim": {"base_url": vendor.url}})
        reply = await ask(gate.port, stream())
        assert (reply.body, reply.whole) == (body, True)


async def test_retries_end_with_the_budget_and_the_first_cause(stage: Stage) -> None:
    """Three attempts, fewer for an SDK that has repeated already; the error is the vendor's."""
    gate = await stage.open()
    reply = await ask(gate.port, stream("status-500"))
    assert reply.headers["x-headgate-attempts"] == "3"
    assert stage.stats().requests == 3
    again = request(chat("sim:fault=status-500"), headers={"x-stainless-retry-count": "2"})
    reply = await ask(gate.port, again)
    assert reply.headers["x-headgate-attempts"] == "1"
