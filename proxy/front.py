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

from proxy import joining
from proxy.admin.api import Api
from proxy.admin.paths import PREFIX
from proxy.dialects import CHAT, RESPONSES, VERBATIM, Dialect
from proxy.errors import (
    GatewayError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    UnsupportedMediaType,
)
from proxy.exchange import ID_PREFIX, Exchange
from proxy.forms import Form, is_form
from proxy.keys import presented
from proxy.models import listing
from proxy.passthrough import Course, Passage, home
from proxy.pipeline import Client, Found, Job
from proxy.realtime import Realtime
from proxy.routing.table import ANY
from proxy.service import Service
from proxy.serving import Answer, Patience, Stream, read_body
from proxy.status import Status
from proxy.wire import Request, Response

_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_MODELS = "/v1/models"
_PASSED = "/v1/"


class Face(NamedTuple):
    """One path the gateway understands.

    Attributes:
        also: further methods that go through unread, for what the vendor has there as well.
        needs_model: whether a body without `model` is a mistake; else it goes to route `*`.
        streams: whether its answers ever stream; else `stream` in a body asks for nothing.
        or_passes: whether route `*` takes it also where no adapter knows the operation.
    """

    operation: str
    dialect: Dialect
    also: frozenset[str] = frozenset()
    needs_model: bool = True
    streams: bool = True
    or_passes: bool = False


_FACES = {
    "/v1/chat/completions": Face("chat", CHAT, also=frozenset({"GET"})),
    "/v1/completions": Face("completions", CHAT),
    "/v1/embeddings": Face("embeddings", VERBATIM, streams=False),
    "/v1/responses": Face("responses", RESPONSES),
    "/v1/responses/input_tokens": Face("input_tokens", VERBATIM, needs_model=False, streams=False),
    "/v1/images/generations": Face("images", VERBATIM),
    "/v1/moderations": Face("moderations", VERBATIM, needs_model=False, streams=False),
    "/v1/rerank": Face("rerank", VERBATIM, streams=False),
    "/v1/audio/speech": Face("speech", CHAT, or_passes=True),
    "/v1/audio/transcriptions": Face("transcriptions", CHAT, or_passes=True),
    "/v1/audio/translations": Face("translations", CHAT, or_passes=True),
    "/v1/images/edits": Face("image_edits", CHAT, needs_model=False, or_passes=True),
    "/v1/images/variations": Face("image_variations", CHAT, needs_model=False, or_passes=True),
}
_ECHOES = frozenset({"TRACE", "CONNECT"})
"""Methods that are for proxies; the answer to the first would hold our credential."""

_KEY = "x-goog-api-key"
"""The header that a key from a query is read from."""


