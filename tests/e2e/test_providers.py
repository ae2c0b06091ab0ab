"""All of a provider behind `/providers/<name>/`: what goes through, and what does not."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from aiohttp import ClientSession, WSMsgType, web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from adapters.azure import SCOPE, Entra
from proxy.config.structs import Credential, Hold, Key, Server
from proxy.config.types import Secret
from tests.e2e.raw import Client, Reply, ask, request
from tests.e2e.stage import CREDENTIAL, KEY, Gate, Stage, route
from tests.e2e.vendors.replay import Answer, Replay, document
from tests.proxy.vendor import Asked, Line, Vendor, until

OK = document({"ok": True})
LIMITED = "client-key-that-may-do-less"


class Stand(NamedTuple):
    """A provider called "acme" and a gateway in front of it."""

    replay: Replay
    gate: Gate

    async def ask(self, path: str, body: bytes = b"", answer: Answer = OK, **more: Any) -> Reply:
        """Send a request to the provider and return what comes back."""
        self.replay.answers.append(answer)
        method = more.pop("method", "POST" if body else "GET")
        sent = request(body, path=f"/providers/acme{path}", method=method, **more)
        reply = await ask(self.gate.port, sent, head_only=method == "HEAD")
        if len(self.replay.answers) and self.replay.answers[-1] is answer:
            self.replay.answers.pop()
        return reply

    @property
    def asked(self) -> Asked:
        """What the vendor saw last."""
        return self.replay.last


@asynccontextmanager
async def standing(
    stage: Stage, adapter: str = "openai", base: str = "/v1", **settings: Any
) -> AsyncIterator[Stand]:
    """Stand the provider up; `provider` are further settings of it."""
    async with Replay() as replay:
        provider = {"adapter": adapter, "base_url": replay.url + base}
        provider |= settings.pop("provider", {})
        gate = await stage.open(vendors=(), providers={"acme": provider}, **settings)
        yield Stand(replay, gate)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_method_path_query_and_body_are_as_they_came(stage: Stage, method: str) -> None:
    """Percent signs, order and doubles of the query, and every byte of the body stay."""
    path = "/v2/x%20y/a%2Fb//c/...?b=2&a=1&a=%20+&empty&=&%C3%A9"
    body = b"" if method in ("GET", "OPTIONS") else b'{ "a" : 1.0, "a":2 ,"b":"\xff"}'
    async with standing(stage) as stand:
        reply = await stand.ask(path, body, method=method)
        assert stand.asked.line == f"{method} {path} HTTP/1.1"
        assert stand.asked.body == body
    assert (reply.status, reply.body) == (200, b'{"ok": true}')
    assert reply.headers["x-headgate-provider"] == "acme"


@pytest.mark.parametrize(
    ("path", "joined"),
    [("/v1/a", "/v1/a"), ("/a", "/v1/a"), ("/v9/a", "/v9/a"), ("", "/v1"), ("/", "/v1/")],
)
async def test_a_path_is_joined_to_the_base_url(stage: Stage, path: str, joined: str) -> None:
    """Nothing is doubled, and other versions are in reach."""
    async with standing(stage) as stand:
        await stand.ask(path)
        assert stand.asked.line == f"GET {joined} HTTP/1.1"


KEYED: dict[str, dict[str, str]] = {
    "bearer": {"authorization": f"Bearer {KEY}"},
    "x-api-key": {"x-api-key": KEY},
    "api-key": {"api-key": KEY},
    "x-goog-api-key": {"x-goog-api-key": KEY},
}


@pytest.mark.parametrize("adapter", ["openai", "anthropic", "gemini", "azure"])
@pytest.mark.parametrize("place", [*KEYED, "query", "query and header"])
async def test_the_credential_goes_up_and_the_key_does_not(
    stage: Stage, adapter: str, place: str
) -> None:
    """Wherever the client's key is, the vendor only sees ours, where it wants it."""
    headers = KEYED.get(place, KEYED["bearer"] if "header" in place else {})
    path = f"/v1/files?a=b&key={KEY}&c=d" if "query" in place else "/v1/files?a=b&c=d"
    async with standing(stage, adapter, "") as stand:
        reply = await stand.ask(path, key="", headers=headers)
        asked = stand.asked
    assert reply.status == 200
    assert asked.line == "GET /v1/files?a=b&c=d HTTP/1.1"
    assert CREDENTIAL in str(asked.headers)
    assert KEY not in str(asked)


