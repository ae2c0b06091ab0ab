"""When the configuration is read anew: its file changed, or SIGHUP came.

The file is looked at rather than watched by the system: that works on every platform, over
network folders, and where the file is a link that is swapped as a whole (Kubernetes).
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import structlog

from proxy import tasks

log = structlog.get_logger()

INTERVAL_S = 1.0
"""Between two looks at the file, in seconds."""

SETTLE_S = 0.1
"""A file that changed is taken once it was left alone for so long, in seconds."""


class Look(NamedTuple):
    """What tells one state of a file from another."""

    device: int
    inode: int
    modified_ns: int
    size_bytes: int


def look(path: str) -> Look | None:
    """Return the state of the file that `path` leads to; None while there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return Look(found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)


async def watch(path: str | None, reload: Callable[[], Awaitable[None]]) -> None:
    """Call `reload` after each change, until cancelled.

    Where there is a file it is called once at the beginning, as the file may have changed
    since it was read. It is never called while it still runs: what comes meanwhile is done in
    one call afterwards. If it fails, that is logged and the next change is waited for.

    Args:
        path: the file; None where the configuration is the environment's, so that only
            SIGHUP is heard.
        reload: reads the configuration and takes it; leaves everything as it is if it cannot.
    """
    wanted = asyncio.Event()
    # It stays when this ends: without it, SIGHUP would cut off a process that drains.
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, wanted.set)
    poll = tasks.spawn(_poll(path, wanted), name="configuration file") if path else None
    try:
        while True:
            await wanted.wait()
            wanted.clear()
            await _reload(reload)
    finally:
        if poll is not None:
            poll.cancel()


async def _reload(reload: Callable[[], Awaitable[None]]) -> None:
    try:
        await reload()
    # A border: plugins of others are made in there, and the next change must still be heard.
    except Exception:
        log.exception("configuration not taken, the old one stays")


async def _poll(path: str, wanted: asyncio.Event) -> None:
    """Set `wanted` whenever the file is another; a file that is gone is waited for."""
    known = None
    while True:
        seen = await asyncio.to_thread(look, path)
        while seen is not None and seen != known:
            known = seen
            await asyncio.sleep(SETTLE_S)
            seen = await asyncio.to_thread(look, path)
            if seen == known:
                wanted.set()
        await asyncio.sleep(INTERVAL_S)
