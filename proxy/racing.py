"""Several attempts at once, of which one may answer.

racing   nothing has gone to the client; each attempt works up to its first content
won      one has claimed the answer; the others are cancelled, and never deliver
failed   all have failed before one could
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Generic, TypeVar

from proxy.attempts import Attempts, Choice
from proxy.errors import GatewayError

T = TypeVar("T")


class AllFailed:
    """The outcome of a race that nobody won; the failures are noted."""


class Race(Generic[T]):
    """The attempts of one exchange; leaving it ends those that are still under way."""

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        self._runners: dict[asyncio.Task[T], Choice] = {}
        self._winner: asyncio.Task[Any] | None = None

    async def __aenter__(self) -> Race[T]:
        """Nothing is awaited here."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cancel what is still under way, and wait until it has let go of everything."""
        for task in self._runners:
            task.cancel()
        await asyncio.wait(self._runners)
        for task in self._runners:
            if not task.cancelled():
                task.exception()  # told already, or beaten by a better answer

    def enter(self, choice: Choice, attempt: Coroutine[Any, Any, T]) -> None:
        """Let an attempt take part."""
        self._runners[asyncio.ensure_future(attempt)] = choice

    def claim(self) -> bool:
        """Let the running attempt answer, and stop the others; False if one has before."""
        task = asyncio.current_task()
        if self._winner is None:
            self._winner = task
            for other in self._runners:
                if other is not task:
                    other.cancel()
        return self._winner is task

    @property
    def lost(self) -> bool:
        """Whether another attempt than the running one answers."""
        return self._winner is not None and self._winner is not asyncio.current_task()

    async def undecided(self, limit_s: float) -> bool:
        """Wait for so many seconds; whether then nobody has answered or failed."""
        done, _ = await asyncio.wait(self._runners, timeout=limit_s)
        return not done and self._winner is None

    async def result(self) -> T | AllFailed:
        """Return the answer of the attempt that has one.

        Raises:
            GatewayError: the attempt that had claimed the answer broke off, or one failed so
                that no other could end better.
        """
        waiting = set(self._runners)
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if task.cancelled():
                    continue
                error = task.exception()
                if error is None:
                    return task.result()
                if task is self._winner or not isinstance(error, GatewayError):
                    raise error
                self._attempts.failed(self._runners[task].deployment, error)
        return AllFailed()