async def test_headers_of_the_vendors_sdk_go_along_and_the_clients_account_does_not(
    stage: Stage,
) -> None:
    """Versions, features and tracing are for the vendor; keys, cookies, accounts are not."""
    along = {
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "files-api-2025-04-14,mcp-client",
        "x-goog-api-client": "genai/1",
        "x-goog-upload-protocol": "resumable",
        "x-stainless-lang": "python",
        "prefer": "wait=5",
        "accept": "application/x-ndjson",
        "content-type": "application/octet-stream",
        "user-agent": "SDK/1",
    }
    stays = {
        "cookie": f"session={KEY}",
        "x-api-key": KEY,
        "openai-organization": "org-of-the-client",
        "x-goog-user-project": "project-of-the-client",
        "anthropic-workspace-id": "wrkspc-of-the-client",
        "x-amz-security-token": "session-of-the-client",
        "x-headgate-tags": "a=b",
        "x-forwarded-for": "10.0.0.1",
    }
    ours = {"extra_headers": {"anthropic-beta": "operator-beta,mcp-client"}}
    async with standing(stage, provider=ours) as stand:
        await stand.ask("/v1/messages", b"x", headers={**along, **stays})
        asked = stand.asked
    assert asked.headers["anthropic-beta"] == "operator-beta,mcp-client,files-api-2025-04-14"
    for name in along.keys() - {"anthropic-beta"}:
        assert asked.headers[name] == along[name]
    for name, value in stays.items():
        assert asked.headers.get(name) != value
        assert value not in str(asked.headers)


ESCAPES = [
    "/providers/acme/../other",
    "/providers/acme/v1/../../../etc",
    "/providers/acme/%2e%2e/x",
    "/providers/acme/v1%2f..%2f..%2fx",
    "/providers/acme/%252e%252e%252fx",
    "/providers/acme/..%5c..%5cx",
    "/providers/acme/..;/x",
    "http://evil.example/providers/acme/v1/x",
    "/providers/acme/a\u00e9",
    "/providers/acme/a#b",
]


@pytest.mark.parametrize("path", ESCAPES)
async def test_a_path_that_would_lead_elsewhere_is_refused(stage: Stage, path: str) -> None:
    """Before the vendor hears of it."""
    async with standing(stage) as stand:
        reply = await ask(stand.gate.port, request(method="GET", path=path))
        assert (reply.status, reply.error["code"]) == (400, "invalid_request")
        assert stand.replay.lines == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("//evil.example/v1/x", "/evil.example/v1/x"),
        ("/http://evil.example/v1/x", "/v1/http://evil.example/v1/x"),
        ("/@evil.example/x", "/v1/@evil.example/x"),
        ("/%2F%2Fevil.example/x", "/v1/%2F%2Fevil.example/x"),
        ("/x?url=http://evil.example/", "/v1/x?url=http://evil.example/"),
    ],
)
async def test_what_looks_like_a_host_is_a_path_of_the_provider(
    stage: Stage, path: str, line: str
) -> None:
    """Whatever stands in a path, the request goes to the provider's own host."""
    async with standing(stage) as stand:
        assert (await stand.ask(path)).status == 200
        assert stand.asked.line == f"GET {line} HTTP/1.1"
        assert stand.asked.headers["host"] == f"127.0.0.1:{stand.replay.port}"


