"""What HTTP allows and most clients never do works all the same."""

from __future__ import annotations

import json

import pytest

from proxy.config.structs import Cors, Server
from tests.e2e.raw import Client, ask, chat, request, texts
from tests.e2e.stage import KEY, Gate, Stage


@pytest.fixture
async def gate(stage: Stage) -> Gate:
    return await stage.open()


async def test_http_1_0_gets_a_length_or_the_end_of_the_connection(gate: Gate) -> None:
    """A client of 1.0 does not know chunks; without keep-alive its connection is closed."""
    old = request(chat()).replace(b"HTTP/1.1", b"HTTP/1.0")
    async with await Client.connect(gate.port) as client:
        await client.send(old)
        reply = await client.reply()
        assert reply.status == 200
        assert reply.headers["connection"] == "close"
        assert await client.closed()
    reply = await ask(gate.port, request(chat(stream=True)).replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert "transfer-encoding" not in reply.headers
    assert texts(reply.body).startswith("You said: hello")
    assert reply.body.endswith(b"data: [DONE]\n\n")


async def test_http_1_0_is_closed_even_where_it_asks_for_keep_alive(gate: Gate) -> None:
    """Such a client would wait for a header of 1.0 that says the connection stays."""
    asked = request(chat(), headers={"connection": "keep-alive"})
    async with await Client.connect(gate.port) as client:
        await client.send(asked.replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert (await client.reply()).headers["connection"] == "close"
        assert await client.closed()


async def test_pipelined_requests_are_answered_in_their_order(gate: Gate) -> None:
    """The second waits for the first, streams and errors among them."""
    bodies = [
        chat(text="one"),
        chat(text="two", stream=True),
        b"no JSON",
        chat(text="four", stream=True),
        chat(text="five"),
    ]
    async with await Client.connect(gate.port) as client:
        await client.send(b"".join(request(body) for body in bodies))
        replies = [await client.reply() for _ in bodies]
    assert [reply.status for reply in replies] == [200, 200, 400, 200, 200]
    assert b"You said: one" in replies[0].body
    assert texts(replies[1].body).startswith("You said: two")
    assert texts(replies[3].body).startswith("You said: four")
    assert b"You said: five" in replies[4].body


async def test_pipelined_behind_a_stream_that_breaks_nothing_is_answered(gate: Gate) -> None:
    """After a stream's error the connection closes: the rest was never begun."""
    async with await Client.connect(gate.port) as client:
        broken = chat("sim:fault=cut,chunks=20,bytes=1000", stream=True)
        await client.send(request(broken) + request(chat()))
        reply = await client.reply()
        assert b'"error"' in reply.body
        assert await client.closed()


async def test_a_client_that_waits_for_leave_gets_it(gate: Gate) -> None:
    """`expect: 100-continue`: leave first, then the body, then the answer."""
    body = json.dumps(chat()).encode()
    head = request(headers={"expect": "100-continue", "content-length": str(len(body))})
    async with await Client.connect(gate.port) as client:
        await client.send(head)
        assert (await client.reply()).status == 100
        await client.send(body)
        assert (await client.reply()).status == 200


async def test_leave_is_not_given_to_what_will_be_refused(stage: Stage) -> None:
    """A body over the limit is refused while the client still waits to send it."""
    gate = await stage.open(server=Server(max_body=1000, grace=1))
    head = request(headers={"expect": "100-continue", "content-length": "2000"})
    async with await Client.connect(gate.port) as client:
        await client.send(head)
        assert (await client.reply()).status == 413


async def test_head_has_the_headers_of_get_and_no_body(gate: Gate) -> None:
    """The connection can be used on: no byte of a body was sent."""
    for path in ("/v1/models", "/healthz", "/v1/nothing/here", "/nowhere", "/v1/models/sim"):
        got = await ask(gate.port, request(method="GET", path=path))
        async with await Client.connect(gate.port) as client:
            await client.send(request(method="HEAD", path=path))
            reply = await client.reply(head_only=True)
            assert reply.status == got.status, path
            await client.send(request(chat()))
            assert (await client.reply()).status == 200, path


async def test_connection_close_is_obeyed(gate: Gate) -> None:
    """Whole answers and streams end the connection where the client asks for it."""
    for stream in (False, True):
        async with await Client.connect(gate.port) as client:
            await client.send(request(chat(stream=stream), headers={"connection": "close"}))
            reply = await client.reply()
            assert (reply.status, reply.whole) == (200, True)
            assert reply.headers["connection"] == "close"
            assert await client.closed()


async def test_a_silent_connection_is_closed_after_keep_alive(stage: Stage) -> None:
    """Neither one that never asks anything nor one that asked before stays for ever."""
    gate = await stage.open(server=Server(keep_alive=0.1, grace=1))
    async with await Client.connect(gate.port) as silent:
        assert await silent.closed()
    async with await Client.connect(gate.port) as client:
        await client.send(request(chat()))
        assert (await client.reply()).status == 200
        assert await client.closed()


PREFLIGHT = {
    "origin": "https://app.example.com",
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
}


async def test_a_page_that_may_call_gets_its_preflight_answered(stage: Stage) -> None:
    """The browser asks without a key, and gets what it needs to go on."""
    gate = await stage.open(server=Server(cors=Cors(origins=["https://app.example.com"]), grace=1))
    asked = request(method="OPTIONS", headers=PREFLIGHT, key="")
    reply = await ask(gate.port, asked)
    assert reply.status == 204
    assert reply.headers["access-control-allow-origin"] == "https://app.example.com"
    assert "POST" in reply.headers["access-control-allow-methods"]
    assert reply.headers["access-control-allow-headers"] == "authorization,content-type"
    for body in (chat(), chat(stream=True), b"no JSON"):
        reply = await ask(gate.port, request(body, headers={"origin": PREFLIGHT["origin"]}))
        assert reply.headers["access-control-allow-origin"] == "https://app.example.com"


async def test_a_page_of_elsewhere_is_told_nothing(stage: Stage) -> None:
    """Without the header the browser keeps the answer from the page."""
    gate = await stage.open(server=Server(cors=Cors(origins=["https://app.example.com"]), grace=1))
    elsewhere = PREFLIGHT | {"origin": "https://evil.example.com"}
    for sent in (
        request(method="OPTIONS", headers=elsewhere, key=""),
        request(chat(), headers={"origin": "https://evil.example.com"}),
    ):
        reply = await ask(gate.port, sent)
        assert "access-control-allow-origin" not in reply.headers


async def test_options_without_cors_is_405(gate: Gate) -> None:
    """A gateway that serves no pages says what it takes."""
    reply = await ask(gate.port, request(method="OPTIONS"))
    assert reply.status == 405
    assert "POST" in reply.headers["allow"]


async def test_headers_of_any_bytes_pass_and_change_nothing(gate: Gate) -> None:
    """A header in Latin-1 or with a request id of nonsense is no reason to fail."""
    sent = request(chat(), headers={"x-request-id": "my id\t"}).replace(
        b"content-type", b"x-name: J\xf6rg \xff\r\ncontent-type"
    )
    reply = await ask(gate.port, sent)
    assert reply.status == 200
    assert reply.headers["x-request-id"].startswith("req_")


async def test_a_request_id_that_can_be_one_is_kept(gate: Gate) -> None:
    """The client finds its own id in the answer, and in an error's body."""
    reply = await ask(gate.port, request(chat(), headers={"x-request-id": "mine-1"}))
    assert reply.headers["x-request-id"] == "mine-1"
    reply = await ask(gate.port, request(b"", headers={"x-request-id": "mine-2"}))
    assert reply.error["request_id"] == "mine-2"


async def test_a_key_may_come_in_any_of_the_usual_headers(gate: Gate) -> None:
    """Each SDK has its own habit."""
    for name in ("x-api-key", "api-key", "x-goog-api-key"):
        reply = await ask(gate.port, request(chat(), key="", headers={name: KEY}))
        assert reply.status == 200, name
