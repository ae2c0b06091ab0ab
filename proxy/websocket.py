"""Websockets to vendors: aiohttp's client speaks the protocol, errors become ours.

Source: https://docs.aiohttp.org/en/stable/client_reference.html (2026-11-21)
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiohttp

from proxy.adapter import Headers
from proxy.errors import UpstreamTimeout, UpstreamUnreachable

MAX_MESSAGE_BYTES = 32 * 1024 * 1024


class HandshakeRefused(Exception):
    """The vendor answered the handshake with `status` instead of an upgrade."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


class Handshake(NamedTuple):
    """What to ask the vendor for.

    Attributes:
        url: `https:` or `http:`; a websocket begins as a request.
        protocols: the subprotocols the client offers.
    """

    url: str
    headers: Headers
    protocols: Sequence[str]


@asynccontextmanager
async def connect(
    handshake: Handshake, tls: ssl.SSLContext | None, connect_s: float
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Open a websocket for the length of a `with`.

    Raises:
        HandshakeRefused: the vendor said no.
        UpstreamUnreachable: no connection.
        UpstreamTimeout: "connect".
    """
    async with aiohttp.ClientSession(trust_env=True, auto_decompress=False) as session:
        try:
            async with asyncio.timeout(connect_s):
                socket = await session.ws_connect(
                    handshake.url,
                    headers=list(handshake.headers),
                    protocols=handshake.protocols,
                    max_msg_size=MAX_MESSAGE_BYTES,
                    ssl=tls or True,
                )
        except aiohttp.WSServerHandshakeError as error:
            raise HandshakeRefused(error.status) from None
        except aiohttp.ClientError as error:
            raise UpstreamUnreachable(f"no websocket to the provider: {error}") from None
        except TimeoutError:
            raise UpstreamTimeout("connect", connect_s) from None
        async with socket:
            yield socket