@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
async def test_methods_for_proxies_do_not_go_through(stage: Stage, method: str) -> None:
    """A TRACE would be answered with our credential."""
    async with standing(stage) as stand:
        sent = request(method=method, path="/providers/acme/v1/x")
        assert (await ask(stand.gate.port, sent)).status in (400, 404, 405)
        assert stand.replay.lines == []


async def test_a_wrong_key_is_refused(stage: Stage) -> None:
    """In a header or in the query, also where no such provider is; the vendor hears nothing."""
    async with standing(stage) as stand:
        for path in ("/providers/acme/v1/x", "/providers/nobody/x", "/providers/acme/.."):
            for key, query in (("wrong", ""), ("", ""), ("", "?key=wrong"), ("x", f"?key={KEY}")):
                sent = request(method="GET", path=path + query, key=key)
                reply = await ask(stand.gate.port, sent)
                assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")
        assert stand.replay.lines == []


async def test_an_unknown_provider_is_not_found_and_the_nearest_is_told(stage: Stage) -> None:
    """A slip of the pen is answered with what was meant."""
    async with standing(stage) as stand:
        for name, hint in (("acne", "did you mean acme?"), ("zzzzzzz", "does not exist")):
            reply = await ask(
                stand.gate.port, request(method="GET", path=f"/providers/{name}/v1/x")
            )
            assert (reply.status, reply.error["code"]) == (404, "not_found")
            assert hint in reply.error["message"]
        for path in ("/providers", "/providers/"):
            assert (await ask(stand.gate.port, request(method="GET", path=path))).status == 404
        assert stand.replay.lines == []


@pytest.mark.parametrize(
    ("routes", "allowed"),
    [
        ([], True),
        (["*"], True),
        (["acme/*"], True),
        (["acme"], True),
        (["fast", "acme*"], True),
        (["fast"], False),
        (["acme/small"], False),
        (["acme/small*"], False),
        (["acme/?"], False),
        (["*-small"], False),
        (["other/*"], False),
        (["named"], False),
    ],
)
async def test_a_key_for_some_routes_does_not_open_a_provider(
    stage: Stage, routes: list[str], allowed: bool
) -> None:
    """Only a pattern of all of it does, or its name where no route has that too."""
    keys = [Key(name="limited", value=Secret(LIMITED), routes=routes)]
    served = {"*": route("acme"), "fast": route("acme/small"), "named": route("acme/small")}
    async with Replay() as replay:
        same = {"base_url": f"{replay.url}/v1"}
        gate = await stage.open(
            vendors=(), providers={"acme": same, "named": same}, routes=served, keys=keys
        )
        name = "named" if routes == ["named"] else "acme"
        replay.answers.append(OK)
        sent = request(method="GET", path=f"/providers/{name}/v1/files", key=LIMITED)
        reply = await ask(gate.port, sent)
        assert len(replay.requests) == allowed
    assert reply.status == (200 if allowed else 403)
    if not allowed:
        assert (reply.error["code"], reply.error["origin"]) == ("not_allowed", "policy")


async def test_events_pass_as_they_come(stage: Stage) -> None:
    """A stream of the vendor's own is relayed event by event, not at its end."""
    go_on = asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
        await line.send(head + b"transfer-encoding: chunked\r\n\r\n9\r\nevent: a\n\r\n")
        await go_on.wait()
        await line.send(b"9\r\nevent: b\n\r\n0\r\n\r\n")

    async with Vendor(script) as vendor:
        gate = await stage.open(vendors=(), providers={"acme": {"base_url": vendor.url}})
        async with await Client.connect(gate.port) as client:
            await client.send(request(b"{}", path="/providers/acme/v1/messages"))
            _, headers = await client.head()
            assert headers["content-type"] == "text/event-stream"
            await client.until(b"event: a\n\r\n")
            go_on.set()
            assert b"event: b\n" in await client.until(b"0\r\n\r\n")


