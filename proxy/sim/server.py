"""The simulator as a server: `headgate sim`, the provider `sim`, and tests."""

from __future__ import annotations

import asyncio

from proxy.sim.behaviour import Behaviour
from proxy.sim.connection import Connection
from proxy.sim.desk import Desk
from proxy.sim.stats import Stats

BACKLOG = 8192


class Simulator:
    """A vendor on this machine.

    Args:
        options: how it behaves where a model's name says nothing else.
        key: what clients must send as `authorization: Bearer KEY`; empty: nothing.
    """

    def __init__(self, options: Behaviour | None = None, *, key: str = "") -> None:
        self._options = options or Behaviour()
        self._key = key
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._desk: Desk | None = None

    @property
    def stats(self) -> Stats:
        """What it saw since it started.

        Raises:
            RuntimeError: it was never started.
        """
        if self._desk is None:
            raise RuntimeError("the simulator was not started")
        return self._desk.stats

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen, and return the port; port 0 takes any that is free.

        Raises:
            OSError: the address cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        desk = Desk(self._options, self._key, loop.time)
        self._server = await loop.create_server(
            lambda: Connection(desk, self._connections), host, port, backlog=BACKLOG
        )
        self._desk = desk
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and break every connection; may be called twice."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        open_connections = tuple(self._connections)
        for connection in open_connections:
            connection.abort()
        await asyncio.gather(*(connection.gone.wait() for connection in open_connections))
        await server.wait_closed()
