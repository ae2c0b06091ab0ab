"""Workers are real processes here: a fork inside the test runner would prove little."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from socket import create_connection

import pytest

from tests.source import ROOT

PROGRAM = """
import os, signal, sys, threading
from proxy import workers

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def worker(sockets, numbers):
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    signal.signal(signal.SIGHUP, lambda *_: say("hup", os.getpid()))
    say("up", os.getpid(), sockets[0].getsockname()[1], numbers)
    {body}
    say("down", os.getpid())
    return {code}

workers.MARGIN_S = {margin_s}
workers._SETTLED_S = {settled_s}
code = workers.run(worker, host="127.0.0.1", port={port}, workers={workers}, grace_s=0.2)
sys.exit(code)
"""
SERVES = "while not stopped.wait(0.02): pass"
PATIENCE_S = 20.0


class Gateway:
    """A parent, its workers, and what they print."""

    def __init__(self, log: Path, program: str) -> None:
        self._log = log
        self._life, held = os.pipe()
        with log.open("a") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program],
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env=os.environ | {"TMPDIR": str(log.parent)},  # a killed parent cannot tidy up
                pass_fds=(held,),
            )
        os.close(held)

    def said(self, word: str) -> list[list[str]]:
        """What followed `word` on the lines that begin with it."""
        lines = [line.split() for line in self._log.read_text().splitlines()]
        return [line[1:] for line in lines if line[:1] == [word]]

    def wait(self, word: str, count: int) -> list[list[str]]:
        """Wait until `word` was said `count` times."""
        until(lambda: len(self.said(word)) >= count)
        return self.said(word)

    def pids(self, count: int) -> list[int]:
        """Wait for so many starts and return the processes of all."""
        return [int(line[0]) for line in self.wait("up", count)]

    def all_gone(self) -> bool:
        """Wait until no process is left that holds the other end of our pipe."""
        ready, _, _ = select.select([self._life], [], [], PATIENCE_S)
        return bool(ready) and os.read(self._life, 1) == b""

    def close(self) -> None:
        """Leave nothing behind."""
        self.process.kill()
        self.process.wait()
        os.close(self._life)

    def end(self) -> int:
        """Wait for the parent and return its exit code."""
        return self.process.wait(PATIENCE_S)


Start = Callable[..., Gateway]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start gateways and leave none behind."""
    started: list[Gateway] = []

    def one(body: str = SERVES, **given: float) -> Gateway:
        settings = {"workers": 2, "code": 0, "port": 0, "settled_s": 60.0, "margin_s": 0.3} | given
        program = PROGRAM.format(body=body, **settings)
        started.append(Gateway(tmp_path / f"{len(started)}.log", program))
        return started[-1]

    yield one
    for gateway in started:
        gateway.close()


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process does; the limit is only against hanging."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether there is such a process; its parent does not leave it for dead."""
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def test_workers_share_one_port_that_was_free(start: Start) -> None:
    """Port 0 is one port for all workers, and somebody answers there."""
    ports = {line[1] for line in start(workers=3).wait("up", 3)}
    assert len(ports) == 1
    create_connection(("127.0.0.1", int(ports.pop()))).close()


def test_workers_share_one_folder_for_their_numbers(start: Start) -> None:
    """It is the same for all, and is gone when they are."""
    gateway = start()
    folders = {line[2] for line in gateway.wait("up", 2)}
    assert len(folders) == 1
    folder = Path(folders.pop())
    assert folder.is_dir()
    gateway.process.terminate()
    gateway.end()
    assert not folder.exists()


def test_one_worker_is_the_process_itself(start: Start) -> None:
    """Nobody pays for a parent that has one child."""
    gateway = start(workers=1)
    assert gateway.pids(1) == [gateway.process.pid]
    assert gateway.said("up")[0][2] == "None"


