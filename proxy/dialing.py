"""How a connection to a vendor comes about: name look-up, TCP, proxies, TLS.

This is the only file that opens one.

Addresses of both families are tried side by side (happy eyeballs), so that a broken IPv6
costs a quarter of a second and not a time-out. A look-up is kept for a short while and
forgotten as soon as a connection fails, because a vendor may just have moved.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
import ssl
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple, cast
from urllib.parse import unquote, urlsplit

import aiohappyeyeballs

from proxy.connection import Connection
from proxy.errors import UpstreamBadResponse, UpstreamUnreachable
from proxy.http1 import Origin, RequestHeads, ResponseReader, parse_origin
from proxy.tls import ResumingContext, default_context

ADDRESSES_TTL_S = 30.0
HAPPY_EYEBALLS_S = 0.25
_KEEPALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))

_AddressInfo = tuple[Any, ...]


class Proxy(NamedTuple):
    """An HTTP proxy on the way to the vendor.

    Attributes:
        authorization: value of `proxy-authorization`; empty where the proxy asks for none.
    """

    host: str
    port: int
    authorization: str = ""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """What every request to the proxy carries."""
        return (("proxy-authorization", self.authorization),) if self.authorization else ()


def proxy_for(origin: Origin, environ: Mapping[str, str]) -> Proxy | None:
    """Return the proxy that `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` name.

    Lower case wins over upper case. Nothing on this machine itself is reached by a proxy.

    Raises:
        ValueError: the proxy is no HTTP proxy.

    Source: https://pkg.go.dev/golang.org/x/net/http/httpproxy (2026-11-21)
    """
    url = _variable(environ, f"{origin.scheme}_proxy") or _variable(environ, "all_proxy")
    if not url or _is_bypassed(origin, _variable(environ, "no_proxy")):
        return None
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"only http:// proxies can be used, not {parts.scheme}://")
    authorization = ""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {b64encode(pair.encode()).decode()}"
    return Proxy(parts.hostname, parts.port or 80, authorization)


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name) or environ.get(name.upper()) or ""


def _is_bypassed(origin: Origin, exceptions: str) -> bool:
    address = _address(origin.host)
    if origin.host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(_matches(rule.strip().lower(), origin) for rule in exceptions.split(","))


def _matches(rule: str, origin: Origin) -> bool:
    """Whether one entry of `NO_PROXY` means `origin`: a host, its domain, a network, `*`."""
    if rule in ("", "*"):
        return rule == "*"
    with contextlib.suppress(ValueError):
        network = ipaddress.ip_network(rule.strip("[]"), strict=False)
        address = _address(origin.host)
        return address is not None and address in network
    name, _, port = rule.partition(":")
    if port and port != str(origin.port):
        return False
    name = name.removeprefix("*").removeprefix(".")
    return origin.host == name or origin.host.endswith("." + name)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host)
    return None


class Addresses:
    """The addresses of one host, looked up at most every `ADDRESSES_TTL_S` seconds."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._looking: asyncio.Future[list[_AddressInfo]] | None = None
        self._expires_at = 0.0

    async def get(self) -> list[_AddressInfo]:
        """Return them; all who ask meanwhile share one look-up.

        Raises:
            OSError: the name is not known, or nobody answers for it.
        """
        loop = asyncio.get_running_loop()
        looking = self._looking
        if looking is None or looking.get_loop() is not loop or loop.time() >= self._expires_at:
            looking = asyncio.ensure_future(lookup(self._host, self._port))
            looking.add_done_callback(self._looked)
            self._looking = looking
            self._expires_at = loop.time() + ADDRESSES_TTL_S
        return await asyncio.shield(looking)

    def forget(self) -> None:
        """Look up again next time."""
        self._expires_at = 0.0

    def _looked(self, looking: asyncio.Future[list[_AddressInfo]]) -> None:
        if looking.cancelled() or looking.exception() is not None:
            self.forget()


async def lookup(host: str, port: int) -> list[_AddressInfo]:
    """Ask the system's resolver, which works in a thread."""
    loop = asyncio.get_running_loop()
    return list(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))


