"""What a client asks of the gateway itself, in the headers of its request."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress

from proxy.config.units import parse_duration
from proxy.errors import InvalidRequest
from proxy.exchange import ANYONE, ClientKey, Exchange
from proxy.wire import Request

_MOST_TAGS = 16
_LONGEST_TAG = 64


def patience_s(headers: Mapping[str, str]) -> float:
    """Return how long the client waits, in seconds; infinite if it does not say.

    Raises:
        InvalidRequest: `x-headgate-timeout` is no duration.
    """
    limit_s = math.inf
    asked = headers.get("x-headgate-timeout")
    if asked is not None:
        try:
            limit_s = parse_duration(asked)
        except ValueError as error:
            raise InvalidRequest(f"x-headgate-timeout: {error}") from None
    sdk = headers.get("x-stainless-read-timeout")
    if sdk is not None:
        with suppress(ValueError):  # an SDK without a limit writes no number
            limit_s = min(limit_s, float(sdk)) if float(sdk) > 0 else limit_s
    return limit_s


def sdk_retries(headers: Mapping[str, str]) -> int:
    """Return how often the client's SDK has repeated this call."""
    count = headers.get("x-stainless-retry-count", "")
    return int(count) if count.isdecimal() and len(count) < 4 else 0


def tags(headers: Mapping[str, str]) -> dict[str, str]:
    """Read `x-headgate-tags: a=b,c=d`.

    Raises:
        InvalidRequest: it is not of that form, or too much.
    """
    given = headers.get("x-headgate-tags")
    if not given:
        return {}
    pairs = [pair.partition("=") for pair in given.split(",")]
    found = {name.strip(): value.strip() for name, sign, value in pairs if sign}
    too_long = any(len(text) > _LONGEST_TAG for pair in found.items() for text in pair)
    if len(found) != len(pairs) or len(found) > _MOST_TAGS or "" in found or too_long:
        raise InvalidRequest(
            f"x-headgate-tags takes name=value pairs, at most {_MOST_TAGS}, comma between them"
        )
    return found


def priority(headers: Mapping[str, str], key: ClientKey) -> int:
    """Return the class of a client's calls in a queue, 0 to 9; 9 goes first.

    Raises:
        InvalidRequest: `x-headgate-priority` is no such number.
    """
    asked = headers.get("x-headgate-priority")
    if asked is None:
        return key.priority
    if len(asked) != 1 or not asked.isdecimal() or not asked.isascii():
        raise InvalidRequest(f"x-headgate-priority is a number from 0 to 9, not {asked[:20]!a}")
    return min(int(asked), key.max_priority)


def tenant(exchange: Exchange) -> str:
    """Return whose share of a queue a call takes: the team's, the key's, or the address's."""
    key = exchange.key
    return key.team or (key.name if key is not ANYONE else exchange.client)


def wants_usage(request: Request | None) -> bool:
    """Return whether the client itself asked for the usage of its stream."""
    raw = request.raw("stream_options") if request is not None else None
    return raw is not None and b'"include_usage"' in raw and b"true" in raw
