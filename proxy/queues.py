"""A provider's workers and its bounded queue: what keeps one sick vendor from the others.

A worker is a place for one call in flight. While one is free, entering costs no task and no
wait. A place that comes free is handed straight to the next in the line, so that nobody
overtakes: first by priority, then fairly among tenants (`proxy.fairness`). What waits is
bounded in number, in bytes and in time; who cannot be served in time is told so at once,
and a full line takes a call from whoever has most waiting rather than refuse a tenant that
has less than its share.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from time import monotonic
from typing import NamedTuple

from proxy.breaker import BreakerRules
from proxy.credentials import Credential
from proxy.errors import QueueFull, QueueTimeout
from proxy.fairness import FairLine
from proxy.health import Health
from proxy.retrybudget import RepeatBudget
from proxy.upstream import Upstream

_HOLD_WEIGHT = 0.05  # of the newest sample in the moving average of how long a worker is held
_LEAST_SAMPLES = 16  # before anybody is refused because of that average
_SILENCE = 4.0  # a vendor from which nobody came back for so many usual intervals is slower now
_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0
_MOST_HEALTHS = 4096


class Caller(NamedTuple):
    """Who wants a worker.

    Attributes:
        tenant: whose share of the queue it is.
        priority: class of the call, 0 to 9; 9 goes first.
        weight: the tenant's share beside others.
        patience_s: how long it can wait, in seconds.
        size_bytes: of the request.
    """

    tenant: str = ""
    priority: int = 5
    weight: float = 1.0
    patience_s: float = float("inf")
    size_bytes: int = 0


class Bounds(NamedTuple):
    """How much a provider takes; may change while it runs.

    Attributes:
        workers: calls in flight at once.
        queue: calls that may wait.
        queue_timeout_s: how long a call may wait, in seconds.
        queue_bytes: of all requests in flight and waiting.
    """

    workers: int
    queue: int
    queue_timeout_s: float
    queue_bytes: int = 2**62


class ProviderUnit:
    """One provider at run time: connections, credentials, workers, queue, health of its models.

    Attributes:
        bounds: as configured now.
        credentials: at least one, if only the empty one.
        rules: of the breakers of its models.
        busy: workers in use.
        held_bytes: of the requests in flight and waiting.
        repeats: its budget of repeated attempts.
        counts_tokens: whether a credential has a limit of tokens, so that they must be guessed.
        limited: whether a credential has any limit, or has had to rest: else none need be asked.
        adaptive: whether its credentials have moving limits of calls in flight.
        drained: an operator wants no new calls there.
        probed: whether the gateway itself asks its models whether they are well again.
        told: hears of each change of a model's circuit, or of what its credentials may do.
    """

    def __init__(
        self, name: str, upstream: Upstream, bounds: Bounds, credentials: Iterable[Credential] = ()
    ) -> None:
        self.name = name
        self.upstream = upstream
        self.bounds = bounds
        self.credentials = list(credentials) or [Credential()]
        self.rules = BreakerRules()
        self.busy = 0
        self.held_bytes = 0
        self.repeats = RepeatBudget()
        self.counts_tokens = self.limited = self.adaptive = False
        self.look_at_limits()
        self.drained = self.probed = False
        self.healths: dict[str, Health] = {}
        self.told: Callable[[ProviderUnit, Health], None] = _nobody
        self._line: FairLine[_Place] = FairLine()
        self._hold_s = 0.0
        self._samples = 0
        self._moved_at = 0.0
        self._emptied: list[asyncio.Future[None]] = []

    def __repr__(self) -> str:
        return f"<ProviderUnit {self.name} busy {self.busy}/{self.workers} queued {self.depth}>"

    @property
    def workers(self) -> int:
        """Calls in flight at once: as configured, or as the credentials' moving limits allow."""
        workers = self.bounds.workers
        if not self.adaptive:
            return workers
        return min(workers, sum(c.adaptive.limit for c in self.credentials if c.adaptive))

    @property
    def depth(self) -> int:
        """Calls that wait."""
        return len(self._line)

    @property
    def full(self) -> bool:
        """Whether one more call would have to displace another, or be refused."""
        if self.busy < self.bounds.workers and not self.adaptive:
            return self.held_bytes >= self.bounds.queue_bytes
        return (self.busy >= self.workers and len(self._line) >= self.bounds.queue) or (
            self.held_bytes >= self.bounds.queue_bytes
        )

    @property
    def retry_after_s(self) -> float:
        """When a place should be free: the line's length at the rate it drains, in seconds."""
        wait_s = (len(self._line) + 1) * self._interval_s(monotonic())
        return min(_LONGEST_WAIT_S, max(_SHORTEST_WAIT_S, wait_s))

    def fitting(self, model: str) -> list[Credential]:
        """Return the credentials that may be used for an upstream model.

        What names no model gets none of those that are kept for some models.
        """
        return [c for c in self.credentials if c.fits(model)]

    def health(self, model: str) -> Health:
        """Return the state of one of its models."""
        health = self.healths.get(model)
        if health is None:
            if len(self.healths) >= _MOST_HEALTHS:  # names are clients'; the oldest idle one goes
                self._forget()
            health = Health(f"{self.name}/{model or '*'}", self.rules)
            self.healths[model] = health
        return health

    def look_at_limits(self) -> None:
        """Note which limits its credentials have, after these have changed."""
        self.counts_tokens = any(c.tokens is not None for c in self.credentials)
        self.limited = self.counts_tokens or any(
            c.requests is not None or c.rests_until > 0 for c in self.credentials
        )
        self.adaptive = any(c.adaptive is not None for c in self.credentials)

    def try_enter(self, size_bytes: int = 0) -> bool:
        """Take a free worker, if there is one."""
        if self.busy >= self.bounds.workers:
            return False
        if self.adaptive and (self._line or self.busy >= self.workers):
            return False
        if self.held_bytes and self.held_bytes + size_bytes > self.bounds.queue_bytes:
            return False
        self.busy += 1
        self.held_bytes += size_bytes
        if self.busy >= self.bounds.workers:
            self._moved_at = monotonic()
        return True

    async def enter(self, caller: Caller) -> None:
        """Wait for a worker, in the order of priority and fairness.

        Raises:
            QueueFull: the line has no place, or no room for so many bytes.
            QueueTimeout: none came free in time, or none can.
        """
        if self.try_enter(caller.size_bytes):
            return
        limit_s = min(caller.patience_s, self.bounds.queue_timeout_s)
        self._check(caller, limit_s)
        place = _Place(caller, asyncio.get_running_loop().create_future())
        self._line.push(place, caller.tenant, caller.priority, caller.weight)
        self.held_bytes += caller.size_bytes
        try:
            async with asyncio.timeout(limit_s):
                await place.given
        except BaseException as reason:
            self._abandon(place)
            if isinstance(reason, TimeoutError):
                raise self._late(limit_s) from None
            raise

    def leave(self, now: float, *, held_s: float = 0.0, size_bytes: int = 0) -> None:
        """Give the worker to the next in the line, or free it.

        Args:
            now: monotonic time, in seconds.
            held_s: how long the call had it, in seconds; 0 says nothing of the vendor.
            size_bytes: of its request.
        """
        self.held_bytes -= size_bytes
        self._moved_at = now
        if held_s > 0:
            weight = max(_HOLD_WEIGHT, 1 / (self._samples + 1))
            self._hold_s += weight * (held_s - self._hold_s)
            self._samples += 1
        self.busy -= 1
        if self._line:
            self.admit()
        if self._emptied and not self.busy:
            for waiter in self._emptied:
                _give(waiter)
            self._emptied.clear()

    def admit(self) -> None:
        """Give what workers are free to those that wait: after a call, or with new bounds."""
        while self._line and self.busy < self.workers:
            place = self._line.pop()
            if _give(place.given):
                self.busy += 1

    async def empty(self) -> None:
        """Wait until no call is in flight and none waits."""
        while self.busy:
            waiter = asyncio.get_running_loop().create_future()
            self._emptied.append(waiter)
            await waiter

    def _check(self, caller: Caller, limit_s: float) -> None:
        """Refuse at once whom waiting would not help, or make room for who has a right to it.

        Raises:
            QueueFull: there is no place.
            QueueTimeout: all before it cannot be served within `limit_s` seconds.
        """
        held = self.held_bytes
        if held and held + caller.size_bytes > self.bounds.queue_bytes:
            raise self._overfull("holds as many bytes as it may")
        standing = (caller.tenant, caller.priority, caller.weight)
        ahead = self._line.ahead(*standing)
        if self._samples >= _LEAST_SAMPLES:
            wait_s = (ahead + 1) * self._interval_s(monotonic())
            if wait_s > limit_s:
                raise self._late(limit_s, f"; that takes about {wait_s:.1f} s now")
        if len(self._line) >= self.bounds.queue:
            displaced = self._line.displace(*standing) if self.bounds.queue else None
            if displaced is None:
                raise self._overfull("is full")
            self.held_bytes -= displaced.caller.size_bytes
            displaced.out = True
            if not displaced.given.done():
                reason = "gave the place to a tenant with fewer calls, or to a more urgent call"
                displaced.given.set_exception(self._overfull(reason))

    def _interval_s(self, now: float) -> float:
        """Return how long it takes now until the next worker comes free, in seconds.

        By Little's law from how long calls hold a worker. Where all are taken and nobody has come
        back for much longer than that, the vendor has become slower than its average.
        """
        usual_s = self._hold_s / max(1, self.workers)
        silent_s = now - self._moved_at if self.busy >= self.workers else 0.0
        return max(usual_s, silent_s / _SILENCE) if usual_s else 0.0

    def _overfull(self, how: str) -> QueueFull:
        message = f"the queue of provider {self.name} {how}"
        return QueueFull(message, retry_after_s=self.retry_after_s)

    def _late(self, limit_s: float, more: str = "") -> QueueTimeout:
        message = f"no worker of provider {self.name} comes free within {limit_s:g} s{more}"
        return QueueTimeout(message, retry_after_s=self.retry_after_s)

    def _abandon(self, place: _Place) -> None:
        """Leave the line; a worker that was handed over meanwhile goes to the next."""
        if place.out:
            return
        if place.given.done() and not place.given.cancelled():
            self.leave(monotonic(), size_bytes=place.caller.size_bytes)
            return
        place.given.cancel()
        self.held_bytes -= place.caller.size_bytes
        self._line.remove(place)

    def _forget(self) -> None:
        idle = next((m for m, h in self.healths.items() if not (h.busy or h.drained)), None)
        if idle is not None:
            del self.healths[idle]


class _Place:
    """A call that waits.

    Attributes:
        given: done when it has a worker.
        out: it was displaced: neither in the line nor with a worker.
    """

    __slots__ = ("caller", "given", "out")

    def __init__(self, caller: Caller, given: asyncio.Future[None]) -> None:
        self.caller = caller
        self.given = given
        self.out = False


def _nobody(unit: ProviderUnit, health: Health) -> None:
    """Nobody listens."""


def _give(waiter: asyncio.Future[None]) -> bool:
    """Wake who waits; False if it is gone."""
    if waiter.done():
        return False
    waiter.set_result(None)
    return True
