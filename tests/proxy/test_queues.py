"""A provider's workers and queue: nobody overtakes, nothing leaks."""

from __future__ import annotations

import asyncio
import random

import pytest

from proxy.errors import QueueFull, QueueTimeout
from proxy.queues import ProviderUnit
from tests.fakes import unit

LONG_S = 30.0


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def waiting(given: ProviderUnit, count: int) -> list[asyncio.Task[None]]:
    """Let so many tasks wait, the first one first."""
    tasks = []
    for _ in range(count):
        tasks.append(asyncio.create_task(given.enter(LONG_S)))
        await settle()
    return tasks


def done(tasks: list[asyncio.Task[None]]) -> list[bool]:
    return [task.done() for task in tasks]


async def test_a_free_worker_costs_no_wait() -> None:
    """Entering is a decision, not a task."""
    given = unit(workers=2)

    assert (given.try_enter(), given.try_enter(), given.try_enter()) == (True, True, False)
    given.leave(0)
    await given.enter(0)
    assert given.busy == 2


async def test_a_worker_goes_to_whoever_waits_longest() -> None:
    """And nobody who comes later takes it on the way."""
    given = unit(workers=1, queue=3)
    given.try_enter()
    tasks = await waiting(given, 3)

    given.leave(0)
    assert given.try_enter() is False
    await settle()
    assert (done(tasks), given.busy, given.depth) == ([True, False, False], 1, 2)
    given.leave(0)
    given.leave(0)
    await settle()
    assert (done(tasks), given.busy, given.depth) == ([True, True, True], 1, 0)
    given.leave(0)
    assert given.busy == 0


async def test_the_queue_is_bounded() -> None:
    """One more is refused at once, and told when to come back."""
    given = unit(workers=1, queue=1)
    given.try_enter()
    assert given.full is False
    (task,) = await waiting(given, 1)

    assert given.full is True
    with pytest.raises(QueueFull) as caught:
        await given.enter(LONG_S)
    assert not isinstance(caught.value, QueueTimeout)
    assert caught.value.retry_after_s is not None
    assert caught.value.retry_after_s >= 1
    task.cancel()
    await settle()
    assert given.full is False


@pytest.mark.parametrize(("patience_s", "limit_s"), [(0.0, LONG_S), (LONG_S, 0.0), (-1.0, LONG_S)])
async def test_the_wait_is_bounded(patience_s: float, limit_s: float) -> None:
    """By the client's patience and by the provider's own limit."""
    given = unit(workers=1, queue=1, timeout_s=limit_s)
    given.try_enter()

    with pytest.raises(QueueTimeout):
        await given.enter(patience_s)
    assert (given.busy, given.depth) == (1, 0)
    given.leave(0)
    assert given.busy == 0


async def test_a_client_without_a_limit_waits_as_long_as_the_provider_allows() -> None:
    """Infinite patience is not an error."""
    given = unit(workers=1, queue=1)
    given.try_enter()
    task = asyncio.create_task(given.enter(float("inf")))
    await settle()
    given.leave(0)
    await task
    assert given.busy == 1


async def test_who_leaves_the_queue_takes_nothing_along() -> None:
    """The next one is served as if they had never been there."""
    given = unit(workers=1, queue=3)
    given.try_enter()
    tasks = await waiting(given, 3)
    tasks[0].cancel()
    await settle()
    assert given.depth == 2

    given.leave(0)
    await settle()
    assert (done(tasks), given.busy) == ([True, True, False], 1)


async def test_a_worker_handed_to_somebody_who_leaves_goes_on_to_the_next() -> None:
    """Hand-over and cancellation may fall into the same turn of the loop."""
    given = unit(workers=1, queue=2)
    given.try_enter()
    tasks = await waiting(given, 2)

    given.leave(0)
    tasks[0].cancel()
    await settle()
    assert tasks[0].cancelled()
    assert (tasks[1].done(), given.busy, given.depth) == (True, 1, 0)
    given.leave(0)
    assert given.busy == 0


