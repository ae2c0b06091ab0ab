"""A client that sees every byte the simulator sends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from proxy.sim.server import Simulator

Start = Callable[..., Awaitable["Running"]]


class Received(NamedTuple):
    """What came back until the connection ended, or until the wanted bytes were there."""

    head: str
    body: bytes
    reset: bool

    @property
    def status(self) -> int:
        return int(self.head.split(" ", 2)[1])

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        for line in self.head.split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key == name:
                return value
        return None


class Running:
    """A simulator that listens, and raw requests to it."""

    def __init__(self, simulator: Simulator, port: int) -> None:
        self.simulator = simulator
        self.port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def raw(self, request: bytes) -> Received:
        """Send bytes and read until the server ends the connection."""
        reader, writer = await self.open()
        writer.write(request)
        received, reset = b"", False
        try:
            while piece := await reader.read(65536):
                received += piece
        except ConnectionResetError:
            reset = True
        finally:
            writer.close()
        head, _, body = received.partition(b"\r\n\r\n")
        return Received(head.decode("latin-1"), body, reset)

    async def chat(self, model: str, said: str = "hi", **fields: Any) -> Received:
        return await self.raw(chat_request(model, said, **fields))

    async def stream(self, model: str, **fields: Any) -> Received:
        return await self.chat(model, stream=True, **fields)


def chat_request(model: str, said: str = "hi", **fields: Any) -> bytes:
    messages = [{"role": "user", "content": said}]
    return request("/v1/chat/completions", {"model": model, "messages": messages, **fields})


def request(path: str, document: Any, *, keep: bool = False) -> bytes:
    body = json.dumps(document).encode()
    connection = "keep-alive" if keep else "close"
    head = f"POST {path} HTTP/1.1\r\nhost: sim\r\nconnection: {connection}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def unchunked(body: bytes) -> tuple[bytes, bool]:
    """Take HTTP's chunks apart; also say whether the last one came."""
    found = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        if int(size, 16) == 0:
            return found, True
        found += rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :]
    return found, False
