"""Server processes: started on a core of their own, waited for, stopped whatever happens."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ANSWERS_WITHIN_S = 90.0
STOPS_WITHIN_S = 15.0
POLL_S = 0.002
POLL_AGAIN_S = 0.05
"""After an answer that was no 200."""


class ServerFailed(Exception):
    """A server did not come up; the message holds the end of its log."""


class Cores(NamedTuple):
    """Who runs where; None: the system does not pin."""

    server: set[int] | None
    load: set[int] | None


def split_cores() -> Cores:
    """The last core for the server under test, the others for load and vendor."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores(None, None)
    every = sorted(os.sched_getaffinity(0))
    if len(every) < 2:
        return Cores(None, None)
    return Cores({every[-1]}, set(every[:-1]))


def pin(cores: set[int] | None) -> None:
    """Pins this process, and what it starts from now on."""
    if cores is not None:
        os.sched_setaffinity(0, cores)


def raise_file_limit() -> int:
    """As many open files as we may have; children inherit it. Returns the new limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (65536, hard, 10240):  # macOS names no limit and refuses more than 10240
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
            return wanted
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Process:
    """One server process; what it prints goes to a file."""

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str], cores: Cores):
        self.log = log
        self.started_s = time.perf_counter()
        with log.open("wb") as printed:
            pin(cores.server)
            try:
                self.popen = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=printed,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **env},
                    cwd=log.parent,
                    start_new_session=True,
                )
            finally:
                pin(cores.load)

    @property
    def pid(self) -> int:
        return self.popen.pid

    def wait_until_it_answers(self, port: int, request: bytes) -> float:
        """Seconds from its start to its first 200.

        Raises:
            ServerFailed: it ended, or gave no 200 in time.
        """
        status = b""
        while time.perf_counter() - self.started_s < ANSWERS_WITHIN_S:
            if self.popen.poll() is not None:
                raise ServerFailed(f"ended with {self.popen.returncode}: {self._end_of_log()}")
            with contextlib.suppress(OSError):
                status = _first_line(port, request)
                if b" 200 " in status:
                    return time.perf_counter() - self.started_s
            time.sleep(POLL_AGAIN_S if status.strip() else POLL_S)
        raise ServerFailed(f"no answer in time; last: {status!r}; {self._end_of_log()}")

    def stop(self) -> None:
        """Asks, then insists, then sweeps up what it started."""
        self.popen.terminate()
        try:
            self.popen.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)

    def _end_of_log(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return " / ".join(line for line in lines[-4:] if line.strip())[-600:]


@contextlib.contextmanager
def running(
    command: Sequence[str], log: Path, env: Mapping[str, str], cores: Cores
) -> Iterator[Process]:
    process = Process(command, log, env, cores)
    try:
        yield process
    finally:
        process.stop()


def _first_line(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(4096).split(b"\r\n", 1)[0] + b" "
