"""Durations, sizes, money, shares and rates as people write them, and back.

Every parser takes a text or a bare number and raises `ValueError` with a sentence for whoever
wrote it. Decimal arithmetic keeps `0.1s` and `$0.000001` exact until the very end.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

from proxy.config.problems import quote

_SECONDS = {
    "us": Decimal("0.000001"),
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
}
_BYTES = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_MICROS = 1_000_000

NUMBER = r"[0-9]+(?:\.[0-9]+)?"
DURATION = rf"(?:{NUMBER}(?:{'|'.join(_SECONDS)}))+|{NUMBER}"
"""What `parse_duration` takes, as a regular expression of the whole text."""
SIZE = rf"{NUMBER} ?(?:{'|'.join(_BYTES)})|[0-9]+"
"""What `parse_size` takes, as a regular expression of the whole text."""
MONEY = rf"\$?{NUMBER}"
"""What `parse_money` takes, as a regular expression of the whole text."""

SHARE = rf"{NUMBER} ?%|{NUMBER}"
"""What `parse_share` takes, as a regular expression of the whole text."""
RATE = rf"{NUMBER}/(?:[smh])|{NUMBER}"
"""What `parse_rate` takes, as a regular expression of the whole text."""

_PART = re.compile(rf"({NUMBER})({'|'.join(_SECONDS)})")
_LONGEST = 64


def parse_duration(value: str | float) -> float:
    """Return seconds: `250ms`, `30s`, `1h30m`; a bare number is seconds.

    Raises:
        ValueError: it is something else.
    """
    text = _text(value, DURATION, "a duration such as 250ms, 30s or 5m")
    parts = _PART.findall(text)
    if not parts:
        return float(text)
    return float(sum(Decimal(number) * _SECONDS[unit] for number, unit in parts))


def parse_size(value: str | float) -> int:
    """Return bytes: `64KiB`, `32MiB`, `10MB`; a bare number is bytes.

    Raises:
        ValueError: it is something else, or no whole number of bytes.
    """
    text = _text(value, SIZE, "a size such as 64KiB, 32MiB or 10MB")
    number = text.rstrip("BTGMKki ")
    size = Decimal(number) * _BYTES[text[len(number) :].strip() or "B"]
    if size != int(size):
        raise ValueError(f"{_shown(value)} is no whole number of bytes")
    return int(size)


def parse_money(value: str | float) -> int:
    """Return millionths of a dollar: `$12.50`; a bare number is dollars.

    Raises:
        ValueError: it is something else, or finer than a millionth of a dollar.
    """
    text = _text(value, MONEY, "an amount such as $12.50")
    micros = Decimal(text.removeprefix("$")) * _MICROS
    if micros != int(micros):
        raise ValueError(f"{_shown(value)} is finer than a millionth of a dollar")
    return int(micros)


def parse_share(value: str | float) -> float:
    """Return a part of one: `5%`; a bare number is the part itself.

    Raises:
        ValueError: it is something else, or more than the whole.
    """
    text = _text(value, SHARE, "a share such as 5% or 0.05")
    number = Decimal(text.rstrip("% "))
    share = number / 100 if text.endswith("%") else number
    if share > 1:
        raise ValueError(f"{_shown(value)} is more than the whole")
    return float(share)


def parse_rate(value: str | float) -> float:
    """Return how many a minute: `600/m`, `10/s`, `5000/h`; a bare number is a minute's.

    Raises:
        ValueError: it is something else.
    """
    text = _text(value, RATE, "a rate such as 600/m, 10/s or 5000/h")
    number, _, unit = text.partition("/")
    return float(Decimal(number) * 60 / _SECONDS[unit or "m"])


def format_money(micros: int) -> str:
    """Return the shortest text that `parse_money` reads as `micros`."""
    return f"${(Decimal(micros) / _MICROS).normalize():f}"


def format_share(share: float) -> str:
    """Return a text in per cent that `parse_share` reads as `share`."""
    return f"{(Decimal(repr(share)) * 100).normalize():f}%"


def format_rate(rate: float) -> str:
    """Return a text that `parse_rate` reads as `rate`."""
    return f"{Decimal(repr(rate)).normalize():f}/m"


def format_duration(seconds: float) -> str:
    """Return the shortest text that `parse_duration` reads as `seconds`."""
    exact = Decimal(repr(seconds))
    for unit in ("d", "h", "m", "s", "ms", "us"):
        count = exact / _SECONDS[unit]
        if exact and count == int(count) and int(count) * _SECONDS[unit] == exact:
            return f"{int(count)}{unit}"
    return f"{exact.normalize():f}s"


def format_size(size: int) -> str:
    """Return the shortest text with a binary unit that `parse_size` reads as `size`."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return f"{size}B"


def _text(value: str | float, pattern: str, what: str) -> str:
    """Return `value` as text that matches `pattern`, or say that it is not `what`."""
    if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{_shown(value)} is not {what}")
    text = value if isinstance(value, str) else f"{Decimal(repr(value)):f}"
    if len(text) > _LONGEST or not re.fullmatch(pattern, text):
        raise ValueError(f"{_shown(value)} is not {what}")
    return text


def _shown(value: str | float) -> str:
    if isinstance(value, str):
        return quote(value)
    return str(value).lower()[:_LONGEST]
