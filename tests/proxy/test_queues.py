"""A provider's workers and queue: nobody overtakes, nothing leaks."""

from __future__ import annotations

import asyncio
import random
from time import monotonic

import pytest

from proxy.concurrency import Adaptive
from proxy.credentials import Credential
from proxy.errors import QueueFull, QueueTimeout
from proxy.queues import Caller, ProviderUnit
from tests.fakes import unit

LONG_S = 30.0
WAITING = Caller(patience_s=LONG_S)


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def waiting(given: ProviderUnit, count: int) -> list[asyncio.Task[None]]:
    """Let so many tasks wait, the first one first."""
    tasks = []
    for _ in range(count):
        tasks.append(asyncio.create_task(given.enter(WAITING)))
        await settle()
    return tasks


def done(tasks: list[asyncio.Task[None]]) -> list[bool]:
    return [task.done() for task in tasks]


async def test_a_free_worker_costs_no_wait() -> None:
    """Entering is a decision, not a task."""
    given = unit(workers=2)

    assert (given.try_enter(), given.try_enter(), given.try_enter()) == (True, True, False)
    given.leave(0)
    await given.enter(Caller(patience_s=0))
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
        await given.enter(WAITING)
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
        await given.enter(Caller(patience_s=patience_s))
    assert (given.busy, given.depth) == (1, 0)
    given.leave(0)
    assert given.busy == 0


async def test_a_client_without_a_limit_waits_as_long_as_the_provider_allows() -> None:
    """Infinite patience is not an error."""
    given = unit(workers=1, queue=1)
    given.try_enter()
    task = asyncio.create_task(given.enter(Caller()))
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
            await given.enter(Caller(patience_s=chance.choice([0.0, LONG_S, LONG_S])))
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
    given.bounds = given.bounds._replace(workers=1)

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


def drained(given: ProviderUnit, hold_s: float, calls: int = 20) -> None:
    """Let so many calls have held a worker for so long."""
    for _ in range(calls):
        assert given.try_enter()
        given.leave(monotonic(), held_s=hold_s)


async def test_the_wait_is_told_by_the_rate_the_queue_drains() -> None:
    """In whole bounds: at least a second, at most a minute."""
    given = unit(workers=10, queue=100)
    assert given.retry_after_s == 1
    drained(given, hold_s=40)
    for _ in range(10):
        assert given.try_enter()
    assert given.retry_after_s == pytest.approx(4, abs=0.1)
    (first, second) = await waiting(given, 2)
    assert given.retry_after_s == pytest.approx(12, abs=0.1)
    drained(slow := unit(workers=1, queue=1), hold_s=1000)
    assert slow.retry_after_s == 60
    for task in (first, second):
        task.cancel()


async def test_an_idle_hour_does_not_make_a_provider_slow() -> None:
    """The rate is that of a provider with work, not that of its clients."""
    given = unit(workers=2, queue=100)
    drained(given, hold_s=0.1)
    given._moved_at = monotonic() - 3600
    given.try_enter()
    given.try_enter()

    (task,) = await waiting(given, 1)
    assert not task.done()
    task.cancel()


async def test_who_cannot_be_served_in_time_is_told_at_once() -> None:
    """Before it waits in vain; whoever has more patience is let in."""
    given = unit(workers=1, queue=100, timeout_s=60)
    drained(given, hold_s=10)
    given.try_enter()

    with pytest.raises(QueueTimeout) as told:
        await given.enter(Caller(patience_s=9))
    assert told.value.retry_after_s == pytest.approx(10, abs=0.1)
    assert given.depth == 0
    task = asyncio.create_task(given.enter(Caller(patience_s=30)))
    await settle()
    assert (task.done(), given.depth) == (False, 1)
    task.cancel()


async def test_a_queue_sheds_what_it_cannot_serve_before_its_own_limit() -> None:
    """It never holds more than it can serve in that time, however long it may be."""
    given = unit(workers=1, queue=1000, timeout_s=1)
    drained(given, hold_s=0.2)
    given.try_enter()
    tasks = await waiting(given, 30)

    assert 3 <= given.depth <= 5
    late = [task for task in tasks if task.done()]
    assert all(isinstance(task.exception(), QueueTimeout) for task in late)
    for task in tasks:
        task.cancel()


