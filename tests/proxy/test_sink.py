"""Lines written by a thread."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy import sink as module
from proxy.sink import Sink

ROOT = Path(__file__).parents[2]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for end in (reading, writing):
        try:
            os.close(end)
        except OSError:
            continue


def read_until(reading: int, mark: bytes) -> bytes:
    """Read a pipe until `mark` came."""
    read = b""
    while mark not in read:
        read += os.read(reading, 1 << 20)
    return read


def test_lines_come_out_whole_and_in_order(tmp_path: Path) -> None:
    """Each ends with a line end; closing writes the last."""
    with (tmp_path / "log").open("wb", buffering=0) as file:
        sink = Sink(file.fileno())
        for number in range(10_000):
            sink.write(b"%d" % number)
        sink.close()

    assert (tmp_path / "log").read_bytes() == b"".join(b"%d\n" % n for n in range(10_000))
    assert sink.dropped == 0


def test_a_line_comes_out_without_a_second_one(pipe: tuple[int, int]) -> None:
    """A quiet log is not held back until more is said."""
    sink = Sink(pipe[1])
    sink.write(b"alone")

    assert read_until(pipe[0], b"\n") == b"alone\n"
    sink.write(b"again")
    assert read_until(pipe[0], b"\n") == b"again\n"
    sink.close()


def test_many_lines_do_not_wait(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a few kilobytes are written at once, whatever the interval."""
    monkeypatch.setattr(module, "INTERVAL_S", 3600)
    sink = Sink(pipe[1])
    for _ in range(3):
        sink.write(b"x" * 30_000)

    assert len(read_until(pipe[0], b"x" * 30_000 + b"\n")) >= 30_001
    os.close(pipe[0])
    sink.close()


def test_threads_do_not_lose_each_others_lines(tmp_path: Path) -> None:
    """Libraries log from threads; the lines of all arrive."""
    with (tmp_path / "log").open("wb", buffering=0) as file:
        sink = Sink(file.fileno())

        def write(name: int) -> None:
            for number in range(2000):
                sink.write(b"%d-%d" % (name, number))

        threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sink.close()

    lines = (tmp_path / "log").read_bytes().split()
    assert len(lines) == len(set(lines)) == 8000


def test_a_pipe_nobody_reads_costs_lines_and_no_time(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`write` goes on, the memory is bounded, and the loss stands in the log afterwards."""
    monkeypatch.setattr(module, "LIMIT_BYTES", 1_000_000)
    sink = Sink(pipe[1])
    line = b"x" * 10_000
    while not sink.dropped:
        sink.write(line)
    assert sum(map(len, sink._lines)) <= 1_000_000

    read = read_until(pipe[0], b'"dropped":')
    sink.close()

    note = json.loads(next(text for text in read.split(b"\n") if text.startswith(b"{")))
    assert (note["event"], note["level"]) == ("log lines dropped", "warning")
    assert note["dropped"] == sink.dropped


def test_a_stalled_pipe_does_not_keep_the_process_from_ending(pipe: tuple[int, int]) -> None:
    """Closing gives up after its time-out."""
    sink = Sink(pipe[1])
    sink.write(b"x" * 1_000_000)
    sink.close(timeout_s=0.05)
    sink.write(b"late")

    os.close(pipe[0])  # lets the thread go


def test_a_closed_pipe_costs_lines_only(pipe: tuple[int, int]) -> None:
    """Whoever read the log is gone; the gateway stays."""
    os.close(pipe[0])
    sink = Sink(pipe[1])
    sink.write(b"one")
    sink.write(b"two")
    sink.close()
    sink.write(b"late")

    assert sink.dropped == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is full")
def test_a_full_disk_costs_lines_only() -> None:
    """They are counted, and the next ones are tried again."""
    with Path("/dev/full").open("wb", buffering=0) as full:
        sink = Sink(full.fileno())
        sink.write(b"one")
        sink.close()
        sink.write(b"two")

    assert sink.dropped == 2


def test_a_torn_line_is_ended_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk may fill up in the middle of a line; only that line is unreadable."""
    real, room = os.write, [10]

    def write(descriptor: int, block: memoryview) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(descriptor, block[: room[0]])
        room[0] -= written
        return written

    with (tmp_path / "log").open("wb", buffering=0) as file:
        sink = Sink(file.fileno())
        monkeypatch.setattr(module.os, "write", write)
        sink.close()
        sink.write(b'{"first": 1, "line": 2}')
        room[0] = 1000
        sink.write(b'{"second": 1}')
        monkeypatch.undo()

    lines = (tmp_path / "log").read_bytes().splitlines()
    assert lines[0] == b'{"first": '
    assert json.loads(lines[1]) == {"second": 1}
    assert json.loads(lines[2])["dropped"] == 1


def test_a_pipe_that_never_waits_gets_every_line(pipe: tuple[int, int]) -> None:
    """Some shells and supervisors hand over a non-blocking pipe."""
    os.set_blocking(pipe[1], False)
    sink = Sink(pipe[1])
    for number in range(300):
        sink.write(b"%d " % number + b"x" * 1000)
    sink.write(b"end")

    assert read_until(pipe[0], b"end\n").count(b"\n") == 301
    sink.close()


def test_a_file_written_from_a_finalizer_or_after_the_end_is_written(tmp_path: Path) -> None:
    """After closing, a line is written at once."""
    with (tmp_path / "log").open("wb", buffering=0) as file:
        sink = Sink(file.fileno())
        sink.write(b"before")
        sink.close()
        sink.write(b"after")

    assert (tmp_path / "log").read_bytes() == b"before\nafter\n"


FORK = """
import os
from proxy.sink import Sink
sink = Sink(1)
sink.write(b"parent")
child = os.fork()
if not child:
    sink.write(b"child")
    sink.close()
    os._exit(0)
os.waitpid(child, 0)
sink.close()
"""


def test_a_forked_worker_writes_its_own_lines_only() -> None:
    """What the parent had not written yet comes out once, from the parent."""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK], cwd=ROOT, capture_output=True, check=True
    )

    assert sorted(ran.stdout.split()) == [b"child", b"parent"]