async def test_bytes_and_their_length_pass(stage: Stage) -> None:
    """A form up and something binary down, such as a model of three dimensions."""
    form = b"--b\r\nContent-Disposition: form-data; name=image\r\n\r\n" + bytes(range(256)) * 999
    seen = []

    async def script(line: Line) -> None:
        seen.append(await line.request())
        await line.send(
            b"HTTP/1.1 200 OK\r\ncontent-type: model/gltf-binary\r\ncontent-length: 5\r\n\r\nglTF\0"
        )

    async with Vendor(script) as vendor:
        provider = {"base_url": vendor.url, "adapter": "stability"}
        gate = await stage.open(vendors=(), providers={"acme": provider})
        kind = {"content-type": "multipart/form-data; boundary=b"}
        path = "/providers/acme/v2beta/3d/stable-fast-3d"
        reply = await ask(gate.port, request(form, path=path, headers=kind))
    assert (reply.body, reply.headers["content-type"]) == (b"glTF\0", "model/gltf-binary")
    assert reply.headers["content-length"] == "5"
    [asked] = seen
    assert asked.line == "POST /v2beta/3d/stable-fast-3d HTTP/1.1"
    assert (asked.body, asked.headers["content-type"]) == (form, kind["content-type"])


async def test_a_download_that_is_cut_is_never_taken_for_whole(stage: Stage) -> None:
    """Also where links in it are looked for."""

    async def script(line: Line) -> None:
        await line.request()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
        await line.send(head + b'{"results_url": "x')
        line.end()

    async with Vendor(script) as vendor:
        for adapter in ("anthropic", "openai"):
            provider = {"base_url": vendor.url, "adapter": adapter}
            gate = await stage.open(vendors=(), providers={"acme": provider})
            reply = await ask(gate.port, request(method="GET", path="/providers/acme/v1/x"))
            assert not reply.whole


@pytest.mark.parametrize("how", ["killed", "closed"])
async def test_a_client_that_goes_takes_its_call_with_it(stage: Stage, how: str) -> None:
    """Before the head and within the body; worker and connection are free at once."""
    gone = []

    async def script(line: Line) -> None:
        asked = await line.request()
        if "within" in asked.line:
            await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nx")
        await line.gone()
        gone.append(line)

    async with Vendor(script) as vendor:
        server = Server(grace=1, hold=Hold(time=60), ping=0)
        provider = {"base_url": vendor.url, "workers": 1}
        gate = await stage.open(vendors=(), providers={"acme": provider}, server=server)
        for number, place in enumerate(("before", "within"), 1):
            client = await Client.connect(gate.port)
            await client.send(request(b"{}", path=f"/providers/acme/v1/{place}"))
            await until(lambda number=number: len(vendor.lines) == number)
            if place == "within":
                await client.until(b"\r\n\r\nx")
            if how == "killed":
                client.kill()
            else:
                client.writer.close()
            await until(lambda number=number: len(gone) == number)
            await until(lambda: gate.unit("acme").busy == 0)


async def test_the_queue_and_the_workers_are_the_providers(stage: Stage) -> None:
    """One more than they hold is answered at once, with the time to come again."""
    async with standing(stage, provider={"workers": 1, "queue": 0}) as stand:
        stand.replay.answers.append(Answer([b"x"], hangs=True))
        async with await Client.connect(stand.gate.port) as first:
            await first.send(request(method="GET", path="/providers/acme/v1/x"))
            await until(lambda: stand.gate.unit("acme").busy == 1)
            reply = await stand.ask("/v1/y")
            assert (reply.status, reply.error["code"]) == (503, "queue_full")
            assert "retry-after" in reply.headers
            first.kill()
        await until(lambda: stand.gate.unit("acme").busy == 0)
        assert (await stand.ask("/v1/z")).status == 200


