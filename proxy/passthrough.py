"""What the gateway does not itself understand: method, path, headers and body as they came.

The body is streamed upwards unread and the answer downwards unread, so nothing here depends
on what they are; only the credential is ours, and errors say whose fault they are. Two things
are read all the same: a body that a signature must cover, up to `server.max_body`, and those
members of JSON answers that lead a vendor's SDK past us (`proxy.links`).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple
from urllib.parse import quote

import msgspec
from aiohttp import web

from proxy.adapter import Defaults, UpstreamRequest, UpstreamResponse, header
from proxy.attempts import Attempts
from proxy.calls import MAX_ERROR_BYTES
from proxy.deployments import Deployment
from proxy.exchange import Exchange
from proxy.headers import to_client, to_upstream, together
from proxy.joining import PREFIX, origins
from proxy.keys import presented
from proxy.legs import Errand, Leg, attempt
from proxy.links import Rewriting, Way
from proxy.pipeline import Client, Found
from proxy.preparing import authorised
from proxy.service import Service
from proxy.serving import Patience, pieces, read_body, too_large
from proxy.streaming import Machine, Verbatim
from proxy.upstream import Answer, Timeouts, Upload
from proxy.wire import Response

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_BLAMED = frozenset({401, 403, 429})
_JSON = "application/json"
_CODING = ("accept-encoding", "identity")


class Course(NamedTuple):
    """Where a request that passes through goes, and what becomes of the way back.

    Attributes:
        url: a provider's base URL and its adapter's defaults to where the request goes.
        home: where the client reaches all of this provider; None: it knows only this path.
    """

    url: Callable[[str, Defaults], str]
    home: str | None = None

    def of(self, deployment: Deployment) -> str:
        """Return where the request goes."""
        return self.url(deployment.unit.upstream.base_url, deployment.adapter.defaults)


def home(request: web.BaseRequest, provider: str) -> str:
    """Return where this client reaches all of a provider, as it wrote our address itself."""
    headers = request.headers
    scheme = headers.get("X-Forwarded-Proto", "").lower()
    if scheme not in ("http", "https"):
        scheme = request.scheme
    return f"{scheme}://{headers.get('Host', '')}{PREFIX}{quote(provider)}"


class Passage:
    """One request on its way through; `work` is what the pipeline runs."""

    def __init__(
        self, service: Service, request: web.BaseRequest, patience: Patience, course: Course
    ) -> None:
        self._calls = service.calls
        self._preparing = service.preparing
        self._server = service.pipeline.snapshot.config.server
        self._request = request
        self._patience = patience
        self._course = course
        self._body: bytes | None = None

    async def work(self, exchange: Exchange, client: Client, found: Found) -> Response | None:
        """Send the request to the provider of the route and stream its answer back.

        There is one attempt: a body that was streamed away cannot be sent again.

        Raises:
            RequestTooLarge: its announced length is over the limit; the vendor hears nothing.
        """
        choice = Attempts(found.route, found.model, exchange, 1).next(time.monotonic())
        if exchange.request is None:
            await self._admit(choice.deployment)
        return await attempt(Errand(exchange, client, found), choice, self._call)

    async def _admit(self, deployment: Deployment) -> None:
        """Read the body if it must be signed; else only look how long it will be."""
        server = self._server
        if any(
            c.authorizer is not None and c.authorizer.signs_body for c in deployment.credentials
        ):
            self._body = await read_body(self._request, server.max_body, self._patience)
        elif (self._request.content_length or 0) > server.max_upload:
            raise too_large(server.max_upload)

    async def _call(self, leg: Leg) -> Response | None:
        upstream, timeouts = leg.deployment.unit.upstream, leg.deployment.timeouts
        sent = await authorised(self._sent(leg), leg.target)
        answer = await upstream.at(sent.base_url).send(
            sent,
            timeouts=Timeouts(timeouts.connect, timeouts.idle),
            first_byte_s=leg.exchange.deadline - time.monotonic(),
            upload=self._upload(leg.exchange),
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
        adapter, method = leg.deployment.adapter, self._request.method
        theirs = to_upstream(leg.exchange.headers)
        if self._course.home and adapter.defaults.passing.links:  # they are to be found
            theirs = [pair for pair in theirs if pair[0] != _CODING[0]] + [_CODING]
        headers = together(adapter.authorize(leg.target), theirs)
        url, body = self._course.of(leg.deployment), self._at_hand(leg)
        return UpstreamRequest(method, url, headers, body, safe=method in _SAFE_METHODS)

    def _at_hand(self, leg: Leg) -> bytes:
        """What has been read of the body already, with the deployment's model in it."""
        request, model = leg.exchange.request, leg.target.model
        if request is None:
            return self._body or b""
        if model == request.model:
            return request.encode()
        return request.encode({"model": msgspec.json.encode(model)})

    def _upload(self, exchange: Exchange) -> Upload | None:
        """The body as it comes; None where the request has none, or it is at hand."""
        request = self._request
        if self._body is not None or exchange.request is not None or not request.body_exists:
            return None
        body: AsyncIterator[bytes] = pieces(request, self._server.max_upload, self._patience)
        return Upload(body, request.content_length)

    async def _relay(self, leg: Leg, answer: Answer) -> None:
        """Stream the answer back; where it breaks off, so does the client's connection."""
        leg.exchange.status = answer.status
        headers = to_client(answer.headers)
        if self._course.home is None:
            await self._calls.pipe(leg, answer, Verbatim(), headers)
            return
        defaults = leg.deployment.adapter.defaults
        theirs = origins(leg.deployment.unit.upstream.base_url, defaults)
        way = Way(theirs, self._course.home, presented(leg.exchange.headers))
        machine: Machine = Verbatim()
        if defaults.passing.links and _is_plain_json(answer):
            machine = Rewriting(way, defaults.passing.links)
        headers = way.headers(headers, defaults.passing.open_links)
        await self._calls.pipe(leg, answer, machine, headers)


def _is_plain_json(answer: Answer) -> bool:
    kind = header(answer.headers, "content-type") or ""
    return kind.startswith(_JSON) and header(answer.headers, "content-encoding") is None
