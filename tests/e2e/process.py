"""A gateway as its operator starts it: a process of its own, a file, signals."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

from tests.e2e.stage import KEY
from tests.source import ROOT

LIMIT_S = 20.0
CONFIG = """
server: {grace: 10s, workers: %d, ping: 0}
providers:
  sim: {options: {%s}}
routes:
  "*": {deployments: [{provider: sim}]}
plugins: [{access_log: {}}, {auth: {}}, {headers: {}}]
keys: [{name: tests, value: %s}]
"""
_MINE = re.compile(r"_KEY|_BASE_URL|^HEADGATE_|^AWS_|^GOOGLE_|^AZURE_|_proxy$", re.IGNORECASE)


class Process:
    """A running gateway.

    Attributes:
        lines: its log so far.
        port: where it listens.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[dict[str, Any]] = []
        self.port = 0
        self._news = asyncio.Event()

    async def start(self, *, workers: int = 1) -> None:
        """Start it, and wait until all its workers serve."""
        environment = {k: v for k, v in os.environ.items() if not _MINE.search(k)}
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "proxy", "serve", "--config", str(self.path), "--port", "0"),
            cwd=ROOT,
            env=environment,
            stderr=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.ensure_future(self._read())
        await self.logged("serving", workers)
        self.port = int(self.lines[-1]["addresses"][0].rpartition(":")[2])

    async def logged(self, event: str, times: int = 1) -> list[dict[str, Any]]:
        """Wait until the log has so many lines of this event, and return them."""
        async with asyncio.timeout(LIMIT_S):
            while len(found := [line for line in self.lines if line.get("event") == event]) < times:
                assert not self._reading.done(), f"it has ended: {self.lines}"
                self._news.clear()
                await self._news.wait()
        return found

    def write(self, *, workers: int = 1, options: str = "tokens: 5") -> None:
        """Write its configuration."""
        self.path.write_text(CONFIG % (workers, options, KEY))

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.returncode is None

    async def ended(self) -> int:
        """Wait for its end, and return its exit code."""
        async with asyncio.timeout(LIMIT_S):
            await self._reading
            return await self._process.wait()

    async def stop(self) -> None:
        """End it whatever it does."""
        if self._process.returncode is None:
            self._process.terminate()
            try:
                await self.ended()
            except TimeoutError:
                self._process.kill()
        await self.ended()

    async def _read(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.lines.append(json.loads(line))
            self._news.set()
        self._news.set()
