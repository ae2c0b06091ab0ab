"""The contract of a plugin, and the chain that runs them.

Four stages. The chain nests like an onion without the frames: `pre` runs in the order of
the configuration, the others in reverse, and only for plugins whose `pre` was reached.

    pre      before routing; may change the request, answer it, or refuse it
    filter   opens a machine for one stream: chunk in, chunks out
    post     a whole reply, before its first byte is sent; may change it
    end      exactly once, after the last byte; looks, never touches
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import structlog

from proxy.exchange import Exchange
from proxy.wire import Chunk, Response

log = structlog.get_logger()

_AWAITING = frozenset({"GET_AWAITABLE", "GET_ANEXT", "BEFORE_ASYNC_WITH", "SEND"})


class Filter(Protocol):
    """A machine on the path of one stream; it never waits."""

    def feed(self, chunk: Chunk) -> Sequence[Chunk]:
        """Take one chunk; return none (hold it), one, or several."""

    def close(self) -> Sequence[Chunk]:
        """Take the end of the stream and return what was still held."""


class Plugin:
    """Base of all plugins: override the stages you need, and only those.

    A stage that is not overridden costs nothing: the chain leaves it out. Options of the
    configuration are the constructor's keyword arguments; a wrong one raises TypeError or
    ValueError there, with a sentence for the user.
    """

    name: str = ""

    async def pre(self, exchange: Exchange) -> Response | None:
        """Return a response to answer in place of the vendor.

        Raises:
            GatewayError: to refuse the request.
        """
        return None

    def filter(self, exchange: Exchange) -> Filter | None:
        """Open a machine for this stream, or None to let it pass."""
        return None

    async def post(self, exchange: Exchange, response: Response) -> Response:
        """Return the response to send."""
        return response

    async def end(self, exchange: Exchange) -> None:
        """Take note of a finished exchange; an error here is only logged."""


class Chain:
    """The plugins of one route, compiled once when the configuration is read.

    Attributes:
        end_waits: whether any `end` stage can wait; if none can, it needs no task of its own.
    """

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        self.plugins = tuple(plugins)
        inward = list(enumerate(self.plugins))
        outward = inward[::-1]
        self._pre = [(i, p.pre) for i, p in inward if _overrides(p, "pre")]
        self._filter = [(i, p.filter) for i, p in outward if _overrides(p, "filter")]
        self._post = [(i, p.post) for i, p in outward if _overrides(p, "post")]
        self._end = [(i, p.end) for i, p in outward if _overrides(p, "end")]
        self.end_waits = any(_waits(end) for _, end in self._end)

    async def pre(self, exchange: Exchange) -> Response | None:
        """Run inward until a plugin answers or refuses."""
        for position, pre in self._pre:
            exchange.entered = position + 1
            response = await pre(exchange)
            if response is not None:
                return response
        exchange.entered = len(self.plugins)
        return None

    def filters(self, exchange: Exchange) -> list[Filter]:
        """Open the machines of one stream, innermost first."""
        opened = (f(exchange) for i, f in self._filter if i < exchange.entered)
        return [machine for machine in opened if machine is not None]

    async def post(self, exchange: Exchange, response: Response) -> Response:
        """Run outward over a whole reply."""
        for position, post in self._post:
            if position < exchange.entered:
                response = await post(exchange, response)
        return response

    async def end(self, exchange: Exchange) -> None:
        """Run outward once the exchange is over."""
        for position, end in self._end:
            if position < exchange.entered:
                try:
                    await end(exchange)
                except Exception:
                    log.exception("end hook failed", plugin=self.plugins[position].name)


def feed(filters: Sequence[Filter], chunks: Sequence[Chunk]) -> Sequence[Chunk]:
    """Push chunks through the machines; comments pass them by."""
    for machine in filters:
        out: list[Chunk] = []
        for chunk in chunks:
            out += machine.feed(chunk) if chunk.data else (chunk,)
        chunks = out
    return chunks


def close(filters: Sequence[Filter]) -> Sequence[Chunk]:
    """End the stream: what an inner machine held still passes the outer ones."""
    chunks: Sequence[Chunk] = ()
    for machine in filters:
        chunks = [*feed((machine,), chunks), *machine.close()]
    return chunks


def _overrides(plugin: Plugin, stage: str) -> bool:
    base: Any = getattr(Plugin, stage)
    return getattr(type(plugin), stage) is not base


def _waits(stage: Callable[..., object]) -> bool:
    """Whether a stage has an `await` of any kind in it."""
    code = getattr(stage, "__code__", None)
    return code is None or any(i.opname in _AWAITING for i in dis.get_instructions(code))
