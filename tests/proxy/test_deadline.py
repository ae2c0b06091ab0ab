"""A deadline that moves often."""

from __future__ import annotations

import asyncio
from math import inf

from proxy.deadline import Deadline
from tests.proxy.vendor import on_both_loops, until


class Bell(Deadline):
    rung = 0

    def overdue(self) -> None:
        self.rung += 1


@on_both_loops
async def test_a_deadline_that_passes_is_told_once() -> None:
    """After that nothing is due until somebody says so."""
    bell = Bell(asyncio.get_running_loop())
    bell.due(0.001)
    await until(lambda: bell.rung)
    await asyncio.sleep(0.005)
    assert (bell.rung, bell.due_at) == (1, inf)
    bell.due(0.001)
    await until(lambda: bell.rung == 2)


@on_both_loops
async def test_moving_a_deadline_makes_no_timer_but_where_it_comes_nearer() -> None:
    """A stream moves it with each read; only the first read pays."""
    bell = Bell(asyncio.get_running_loop())
    bell.due(10)
    first = bell._timer
    for _ in range(100):
        bell.due(20)
    assert bell._timer is first
    bell.due(0.001)
    assert bell._timer is not first
    await until(lambda: bell.rung)


@on_both_loops
async def test_a_deadline_that_was_moved_on_is_not_missed() -> None:
    """The timer fires in vain and is set anew."""
    loop = asyncio.get_running_loop()
    bell = Bell(loop)
    bell.due(0.005)
    bell.due(0.02)
    expected = bell.due_at
    await until(lambda: bell.rung)
    assert loop.time() >= expected


@on_both_loops
async def test_nothing_is_due_while_the_deadline_is_infinite_or_stopped() -> None:
    """The timer that is still under way does no harm."""
    bell, stopped = Bell(asyncio.get_running_loop()), Bell(asyncio.get_running_loop())
    bell.due(0.001)
    bell.due_at = inf
    stopped.due(0.001)
    stopped.stop()
    stopped.stop()
    await asyncio.sleep(0.01)
    assert (bell.rung, stopped.rung, bell._timer, stopped._timer) == (0, 0, None, None)
