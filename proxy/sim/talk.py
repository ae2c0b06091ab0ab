"""A websocket at `/v1/realtime`: frames on one side, a conversation on the other."""

from __future__ import annotations

import asyncio
import struct
from typing import Self
from urllib.parse import parse_qs

from proxy.sim import websocket
from proxy.sim.desk import Desk, Request
from proxy.sim.realtime import Conversation
from proxy.sim.refusal import Refusal
from proxy.sim.script import Step

PATH = "/v1/realtime"
MAX_WAITING = 64
_OVERRUN = 1008


class Talk:
    """One websocket; messages of the client are answered one after the other."""

    def __init__(self, conversation: Conversation, transport: asyncio.Transport) -> None:
        self._conversation = conversation
        self._transport = transport
        self._reader = websocket.Reader()
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue(MAX_WAITING)
        self._task = asyncio.get_running_loop().create_task(self._run())

    @classmethod
    def accept(cls, desk: Desk, request: Request, transport: asyncio.Transport) -> Self | None:
        """Shake hands, or return None where an ordinary error should answer."""
        path, _, query = request.target.partition("?")
        headers = request.headers
        key = headers.get(b"sec-websocket-key")
        if headers.get(b"upgrade", b"").lower() != b"websocket":
            return None
        if path != PATH or key is None or not desk.admits(request):
            return None
        model = parse_qs(query).get("model", ["sim"])[0]
        try:
            behaviour = desk.world.behaviour(model)
        except Refusal:
            return None
        head = [
            b"HTTP/1.1 101 Switching Protocols",
            b"upgrade: websocket",
            b"connection: Upgrade",
            b"sec-websocket-accept: " + websocket.accept(key),
        ]
        if b"realtime" in headers.get(b"sec-websocket-protocol", b""):
            head.append(b"sec-websocket-protocol: realtime")
        desk.stats.requests += 1
        transport.write(b"\r\n".join(head) + b"\r\n\r\n")
        return cls(Conversation(desk.world.next_id(""), model, behaviour), transport)

    def feed(self, received: bytes) -> None:
        """Take what the client sent."""
        try:
            for message in self._reader.feed(received):
                self._take(message)
        except websocket.WebSocketError as error:
            self._end(error.code)
        except asyncio.QueueFull:
            self._end(_OVERRUN)

    def close(self) -> None:
        """Stop; the connection is gone."""
        self._task.cancel()

    def _take(self, message: websocket.Message) -> None:
        if message.opcode == websocket.CLOSE:
            self._write(websocket.CLOSE, message.content)
            self._transport.close()
        elif message.opcode == websocket.PING:
            self._write(websocket.PONG, message.content)
        elif message.opcode in (websocket.TEXT, websocket.BINARY):
            self._inbox.put_nowait(message.content)

    async def _run(self) -> None:
        await self._play(self._conversation.open())
        while True:
            await self._play(self._conversation.feed(await self._inbox.get()))

    async def _play(self, steps: list[Step]) -> None:
        for step in steps:
            if step.wait_s:
                await asyncio.sleep(step.wait_s)
            self._write(websocket.TEXT, step.body)

    def _write(self, opcode: int, content: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(websocket.frame(opcode, content))

    def _end(self, code: int) -> None:
        self._write(websocket.CLOSE, struct.pack(">H", code))
        self._transport.close()