class Dialer:
    """Opens the connections to one base URL.

    Args:
        base_url: of the provider.
        tls: None verifies against the system's authorities.
        environ: where proxies are named.

    Attributes:
        heads: writes the requests as this way to the vendor wants them.
        where: the vendor's host and port.
    """

    def __init__(
        self, base_url: str, tls: ssl.SSLContext | None, environ: Mapping[str, str]
    ) -> None:
        origin = parse_origin(base_url)
        proxy = proxy_for(origin, environ)
        self._origin = origin
        self._tls = (tls or default_context()) if origin.scheme == "https" else None
        self._tunnel = proxy if self._tls is not None else None
        if proxy is not None and self._tunnel is None:
            self.heads = RequestHeads(origin, absolute=True, extra=proxy.headers)
        else:
            self.heads = RequestHeads(origin)
        self.where = origin.where
        self._addresses = Addresses(*(proxy[:2] if proxy is not None else origin[1:3]))
        self._proxied = proxy is not None

    def __repr__(self) -> str:
        return f"{self._origin.scheme}://{self.where}"

    def __str__(self) -> str:
        return f"{self.where} (by proxy)" if self._proxied else self.where

    async def dial(self, connection: Connection) -> None:
        """Open `connection`; cancelling leaves nothing open.

        Raises:
            UpstreamUnreachable: look-up, TCP, the proxy or TLS failed; it says which.
        """
        try:
            sock = await self._connect()
            if self._tunnel is not None:
                await self._dial_through(self._tunnel, sock, connection)
            else:
                await asyncio.get_running_loop().create_connection(
                    lambda: connection,
                    sock=sock,
                    ssl=self._tls,
                    server_hostname=self._origin.host if self._tls is not None else None,
                )
        except (OSError, RuntimeError) as error:  # uvloop raises RuntimeError for some of them
            self._addresses.forget()
            raise UpstreamUnreachable(f"cannot connect to {self}: {_cause(error)}") from None

    def remember(self, transport: asyncio.Transport) -> None:
        """Keep the TLS session of a connection that has carried an answer."""
        if isinstance(self._tls, ResumingContext):
            self._tls.remember(self._origin.host, transport.get_extra_info("ssl_object").session)

    async def _connect(self) -> socket.socket:
        addresses = await self._addresses.get()
        sock = await aiohappyeyeballs.start_connection(
            addresses,
            happy_eyeballs_delay=HAPPY_EYEBALLS_S,
            interleave=1,
        )
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if hasattr(socket, name):  # not everywhere
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        return sock

    async def _dial_through(
        self, proxy: Proxy, sock: socket.socket, connection: Connection
    ) -> None:
        """Let the proxy connect us, then talk TLS with the vendor."""
        loop = asyncio.get_running_loop()
        raw, tunnel = await loop.create_connection(_Tunnel, sock=sock)
        try:
            await tunnel.open(self.where, proxy)
            assert self._tls is not None
            transport = await loop.start_tls(
                raw, connection, self._tls, server_hostname=self._origin.host
            )
        except BaseException:
            raw.abort()
            raise
        if transport is None:
            raise ConnectionAbortedError
        connection.connection_made(transport)


class _Tunnel(asyncio.Protocol):
    """A connection to a proxy until it is a connection to the vendor."""

    def __init__(self) -> None:
        self._reader = ResponseReader()
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._failure = "closed the connection"

    async def open(self, where: str, proxy: Proxy) -> None:
        """Ask for the way to `where`.

        Raises:
            UpstreamUnreachable: the proxy refused it, or is none.
        """
        fields = "".join(f"{name}: {value}\r\n" for name, value in proxy.headers)
        self._reader.begin("CONNECT")
        self._transport.write(f"CONNECT {where} HTTP/1.1\r\nhost: {where}\r\n{fields}\r\n".encode())
        await self._answered
        reader = self._reader
        if not 200 <= reader.status < 300:
            failure = f"refused (status {reader.status})" if reader.status else self._failure
            raise UpstreamUnreachable(f"the proxy {failure} on the way to {where}")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Read the proxy's answer."""
        try:
            self._reader.feed(data)
        except UpstreamBadResponse:
            self._failure = "did not answer in HTTP"
            self._end()
        if self._reader.head_complete:
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end."""
        self._end()

    def _end(self) -> None:
        if not self._answered.done():
            self._answered.set_result(None)


def _cause(error: Exception) -> str:
    """Say in words what failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or type(error).__name__})"
    if isinstance(error, socket.gaierror):
        return "its name cannot be looked up"
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    return "the connection was closed" if isinstance(error, ConnectionError) else "no connection"
