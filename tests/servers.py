"""Servers that tests talk to, each test's own: started, killed and started again at will.

`tests/services.sh` sees to it that their programs are there.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

START_S = 10.0


class RedisServer:
    """A Redis without a port, on a socket in a folder, which keeps nothing.

    Attributes:
        url: what clients connect to.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._path}"

    def start(self, password: str = "") -> None:
        """Start it, and wait until it listens."""
        asked = ["--requirepass", password] if password else []
        self._process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", str(self._path), "--save", "", *asked],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._path.parent,
        )
        end = time.monotonic() + START_S
        while not self._listens():
            assert self._process.poll() is None, "redis-server has ended"
            assert time.monotonic() < end, "redis-server does not listen"
            time.sleep(0.005)

    def kill(self) -> None:
        """End it without warning; what it knew is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self._path.unlink(missing_ok=True)

    def freeze(self) -> None:
        """Let it keep its connections and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self._path)) == 0


def require(program: str) -> None:
    """Skip a test where a program is missing; where all must run, let it fail instead."""
    if shutil.which(program) is None:
        message = f"{program} is not on PATH; `make test` installs it where it can"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
