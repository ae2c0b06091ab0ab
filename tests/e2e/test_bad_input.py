"""Whatever a client sends, it gets a clear error or a closed connection; the next is unharmed."""

from __future__ import annotations

import asyncio
import json

import pytest

from proxy.config.structs import Server
from tests.e2e.raw import Client, Reply, ask, chat, request
from tests.e2e.stage import Gate, Stage

SMALL = Server(
    max_body=10_000, max_header=16_384, header_timeout=0.2, body_timeout=0.2, grace=1, keep_alive=5
)


@pytest.fixture
async def gate(stage: Stage) -> Gate:
    """A gateway with small limits; a good request must succeed after every bad one."""
    return await stage.open(server=SMALL)


async def refused(gate: Gate, sent: bytes, status: int, code: str = "invalid_request") -> Reply:
    """Send what is bad, check the shape of the answer, and that the next request is served."""
    reply = await ask(gate.port, sent)
    assert reply.status == status, reply
    assert (reply.error["code"], reply.error["origin"]) == (code, "caller")
    assert reply.error["message"]
    assert reply.headers["content-type"] == "application/json"
    assert b"Traceback" not in reply.body
    assert b'File "' not in reply.body
    await served(gate)
    return reply


async def served(gate: Gate) -> None:
    assert (await ask(gate.port, request(chat()))).status == 200


DEEP = b'{"model":"sim","messages":' + b"[" * 4000 + b"]" * 4000 + b"}"
BODIES = {
    "no JSON": (b"hello", None),
    "half of it": (b'{"model":"sim","messages":[', None),
    "a list": (b"[]", None),
    "a text": (b'"sim"', None),
    "a number": (b"1", None),
    "null": (b"null", None),
    "nothing": (b"", None),
    "blanks": (b"  \n ", None),
    "two documents": (b'{"model":"sim"}{"model":"sim"}', None),
    "a comma too many": (b'{"model":"sim","messages":[],}', None),
    "NaN": (b'{"model":"sim","messages":[],"temperature":NaN}', None),
    "Infinity": (b'{"model":"sim","messages":[],"temperature":-Infinity}', None),
    "no UTF-8": (b'{"model":"sim","messages":[{"role":"user","content":"\xff\xfe"}]}', None),
    "no UTF-8 in the model": (b'{"model":"\xc3(","messages":[]}', None),
    "a byte order mark": (b'\xef\xbb\xbf{"model":"sim"}', None),
    "a NUL": (b'{"model":"sim","messages":[]}\0', None),
    "control characters": (b'{"model":"sim","messages":"\x01"}', None),
    "no model": (b'{"messages":[]}', "model"),
    "model of a wrong type": (b'{"model":1,"messages":[]}', "model"),
    "model null": (b'{"model":null,"messages":[]}', "model"),
    "model a list": (b'{"model":["sim"],"messages":[]}', "model"),
    "stream of a wrong type": (b'{"model":"sim","stream":"yes","messages":[]}', "stream"),
    "stream a number": (b'{"model":"sim","stream":1,"messages":[]}', "stream"),
    "model twice": (b'{"model":"sim","messages":[],"model":"x"}', "model"),
    "model twice, once escaped": (b'{"model":"sim","messages":[],"\\u006dodel":"x"}', "model"),
    "messages twice": (b'{"messages":[],"model":"sim","messages":[]}', "messages"),
}


@pytest.mark.parametrize(("body", "param"), BODIES.values(), ids=BODIES.keys())
async def test_a_bad_body_is_400_and_says_which_field(
    gate: Gate, body: bytes, param: str | None
) -> None:
    """What is no request never reaches the vendor, and what is wrong in it is named."""
    reply = await refused(gate, request(body), 400)
    assert reply.error["param"] == param
    assert reply.headers["x-should-retry"] == "false"
    assert reply.headers["x-request-id"] == reply.error["request_id"]


