"""A deadline around a piece of work."""

from __future__ import annotations

import asyncio

import pytest

from proxy.timelimit import TimeLimit


def limit(when: float) -> TimeLimit:
    return TimeLimit(when, asyncio.get_running_loop())


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_work_that_takes_too_long_is_ended() -> None:
    """The caller hears of it as a TimeoutError, and its task goes on."""
    with pytest.raises(TimeoutError), limit(now() - 1):
        await asyncio.Event().wait()
    await asyncio.sleep(0)


async def test_work_that_ends_in_time_is_left_alone() -> None:
    """Also when the limit passes afterwards."""
    with limit(now() + 0.01):
        await asyncio.sleep(0)
    await asyncio.sleep(0.02)


async def test_an_error_of_the_work_passes() -> None:
    """It is told as it is."""
    with pytest.raises(KeyError), limit(now() + 60):
        raise KeyError


async def test_a_cancellation_from_elsewhere_stays_one() -> None:
    """A client that leaves is no timeout."""

    async def work() -> None:
        with limit(now() + 60):
            await asyncio.Event().wait()

    task = asyncio.ensure_future(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_both_at_once_are_a_cancellation() -> None:
    """Who cancelled the task must not be robbed of it."""

    async def work() -> None:
        with limit(now()):
            task.cancel()
            await asyncio.sleep(0.01)

    task = asyncio.ensure_future(work())
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_of_two_the_inner_one_may_be_the_shorter() -> None:
    """The outer work goes on after it."""
    with limit(now() + 60):
        with pytest.raises(TimeoutError), limit(now()):
            await asyncio.Event().wait()
        await asyncio.sleep(0)
