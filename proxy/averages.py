"""Averages that choose among deployments: how long a call to each takes, and when it is late.

All are small and bounded, and cheap to feed with every call.
"""

from __future__ import annotations

from array import array
from math import exp, log2
from operator import sub

_STEPS = 8  # buckets from a value to its double; half a bucket is the error
_SHORTEST_S, _LONGEST_S = 2.0**-10, 2.0**12  # a millisecond to an hour
_FIRST = _STEPS * 10  # places before that of one second
_PLACES = _FIRST + _STEPS * 12
_MIDDLES = tuple(2.0 ** ((place - _FIRST + 0.5) / _STEPS) for place in range(_PLACES))
_LEAST = 20  # values that make a quantile
_GENERATION = 256  # values; those before the last whole generation are forgotten


class PeakEwma:
    """An average of seconds that rises at once to a higher value and forgets it slowly.

    So a deployment that has just become slow is avoided from the next call on, and one that is
    not called comes into question again after a while. 0.0: nothing is known.

    Source: https://github.com/twitter/finagle/blob/develop/finagle-core/src/main/scala/com/twitter/finagle/loadbalancer/PeakEwma.scala
    (2026-11-21)
    """

    __slots__ = ("_at", "_tau_s", "_value")

    def __init__(self, tau_s: float = 10.0) -> None:
        """After `tau_s` seconds an older value counts 1 / e of what it did, about a third."""
        self._tau_s = tau_s
        self._value = 0.0
        self._at = 0.0

    def observe(self, now: float, value: float) -> None:
        """Take in a value seen at monotonic time `now`, in seconds."""
        if value < self._value:
            kept = exp((self._at - now) / self._tau_s)
            self._value = self._value * kept + value * (1.0 - kept)
        else:
            self._value = value
        self._at = now

    def value(self, now: float) -> float:
        """Return the average at `now`; while nothing new is seen it goes to 0."""
        return self._value * exp((self._at - now) / self._tau_s)

    @property
    def last(self) -> float:
        """The average when the newest value was seen: nothing is forgotten since."""
        return self._value


class Ewma:
    """An average in which each value has a fixed weight against all before it."""

    __slots__ = ("_value", "_weight")

    def __init__(self, weight: float = 0.1) -> None:
        self._weight = weight
        self._value: float | None = None

    def observe(self, value: float) -> None:
        """Take in a value."""
        known = self._value
        self._value = value if known is None else known + self._weight * (value - known)

    def value(self) -> float:
        """Return the average; 0.0 before the first value."""
        return self._value or 0.0


class Quantile:
    """Below which time so large a share of the last 256 to 512 calls was, by at most 5 % wrong.

    A histogram in eighths of a doubling, from a millisecond to an hour. The bucket of the
    quantile is followed as values come, so that it is known without a search.
    """

    __slots__ = ("_below", "_counts", "_older", "_place", "_share", "_total", "_until")

    def __init__(self, share: float = 0.95) -> None:
        self._share = share
        self._counts = [0] * _PLACES
        self._older = array("H", self._counts)  # of them, what the next generation replaces
        self._total = 0
        self._until = _GENERATION  # values, when a generation is complete
        self._place = 0  # of the quantile's bucket
        self._below = 0  # values in the buckets before it

    def observe(self, value: float) -> None:
        """Take in a value, in seconds."""
        counts, place = self._counts, 0
        if _SHORTEST_S < value < _LONGEST_S:
            place = int(_STEPS * log2(value) + _FIRST)
        elif value >= _LONGEST_S:
            place = _PLACES - 1
        counts[place] += 1
        self._total = total = self._total + 1
        below, at = self._below, self._place
        if place < at:
            self._below = below = below + 1
        if total == self._until:
            self._forget()
        elif not below < self._share * total <= below + counts[at]:
            self._follow()

    def value(self) -> float | None:
        """Return the quantile in seconds; None before there are 20 values."""
        return _MIDDLES[self._place] if self._total >= _LEAST else None

    def _follow(self) -> None:
        """Go to the bucket in which the share is reached."""
        counts, place, below = self._counts, self._place, self._below
        rank = self._share * self._total
        while below + counts[place] < rank:
            below += counts[place]
            place += 1
        while below >= rank:
            place -= 1
            below -= counts[place]
        self._place, self._below = place, below

    def _forget(self) -> None:
        """Keep the generation that is now complete alone, and begin another."""
        newest = list(map(sub, self._counts, self._older))
        self._counts, self._older = newest, array("H", newest)
        self._total, self._until = _GENERATION, 2 * _GENERATION
        self._below = sum(newest[: self._place])
        self._follow()
