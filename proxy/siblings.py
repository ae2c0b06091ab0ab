"""What the workers of one gateway tell each other about their numbers.

A scrape reaches one worker, whichever accepted it, and must answer for all. Each worker
keeps one file in a directory they share and replaces it whole; the worker that is asked
adds the others' files to its own numbers.

    <worker>.numbers   what the worker has counted, written anew by renaming
    <worker>.alive     locked by the worker as long as its process lives; the system lets
                       go of the lock whatever ends the process, and a process id that is
                       used again fools nobody
    past               the sum of the workers that ended, and their names

Everything here waits for the disk: call it in a thread.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from proxy.tally import Numbers

log = structlog.get_logger()

T = TypeVar("T")

_REMEMBERED = 1_000
"""Names of ended workers that are kept, so that a slow reader counts none of them twice."""


class _Past(msgspec.Struct):
    numbers: Numbers = msgspec.field(default_factory=Numbers)
    folded: list[str] = []


_NUMBERS = msgspec.msgpack.Decoder(Numbers)
_PAST = msgspec.msgpack.Decoder(_Past)


class Siblings:
    """One worker's place in the directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._alive = -1

    def join(self) -> None:
        """Show that this worker lives.

        Raises:
            OSError: the directory cannot be used.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._alive = os.open(self._path("alive"), os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._alive, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def leave(self) -> None:
        """End this worker's life; its numbers stay."""
        if self._alive >= 0:
            os.close(self._alive)
            self._alive = -1

    def write(self, numbers: bytes) -> None:
        """Replace this worker's numbers (encoded as msgpack).

        Raises:
            OSError: the disk is full, or the directory is gone.
        """
        _replace(self._path("numbers"), numbers)

    def read(self) -> Numbers:
        """Return the sum of all other workers, the ended ones without their gauges.

        `past` is read last: a worker that was folded into it meanwhile is named there and
        left out, and one whose file was gone before we looked is in it already.
        """
        found = {}
        for path in sorted(self._directory.glob("*.numbers")):
            numbers = _load(path, _NUMBERS)
            if path.stem != self._name and numbers is not None:
                found[path.stem] = numbers
        past = _load(self._directory / "past", _PAST) or _Past()
        for name in past.folded:
            found.pop(name, None)
        ended = [name for name in found if not self._lives(name)]
        for name, numbers in found.items():
            if name in ended:
                numbers.gauges.clear()
            past.numbers.add(numbers)
        self._fold(ended)
        return past.numbers

    def _lives(self, name: str) -> bool:
        try:
            descriptor = os.open(self._path("alive", name), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _fold(self, ended: Iterable[str]) -> None:
        """Move ended workers into `past`; whoever holds the lock does it for all."""
        names = list(ended)
        if not names:
            return
        with (self._directory / "lock").open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            past = _load(self._directory / "past", _PAST) or _Past()
            for name in names:
                numbers = _load(self._path("numbers", name), _NUMBERS)
                if name not in past.folded and numbers is not None:
                    numbers.gauges.clear()
                    past.numbers.add(numbers)
                    past.folded.append(name)
            del past.folded[:-_REMEMBERED]
            _replace(self._directory / "past", msgspec.msgpack.encode(past))
            for name in names:
                self._path("numbers", name).unlink(missing_ok=True)
                self._path("alive", name).unlink(missing_ok=True)

    def _path(self, suffix: str, name: str = "") -> Path:
        return self._directory / f"{name or self._name}.{suffix}"


def _load(path: Path, decoder: msgspec.msgpack.Decoder[T]) -> T | None:
    """Read one file; None if it is gone, or is not ours to understand."""
    try:
        return decoder.decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        log.warning("numbers of another worker are unreadable", file=path.name, reason=str(error))
        return None


def _replace(path: Path, content: bytes) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)