async def test_errors_of_the_vendor_pass_and_what_would_blame_the_client_does_not(
    stage: Stage,
) -> None:
    """400 and 404 are the vendor's words; 401 is about our credential, 5xx about the vendor."""
    said = {"type": "error", "error": {"type": "not_found_error", "message": "no such batch"}}
    async with standing(stage, "anthropic") as stand:
        for status in (400, 404, 413):
            reply = await stand.ask("/v1/x", answer=document(said, status))
            assert (reply.status, json.loads(reply.body)) == (status, said)
        for status, code in {401: "upstream_auth", 429: "upstream_rate_limited"}.items():
            reply = await stand.ask("/v1/x", answer=document(said, status, retry_after="7"))
            assert reply.error["code"] == code
            assert reply.error["provider"] == "acme"
        assert reply.headers["retry-after"] == "7"


async def test_links_of_the_vendor_are_ours(stage: Stage) -> None:
    """Else its SDK would go there itself, with a key that is none of the vendor's."""
    async with standing(stage, "anthropic") as stand:
        there, here = stand.replay.url, f"http://gateway.test{'/providers/acme'}"
        body = {"results_url": f"{there}/v1/messages/batches/b/results", "id": there + "/x"}
        reply = await stand.ask("/v1/messages/batches/b", answer=document(body))
        assert json.loads(reply.body) == {
            **body,
            "results_url": f"{here}{body['results_url'][len(there) :]}",
        }
        assert stand.asked.headers["accept-encoding"] == "identity"
        vendors = {"results_url": "https://api.anthropic.com/v1/r"}
        reply = await stand.ask("/v1/x", answer=document(vendors))
        assert json.loads(reply.body) == {"results_url": f"{here}/v1/r"}
        moved = Answer([b""], status=307, headers={"location": f"{there}/v1/y?a=b"})
        reply = await stand.ask("/v1/x", answer=moved, headers={"x-forwarded-proto": "https"})
        assert reply.headers["location"] == "https://gateway.test/providers/acme/v1/y?a=b"
        events = Answer(
            [b'data: {"results_url": "%b/v1"}\n\n' % there.encode()], "text/event-stream"
        )
        assert (await stand.ask("/v1/x", answer=events)).body == events.pieces[0]


async def test_an_upload_whose_place_is_followed_without_a_key_carries_the_clients(
    stage: Stage,
) -> None:
    """It is the client's own key, and it goes no further than to us."""
    async with standing(stage, "gemini", "/v1beta") as stand:
        place = f"{stand.replay.url}/upload/v1beta/files?upload_id=7"
        started = Answer([b"{}"], headers={"x-goog-upload-url": place})
        reply = await stand.ask("/upload/v1beta/files", b"{}", answer=started)
        assert stand.asked.line == "POST /upload/v1beta/files HTTP/1.1"
        url = reply.headers["x-goog-upload-url"]
        assert url == (
            f"http://gateway.test/providers/acme/upload/v1beta/files?upload_id=7&key={KEY}"
        )
        path = url.removeprefix("http://gateway.test/providers/acme")
        assert (await stand.ask(path, b"bytes", key="")).status == 200
        assert stand.asked.line == "POST /upload/v1beta/files?upload_id=7 HTTP/1.1"
        assert KEY not in str(stand.asked)


ACCESS = ReadOnlyCredentials("AKIDOFTHETESTS", "a-secret-that-signs", None)