async def test_the_urgent_go_first() -> None:
    """Whoever came before them."""
    given = unit(workers=1, queue=9)
    given.try_enter()
    order: list[int] = []

    async def call(priority: int) -> None:
        await given.enter(Caller(priority=priority, patience_s=LONG_S))
        order.append(priority)
        given.leave(monotonic())

    tasks = []
    for priority in (0, 5, 9, 1, 5):
        tasks.append(asyncio.create_task(call(priority)))
        await settle()
    given.leave(monotonic())
    await asyncio.gather(*tasks)
    assert order == [9, 5, 5, 1, 0]


async def test_a_tenant_with_a_burst_takes_turns_with_the_others() -> None:
    """Its hundredth call waits for its own first ninety-nine, not the others for them."""
    given = unit(workers=1, queue=200)
    given.try_enter()
    order: list[str] = []

    async def call(tenant: str) -> None:
        await given.enter(Caller(tenant=tenant, patience_s=LONG_S))
        order.append(tenant)
        given.leave(monotonic())

    tasks = [asyncio.create_task(call("burst")) for _ in range(100)]
    await settle()
    tasks += [asyncio.create_task(call(name)) for name in "abc" for _ in range(3)]
    await settle()
    given.leave(monotonic())
    await asyncio.gather(*tasks)
    assert sorted(order[:12]) == sorted(["burst", "a", "b", "c"] * 3)


async def test_a_full_queue_makes_room_for_who_has_less() -> None:
    """The newest call of whoever has most is refused in its place; a second burst is not let in."""
    given = unit(workers=1, queue=4)
    given.try_enter()
    burst = [asyncio.create_task(given.enter(Caller("burst"))) for _ in range(4)]
    await settle()

    other = asyncio.create_task(given.enter(Caller("other")))
    await settle()
    assert (given.depth, other.done()) == (4, False)
    assert [task.done() for task in burst] == [False, False, False, True]
    assert isinstance(burst[3].exception(), QueueFull)
    with pytest.raises(QueueFull):
        await given.enter(Caller("burst"))
    for task in (*burst, other):
        task.cancel()
    await settle()
    given.leave(monotonic())
    assert (given.busy, given.depth, given.held_bytes) == (0, 0, 0)


async def test_the_bytes_of_all_requests_are_bounded() -> None:
    """In flight and waiting; a single one that is larger is let in when it is alone."""
    given = unit(workers=2, queue=9)
    given.bounds = given.bounds._replace(queue_bytes=1000)
    await given.enter(Caller(size_bytes=5000))
    with pytest.raises(QueueFull):
        await given.enter(Caller(size_bytes=1))
    given.leave(monotonic(), size_bytes=5000)
    for _ in range(2):
        await given.enter(Caller(size_bytes=300))
    task = asyncio.create_task(given.enter(Caller(size_bytes=300)))
    await settle()
    assert given.held_bytes == 900
    with pytest.raises(QueueFull):
        await given.enter(Caller(size_bytes=200))
    task.cancel()
    await settle()
    for _ in range(2):
        given.leave(monotonic(), size_bytes=300)
    assert given.held_bytes == 0


async def test_new_bounds_hold_at_once_and_lose_nobody() -> None:
    """More workers take in those that wait; a shorter queue throws nobody out."""
    given = unit(workers=1, queue=5)
    given.try_enter()
    tasks = await waiting(given, 4)
    given.bounds = given.bounds._replace(workers=3, queue=1)
    given.admit()
    await settle()

    assert (done(tasks), given.busy, given.depth) == ([True, True, False, False], 3, 2)
    for _ in range(3):
        given.leave(monotonic())
        await settle()
    assert all(done(tasks))


async def test_moving_limits_bound_the_workers() -> None:
    """All credentials' together, and never more than the provider has."""
    one, two = Credential("1", "one"), Credential("2", "two")
    one.adaptive, two.adaptive = Adaptive(1, 2), Adaptive(1, 1)
    given = unit(workers=10, queue=5, credentials=(one, two))

    assert given.workers == 3
    for _ in range(3):
        assert given.try_enter()
    assert not given.try_enter()


def test_repeats_add_a_tenth_to_the_load_and_a_few_at_the_start() -> None:
    """A vendor that is down is not hit twice as hard."""
    given = unit()
    repeats = 0
    for _ in range(1000):
        given.repeats.earn()
        repeats += given.repeats.take()

    assert 95 <= repeats <= 103


def test_a_quiet_time_saves_no_more_than_a_bounded_number_of_repeats() -> None:
    """A million good calls do not pay for a storm."""
    given = unit()
    for _ in range(100_000):
        given.repeats.earn()

    assert sum(given.repeats.take() for _ in range(1000)) <= 100
