"""Background tasks."""

from __future__ import annotations

import asyncio
import gc

import pytest
from structlog.testing import capture_logs

from proxy import tasks


async def test_a_task_nobody_holds_is_not_lost() -> None:
    """The event loop keeps tasks weakly; `spawn` keeps them until they end."""
    done = asyncio.Event()

    async def work() -> None:
        await asyncio.get_running_loop().create_task(asyncio.sleep(0))
        done.set()

    tasks.spawn(work(), name="work")
    gc.collect()
    await done.wait()


async def test_a_failure_is_logged_under_the_tasks_name() -> None:
    """Nobody awaits the task, so the log is the only place to learn that it failed."""

    async def fail() -> None:
        raise ValueError("broken")

    with capture_logs() as logged:
        task = tasks.spawn(fail(), name="refresh")
        await asyncio.wait([task])
        await asyncio.sleep(0)

    assert [(line["event"], line["task"]) for line in logged] == [("task failed", "refresh")]
    assert isinstance(logged[0]["exc_info"], ValueError)


async def test_the_result_can_still_be_awaited() -> None:
    """`spawn` returns an ordinary task."""

    async def answer() -> int:
        return 42

    assert await tasks.spawn(answer(), name="answer") == 42


async def test_drain_waits_for_what_ends_in_time() -> None:
    """A task that ends within the time-out is not cancelled."""
    released = asyncio.Event()
    task = tasks.spawn(released.wait(), name="slow")
    asyncio.get_running_loop().call_soon(released.set)

    assert await tasks.drain(60) == []
    assert task.done()
    assert not task.cancelled()


async def test_drain_cancels_what_does_not_end() -> None:
    """The names of cancelled tasks are told, and nothing is left behind."""
    task = tasks.spawn(asyncio.Event().wait(), name="forever")

    assert await tasks.drain(0) == ["forever"]
    assert task.cancelled()
    assert await tasks.drain(0) == []


async def test_drain_comes_back_though_a_task_refuses_to_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The app must be able to stop whatever a task does with its cancellation."""
    monkeypatch.setattr(tasks, "_CANCEL_S", 0.01)
    let_go = asyncio.Event()

    async def stubborn() -> None:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue

    task = tasks.spawn(stubborn(), name="stubborn")
    await asyncio.sleep(0)
    assert await tasks.drain(0) == ["stubborn"]

    let_go.set()
    await task


async def test_drain_may_be_called_by_such_a_task_itself() -> None:
    """The task that stops the app does not wait for itself."""
    assert await tasks.spawn(tasks.drain(60), name="stop") == []
