"""What the gateway does not understand goes through as it came, both ways, uncollected."""

from __future__ import annotations

import asyncio
import hashlib
import random

import pytest

from proxy.config.structs import Server
from tests.e2e.raw import Client, ask, request
from tests.e2e.stage import CREDENTIAL, KEY, Gate, Stage
from tests.proxy.vendor import Asked, Line, Vendor, until

MEGABYTE = 1024 * 1024
MOST_HELD = 32 * MEGABYTE
"""What the sockets of two connections may hold of a body, and a little for the gateway."""


def bytes_of(size: int) -> bytes:
    """Return bytes that compress badly and tell when one is lost; the same every time."""
    return random.Random(size).randbytes(size)


async def through(stage: Stage, sent: bytes, answer: bytes) -> tuple[Asked, bytes]:
    """Send a request through; return what the vendor saw and what the client got, head and all."""
    seen: list[Asked] = []

    async def script(line: Line) -> None:
        seen.append(await line.request())
        await line.send(answer)

    async with Vendor(script) as vendor:
        url = f"{vendor.url}/some/base/v1"
        gate = await stage.open(vendors=(), providers={"sim": {"base_url": url}})
        async with await Client.connect(gate.port) as client:
            await client.send(sent)
            status, headers = await client.head()
            body, whole = await client._body(headers)
            assert whole
            got = f"{status} {headers}".encode() + b"\r\n\r\n" + body
        await until(lambda: gate.unit().busy == 0)
    return seen[0], got


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_method_path_query_and_body_are_as_they_came(stage: Stage, method: str) -> None:
    """Percent signs, order and doubles of the query, and every byte of the body stay."""
    path = "/v1/vector_stores/vs%201/x%2Fy//z/../w?b=2&a=1&a=%20+&empty&=&%C3%A9"
    body = b"" if method == "GET" else b'{ "a" : 1.0, "a":2 ,"b":"\\u00e9\xff"}'
    asked, got = await through(stage, request(body, method=method, path=path), OK)
    assert asked.line == f"{method} /some/base{path} HTTP/1.1"
    assert asked.body == body
    assert got.endswith(b"\r\n\r\nok")


async def test_the_credential_goes_up_and_the_key_does_not(stage: Stage) -> None:
    """Whatever header the client's key came in, the vendor only sees ours."""
    for name in ("authorization", "x-api-key", "api-key", "x-goog-api-key"):
        value = f"Bearer {KEY}" if name == "authorization" else KEY
        more = {name: value, "cookie": f"session={KEY}", "x-headgate-tags": "a=b"}
        sent = request(path="/v1/files", method="GET", key="", headers=more)
        asked, _ = await through(stage, sent, OK)
        assert asked.headers["authorization"] == f"Bearer {CREDENTIAL}"
        assert KEY not in str(asked)
        assert not [name for name in asked.headers if name.startswith("x-headgate")]


