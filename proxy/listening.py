"""The sockets on which clients are heard.

They are made before the event loop, so that an address that cannot be had is told in one line
and at once. Several workers each listen on a socket of their own at the same address, and the
system shares the connections out among them (SO_REUSEPORT).

Source: https://man7.org/linux/man-pages/man7/socket.7.html (2026-11-21)
"""

from __future__ import annotations

import errno
import socket
import sys
from typing import NamedTuple

BACKLOG = 4096
"""Connections that may wait to be accepted; the system may allow fewer."""

_SHARES_OUT = sys.platform == "linux"
"""Elsewhere one of several sockets would get all: there the workers inherit a single one."""


_REASONS = {
    errno.EADDRINUSE: "the port is taken; another one can be given with --port",
    errno.EACCES: "ports below 1024 need more rights; another one can be given with --port",
}


class CannotListen(OSError):
    """The address cannot be had; the text is one line for the user."""


class _Address(NamedTuple):
    family: socket.AddressFamily
    host: str
    both: bool
    """Whether it stands for IPv4 as well (`::` alone)."""


class Place:
    """An address that is ours, on which nobody listens yet.

    Attributes:
        port: the one that was asked for, or the one the system chose.
    """

    def __init__(self, held: list[socket.socket], addresses: list[_Address], shared: bool) -> None:
        self._held = held
        self._addresses = addresses
        self._shared = shared
        self.port = int(held[0].getsockname()[1])

    def listen(self) -> list[socket.socket]:
        """Begin to listen and return the sockets, not blocking.

        Each worker calls it once, in its own process.

        Raises:
            CannotListen: the address was lost.
        """
        listening = self._held
        if self._shared and _SHARES_OUT:
            listening = [_bound(address, self.port, shared=True) for address in self._addresses]
        for each in listening:
            try:
                each.listen(BACKLOG)
            except OSError as error:
                raise _refusal(each.getsockname()[0], self.port, error) from None
        return listening

    def close(self) -> None:
        """Give the address back."""
        for each in self._held:
            each.close()


def reserve(host: str, port: int, *, shared: bool = False) -> Place:
    """Take an address, for one process or to be shared by several.

    Args:
        host: an IPv4 or IPv6 address, or a name that stands for one or for both; `::` is every
            address of both kinds.
        port: 0 takes one that is free.
        shared: whether several processes will listen.

    Raises:
        CannotListen: no such host, the port is taken, or it is not for this user.
    """
    shared = shared and _SHARES_OUT
    if shared and port:
        # Sharing would also be granted to another gateway of this user that has the port now.
        reserve(host, port).close()
    held: list[socket.socket] = []
    usable: list[_Address] = []
    refusal: CannotListen | None = None
    for address in _addresses(host, port):
        try:
            held.append(_bound(address, port, shared=shared))
        except CannotListen as error:
            refusal = error
            continue
        usable.append(address)
        port = int(held[0].getsockname()[1])
    if refusal is not None and (not held or not _absent(refusal)):
        for each in held:
            each.close()
        raise refusal
    return Place(held, usable, shared)


def _addresses(host: str, port: int) -> list[_Address]:
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise _refusal(host, port, error) from None
    inet = [entry for entry in found if entry[0] in (socket.AF_INET, socket.AF_INET6)]
    unique = dict.fromkeys((entry[0], str(entry[4][0])) for entry in inet)
    return [_Address(family, name, both=host == "::") for family, name in unique]


def _bound(address: _Address, port: int, *, shared: bool) -> socket.socket:
    made = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if address.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not address.both)
        made.bind((address.host, port))
    except OSError as error:
        made.close()
        raise _refusal(address.host, port, error) from None
    return made


def _absent(refusal: CannotListen) -> bool:
    """Whether this machine merely lacks one of a name's addresses, often `::1`."""
    return refusal.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def _refusal(host: str, port: int, error: OSError | UnicodeError) -> CannotListen:
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    refusal = CannotListen(f"cannot listen on {where}: {_reason(error)}")
    refusal.errno = error.errno if isinstance(error, OSError) else None
    return refusal


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):
        return "this is no host's name"
    return _REASONS.get(error.errno or 0) or str(error.strerror or error).lower()
