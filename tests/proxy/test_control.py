"""Workers that ask each other through sockets in a folder."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from structlog.testing import capture_logs

from proxy import control
from proxy.control import Control, Question


@pytest.fixture
def folder() -> Any:
    """A folder whose path is short enough for sockets."""
    with TemporaryDirectory(prefix="hg-") as made:
        yield Path(made)


@asynccontextmanager
async def workers(folder: Path, count: int) -> AsyncIterator[list[Control]]:
    """Start workers that answer with their number and what they were asked."""

    def answers(number: int) -> control.Answer:
        async def answer(question: Question) -> Any:
            if question.get("fail"):
                raise RuntimeError("a mistake of ours")
            if question.get("hang") == number:
                await asyncio.sleep(60)
            return [number, question["ask"]]

        return answer

    made = [Control(folder, answers(number)) for number in range(count)]
    for each in made:
        await each.start()
    try:
        yield made
    finally:
        for each in made:
            await each.close()


async def test_all_others_answer_and_not_oneself(folder: Path) -> None:
    """One question, one answer of each."""
    async with workers(folder, 3) as (first, *_):
        assert sorted(await first.ask({"ask": "x"})) == [[1, "x"], [2, "x"]]


async def test_nobody_else_may_connect(folder: Path) -> None:
    """The sockets are this user's alone."""
    async with workers(folder, 1):
        [place] = folder.iterdir()
        assert stat.S_IMODE(place.stat().st_mode) == 0o600


async def test_a_dead_worker_is_passed_over_and_its_socket_removed(folder: Path) -> None:
    """The system closes a killed worker's socket and leaves its name."""
    left = folder / "1-dead.control"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(left))
    async with workers(folder, 2) as (first, _):
        with capture_logs() as logged:
            assert await first.ask({"ask": "x"}) == [[1, "x"]]
    assert not left.exists()
    assert logged == []


async def test_a_slow_worker_is_passed_over(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator has an answer in time, and the log says whose is missing."""
    monkeypatch.setattr(control, "TIMEOUT_S", 0.1)
    async with workers(folder, 3) as (first, *_):
        with capture_logs() as logged:
            assert await first.ask({"ask": "x", "hang": 2}) == [[1, "x"]]
    assert "a worker does not answer" in [line["event"] for line in logged]


async def test_a_failed_question_does_not_end_a_worker(folder: Path) -> None:
    """The next one is answered."""
    async with workers(folder, 2) as (first, _):
        with capture_logs() as logged:
            assert await first.ask({"ask": "x", "fail": True}) == []
        assert [line["event"] for line in logged] == ["another worker's question failed"]
        assert await first.ask({"ask": "y"}) == [[1, "y"]]


async def test_what_is_no_question_is_refused(folder: Path) -> None:
    """Garbage, silence and a cut line cost one connection each."""
    async with workers(folder, 2) as (first, _):
        for sent in (b"garbage\n", b"", b'{"ask"'):
            for place in folder.glob("*.control"):
                reader, writer = await asyncio.open_unix_connection(place)
                writer.write(sent)
                writer.write_eof()
                assert await reader.read() == b""
                writer.close()
        assert await first.ask({"ask": "x"}) == [[1, "x"]]


async def test_a_closed_worker_leaves_nothing(folder: Path) -> None:
    """Neither a socket nor a name."""
    async with workers(folder, 2):
        assert len(list(folder.iterdir())) == 2
    assert list(folder.iterdir()) == []
