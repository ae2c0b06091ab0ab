"""What the gateway does not itself understand: method, path, headers and body as they came.

The body is streamed upwards unread and the answer downwards unread, so nothing here depends
on what they are; only the credential is ours, and errors say whose fault they are.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from aiohttp import web

from proxy.adapter import UpstreamRequest, UpstreamResponse, header
from proxy.calls import MAX_ERROR_BYTES, Calls, Leg
from proxy.errors import NoDeployment
from proxy.exchange import Exchange
from proxy.headers import to_client, to_upstream
from proxy.pipeline import Client, Found, Pipeline
from proxy.routing import candidates
from proxy.serving import Patience, pieces, too_large
from proxy.streaming import Pump, Verbatim
from proxy.upstream import Answer, Timeouts, Upload
from proxy.wire import Response

PREFIX = "/v1"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_BLAMED = frozenset({401, 403, 429})


class Passage:
    """One request on its way through; `work` is what the pipeline runs."""

    def __init__(
        self, pipeline: Pipeline, calls: Calls, request: web.BaseRequest, patience: Patience
    ) -> None:
        self._pipeline = pipeline
        self._calls = calls
        self._request = request
        self._patience = patience
        self._server = pipeline.snapshot.config.server

    async def work(self, exchange: Exchange, client: Client, found: Found) -> Response | None:
        """Send the request to the provider of the route and stream its answer back.

        There is one attempt: a body that was streamed away cannot be sent again.

        Raises:
            RequestTooLarge: its announced length is over the limit; the vendor hears nothing.
        """
        if (self._request.content_length or 0) > self._server.max_upload:
            raise too_large(self._server.max_upload)
        now = time.monotonic()
        able = candidates(found.route.deployments, (), now)
        if not able:
            raise NoDeployment(f"no deployment of route {found.route.name!r} is free")
        deployment = found.route.strategy.choose(able, exchange)
        return await self._calls.attempt(exchange, client, found, deployment, self._call)

    async def _call(self, leg: Leg) -> Response | None:
        unit, timeouts = leg.deployment.unit, leg.deployment.timeouts
        rest_s = leg.exchange.deadline - time.monotonic()
        answer = await unit.upstream.send(
            self._sent(leg),
            timeouts=Timeouts(timeouts.connect, timeouts.idle),
            first_byte_s=rest_s,
            upload=self._upload(),
        )
        leg.attempt.status = answer.status
        try:
            if answer.status in _BLAMED or answer.status >= 500:
                refusal = await answer.read(MAX_ERROR_BYTES)
                raise leg.deployment.adapter.error(
                    UpstreamResponse(answer.status, answer.headers, refusal)
                )
            await self._relay(leg, answer)
        finally:
            answer.close()
        return None

    def _sent(self, leg: Leg) -> UpstreamRequest:
        """The client's request with our credential in place of its key."""
        ours = leg.deployment.adapter.authorize(leg.target)
        taken = {name for name, _ in ours}
        theirs = [p for p in to_upstream(leg.exchange.headers) if p[0] not in taken]
        method = self._request.method
        path = self._request.raw_path.removeprefix(PREFIX)
        return UpstreamRequest(method, path, [*ours, *theirs], safe=method in _SAFE_METHODS)

    def _upload(self) -> Upload | None:
        """The body as it comes; None where the request has none."""
        request = self._request
        if not request.body_exists:
            return None
        body: AsyncIterator[bytes] = pieces(request, self._server.max_upload, self._patience)
        return Upload(body, request.content_length)

    async def _relay(self, leg: Leg, answer: Answer) -> None:
        """Stream the answer back; where it breaks off, so does the client's connection."""
        length = header(answer.headers, "content-length")
        exchange = leg.exchange
        exchange.status = answer.status
        leg.attempt.upstream_s = time.monotonic() - leg.begun
        headers = self._pipeline.dress(exchange, to_client(answer.headers))
        leg.client.start(answer.status, headers, int(length) if length else None)
        pump = Pump(Verbatim(), answer, stall_s=self._server.write_timeout)
        try:
            pump.connect(leg.client)
            if self._request.method != "HEAD":
                answer.pipe(pump)
                await pump.closing()
            if pump.error is not None:
                raise pump.error
            leg.client.finish()
        finally:
            pump.release()
