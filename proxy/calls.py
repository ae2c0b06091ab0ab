"""The attempts of one exchange, carried out: choose, queue, call, read or stream, try again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from proxy import estimate
from proxy.adapter import Follow, Operation, Target, UpstreamRequest, UpstreamResponse, header
from proxy.attempts import Attempts
from proxy.deployments import Deployment
from proxy.errors import GatewayError, NoDeployment, UpstreamTimeout
from proxy.exchange import Attempt, Exchange
from proxy.headers import to_client
from proxy.pipeline import Client, Found, Pipeline
from proxy.preparing import Preparing
from proxy.relay import Relay
from proxy.streaming import Pump
from proxy.upstream import Answer, Timeouts
from proxy.wire import Response
from proxy.wishes import sdk_retries, wants_usage

MAX_ANSWER_BYTES = 256 * 1024 * 1024
MAX_ERROR_BYTES = 1024 * 1024
_JSON = "application/json"
_GENERATING = frozenset({"chat", "completions"})
_EVENT_STREAM = [("content-type", "text/event-stream"), ("cache-control", "no-cache")]


class Leg(NamedTuple):
    """One attempt: where it goes and for whom.

    Attributes:
        begun: monotonic time at which it had its worker, in seconds.
    """

    exchange: Exchange
    client: Client
    found: Found
    deployment: Deployment
    target: Target
    attempt: Attempt
    begun: float


FollowUp = Callable[[UpstreamResponse, Target], Follow | None]
"""An answer and its target to the next question, or None when the answer is the one."""

Call = Callable[[Leg], Awaitable[Response | None]]
"""One call to a vendor, made while a worker of its provider is taken."""


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
        attempts = Attempts(found.route, exchange, limit)
        while True:
            choice = attempts.next(self._clock())
            if choice.pause_s:
                await asyncio.sleep(choice.pause_s)
                exchange.paused_s += choice.pause_s
            try:
                return await self.attempt(exchange, client, found, choice.deployment, self._call)
            except GatewayError as error:
                if client.started:
                    raise
                attempts.failed(choice.deployment, error, self._clock())

    async def attempt(
        self,
        exchange: Exchange,
        client: Client,
        found: Found,
        deployment: Deployment,
        call: Call,
    ) -> Response | None:
        """Take a worker of the deployment's provider, make `call`, and give the worker back."""
        unit = deployment.unit
        target = deployment.target(found.model)
        if target is None:
            raise NoDeployment(f"no credential of {unit.name} may be used for {found.model!r}")
        attempt = Attempt(unit.name, target.model, target.credential_name)
        exchange.attempts.append(attempt)
        exchange.provider, exchange.model = unit.name, target.model
        begun = self._clock()
        entered = False
        try:
            if not unit.try_enter():
                await unit.enter(exchange.deadline - begun)
            entered = True
            now = self._clock()
            attempt.queued_s = now - begun
            leg = Leg(exchange, client, found, deployment, target, attempt, now)
            response = await call(leg)
            attempt.result = "ok"
            return response
        except GatewayError as error:
            error.provider = unit.name
            attempt.result, attempt.status = error.code, error.upstream_status or attempt.status
            raise
        finally:
            now = self._clock()
            attempt.upstream_s = now - begun - attempt.queued_s
            attempt.result = attempt.result or "cancelled"
            if entered:
                unit.leave(now)

    async def _call(self, leg: Leg) -> Response | None:
        """Send one request and bring its answer to an end."""
        exchange, deployment = leg.exchange, leg.deployment
        operation = deployment.adapter.operations[exchange.operation]
        begun = self._clock()
        request = await self._preparing.request(exchange, deployment, leg.target, operation)
        exchange.translate_s += self._clock() - begun
        answer = await self._send(leg, request)
        try:
            if exchange.stream and operation.stream and not _is_json(answer):
                await self._stream(leg, operation, answer)
                return None
            whole = await self._whole(leg, answer)
        finally:
            answer.close()
        if operation.follow is not None:
            whole = await self._followed(leg, operation.follow, whole)
        return self._response(leg, operation, whole)

    async def _send(self, leg: Leg, request: UpstreamRequest) -> Answer:
        """Send a request and take the head of its answer, if that is a good one."""
        exchange, timeouts = leg.exchange, leg.deployment.timeouts
        rest_s = exchange.deadline - self._clock()
        answer = await leg.deployment.unit.upstream.send(
            request,
            timeouts=Timeouts(timeouts.connect, timeouts.idle),
            first_byte_s=min(timeouts.first_token, rest_s) if exchange.stream else rest_s,
        )
        leg.attempt.status = answer.status
        if 200 <= answer.status < 300:
            return answer
        try:
            refusal = await answer.read(MAX_ERROR_BYTES)
        finally:
            answer.close()
        raise leg.deployment.adapter.error(UpstreamResponse(answer.status, answer.headers, refusal))

    async def _whole(self, leg: Leg, answer: Answer) -> UpstreamResponse:
        body = await answer.read(MAX_ANSWER_BYTES)
        return UpstreamResponse(answer.status, answer.headers, body, leg.target.model)

    async def _followed(
        self, leg: Leg, follow: FollowUp, whole: UpstreamResponse
    ) -> UpstreamResponse:
        """Ask on until the answer is ready; the deadline ends it otherwise."""
        while (question := follow(whole, leg.target)) is not None:
            await asyncio.sleep(question.wait_s)
            request = await self._preparing.authorised(leg.deployment, question.request)
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
        exchange.usage = response.usage
        if response.usage is None and exchange.operation in _GENERATING:
            exchange.usage = estimate.of_answer(exchange.request, response.body)
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
            operation.stream(int(exchange.received_at), leg.target.model),
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
            await pump.closing()
            if pump.error is not None:
                raise pump.error
            leg.client.finish()
            await pump.tail()
        finally:
            pump.release()
            exchange.usage = relay.usage or estimate.of_stream(exchange.request, relay.chunks)
            self._preparing.remember(exchange, relay.memory)
            if pump.first_content_at:
                exchange.first_token_s = pump.first_content_at - exchange.started

    async def _open(self, leg: Leg, pump: Pump, operation: Operation, answer: Answer) -> None:
        """Hold the head until there is content, then send it; after `hold.time` anyway."""
        first_token_s = leg.deployment.timeouts.first_token
        hold_s = min(self._server.hold.time, first_token_s)
        if not pump.open and not await _within(hold_s, pump) and hold_s >= first_token_s:
            raise UpstreamTimeout("first_token", first_token_s)
        if pump.error is not None and not pump.content:
            raise pump.error
        now = self._clock()
        leg.attempt.upstream_s = now - leg.begun
        headers = to_client(answer.headers) if operation.forwards else _EVENT_STREAM
        leg.client.start(200, self._pipeline.dress(leg.exchange, headers))
        pump.connect(leg.client)
        rest_s = first_token_s - hold_s
        if not pump.open and not await _within(rest_s, pump):
            raise UpstreamTimeout("first_token", first_token_s)


async def _within(limit_s: float, pump: Pump) -> bool:
    """Wait for the stream to open; False if `limit_s` seconds were not enough."""
    try:
        async with asyncio.timeout(limit_s):
            await pump.opening()
    except TimeoutError:
        return False
    return True


def _is_json(answer: Answer) -> bool:
    """Whether an answer came whole; one that does not say is what was asked for, a stream."""
    return (header(answer.headers, "content-type") or "").startswith(_JSON)
