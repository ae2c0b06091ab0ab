"""TLS on both sides of the gateway."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme
from openai import DefaultAsyncHttpxClient

from proxy.config.structs import Server, Tls
from tests.e2e.raw import Client, Reply, chat, request, texts
from tests.e2e.stage import Gate, Stage
from tests.proxy.vendor import Line, Vendor, until


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server(authority: trustme.CA, tmp_path: Path) -> Server:
    """A gateway's own certificate, as files."""
    issued = authority.issue_cert("127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.cert_chain_pems[0].write_to_path(cert)
    issued.private_key_pem.write_to_path(key)
    return Server(tls=Tls(cert=str(cert), key=str(key)), grace=1)


def context(authority: trustme.CA) -> ssl.SSLContext:
    """What a client trusts."""
    made = ssl.create_default_context()
    authority.configure_trust(made)
    return made


async def connect(gate: Gate, tls: ssl.SSLContext) -> Client:
    return Client(*await asyncio.open_connection("127.0.0.1", gate.port, ssl=tls))


async def ask(gate: Gate, tls: ssl.SSLContext, sent: bytes) -> Reply:
    async with await connect(gate, tls) as client:
        await client.send(sent)
        return await client.reply()


async def test_clients_by_tls(stage: Stage, server: Server, authority: trustme.CA) -> None:
    """Whole answers, streams and bad input, by the SDK and by hand."""
    gate = await stage.open(server=server)
    tls = context(authority)
    assert (await ask(gate, tls, request(chat()))).status == 200
    reply = await ask(gate, tls, request(chat("sim:chunks=50,bytes=10000", stream=True)))
    assert len(texts(reply.body)) == 500_000
    assert (await ask(gate, tls, b"nonsense\r\n\r\n")).status == 400
    async with DefaultAsyncHttpxClient(verify=tls) as http:
        async with gate.client(http_client=http) as client:
            client.base_url = f"https://127.0.0.1:{gate.port}/v1"
            found = await client.chat.completions.create(
                model="sim:text=echo", messages=[{"role": "user", "content": "hi"}]
            )
        assert found.choices[0].message.content == "hi"


async def test_a_client_without_tls_or_with_an_old_one_is_not_served(
    stage: Stage, server: Server, authority: trustme.CA
) -> None:
    """1.2 is the least; plain HTTP on that port is no request."""
    gate = await stage.open(server=server)
    old = context(authority)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await connect(gate, old)
    async with await Client.connect(gate.port) as client:
        await client.send(request(chat()))
        assert b"200" not in await client.rest()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        tls = context(authority)
        tls.minimum_version = tls.maximum_version = version
        assert (await ask(gate, tls, request(chat()))).status == 200


async def test_a_client_that_goes_is_noticed_through_tls(
    stage: Stage, server: Server, authority: trustme.CA
) -> None:
    """With a reset and with a proper close, in a stream and before it."""
    gate = await stage.open(server=server)
    tls, stats = context(authority), stage.stats()
    gone = 0
    for fault in ("hang", "hang-body,at=20,chunks=40"):
        for kill in (True, False):
            client = await connect(gate, tls)
            await client.send(request(chat(f"sim:fault={fault}", stream=True)))
            await until(lambda: stats.open == 1)
            if kill:
                client.kill()
            else:
                client.writer.close()
            gone += 1
            await until(lambda n=gone: stats.aborted == n)
            await until(lambda: stats.open == 0)


@pytest.mark.parametrize("trusted", [True, False])
async def test_a_vendor_by_tls_is_verified(
    stage: Stage, authority: trustme.CA, tmp_path: Path, trusted: bool
) -> None:
    """One whose certificate nobody vouches for never sees the credential."""
    heads = []

    async def script(line: Line) -> None:
        heads.append(await line.request())
        await line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    roots = tmp_path / "roots.pem"
    authority.cert_pem.write_to_path(roots)
    async with Vendor(script, tls) as vendor:
        provider = {"base_url": vendor.url, **({"ca": str(roots)} if trusted else {})}
        gate = await stage.open(vendors=(), providers={"sim": provider})
        async with await Client.connect(gate.port) as client:
            await client.send(request(chat()))
            reply = await client.reply()
    if trusted:
        assert reply.body == b"{}"
    else:
        assert (reply.status, reply.error["code"]) == (502, "upstream_unreachable")
        assert not heads
