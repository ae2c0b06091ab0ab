"""What a condition says of one member of a request: a value, a pattern or a comparison.

"*"              it is there, and not null
"gpt-4*"         a text that matches; * and ? are wildcards
">= 1000"        a number; also > < <=
"!= json"        anything else than this text or number, also where it is not there
true, 5, null    exactly this
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from fnmatch import translate
from typing import Any

Clause = Callable[[Any], bool]
"""A value of JSON (None where it is not there) to whether it is as the clause says."""

_COMPARISON = re.compile(r"\s*(>=|<=|!=|>|<)\s*(.*)", re.DOTALL)
_ORDERS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


def clause(given: object) -> Clause:
    """Read a clause.

    Raises:
        ValueError: it is none; the message is for whoever wrote it.
    """
    if isinstance(given, str):
        found = _COMPARISON.fullmatch(given)
        return _comparison(found[1], found[2].strip()) if found else _pattern(given)
    if isinstance(given, dict | list):
        raise ValueError("must be a value, a pattern such as gpt-4*, or a comparison as >= 1000")
    return lambda value: value == given and isinstance(value, bool) == isinstance(given, bool)


def pattern(text: str) -> Callable[[str], object]:
    """Return what a text must match; * and ? are wildcards, capitals count."""
    return re.compile(translate(text)).match


def _comparison(sign: str, limit: str) -> Clause:
    number = _number(limit)
    if sign == "!=":
        return lambda value: (
            value != (limit if number is None or isinstance(value, str) else number)
        )
    if number is None:
        raise ValueError(f"{sign} compares numbers, and {limit[:40]!r} is none")
    order, bound = _ORDERS[sign], number

    def compare(value: Any) -> bool:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        return fits and order(value, bound)

    return compare


def _pattern(text: str) -> Clause:
    if text == "*":
        return lambda value: value is not None
    matches = pattern(text)
    return lambda value: isinstance(value, str) and matches(value) is not None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
