"""Several processes that serve as one gateway.

The parent forks the workers before anything runs, so that what was imported is in memory
once, and then only watches: it hands signals on, starts a worker that died anew, and ends
when all have ended. It never serves, so nothing a request does can hurt it.

    running ──SIGTERM, SIGINT──▶ stopping ──again, or time is up──▶ killed
       │ ▲
       │ └─ a worker died: started again, after a longer wait each time
       └─── it never lived long, and no other serves: stopping, with its exit code

A worker whose parent is gone stops by itself: it holds the reading end of a pipe that
nobody writes to, and whose other end the system closes with the parent.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import structlog

from proxy import logs
from proxy.listening import reserve

log = structlog.get_logger()

Worker = Callable[[Sequence[socket.socket], Path | None], int]
"""Listening sockets and the folder for shared numbers (None: alone) to an exit code.

It begins before any event loop, installs its own handlers of SIGTERM (drain, then return)
and SIGHUP (read the configuration anew), and reads the configuration itself: a worker that
is started later has to find today's.
"""

MARGIN_S = 5.0
"""What a worker may take beyond its grace before it is killed, in seconds."""

_SETTLED_S = 5.0
"""A worker that lived so long died of something else than its start, in seconds."""

_STARTS = 5
"""How often in a row a worker may die at its start."""

_HOPELESS = 2
"""A worker's exit code for a wrong configuration: another start does not mend it."""

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 10.0

_STOP = (signal.SIGTERM, signal.SIGINT)
_HEARD = (*_STOP, signal.SIGHUP, signal.SIGCHLD)


def run(worker: Worker, *, host: str, port: int, workers: int, grace_s: float) -> int:
    """Serve in this process, or in several below it; return the exit code.

    In a worker's process it returns as well, with the worker's code: what the caller does
    afterwards is what ends any process.

    Args:
        worker: what serves.
        host: where to listen, as `reserve` takes it.
        port: 0 takes one that is free, the same for all workers.
        workers: how many; 1 is this process itself, without a parent.
        grace_s: how long a worker may take to stop, in seconds; `MARGIN_S` is added.

    Raises:
        CannotListen: the address cannot be had.
    """
    place = reserve(host, port, shared=workers > 1)
    if workers == 1:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the worker hears it
        return worker(place.listen(), None)
    logs.configure().close()  # written at once from here on: no thread may run when we fork
    numbers = Path(tempfile.mkdtemp(prefix="headgate-"))
    supervisor = Supervisor(workers, grace_s + MARGIN_S)
    if supervisor.run() is not None:
        return worker(place.listen(), numbers)
    place.close()
    shutil.rmtree(numbers, ignore_errors=True)
    return supervisor.code


@dataclass(slots=True)
class _Slot:
    """A worker's place: its process, and how it went before.

    Attributes:
        pid: 0 while there is none.
        started: monotonic time, in seconds.
        due: monotonic time from which it may be started, in seconds.
        deaths: how often in a row it died at its start.
    """

    index: int
    pid: int = 0
    started: float = 0.0
    due: float = 0.0
    deaths: int = 0


