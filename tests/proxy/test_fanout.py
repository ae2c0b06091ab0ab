"""Several calls for one exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from proxy.errors import UpstreamFailed
from proxy.fanout import MOST_BESIDE, side_by_side
from proxy.queues import Caller, ProviderUnit
from tests.fakes import unit
from tests.proxy.vendor import until


class Vendor:
    """Answers a call with its number, as soon as it is let.

    Attributes:
        begun: the numbers of the calls so far.
        most: how many were under way at once.
    """

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.open = asyncio.Event()
        self.most = self.now = 0

    async def __call__(self, number: int) -> int:
        """Take one call."""
        self.begun.append(number)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.open.wait()
            await asyncio.sleep(0)
        finally:
            self.now -= 1
        return number

    def calls(self, count: int) -> list[Callable[[], Awaitable[int]]]:
        """Return so many calls."""
        return [partial(self, number) for number in range(count)]


def entered(workers: int, queue: int = 4) -> ProviderUnit:
    """Return a provider with a worker taken, as an exchange has it."""
    made = unit("p", workers, queue)
    assert made.try_enter()
    return made


async def test_answers_come_in_the_order_of_the_calls() -> None:
    """Whichever is answered first; and all workers but one's own are given back."""
    vendor, provider = Vendor(), entered(workers=4)
    vendor.open.set()
    assert await side_by_side(provider, vendor.calls(10)) == list(range(10))
    assert vendor.most == 4
    assert provider.busy == 1


async def test_without_a_free_worker_they_go_one_by_one() -> None:
    """What the configuration says holds: so many calls in flight, and no more."""
    vendor, provider = Vendor(), entered(workers=1)
    vendor.open.set()
    assert await side_by_side(provider, vendor.calls(5)) == list(range(5))
    assert vendor.most == 1


async def test_one_exchange_does_not_take_all_there_is() -> None:
    """Of a hundred workers it has eight."""
    vendor, provider = Vendor(), entered(workers=100)
    vendor.open.set()
    await side_by_side(provider, vendor.calls(50))
    assert vendor.most == 1 + MOST_BESIDE


async def test_who_waits_goes_first() -> None:
    """A worker taken beside is given back after its call, not after the last one."""
    vendor, provider = Vendor(), entered(workers=2)
    going = asyncio.ensure_future(side_by_side(provider, vendor.calls(20)))
    await until(lambda: len(vendor.begun) == 2)
    waiting = asyncio.ensure_future(provider.enter(Caller(patience_s=10)))
    await until(lambda: provider.depth == 1)
    vendor.open.set()
    await waiting
    assert len(vendor.begun) < 20
    provider.leave(0.0)
    assert await going == list(range(20))
    assert provider.busy == 1


async def test_the_first_failure_ends_the_others() -> None:
    """Nothing goes on that nobody will read."""
    vendor, provider = Vendor(), entered(workers=3)

    async def fail() -> int:
        await until(lambda: len(vendor.begun) == 2)
        raise UpstreamFailed("no")

    with pytest.raises(UpstreamFailed):
        await side_by_side(provider, [vendor.calls(1)[0], fail, *vendor.calls(5)])
    assert (vendor.now, provider.busy) == (0, 1)


async def test_a_client_that_leaves_takes_all_its_calls_along() -> None:
    """None goes on, and no worker stays taken."""
    vendor, provider = Vendor(), entered(workers=3)
    going = asyncio.ensure_future(side_by_side(provider, vendor.calls(9)))
    await until(lambda: len(vendor.begun) == 3)
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    assert (vendor.now, provider.busy) == (0, 1)