async def test_ten_thousand_levels_are_400(stage: Stage) -> None:
    """A body may be as deep as it likes: nobody's stack overflows."""
    gate = await stage.open()
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        deep = opening * 10_000 + (b"" if opening == b"[" else b"1") + closing * 10_000
        body = b'{"model":"sim","messages":[{"role":"user","content":"x"}],"x":%b}' % deep
        await refused(gate, request(body), 400)
        await refused(gate, request(deep), 400)


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/embeddings", "/v1/responses"])
async def test_every_operation_refuses_bad_bodies_alike(gate: Gate, path: str) -> None:
    """The way of a body is the same for all."""
    assert (await refused(gate, request(b"{", path=path), 400)).error["param"] is None
    assert (await refused(gate, request(b"{}", path=path), 400)).error["param"] == "model"


async def test_a_vendors_refusal_of_a_shape_keeps_its_words(gate: Gate) -> None:
    """What only the vendor can judge is the vendor's to refuse, with its status and field."""
    reply = await ask(gate.port, request({"model": "sim", "messages": "hello"}))
    assert reply.status == 400
    assert reply.error["origin"] == "upstream"
    assert reply.error["param"] == "messages"
    await served(gate)


async def test_an_announced_body_over_the_limit_is_refused_unread(gate: Gate) -> None:
    """413 comes before the body does, and the connection is given up."""
    head = request(headers={"content-length": "200000000"})
    async with await Client.connect(gate.port) as client:
        await client.send(head)
        reply = await client.reply()
        assert (reply.status, reply.error["code"]) == (413, "request_too_large")
    await served(gate)


async def test_a_chunked_body_over_the_limit_is_refused_on_its_way(gate: Gate) -> None:
    """A body that does not say how long it is gets no further than the limit."""
    async with await Client.connect(gate.port) as client:
        await client.send(
            request(headers={"transfer-encoding": "chunked", "content-length": ""}).replace(
                b"content-length: \r\n", b""
            )
        )
        for _ in range(5):
            await client.send(b"ffe\r\n" + b"x" * 0xFFE + b"\r\n")
        reply = await client.reply()
        assert (reply.status, reply.error["code"]) == (413, "request_too_large")
    await served(gate)


def chunked(body: bytes, **more: str) -> bytes:
    """Return a request whose head announces chunks, with these bytes behind it."""
    head = request(b"", headers={"transfer-encoding": "chunked", **more})
    return head.replace(b"content-length: 0\r\n", b"") + body


async def test_a_chunked_body_is_read(gate: Gate) -> None:
    """Extensions and trailers of chunks are allowed, and mean nothing."""
    body = json.dumps(chat()).encode()
    sent = b"5;x=y\r\n%b\r\n%x\r\n%b\r\n0\r\nx-trailer: 1\r\n\r\n"
    reply = await ask(gate.port, chunked(sent % (body[:5], len(body) - 5, body[5:])))
    assert reply.status == 200


@pytest.mark.parametrize(
    "garbage",
    [b"zz\r\nhello\r\n", b"-5\r\nhello\r\n", b"5\r\nhelloooo", b"fffffffffffffffff\r\n", b"\r\n"],
)
async def test_chunked_garbage_is_400(gate: Gate, garbage: bytes) -> None:
    """What cannot be framed cannot be answered on the same connection twice."""
    for first in (b"", b"5\r\nhello\r\n"):
        reply = await refused(gate, chunked(first + garbage), 400)
        assert reply.headers["connection"] == "close"


async def test_chunked_garbage_that_comes_later_is_400(gate: Gate) -> None:
    """It does not matter whether the request was already being read."""
    async with await Client.connect(gate.port) as client:
        await client.send(chunked(b"5\r\nhello\r\n"))
        await served(gate)
        await client.send(b"zz\r\n")
        reply = await client.reply()
        assert (reply.status, reply.error["code"]) == (400, "invalid_request")
        assert await client.closed()
    await served(gate)


HELLO = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
SMUGGLED = {
    "two lengths": b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    "lengths in one": b"content-length: 5, 5\r\n\r\nhello",
    "length and chunks": b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    "chunked is not last": b"transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": b"transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "another coding": b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a sign in the length": b"content-length: +5\r\n\r\nhello",
    "a hexadecimal length": b"content-length: 0x5\r\n\r\nhello",
    "a blank before the colon": b"content-length : 5\r\n\r\nhello",
    "a folded header": b"x-a: b\r\n c\r\ncontent-length: 5\r\n\r\nhello",
    "a bare line feed": b"x-a: b\ncontent-length: 5\r\n\r\nhello",
    "a bare carriage return": b"x-a: b\rc: d\r\ncontent-length: 5\r\n\r\nhello",
    "a NUL in a header": b"x-a: \0\r\ncontent-length: 5\r\n\r\nhello",
    "a header without a name": b": b\r\ncontent-length: 5\r\n\r\nhello",
}