class Front:
    """Takes each request to its face."""

    def __init__(
        self, current: Callable[[], Service], status: Status, admin: Api, patience: Patience
    ) -> None:
        """Take where things are.

        Args:
            current: the service under the newest configuration.
            status: answers about the process itself.
            admin: answers operators.
            patience: how slow clients may be.
        """
        self._current = current
        self._status = status
        self._admin = admin
        self._patience = patience
        self._clock = time.monotonic

    async def __call__(self, request: web.BaseRequest) -> Answer:
        """Answer one request."""
        service = self._current()
        path = request.rel_url.raw_path
        face = _FACES.get(path)
        if face is not None and request.method == "POST":
            receive = partial(self._receive, request, service, face)
            work = service.operate
            if face.or_passes:
                work = partial(self._operate_or_pass, service, request)
            job = Job(face.dialect, work, receive)
            return await self._serve(service, request, face.operation, job)
        if path.startswith(PREFIX):
            return Answer(await self._admin.reply(request))
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
        if path.startswith(joining.PREFIX):
            return await self._provider(service, request, path)
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
        return await self._pass(service, request, _openai_course(request))

    async def _provider(self, service: Service, request: web.BaseRequest, path: str) -> Answer:
        """Pass a request to the provider that its path names, at a path of the vendor's own.

        Some SDKs put the client's key into the query: it is read there, and goes no further.
        """
        query, shown = request.rel_url.raw_query_string, presented(request.headers)
        key = shown or joining.key_of(query)
        try:
            called = joining.read(path, joining.without_key(query, key))
        except GatewayError as error:
            return await self._serve(service, request, "none", _refusal(error))
        url = partial(joining.vendor_url, called.target)
        course = Course(url, home(request, called.provider))
        return await self._pass(service, request, course, called.provider, "" if shown else key)

    async def _pass(
        self,
        service: Service,
        request: web.BaseRequest,
        course: Course,
        provider: str | None = None,
        key: str = "",
    ) -> Answer:
        """Let a request through to the provider, or to that of route `*`."""
        if error := _unfit(request):
            return await self._serve(service, request, "none", _refusal(error))
        if request.headers.get("Upgrade", "").lower() == "websocket":
            realtime = Realtime(service, request, course)
            job = Job(VERBATIM, realtime.work, provider=provider)
            reply = await self._serve(service, request, "realtime", job, key)
            reply.keep_alive = False
            return reply
        passage = Passage(service, request, self._patience, course)
        job = Job(VERBATIM, passage.work, provider=provider)
        return await self._serve(service, request, "passthrough", job, key)

    async def _operate_or_pass(
        self,
        service: Service,
        request: web.BaseRequest,
        exchange: Exchange,
        client: Client,
        found: Found,
    ) -> Response | None:
        """Serve an operation, or pass it through where only route `*` would take its model."""
        deployments = found.route.deployments
        known = any(exchange.operation in d.adapter.operations for d in deployments)
        if known or found.route.name != ANY:
            return await service.operate(exchange, client, found)
        exchange.operation = "passthrough"
        passage = Passage(service, request, self._patience, _openai_course(request))
        return await passage.work(exchange, client, found)

    async def _serve(
        self,
        service: Service,
        request: web.BaseRequest,
        operation: str,
        job: Job,
        key: str = "",
    ) -> Answer:
        exchange = self._exchange(request, operation)
        if key:
            exchange.headers[_KEY] = key
        exchange.response_headers += service.cors.headers(request)
        stream = Stream(request)
        reply = await service.pipeline.serve(exchange, stream, job)
        return Answer(reply, close=stream.closing)

    def _exchange(self, request: web.BaseRequest, operation: str) -> Exchange:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if len(headers) < len(request.headers):  # RFC 9110 section 5.3: repeated is a list
            headers = {name: ", ".join(request.headers.getall(name)) for name in headers}
        given = headers.get("x-request-id")
        named = given is not None and _ID.fullmatch(given)
        peer = request.protocol.peername
        return Exchange(
            id=given if given and named else f"{ID_PREFIX}{random.getrandbits(96):024x}",
            operation=operation,
            method=request.method,
            path=request.rel_url.raw_path,
            headers=headers,
            received_at=time.time(),
            started=self._clock(),
            client=peer[0] if isinstance(peer, tuple) else "",
        )

    async def _receive(self, request: web.BaseRequest, service: Service, face: Face) -> Request:
        """Read and parse a body: JSON, or a form where the face takes one.

        Raises:
            CallerError: it is too large, too slow, encoded, or nothing we can read.
        """
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UnsupportedMediaType("send the body without a content-encoding")
        limit_bytes = service.pipeline.snapshot.config.server.max_body
        body = await read_body(request, limit_bytes, self._patience)
        if face.or_passes:
            kind = ", ".join(request.headers.getall("Content-Type", ()))
            if is_form(kind):
                return Form(body, kind, needs_model=face.needs_model)
        received = Request(body, needs_model=face.needs_model)
        received.stream = received.stream and face.streams
        return received


def _openai_course(request: web.BaseRequest) -> Course:
    """Where a path of OpenAI's goes, every byte of it and of its query as it came."""
    return Course(partial(joining.openai_url, request.raw_path))


def _unfit(request: web.BaseRequest) -> GatewayError | None:
    """Return why a request cannot go through, whatever is at its path; None where it can."""
    if request.method in _ECHOES:
        return MethodNotAllowed(f"{request.method} does not go through")
    if not request.raw_path.startswith("/") or "#" in request.raw_path:
        return InvalidRequest("a request that goes through must name a path, not a URL")
    return None


def _refusal(error: GatewayError) -> Job:
    """A job that only says no, after the plugins have had their say."""

    async def work(*_: object) -> None:
        raise error

    return Job(VERBATIM, work, routed=False)
