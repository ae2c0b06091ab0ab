"""Copies of a share of the traffic for another route, whose answers are only compared.

The client's exchange is not touched: its answer is noted while it goes out, and only when it
is over the copy is sent. What both said is compared and told in the log, as numbers; no text
of either is kept. Copies are bounded in number and given up when the process stops.
"""

from __future__ import annotations

import asyncio
import difflib
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import structlog

from proxy import tasks
from proxy.calls import Calls
from proxy.errors import GatewayError
from proxy.exchange import Exchange
from proxy.hooks import Chain, Filter
from proxy.metrics import Metrics
from proxy.pipeline import Client, Found
from proxy.routing.table import Mirroring
from proxy.streaming import Flow
from proxy.timelimit import TimeLimit
from proxy.wire import Chunk, Request, Response

log = structlog.get_logger()

_COMPARED = 400
"""Words of two texts that are compared; the time it takes grows with the square."""

_KEPT = 64_000
_NOTHING = Chain(())


class Mirrors:
    """Serves exchanges, and mirrors those of routes that want it."""

    def __init__(self, calls: Calls, metrics: Metrics) -> None:
        self._calls = calls
        self._metrics = metrics
        self._clock = time.monotonic

    async def operate(self, exchange: Exchange, client: Client, found: Found) -> Response | None:
        """Do as `Calls.operate`, and send a copy afterwards if the dice say so."""
        mirroring = found.route.mirroring
        if mirroring is None or not _picked(mirroring) or exchange.request is None:
            return await self._calls.operate(exchange, client, found)
        notes = Notes()
        chain = Noting(found.chain, notes)
        body = exchange.request.encode()
        response = await self._calls.operate(exchange, client, found._replace(chain=chain))
        if response is not None:
            notes.take(response)
        copy = self._copy(exchange, body)
        mirroring.under_way += 1
        tasks.spawn(self._mirror(mirroring, copy, found.model, exchange, notes), name="mirror")
        return response

    def _copy(self, exchange: Exchange, body: bytes) -> Exchange:
        return Exchange(
            id=f"{exchange.id}-mirror",
            operation=exchange.operation,
            method=exchange.method,
            path=exchange.path,
            headers=exchange.headers,
            received_at=time.time(),
            started=self._clock(),
            request=Request(body, needs_model=False),
            client=exchange.client,
            key=exchange.key,
            tags=exchange.tags,
            stream=exchange.stream,
        )

    async def _mirror(
        self, mirroring: Mirroring, copy: Exchange, model: str, exchange: Exchange, said: Notes
    ) -> None:
        """Send the copy, and tell how its answer compares."""
        route = mirroring.route.under(model)
        copy.route = route.name
        notes = Notes()
        try:
            await self._send(copy, Found(route, model, Noting(_NOTHING, notes)), notes)
        finally:
            mirroring.under_way -= 1
            copy.finished_s = self._clock() - copy.started
            self._metrics.record(copy)
        alike = await asyncio.to_thread(similarity, said.text, notes.text)
        log.info("mirrored", **_told(exchange, said), mirror=_told(copy, notes), similarity=alike)

    async def _send(self, copy: Exchange, found: Found, notes: Notes) -> None:
        copy.deadline = copy.started + found.route.total_s
        try:
            with TimeLimit(copy.deadline, asyncio.get_running_loop()):
                response = await self._calls.operate(copy, Nobody(), found)
            if response is not None:
                notes.take(response)
        except (GatewayError, TimeoutError) as error:
            copy.outcome = "error"
            copy.error = error if isinstance(error, GatewayError) else None
        except BaseException:
            copy.outcome = "cancelled"
            raise


class Nobody:
    """The client of a copy: whatever it is sent is gone."""

    started = False

    def start(self, status: int, headers: list[tuple[str, str]], length: int | None = None) -> None:
        """Take the head."""
        self.started = True

    def write(self, data: bytes) -> None:
        """Take a piece of the body."""

    def finish(self, *, close: bool = False) -> None:
        """Take the end."""

    def abort(self) -> None:
        """There is no connection to break."""

    def watch(self, flow: Flow) -> None:
        """It never reads too slowly."""


class Notes:
    """What an answer said, as far as it is compared; also the `Filter` that listens.

    Attributes:
        finish_reason: of the first choice; empty where there was none.
        tools: the names of the functions it called, in their order.
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0
        self.finish_reason = ""
        self.tools: list[str] = []

    @property
    def text(self) -> str:
        """The text of the first choice, as far as it is kept."""
        return "".join(self._pieces)

    def feed(self, chunk: Chunk) -> Sequence[Chunk]:
        """Listen to a chunk, and let it pass."""
        choices = chunk.document.get("choices")
        if isinstance(choices, list) and choices:
            self._hear(choices[0], "delta")
        return (chunk,)

    def close(self) -> Sequence[Chunk]:
        """Nothing was held."""
        return ()

    def take(self, response: Response) -> None:
        """Read a whole answer."""
        try:
            choices = msgspec.json.decode(response.body)["choices"]
            self._hear(choices[0], "message")
        except (msgspec.MsgspecError, UnicodeDecodeError, LookupError, TypeError):
            return  # an operation whose answers are no text

    def _hear(self, choice: Any, member: str) -> None:
        if not isinstance(choice, dict):
            return
        said = choice.get(member) or {}
        text = said.get("content") or choice.get("text") or ""
        if isinstance(text, str) and self._size < _KEPT:
            self._pieces.append(text)
            self._size += len(text)
        self.finish_reason = choice.get("finish_reason") or self.finish_reason
        for call in said.get("tool_calls") or ():
            if name := (call.get("function") or {}).get("name"):
                self.tools.append(str(name))


class Noting(Chain):
    """A chain with a listener at the end of its filters."""

    def __init__(self, chain: Chain, notes: Notes) -> None:
        super().__init__(())
        self._chain = chain
        self._notes = notes

    def filters(self, exchange: Exchange) -> list[Filter]:
        """Open the chain's machines, and let the listener hear what they leave."""
        return [*self._chain.filters(exchange), self._notes]


def similarity(one: str, other: str) -> float:
    """Return how alike two texts are word by word, from 0 to 1; it takes its time."""
    if one == other:
        return 1.0
    words = one.split()[:_COMPARED], other.split()[:_COMPARED]
    matcher = difflib.SequenceMatcher(None, *words, autojunk=False)
    return round(matcher.ratio(), 3)


def _picked(mirroring: Mirroring) -> bool:
    return mirroring.under_way < mirroring.most and random.random() < mirroring.share


def _told(exchange: Exchange, notes: Notes) -> Mapping[str, Any]:
    usage = exchange.usage
    return {
        "request_id": exchange.id,
        "route": exchange.route,
        "provider": exchange.provider,
        "model": exchange.model[:200],
        "outcome": exchange.outcome,
        "code": exchange.error.code if exchange.error is not None else None,
        "characters": len(notes.text),
        "finish_reason": notes.finish_reason,
        "tools": notes.tools[:20],
        "output_tokens": usage.output_tokens if usage is not None else 0,
        "first_token_ms": int(exchange.first_token_s * 1e6) / 1000,
    }