async def test_end_to_end_headers_pass_and_hop_by_hop_ones_do_not(stage: Stage) -> None:
    """In both directions; repeated ones keep all their values, odd bytes stay what they are."""
    sent = request(
        b"x",
        path="/v1/files",
        headers={
            "openai-beta": "assistants=v2",
            "accept-encoding": "br;q=1, gzip",
            "x-utf-8": "J\u00f6rg",
            "connection": "x-mine, keep-alive",
            "x-mine": "1",
            "te": "trailers",
            "user-agent": "tests/1.0",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "openai-organization": "org-client",
        },
    )
    sent = sent.replace(b"te: trailers", b"x-two: a\r\nX-Two: b\r\nte: trailers")
    answer = (
        b"HTTP/1.1 202 Fine\r\nx-vendor: J\xc3\xb6rg\r\nx-odd: \xf6\r\nset-cookie: a=b\r\n"
        b"x-list: 1\r\nx-list: 2\r\nopenai-organization: org-operator\r\nx-should-retry: true\r\n"
        b"content-encoding: gzip\r\nconnection: x-hop\r\nx-hop: 1\r\ncontent-length: 2\r\n\r\nok"
    )
    asked, got = await through(stage, sent, answer)
    assert asked.headers["openai-beta"] == "assistants=v2"
    assert asked.headers["accept-encoding"] == "br;q=1, gzip"
    assert asked.headers["x-utf-8"] == b"J\xc3\xb6rg".decode("latin-1")
    assert asked.headers["x-two"] == "a, b"
    assert asked.headers["user-agent"] == "tests/1.0"
    assert asked.headers["traceparent"].startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert not {"x-mine", "te", "openai-organization"} & asked.headers.keys()
    text = got.decode()
    assert text.startswith("202 ")
    assert "'x-vendor': '" + b"J\xc3\xb6rg".decode("latin-1") in text
    assert "'x-odd': '\u00f6'" in text
    assert "'content-encoding': 'gzip'" in text
    for name in ("set-cookie", "openai-organization", "x-should-retry", "x-hop"):
        assert f"'{name}'" not in text
    assert "'x-request-id'" in text
    assert "'x-headgate-provider': 'sim'" in text


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n",
        b"HTTP/1.1 204 No Content\r\n",
        b"HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n",
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 99\r\n",
    ],
)
async def test_head_has_no_body_and_leaves_the_connection_usable(stage: Stage, head: bytes) -> None:
    """Neither a chunk nor an end of chunks may follow: the client would read it as an answer."""

    async def script(line: Line) -> None:
        while True:
            await line.request()
            await line.send(head + b"etag: x\r\n\r\n")

    async with Vendor(script) as vendor:
        gate = await stage.open(vendors=(), providers={"sim": {"base_url": vendor.url}})
        async with await Client.connect(gate.port) as client:
            for _ in range(2):
                await client.send(request(method="HEAD", path="/v1/files/x"))
                status, headers = await client.head()
                assert str(status).encode() == head[9:12]
                assert headers["etag"] == "x"
            await client.send(request(method="GET", path="/healthz"))
            assert (await client.head())[0] == 200


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_without_a_body_ends_where_it_ends(stage: Stage, status: int) -> None:
    """204 and 304 have no body, whatever their headers."""

    async def script(line: Line) -> None:
        while True:
            await line.request()
            await line.send(b"HTTP/1.1 %d X\r\netag: x\r\n\r\n" % status)

    async with Vendor(script) as vendor:
        gate = await stage.open(vendors=(), providers={"sim": {"base_url": vendor.url}})
        async with await Client.connect(gate.port) as client:
            for method in ("DELETE", "GET"):
                await client.send(request(method=method, path="/v1/files/x"))
                reply = await client.reply()
                assert (reply.status, reply.body) == (status, b"")
            await client.send(request(method="GET", path="/healthz"))
            assert (await client.reply()).status == 200


async def upload(gate: Gate, line: asyncio.Future[Line], framing: dict[str, str]) -> int:
    """Send a body for as long as somebody takes it; return how much was taken unread."""
    async with await Client.connect(gate.port) as client:
        sent = request(path="/v1/files", headers=framing)
        if "content-length" not in framing:
            sent = sent.replace(b"content-length: 0\r\n", b"")
        await client.send(sent)
        await line
        taken, piece = 0, b"x" * 65536
        framed = piece if "content-length" in framing else b"10000\r\n%b\r\n" % piece
        try:
            while taken < 100 * MEGABYTE:
                async with asyncio.timeout(0.3):
                    await client.send(framed)
                taken += len(piece)
        except TimeoutError:
            pass
        client.kill()
        return taken


@pytest.mark.parametrize(
    "framing", [{"content-length": str(100 * MEGABYTE)}, {"transfer-encoding": "chunked"}]
)
async def test_an_upload_is_not_collected(stage: Stage, framing: dict[str, str]) -> None:
    """Where the vendor does not read on, the client cannot send on: nothing piles up."""
    waiting: asyncio.Future[Line] = asyncio.get_running_loop().create_future()

    async def script(line: Line) -> None:
        await line.head()
        line.writer.transport.pause_reading()  # type: ignore[attr-defined]
        waiting.set_result(line)
        await line.idle()

    async with Vendor(script) as vendor:
        gate = await stage.open(vendors=(), providers={"sim": {"base_url": vendor.url}})
        assert await upload(gate, waiting, framing) < MOST_HELD
        waiting.result().reset()


async def test_a_large_upload_arrives_byte_by_byte(stage: Stage) -> None:
    """Five megabytes of a form, announced and in chunks."""
    body = b"--frontier\r\n" + bytes_of(5 * MEGABYTE) + b"\r\n--frontier--\r\n"
    form = {"content-type": "multipart/form-data; boundary=frontier"}
    asked, _ = await through(stage, request(body, path="/v1/files", headers=form), OK)
    assert asked.headers["content-type"] == form["content-type"]
    assert asked.headers["content-length"] == str(len(body))
    assert hashlib.sha256(asked.body).digest() == hashlib.sha256(body).digest()
    sent = request(path="/v1/files", headers={**form, "transfer-encoding": "chunked"})
    sent = sent.replace(b"content-length: 0\r\n", b"")
    for start in range(0, len(body), 100_000):
        piece = body[start : start + 100_000]
        sent += b"%x\r\n%b\r\n" % (len(piece), piece)
    asked, _ = await through(stage, sent + b"0\r\n\r\n", OK)
    assert asked.headers["transfer-encoding"] == "chunked"
    assert hashlib.sha256(asked.body).digest() == hashlib.sha256(body).digest()