@pytest.mark.parametrize("rest", SMUGGLED.values(), ids=SMUGGLED.keys())
async def test_what_two_servers_could_read_differently_is_refused(gate: Gate, rest: bytes) -> None:
    """One answer, 400, then the connection ends: nothing behind it is taken for a request."""
    behind = b"GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"
    async with await Client.connect(gate.port) as client:
        await client.send(HELLO + rest + behind)
        reply = await client.reply()
        assert (reply.status, reply.error["code"]) == (400, "invalid_request")
        assert reply.error["origin"] == "caller"
        assert await client.closed()
    await served(gate)


NO_HTTP = {
    "nothing known": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n",
    "another version": b"GET /v1/models HTTP/3.0\r\n\r\n",
    "HTTP/2 at once": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an unknown method": b"FROB\x01 / HTTP/1.1\r\n\r\n",
    "a blank in the path": b"GET /v1/mo dels HTTP/1.1\r\nhost: x\r\n\r\n",
}


@pytest.mark.parametrize("sent", NO_HTTP.values(), ids=NO_HTTP.keys())
async def test_what_is_no_http_gets_a_400_in_openais_shape(gate: Gate, sent: bytes) -> None:
    """Also what aiohttp's server answers by itself looks like ours, and names no library."""
    reply = await refused(gate, sent, 400)
    assert "server" not in reply.headers
    assert reply.headers["connection"] == "close"


@pytest.mark.parametrize("size", [20_000, 1_000_000])
async def test_a_head_over_the_limit_is_refused(gate: Gate, size: int) -> None:
    """A header of a megabyte is not collected first."""
    reply = await refused(gate, request(chat(), headers={"x-long": "x" * size}), 400)
    assert reply.headers["connection"] == "close"
    await refused(gate, request(chat(), path="/v1/" + "x" * size), 400)


async def test_very_many_headers_are_refused(gate: Gate) -> None:
    """A thousand small headers cost as much as one long one."""
    await refused(gate, request(chat(), headers={f"x-{n}": "1" for n in range(1000)}), 400)


async def test_a_head_that_comes_byte_by_byte_is_given_up(gate: Gate) -> None:
    """A client has a limited time for its head, however busily it sends."""
    async with await Client.connect(gate.port) as client:
        for byte in b"POST /v1/chat":
            await client.send(bytes([byte]))
        reply = await client.reply()
        assert (reply.status, reply.error["code"]) == (408, "request_timeout")
        assert await client.closed()
    await served(gate)


async def test_the_second_head_of_a_connection_has_a_limit_too(gate: Gate) -> None:
    """A good request buys no patience for the next one."""
    async with await Client.connect(gate.port) as client:
        await client.send(request(chat()))
        assert (await client.reply()).status == 200
        await client.send(b"POST /v1/chat")
        assert (await client.reply()).status == 408
        assert await client.closed()


async def test_a_body_that_stalls_is_given_up(gate: Gate) -> None:
    """A client that announces a body and does not send it holds nothing for long."""
    async with await Client.connect(gate.port) as client:
        await client.send(request(headers={"content-length": "100"}) + b'{"model"')
        reply = await client.reply()
        assert (reply.status, reply.error["code"]) == (408, "request_timeout")
    await served(gate)


async def test_a_body_that_drips_is_given_up(gate: Gate) -> None:
    """A byte now and then is no progress: the whole of it has to keep a pace."""
    async with await Client.connect(gate.port) as client:
        await client.send(request(headers={"content-length": "9999"}))
        try:
            while not client.reader._buffer:  # type: ignore[attr-defined]
                await client.send(b" ")
                await asyncio.sleep(0.002)
        except ConnectionError:
            pass
        assert (await client.reply()).status == 408
    await served(gate)


