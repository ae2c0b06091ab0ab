"""One client request, from the end of its head to the last byte of its answer.

    pre → route → attempts (queue, worker, vendor) → post or stream → end

Whatever happens, an exchange ends here exactly once: answered, refused, cut or cancelled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple, Protocol
from urllib.parse import quote

import structlog

from proxy import tasks
from proxy.dialects import Dialect
from proxy.errors import (
    ClientGone,
    GatewayError,
    InternalError,
    NotAllowed,
    NotFound,
    UpstreamError,
    UpstreamTimeout,
)
from proxy.exchange import Exchange
from proxy.history import History
from proxy.hooks import Chain
from proxy.keys import may_use, may_use_all
from proxy.metrics import Metrics
from proxy.restream import restream
from proxy.routing.table import Route
from proxy.snapshot import Snapshot
from proxy.streaming import ClientStream
from proxy.timelimit import TimeLimit
from proxy.wire import Request, Response
from proxy.wishes import patience_s, priority, tags, wants_usage

log = structlog.get_logger()

_JSON = "application/json"

_LONGEST_NAME = 256
_UNQUOTED = "/:@,=+*. "


class Client(ClientStream, Protocol):
    """The client's connection, as far as one answer needs it."""

    @property
    def started(self) -> bool:
        """Whether the head of the answer is out."""

    def start(self, status: int, headers: list[tuple[str, str]], length: int | None = None) -> None:
        """Send the head of a streamed answer; without a length the end is marked."""

    def finish(self, *, close: bool = False) -> None:
        """Mark the end of the streamed body; `close` closes the connection after it."""


class Found(NamedTuple):
    """The route of an exchange.

    Attributes:
        model: what deployments without a model of their own send.
        chain: the plugins that were entered; they see the exchange to its end.
    """

    route: Route
    model: str
    chain: Chain


