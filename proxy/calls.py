"""The attempts of one exchange, carried out: choose, queue, call, read or stream, try again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Literal

from proxy import estimate
from proxy.adapter import Follow, Operation, Target, UpstreamRequest, UpstreamResponse, header
from proxy.attempts import Attempts, Choice
from proxy.deployments import Deployment
from proxy.errors import GatewayError, UpstreamTimeout
from proxy.exchange import ID_PREFIX, Exchange
from proxy.fanout import side_by_side
from proxy.headers import to_client
from proxy.hedging import Hedging
from proxy.legs import Errand, Leg, attempt
from proxy.pipeline import Client, Found, Pipeline
from proxy.preparing import Preparing, authorised, report
from proxy.racing import AllFailed, Race
from proxy.relay import Relay
from proxy.streaming import Bytes, Machine, Pump, Verbatim
from proxy.upstream import Answer, Timeouts
from proxy.wire import Request, Response
from proxy.wishes import sdk_retries, wants_usage

MAX_ANSWER_BYTES = 256 * 1024 * 1024
MAX_ERROR_BYTES = 1024 * 1024
_JSON = "application/json"
_EVENTS = "text/event-stream"
_READ_WHOLE = (_JSON, "text/")
_GENERATING = frozenset({"chat", "completions"})
_EVENT_STREAM = [("content-type", _EVENTS), ("cache-control", "no-cache")]


Join = Callable[[Sequence[Response]], Response]
"""The answers to the pieces of a request, in their order, to the one that the client gets."""

FollowUp = Callable[[UpstreamResponse, Target], Follow | None]
"""An answer and its target to the next question, or None when the answer is the one."""

Kind = Literal["whole", "events", "bytes"]
"""How an answer is taken: read to its end, event by event, or as it comes."""


class Calls:
    """Serves the operations that adapters translate, under one configuration."""

    def __init__(self, pipeline: Pipeline, preparing: Preparing) -> None:
        self._pipeline = pipeline
        self._preparing = preparing
        self._server = pipeline.snapshot.config.server
        self._clock = time.monotonic

    async def operate(self, exchange: Exchange, client: Client, found: Found) -> Response | None:
        """Answer one exchange by as many attempts as it takes and is allowed.

        Raises:
            GatewayError: none succeeded, or the stream broke off under way.
        """
        limit = max(1, found.route.attempts - sdk_retries(exchange.headers))
        attempts = Attempts(found.route, found.model, exchange, limit)
        errand = Errand(exchange, client, found)
        while True:
            choice = attempts.next(self._clock())
            if choice.pause_s:
                await asyncio.sleep(choice.pause_s)
                exchange.paused_s += choice.pause_s
            try:
                if found.route.hedging is None:
                    return await attempt(errand, choice, self._call)
                outcome = await self._hedged(errand, attempts, choice, found.route.hedging)
            except GatewayError as error:
                if client.started:
                    raise
                attempts.failed(choice.deployment, error)
                continue
            if not isinstance(outcome, AllFailed):
                return outcome

    async def _hedged(
        self, errand: Errand, attempts: Attempts, choice: Choice, hedging: Hedging
    ) -> Response | AllFailed | None:
        """Make an attempt, and a second one beside it if the first takes unusually long.

        Raises:
            GatewayError: no other attempt could end better, or the stream broke off under way.
        """
        hedging.earn(_cost_micros(choice.deployment, attempts))
        after_s = hedging.after_s(choice.deployment, stream=errand.exchange.stream)
        if after_s is None:
            return await attempt(errand, choice, self._call)
        race: Race[Response | None] = Race(attempts)
        race.enter(choice, attempt(errand, choice, self._call, race))
        async with race:
            if await race.undecided(after_s):
                second = attempts.hedge(self._clock())
                if second is not None and hedging.take(_cost_micros(second.deployment, attempts)):
                    race.enter(second, attempt(errand, second, self._call, race))
            return await race.result()

    def _call(self, leg: Leg) -> Awaitable[Response | None]:
        """Have the exchange's request answered, in pieces where the vendor takes no more."""
        client = leg.exchange.request
        assert client is not None
        operation = leg.deployment.adapter.operations[leg.exchange.operation]
        if operation.pieces is not None:
            parts = operation.pieces.split(client, leg.target)
            if len(parts) > 1:
                return self._joined(leg, operation, operation.pieces.join, parts)
        return self._ask(leg, operation, client)

    async def _joined(
        self, leg: Leg, operation: Operation, join: Join, parts: Sequence[Request]
    ) -> Response:
        calls = [partial(self._ask, leg, operation, part) for part in parts]
        answers = await side_by_side(leg.deployment.unit, calls)
        whole = join([answer for answer in answers if answer is not None])
        leg.exchange.usage = leg.attempt.usage = whole.usage
        return whole

    async def _ask(self, leg: Leg, operation: Operation, client: Request) -> Response | None:
        """Send one request and bring its answer to an end."""
        exchange, deployment = leg.exchange, leg.deployment
        begun = self._clock()
        request = await self._preparing.request(exchange, deployment, leg.target, operation, client)
        if request.dropped:
            leg.attempt.dropped = report(exchange, deployment.unit.name, request.dropped)
        exchange.translate_s += self._clock() - begun
        answer = await self._send(leg, request)
        try:
            kind = _kind(exchange, operation, answer)
            if kind == "bytes":
                await self.pipe(leg, answer, Bytes(), to_client(answer.headers))
                return None
            if kind == "events":
                await self._stream(leg, operation, answer)
                return None
            whole = await self._whole(leg, answer)
        finally:
            answer.close()
        if operation.follow is not None:
            whole = await self._followed(leg, operation.follow, whole)
        leg.claim()
        return self._response(leg, operation, whole)

    async def _send(self, leg: Leg, request: UpstreamRequest) -> Answer:
        """Send a request and take the head of its answer, if that is a good one."""
        exchange, timeouts = leg.exchange, leg.deployment.timeouts
        rest_s = exchange.deadline - self._clock()
        limit_s = timeouts.first_token if exchange.stream else timeouts.whole
        upstream = leg.deployment.unit.upstream
        if request.base_url:
            upstream = upstream.at(request.base_url)
        answer = await upstream.send(
            request,
            timeouts=Timeouts(timeouts.connect, timeouts.idle),
            first_byte_s=rest_s if limit_s is None else min(limit_s, rest_s),
        )
        leg.attempt.status = answer.status
        if 200 <= answer.status < 300:
            return answer
        try:
            refusal = await answer.read(MAX_ERROR_BYTES)
        finally:
            answer.close()
        raise leg.deployment.adapter.error(UpstreamResponse(answer.status, answer.headers, refusal))

    async def pipe(
        self, leg: Leg, answer: Answer, machine: Machine, headers: list[tuple[str, str]]
    ) -> None:
        """Stream an answer of any bytes; where it breaks off, so does the client's connection.

        Args:
            leg: whose answer it is.
            answer: its head has come.
            machine: what the bytes go through; its `content` says when the head may go out.
            headers: those of the vendor's that the client gets.

        Raises:
            GatewayError: before the head went out, for another attempt; after it, for the end.
        """
        exchange, has_body = leg.exchange, leg.exchange.method != "HEAD"
        pump = Pump(machine, answer, stall_s=self._server.write_timeout)
        try:
            if has_body:
                answer.pipe(pump)
                await pump.opening()
            if pump.error is not None and not pump.content:
                raise pump.error
            now = self._clock()
            leg.attempt.upstream_s, exchange.status = now - leg.begun, answer.status
            same = isinstance(machine, Verbatim)
            length = header(answer.headers, "content-length") if same else None
            dressed = self._pipeline.dress(exchange, headers)
            leg.client.start(answer.status, dressed, int(length) if length else None)
            pump.connect(leg.client)
            if has_body:
                await pump.closing()
            if pump.error is not None:
                raise pump.error
            leg.client.finish()
        finally:
            pump.release()
            if pump.first_content_at and exchange.request is not None:
                exchange.first_token_s = pump.first_content_at - exchange.started

    async def _whole(self, leg: Leg, answer: Answer) -> UpstreamResponse:
        body = await answer.read(MAX_ANSWER_BYTES)
        exchange = leg.exchange
        return UpstreamResponse(
            answer.status,
            answer.headers,
            body,
            leg.target.model,
            _answer_id(exchange),
            exchange.request,
        )

    async def _followed(
        self, leg: Leg, follow: FollowUp, whole: UpstreamResponse
    ) -> UpstreamResponse:
        """Ask on until the answer is ready; the deadline ends it otherwise."""
        while (question := follow(whole, leg.target)) is not None:
            await asyncio.sleep(question.wait_s)
            request = await authorised(question.request, leg.target)
            answer = await self._send(leg, request)
            try:
                whole = await self._whole(leg, answer)
            finally:
                answer.close()
        return whole

    def _response(self, leg: Leg, operation: Operation, whole: UpstreamResponse) -> Response:
        begun = self._clock()
        exchange = leg.exchange
        response = operation.response(whole, int(exchange.received_at))
        if operation.forwards:
            response.headers = to_client(whole.headers, decoded=True)
        self._preparing.remember(exchange, response.memory)
        usage = response.usage
        if usage is None and exchange.operation in _GENERATING:
            usage = estimate.of_answer(exchange.request, response.body)
        exchange.usage = leg.attempt.usage = usage
        leg.attempt.first_token_s = begun - leg.begun
        exchange.first_token_s = begun - exchange.started
        exchange.translate_s += self._clock() - begun
        return response

    async def _stream(self, leg: Leg, operation: Operation, answer: Answer) -> None:
        """Relay one stream; until its first content nothing has gone to the client.

        Raises:
            GatewayError: before the head went out, for another attempt; after it, for the end.
        """
        assert operation.stream is not None
        exchange, server = leg.exchange, self._server
        relay = Relay(
            operation,
            operation.stream(int(exchange.received_at), leg.target.model, _answer_id(exchange)),
            leg.found.chain.filters(exchange),
            strip_usage=not wants_usage(exchange.request),
        )
        pump = Pump(
            relay,
            answer,
            hold_bytes=server.hold.bytes,
            ping_s=server.ping,
            stall_s=server.write_timeout,
        )
        answer.pipe(pump)
        try:
            await self._open(leg, pump, operation, answer)
            leg.use.answered(self._clock())
            await pump.closing()
            if pump.error is not None:
                raise pump.error
            leg.client.finish()
            exchange.delivered = True
            await pump.tail()
        finally:
            pump.release()
            usage = relay.usage or estimate.of_stream(exchange.request, relay.chunks)
            leg.attempt.usage = usage
            if pump.first_content_at:
                leg.attempt.first_token_s = pump.first_content_at - leg.begun
            if leg.race is None or not leg.race.lost:
                exchange.usage = usage
                self._preparing.remember(exchange, relay.memory)
                exchange.first_token_s = leg.attempt.first_token_s and (
                    pump.first_content_at - exchange.started
                )

    async def _open(self, leg: Leg, pump: Pump, operation: Operation, answer: Answer) -> None:
        """Hold the head until there is content, then send it; after `hold.time` anyway."""
        first_token_s = leg.deployment.timeouts.first_token
        hold_s = min(self._server.hold.time, first_token_s)
        if not pump.open and not await _within(hold_s, pump) and hold_s >= first_token_s:
            raise UpstreamTimeout("first_token", first_token_s)
        if pump.error is not None and not pump.content:
            raise pump.error
        leg.claim()
        now = self._clock()
        leg.attempt.upstream_s = now - leg.begun
        headers = to_client(answer.headers) if operation.forwards else _EVENT_STREAM
        leg.client.start(200, self._pipeline.dress(leg.exchange, headers))
        pump.connect(leg.client)
        rest_s = first_token_s - hold_s
        if not pump.open and not await _within(rest_s, pump):
            raise UpstreamTimeout("first_token", first_token_s)