async def test_cancelled_and_handed_over_in_either_order() -> None:
    """A place that is dead already is passed over."""
    given = unit(workers=1, queue=2)
    given.try_enter()
    tasks = await waiting(given, 2)

    tasks[0].cancel()
    given.leave(0)
    await settle()
    assert (tasks[1].done(), given.busy, given.depth) == (True, 1, 0)


@pytest.mark.parametrize("seed", range(30))
async def test_no_worker_leaks_whatever_happens_when(seed: int) -> None:
    """Calls that come, leave, time out and are cancelled in any order."""
    chance = random.Random(seed)
    given = unit(workers=chance.randint(1, 3), queue=chance.randint(0, 4))
    most = given.workers

    async def call() -> None:
        nonlocal most
        try:
            await given.enter(chance.choice([0.0, LONG_S, LONG_S]))
        except QueueFull:
            return
        try:
            assert given.busy <= most
            for _ in range(chance.randint(0, 3)):
                await asyncio.sleep(0)
        finally:
            given.leave(asyncio.get_running_loop().time())

    tasks: list[asyncio.Task[None]] = []
    for _ in range(60):
        tasks.append(asyncio.create_task(call()))
        if chance.random() < 0.4:
            chance.choice(tasks).cancel()
        if chance.random() < 0.5:
            await asyncio.sleep(0)
    ends = await asyncio.gather(*tasks, return_exceptions=True)

    assert [e for e in ends if e is not None and not isinstance(e, asyncio.CancelledError)] == []
    assert (given.busy, given.depth) == (0, 0)


async def test_with_fewer_workers_those_too_many_end_with_their_calls() -> None:
    """Nobody is thrown out, and nobody new comes in before there is room."""
    given = unit(workers=3, queue=2)
    for _ in range(3):
        given.try_enter()
    (task,) = await waiting(given, 1)
    given.workers = 1

    given.leave(0)
    given.leave(0)
    await settle()
    assert (given.busy, task.done()) == (1, False)
    given.leave(0)
    await settle()
    assert (given.busy, task.done()) == (1, True)


async def test_empty_waits_for_calls_in_flight_and_in_the_queue() -> None:
    """An old configuration's provider is closed when its last call has ended."""
    given = unit(workers=1, queue=1)
    await given.empty()
    given.try_enter()
    (task,) = await waiting(given, 1)
    emptied = asyncio.create_task(given.empty())
    await settle()
    given.leave(0)
    await task
    assert emptied.done() is False
    given.leave(0)
    await emptied


async def test_two_may_wait_until_it_is_empty() -> None:
    """A second change of the configuration does not forget the first."""
    given = unit()
    given.try_enter()
    tasks = [asyncio.create_task(given.empty()) for _ in range(2)]
    await settle()
    given.leave(0)
    await settle()

    assert done(tasks) == [True, True]


def test_the_wait_is_told_by_the_rate_the_queue_drains() -> None:
    """In whole bounds: at least a second, at most a minute."""
    given = unit(workers=10)
    for _ in range(10):
        given.try_enter()
    assert given.retry_after_s == 1
    for now in range(1, 200, 20):
        given.leave(float(now))
    assert 1 < given.retry_after_s <= 20
    given.try_enter()
    given.leave(1e9)
    assert given.retry_after_s == 60


def test_repeats_add_a_tenth_to_the_load_and_a_few_at_the_start() -> None:
    """A vendor that is down is not hit twice as hard."""
    given = unit()
    repeats = 0
    for _ in range(1000):
        given.earn()
        repeats += given.may_repeat()

    assert 95 <= repeats <= 103


def test_a_quiet_time_saves_no_more_than_a_bounded_number_of_repeats() -> None:
    """A million good calls do not pay for a storm."""
    given = unit()
    for _ in range(100_000):
        given.earn()

    assert sum(given.may_repeat() for _ in range(1000)) <= 100