class Reply(NamedTuple):
    """A whole answer, ready for the wire but for what belongs to the connection."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


Work = Callable[[Exchange, Client, Found], Awaitable[Response | None]]
"""What answers an exchange: a response, or None when it has streamed one itself."""


class Job(NamedTuple):
    """What a face wants done with an exchange.

    Attributes:
        dialect: how its client understands errors.
        work: answers it, once plugins have let it in.
        receive: reads and parses the request's body; None leaves it to `work`.
        routed: whether a route is looked up; what the gateway answers by itself has none.
        provider: the one it goes to, whatever the body; empty where the model decides.
    """

    dialect: Dialect
    work: Work
    receive: Callable[[], Awaitable[Request]] | None = None
    routed: bool = True
    provider: str | None = None


class Pipeline:
    """The way of a request under one configuration."""

    def __init__(self, snapshot: Snapshot, metrics: Metrics, history: History) -> None:
        self.snapshot = snapshot
        self._metrics = metrics
        self._history = history
        self._clock = time.monotonic
        self._loop = asyncio.get_running_loop()
        self._under_way = 0
        self._quiet: asyncio.Future[None] | None = None

    async def quiet(self) -> None:
        """Wait until no exchange is under way."""
        while self._under_way:
            self._quiet = asyncio.get_running_loop().create_future()
            await self._quiet

    async def serve(self, exchange: Exchange, client: Client, job: Job) -> Reply | None:
        """Run one exchange.

        Returns:
            What to answer, or None when the answer has been streamed.

        Raises:
            asyncio.CancelledError: the client left.
        """
        chain = self.snapshot.chain
        self._under_way += 1
        try:
            found = await self._receive(exchange, job)
            if isinstance(found, Found):
                chain = found.chain
            response = await self._answer(exchange, client, found, job)
            if response is None:
                exchange.status = exchange.status or 200
                return None
            response = await chain.post(exchange, response)
            if exchange.stream and response.content_type.startswith(_JSON):
                usage = wants_usage(exchange.request)
                response = restream(exchange.operation, response, wants_usage=usage)
            exchange.status = response.status
            headers = [("content-type", response.content_type), *response.headers]
            return Reply(response.status, self.dress(exchange, headers), response.body)
        except GatewayError as error:
            return self._refuse(exchange, client, job.dialect, error)
        except asyncio.CancelledError:
            if not exchange.delivered:  # who closes behind the last byte has seen all of it
                exchange.outcome, exchange.status = "cancelled", ClientGone.status
                exchange.error = ClientGone("the client closed the connection")
            exchange.status = exchange.status or 200
            raise
        except Exception:
            log.exception("request failed on a mistake of ours", request_id=exchange.id)
            mistake = InternalError("the gateway failed; its log has this request's id")
            return self._refuse(exchange, client, job.dialect, mistake)
        finally:
            exchange.finished_s = self._clock() - exchange.started
            self._metrics.record(exchange)
            self._history.note(exchange)
            _end(chain, exchange)
            self._left()

    def _left(self) -> None:
        self._under_way -= 1
        if self._quiet is not None and not self._under_way and not self._quiet.done():
            self._quiet.set_result(None)

    async def _receive(self, exchange: Exchange, job: Job) -> Found | GatewayError | None:
        """Take the body and look the route up; a body that cannot be taken is told later."""
        if job.receive is not None:
            try:
                request = exchange.request = await job.receive()
            except GatewayError as error:
                return error
            exchange.receive_s = self._clock() - exchange.started
            exchange.stream = request.stream
        return self._find(exchange, job)

    def _find(self, exchange: Exchange, job: Job) -> Found | None:
        """Look the route up; None where there is none."""
        routes, request = self.snapshot.routes, exchange.request
        if not job.routed:
            return Found(routes.nowhere, "", routes.nowhere.chain)
        if job.provider is not None:
            direct = routes.providers.get(job.provider)
            if direct is None:
                return None
            route, model = direct, ""
        elif request is not None:
            looked_up = routes.lookup(request.model)
            if looked_up is None:
                return None
            route, model = looked_up
        elif routes.any is not None:
            route, model = routes.any, ""
        else:
            return None
        exchange.route = route.name
        return Found(route, model, route.chain)

    async def _answer(
        self,
        exchange: Exchange,
        client: Client,
        found: Found | GatewayError | None,
        job: Job,
    ) -> Response | None:
        """Let the plugins in first, then do the work within the time the client waits.

        What is wrong or missing is only told to those the plugins let in.
        """
        chain = found.chain if isinstance(found, Found) else self.snapshot.chain
        exchange.tags = tags(exchange.headers)
        begun = self._clock()
        early = await chain.pre(exchange)
        exchange.pre_s = self._clock() - begun
        if early is not None:
            return early
        if exchange.request is not None and exchange.request.changed("model"):
            found = self._find(exchange, job)
        if not isinstance(found, Found):
            raise found or self._missing(exchange, job)
        if found.chain is not chain:  # the plugins that were entered stay, on another route too
            found = found._replace(chain=chain)
        found = self._admitted(exchange, found, job)
        limit_s = min(found.route.total_s, patience_s(exchange.headers))
        exchange.deadline = exchange.started + limit_s
        try:
            with TimeLimit(exchange.deadline, self._loop):
                return await job.work(exchange, client, found)
        except TimeoutError:
            raise UpstreamTimeout("total", limit_s) from None

    def _admitted(self, exchange: Exchange, found: Found, job: Job) -> Found:
        """Take note of what the key allows, and return the route that serves the exchange.

        Raises:
            NotAllowed: its routes do not include this.
            InvalidRequest: it asks for a priority that is none.
        """
        key = exchange.key
        exchange.priority = key.priority
        if "x-headgate-priority" in exchange.headers:
            exchange.priority = priority(exchange.headers, key)
        if key.routes and job.routed:
            self._permit(exchange, found, job)
        return found if found.route.turn is None else self._turned(exchange, found)

    def _turned(self, exchange: Exchange, found: Found) -> Found:
        """Follow conditions and splits to the route that serves this exchange."""
        route = found.route
        while route.turn is not None and (name := route.turn(exchange)) is not None:
            route = route.turns[name].under(found.model)
        exchange.route = route.name
        return found._replace(route=route)

    def _missing(self, exchange: Exchange, job: Job) -> GatewayError:
        if job.provider is not None:
            return self.snapshot.routes.unknown_provider(job.provider)
        if exchange.request is not None:
            return self.snapshot.routes.unknown(exchange.request.model)
        return NotFound(f"nothing answers {exchange.path[:100]}, and there is no route '*'")

    def _permit(self, exchange: Exchange, found: Found, job: Job) -> None:
        """Check the client's key against what it asked for.

        Raises:
            NotAllowed: its routes do not include this.
        """
        key = exchange.key
        if job.provider is not None:
            if not may_use_all(key, job.provider, self.snapshot.routes.routes):
                raise NotAllowed(f"the key {key.name!r} may not use all of {job.provider!r}")
            return
        model = exchange.request.model if exchange.request else found.route.name
        if not may_use(key, model):
            raise NotAllowed(f"the key {key.name!r} may not use {model[:100]!r}", param="model")

    def _refuse(
        self, exchange: Exchange, client: Client, dialect: Dialect, error: GatewayError
    ) -> Reply | None:
        """Turn an error into an answer, or into the last event of a stream under way."""
        exchange.error = error
        if isinstance(error, UpstreamError):
            error.provider = error.provider or exchange.provider or None
            error.should_retry = False  # our own attempts are spent, or would not help
        if len(exchange.attempts) > 1:
            error.attempts = [
                {"provider": a.provider, "model": a.model, "result": a.result, "status": a.status}
                for a in exchange.attempts
            ]
        if client.started:
            exchange.outcome, exchange.status = "truncated", 200
            if dialect.event is None or not exchange.stream:  # bytes have no place for words
                client.abort()
            else:
                client.write(dialect.event(error, exchange.id))
                client.finish(close=True)
            return None
        exchange.outcome, exchange.status = "error", error.status
        headers = self.dress(exchange, [("content-type", "application/json")])
        if error.retry_after_s is not None:
            headers.append(("retry-after", f"{max(0, -(-error.retry_after_s // 1)):.0f}"))
        if error.should_retry is not None:
            headers.append(("x-should-retry", "true" if error.should_retry else "false"))
        headers += error.headers.items()
        return Reply(error.status, headers, dialect.body(error, exchange.id))

    def dress(self, exchange: Exchange, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return an answer's headers: the vendor's, ours, and what plugins made of them."""
        added = exchange.response_headers
        if added or exchange.response_removed:
            gone = exchange.response_removed.union(name for name, _ in added)
            headers = [pair for pair in headers if pair[0] not in gone]
        return [*headers, *self._marks(exchange), *added]

    def _marks(self, exchange: Exchange) -> list[tuple[str, str]]:
        """Return our own headers: who answered, under which configuration, how long it took."""
        marks = [("x-request-id", exchange.id), ("x-headgate-config", self.snapshot.version)]
        attempts = exchange.attempts
        upstream_s = queued_s = 0.0
        if attempts:
            marks.append(("x-headgate-provider", exchange.provider))
            if exchange.model:
                marks.append(("x-headgate-model", _in_header(exchange.model)))
            marks.append(("x-headgate-attempts", str(len(attempts))))
            for attempt in attempts:
                upstream_s += attempt.upstream_s
                queued_s += attempt.queued_s
        total_s = self._clock() - exchange.started
        marks.append(
            (
                "server-timing",
                f"queue;dur={queued_s * 1e3:.2f}, hooks;dur={exchange.pre_s * 1e3:.2f}, "
                f"translate;dur={exchange.translate_s * 1e3:.2f}, "
                f"upstream;dur={upstream_s * 1e3:.2f}, total;dur={total_s * 1e3:.2f}",
            )
        )
        return marks


def _in_header(name: str) -> str:
    """Return a name a client may have chosen so that it stays within its header's line."""
    if len(name) <= _LONGEST_NAME and name.isprintable():
        return name
    return quote(name[:_LONGEST_NAME], safe=_UNQUOTED, errors="replace")


def _end(chain: Chain, exchange: Exchange) -> None:
    """Run the `end` stages where nobody can cancel them, and nobody waits for them."""
    ending = chain.end(exchange)
    if chain.end_waits:
        tasks.spawn(ending, name="end")
        return
    with suppress(StopIteration):  # without an await in it, it runs to its end right here
        ending.send(None)
