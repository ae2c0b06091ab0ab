"""Tasks that nobody awaits, kept until they end.

The event loop holds its tasks weakly, so a task without a reference may vanish half-way;
and an exception in one that nobody awaits is only told when it is collected. `spawn` keeps
the reference and logs the failure at once; `drain` ends what is left when the app stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

log = structlog.get_logger()

T = TypeVar("T")

_CANCEL_S = 2.0
"""How long a cancelled task may take to tidy up, in seconds."""

_running: set[asyncio.Task[Any]] = set()


def spawn(coroutine: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Start a task of the running loop; `name` is what a failure is logged under."""
    task = asyncio.get_running_loop().create_task(coroutine, name=name)
    _running.add(task)
    task.add_done_callback(_ended)
    return task


async def drain(timeout_s: float) -> list[str]:
    """Wait for the tasks of this loop, then cancel those that are left.

    The task that calls is never waited for. It comes back at most two seconds after the
    time-out, even where a task refuses to be cancelled.

    Args:
        timeout_s: how long they may go on, in seconds; 0 cancels at once.

    Returns:
        The names of the tasks that had to be cancelled.
    """
    loop, caller = asyncio.get_running_loop(), asyncio.current_task()
    tasks = {task for task in _running if task.get_loop() is loop and task is not caller}
    if not tasks:
        return []
    _, late = await asyncio.wait(tasks, timeout=timeout_s)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=_CANCEL_S)
    return sorted(task.get_name() for task in late)


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("task failed", task=task.get_name(), exc_info=error)
