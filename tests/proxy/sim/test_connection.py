"""Every fault as a client's socket sees it, and HTTP's corners."""

import asyncio
import json
from typing import Any

import pytest

from proxy.sim import connection
from tests.proxy.sim.raw import Running, Start, chat_request, request, unchunked

DONE = b"data: [DONE]\n\n"


async def until(condition: Any) -> None:
    """Wait for what must come; a test that waits for ever is stopped by its runner."""
    while not condition():
        await asyncio.sleep(0.001)


async def test_a_whole_answer(sim: Running) -> None:
    """No fault: a head, a length, a body."""
    found = await sim.chat("sim", "echo=1;")
    assert found.status == 200
    assert found.header("content-length") == str(len(found.body))
    assert "echo=1;" in found.json["choices"][0]["message"]["content"]


async def test_a_stream(sim: Running) -> None:
    """Each event is one of HTTP's chunks, `[DONE]` is last, the body ends cleanly."""
    found = await sim.stream("sim:chunks=3")
    body, ended = unchunked(found.body)
    assert ended
    assert body.endswith(DONE)
    assert body.count(b"data: ") == 1 + 3 + 1 + 1
    assert found.header("content-type") == "text/event-stream; charset=utf-8"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "waits"), [(429, "2"), (500, None), (503, "2"), (418, None)])
async def test_a_status(sim: Running, status: int, waits: str | None, stream: bool) -> None:
    """An error body in OpenAI's shape; 429 and 503 say when to come again."""
    found = await sim.chat(f"sim:fault=status-{status},retry_after=2s", stream=stream)
    assert found.status == status
    assert set(found.json["error"]) == {"message", "type", "param", "code"}
    assert found.header("retry-after") == waits


async def test_a_reset_before_the_head(sim: Running) -> None:
    """Not a byte, then a RST."""
    found = await sim.chat("sim:fault=reset")
    assert (found.head, found.body, found.reset) == ("", b"", True)


@pytest.mark.parametrize("fault", ["cut=40", "fault=cut,cut=40", "fault=reset-body,cut=40"])
async def test_a_cut_whole_answer(sim: Running, fault: str) -> None:
    """So many bytes of the body, then a RST; the length promised more."""
    found = await sim.chat(f"sim:{fault}")
    assert (len(found.body), found.reset) == (40, True)
    assert int(found.header("content-length") or 0) > 40


async def test_a_cut_stream(sim: Running) -> None:
    """The bytes are counted as the stream's, without HTTP's chunks."""
    found = await sim.stream("sim:cut=400")
    body, ended = unchunked(found.body)
    assert (len(body), ended, found.reset) == (400, False, True)


async def test_a_clean_cut(sim: Running) -> None:
    """HTTP ends as it should, the stream has no `[DONE]`, the document is not whole."""
    body, ended = unchunked((await sim.stream("sim:cut_clean=400")).body)
    assert (len(body), ended) == (400, True)
    found = await sim.chat("sim:cut_clean=40")
    assert (len(found.body), found.reset) == (40, False)
    assert found.header("content-length") is None


