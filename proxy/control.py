"""How the workers of one gateway ask each other: what one heard of, all have to know or do.

Each worker listens on a socket of its own in the folder they share, `<worker>.control`, which
only this user may connect to. A connection carries one question and one answer, a line of
JSON each. A worker that has died refuses the connection and is passed over; its socket is
removed. One that is too slow is passed over as well, and named in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog

from proxy import tasks

log = structlog.get_logger()

TIMEOUT_S = 3.0
"""How long a worker may take for its answer, in seconds."""

_LONGEST_BYTES = 16 * 1024 * 1024
_MOST = 32
_SUFFIX = ".control"

Question = dict[str, Any]
Answer = Callable[[Question], Awaitable[Any]]
"""A question, as JSON has it, to what JSON can say in answer; what it raises is logged."""


class Control:
    """This worker's socket, and the way to those of the others."""

    def __init__(self, directory: Path, answer: Answer) -> None:
        self._directory = directory
        self._path = directory / f"{os.getpid()}-{secrets.token_hex(4)}{_SUFFIX}"
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: the folder cannot be used, or its path is too long for a socket.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.bind(str(new))
            new.chmod(0o600)  # before anybody can connect
            listening.listen(_MOST)
            new.rename(self._path)  # whoever sees the name finds somebody who listens
        except OSError:
            listening.close()
            raise
        self._server = await asyncio.start_unix_server(
            self._serve, sock=listening, limit=_LONGEST_BYTES
        )

    async def close(self) -> None:
        """Listen no more; who is being answered is cut off."""
        self._path.unlink(missing_ok=True)
        if self._server is not None:
            self._server.close()
            for writer in self._open:
                writer.close()
            await self._server.wait_closed()

    async def ask(self, question: Question) -> list[Any]:
        """Return the answers of all other workers that have one in time."""
        text = msgspec.json.encode(question) + b"\n"
        places = [p for p in self._directory.glob(f"*{_SUFFIX}") if p != self._path]
        asked = [tasks.spawn(_asked(place, text), name="ask a worker") for place in places]
        answers = await asyncio.gather(*asked)
        return [msgspec.json.decode(answer) for answer in answers if answer]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= _MOST:
            writer.close()
            return
        self._open.add(writer)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                question = msgspec.json.decode(await reader.readline())
                writer.write(msgspec.json.encode(await self._answer(question)) + b"\n")
                await writer.drain()
        except (TimeoutError, OSError, ValueError) as error:
            log.warning("another worker's question was not answered", reason=str(error))
        # A border: whatever goes wrong with one question, the next is still answered.
        except Exception:
            log.exception("another worker's question failed")
        finally:
            self._open.discard(writer)
            writer.close()


async def _asked(place: Path, question: bytes) -> bytes:
    """Return one worker's answer; empty where there is none."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_unix_connection(place, limit=_LONGEST_BYTES)
            try:
                writer.write(question)
                return await reader.readline()
            finally:
                writer.close()
    except (ConnectionRefusedError, FileNotFoundError):  # it has died
        _remove(place)
    except (TimeoutError, OSError, ValueError) as error:
        log.warning("a worker does not answer", worker=place.stem, reason=str(error) or "too slow")
    return b""


def _remove(place: Path) -> None:
    with contextlib.suppress(OSError):
        place.unlink(missing_ok=True)
