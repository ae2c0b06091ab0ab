"""Which other route serves an exchange: by conditions, then by shares of the traffic.

A split is drawn by weighted rendezvous hashing: every part, and what stays here, draws a number
from the client's name, and the best for its share wins. So the same client is always on the same
side. While one part grows, it takes from all, and what stays here gives to all: nobody moves from
one of the other parts to another of them.

Source: C. Schindelhauer, G. Schomaker, "Weighted Distributed Hash Tables", SPAA 2005
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from math import log

from proxy.conditions import compile_condition
from proxy.config.structs import Route
from proxy.exchange import ANYONE, Exchange

Turn = Callable[[Exchange], str | None]
"""An exchange to the name of the route that serves it instead; None: this one does."""

Part = tuple[str | None, float]
"""A route (None: this one), and its share."""

_MOST = float(1 << 64) + 4096.0
_NOTHING = 1e-9


def compile_turn(name: str, settings: Route) -> Turn | None:
    """Return where exchanges of the route `name` turn to; None where none ever do.

    Raises:
        ValueError: a condition is none.
    """
    cases = [(compile_condition(when), when.route) for when in settings.when]
    parts = _parts(settings)
    if not cases and not parts:
        return None
    value = _who(settings.split_by)

    def turn(exchange: Exchange) -> str | None:
        for holds, route in cases:
            if holds(exchange):
                return route
        return drawn(name, value(exchange), parts) if parts else None

    return turn


@lru_cache(maxsize=4096)
def drawn(name: str, value: str, parts: tuple[Part, ...]) -> str | None:
    """Return the part of the split of route `name` that `value` belongs to."""
    return max(parts, key=lambda part: -part[1] / log(_number(f"{name}\0{part[0]}\0{value}")))[0]


def _parts(settings: Route) -> tuple[Part, ...]:
    parts: tuple[Part, ...] = tuple((split.route, split.share) for split in settings.split)
    left = 1.0 - sum(share for _, share in parts)
    return (*parts, (None, left)) if parts and left > _NOTHING else parts


def _number(text: str) -> float:
    """Return a number between 0 and 1 that is the same for the same text, everywhere."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") + 0.5) / _MOST


def _who(split_by: str) -> Callable[[Exchange], str]:
    """Return what keeps a client on its side."""
    if split_by == "key":
        return _key
    if split_by == "request":
        return lambda exchange: exchange.id
    if split_by == "user":
        return _user
    header = split_by.lower()
    return lambda exchange: exchange.headers.get(header) or _key(exchange)


def _key(exchange: Exchange) -> str:
    return exchange.key.name if exchange.key is not ANYONE else exchange.client


def _user(exchange: Exchange) -> str:
    raw = exchange.request.raw("user") if exchange.request is not None else None
    return raw.decode("utf-8", "replace") if raw and raw != b"null" else _key(exchange)