@pytest.mark.parametrize("fault", ["hang", "hang-body"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_hang_is_only_ended_by_the_client(sim: Running, fault: str, stream: bool) -> None:
    """The request stays open until the client leaves, which is noticed and noted."""
    stats = sim.simulator.stats
    reader, writer = await sim.open()
    writer.write(chat_request(f"sim:fault={fault},at=2", stream=stream))
    if fault == "hang-body":
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.read(10)
    await until(lambda: stats.open == 1)
    writer.close()
    await until(lambda: stats.open == 0)
    assert stats.aborted == 1
    assert stats.aborts[0].model == f"sim:fault={fault},at=2"
    assert stats.aborts[0].after_s > 0


async def test_a_malformed_chunk(sim: Running) -> None:
    """One event is no JSON, the stream goes on to its end."""
    body, _ = unchunked((await sim.stream("sim:fault=malformed")).body)
    broken = 0
    for event in body.removesuffix(b"\n\n").split(b"\n\n")[:-1]:
        try:
            json.loads(event.removeprefix(b"data: "))
        except json.JSONDecodeError:
            broken += 1
    assert broken == 1
    assert body.endswith(DONE)


async def test_an_error_inside_a_200(sim: Running) -> None:
    """Whole and in the stream, at the start and in the middle."""
    assert "error" in (await sim.chat("sim:fault=error-200")).json
    for at, contents in ((0, 0), (2, 2)):
        found = await sim.stream(f"sim:fault=error-200,at={at}")
        body, ended = unchunked(found.body)
        assert (found.status, ended) == (200, True)
        events = body.removesuffix(b"\n\n").split(b"\n\n")
        assert "error" in json.loads(events[-1].removeprefix(b"data: "))
        assert len(events) == 1 + contents + 1


async def test_a_slow_head(sim: Running) -> None:
    """The head comes byte by byte, and whole."""
    reader, writer = await sim.open()
    writer.write(chat_request("sim:fault=slow-head,slow=1ms"))
    pieces = []
    while piece := await reader.read(65536):
        pieces.append(piece)
    writer.close()
    assert len(pieces) > 20
    assert b"".join(pieces).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_slow_reader_still_answers(start: Start) -> None:
    """By configuration or by a name, a large request is read with pauses, and answered."""
    large = "x" * 2_000_000
    for running, model in (
        (await start(), "sim:fault=slow-read,slow=1ms"),
        (await start({"fault": "slow-read", "slow": "1ms"}), "sim"),
    ):
        assert (await running.chat(model, large)).status == 200


async def test_no_end_marker(sim: Running) -> None:
    """Everything but `[DONE]`, cleanly ended."""
    body, ended = unchunked((await sim.stream("sim:fault=no-done")).body)
    assert ended
    assert DONE not in body
    assert b'"finish_reason":"stop"' in body


async def test_bodies_that_are_none(sim: Running) -> None:
    """JSON that is none, a page, nothing."""
    with pytest.raises(json.JSONDecodeError):
        _ = (await sim.chat("sim:fault=bad-json")).json
    page = await sim.stream("sim:fault=html")
    assert (page.status, page.header("content-type")) == (502, "text/html")
    assert page.body.startswith(b"<html>")
    assert (await sim.chat("sim:fault=empty")).body == b""
    assert unchunked((await sim.stream("sim:fault=empty")).body) == (b"", True)


async def test_a_wrong_length(sim: Running) -> None:
    """More is promised than comes before the connection ends without a reset."""
    found = await sim.chat("sim:fault=wrong-length")
    assert int(found.header("content-length") or 0) == len(found.body) + 100
    assert not found.reset


async def test_garbage(sim: Running) -> None:
    """What comes back does not even begin like HTTP."""
    assert not (await sim.chat("sim:fault=garbage")).head.startswith("HTTP")


async def test_no_usage(sim: Running) -> None:
    """Neither whole nor streamed, though it was asked for."""
    assert "usage" not in (await sim.chat("sim:fault=no-usage")).json
    found = await sim.stream("sim:fault=no-usage", stream_options={"include_usage": True})
    assert b'"usage"' not in found.body


async def test_comments_and_line_ends(sim: Running) -> None:
    """Both are legal, and both at once."""
    body, _ = unchunked((await sim.stream("sim:fault=comments+crlf")).body)
    assert body.startswith(b": SIM PROCESSING\r\n\r\ndata: {")
    assert body.endswith(b"data: [DONE]\r\n\r\n")


async def test_a_window(sim: Running) -> None:
    """The third of two is a 429 with a true wait; another name has its own window."""
    model = "sim:limit=2/60s"
    left = [(await sim.chat(model)).header("x-ratelimit-remaining-requests") for _ in range(2)]
    assert left == ["1", "0"]
    refused = await sim.chat(model)
    assert (refused.status, refused.json["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 0 < int(refused.header("retry-after") or 0) <= 60
    assert refused.header("x-ratelimit-remaining-requests") == "0"
    assert (await sim.chat("sim:limit=2/50s")).status == 200


async def test_refused_prompts(sim: Running) -> None:
    """Too long for the model, or filtered."""
    found = await sim.chat("sim:context=100", "x" * 1000)
    assert (found.status, found.json["error"]["code"]) == (400, "context_length_exceeded")
    assert (await sim.chat("sim:context=100", "x")).status == 200
    found = await sim.chat("sim:fault=filter")
    assert (found.status, found.json["error"]["code"]) == (400, "content_filter")


async def test_faults_take_turns(sim: Running) -> None:
    """One good call, two bad ones, then good ones again, on one name."""
    model = "sim:fault=status-500,after=1,times=2"
    assert [(await sim.chat(model)).status for _ in range(5)] == [200, 500, 500, 200, 200]


async def test_requests_on_one_connection(sim: Running) -> None:
    """Keep-alive, and requests sent before the answers came: each gets its own, in order."""
    reader, writer = await sim.open()
    for number in range(5):
        model = "sim:text=echo,latency=1ms" if number % 2 else "sim:text=echo"
        document = {"model": model, "messages": [{"role": "user", "content": f"echo={number};"}]}
        writer.write(request("/v1/chat/completions", document, keep=True))
    for number in range(5):
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        content = json.loads(await reader.readexactly(size))["choices"][0]["message"]["content"]
        assert content == f"echo={number};"
    writer.close()


async def test_a_repeated_request_comes_from_memory_with_its_own_id(sim: Running) -> None:
    """The same body gets the same answer, but no two answers one request id."""
    found = [await sim.chat("sim") for _ in range(2)]
    reader, writer = await sim.open()
    document = {"model": "sim", "messages": []}
    writer.write(request("/v1/chat/completions", document, keep=True) * 2)
    heads = []
    for _ in range(2):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        size = int(heads[-1].split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(size)
    writer.close()
    assert heads[0] != heads[1]
    assert found[0].body == found[1].body
    assert found[0].header("x-request-id") != found[1].header("x-request-id")


async def test_a_chunked_upload(sim: Running) -> None:
    """A body without a length is a body."""
    whole = chat_request("sim").partition(b"\r\n\r\n")[2]
    pieces = b"".join(b"%x\r\n%b\r\n" % (1, whole[n : n + 1]) for n in range(len(whole)))
    head = b"POST /v1/chat/completions HTTP/1.1\r\nconnection: close\r\n"
    found = await sim.raw(head + b"transfer-encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n")
    assert found.status == 200


async def test_a_client_that_waits_for_continue(sim: Running) -> None:
    """The body is asked for before it comes."""
    reader, writer = await sim.open()
    head, _, body = chat_request("sim").partition(b"\r\n\r\n")
    writer.write(head + b"\r\nexpect: 100-continue\r\n\r\n")
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await reader.read(15)) == b"HTTP/1.1 200 OK"
    writer.close()


async def test_an_old_client_gets_no_chunks(sim: Running) -> None:
    """HTTP/1.0 knows no chunks: the stream ends with the connection."""
    found = await sim.raw(chat_request("sim", stream=True).replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert found.header("transfer-encoding") is None
    assert found.body.endswith(DONE)


async def test_a_head_request_gets_no_body(sim: Running) -> None:
    """But the length it would have."""
    found = await sim.raw(b"HEAD /v1/models HTTP/1.1\r\nconnection: close\r\n\r\n")
    assert (found.status, found.body) == (200, b"")
    assert int(found.header("content-length") or 0) > 0


async def test_another_upgrade_is_ignored(sim: Running) -> None:
    """A client that would rather speak HTTP/2 is answered in HTTP/1.1."""
    found = await sim.raw(b"GET /v1/models HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n")
    assert found.status == 200


@pytest.mark.parametrize(
    ("received", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 100_000, 431),
    ],
)
async def test_requests_that_are_none(sim: Running, received: bytes, status: int) -> None:
    """HTTP's own errors close the connection."""
    assert (await sim.raw(received)).status == status


async def test_a_body_is_bounded(sim: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte too many is a 413."""
    monkeypatch.setattr(connection, "MAX_BODY_BYTES", 10)
    assert (await sim.chat("sim")).status == 413


async def test_a_client_that_does_not_read_holds_no_answer_back(sim: Running) -> None:
    """A long stream waits for its reader, others are answered meanwhile."""
    reader, writer = await sim.open()
    writer.write(chat_request("sim:chunks=100,bytes=200000,latency=1ms", stream=True))
    await reader.readexactly(15)
    assert (await sim.chat("sim")).status == 200
    assert sim.simulator.stats.bytes < 15_000_000
    writer.close()
    await until(lambda: sim.simulator.stats.open == 0)


async def test_who_leaves_in_a_stream_is_noted(sim: Running) -> None:
    """At every stage: waiting for the head, for the first token, between chunks."""
    stats = sim.simulator.stats
    for count, waits in enumerate(("latency=60s", "first=60s", "pace=60s"), 1):
        reader, writer = await sim.open()
        writer.write(chat_request(f"sim:{waits}", stream=True))
        if waits != "latency=60s":
            await reader.readexactly(15)
        await until(lambda: stats.open == 1)
        writer.close()
        await until(lambda: stats.open == 0)
        assert stats.aborted == count
    await until(lambda: stats.connected == 0)


async def test_who_has_the_whole_answer_may_leave(sim: Running) -> None:
    """Closing an idle connection is nobody's abort."""
    reader, writer = await sim.open()
    writer.write(
        request("/v1/chat/completions", {"model": "sim:latency=1ms", "messages": []}, keep=True)
    )
    await reader.readuntil(b"\r\n\r\n")
    await until(lambda: sim.simulator.stats.open == 0)
    writer.close()
    await until(lambda: sim.simulator.stats.connected == 0)
    assert sim.simulator.stats.aborted == 0