async def test_an_unknown_path_is_404_and_a_wrong_method_405(gate: Gate) -> None:
    """Both in OpenAI's shape; 405 says what is allowed."""
    reply = await refused(gate, request(path="/v2/chat", method="GET"), 404, "not_found")
    reply = await refused(gate, request(path="/", method="GET"), 404, "not_found")
    reply = await refused(gate, request(method="PUT"), 405, "method_not_allowed")
    assert "POST" in reply.headers["allow"]
    reply = await refused(gate, request(path="/v1/models"), 405, "method_not_allowed")
    assert reply.headers["allow"] == "GET"
    reply = await refused(
        gate, request(path="/v1/embeddings", method="GET"), 405, "method_not_allowed"
    )
    assert reply.headers["allow"] == "POST"


async def test_a_wrong_key_is_401_before_anything_else(gate: Gate) -> None:
    """Who is not known learns nothing, of paths and models neither."""
    for sent in (request(chat("nobody"), key="wrong"), request(path="/nowhere", key="")):
        await refused(gate, sent, 401, "invalid_api_key")


async def test_an_encoded_body_is_415(gate: Gate) -> None:
    """A body we would have to unpack is refused, not misread."""
    sent = request(b"\x1f\x8b", headers={"content-encoding": "gzip"})
    await refused(gate, sent, 415, "unsupported_media_type")


NAMES = [
    "sim\r\nx-evil: 1",
    "a\0b",
    "x" * 100_000,
    "\u6a21\u578b",
    " ",
    "",
    "/",
    "sim/",
    "\x7f\x85\u2028",
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
async def test_a_name_never_leaves_its_header(stage: Stage, name: str) -> None:
    """The model's name is the client's to choose, and stands in a header of the answer."""
    gate = await stage.open(server=Server(max_body=1_000_000, grace=1))
    for stream in (False, True):
        async with await Client.connect(gate.port) as client:
            await client.send(request(chat(name, stream=stream)))
            status, headers = await client.head()
            assert status == 200
            assert "x-evil" not in headers
            assert len(headers.get("x-headgate-model", "")) < 2000
            assert not set("\r\n\0") & set("".join(headers.values()))


@pytest.mark.parametrize(
    "headers",
    [
        {"x-headgate-timeout": "soon"},
        {"x-headgate-timeout": "-1s"},
        {"x-headgate-timeout": "9" * 500 + "s"},
        {"x-headgate-tags": "a"},
        {"x-headgate-tags": "=b"},
        {"x-headgate-tags": ",".join(f"a{n}=b" for n in range(100))},
    ],
)
async def test_a_header_of_ours_that_cannot_be_read_is_400(
    gate: Gate, headers: dict[str, str]
) -> None:
    """A wish that is not understood is not silently dropped."""
    reply = await refused(gate, request(chat(), headers=headers), 400)
    assert next(iter(headers)) in reply.error["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {"x-stainless-read-timeout": "nan"},
        {"x-stainless-read-timeout": "-5"},
        {"x-stainless-read-timeout": "NOT_GIVEN"},
        {"x-stainless-retry-count": "abc"},
        {"x-stainless-retry-count": "9" * 50},
        {"upgrade": "h2c", "connection": "upgrade"},
        {"expect": "miracles"},
        {"traceparent": "nonsense"},
        {"idempotency-key": "x" * 5000},
    ],
)
async def test_what_an_sdk_says_by_itself_is_never_an_error(
    gate: Gate, headers: dict[str, str]
) -> None:
    """Nobody wrote these by hand, so nobody could put them right."""
    assert (await ask(gate.port, request(chat(), headers=headers))).status == 200


TARGETS = {
    "GET http://evil.example/v1/files": 400,
    "GET http://evil.example/v1/models": 200,
    "OPTIONS *": 404,
    "GET //v1/files": 404,
    "GET /v1": 404,
    "GET /v1/files%00": 404,
    "GET /v1/%zz": 404,
    "GET /v1/x/../../admin": 404,
    "TRACE /v1/files": 405,
}


@pytest.mark.parametrize(("line", "status"), TARGETS.items(), ids=TARGETS.keys())
async def test_an_odd_target_leads_nowhere(gate: Gate, line: str, status: int) -> None:
    """No form of a path reaches another host, and none is a mistake of ours."""
    method, _, path = line.partition(" ")
    reply = await ask(gate.port, request(method=method, path=path))
    assert reply.status == status
    await served(gate)
