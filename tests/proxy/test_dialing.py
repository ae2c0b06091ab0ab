"""Name look-up, happy eyeballs, proxies and TLS."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping

import pytest
import trustme

from proxy import dialing
from proxy.dialing import Proxy, proxy_for
from proxy.errors import UpstreamTimeout, UpstreamTruncated, UpstreamUnreachable
from proxy.http1 import parse_origin
from proxy.tls import ResumingContext, tls_context
from proxy.upstream import Timeouts, Upstream
from tests.proxy.vendor import (
    LOOPS,
    Line,
    Loop,
    Vendor,
    answer,
    ask,
    echo,
    on_both_loops,
    run,
    until,
    upstream,
)

CA = trustme.CA()
HOST = "vendor.test"


def server_tls(*names: str, ca: trustme.CA = CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1", "h2"])
    ca.issue_cert(*(names or (HOST,))).configure_cert(context)
    return context


def trusting(ca: trustme.CA = CA) -> ResumingContext:
    context = tls_context()
    ca.configure_trust(context)
    assert isinstance(context, ResumingContext)
    return context


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every name is this machine; the list tells which were asked for."""
    asked: list[str] = []

    async def lookup(host: str, port: int) -> list[tuple[object, ...]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(dialing, "lookup", lookup)
    return asked


@LOOPS
def test_a_name_is_looked_up_once_for_many_connections(loop: Loop, looked_up: list[str]) -> None:
    """A thousand calls at once ask the resolver one question."""

    async def test() -> None:
        async with Vendor(echo) as vendor:
            pool = upstream(f"http://{HOST}:{vendor.port}")
            await asyncio.gather(*(ask(pool) for _ in range(20)))
            assert (len(vendor.lines), looked_up) == (20, [HOST])
            assert vendor.requests[0].headers["host"] == f"{HOST}:{vendor.port}"
            await pool.close()

    run(loop, test())


@LOOPS
def test_a_name_is_looked_up_again_when_it_is_old(
    loop: Loop, looked_up: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A vendor that moves is found again."""
    monkeypatch.setattr(dialing, "ADDRESSES_TTL_S", 0.0)

    async def test() -> None:
        async with Vendor(echo) as vendor:
            pool = upstream(f"http://{HOST}:{vendor.port}", idle_connections=0)
            await ask(pool)
            await ask(pool)
            assert looked_up == [HOST, HOST]
            await pool.close()

    run(loop, test())


@LOOPS
def test_a_name_is_looked_up_again_after_a_failure(loop: Loop, looked_up: list[str]) -> None:
    """An address nobody answers at is not asked for half a minute."""

    async def test() -> None:
        pool = upstream(f"http://{HOST}:{_unused_port()}")
        for _ in range(2):
            with pytest.raises(UpstreamUnreachable, match="connection refused"):
                await ask(pool)
        assert looked_up == [HOST, HOST]
        await pool.close()

    run(loop, test())


@on_both_loops
async def test_a_name_nobody_knows_is_said_to_be_one() -> None:
    """The reason is in the message."""
    pool = upstream("http://nobody.invalid")
    with pytest.raises(UpstreamUnreachable, match=r"nobody\.invalid:80: its name cannot be"):
        await ask(pool)
    assert pool.open == 0


@LOOPS
def test_a_look_up_that_hangs_is_a_connect_timeout(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One budget covers look-up, TCP and TLS."""

    async def lookup(host: str, port: int) -> list[tuple[object, ...]]:
        await asyncio.sleep(0.2)
        raise OSError

    monkeypatch.setattr(dialing, "lookup", lookup)

    async def test() -> None:
        pool = upstream(f"http://{HOST}")
        with pytest.raises(UpstreamTimeout) as raised:
            await ask(pool, timeouts=Timeouts(connect_s=0.01))
        assert (raised.value.phase, pool.open) == ("connect", 0)

    run(loop, test())


@LOOPS
def test_a_broken_address_family_costs_little(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one address keeps silent, the other family's is tried."""
    silent = socket.create_server(("127.0.0.1", 0), backlog=0)
    clogs = [socket.create_connection(silent.getsockname()) for _ in range(1)]

    async def test() -> None:
        async with Vendor(echo) as vendor:
            addresses = [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", silent.getsockname()),
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", vendor.port)),
            ]

            async def lookup(host: str, port: int) -> list[tuple[object, ...]]:
                return addresses

            monkeypatch.setattr(dialing, "lookup", lookup)
            monkeypatch.setattr(dialing, "HAPPY_EYEBALLS_S", 0.01)
            pool = upstream(f"http://{HOST}")
            assert await ask(pool) == b"{}"
            await pool.close()

    try:
        run(loop, test())
    finally:
        for opened in (*clogs, silent):
            opened.close()


@on_both_loops
async def test_sockets_send_at_once_and_notice_a_dead_peer() -> None:
    """Nagle's algorithm is off, keep-alive probes are on."""
    async with Vendor(echo) as vendor:
        pool = upstream(vendor.url)
        await ask(pool)
        (connection,) = pool._open
        assert connection.transport is not None
        sock = connection.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        await pool.close()


@LOOPS
def test_a_vendor_is_verified_and_told_its_name(loop: Loop, looked_up: list[str]) -> None:
    """SNI and ALPN are sent, TLS is at least 1.2, the certificate is checked."""
    seen: list[str | None] = []
    server = server_tls()
    server.sni_callback = lambda _, name, __: seen.append(name)

    async def play(line: Line) -> None:
        await line.request()
        tls = line.writer.get_extra_info("ssl_object")
        await line.send(answer(f"{tls.selected_alpn_protocol()} {tls.version()}".encode()))
        await line.gone()

    async def test() -> None:
        async with Vendor(play, server) as vendor:
            pool = upstream(f"https://{HOST}:{vendor.port}", tls=trusting())
            assert await ask(pool) == b"http/1.1 TLSv1.3"
            assert (seen, pool.idle) == ([HOST], 1)
            await pool.close()

    run(loop, test())
    assert tls_context().minimum_version is ssl.TLSVersion.TLSv1_2


@LOOPS
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_resumed_by_the_next_connection(
    loop: Loop, version: ssl.TLSVersion, looked_up: list[str]
) -> None:
    """The second handshake saves a certificate, a signature and its verification."""
    server = server_tls()
    server.maximum_version = version

    async def play(line: Line) -> None:
        await line.request()
        tls = line.writer.get_extra_info("ssl_object")
        await line.send(answer(b"resumed" if tls.session_reused else b"new"))

    async def test() -> None:
        async with Vendor(play, server) as vendor:
            pool = upstream(f"https://{HOST}:{vendor.port}", tls=trusting())
            assert await ask(pool) == b"new"
            await until(lambda: pool.open == 0)
            assert await ask(pool) == b"resumed"
            await pool.close()

    run(loop, test())


@LOOPS
@pytest.mark.parametrize(
    ("names", "ca", "reason"),
    [
        (("other.test",), CA, "Hostname mismatch"),
        ((HOST,), trustme.CA(), "self-signed certificate|unable to get local issuer"),
    ],
    ids=["wrong host", "unknown authority"],
)
def test_a_vendor_that_is_not_who_it_says_is_refused(
    loop: Loop, names: tuple[str, ...], ca: trustme.CA, reason: str, looked_up: list[str]
) -> None:
    """Nothing is sent, and the message says what is wrong with the certificate."""

    async def test() -> None:
        async with Vendor(echo, server_tls(*names, ca=ca)) as vendor:
            pool = upstream(f"https://{HOST}:{vendor.port}", tls=trusting())
            with pytest.raises(UpstreamUnreachable, match=f"certificate is not accepted.*{reason}"):
                await ask(pool)
            assert (pool.open, vendor.requests) == (0, [])

    run(loop, test())


@LOOPS
def test_a_vendor_that_does_not_talk_tls_is_unreachable(loop: Loop) -> None:
    """Plain HTTP, nothing at all, and silence: each has its own error."""

    async def nonsense(line: Line) -> None:
        await line.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await line.gone()

    async def hangs_up(line: Line) -> None:
        await line.reader.read(1)

    async def test() -> None:
        for script, reason in ((nonsense, "TLS failed"), (hangs_up, "cannot connect")):
            async with Vendor(script) as vendor:
                pool = upstream(vendor.url.replace("http:", "https:"))
                with pytest.raises(UpstreamUnreachable, match=reason):
                    await ask(pool)
                assert pool.open == 0
        async with Vendor(Line.idle) as vendor:
            pool = upstream(vendor.url.replace("http:", "https:"))
            with pytest.raises(UpstreamTimeout):
                await ask(pool, timeouts=Timeouts(connect_s=0.02))

    run(loop, test())


@LOOPS
@pytest.mark.parametrize("clean", [True, False])
def test_a_body_without_length_ends_with_the_vendors_word_not_with_the_wires(
    loop: Loop, clean: bool, looked_up: list[str]
) -> None:
    """Whoever cuts the wire cannot make a cut answer look whole (RFC 9112 section 9.8)."""

    async def play(line: Line) -> None:
        await line.request()
        await line.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        if not clean:
            await asyncio.sleep(0.01)
            line.writer.transport.abort()

    async def test() -> None:
        async with Vendor(play, server_tls()) as vendor:
            pool = upstream(f"https://{HOST}:{vendor.port}", tls=trusting())
            if clean:
                assert await ask(pool) == b"hello"
            else:
                with pytest.raises(UpstreamTruncated):
                    await ask(pool)
            await until(lambda: pool.open == 0)

    run(loop, test())


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("http://h", {}, None),
        ("http://h", {"HTTP_PROXY": "http://p:3128"}, ("p", 3128, "")),
        ("http://h", {"http_proxy": "http://a:1", "HTTP_PROXY": "http://b:2"}, ("a", 1, "")),
        ("https://h", {"HTTP_PROXY": "http://p"}, None),
        ("https://h", {"HTTPS_PROXY": "p:8080"}, ("p", 8080, "")),
        ("https://h", {"ALL_PROXY": "http://p"}, ("p", 80, "")),
        ("https://h", {"all_proxy": "socks5://p", "https_proxy": "http://q"}, ("q", 80, "")),
        ("http://h", {"http_proxy": "http://u:p%40@p"}, ("p", 80, "Basic dTpwQA==")),
        ("http://h", {"http_proxy": "http://p", "no_proxy": "*"}, None),
        ("http://h", {"http_proxy": "http://p", "NO_PROXY": "a, h"}, None),
        ("http://x.h.test", {"http_proxy": "http://p", "no_proxy": "h.test"}, None),
        ("http://x.h.test", {"http_proxy": "http://p", "no_proxy": ".h.test"}, None),
        ("http://x.h.test", {"http_proxy": "http://p", "no_proxy": "*.h.test"}, None),
        ("http://xh.test", {"http_proxy": "http://p", "no_proxy": "h.test"}, ("p", 80, "")),
        ("http://h:81", {"http_proxy": "http://p", "no_proxy": "h:81"}, None),
        ("http://h:82", {"http_proxy": "http://p", "no_proxy": "h:81"}, ("p", 80, "")),
        ("http://10.1.2.3", {"http_proxy": "http://p", "no_proxy": "10.0.0.0/8"}, None),
        ("http://11.1.2.3", {"http_proxy": "http://p", "no_proxy": "10.0.0.0/8"}, ("p", 80, "")),
        ("http://10.1.2.3", {"http_proxy": "http://p", "no_proxy": "10.1.2.3"}, None),
        ("http://[fd00::1]", {"http_proxy": "http://p", "no_proxy": "fd00::/8"}, None),
        ("http://h", {"http_proxy": "http://p", "no_proxy": "10.0.0.0/8"}, ("p", 80, "")),
        ("http://127.0.0.1", {"http_proxy": "http://p"}, None),
        ("http://[::1]", {"http_proxy": "http://p"}, None),
        ("http://localhost:80", {"http_proxy": "http://p"}, None),
    ],
)
def test_the_environment_names_the_proxy(
    url: str, environ: Mapping[str, str], proxy: tuple[str, int, str] | None
) -> None:
    """By scheme, lower case first, with exceptions by host, domain, port and network."""
    assert proxy_for(parse_origin(url), environ) == (Proxy(*proxy) if proxy else None)


def test_a_proxy_we_cannot_use_is_a_mistake_of_the_configuration() -> None:
    """Going round it silently could be what it is there to prevent."""
    with pytest.raises(ValueError, match="socks5"):
        Upstream("http://h", environ={"ALL_PROXY": "socks5://p"})


@LOOPS
def test_plain_requests_go_to_the_proxy_whole(loop: Loop, looked_up: list[str]) -> None:
    """The proxy gets the URL and its own credentials; its connection is kept."""

    async def test() -> None:
        async with Vendor(echo) as vendor:
            environ = {"http_proxy": f"http://u:p@proxy.test:{vendor.port}"}
            pool = Upstream("http://vendor.test/v1", environ=environ)
            assert await ask(pool) == b"{}"
            assert await ask(pool) == b"{}"
            asked = vendor.requests[0]
            assert asked.line == "POST http://vendor.test/v1/x HTTP/1.1"
            assert asked.headers["host"] == HOST
            assert asked.headers["proxy-authorization"] == "Basic dTpw"
            assert (looked_up, len(vendor.lines)) == (["proxy.test"], 1)
            await pool.close()

    run(loop, test())


@contextlib.asynccontextmanager
async def connect_proxy(refusal: bytes = b"") -> AsyncIterator[Vendor]:
    """A proxy that connects to this machine whatever it is asked for, or refuses."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def play(line: Line) -> None:
        port = (await line.head()).line.split()[1].rpartition(":")[2]
        if refusal:
            await line.send(refusal)
            await line.gone()
            return
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
        await line.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(relay(line.reader, writer), relay(reader, line.writer))
        finally:
            writer.close()

    async with Vendor(play) as proxy:
        yield proxy


@LOOPS
def test_encrypted_requests_go_through_the_proxy(loop: Loop, looked_up: list[str]) -> None:
    """The proxy sees a name and a port, the vendor's certificate is checked by us."""

    async def test() -> None:
        async with Vendor(echo, server_tls()) as vendor, connect_proxy() as proxy:
            pool = Upstream(
                f"https://{HOST}:{vendor.port}",
                tls=trusting(),
                environ={"https_proxy": f"http://u:p@proxy.test:{proxy.port}"},
            )
            assert await ask(pool, b"one") == b"one"
            assert await ask(pool, b"two") == b"two"
            assert vendor.requests[0].line == "POST /x HTTP/1.1"
            assert "proxy-authorization" not in vendor.requests[0].headers
            assert proxy.requests[0].line == f"CONNECT {HOST}:{vendor.port} HTTP/1.1"
            assert proxy.requests[0].headers["proxy-authorization"] == "Basic dTpw"
            assert (len(vendor.lines), looked_up) == (1, ["proxy.test"])
            await pool.close()
            await until(lambda: not vendor.open and not proxy.open)

    run(loop, test())


@LOOPS
@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (b"HTTP/1.1 407 Auth\r\ncontent-length: 5\r\n\r\nhello", r"refused \(status 407\)"),
        (b"nonsense", "did not answer in HTTP"),
    ],
)
def test_a_proxy_that_refuses_is_named(
    loop: Loop, refusal: bytes, reason: str, looked_up: list[str]
) -> None:
    """The vendor is not blamed for it; the credentials are not shown."""

    async def test() -> None:
        async with connect_proxy(refusal) as proxy:
            environ = {"https_proxy": f"http://user:secret@proxy.test:{proxy.port}"}
            pool = Upstream(f"https://{HOST}", environ=environ)
            with pytest.raises(UpstreamUnreachable, match=f"the proxy {reason}") as raised:
                await ask(pool)
            assert "secret" not in raised.value.message
            assert pool.open == 0
            await until(lambda: not proxy.open)

    run(loop, test())


@LOOPS
def test_a_proxy_that_keeps_silent_or_hangs_up_fails_the_connect(
    loop: Loop, looked_up: list[str]
) -> None:
    """The time to connect covers the proxy too."""

    async def hang_up(line: Line) -> None:
        await line.head()

    async def test() -> None:
        for script, expected in ((Line.idle, UpstreamTimeout), (hang_up, UpstreamUnreachable)):
            async with Vendor(script) as proxy:
                environ = {"https_proxy": f"http://proxy.test:{proxy.port}"}
                pool = Upstream(f"https://{HOST}", environ=environ)
                with pytest.raises(expected):
                    await ask(pool, timeouts=Timeouts(connect_s=0.05))
                assert pool.open == 0

    run(loop, test())


def _unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
