"""Which addresses a URL of a client may lead to: those that anybody on the internet reaches.

Whoever lets strangers name URLs lends them its own place in the network. So no connection is
made to an address that only this place reaches: the machine itself, its neighbours, the
cloud's metadata service, or one of these in the clothes of another family. What is checked is
the address that the socket is connected to; a name that answers otherwise the second time it
is asked gains nothing.

Source: https://www.iana.org/assignments/iana-ipv4-special-registry and
https://www.iana.org/assignments/iana-ipv6-special-registry (2026-11-21). The tables of
Python's `ipaddress` differ between patch releases, so these are our own.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

from aiohttp.abc import AbstractResolver, ResolveResult

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Lookup: TypeAlias = Callable[[str], Sequence[str]]
"""A host's name to its addresses as text; blocks, and raises OSError where there are none."""

_LOOKUPS = 8

_NOT_PUBLIC_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by a carrier's customers, and a cloud's metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's metadata at an address that looks public
        "169.254.0.0/16",  # link-local, metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocols
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4, withdrawn by RFC 7526
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # measurements
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocols; Teredo, which has an IPv4 address inside
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which has an IPv4 address inside; withdrawn by RFC 7526
        "3fff::/20",  # documentation
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class NotPublic(OSError):
    """A connection was refused before it was tried: the address is not for strangers."""


def is_public(address: Address) -> bool:
    """Whether anybody on the internet reaches this address, and means the same by it."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    inside = _inside(address)
    if inside is not None:
        return is_public(inside)
    return (
        address in _GLOBAL_V6
        and address.scope_id is None
        and not any(address in network for network in _NOT_PUBLIC_V6)
    )


def literal(host: str) -> Address | None:
    """Return the address that `host` itself is, or None if it is a name.

    Read as the system reads it, so that `0x7f.1`, `017700000001` and `2130706433` are what
    they are: 127.0.0.1.
    """
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host.strip("[]"))
    with contextlib.suppress(OSError, ValueError):
        return ipaddress.IPv4Address(socket.inet_aton(host))
    return None


def _inside(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address a translator on the way would make of it."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def look_up(host: str) -> Sequence[str]:
    """Ask the system for the addresses of a name; blocks.

    Raises:
        OSError: it has none.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


class Guard(AbstractResolver):
    """Looks names up, and makes sockets to allowed addresses only.

    It has threads of its own: the name servers of strangers may be slow on purpose, and the
    look-ups of vendors must not wait behind them.

    Args:
        lookup: asks for a name's addresses.
        allows: whether an address may be connected to.
    """

    def __init__(
        self, lookup: Lookup = look_up, allows: Callable[[Address], bool] = is_public
    ) -> None:
        self._lookup = lookup
        self._allows = allows
        self._threads = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="lookup")

    def refuses(self, host: str) -> bool:
        """Whether `host` is an address itself, and one that is not allowed."""
        address = literal(host)
        return address is not None and not self._allows(address)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of `host` that are allowed.

        Raises:
            NotPublic: it has addresses, but none of these.
            OSError: it has none.
        """
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._threads, self._lookup, host)
        except UnicodeError:
            raise OSError("the name cannot be asked for") from None
        fitting = [address for address in dict.fromkeys(found) if self._fits(address)]
        if found and not fitting:
            raise NotPublic("no public address")
        return [_result(host, port, address) for address in fitting]

    def socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Make the socket of one connection; `info` is as from `getaddrinfo`.

        Everything that connects comes through here, literal addresses as well.

        Raises:
            NotPublic: the address is not allowed.
        """
        family, kind, protocol, _, where = info
        if not self._fits(str(where[0])):
            raise NotPublic("not a public address")
        return socket.socket(family, kind, protocol)

    async def close(self) -> None:
        """Look nothing up any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _fits(self, text: str) -> bool:
        address = literal(text)
        return address is not None and self._allows(address)


def _result(host: str, port: int, address: str) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=family,
        proto=0,
        flags=int(socket.AI_NUMERICHOST | socket.AI_NUMERICSERV),
    )


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine itself, and nobody else's."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
