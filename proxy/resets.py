"""When a vendor's limits are open again, by the headers that tell how they stand.

Source: https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers (2026-11-26)
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from proxy.adapter import Headers, header

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s|d)")
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|h|m|s|d))+")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_EPOCH_S = 1_000_000_000  # a number from here on is a time, not a duration
_EPOCH_MS = 1_000_000_000_000


class Limit(NamedTuple):
    """The headers of one limit: how much is left, and when all of it is there again."""

    remaining: str
    reset: str


OPENAI: tuple[Limit, ...] = (
    Limit("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    Limit("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    Limit("x-ratelimit-remaining", "x-ratelimit-reset"),
)
"""The names that OpenAI and most others have."""


def reset_s(headers: Headers, limits: Sequence[Limit], now: float) -> float | None:
    """Return when what is spent is open again, in seconds; None where nothing says so.

    If no limit says that nothing is left, the first to be open again counts.

    Args:
        headers: of a vendor's 429.
        limits: the names its headers have.
        now: Unix time, in seconds.
    """
    spent: list[float] = []
    others: list[float] = []
    for limit in limits:
        value = header(headers, limit.reset)
        wait_s = None if value is None else _seconds(value.strip(), now)
        if wait_s is not None:
            left = (header(headers, limit.remaining) or "").strip()
            (spent if left in ("0", "0.0") else others).append(wait_s)
    if spent:
        return max(spent)
    return min(others, default=None)


def _seconds(value: str, now: float) -> float | None:
    """Read `6m0s`, `20ms`, seconds, a Unix time or an RFC 3339 one; None if it is none."""
    if _DURATION.fullmatch(value):
        parts: list[tuple[str, str]] = _PART.findall(value)
        return math.fsum(float(number) * _UNIT_S[unit] for number, unit in parts)
    if re.fullmatch(r"\d{1,15}(?:\.\d{1,9})?", value):
        number = float(value)
        if number >= _EPOCH_MS:
            number /= 1000
        return max(0.0, number - now) if number >= _EPOCH_S else number
    try:
        return max(0.0, datetime.fromisoformat(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None
