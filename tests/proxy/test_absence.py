"""Noticing that a client has gone, without reading from it."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import AsyncIterator

import pytest

from proxy.absence import INTERVAL_S, Absence
from tests.proxy.vendor import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be asked")


class Server(asyncio.Protocol):
    """Reads nothing, and watches."""

    def __init__(self) -> None:
        self.lost = False
        self.absence = Absence(asyncio.get_running_loop())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


@pytest.fixture
async def both() -> AsyncIterator[tuple[Server, socket.socket]]:
    """The server's end of a connection, and the client's."""
    made: list[Server] = []

    def make() -> Server:
        made.append(Server())
        return made[-1]

    loop = asyncio.get_running_loop()
    server = await loop.create_server(make, "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()) as client:
        await until(lambda: made and hasattr(made[0], "transport"))
        yield made[0], client
    made[0].absence.stop()
    made[0].transport.abort()
    await until(lambda: made[0].lost)
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("linger", [None, struct.pack("ii", 1, 0)], ids=["close", "reset"])
async def test_a_client_that_goes_is_noticed(
    both: tuple[Server, socket.socket], linger: bytes | None
) -> None:
    """However it goes, and although bytes of it are still unread."""
    server, client = both
    client.sendall(b"x" * 1000)
    server.absence.watch(server.transport)
    server.absence.watch(server.transport)
    if linger:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    client.close()
    await until(lambda: server.lost)


async def test_a_client_that_stays_is_left_alone(both: tuple[Server, socket.socket]) -> None:
    """Asking changes nothing."""
    server, _ = both
    server.absence.watch(server.transport)
    await asyncio.sleep(3 * INTERVAL_S)
    assert not server.lost


async def test_nobody_asks_after_the_end(both: tuple[Server, socket.socket]) -> None:
    """Once the connection is read again, its end is the loop's to notice."""
    server, client = both
    server.absence.watch(server.transport)
    server.absence.stop()
    client.close()
    await asyncio.sleep(3 * INTERVAL_S)
    assert not server.lost
