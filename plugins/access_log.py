"""One line of JSON an exchange, in the same stream as the rest of the log.

It holds who asked for what, who answered, how long it took and how it ended; never a
prompt, an answer, a key, a query string, or the words of an error, which may quote any of
them. The line is rendered directly: a third of what the logger's processors would cost.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import structlog

from proxy.exchange import Attempt, Exchange
from proxy.hooks import Plugin
from proxy.logs import LEVELS, encode
from proxy.sink import Sink
from proxy.wire import Usage

_LONGEST = 200
"""Characters of a text that a client chose; more of it is cut off."""

_now = datetime.fromtimestamp


class AccessLog(Plugin):
    """Writes down each exchange once it is over.

    Args:
        sink: lent by the gateway, not an option.
        skip: paths that are not written down.
        level: of the lines; below the log's own level nothing is written.
    """

    name = "access_log"

    def __init__(self, *, sink: Sink, skip: Iterable[str] = (), level: str = "info") -> None:
        if isinstance(skip, str):
            raise TypeError("`skip` is a list of paths")
        if level not in LEVELS:
            raise ValueError(f"`level` is one of {', '.join(LEVELS)}, not {level!r}")
        self._write = sink.write
        self._skip = frozenset(skip)
        self._level = level
        self._enabled = structlog.get_logger().is_enabled_for(LEVELS[level])

    async def end(self, exchange: Exchange) -> None:
        """Write the line."""
        path = exchange.path.partition("?")[0]
        if self._enabled and path not in self._skip:
            self._write(encode(self._line(exchange, path)))

    def _line(self, exchange: Exchange, path: str) -> dict[str, Any]:
        key, error, usage = exchange.key, exchange.error, exchange.usage
        return {
            "time": _now(exchange.received_at, UTC),
            "level": self._level,
            "event": "exchange",
            "request_id": exchange.id[:_LONGEST],
            "key": key.name,
            "user": key.user,
            "team": key.team,
            "client": exchange.client,
            "method": exchange.method,
            "path": path[:_LONGEST],
            "operation": exchange.operation,
            "route": exchange.route,
            "provider": exchange.provider,
            "model": exchange.model[:_LONGEST],
            "stream": exchange.stream,
            "status": exchange.status,
            "outcome": exchange.outcome,
            "code": None if error is None else error.code,
            "origin": None if error is None else error.origin,
            "attempts": [_attempt(attempt) for attempt in exchange.attempts],
            "usage": None if usage is None else _usage(usage),
            "pre_ms": _ms(exchange.pre_s),
            "first_token_ms": _ms(exchange.first_token_s),
            "total_ms": _ms(exchange.finished_s),
        }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "provider": attempt.provider,
        "model": attempt.model[:_LONGEST],
        "credential": attempt.credential,
        "reason": attempt.reason,
        "result": attempt.result,
        "failure": attempt.failure,
        "status": attempt.status,
        "queue_ms": _ms(attempt.queued_s),
        "upstream_ms": _ms(attempt.upstream_s),
    }


def _usage(usage: Usage) -> dict[str, int]:
    return {
        "input_tokens": usage.input_tokens,
        "cached_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "estimated": usage.estimated,
    }


def _ms(seconds: float) -> float:
    """Whole microseconds, in milliseconds; a fifth of what `round` costs."""
    return int(seconds * 1e6) / 1000
