"""The last exchanges, for whoever asks what became of one.

What is kept of an exchange is what happened to it: no prompt, no answer, no header, no key.
Noting one costs a fraction of a microsecond; what is kept is made readable when it is asked for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from proxy.exchange import Attempt, Exchange

MOST = 2_000
"""How many exchanges a process remembers."""


class History:
    """The last exchanges, the newest at the end."""

    def __init__(self, most: int = MOST) -> None:
        self._kept: deque[tuple[Any, ...]] = deque(maxlen=most)

    def note(self, exchange: Exchange) -> None:
        """Keep what happened to a finished exchange.

        The attempts are the exchange's own; the error is not kept, since what it was raised
        from would keep the request with it.
        """
        error, request = exchange.error, exchange.request
        self._kept.append(
            (
                exchange.id,
                exchange.received_at,
                exchange.operation,
                exchange.key.name,
                exchange.tags,
                "" if request is None else request.model,
                exchange.route,
                exchange.stream,
                exchange.status,
                exchange.outcome,
                "" if error is None else error.code,
                exchange.first_token_s,
                exchange.paused_s,
                exchange.finished_s,
                exchange.attempts,
            )
        )

    def clear(self) -> None:
        """Forget all."""
        self._kept.clear()

    def find(self, request_id: str) -> dict[str, Any] | None:
        """Return the newest exchange of this id, as JSON can say it."""
        for kept in reversed(self._kept):
            if kept[0] == request_id:
                return dict(_shown(kept))
        return None


def _shown(kept: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    names = ("id", "received_at", "operation", "key", "tags", "asked", "route", "stream")
    yield from zip(names, kept, strict=False)
    yield "received_at", datetime.fromtimestamp(kept[1], UTC).isoformat(timespec="milliseconds")
    status, outcome, code, first_s, paused_s, total_s, attempts = kept[8:]
    yield "status", status
    yield "outcome", outcome
    yield "code", code or None
    yield "first_token_ms", _ms(first_s) if first_s else None
    yield "paused_ms", _ms(paused_s)
    yield "total_ms", _ms(total_s)
    yield "attempts", [_attempt(attempt) for attempt in attempts]


def _attempt(attempt: Attempt) -> dict[str, Any]:
    usage = attempt.usage
    return {
        "provider": attempt.provider,
        "model": attempt.model,
        "credential": attempt.credential,
        "reason": attempt.reason,
        "result": attempt.result,
        "failure": attempt.failure,
        "upstream_status": attempt.status or None,
        "queued_ms": _ms(attempt.queued_s),
        "first_token_ms": _ms(attempt.first_token_s) if attempt.first_token_s else None,
        "upstream_ms": _ms(attempt.upstream_s),
        "input_tokens": usage.input_tokens if usage is not None else None,
        "output_tokens": usage.output_tokens if usage is not None else None,
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
