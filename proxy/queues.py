"""A provider's workers and its bounded queue: what keeps one sick vendor from the others.

A worker is a place for one call in flight. While one is free, entering costs no task and no
wait. A place that comes free is handed straight to the first in the queue, so that nobody
overtakes. What waits is bounded in number and in time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic

from proxy.errors import QueueFull, QueueTimeout
from proxy.upstream import Upstream

_DRAIN_WEIGHT = 0.1  # of the newest sample in the moving average of the drain interval
_REPEAT_SHARE = 0.1  # repeated attempts add at most this to a provider's load
_REPEAT_RESERVE = 3.0  # so that a quiet provider gets its first repeats
_REPEAT_CEILING = 100.0


class ProviderUnit:
    """One provider at run time: its connections, workers, queue and budget of repeats.

    Attributes:
        workers: calls in flight at once.
        queue: calls that may wait.
        queue_timeout_s: how long a call may wait, in seconds.
        busy: workers in use.
    """

    def __init__(
        self, name: str, upstream: Upstream, workers: int, queue: int, queue_timeout_s: float
    ) -> None:
        self.name = name
        self.upstream = upstream
        self.workers = workers
        self.queue = queue
        self.queue_timeout_s = queue_timeout_s
        self.busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._interval_s = 0.0
        self._left_at = 0.0
        self._repeats = _REPEAT_RESERVE
        self._emptied: list[asyncio.Future[None]] = []

    def __repr__(self) -> str:
        return f"<ProviderUnit {self.name} busy {self.busy}/{self.workers} queued {self.depth}>"

    @property
    def depth(self) -> int:
        """Calls that wait."""
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether one more call would be refused."""
        return self.busy >= self.workers and len(self._waiting) >= self.queue

    @property
    def retry_after_s(self) -> float:
        """When a place should be free: the queue's length at the rate it drains, in seconds."""
        return min(60.0, max(1.0, (len(self._waiting) + 1) * self._interval_s))

    def try_enter(self) -> bool:
        """Take a free worker, if there is one."""
        if self.busy >= self.workers or self._waiting:
            return False
        self.busy += 1
        return True

    async def enter(self, patience_s: float) -> None:
        """Wait for a worker, at most `patience_s` seconds and never past the queue's limit.

        Raises:
            QueueFull: the queue has no place.
            QueueTimeout: none came free in time.
        """
        if self.try_enter():
            return
        if len(self._waiting) >= self.queue:
            raise QueueFull(
                f"the queue of provider {self.name} is full", retry_after_s=self.retry_after_s
            )
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        limit_s = min(patience_s, self.queue_timeout_s)
        try:
            async with asyncio.timeout(limit_s):
                await place
        except BaseException as reason:
            self._abandon(place)
            if isinstance(reason, TimeoutError):
                raise QueueTimeout(
                    f"no worker of provider {self.name} came free within {limit_s:g} s",
                    retry_after_s=self.retry_after_s,
                ) from None
            raise

    def leave(self, now: float) -> None:
        """Give the worker to the first that waits, or free it; `now` is monotonic seconds."""
        if self._left_at:
            self._interval_s += _DRAIN_WEIGHT * (now - self._left_at - self._interval_s)
        self._left_at = now
        while self._waiting and self.busy <= self.workers:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self.busy -= 1
        if self._emptied and not self.busy:
            for waiter in self._emptied:
                if not waiter.done():
                    waiter.set_result(None)
            self._emptied.clear()

    async def empty(self) -> None:
        """Wait until no call is in flight and none waits."""
        while self.busy:
            waiter = asyncio.get_running_loop().create_future()
            self._emptied.append(waiter)
            await waiter

    def may_repeat(self) -> bool:
        """Take one repeated attempt out of the budget, if it holds one."""
        if self._repeats < 1:
            return False
        self._repeats -= 1
        return True

    def earn(self, attempts: int = 1) -> None:
        """Count first attempts: each earns a share of a repeat; a negative number takes back."""
        earned = self._repeats + attempts * _REPEAT_SHARE
        self._repeats = min(_REPEAT_CEILING, max(0.0, earned))

    def _abandon(self, place: asyncio.Future[None]) -> None:
        """Leave the queue; a worker that was handed over meanwhile goes to the next."""
        if place.done() and not place.cancelled():
            self.leave(monotonic())
            return
        place.cancel()
        if place in self._waiting:
            self._waiting.remove(place)
