"""A ceiling on what goes to one account of a vendor in any minute: calls, or tokens.

A vendor that allows so many a minute refuses more with a 429, which costs a round trip and
often the account's standing. Here the same is counted before anything is sent. What is taken
is logged by slots of a 120th of the window and leaves the log a whole window after its slot has
ended: never sooner than the vendor forgets it, and at most one slot later.
"""

from __future__ import annotations

from math import inf

_SLOTS = 120  # of a window
_ROUNDING_S = 1e-6  # so that who waits as long as told does not come too early by a rounding


class Ceiling:
    """At most `limit` units in any `window_s` seconds; every `now` is monotonic seconds.

    Attributes:
        limit: units, more than 0; may be set anew at any time.
    """

    __slots__ = ("_ends_at", "_log", "_slot", "_used", "_width_s", "limit")

    def __init__(self, limit: float, window_s: float = 60.0) -> None:
        if not limit > 0:
            raise ValueError(f"a ceiling is more than 0, not {limit}")
        self.limit = limit
        self._width_s = window_s / _SLOTS
        self._log: dict[int, float] = {}  # units by the slot's number, the oldest first
        self._used = 0.0
        self._slot = 0
        self._ends_at = -inf

    def __repr__(self) -> str:
        return f"<Ceiling {self._used:g}/{self.limit:g}>"

    def wait_s(self, now: float, amount: float = 1) -> float:
        """Return in how many seconds `amount` may be taken, if nothing else is; 0: at once.

        More than the limit may be taken when nothing else is under way.
        """
        if now >= self._ends_at:
            self._advance(now)
        if self._used + amount <= self.limit:
            return 0.0
        over = self._used + min(amount, self.limit) - self.limit
        return self._until(over) - now if over > 0 else 0.0

    def take(self, now: float, amount: float = 1) -> None:
        """Count what is sent now, also where `wait_s` said to wait."""
        if now >= self._ends_at:
            self._advance(now)
        self._log[self._slot] = self._log.get(self._slot, 0) + amount
        self._used += amount

    def settle(self, now: float, difference: float, taken_at: float | None = None) -> None:
        """Set right what was taken: it really was so many more, or less where negative.

        More counts from now. Less is given back to the time it was taken, if that is told and
        not yet forgotten; else to the oldest, which are soonest forgotten anyway.
        """
        if difference >= 0:
            self.take(now, difference)
            return
        if now >= self._ends_at:
            self._advance(now)
        if taken_at is not None:
            self._give_back(self._number(taken_at), -difference)
            return
        for slot in self._log:
            difference += self._give_back(slot, -difference)

    def left(self, now: float) -> float:
        """Return which part of the limit is free, from 0 to 1."""
        if now >= self._ends_at:
            self._advance(now)
        return max(0.0, 1.0 - self._used / self.limit)

    def _give_back(self, slot: int, units: float) -> float:
        """Take up to so many units out of a slot; return how many it had."""
        taken = self._log.get(slot, 0)
        back = units if units < taken else taken
        if back > 0:
            self._log[slot] = taken - back
            self._used -= back
        return back

    def _until(self, over: float) -> float:
        """Return the time by which at least `over` units will be forgotten."""
        last = self._slot
        for slot, amount in self._log.items():
            over -= amount
            if over <= 0:
                last = slot
                break
        return (last + 1 + _SLOTS) * self._width_s + _ROUNDING_S

    def _number(self, now: float) -> int:
        return int(now / self._width_s)

    def _advance(self, now: float) -> None:
        """Begin the slot of `now` and forget those that ended a window ago."""
        self._slot = self._number(now)
        self._ends_at = (self._slot + 1) * self._width_s
        for slot in [*self._log]:
            if slot + 1 + _SLOTS > self._slot:
                break
            del self._log[slot]
        self._used = sum(self._log.values())
