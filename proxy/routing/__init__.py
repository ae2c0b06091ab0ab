"""How a route chooses among its deployments: one file per strategy.

A strategy never sees a deployment that is full or already tried for this exchange, nor a
cooling one while another is left: `candidates` sees to that, so no strategy has to.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from proxy.deployments import Deployment
from proxy.exchange import Exchange
from proxy.wire import Request


class Strategy(Protocol):
    """Chooses; does no I/O and changes nothing but its own counters."""

    def choose(self, candidates: Sequence[Deployment], exchange: Exchange) -> Deployment:
        """Return one of `candidates`, which is never empty."""


def rested(
    deployments: Sequence[Deployment], tried: Collection[Deployment], now: float
) -> Sequence[Deployment]:
    """Return those that may be chosen and are not cooling at monotonic time `now`, in seconds."""
    if len(deployments) == 1:  # the common route has one
        only = deployments[0]
        free = only.cooling_until <= now and not only.unit.full and only not in tried
        return deployments if free else ()
    return [d for d in deployments if d.cooling_until <= now and not d.unit.full and d not in tried]


def candidates(
    deployments: Sequence[Deployment], tried: Collection[Deployment], now: float
) -> Sequence[Deployment]:
    """Return those that may be chosen: the rested, or else the cooling.

    A single one is offered even when it is full: its queue says best how long to wait.
    """
    if len(deployments) == 1 and not tried:
        return deployments
    open_ = [d for d in deployments if d not in tried and not d.unit.full]
    return rested(open_, tried, now) or open_


def capable(found: Sequence[Deployment], request: Request | None) -> Sequence[Deployment]:
    """Leave out models that are known not to do what the request asks for.

    Where all of them are, the vendor has the last word: what is known may be out of date.
    """
    if request is None or not any(d.lacks for d in found):
        return found
    needs = _needs(request)
    return [d for d in found if not d.lacks & needs] or found


def _needs(request: Request) -> frozenset[str]:
    """Return what a request asks of a model, in the catalogue's words."""
    messages = request.raw("messages") or b""
    asked = {
        "tools": request.raw("tools") not in (None, b"null", b"[]"),
        "json_schema": b'"json_schema"' in (request.raw("response_format") or b""),
        "vision": b'"image_url"' in messages,
        "audio": b'"input_audio"' in messages,
    }
    return frozenset(name for name, is_asked in asked.items() if is_asked)
