"""Whether a client has gone while nobody reads from it.

An event loop learns of the end of a connection by reading. While a body is held back, because
its vendor takes no more or the call still waits for a worker, the system is asked instead, now
and then, in which state the connection is. Where it cannot be asked (not on Linux) a client
that goes then is noticed when its body is read on.

Source: https://man7.org/linux/man-pages/man7/tcp.7.html, TCP_INFO (2026-11-21)
"""

from __future__ import annotations

import asyncio
import socket
import sys

INTERVAL_S = 0.05
"""Between two questions, in seconds."""

_ASKABLE = sys.platform == "linux"
_ESTABLISHED = 1


class Absence:
    """Watches one connection while it is not read from; aborts it once the client has gone."""

    __slots__ = ("_loop", "_timer", "_transport")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    def watch(self, transport: asyncio.Transport) -> None:
        """Begin to ask; again while asking is the same as once."""
        if _ASKABLE and self._timer is None:
            self._transport = transport
            self._timer = self._loop.call_later(INTERVAL_S, self._ask)

    def stop(self) -> None:
        """Ask no more: the connection is read from, or is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._transport = None

    def _ask(self) -> None:
        self._timer = None
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if _established(transport.get_extra_info("socket")):
            self.watch(transport)
        else:
            transport.abort()


def _established(connection: socket.socket | None) -> bool:
    """Whether the other side still could send; where there is no TCP nobody knows."""
    if connection is None or connection.family not in (socket.AF_INET, socket.AF_INET6):
        return True
    try:
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED
    except OSError:
        return False
