"""`/v1/realtime` and other websockets: frames in both directions, unread.

aiohttp's own client and server speak the protocol; messages are passed on one by one, with
the receiving side's back-pressure holding the sending side.

Source: https://docs.aiohttp.org/en/stable/client_reference.html#clientwebsocketresponse
(2026-11-21)
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import aiohttp
from aiohttp import WSCloseCode, WSMsgType, web

from proxy.adapter import UpstreamRequest, UpstreamResponse
from proxy.attempts import Attempts
from proxy.exchange import Exchange
from proxy.headers import to_upstream, together
from proxy.legs import Errand, Leg, attempt
from proxy.passthrough import Course
from proxy.pipeline import Client, Found
from proxy.preparing import authorised
from proxy.service import Service
from proxy.websocket import MAX_MESSAGE_BYTES, HandshakeRefused
from proxy.wire import Response

_KEY_PROTOCOL = "openai-insecure-api-key."
_FAREWELL_S = 0.05
Socket = aiohttp.ClientWebSocketResponse | web.WebSocketResponse


class Realtime:
    """One websocket on its way through; `work` is what the pipeline runs."""

    def __init__(self, service: Service, request: web.BaseRequest, course: Course) -> None:
        self._preparing = service.preparing
        self._request = request
        self._course = course

    async def work(self, exchange: Exchange, client: Client, found: Found) -> Response | None:
        """Connect to the provider of the route, then to the client, and join the two."""
        choice = Attempts(found.route, found.model, exchange, 1).next(time.monotonic())
        return await attempt(Errand(exchange, client, found), choice, self._call)

    async def _call(self, leg: Leg) -> Response | None:
        ours = leg.deployment.adapter.authorize(leg.target)
        headers = together(ours, to_upstream(leg.exchange.headers))
        asked = UpstreamRequest("GET", self._course.of(leg.deployment), headers)
        asked = await authorised(asked, leg.target)
        protocols = _protocols(leg.exchange.headers)
        connect_s = leg.deployment.timeouts.connect
        upstream = leg.deployment.unit.upstream.at(asked.base_url)
        try:
            async with upstream.websocket(
                asked.path, asked.headers, protocols, connect_s
            ) as vendor:
                leg.attempt.status = leg.exchange.status = 101
                client = web.WebSocketResponse(
                    protocols=[vendor.protocol] if vendor.protocol else (),
                    max_msg_size=MAX_MESSAGE_BYTES,
                    autoclose=False,  # its close goes to the vendor before it is answered
                )
                await client.prepare(self._request)
                await _join(client, vendor)
        except HandshakeRefused as refusal:
            said = UpstreamResponse(refusal.status, (), b"")
            raise leg.deployment.adapter.error(said) from None
        return None


def _protocols(headers: dict[str, str]) -> list[str]:
    """Return the subprotocols the client offers, without the one that carries its key."""
    offered = headers.get("sec-websocket-protocol", "").split(",")
    names = [name.strip() for name in offered]
    return [name for name in names if name and not name.startswith(_KEY_PROTOCOL)]


async def _join(client: web.WebSocketResponse, vendor: aiohttp.ClientWebSocketResponse) -> None:
    """Pass messages both ways until one side ends; then end the other the same way."""
    ways = [asyncio.ensure_future(_pass(*way)) for way in ((client, vendor), (vendor, client))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.wait(ways)
        code = client.close_code
        await _end(vendor, code, WSCloseCode.GOING_AWAY)
        await _end(client, code or vendor.close_code, WSCloseCode.INTERNAL_ERROR)


async def _pass(source: Socket, sink: Socket) -> None:
    """Pass messages one way; a sink that has gone is the end of it, as a source's end is."""
    with suppress(ConnectionError):
        async for message in source:
            if message.type is WSMsgType.TEXT:
                await sink.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await sink.send_bytes(message.data)


async def _end(socket: Socket, code: int | None, broken: int) -> None:
    """Close one side with the code of the other, or `broken` if that one just vanished.

    It has a moment to answer, and may not fill that with messages.
    """
    if code is None or code == WSCloseCode.ABNORMAL_CLOSURE:
        code = broken
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(_FAREWELL_S):
            await socket.close(code=code)