async def test_a_request_is_signed_with_its_body(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The body is read whole for that, up to its limit; the client's own signature is gone."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ACCESS.secret_key)
    provider = {"credentials": [], "options": {"region": "eu-central-1"}}
    server = Server(grace=1, max_body=1000)
    path = "/model/arn%3Aaws%3Abedrock%3A%2Fm/count-tokens?a=b%20c"
    body = b'{"input": {}}'
    async with standing(stage, "bedrock", "", provider=provider, server=server) as stand:
        theirs = {"x-amz-security-token": "of-the-client", "x-amz-date": "20200101T000000Z"}
        assert (await stand.ask(path, body, headers=theirs)).status == 200
        asked = stand.asked
        sent = request(b"x" * 1001, path="/providers/acme/model/m/invoke")
        reply = await ask(stand.gate.port, sent)
        assert (reply.status, reply.error["code"]) == (413, "request_too_large")
        assert len(stand.replay.requests) == 1
        where = stand.replay.url
    assert asked.line == f"POST {path} HTTP/1.1"
    assert asked.body == body
    assert "x-amz-security-token" not in asked.headers
    again = AWSRequest("POST", where + path, {"content-type": "application/json"}, body)
    again.context["timestamp"] = asked.headers["x-amz-date"]
    signer = SigV4Auth(ACCESS, "bedrock", "eu-central-1")
    again.headers["X-Amz-Date"] = asked.headers["x-amz-date"]
    signed = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
    assert re.search("Signature=([0-9a-f]+)", asked.headers["authorization"])[1] == signed  # type: ignore[index]


class _Identity:
    """Stands for azure-identity's."""

    async def get_token(self, scope: str) -> Any:
        """Give one."""
        return NamedTuple("Token", [("token", str)])("eyJ0.of.entra")


async def test_a_token_is_asked_for_and_the_body_still_flows(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever only shows a token needs no body: it may be longer than what is read whole."""
    entra = Entra(_Identity(), ValueError, SCOPE)
    monkeypatch.setattr("adapters.azure.authorizer", lambda options, credential, send: entra)
    server = Server(grace=1, max_body=1000)
    provider: dict[str, Any] = {"credentials": []}
    async with standing(stage, "azure", "", provider=provider, server=server) as stand:
        reply = await stand.ask("/openai/v1/files", b"x" * 5000)
        assert reply.status == 200
        assert stand.asked.line == "POST /openai/v1/files HTTP/1.1"
        assert stand.asked.headers["authorization"] == "Bearer eyJ0.of.entra"
        assert stand.asked.body == b"x" * 5000
        stand.replay.answers.append(OK)
        reply = await ask(stand.gate.port, request(b"y" * 5000, path="/v1/files"))
        assert reply.status == 200
        assert stand.asked.line == "POST /openai/v1/files HTTP/1.1"
        assert stand.asked.headers["authorization"] == "Bearer eyJ0.of.entra"


async def test_a_websocket_goes_through(stage: Stage) -> None:
    """To the path the vendor's SDK wrote, with our credential in place of the client's key."""
    seen: list[web.BaseRequest] = []

    async def serve(asked: web.BaseRequest) -> web.StreamResponse:
        seen.append(asked)
        socket = web.WebSocketResponse()
        await socket.prepare(asked)
        async for message in socket:
            await socket.send_str(message.data.upper())
        return socket

    runner = web.ServerRunner(web.Server(serve), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        base = f"http://127.0.0.1:{runner.addresses[0][1]}/v1beta"
        provider = {"base_url": base, "adapter": "gemini"}
        gate = await stage.open(vendors=(), providers={"acme": provider})
        url = f"ws://127.0.0.1:{gate.port}/providers/acme/ws/google.v1beta.Bidi?a=b&key={KEY}"
        async with ClientSession() as session, session.ws_connect(url) as socket:
            await socket.send_str("hello")
            message = await socket.receive()
            assert (message.type, message.data) == (WSMsgType.TEXT, "HELLO")
        await until(lambda: gate.unit("acme").busy == 0)
    finally:
        await runner.cleanup()
    assert seen[0].raw_path == "/ws/google.v1beta.Bidi?a=b"
    assert seen[0].headers["x-goog-api-key"] == CREDENTIAL
    assert KEY not in str(seen[0].headers)


async def test_a_credential_for_some_models_is_not_used_for_all(stage: Stage) -> None:
    """What the operator keeps for one model does not open the rest of the vendor."""
    limited = {"credentials": [Credential(value=Secret(CREDENTIAL), models=["small"])]}
    async with standing(stage, provider=limited) as stand:
        reply = await stand.ask("/v1/files")
        assert (reply.status, reply.error["code"]) == (503, "no_deployment")
        assert stand.replay.lines == []