async def test_a_download_is_not_collected(stage: Stage) -> None:
    """Where the client does not read on, the vendor cannot send on; then all of it comes."""
    size, sent, body = 100 * MEGABYTE, 0, bytes_of(MEGABYTE)

    async def script(line: Line) -> None:
        nonlocal sent
        await line.request()
        await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        while sent < size:
            await line.send(body)
            sent += len(body)

    async with Vendor(script) as vendor:
        gate = await stage.open(vendors=(), providers={"sim": {"base_url": vendor.url}})
        async with await Client.connect(gate.port) as client:
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await client.send(request(method="GET", path="/v1/files/x/content"))
            await until(lambda: sent)
            before = -1
            while before != sent:
                before = sent
                await asyncio.sleep(0.1)
            assert sent < MOST_HELD
            client.writer.transport.resume_reading()  # type: ignore[attr-defined]
            reply = await client.reply()
            assert reply.headers["content-length"] == str(size)
            assert reply.body == body * (size // MEGABYTE)


async def test_a_download_that_is_cut_is_never_taken_for_whole(stage: Stage) -> None:
    """There is no event to say it in, so the client's connection breaks as the vendor's did."""
    for head in (b"content-length: 1000", b"transfer-encoding: chunked"):

        async def script(line: Line, head: bytes = head) -> None:
            await line.request()
            await line.send(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n5\r\nhello\r\n")
            line.end()

        async with Vendor(script) as vendor:
            gate = await stage.open(vendors=(), providers={"sim": {"base_url": vendor.url}})
            reply = await ask(gate.port, request(method="GET", path="/v1/files/x/content"))
            assert not reply.whole


async def test_events_pass_as_they_come(stage: Stage) -> None:
    """A stream of an unknown path is relayed event by event, not at its end."""
    go_on = asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
        await line.send(head + b"transfer-encoding: chunked\r\n\r\n9\r\nevent: a\n\r\n")
        await go_on.wait()
        await line.send(b"9\r\nevent: b\n\r\n0\r\n\r\n")

    async with Vendor(script) as vendor:
        gate = await stage.open(vendors=(), providers={"sim": {"base_url": vendor.url}})
        async with await Client.connect(gate.port) as client:
            await client.send(request(b"{}", path="/v1/threads/runs"))
            _, headers = await client.head()
            assert headers["content-type"] == "text/event-stream"
            await client.until(b"event: a\n\r\n")
            go_on.set()
            assert b"event: b\n" in await client.until(b"0\r\n\r\n")


async def test_a_vendors_own_error_passes_and_what_would_blame_the_client_does_not(
    stage: Stage,
) -> None:
    """404 is the vendor's answer; 401 is about our credential, 5xx about the vendor."""
    gate = await stage.open()
    missing = await ask(gate.port, request(method="GET", path="/v1/files/file-none"))
    assert missing.status == 404
    assert "origin" not in missing.error
    said = b'{"error":{"message":"bad key sk-credential","code":"invalid_api_key"}}'
    for status, (expected, code) in {
        401: (502, "upstream_auth"),
        429: (429, "upstream_rate_limited"),
        500: (502, "upstream_error"),
    }.items():
        answer = b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(said), said)
        _, got = await through(stage, request(method="GET", path="/v1/batches"), answer)
        assert got.startswith(str(expected).encode())
        assert code.encode() in got.partition(b"\r\n\r\n")[2]
        assert b"'x-should-retry': 'false'" in got


async def test_an_upload_over_the_limit_is_refused(stage: Stage) -> None:
    """Announced: before the vendor hears of it. In chunks: when the limit is reached."""
    gate = await stage.open(server=Server(max_upload=100_000, grace=1))
    sent = request(path="/v1/files", headers={"content-length": "100001"})
    reply = await ask(gate.port, sent)
    assert (reply.status, reply.error["code"]) == (413, "request_too_large")
    assert stage.stats().connections == 0
    chunked = request(path="/v1/files", headers={"transfer-encoding": "chunked"})
    chunked = chunked.replace(b"content-length: 0\r\n", b"")
    pieces = b"".join(b"8000\r\n%b\r\n" % (b"x" * 0x8000) for _ in range(5))
    reply = await ask(gate.port, chunked + pieces)
    assert (reply.status, reply.error["code"]) == (413, "request_too_large")
    assert stage.stats().requests == 0


async def test_without_a_route_for_everything_nothing_passes(stage: Stage) -> None:
    """A gateway that was told exactly what to serve serves nothing else."""
    config = await stage.config()
    routes = {"fast": next(iter(config.routes.values()))}
    gate = await stage.open(routes=routes)
    reply = await ask(gate.port, request(method="GET", path="/v1/files"))
    assert (reply.status, reply.error["code"]) == (404, "not_found")
