"""What this process has still to tell, the latest of each name.

    waiting    to be told, as it is at that moment
    told       on its way; settled once it has come back
    settled    forgotten here

Until a name is settled, what others say of it is older than what we say, since the server
puts all in one order; so it is not heeded, and all processes end with the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.sharing.facts import Message

MOST = 1024
"""Names that wait or are on their way; one more displaces the oldest."""

Read = Callable[[float], int | None]
"""Monotonic time in seconds to the value to tell; None: there is nothing to tell any more."""


class Outbox:
    """The names that wait or are on their way, the oldest first."""

    def __init__(self, sender: str) -> None:
        """Take how this process is called among all."""
        self._sender = sender
        self._reads: dict[str, Read] = {}
        self._told: dict[str, int] = {}
        self._number = 0
        self._filled = asyncio.Event()

    def put(self, name: str, read: Read) -> None:
        """Let a name be told; what it is worth is read when its turn comes."""
        self._forget(name)
        if len(self._reads) >= MOST:
            self._forget(next(iter(self._reads)))
        self._reads[name] = read
        self._filled.set()

    def settles(self, message: Message) -> bool:
        """Take note of a message that came in; whether it is one of ours."""
        if message.by != self._sender:
            return False
        if self._told.get(message.name) == message.number:
            self._forget(message.name)
        return True

    def holds(self, name: str) -> bool:
        """Whether we have something newer to say of this name."""
        return name in self._reads

    def again(self) -> None:
        """Tell once more what has not come back: nobody knows whether it arrived."""
        self._told.clear()
        if self._reads:
            self._filled.set()

    async def filled(self) -> None:
        """Wait until something is to be told."""
        await self._filled.wait()

    def batch(self, now: float, most: int) -> list[Message]:
        """Return what to tell next, and take it for told.

        Args:
            now: monotonic time, in seconds.
            most: so many messages at most.
        """
        waiting = [name for name in self._reads if name not in self._told]
        messages = []
        for name in waiting[:most]:
            value = self._reads[name](now)
            if value is None:
                self._forget(name)
                continue
            self._number += 1
            self._told[name] = self._number
            messages.append(Message(self._sender, self._number, name, value))
        if len(waiting) <= most:
            self._filled.clear()
        return messages

    def _forget(self, name: str) -> None:
        self._reads.pop(name, None)
        self._told.pop(name, None)
