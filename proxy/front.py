"""The HTTP faces: which path is whose, and what an exchange looks like when it begins.

Paths with a meaning of their own stand in `_FACES`; anything else under `/v1/` goes through
unread. Nothing here waits for a vendor: that is the pipeline's.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from aiohttp import web

from proxy.dialects import CHAT, RESPONSES, VERBATIM, Dialect
from proxy.errors import (
    GatewayError,
    MethodNotAllowed,
    NotFound,
    UnsupportedMediaType,
)
from proxy.exchange import Exchange
from proxy.models import listing
from proxy.passthrough import Passage
from proxy.pipeline import Job
from proxy.realtime import Realtime
from proxy.service import Service
from proxy.serving import Answer, Patience, Stream, read_body
from proxy.status import Status
from proxy.wire import Request

_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_MODELS = "/v1/models"
_PASSED = "/v1/"


class Face(NamedTuple):
    """One path the gateway understands.

    Attributes:
        also: further methods that go through unread, for what the vendor has there as well.
        needs_model: whether a body without `model` is a mistake; else it goes to route `*`.
    """

    operation: str
    dialect: Dialect
    also: frozenset[str] = frozenset()
    needs_model: bool = True


_FACES = {
    "/v1/chat/completions": Face("chat", CHAT, also=frozenset({"GET"})),
    "/v1/completions": Face("completions", CHAT),
    "/v1/embeddings": Face("embeddings", VERBATIM),
    "/v1/responses": Face("responses", RESPONSES),
    "/v1/images/generations": Face("images", VERBATIM),
    "/v1/moderations": Face("moderations", VERBATIM, needs_model=False),
    "/v1/rerank": Face("rerank", VERBATIM),
}


class Front:
    """Takes each request to its face."""

    def __init__(self, current: Callable[[], Service], status: Status, patience: Patience) -> None:
        """Take where things are.

        Args:
            current: the service under the newest configuration.
            status: answers about the process itself.
            patience: how slow clients may be.
        """
        self._current = current
        self._status = status
        self._patience = patience
        self._clock = time.monotonic

    async def __call__(self, request: web.BaseRequest) -> Answer:
        """Answer one request."""
        service = self._current()
        path = request.rel_url.raw_path
        face = _FACES.get(path)
        if face is not None and request.method == "POST":
            receive = partial(self._receive, request, service, face)
            job = Job(face.dialect, service.calls.operate, receive)
            return await self._serve(service, request, face.operation, job)
        reply = await self._status.reply(request, path)
        if reply is not None:
            return Answer(reply)
        if service.cors.preflight(request):
            return Answer(service.cors.answer(request))
        return await self._other(service, request, path, face)

    async def _other(
        self, service: Service, request: web.BaseRequest, path: str, face: Face | None
    ) -> Answer:
        """Answer what is no operation of ours: models, realtime, what passes through."""
        method = request.method
        if path == _MODELS or (path.startswith(f"{_MODELS}/") and method in ("GET", "HEAD")):
            job = Job(VERBATIM, partial(listing, service.pipeline.snapshot, request), routed=False)
            return await self._serve(service, request, "models", job)
        if not path.startswith(_PASSED):
            error: GatewayError = NotFound(f"there is no {path[:100]} here")
            return await self._serve(service, request, "none", _refusal(error))
        if face is not None and method not in face.also:
            allowed = ["POST", *sorted(face.also)]
            error = MethodNotAllowed(f"{path} takes {' or '.join(allowed)}, not {method[:20]}")
            error.headers["allow"] = ", ".join(allowed)
            return await self._serve(service, request, face.operation, _refusal(error))
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._socket(service, request)
        passage = Passage(service.pipeline, service.calls, request, self._patience)
        return await self._serve(service, request, "passthrough", Job(VERBATIM, passage.work))

    async def _serve(
        self, service: Service, request: web.BaseRequest, operation: str, job: Job
    ) -> Answer:
        exchange = self._exchange(request, operation)
        exchange.response_headers += service.cors.headers(request)
        stream = Stream(request)
        reply = await service.pipeline.serve(exchange, stream, job)
        return Answer(reply, close=stream.closing)

    async def _socket(self, service: Service, request: web.BaseRequest) -> Answer:
        exchange = self._exchange(request, "realtime")
        realtime = Realtime(service.calls, request)
        stream = Stream(request)
        reply = await service.pipeline.serve(exchange, stream, Job(VERBATIM, realtime.work))
        return Answer(reply, close=True)

    def _exchange(self, request: web.BaseRequest, operation: str) -> Exchange:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if len(headers) < len(request.headers):  # RFC 9110 section 5.3: repeated is a list
            headers = {name: ", ".join(request.headers.getall(name)) for name in headers}
        given = headers.get("x-request-id")
        named = given is not None and _ID.fullmatch(given)
        peer = request.protocol.peername
        return Exchange(
            id=given if given and named else f"req_{random.getrandbits(96):024x}",
            operation=operation,
            method=request.method,
            path=request.rel_url.raw_path,
            headers=headers,
            received_at=time.time(),
            started=self._clock(),
            client=peer[0] if isinstance(peer, tuple) else "",
        )

    async def _receive(self, request: web.BaseRequest, service: Service, face: Face) -> Request:
        """Read and parse a JSON body.

        Raises:
            CallerError: it is too large, too slow, encoded, or no JSON as we take it.
        """
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UnsupportedMediaType("send the body without a content-encoding")
        limit_bytes = service.pipeline.snapshot.config.server.max_body
        body = await read_body(request, limit_bytes, self._patience)
        return Request(body, needs_model=face.needs_model)


def _refusal(error: GatewayError) -> Job:
    """A job that only says no, after the plugins have had their say."""

    async def work(*_: object) -> None:
        raise error

    return Job(VERBATIM, work, routed=False)
