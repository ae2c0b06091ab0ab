"""Lines on their way to a file descriptor, written by a thread of their own.

A write per line costs more than rendering it, and a pipe that nobody reads would stop the
whole gateway. So a line is only put on a list; a thread writes all of them a moment later.
A stalled or full disk costs lines, never requests, and the lines that are lost are counted
in the log itself.

The thread is not one of the event loop's executor: it must work before the loop starts and
after it crashed, and the interpreter waits for executor threads when it ends, so a stalled
pipe would keep the process from ending. A daemon thread keeps nobody.

`write` takes no lock: it may be called by a finalizer in the middle of another `write`.
"""

from __future__ import annotations

import os
import select
import threading
import weakref
from datetime import UTC, datetime
from queue import Empty, SimpleQueue

import orjson

INTERVAL_S = 0.1
"""How long a line may wait for others, in seconds."""

HURRY_BYTES = 64 * 1024
"""With more than this waiting, the thread does not wait any longer."""

LIMIT_BYTES = 4 * 1024 * 1024
"""With more than this waiting, further lines are dropped."""

_sinks: weakref.WeakSet[Sink] = weakref.WeakSet()


class Sink:
    """Writes lines to `descriptor`, which stays the caller's to close."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._closed = False
        self._waiting = 0
        self._reset()
        _sinks.add(self)

    def write(self, line: bytes) -> None:
        """Take one line, without its line end; it never waits."""
        self._waiting += len(line) + 1
        if self._waiting > LIMIT_BYTES:
            self._refused += 1
            return
        self._lines.append(line)
        if not self._roused or self._waiting > HURRY_BYTES:
            self._rouse()

    @property
    def dropped(self) -> int:
        """Lines lost so far, because the descriptor stalled or failed."""
        return self._refused + self._failed

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what waits; a descriptor that stalls is given up after the time-out."""
        self._closed = True
        if self._thread is None:
            self._drain()
            return
        self._bell.put(None)
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._drain()

    def _reset(self) -> None:
        """Begin anew; also in a forked child, which has neither the thread nor its lines."""
        self._lines: list[bytes] = []
        self._waiting = 0
        self._refused: int = 0
        self._failed: int = 0
        self._told: int = 0
        self._torn: bool = False
        self._roused: bool = False
        self._hurried: bool = False
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def _rouse(self) -> None:
        if self._closed:
            # Whoever still logs is ending with the process; a stalled thread is not passed.
            if self._thread is None or not self._thread.is_alive():
                self._drain()
        elif not self._roused:
            self._roused = True
            self._bell.put(None)
            if self._thread is None:
                self._start()
        elif not self._hurried:
            self._hurried = True
            self._bell.put(None)

    def _start(self) -> None:
        if not self._starting.acquire(blocking=False):
            return
        thread = threading.Thread(target=self._run, name="log sink", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads now; the next line tries again
            self._roused = False
            self._starting.release()
            return
        self._thread = thread

    def _run(self) -> None:
        while not self._closed:
            self._bell.get()
            if not self._closed:
                self._linger()
            self._drain()

    def _linger(self) -> None:
        """Let more lines come, unless there are many or the end is near."""
        try:
            self._bell.get(timeout=INTERVAL_S)
        except Empty:
            return

    def _drain(self) -> None:
        """Write all that waits; the flags fall first, so that a line after them rings."""
        self._roused = self._hurried = False
        count = len(self._lines)
        lines = self._lines[:count]
        del self._lines[:count]
        self._waiting = 0
        lost = self.dropped - self._told
        if lost:
            lines.append(_note(lost))
        if not lines:
            return
        block = b"\n" * self._torn + b"\n".join(lines) + b"\n"
        try:
            self._write_all(block)
        except OSError:
            self._failed += len(lines) - bool(lost)
        else:
            self._told += lost

    def _write_all(self, block: bytes) -> None:
        """Write `block`, remembering whether it broke in the middle of a line.

        Raises:
            OSError: a full disk, a closed pipe.
        """
        rest = memoryview(block)
        while rest:
            try:
                written = os.write(self._descriptor, rest)
            except BlockingIOError:
                _wait_for_room(self._descriptor)
            else:
                rest = rest[written:]
                self._torn = bool(rest)


def _wait_for_room(descriptor: int) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    poll.poll(1000 * INTERVAL_S)


def _note(lost: int) -> bytes:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return orjson.dumps(
        {"time": now, "level": "warning", "event": "log lines dropped", "dropped": lost}
    )


def _after_fork() -> None:
    for sink in _sinks:
        sink._reset()


os.register_at_fork(after_in_child=_after_fork)
