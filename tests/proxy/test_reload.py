"""A change is noticed once, soon, and never while the last one is still being taken."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import structlog

from proxy import reload


class Taken:
    """A configuration's taker that counts, and may be slow or fail."""

    def __init__(self, path: Path | None = None) -> None:
        self.texts: list[str] = []
        self.running = 0
        self.overlapped = False
        self.failures: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._path = path

    async def __call__(self) -> None:
        """Take what is in the file now."""
        self.running += 1
        self.overlapped |= self.running > 1
        self.texts.append(self._path.read_text() if self._path else "")
        await self.gate.wait()
        self.running -= 1
        if self.failures:
            raise self.failures.pop()

    async def wait(self, count: int) -> None:
        """Wait until it was called so often."""
        async with asyncio.timeout(10):
            while len(self.texts) < count:
                await asyncio.sleep(0.005)


Watch = Callable[[str | None, Callable[[], Awaitable[None]]], None]


@pytest.fixture
async def watch(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watch]:
    """Watch files, with short times, until the test is over."""
    monkeypatch.setattr(reload, "INTERVAL_S", 0.02)
    monkeypatch.setattr(reload, "SETTLE_S", 0.02)
    running: list[asyncio.Task[None]] = []

    def begin(path: str | None, taken: Callable[[], Awaitable[None]]) -> None:
        running.append(asyncio.ensure_future(reload.watch(path, taken)))

    yield begin
    for task in running:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration file."""
    path = tmp_path / "headgate.yaml"
    path.write_text("one")
    return path


async def looks(count: int = 3) -> None:
    """Let some looks at the file pass."""
    await asyncio.sleep(count * (reload.INTERVAL_S + reload.SETTLE_S))


async def test_what_changed_before_the_first_look_is_not_missed(file: Path, watch: Watch) -> None:
    """The file was read some time before; so it is taken once more at the beginning."""
    taken = Taken(file)
    watch(str(file), taken)
    await taken.wait(1)
    await looks()
    assert taken.texts == ["one"]


async def test_a_changed_file_is_taken_once(file: Path, watch: Watch) -> None:
    """One change is one call, however often the file is looked at."""
    taken = Taken(file)
    watch(str(file), taken)
    await taken.wait(1)
    file.write_text("two, longer")
    await taken.wait(2)
    await looks()
    assert taken.texts == ["one", "two, longer"]


async def test_a_file_replaced_by_renaming_is_taken(file: Path, watch: Watch) -> None:
    """Editors write beside and rename; size and time may even be the same."""
    taken = Taken(file)
    watch(str(file), taken)
    await taken.wait(1)
    before = file.stat()
    beside = file.with_suffix(".new")
    beside.write_text("two")
    os.utime(beside, ns=(before.st_atime_ns, before.st_mtime_ns))
    beside.rename(file)
    await taken.wait(2)
    assert taken.texts[-1] == "two"


async def test_a_link_swapped_above_the_file_is_taken(tmp_path: Path, watch: Watch) -> None:
    """Kubernetes swaps a link to a folder; the file's own name never changes."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "headgate.yaml").write_text(name)
    data = tmp_path / "..data"
    data.symlink_to("one")
    path = tmp_path / "headgate.yaml"
    path.symlink_to(Path("..data") / "headgate.yaml")
    taken = Taken(path)
    watch(str(path), taken)
    await taken.wait(1)
    (tmp_path / "..new").symlink_to("two")
    (tmp_path / "..new").rename(data)
    await taken.wait(2)
    assert taken.texts == ["one", "two"]


async def test_a_file_that_is_gone_is_waited_for(file: Path, watch: Watch) -> None:
    """What is served stays; the file that comes back is taken."""
    taken = Taken(file)
    watch(str(file), taken)
    await taken.wait(1)
    file.unlink()
    await looks()
    assert len(taken.texts) == 1
    file.write_text("two")
    await taken.wait(2)
    assert taken.texts[-1] == "two"


async def test_a_file_still_being_written_is_left_alone(
    file: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two looks in a row must find the same, so that no half of a file is read."""
    sizes = iter([1, 2, 3, 3])
    last = reload.Look(0, 0, 0, 3)

    def look(_: str) -> reload.Look:
        return reload.Look(0, 0, 0, next(sizes, last.size_bytes))

    monkeypatch.setattr(reload, "look", look)
    taken = Taken(file)
    watch(str(file), taken)
    await taken.wait(1)
    assert next(sizes, None) is None
    await looks()
    assert len(taken.texts) == 1


async def test_a_hangup_takes_the_file_though_it_is_the_same(file: Path, watch: Watch) -> None:
    """What the file refers to, such as a secret, may have changed."""
    taken = Taken(file)
    watch(str(file), taken)
    await taken.wait(1)
    os.kill(os.getpid(), signal.SIGHUP)
    await taken.wait(2)
    assert taken.texts == ["one", "one"]


async def test_without_a_file_a_hangup_is_heard_all_the_same(watch: Watch) -> None:
    """It must not end the process, which is what the system would do."""
    taken = Taken()
    watch(None, taken)
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGHUP)
    await taken.wait(1)
    assert taken.texts == [""]


async def test_changes_meanwhile_are_one_more_call(watch: Watch) -> None:
    """Two at once could end with the older configuration."""
    taken = Taken()
    taken.gate.clear()
    watch(None, taken)
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGHUP)
    await taken.wait(1)
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.01)
    assert len(taken.texts) == 1
    taken.gate.set()
    await taken.wait(2)
    await asyncio.sleep(0.05)
    assert len(taken.texts) == 2
    assert not taken.overlapped


async def test_a_failure_is_logged_and_the_next_change_is_heard(file: Path, watch: Watch) -> None:
    """A mistake in one version of the file is mended by the next."""
    taken = Taken(file)
    taken.failures.append(RuntimeError("a plugin's own"))
    with structlog.testing.capture_logs() as logs:
        watch(str(file), taken)
        await taken.wait(1)
        file.write_text("two, mended")
        await taken.wait(2)
    assert [entry["log_level"] for entry in logs] == ["error"]
    assert taken.texts == ["one", "two, mended"]
