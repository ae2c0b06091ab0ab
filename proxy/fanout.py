"""Several calls for one exchange, side by side on as many workers as are free.

The exchange has a worker of its provider already; more are taken only while nobody waits for
one, and given back as soon as somebody does. So a request of two thousand pieces is served,
and one of a single piece is served beside it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from proxy.queues import ProviderUnit

T = TypeVar("T")

MOST_BESIDE = 7
"""Workers an exchange may take beside its own."""


async def side_by_side(unit: ProviderUnit, calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """Make all calls and return what they gave, in their order.

    The first that fails, or being cancelled, ends those that are under way.
    """
    found: dict[int, T] = {}
    left = iter(range(len(calls)))

    async def work() -> None:
        for place in left:
            found[place] = await calls[place]()

    async def work_beside() -> None:
        if not unit.try_enter():
            return
        try:
            for place in left:
                found[place] = await calls[place]()
                if unit.depth or unit.full:  # where nobody can wait, they are refused
                    return
        finally:
            unit.leave(time.monotonic())

    beside = min(MOST_BESIDE, len(calls) - 1)
    workers = [asyncio.ensure_future(lane()) for lane in (work, *[work_beside] * beside)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.wait(workers)
    return [found[place] for place in range(len(calls))]
