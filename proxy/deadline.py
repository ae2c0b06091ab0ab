"""A deadline that moves often and is seldom missed.

Every read of a stream moves the time by which the next one must come. A timer for each
would cost more than the read itself; here one timer stays, and looks at the deadline of the
moment when it fires. It is replaced only where it would fire too late.
"""

from __future__ import annotations

import asyncio
from math import inf


class Deadline:
    """To inherit from; `overdue` is called once the deadline of the moment has passed.

    Attributes:
        due_at: the loop's time in seconds; infinite while nothing is due.
    """

    __slots__ = ("_fires_at", "_loop", "_timer", "due_at")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = inf
        self.due_at = inf

    def due(self, delay_s: float) -> None:
        """Let the deadline be `delay_s` seconds from now."""
        self.due_at = when = self._loop.time() + delay_s
        if when < self._fires_at:
            if self._timer is not None:
                self._timer.cancel()
            self._fires_at = when
            self._timer = self._loop.call_at(when, self._fire)

    def stop(self) -> None:
        """Let go of the timer for good."""
        self.due_at = inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._fires_at = None, inf

    def overdue(self) -> None:
        """The deadline has passed; nothing is due any more."""
        raise NotImplementedError

    def _fire(self) -> None:
        self._timer, self._fires_at = None, inf
        left_s = self.due_at - self._loop.time()
        if left_s <= 0:
            self.due_at = inf
            self.overdue()
        elif left_s < inf:
            self.due(left_s)