def test_a_killed_worker_is_started_again(start: Start) -> None:
    """The others go on, and the new one listens at the same address."""
    gateway = start()
    first, second = gateway.pids(2)
    os.kill(first, signal.SIGKILL)
    starts = gateway.wait("up", 3)
    assert alive(second)
    assert starts[2][1] == starts[0][1]
    assert int(starts[2][0]) not in (first, second)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_handed_on_and_waited_for(start: Start, number: signal.Signals) -> None:
    """Every worker drains, then the parent ends well."""
    gateway = start()
    gateway.pids(2)
    gateway.process.send_signal(number)
    assert gateway.end() == 0
    assert len(gateway.said("down")) == 2


def test_a_worker_that_does_not_stop_is_killed(start: Start) -> None:
    """Grace and margin are over some time; the exit code tells that it was not clean."""
    gateway = start(body="while True: threading.Event().wait(1)")
    gateway.pids(2)
    gateway.process.terminate()
    assert gateway.end() == 128 + signal.SIGKILL
    assert gateway.all_gone()


def test_a_second_stop_does_not_wait(start: Start) -> None:
    """Whoever asks twice means it: the grace is longer than this test waits."""
    body = "stopped.wait(); say('asked'); threading.Event().wait()"
    gateway = start(body, margin_s=600.0)
    gateway.pids(2)
    gateway.process.terminate()
    gateway.wait("asked", 2)
    gateway.process.terminate()
    assert gateway.end() == 128 + signal.SIGKILL


def test_a_hangup_reaches_every_worker(start: Start) -> None:
    """SIGHUP to the parent means: read the configuration anew."""
    gateway = start()
    pids = gateway.pids(2)
    gateway.process.send_signal(signal.SIGHUP)
    assert {int(line[0]) for line in gateway.wait("hup", 2)} == set(pids)


def test_a_worker_that_never_starts_ends_the_gateway_with_its_code(start: Start) -> None:
    """Five times in a row is no accident."""
    gateway = start(body="os._exit(7)")
    assert gateway.end() == 7
    starts = len(gateway.said("up"))
    assert 5 <= starts <= 10


def test_a_wrong_configuration_is_not_tried_again(start: Start) -> None:
    """Exit code 2 says that the next start would fail like this one."""
    gateway = start(body="pass", code=2)
    assert gateway.end() == 2
    assert len(gateway.said("up")) <= 2


def test_what_serves_goes_on_when_another_worker_cannot_start_any_more(start: Start) -> None:
    """A file that was spoiled since then does not end the gateway; it is tried again."""
    third = "if len(list(numbers.iterdir())) == 2: os._exit(2)"
    gateway = start(
        f"{third}\n    (numbers / str(os.getpid())).touch()\n    {SERVES}", settled_s=0.1
    )
    first, second = gateway.pids(2)
    time.sleep(0.2)
    os.kill(first, signal.SIGKILL)
    gateway.wait("up", 5)
    assert alive(second)
    gateway.process.terminate()
    assert gateway.end() in (0, 2)  # the one that is just being tried may end with its own code


def test_workers_end_with_their_parent(start: Start) -> None:
    """Even if the parent had no time to tell them."""
    gateway = start()
    gateway.pids(2)
    gateway.process.kill()
    assert gateway.all_gone()
    assert len(gateway.said("down")) == 2


def test_an_orphan_that_hangs_ends_as_well(start: Start) -> None:
    """After its grace it is no longer asked."""
    gateway = start(body="while True: threading.Event().wait(1)")
    gateway.pids(2)
    gateway.process.kill()
    assert gateway.all_gone()
    assert gateway.said("down") == []


def test_a_taken_port_is_found_out_before_any_worker(start: Start) -> None:
    """Sharing the port is for one gateway's workers, not for two gateways."""
    port = int(start(workers=2).wait("up", 2)[0][1])
    second = start(workers=2, port=port)
    assert second.end() == 1
    assert second.said("up") == []