class Supervisor:
    """The parent of a fixed number of workers.

    Attributes:
        code: the exit code once `run` has returned in the parent.
    """

    def __init__(self, workers: int, patience_s: float) -> None:
        self.code = 0
        self._patience_s = patience_s
        self._slots = [_Slot(index) for index in range(workers)]
        self._stop_by: float | None = None
        self._signals = _Signals()
        self._lifeline = os.pipe()

    def run(self) -> int | None:
        """Keep the workers running until told to stop.

        Returns:
            In a worker's process its index, at once; in the parent None, once all have ended.
        """
        while self._wanted():
            for slot in self._due():
                if self._fork(slot):
                    return slot.index
            for number in self._signals.wait(self._pause_s()):
                self._hear(number)
            self._reap()
            if self._stop_by is not None and monotonic() >= self._stop_by:
                self._kill()
        self._signals.close()
        for end in self._lifeline:
            os.close(end)
        return None

    def _wanted(self) -> bool:
        return self._stop_by is None or any(slot.pid for slot in self._slots)

    def _due(self) -> Iterable[_Slot]:
        if self._stop_by is not None:
            return []
        now = monotonic()
        return [slot for slot in self._slots if not slot.pid and slot.due <= now]

    def _pause_s(self) -> float | None:
        """How long nothing but a signal matters; None: for ever."""
        if self._stop_by is not None:
            return max(0.0, self._stop_by - monotonic())
        waiting = [slot.due for slot in self._slots if not slot.pid]
        return max(0.0, min(waiting) - monotonic()) if waiting else None

    def _fork(self, slot: _Slot) -> bool:
        """Start a worker; True in its own process."""
        slot.started = monotonic()
        with _Held(_HEARD):
            try:
                slot.pid = os.fork()
            except OSError as error:
                log.error("no new process", worker=slot.index, reason=error.strerror)
                self._died(slot, 1)
                return False
            if not slot.pid:
                self._become_worker()
                return True
        log.info("worker started", worker=slot.index, pid=slot.pid)
        return False

    def _become_worker(self) -> None:
        """Leave behind what is the parent's.

        The terminal sends SIGINT to all of us; the parent alone turns it into a stop. SIGHUP
        before the worker hears it would end it, and it reads the configuration just now.
        """
        self._signals.close()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        reading, writing = self._lifeline
        os.close(writing)
        watch = threading.Thread(
            target=_outlive, args=(reading, self._patience_s), name="lifeline", daemon=True
        )
        watch.start()

    def _hear(self, number: int) -> None:
        if number == signal.SIGHUP:
            self._send(signal.SIGHUP)
        elif number in _STOP and self._stop_by is None:
            self._stop()
        elif number in _STOP:
            self._kill()

    def _stop(self) -> None:
        self._stop_by = monotonic() + self._patience_s
        self._send(signal.SIGTERM)

    def _kill(self) -> None:
        """End what does not end by itself; the wait for it is short."""
        late = [slot.index for slot in self._slots if slot.pid]
        log.warning("workers killed", workers=late)
        self._stop_by = monotonic() + MARGIN_S
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        for slot in self._slots:
            if slot.pid:  # not yet waited for, so the number is still this process's
                os.kill(slot.pid, number)

    def _reap(self) -> None:
        for slot in self._slots:
            if not slot.pid:
                continue
            pid, status = os.waitpid(slot.pid, os.WNOHANG)
            if pid:
                slot.pid = 0
                self._ended(slot, os.waitstatus_to_exitcode(status))

    def _ended(self, slot: _Slot, code: int) -> None:
        """Note how a worker ended; a negative code is the signal that ended it."""
        if self._stop_by is None:
            self._died(slot, code if code >= 0 else 128 - code)
        elif code not in (0, -signal.SIGTERM):
            self.code = self.code or (code if code > 0 else 128 - code)

    def _died(self, slot: _Slot, code: int) -> None:
        at_start = not self._settled(slot)
        slot.deaths = slot.deaths + 1 if at_start else 0
        slot.pid = 0
        if at_start and (slot.deaths >= _STARTS or code == _HOPELESS) and not self._serving():
            log.error("worker cannot start, giving up", worker=slot.index, code=code)
            self.code = code or 1
            self._stop()
            return
        wait_s = min(_FIRST_WAIT_S * 2 ** max(0, slot.deaths - 1), _LONGEST_WAIT_S)
        slot.due = monotonic() + wait_s
        log.warning("worker ended, starting it again", worker=slot.index, code=code, in_s=wait_s)

    def _serving(self) -> bool:
        """Whether a worker is well: then a mistake made since does not end what works."""
        return any(slot.pid and self._settled(slot) for slot in self._slots)

    @staticmethod
    def _settled(slot: _Slot) -> bool:
        return monotonic() - slot.started >= _SETTLED_S


class _Signals:
    """Signals as something to wait for, with a time-out (macOS has no `sigtimedwait`)."""

    def __init__(self) -> None:
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self._writing.setblocking(False)
        self._wakeup = signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _noted) for number in _HEARD}

    def wait(self, timeout_s: float | None) -> bytes:
        """Return the numbers of the signals that came; none when the time is over."""
        ready, _, _ = select.select([self._reading], [], [], timeout_s)
        return self._reading.recv(4096) if ready else b""

    def close(self) -> None:
        """Let signals mean what they meant before."""
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._reading.close()
        self._writing.close()


class _Held:
    """Keeps signals back, so that none meets a process that is half the parent's."""

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._numbers = set(numbers)

    def __enter__(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers)

    def __exit__(self, *_: object) -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._numbers)


def _noted(_: int, __: object) -> None:
    """Do nothing: the signal's number is in the pipe already."""


def _outlive(lifeline: int, patience_s: float) -> None:
    """Stop this worker when its parent is gone; runs in a thread of its own."""
    if os.read(lifeline, 1):
        return
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(patience_s)
    os._exit(1)
