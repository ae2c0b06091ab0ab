"""A client made of a raw socket: it may send what no library would, and sees every byte."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from typing import Any, NamedTuple

from tests.e2e.stage import KEY

LIMIT_S = 20.0


class Reply(NamedTuple):
    """An answer; `body` is without HTTP's chunks, `whole` says whether its end came."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool = True

    @property
    def error(self) -> dict[str, Any]:
        """The error object of OpenAI's shape."""
        error: dict[str, Any] = json.loads(self.body)["error"]
        return error


class Client:
    """One connection to a gateway."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port: int) -> Client:
        """Open a connection."""
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 25))

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    async def send(self, data: bytes) -> None:
        """Write, and wait until it is on its way."""
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, *, head_only: bool = False) -> Reply:
        """Read one answer; a body may end with the connection."""
        async with asyncio.timeout(LIMIT_S):
            status, headers = await self.head()
            if head_only or status in (204, 304) or status < 200:
                return Reply(status, headers, b"")
            return Reply(status, headers, *await self._body(headers))

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read a status line and headers."""
        text = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = text.split("\r\n")[:-2]
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        return int(first.split()[1]), headers

    async def _body(self, headers: dict[str, str]) -> tuple[bytes, bool]:
        if headers.get("transfer-encoding") == "chunked":
            return await self._chunks()
        if "content-length" in headers:
            try:
                return await self.reader.readexactly(int(headers["content-length"])), True
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                return getattr(error, "partial", b""), False
        return await self.rest(), True

    async def _chunks(self) -> tuple[bytes, bool]:
        pieces: list[bytes] = []
        try:
            while size := int(await self.reader.readline() or b"-1", 16):
                if size < 0:
                    return b"".join(pieces), False
                pieces.append(await self.reader.readexactly(size))
                assert await self.reader.readexactly(2) == b"\r\n"
            assert await self.reader.readexactly(2) == b"\r\n"
        except (asyncio.IncompleteReadError, ConnectionError):
            return b"".join(pieces), False
        return b"".join(pieces), True

    async def until(self, needle: bytes) -> bytes:
        """Read up to and including `needle`."""
        async with asyncio.timeout(LIMIT_S):
            return await self.reader.readuntil(needle)

    async def rest(self) -> bytes:
        """Read until the other side closes."""
        async with asyncio.timeout(LIMIT_S):
            read = b""
            with contextlib.suppress(ConnectionError):
                while piece := await self.reader.read(1 << 16):
                    read += piece
            return read

    async def closed(self) -> bool:
        """Wait until the other side has closed, and say whether it was silent before."""
        return await self.rest() == b""

    def kill(self) -> None:
        """Go as a killed process goes: with a reset, if anything is unread or unsent."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def request(
    body: object = b"",
    *,
    path: str = "/v1/chat/completions",
    method: str = "POST",
    headers: dict[str, str] | None = None,
    key: str = KEY,
) -> bytes:
    """Return the bytes of a request; what is no bytes is encoded as JSON."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"host": "gateway.test", "authorization": f"Bearer {key}"} if key else {"host": "x"}
    fields |= {"content-type": "application/json"} if sent else {}
    fields |= {"content-length": str(len(sent))} if sent or method == "POST" else {}
    fields |= headers or {}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + sent


def chat(model: str = "sim", text: str = "hello", **more: object) -> dict[str, object]:
    """Return the body of a chat."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


async def ask(port: int, sent: bytes, *, head_only: bool = False) -> Reply:
    """Send bytes on a connection of their own and read one answer."""
    async with await Client.connect(port) as client:
        await client.send(sent)
        return await client.reply(head_only=head_only)


def events(body: bytes) -> list[bytes]:
    """Return the `data` of each event of a stream."""
    blocks = body.replace(b"\r\n", b"\n").split(b"\n\n")
    lines = [line for block in blocks for line in block.split(b"\n")]
    return [line.removeprefix(b"data: ") for line in lines if line.startswith(b"data: ")]


def texts(body: bytes) -> str:
    """Return what a stream of chat chunks says together."""
    said = ""
    for data in events(body):
        if data != b"[DONE]":
            for choice in json.loads(data).get("choices", ()):
                said += choice["delta"].get("content") or ""
    return said