def _cost_micros(deployment: Deployment, attempts: Attempts) -> float:
    price = deployment.price
    if price is None:
        return 0.0
    return price.micros(attempts.wants.tokens, deployment.health.output_tokens.value())


async def _within(limit_s: float, pump: Pump) -> bool:
    """Wait for the stream to open; False if `limit_s` seconds were not enough."""
    try:
        async with asyncio.timeout(limit_s):
            await pump.opening()
    except TimeoutError:
        return False
    return True


def _answer_id(exchange: Exchange) -> str:
    """Return what an answer is called that the vendor gives no name."""
    return exchange.id.removeprefix(ID_PREFIX)


def _kind(exchange: Exchange, operation: Operation, answer: Answer) -> Kind:
    """Return what an answer is.

    One that does not say is what was asked for; where the operation goes by the type, what was
    asked for may be something else than a stream, and is noted.
    """
    if not operation.by_type and not (exchange.stream and operation.stream):
        return "whole"
    says = (header(answer.headers, "content-type") or "").lower()
    if not operation.by_type:
        return "whole" if says.startswith(_JSON) else "events"
    asked = exchange.request is not None and exchange.request.stream
    if operation.stream and says.startswith(_EVENTS):
        exchange.stream = True
        return "events"
    is_whole = says.startswith(_READ_WHOLE)
    exchange.stream = asked and is_whole
    return "whole" if is_whole else "bytes"
